"""What the Ray that a job runs on has to give, or can grow to, and whether its machines see the same files."""

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
import ray.autoscaler.sdk
import ray.exceptions
from pyarrow.fs import FileType
from ray._raylet import GcsClient  # type: ignore[attr-defined] # compiled
from ray.autoscaler.v2.sdk import get_cluster_resource_state
from ray.autoscaler.v2.utils import is_autoscaler_v2
from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply  # type: ignore[attr-defined] # generated
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hwr.errors import ResourceError
from hwr.manifest import CONFIG
from hwr.storage import Folder
from pipelines import _ray, console

# How long nothing may be heard before a line says what there is to wait for.
_SILENCE_S = 60.0

# How long an autoscaler may take to say what it can do; it looks at what is asked for every few seconds.
_ANSWER_S = 60.0

# How many names of a folder are looked for on other machines.
_SOME = 3

# How often the machines that an autoscaler adds are counted.
_LOOK_S = 1.0


@dataclass(frozen=True)
class Cluster:
    """What Ray has to give.

    Attributes:
        cpus: Logical CPUs.
        gpus: GPUs.
        nodes: Machines that have CPUs.
        cpus_on_smallest: Logical CPUs of the smallest of these.
        memory: Bytes of memory that the smallest of these has for work.
        grows: Whether an autoscaler adds machines where they are needed.
    """

    cpus: int
    gpus: int
    nodes: int
    cpus_on_smallest: int
    memory: int
    grows: bool

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

    def cpus_each(self, workers: int, kept: int = 0) -> int:
        """CPUs for each of several equal workers, so that they fit on their machines.

        Args:
            workers: How many.
            kept: CPUs that are needed for other work.

        Raises:
            ResourceError: There is no CPU for each.
        """
        if workers + kept > self.cpus:
            raise ResourceError(
                f"{workers} worker(s), and {kept} for tasks that vary glyphs, need {workers + kept} CPUs, but Ray "
                f"has {self.cpus} here: use --augment.where device or a larger cluster"
            )
        on_a_machine = -(-workers // self.nodes)
        return max(1, min((self.cpus - kept) // workers, self.cpus_on_smallest // on_a_machine))


def cluster() -> Cluster:
    """Wait until Ray is there, and say what it has to give.

    Raises:
        ResourceError: There is no cluster at the address, or Ray cannot start here.
    """
    _ray.wait_until_started()
    alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call] # Ray does not type it
    able = [node["Resources"] for node in alive if node["Resources"].get("CPU")]
    cpus, gpus = (int(sum(machine.get(kind, 0) for machine in able)) for kind in ("CPU", "GPU"))
    return Cluster(
        cpus, gpus, len(able),
        int(min((machine["CPU"] for machine in able), default=0)),
        int(min((machine.get("memory", 0) for machine in able), default=0)),
        is_autoscaler_v2(),
    )  # fmt: skip


@contextmanager
def grown(there: Cluster, workers: int, gpus_each: int, at_least: int) -> Iterator[Cluster]:
    """Have an autoscaler add the machines that workers need, and wait for the first of them.

    Args:
        there: The cluster as it is.
        workers: How many workers are wanted.
        gpus_each: GPUs that each needs, beside a CPU.
        at_least: With how many of them the job can begin.

    Yields:
        The cluster as it is then. At the end of the job the machines are given back.

    Raises:
        ResourceError: It cannot grow so far.
    """
    if there.cpus >= workers and there.gpus >= workers * gpus_each:
        yield there
        return
    kind = "GPU" if gpus_each else "CPU"
    wanted = f"{workers} worker(s) need a {kind} each"
    try:
        if not _can_have({"CPU": 1, "GPU": gpus_each} if gpus_each else {"CPU": 1}, workers):
            raise ResourceError(f"{wanted}, and the cluster cannot grow to that: use fewer --workers")
        console.milestone(f"{wanted}: waiting until the cluster has grown to at least {at_least}")
        begun = told = time.monotonic()
        while there.cpus < at_least or there.gpus < at_least * gpus_each:
            time.sleep(_LOOK_S)
            there = cluster()
            if time.monotonic() - told > _SILENCE_S:
                told = time.monotonic()
                count = there.gpus if gpus_each else there.cpus
                console.milestone(f"{wanted}, and Ray has {count} after {told - begun:,.0f} s: still waiting")
        yield there
    finally:
        ray.autoscaler.sdk.request_resources(bundles=[])


def gpus_each(there: Cluster) -> int:
    """How many GPUs a training worker gets: one, where there are any, or machines with one can be added."""
    if there.gpus or not there.grows:
        return min(1, there.gpus)
    try:
        return int(_can_have({"CPU": 1, "GPU": 1}, 1))
    finally:
        ray.autoscaler.sdk.request_resources(bundles=[])


def _can_have(bundle: dict[str, int], count: int) -> bool:
    """Ask the autoscaler for machines, and wait for its answer, which is there before they are.

    Raises:
        ResourceError: It does not answer.
    """
    ray.autoscaler.sdk.request_resources(bundles=[bundle] * count)
    gcs = GcsClient(address=ray.get_runtime_context().gcs_address)
    asked = get_cluster_resource_state(gcs).cluster_resource_state_version
    last = time.monotonic() + _ANSWER_S
    while time.monotonic() < last:
        reply = GetClusterStatusReply()
        reply.ParseFromString(gcs.get_cluster_status())
        said = reply.autoscaling_state
        if said.last_seen_cluster_resource_state_version > asked:
            return not said.infeasible_cluster_resource_constraints
        time.sleep(_LOOK_S)
    raise ResourceError(
        f"the cluster has too few machines now, and its autoscaler has not answered for {_ANSWER_S:.0f} s"
    )


def require_shared(out: Folder, *inputs: Folder) -> None:
    """Check that every machine sees the same local folders: images that one lacks would come out as unreadable.

    Args:
        out: A folder that this job has claimed.
        inputs: Folders or files to read.

    Raises:
        ResourceError: A machine does not see one of them.
    """
    seen = [(folder, _some(folder)) for folder in inputs if folder.is_local]
    if out.is_local:
        seen.append((out, [CONFIG]))
    here = ray.get_runtime_context().get_node_id()
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]  # type: ignore[no-untyped-call]
    looks = {}
    for node in (node for node in nodes if seen and node["NodeID"] != here):
        where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=True)  # one that dies now is not asked
        task: Any = ray.remote(num_cpus=0)(unseen).options(scheduling_strategy=where)
        looks[task.remote(seen)] = node["NodeManagerAddress"]
    for look, address in looks.items():
        for name in ray.get(look):
            raise ResourceError(
                f"the machine {address} does not see {name} as this one does: put it on a file system that all "
                "machines have at the same path, or give an s3:// or gs:// URI"
            )


def _some(folder: Folder) -> list[str]:
    """Some names in a folder; none in a file."""
    if folder.kind() != FileType.Directory:
        return []
    return [name for name, _ in itertools.islice(folder.look(), _SOME)]


def unseen(seen: list[tuple[Folder, list[str]]]) -> list[str]:
    """Look for local folders, and names in them, on the machine that this runs on.

    Returns:
        The names of the folders that it does not have, or has without these.
    """
    return [
        folder.name
        for folder, names in seen
        if not all(map(os.path.lexists, [folder.path, *(f"{folder.path}/{name}" for name in names)]))
    ]


@contextmanager
def heard() -> Iterator[Callable[[int], None]]:
    """While nothing is heard from the workers, say every minute what Ray has free.

    Yields:
        A function to call now and then with how much was heard.
    """
    last = [time.monotonic()]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(max(0.0, last[0] + _SILENCE_S - time.monotonic())):
            if time.monotonic() - last[0] < _SILENCE_S:
                continue
            last[0] = time.monotonic()
            try:
                found = ray.cluster_resources(), ray.available_resources()  # type: ignore[no-untyped-call]
                total, free = (int(each.get("CPU", 0)) for each in found)
            except (ray.exceptions.RayError, RuntimeError):
                return  # the job itself says what has become of Ray
            console.milestone(
                f"nothing was heard for {_SILENCE_S:.0f} s: of {total} CPUs that Ray has, {free} are free"
            )

    threading.Thread(target=watch, daemon=True).start()

    def hear(much: int) -> None:
        if much:
            last[0] = time.monotonic()

    try:
        yield hear
    finally:
        over.set()
