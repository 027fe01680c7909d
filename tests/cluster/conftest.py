"""What tests of clusters share: real digits as scans, and what jobs make of them when nothing disturbs them."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.jobs import Command
from tests.pictures import encode

COUNT = 4000


@pytest.fixture(scope="session")
def scans(tmp_path_factory, data) -> Path:
    """4,000 MNIST digits as PNG files, one folder a digit."""
    top = tmp_path_factory.mktemp("cluster") / "scans"
    files = (data / "mnist" / f"t10k-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1"))
    pixels, labels = (gzip.decompress(file.read_bytes()) for file in files)
    images = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28)
    for number, (image, label) in enumerate(zip(images[:COUNT], labels[8:], strict=False)):
        path = top / str(label) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(image))
    return top


def ingest(scans: Path, out: Path) -> list[object]:
    """The words that ingest the scans."""
    return ["ingest", "--source", scans, "--format", "image-folder", "--out", out]


def train(samples: Path, out: Path, *more: object) -> list[object]:
    """The words that train on them for some epochs."""
    return ["train", "--data", samples, "--out", out, "--epochs", 3, "--batch-size", 128, *more]


def label(scans: Path, out: Path) -> list[object]:
    """The words that label the scans."""
    return ["label", "--images", scans, "--model", "emnist47", "--only", "digits", "--out", out]


@pytest.fixture(scope="session")
def samples(scans) -> Path:
    """They as samples, ingested by one machine at one go."""
    assert Command(ingest(scans, scans.parent / "samples")).end()[0] == 0
    return scans.parent / "samples"


@pytest.fixture(scope="session")
def labels(scans) -> Path:
    """Their labels, by one machine at one go."""
    assert Command(label(scans, scans.parent / "labels")).end()[0] == 0
    return scans.parent / "labels"


def shards(out: Path) -> dict[str, bytes]:
    """Every Parquet file that a job has made, whole."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.parquet"))}
