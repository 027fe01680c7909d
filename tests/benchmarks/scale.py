"""What more machines bring: ``HWR_DATA=… python -m tests.benchmarks.scale``.

Machines are raylets, each on a processor of its own of this computer, which needs two. Names of benchmarks (label,
train) as further words run only those. Nothing else should run meanwhile. Each ends with what its measured
costs would come to on more machines than there are here: a model, and said to be one.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from ray.cluster_utils import Cluster

from hwr import bundle, manifest, parts
from hwr.storage import Folder
from tests.benchmarks import label as labelling
from tests.benchmarks import train as training
from tests.benchmarks.measure import watch

FEW, MANY, ROUNDS = 1_000, 100_000, 2
STORE = 100 * 2**20
EPOCHS, BATCH = 2, 256

# What the tables are of.
MILLION, CPUS, BATCHES = 1_000_000, (1, 2, 4, 16, 64), (BATCH, 4 * BATCH)
NETWORK = 10e9 / 8  # bytes a second between two machines


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
        """How long a job takes, whose parts are not divided any further."""
        pieces = parts.cut(pa.table({"id": pa.nulls(images)}), "part")
        rounds = -(-len(pieces) // cpus)
        return self.fixed + images * self.alone + rounds * len(pieces[0]) / self.rate


def label(top: Path) -> None:
    """The same folder on one and on two machines, as whole commands; then the model."""
    network, images = labelling.network(top), labelling.names(top / "in", MILLION)
    seconds = {}
    for count in (1, 2):
        with joined(count):
            seconds[count] = watch(labelling.label(images, network, top / f"out-{count}"))
    print(
        f"label: {MILLION:,} PNGs in {seconds[1]:,.0f} s on one CPU and {seconds[2]:,.0f} s on two machines, as whole "
        f"commands: {seconds[1] / seconds[2]:.2f} x (wanted: 1.8)",
        flush=True,
    )
    small, alone = costs(top, network)
    work = (seconds[1] - small) / (MILLION - FEW) - alone
    model = Labelling(small - FEW * (alone + work), alone, 1 / work)
    print(
        f"  a job costs {model.fixed:.1f} s; an image {model.alone * 1e6:.0f} µs in one process, and "
        f"{1e6 / model.rate:.0f} µs of some CPU"
    )
    for cpus in CPUS:
        modelled = model.seconds(MILLION, cpus)
        print(
            f"  modelled, not measured: {MILLION:,} images on {cpus} machines of a CPU take {modelled / 60:.1f} "
            f"minutes, {model.seconds(MILLION, 1) / modelled:.1f} x",
            flush=True,
        )


def costs(top: Path, network: Path) -> tuple[float, float]:
    """What does not divide: seconds of a small job, and of each image in a job whose parts are all done."""
    whole, closing = {}, {}
    with joined(1):
        for count in (FEW, MANY):
            images, out = labelling.names(top / f"in-{count}", count), top / f"out-of-{count}"
            whole[count] = watch(labelling.label(images, network, out))
            (out / manifest.MANIFEST).unlink()
            closing[count] = watch(labelling.label(images, network, out))
    return whole[FEW], (closing[MANY] - closing[FEW]) / (MANY - FEW)


@dataclass(frozen=True)
class Training:
    """What a step of training costs.

    Attributes:
        rate: Images a second of one CPU.
        meeting: Seconds of a step, however small the shares, that several workers lose to each other on one computer.
        weights: Bytes of gradients.
    """

    rate: float
    meeting: float
    weights: int

    def seconds(self, batch: int, cpus: int) -> float:
        """How long a step takes on so many machines of one CPU, each of which gets its share of the batch."""
        alone = batch / (self.rate * cpus)
        return alone if cpus == 1 else alone + self.meeting + 2 * self.weights * (1 - 1 / cpus) / NETWORK


def train(top: Path) -> None:
    """The same training on one and on two machines, after the first epoch; then the model."""
    data = training.ingest(top, "mnist", "idx")
    speeds = {1: 0.0, 2: 0.0}
    for turn in range(ROUNDS):
        for count in (1, 2):
            run = top / f"run-{turn}-{count}"
            with joined(count):
                watch(training.train(data, run, "--epochs", EPOCHS, "--batch-size", BATCH))
            speeds[count] = max(speeds[count], training.later(run))
    print(
        f"train: in batches of {BATCH:,}, {speeds[1]:,.0f} images/s on one CPU and {speeds[2]:,.0f} on two machines: "
        f"{speeds[2] / speeds[1]:.2f} x (wanted: 1.7)"
    )
    weights = Folder.open(str(top / "run-0-1" / "model")).bytes(bundle.WEIGHTS)
    model = Training(speeds[1], max(0.0, BATCH / speeds[2] - BATCH / speeds[1] / 2), weights)
    print(
        f"  a step costs {model.meeting * 1e3:.0f} ms for meeting, however small the shares; {weights / 1e6:.1f} MB go "
        f"round, at {NETWORK * 8 / 1e9:.0f} Gbit/s"
    )
    for batch in BATCHES:
        for cpus in CPUS:
            seconds = MILLION / batch * model.seconds(batch, cpus)
            print(
                f"  modelled, not measured: {MILLION:,} images in batches of {batch:,} on {cpus} machines of a CPU "
                f"take {seconds / 60:.1f} minutes, {MILLION / model.rate / seconds:.1f} x",
                flush=True,
            )


@contextmanager
def joined(count: int) -> Iterator[None]:
    """Commands run on the first of so many machines of one CPU.

    Each has a processor of this computer for all that runs on it: a machine's own processes of Ray take time from its
    workers, whether it is alone or not.
    """
    all_of_them = os.sched_getaffinity(0)
    cluster = Cluster()
    try:
        for processor in sorted(all_of_them)[:count]:
            os.sched_setaffinity(0, {processor})  # what is started now inherits it
            cluster.add_node(num_cpus=1, object_store_memory=STORE)
        os.sched_setaffinity(0, {min(all_of_them)})
        os.environ["RAY_ADDRESS"] = cluster.address
        yield
    finally:
        os.environ.pop("RAY_ADDRESS", None)
        os.sched_setaffinity(0, all_of_them)
        cluster.shutdown()


if __name__ == "__main__":
    for benchmark in (label, train):
        if not sys.argv[1:] or benchmark.__name__ in sys.argv[1:]:
            with tempfile.TemporaryDirectory() as place:
                benchmark(Path(place))
