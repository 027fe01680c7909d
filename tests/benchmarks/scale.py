"""What more machines bring: ``HWR_DATA=… python -m tests.benchmarks.scale``.

Machines are raylets with one CPU each on this computer, which needs two processors for them. Names of benchmarks
(label, train) as further words run only those. Nothing else should run meanwhile. Each ends with what its measured
costs would come to on more machines than there are here: a model, and said to be one.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hwr import bundle
from hwr.storage import Folder
from tests.benchmarks import label as labelling
from tests.benchmarks import train as training
from tests.benchmarks.measure import cost
from tests.machines import machines

FILES, FEW, ROUNDS = 60_000, 1_000, 2
EPOCHS = 3

# What the tables are of.
MILLION, CPUS = 1_000_000, (1, 4, 16, 64, 256)
BATCH, NETWORK = 1024, 10e9 / 8  # bytes a second between two machines


@dataclass(frozen=True)
class Labelling:
    """What labelling costs.

    Attributes:
        fixed: Seconds of a job, however small.
        alone: Seconds for each image that one process spends, however many work: listing, tables, pages.
        rate: Images a second of one CPU.
    """

    fixed: float
    alone: float
    rate: float

    def seconds(self, images: int, cpus: int) -> float:
        """How long a job takes."""
        return self.fixed + images * self.alone + images / (self.rate * cpus)


def label(top: Path) -> None:
    """The same folder on one and on two machines; then the model."""
    network, images = labelling.network(top), labelling.pictures(top / "in", FILES)
    rates, wholes = {1: 0.0, 2: 0.0}, {1: float("inf"), 2: float("inf")}
    for turn in range(ROUNDS):
        for count in (1, 2):
            out = top / f"out-{turn}-{count}"
            with joined(count):
                wholes[count] = min(wholes[count], cost(labelling.label(images, network, out)).seconds)
            rates[count] = max(rates[count], labelling.steady(out))
    print(
        f"label: {FILES:,} PNGs at {rates[1]:,.0f}/s on one CPU and {rates[2]:,.0f}/s on two machines: "
        f"{rates[2] / rates[1]:.2f} x (wanted: 1.8); as whole commands {wholes[1] / wholes[2]:.2f} x "
        f"({wholes[1]:.1f} and {wholes[2]:.1f} s)"
    )
    few = labelling.pictures(top / "few", FEW)
    with joined(1):
        small = cost(labelling.label(few, network, top / "small")).seconds
    fixed = small - FEW / rates[1]
    model = Labelling(fixed, max(0.0, wholes[1] - fixed - FILES / rates[1]) / FILES, rates[2] / 2)
    print(
        f"  a job costs {model.fixed:.1f} s; an image {model.alone * 1e6:.0f} µs in one process, and "
        f"{1e6 / model.rate:.0f} µs of some CPU"
    )
    for cpus in CPUS:
        minutes = model.seconds(MILLION, cpus) / 60
        print(f"  modelled, not measured: {MILLION:,} images on {cpus} CPUs take {minutes:.1f} minutes", flush=True)


def train(top: Path) -> None:
    """The same training on one and on two machines, after the first epoch; then the model."""
    data = training.ingest(top, "mnist", "idx")
    speeds = {1: 0.0, 2: 0.0}
    for turn in range(ROUNDS):
        for count in (1, 2):
            run = top / f"run-{turn}-{count}"
            with joined(count):
                cost(training.train(data, run, "--epochs", EPOCHS))
            speeds[count] = max(speeds[count], training.later(run))
    print(
        f"train: {speeds[1]:,.0f} images/s on one CPU and {speeds[2]:,.0f} on two machines: "
        f"{speeds[2] / speeds[1]:.2f} x (wanted: 1.7)"
    )
    weights = Folder.open(str(top / "run-0-1" / "model")).bytes(bundle.WEIGHTS)
    print(f"  {weights / 1e6:.1f} MB of gradients go round once a step, here at {NETWORK * 8 / 1e9:.0f} Gbit/s")
    for cpus in CPUS:
        step = BATCH / (speeds[1] * cpus) + 2 * weights * (1 - 1 / cpus) / NETWORK
        minutes = MILLION / BATCH * step / 60
        print(
            f"  modelled, not measured: an epoch of {MILLION:,} on {cpus} machines of a CPU takes {minutes:.1f} minutes"
        )


@contextmanager
def joined(count: int) -> Iterator[None]:
    """Commands run on so many machines of one CPU."""
    with machines(*[1] * count) as cluster:
        os.environ["RAY_ADDRESS"] = cluster.address
        try:
            yield
        finally:
            del os.environ["RAY_ADDRESS"]


if __name__ == "__main__":
    for benchmark in (label, train):
        if not sys.argv[1:] or benchmark.__name__ in sys.argv[1:]:
            with tempfile.TemporaryDirectory() as place:
                benchmark(Path(place))
