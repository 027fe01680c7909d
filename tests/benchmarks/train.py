"""How fast training is, against what people would write instead: ``HWR_DATA=… python -m tests.benchmarks.train``.

Names of benchmarks (keras, bare, workers, fixed, to90, stream, gpu) as further words run only those. Nothing else
should run meanwhile. All figures of one line are from one run, and those of a ratio are taken in turns.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.measure import said, watch

DATA = Path(os.environ.get("HWR_DATA", ""))
ROUNDS, EPOCHS = 2, 3

# Epochs in which emnist47r has to come to this validation accuracy.
TO90_EPOCHS, GOAL = 4, 0.9

# The samples are so many times the memory that a worker is given for them.
LARGER = 10


def keras(top: Path) -> None:  # noqa: ARG001 - all benchmarks take a folder
    """The baseline network with the usual augmentation, against Keras with its layers for that."""
    python = os.environ.get("HWR_KERAS_PYTHON")
    if not python:
        print(
            "keras: left out; for it, python3 -m venv DIR && DIR/bin/pip install tensorflow-cpu, and set "
            "HWR_KERAS_PYTHON=DIR/bin/python"
        )
        return
    mine, theirs = [], []
    for _ in range(ROUNDS):
        mine.append(said(["-m", "tests.benchmarks.loops", "alone"]))
        theirs.append(said(["-m", "tests.benchmarks.peers_keras"], python))
    tell("keras", max(mine), max(theirs), "Keras fit with augmentation layers", 4)


def bare(top: Path) -> None:  # noqa: ARG001
    """The same training, against a loop of a few lines around the same network and augmentation."""
    tell("bare", *said(["-m", "tests.benchmarks.loops", "beside"]), "a bare PyTorch loop", 0.95)


def workers(top: Path) -> None:
    """Two workers with half of the processors each, against one with all of them; after the first epoch."""
    data = ingest(top, "mnist", "idx")
    speeds: dict[int, list[float]] = {2: [], 1: []}
    for turn in range(ROUNDS):
        for count, found in speeds.items():
            run = top / f"run-{turn}-{count}"
            watch(train(data, run, "--epochs", EPOCHS, "--workers", count))
            found.append(later(run))
    tell("workers", max(speeds[2]), max(speeds[1]), "one worker, by two", 0.9)


def fixed(top: Path) -> None:
    """What a small training costs over a script that does the same in one process."""
    data = ingest(top, "emnist47r/emnist47r-sample.csv.gz", "emnist-csv", "--alphabet", "emnist47")
    mine, theirs = [], []
    for turn in range(ROUNDS):
        mine.append(watch(train(data, top / f"run-{turn}", "--epochs", 1)))
        theirs.append(watch(["-m", "tests.benchmarks.loops", "samples", data]))
    ours, plain = min(mine), min(theirs)
    print(f"fixed: {ours - plain:.1f} s more than a plain script (wanted: at most 15): {ours:.1f} and {plain:.1f} s")


def to90(top: Path) -> None:
    """How long 47 characters take to 90 % validation accuracy."""
    data, run = ingest(top, "emnist47r", "emnist-idx"), top / "run"
    start, there = time.perf_counter(), []

    def look(_: int) -> None:
        if not there and any(epoch["val_accuracy"] >= GOAL for epoch in history(run)):
            there.append(time.perf_counter() - start)

    watch(train(data, run, "--epochs", TO90_EPOCHS), look)
    look(0)
    seen = history(run)
    if not there:
        most = max(epoch["val_accuracy"] for epoch in seen)
        print(f"to90: not reached in {TO90_EPOCHS} epochs: {most:.2%} at most")
        return
    first = next(epoch["epoch"] for epoch in seen if epoch["val_accuracy"] >= GOAL)
    seconds = sum(epoch["seconds"] for epoch in seen[:first])
    print(f"to90: epoch {first}, {seconds:.0f} s of steps, {there[0]:.0f} s in all (wanted: at most 360 s)")


def stream(top: Path) -> None:
    """Samples that are ten times what a worker may keep, against the same in memory."""
    data = ingest(top, "mnist", "idx")
    facts = json.loads((data / "manifest.json").read_text(encoding="utf-8"))
    splits = facts["counts"]["splits"]
    need = (splits["train"] + splits["val"]) * (facts["size"] ** 2 + 8)
    peaks: dict[int, int] = {}
    streamed, loaded = top / "streamed", top / "loaded"

    def look(pid: int) -> None:
        epoch = len(history(streamed)) + 1
        peaks[epoch] = max(peaks.get(epoch, 0), worker_memory(pid))

    watch(train(data, streamed, "--epochs", EPOCHS, "--memory", need / LARGER / 1e9), look)
    watch(train(data, loaded, "--epochs", EPOCHS))
    tell("stream", later(streamed), later(loaded), "the same in memory", 0.7)
    first, last = peaks[1] / 1e6, peaks[EPOCHS] / 1e6
    print(
        f"stream: the worker holds {last / first:.2f} x in epoch {EPOCHS} what it held in the first (wanted: flat): "
        f"{last:,.0f} and {first:,.0f} MB, for {need / 1e6:,.1f} MB of samples"
    )


def gpu(top: Path) -> None:  # noqa: ARG001
    """An epoch on a GPU."""
    import torch  # noqa: PLC0415 - the others start processes that need the memory more

    from tests.benchmarks import gpu as on_gpu  # noqa: PLC0415

    on_gpu.main(torch.device("cuda"))


def ingest(top: Path, source: str, form: str, *words: object) -> Path:
    """Make a samples folder."""
    words = ("--source", DATA / source, "--format", form, "--out", top / "samples", *words)
    watch(["-m", "pipelines", "ingest", *words])
    return top / "samples"


def train(data: Path, run: Path, *words: object) -> list[object]:
    """The command that trains GlyphNet."""
    return ["-m", "pipelines", "train", "--data", data, "--out", run, *words]


def history(run: Path) -> list[dict[str, Any]]:
    """The epochs of a run so far."""
    file = run / "history.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def later(run: Path) -> float:
    """Images per second of the best epoch after the first, which warms up."""
    return max(epoch["images_per_second"] for epoch in history(run)[1:])


def worker_memory(pid: int) -> int:
    """Bytes that the training worker of a command holds; what it shares counts in part. 0 while there is none."""
    try:
        family = psutil.Process(pid).children(recursive=True)
        return sum(one.memory_full_info().pss for one in family if "TrainWorker" in " ".join(one.cmdline()))
    except psutil.NoSuchProcess:
        return 0  # something has just ended


def tell(name: str, mine: float, theirs: float, peer: str, wanted: float) -> None:
    """Print how many times as fast as the peer we are."""
    print(
        f"{name}: {mine / theirs:.2f} x the speed of {peer} (wanted: {wanted}): {mine:,.0f} and {theirs:,.0f} images/s",
        flush=True,
    )


if __name__ == "__main__":
    for benchmark in (keras, bare, workers, fixed, to90, stream, gpu):
        if not sys.argv[1:] or benchmark.__name__ in sys.argv[1:]:
            with tempfile.TemporaryDirectory() as top:
                benchmark(Path(top))
