"""Clusters of several machines, played by several raylets on this one, that tests may take machines from."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ray.cluster_utils import Cluster

_STORE = 100 * 2**20


@contextmanager
def machines(*cpus: int, object_store: int = _STORE) -> Iterator[Cluster]:
    """Machines with so many CPUs; the first one is the head, where commands run."""
    cluster = Cluster()
    try:
        cluster.add_node(num_cpus=cpus[0], include_dashboard=False, object_store_memory=object_store)
        for number in cpus[1:]:
            cluster.add_node(num_cpus=number, object_store_memory=object_store)
        yield cluster
    finally:
        cluster.shutdown()


def lose(cluster: Cluster) -> None:
    """Take a machine that is not the head away without warning."""
    cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)


def wait_for(happened: Callable[[], bool]) -> None:
    """Look again and again, for a minute at most."""
    last = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < last
        time.sleep(0.1)
