"""How long a large report takes and how large it is: ``HWR_DATA=… python -m tests.benchmarks.report``.

18,800 glyphs of 62 characters, read by a network that has learned nothing: nearly every answer is a mistake, and every
cell of the confusion matrix is filled. Nothing else should run meanwhile.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch

from hwr import bundle, models
from hwr.alphabet import Alphabet
from hwr.bundle import Card
from hwr.storage import Folder
from tests.benchmarks.measure import cost
from tests.pictures import idx

ROWS = 18_800


def report(top: Path) -> None:
    """A report of everything that can be in one."""
    labels = list(Alphabet.parse("english62").labels)
    torch.manual_seed(0)
    network = models.build("baseline", 28, len(labels))
    card = Card("baseline", labels, 28, bundle.PREPROCESSING)
    bundle.save(Folder.open(str(top / "model")), network.state_dict(), card)
    images = idx("emnist47r/emnist47r-train-images-idx3-ubyte.gz")[:ROWS]
    np.savez(top / "glyphs.npz", x_test=images, y_test=np.arange(ROWS) % len(labels))
    ingest = ["--source", top / "glyphs.npz", "--format", "numpy", "--alphabet", "english62"]
    cost(["-m", "pipelines", "ingest", *ingest, "--out", top / "samples"])
    cost(["-m", "pipelines", "label", "--images", top / "samples", "--model", top / "model", "--out", top / "labels"])
    words = ["-m", "pipelines", "evaluate", "--predictions", top / "labels", "--fold-case", "--out", top]
    first = cost([*words[:-1], top / "first"])
    second = cost([*words[:-1], top / "second", "--against", top / "first"])
    for name, run in (("first", first), ("second", second)):
        size = (top / name / "report.html").stat().st_size / 1e6
        print(
            f"{name}: {ROWS:,} predictions in {run.seconds:.1f} s (at most 20), {size:.1f} MB (at most 15)", flush=True
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as top:
        report(Path(top))
