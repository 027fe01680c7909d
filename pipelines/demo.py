"""Demo: the four jobs, one after the other, on handwriting that ships with scikit-learn."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from hwr import splits
from hwr.errors import HwrError, OutputError
from hwr.splits import SplitConfig
from hwr.spreadsheet import to_csv
from hwr.storage import Folder
from pipelines import cli, console

# The scikit-learn digits are 8 x 8 pixels; they are drawn larger, dark on light, as a scan would show them.
ENLARGED = 4

HELD_OUT = 0.2

EPOCHS = "40"


@dataclass(frozen=True)
class Config:
    """Where the demo works."""

    out: cli.Output = "demo"
    """Folder for everything the demo makes; it must be new, or an earlier demo's."""


def run(config: Config) -> None:
    """Write the digits out as PNG files, then ingest, train, label and evaluate them as a user would.

    Raises:
        HwrError: A job failed, or the folder holds something else.
    """
    started = time.perf_counter()
    top = Path(config.out)
    if top.exists() and not top.is_dir():
        raise OutputError(f"{config.out} is a file: choose another --out")
    if top.exists() and any(top.iterdir()) and not (top / "held-out.csv").exists():
        raise OutputError(f"{config.out} exists and was not made by hwr demo: choose another --out")
    count, held_out = write_digits(top)
    console.milestone(
        f"{top}: {count - held_out:,} digits in images/ to learn from, {held_out} in held-out/ to be labelled"
    )
    jobs = [
        ["ingest", "--source", f"{top}/images", "--format", "image-folder", "--out", f"{top}/samples"],
        [
            "train",
            "--data",
            f"{top}/samples",
            "--out",
            f"{top}/run",
            "--epochs",
            EPOCHS,
            "--batch-size",
            "64",
        ],
        ["label", "--images", f"{top}/held-out", "--model", f"{top}/run", "--out", f"{top}/labels"],
        ["evaluate", "--predictions", f"{top}/labels", "--truth", f"{top}/held-out.csv", "--out", f"{top}/report"],
    ]
    for words in jobs:
        console.heading(f"$ hwr {' '.join(words)}")
        status = cli.main(words)
        if status == 130:
            raise cli.Interrupted
        if status != 0:
            raise HwrError(f"hwr {words[0]} did not finish: its message stands above")
    report = Folder.open(f"{top}/report").read_json("report.json")
    console.table(
        f"Done in {time.perf_counter() - started:.0f} s",
        [
            ("accuracy on the held-out folder", f"{report['all_inputs']['accuracy']:.2%}"),
            ("samples, as Parquet shards", f"{top}/samples/samples/"),
            ("the trained model and its card", f"{top}/run/model/"),
            ("a prediction for each held-out image", f"{top}/labels/predictions.csv"),
            ("the report: open it in a browser", f"{top}/report/report.html"),
        ],
    )


def write_digits(top: Path) -> tuple[int, int]:
    """Write the digits as dark-on-light PNG files: most in class folders, the rest in one flat folder with a CSV.

    Files that are there already are left alone, so a second demo finds its jobs complete.

    Returns:
        How many digits there are, and how many of them are held out.
    """
    digits = load_digits()
    names = [f"{number:04d}.png" for number in range(len(digits.target))]
    labels = [str(label) for label in digits.target]
    nothing = [None] * len(names)
    shares = splits.assign(names, labels, nothing, nothing, SplitConfig(test_share=HELD_OUT, val_share=0))
    held_out = [(name, label) for name, label, share in zip(names, labels, shares, strict=True) if share == "test"]
    (top / "held-out").mkdir(parents=True, exist_ok=True)
    (top / "held-out.csv").write_bytes(to_csv(["file", "label"], held_out))
    for name, label, share, image in zip(names, labels, shares, digits.images, strict=True):
        path = top / "held-out" / name if share == "test" else top / "images" / label / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            grey = (255 - image * (255 / 16)).round().astype(np.uint8)
            side = grey.shape[0] * ENLARGED
            large = Image.fromarray(grey).resize((side, side), Image.Resampling.BICUBIC)
            beside = path.with_suffix(".tmp")
            large.save(beside, "PNG")
            beside.replace(path)  # complete or not there: an interrupted demo finds no half pictures
    return len(names), len(held_out)


if __name__ == "__main__":
    sys.exit(cli.main(["demo", *sys.argv[1:]]))
