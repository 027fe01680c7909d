"""How fast labelling is, against what people would write instead: ``HWR_DATA=… python -m tests.benchmarks.label``.

``HWR_PEERS`` names a folder with the short programs label_torchvision.py, label_limit.py and keras_peer.py, which run
the same network over the same files; the last one needs ``HWR_KERAS_PYTHON``, an interpreter with tensorflow-cpu. Names
of benchmarks (folder, few, million) as further words run only those. Nothing else should run meanwhile.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import torch
from PIL import Image

from hwr import bundle, models
from hwr.alphabet import Alphabet
from hwr.bundle import Card
from hwr.storage import Folder
from tests.benchmarks.measure import Cost, cost, said
from tests.pictures import idx

PEERS = Path(os.environ.get("HWR_PEERS", ""))
FILES, FEW, MANY, ROUNDS = 100_000, 1_000, 1_000_000, 2


def folder(top: Path) -> None:
    """A folder of small PNG files for each of ten characters: whole commands, the steady rate between, and memory."""
    model, images = network(top), pictures(top / "in", FILES)
    peers = {
        "torchvision ImageFolder + DataLoader": (sys.executable, ["label_torchvision.py", images, 2], 3.0),
        "two bare processes": (sys.executable, ["label_limit.py", images], 0.8),
    }
    if "HWR_KERAS_PYTHON" in os.environ:
        peers["Keras"] = (os.environ["HWR_KERAS_PYTHON"], ["keras_peer.py", images], 1.0)
    ours: list[Cost] = []
    rates: list[float] = []
    theirs: dict[str, list[dict[str, float]]] = {name: [] for name in peers}
    for turn in range(ROUNDS):
        ours.append(cost(label(images, model, top / f"out-{turn}")))
        rates.append(steady(top / f"out-{turn}"))
        for name, (python, (script, *words), _) in peers.items():
            theirs[name].append(said([PEERS / script, *words], python))
    whole, rate = min(run.seconds for run in ours), max(rates)
    held = max(run.bytes for run in ours) / 1e9
    print(f"folder: {FILES:,} PNGs in {whole:.1f} s, {rate:,.0f}/s between start and end, {held:.2f} GB (at most 3)")
    for name, (_, _, wanted) in peers.items():
        seconds = min(run["seconds"] for run in theirs[name])
        fastest = max(run["images_per_second"] for run in theirs[name])
        print(
            f"  {seconds / whole:.2f} x the speed of {name} as a whole, {rate / fastest:.2f} x between start and end "
            f"({seconds:.1f} s, {fastest:,.0f}/s; wanted: {wanted})",
            flush=True,
        )


def few(top: Path) -> None:
    """A small folder, from start to finish."""
    model, images = network(top), pictures(top / "in", FEW)
    seconds = min(cost(label(images, model, top / f"out-{turn}")).seconds for turn in range(ROUNDS))
    print(f"few: {FEW:,} PNGs in {seconds:.1f} s (wanted: at most 15)", flush=True)


def million(top: Path) -> None:
    """A million names of ten thousand files: memory."""
    took = cost(label(names(top / "in", MANY), network(top), top / "out"))
    print(f"million: {MANY:,} images in {took.seconds:,.0f} s and {took.bytes / 1e9:.2f} GB (wanted: at most 3)")


def network(top: Path) -> Path:
    """The baseline network of 47 characters, untrained: its answers do not matter here."""
    torch.manual_seed(0)
    labels = list(Alphabet.parse("emnist47").labels)
    model = models.build("baseline", 28, len(labels))
    bundle.save(Folder.open(str(top / "model")), model.state_dict(), Card("baseline", labels, 28, bundle.PREPROCESSING))
    return top / "model"


def pictures(top: Path, count: int) -> Path:
    """So many PNG files of digits, in ten folders."""
    images = idx("mnist/train-images-idx3-ubyte.gz")
    for number in range(count):
        place = top / str(number % 10)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[number % len(images)]).save(place / f"{number:06d}.png")
    return top


def names(top: Path, count: int) -> Path:
    """So many names, of a hundredth as many PNG files of digits, in ten folders."""
    files = sorted(pictures(top, count // 100).rglob("*.png"))
    for copy in range(99):
        for file in files:
            (top / str(copy % 10) / f"{copy}-{file.name}").hardlink_to(file)
    return top


def label(images: Path, model: Path, out: Path) -> list[object]:
    return ["-m", "pipelines", "label", "--images", images, "--model", model, "--out", out]


def steady(out: Path) -> float:
    """Images a second between the first and the last part that was written."""
    rows = {file["name"]: file["rows"] for file in json.loads((out / "manifest.json").read_bytes())["files"]}
    times = {name: (out / name).stat().st_mtime for name in rows}
    first = min(times, key=lambda name: times[name])
    return (sum(rows.values()) - rows[first]) / (max(times.values()) - times[first])


if __name__ == "__main__":
    for benchmark in (folder, few, million):
        if not sys.argv[1:] or benchmark.__name__ in sys.argv[1:]:
            with tempfile.TemporaryDirectory() as top:
                benchmark(Path(top))
