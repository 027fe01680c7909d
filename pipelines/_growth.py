"""Machines that an autoscaler adds because a job needs them."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import ray
import ray.exceptions
from ray._raylet import GcsClient  # type: ignore[attr-defined] # compiled
from ray.autoscaler.v2.sdk import get_cluster_resource_state
from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply  # type: ignore[attr-defined] # generated

from hwr.errors import ResourceError
from pipelines import console
from pipelines._cluster import SILENCE_S, Cluster, cluster
from pipelines._ray import cause

# How long an autoscaler may take to say what it can do; it looks at what is asked for every few seconds.
_ANSWER_S = 60.0

# A request counts so long after it was last made. Then Ray Data and Ray Train ask for themselves, or the job is gone.
_LASTS_S = 120.0

# How often the machines that are added are counted.
_LOOK_S = 1.0


def gpus_each(there: Cluster) -> int:
    """How many GPUs a training worker gets: one, where there are any, or machines with one can be added.

    Raises:
        ResourceError: The autoscaler does not answer.
    """
    if there.gpus or not there.grows:
        return min(1, there.gpus)
    with _speaking():
        return int(_Request({"CPU": 1, "GPU": 1}, 1).is_possible())


def grown(there: Cluster, workers: int, gpus_each: int, at_least: int) -> Cluster:
    """Have machines added that workers need, and wait for the first of them.

    Args:
        there: The cluster as it is.
        workers: How many workers are wanted.
        gpus_each: GPUs that each needs, beside a CPU.
        at_least: With how many of them the job can begin.

    Returns:
        The cluster as it is then. The others come while the job runs.

    Raises:
        ResourceError: It cannot grow so far, or is lost.
    """
    if there.has(workers, gpus_each):
        return there
    wanted = f"{workers} worker(s) need a {'GPU' if gpus_each else 'CPU'} each"
    with _speaking():
        request = _Request({"CPU": 1, "GPU": gpus_each} if gpus_each else {"CPU": 1}, workers)
        if not request.is_possible():
            request.withdraw()
            raise ResourceError(f"{wanted}, and the cluster cannot grow to that: use fewer --workers")
        console.milestone(f"{wanted}: waiting until the cluster has grown to at least {at_least}")
        begun = told = time.monotonic()
        while not there.has(at_least, gpus_each):
            time.sleep(_LOOK_S)
            there = cluster()
            if time.monotonic() - told > SILENCE_S:
                told = time.monotonic()
                request.renew()
                count = there.gpus if gpus_each else there.cpus
                console.milestone(f"{wanted}, and Ray has {count} after {told - begun:,.0f} s: still waiting")
        return there


class _Request:
    """Asks for machines, beside what others ask for, and of itself for two minutes only: a job may be killed."""

    def __init__(self, bundle: dict[str, int], count: int) -> None:
        # Ray Data takes a second to import, and most jobs need no machines.
        from ray.data._internal.cluster_autoscaler import (  # noqa: PLC0415
            base_autoscaling_coordinator,
            default_autoscaling_coordinator,
        )

        self.bundles = [bundle] * count
        self.name = f"hwr-{uuid.uuid4().hex[:8]}"
        # Ray Data's and Ray Train's: what is asked for past it, it takes back within seconds.
        self.coordinator = default_autoscaling_coordinator.get_or_create_autoscaling_coordinator()  # type: ignore[no-untyped-call]
        self.priority = base_autoscaling_coordinator.ResourceRequestPriority.HIGH
        self.renew()

    def renew(self) -> None:
        ray.get(
            self.coordinator.request_resources.remote(
                requester_id=self.name,
                resources=self.bundles,
                expire_after_s=_LASTS_S,
                priority=self.priority,
            )
        )

    def withdraw(self) -> None:
        ray.get(self.coordinator.cancel_request.remote(requester_id=self.name))

    def is_possible(self) -> bool:
        """Wait for the autoscaler's answer, which is there before the machines are.

        Raises:
            ResourceError: It does not answer.
        """
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
        raise ResourceError(f"the cluster has too few machines; its autoscaler has not answered for {_ANSWER_S:.0f} s")


@contextmanager
def _speaking() -> Iterator[None]:
    """Put it into one line if the cluster is lost meanwhile."""
    try:
        yield
    except (ray.exceptions.RayError, RuntimeError) as error:
        raise ResourceError(f"lost touch with the cluster while it was to grow: {cause(error)}") from error
