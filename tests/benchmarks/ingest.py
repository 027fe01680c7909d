"""How fast ingest is, against what people would write instead: ``HWR_DATA=… python -m tests.benchmarks.ingest``.

Names of benchmarks (table, scans, folders) as further words run only those. Nothing else should run meanwhile.
"""

import gzip
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.benchmarks.measure import Cost, best, cost
from tests.pictures import idx

DATA = Path(os.environ.get("HWR_DATA", ""))
LINES, FILES, ROUNDS = 372_450, 100_000, 2


def hwr(*words: object) -> list[object]:
    return ["-m", "pipelines", "ingest", *words]


def peer(*words: object) -> list[object]:
    return ["-m", "tests.benchmarks.peers", *words]


def table(top: Path) -> None:
    """A table of pixels as large as Kaggle's A-Z: the given rows, over and over."""
    packed = sorted(DATA.glob("az/*.csv.gz"))
    lines = [line for file in packed for line in gzip.decompress(file.read_bytes()).splitlines(keepends=True)]
    with open(top / "table.csv", "wb") as file:
        for start in range(0, LINES, len(lines)):
            file.writelines(lines[: LINES - start])
    ours = hwr("--source", top / "table.csv", "--format", "pixel-csv", "--alphabet", "A-Z", "--out", top / "out")
    tell(
        f"pixel-csv, {LINES:,} x 785",
        ours,
        {
            "pandas.read_csv + numpy.savez": peer("pandas_savez", top / "table.csv", top / "pandas"),
            "two bare pyarrow.csv -> Parquet": peer("arrow_twice", top / "table.csv", top / "arrow"),
        },
        top,
    )


def scans(top: Path) -> None:
    """The 3,410 scans of English characters, 1200 x 900, out of their zip."""
    ours = hwr("--source", DATA / "english" / "english.csv", "--format", "image-csv", "--out", top / "out")
    bare = peer("canonical_twice", DATA / "english", top / "bare")
    tell("image-csv, 3,410 scans of 1200 x 900", ours, {"two bare decode + canonical": bare}, top)


def folders(top: Path) -> None:
    """A folder of small PNG files for each digit."""
    images = idx("mnist/train-images-idx3-ubyte.gz")
    labels = np.frombuffer(
        gzip.decompress((DATA / "mnist" / "train-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8
    )
    for number in range(FILES):
        folder = top / "in" / str(labels[number % len(labels)])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[number % len(images)]).save(folder / f"{number:06d}.png")
    ours = hwr("--source", top / "in", "--format", "image-folder", "--out", top / "out")
    tell(
        f"image-folder, {FILES:,} PNGs of 28 x 28",
        ours,
        {"ray.data.read_images": peer("ray_read_images", top / "in", top / "ray")},
        top,
    )


def tell(title: str, ours: list[object], peers: dict[str, list[object]], top: Path) -> None:
    """Run everything in turns, and print how many times as fast as each peer we are."""
    runs: dict[str, list[Cost]] = {name: [] for name in ("hwr ingest", *peers)}
    for _ in range(ROUNDS):
        for name, words in (("hwr ingest", ours), *peers.items()):
            for left in ("out", "ray"):
                shutil.rmtree(top / left, ignore_errors=True)
            runs[name].append(cost(words))
    mine = best(runs["hwr ingest"])
    print(f"{title}: {mine.seconds:.1f} s, {mine.bytes / 1e9:.2f} GB")
    for name in peers:
        theirs = best(runs[name])
        ratio, size = theirs.seconds / mine.seconds, theirs.bytes / 1e9
        print(f"  {ratio:.2f} x the speed of {name} ({theirs.seconds:.1f} s, {size:.2f} GB)", flush=True)


if __name__ == "__main__":
    for benchmark in (table, scans, folders):
        if not sys.argv[1:] or benchmark.__name__ in sys.argv[1:]:
            with tempfile.TemporaryDirectory() as top:
                benchmark(Path(top))
