"""What the Ray that a job runs on has to give."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import ray
import ray.exceptions
from ray.autoscaler.v2.utils import is_autoscaler_v2

from hwr.errors import ResourceError
from pipelines import _ray, console

# How long nothing may be heard before a line says what there is to wait for.
SILENCE_S = 60.0

# How often it is looked whether machines have gone.
_LOOK_S = 5.0

# Labelling workers that share a GPU: reading images takes far longer than scoring them there.
_ON_A_GPU = 8

# Ray counts shares of a GPU in ten-thousandths.
_SHARES = 10_000


@dataclass(frozen=True)
class Machine:
    """One machine that can work.

    Attributes:
        cpus: Logical CPUs; at least 1.
        gpus: GPUs.
        memory: Bytes of memory for work.
    """

    cpus: int
    gpus: int
    memory: int


@dataclass(frozen=True)
class Room:
    """What each of several equal workers gets.

    Attributes:
        cpus: Logical CPUs.
        memory: Bytes of its machine's memory.
    """

    cpus: int
    memory: int


@dataclass(frozen=True)
class Cluster:
    """What Ray has to give.

    Attributes:
        machines: Those that have CPUs.
        grows: Whether an autoscaler adds more where they are needed.
    """

    machines: tuple[Machine, ...]
    grows: bool

    @property
    def cpus(self) -> int:
        """Logical CPUs of all machines."""
        return sum(machine.cpus for machine in self.machines)

    @property
    def gpus(self) -> int:
        """GPUs of all machines."""
        return sum(machine.gpus for machine in self.machines)

    def has(self, workers: int, gpus_each: int) -> bool:
        """Whether there is a CPU, and so many GPUs, for each of some workers."""
        return self.cpus >= workers and self.gpus >= workers * gpus_each

    def workers(self, wanted: int | None, gpus_each: int = 0) -> int:
        """How many workers to run: one a CPU, unless a number is asked for.

        Raises:
            ResourceError: There are too few CPUs or GPUs for the number that is asked for, and the cluster never grows.
        """
        if wanted is not None and wanted < 1:
            raise ResourceError(f"--workers must be at least 1, not {wanted}")
        for kind, each, most in (("GPU", gpus_each, self.gpus), ("CPU", 1, self.cpus)):
            if (wanted or 1) * each > most and not self.grows:
                advice = f"use --workers {most // each} or a larger cluster" if most >= each else "use a larger cluster"
                raise ResourceError(f"{wanted or 1} worker(s) need a {kind} each, but Ray has {most} here: {advice}")
        return wanted or max(1, self.cpus)

    def shared_gpus(self, wanted: int | None) -> tuple[int, float]:
        """How many workers that share GPUs to run, and the share of each; where more are wanted they go without.

        Raises:
            ResourceError: As for `workers`.
        """
        able = [machine for machine in self.machines if machine.gpus]
        if not able:
            return self.workers(wanted), 0.0
        share = max(machine.gpus / min(_ON_A_GPU * machine.gpus, machine.cpus) for machine in able)
        share = math.floor(_SHARES * min(1.0, share)) / _SHARES  # rounded up, the last one would not fit
        most = sum(min(int(machine.gpus / share), machine.cpus) for machine in able)
        return (self.workers(wanted or most), share) if (wanted or 0) <= most else (self.workers(wanted), 0.0)

    def room(self, workers: int, gpus_each: int, kept: int = 0) -> Room:
        """What each of several equal workers can have, so that they fit on their machines.

        Args:
            workers: How many.
            gpus_each: GPUs that each takes.
            kept: CPUs that are needed for other work.

        Raises:
            ResourceError: There is no CPU for each.
        """
        if workers + kept > self.cpus:
            raise ResourceError(
                f"{workers} worker(s), and {kept} for tasks that vary glyphs, need {workers + kept} CPUs, but Ray "
                f"has {self.cpus} here: use --augment.where device or a larger cluster"
            )
        if gpus_each:
            full = [machine for machine in self.machines if machine.gpus]
            cpus = min((machine.cpus - kept) // machine.gpus for machine in full)
            return Room(max(1, cpus), min(machine.memory // machine.gpus for machine in full))
        on_a_machine = -(-workers // len(self.machines))
        cpus = min((self.cpus - kept) // workers, min(machine.cpus for machine in self.machines) // on_a_machine)
        return Room(max(1, cpus), min(machine.memory for machine in self.machines) // on_a_machine)


def cluster() -> Cluster:
    """Wait until Ray is there, and say what it has to give.

    Raises:
        ResourceError: There is no cluster at the address, or Ray cannot start here.
    """
    _ray.wait_until_started()
    machines = (Machine(*(int(node.get(kind, 0)) for kind in ("CPU", "GPU", "memory"))) for node in _alive())
    return Cluster(tuple(machine for machine in machines if machine.cpus), is_autoscaler_v2())


@contextmanager
def heard() -> Iterator[Callable[[int], None]]:
    """Say when machines have gone, and every minute in which nothing is heard from the workers what Ray has free.

    Yields:
        A function to call now and then with how much was heard.
    """
    last = [time.monotonic()]
    over = threading.Event()

    def watch() -> None:
        with suppress(ray.exceptions.RayError, RuntimeError):  # the job itself says what has become of Ray
            there = len(_alive())
            while not over.wait(min(_LOOK_S, SILENCE_S)):
                before, there = there, len(_alive())
                if there < before:
                    console.milestone(f"{before - there} of {before} machines cannot be reached any more")
                if time.monotonic() - last[0] >= SILENCE_S:
                    last[0] = time.monotonic()
                    _say_free()

    threading.Thread(target=watch, daemon=True).start()

    def hear(much: int) -> None:
        if much:
            last[0] = time.monotonic()

    try:
        yield hear
    finally:
        over.set()


def _alive() -> list[dict[str, float]]:
    """What each machine has."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call] # by Ray


def _say_free() -> None:
    found = ray.cluster_resources(), ray.available_resources()  # type: ignore[no-untyped-call]
    total, free = (int(each.get("CPU", 0)) for each in found)
    console.milestone(f"nothing was heard for {SILENCE_S:.0f} s: of {total} CPUs that Ray has, {free} are free")
