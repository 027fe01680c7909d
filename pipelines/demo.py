"""Demo: the four jobs, one after the other, on handwriting that ships with scikit-learn."""

import io
import shlex
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from pyarrow.fs import FileType
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

TRUTH = "held-out.csv"

_AT_ONCE = 16  # files that are written at the same time


@dataclass(frozen=True)
class Config:
    """Where the demo works."""

    out: cli.Output = "demo"
    """Folder for everything the demo makes, as a path or a URI such as s3://bucket/demo; it must be new, or an
    earlier demo's."""


def run(config: Config) -> None:
    """Write the digits out as PNG files, then ingest, train, label and evaluate them as a user would.

    Raises:
        HwrError: A job failed, or the folder holds something else.
    """
    started = time.perf_counter()
    top = Folder.open(config.out if "://" in config.out else str(Path(config.out)))
    if top.kind() == FileType.File:
        raise OutputError(f"{config.out} is a file: choose another --out")
    if not top.is_empty() and not top.has(TRUTH):
        raise OutputError(f"{config.out} exists and was not made by hwr demo: choose another --out")
    count, held_out = write_digits(top)
    console.milestone(
        f"{top.name}: {count - held_out:,} digits in images/ to learn from, {held_out} in held-out/ to be labelled"
    )
    images, samples, run, labels, report = (
        (top / name).name for name in ("images", "samples", "run", "labels", "report")
    )
    jobs = [
        ["ingest", "--source", images, "--format", "image-folder", "--out", samples],
        ["train", "--data", samples, "--out", run, "--epochs", EPOCHS, "--batch-size", "64"],
        ["label", "--images", (top / "held-out").name, "--model", run, "--out", labels],
        ["evaluate", "--predictions", labels, "--truth", (top / TRUTH).name, "--out", report],
    ]
    for words in jobs:
        console.heading(f"$ hwr {shlex.join(words)}")
        status = cli.main(words)
        if status == 130:
            raise cli.Interrupted
        if status != 0:
            raise HwrError(f"hwr {words[0]} did not finish: its message stands above")
    figures = (top / "report").read_json("report.json")
    console.table(
        f"Done in {time.perf_counter() - started:.0f} s",
        [
            ("accuracy on the held-out folder", f"{figures['all_inputs']['accuracy']:.2%}"),
            ("samples, as Parquet shards", (top / "samples/samples/").name),
            ("the trained model and its card", (top / "run/model/").name),
            ("a prediction for each held-out image", (top / "labels/predictions.csv").name),
            ("the report: open it in a browser", (top / "report/report.html").name),
        ],
    )


def write_digits(top: Folder) -> tuple[int, int]:
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
    truth = to_csv(["file", "label"], held_out)
    if not top.has(TRUTH) or top.read_bytes(TRUTH) != truth:
        top.write_bytes(TRUTH, truth)  # before the images: by it, an interrupted demo knows its folder
    there = {f"{place}/{path}" for place in ("images", "held-out") for path in _files(top / place)}
    places = [
        f"held-out/{name}" if share == "test" else f"images/{label}/{name}"
        for name, label, share in zip(names, labels, shares, strict=True)
    ]
    left = [(place, image) for place, image in zip(places, digits.images, strict=True) if place not in there]
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # an object store takes a while for each
        list(pool.map(lambda each: top.write_bytes(each[0], _drawn(each[1]), flush=False), left))
    return len(names), len(held_out)


def _files(folder: Folder) -> list[str]:
    """What lies below a folder that need not be there."""
    return [path for path, _ in folder.walk()] if folder.kind() == FileType.Directory else []


def _drawn(image: npt.NDArray[np.float64]) -> bytes:
    """A digit of the set, from 0 (paper) to 16 (ink), as a PNG file."""
    grey = (255 - image * (255 / 16)).round().astype(np.uint8)
    side = grey.shape[0] * ENLARGED
    data = io.BytesIO()
    Image.fromarray(grey).resize((side, side), Image.Resampling.BICUBIC).save(data, "PNG")
    return data.getvalue()


if __name__ == "__main__":
    sys.exit(cli.main(["demo", *sys.argv[1:]]))
