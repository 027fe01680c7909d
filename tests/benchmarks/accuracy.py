"""How well trained models read: ``HWR_DATA=… python -m tests.benchmarks.accuracy [SET …] [--seeds N] [--out DIR]``.

For each set: ingest, then for each seed train and label the test rows, with the commands of the README. Models are
chosen on validation rows; the test rows are looked at once, by the last command. Characters that a model was not to
learn do not count. Where a set is trained on in two stages, the first is trained once, with seed 0. What is done
already in ``--out`` is not done again.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow.dataset as ds

DATA = os.environ.get("HWR_DATA", "")
ROOT = Path(__file__).parents[2]

MNIST = f"--source {DATA}/mnist --format idx"
WRITER = "--writer-pattern -0*([0-9]+)[.]png$ --split-by writer"
ENGLISH = f"--source {DATA}/english/english.csv --format image-csv --test-share 0.2"


# A small set: it starts from the model that ships, and goes over its few samples often.
TUNED = "--init emnist47 --epochs 60 --patience 0 --batch-size 64 --learning-rate 2e-3"


# Stronger augmentation wipes out how the glyphs of one set are placed, slanted and drawn, which is half of what tells
# 1 from I, or 0 from O.
LIGHT = (
    "--augment.rotation 3 --augment.shift 0.03 --augment.zoom 0.03 --augment.shear 0.05 --augment.elastic 0"
    " --augment.thickness 0"
)
NONE = " ".join(f"--augment.{name} 0" for name in ("rotation", "shift", "zoom", "shear", "elastic", "thickness"))


@dataclass(frozen=True)
class Set:
    """What to ingest, by the name of its folder, how to train on it, and which folders' test rows count.

    Each stage of the training names its folders and flags, and starts from the model of the one before it. Flags for
    labelling, such as ``--tta``, were chosen by what they do to validation rows.
    """

    ingest: dict[str, str]
    stages: tuple[tuple[tuple[str, ...], str], ...]
    test: tuple[str, ...]
    label: str = ""


SETS = {
    "mnist": Set({"mnist": MNIST}, ((("mnist",), ""),), ("mnist",)),
    "emnist47r": Set(
        {
            "emnist47r": f"--source {DATA}/emnist47r --format emnist-idx",
            "emnist-extra": f"--source {DATA}/emnist-extra --format emnist-idx --test-share 0 --val-share 0"
            f" --mapping {DATA}/emnist47r/emnist47r-mapping.txt",
        },
        (
            (("emnist47r", "emnist-extra"), "--alphabet emnist47 --balance logits --epochs 6"),
            (("emnist47r",), f"--balance logits --epochs 5 --learning-rate 1e-3 {LIGHT}"),
        ),
        ("emnist47r",),
        "--tta",
    ),
    "az35": Set(
        # Test rows are MNIST's official ones but the zeros, and a tenth of the capitals by hash.
        {"mnist": MNIST, "az": f"--source {DATA}/az --format pixel-csv --alphabet A-Z"},
        # The sets draw 1 and I alike, but at other places and weights: any augmentation loses that.
        ((("mnist", "az"), f"--alphabet az35 --epochs 6 {NONE}"),),
        ("mnist", "az"),
    ),
    "english": Set({"english": ENGLISH}, ((("english",), TUNED),), ("english",)),
    "english-by-writer": Set(
        {"english-by-writer": f"{ENGLISH} {WRITER}"}, ((("english-by-writer",), TUNED),), ("english-by-writer",)
    ),
}


def accuracy(name: str, seed: int, out: Path) -> float:
    """Train one model and read the test rows with it: the share of right answers, in [0, 1]."""
    chosen = SETS[name]
    for folder, flags in chosen.ingest.items():
        hwr(f"ingest {flags} --out {out}/data/{folder}")
    start = ""
    for number, (folders, flags) in enumerate(chosen.stages, 1):
        is_last = number == len(chosen.stages)
        run = f"{out}/runs/{name}-{seed}" if is_last else f"{out}/runs/{name}-stage-{number}"
        data = " ".join(f"{out}/data/{folder}" for folder in folders)
        hwr(f"train --data {data} {flags} {start}--seed {seed if is_last else 0} --out {run}")
        start = f"--init {run} "
    right = rows = 0
    for folder in chosen.test:
        labels = f"{out}/labels/{name}-{seed}-{folder}"
        hwr(f"label --images {out}/data/{folder} --split test --model {run} {chosen.label} --out {labels}")
        answers = ds.dataset(f"{labels}/predictions").to_table(columns=["label", "prediction"]).to_pandas()
        known = answers[answers["label"].isin(json.loads(Path(run, "labels.json").read_text()).values())]
        right, rows = right + int((known["prediction"] == known["label"]).sum()), rows + len(known)
    return right / rows


def hwr(words: str) -> None:
    """Run one command as a user does."""
    print(f"$ hwr {words}", flush=True)
    subprocess.run([sys.executable, "-m", "pipelines", *words.split()], cwd=ROOT, check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="SET", help=", ".join(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("accuracy"))
    given = parser.parse_args()
    for name in given.names or SETS:
        found = [accuracy(name, seed, given.out.resolve()) for seed in range(given.seeds)]
        spread = statistics.stdev(found) if len(found) > 1 else 0.0
        each = ", ".join(f"{value:.2%}" for value in found)
        print(f"{name}: {statistics.mean(found):.2%} ± {spread:.2%} on test rows ({each})", flush=True)
