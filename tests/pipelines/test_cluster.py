"""How many workers of which size there is room for, and what is refused before anything starts."""

import pytest

from hwr.errors import ResourceError
from pipelines._cluster import Cluster


def made(cpus, gpus=0, nodes=1, smallest=None, most_cpus=None, most_gpus=None):
    """A cluster that grows no further unless a larger number is given."""
    return Cluster(
        cpus, gpus, nodes, cpus // nodes if smallest is None else smallest, 8 * 2**30, most_cpus or cpus,
        most_gpus or gpus,
    )  # fmt: skip


@pytest.mark.parametrize(("wanted", "workers"), [(None, 4), (1, 1), (4, 4)])
def test_there_is_a_worker_for_each_cpu_unless_fewer_are_asked_for(wanted, workers):
    assert made(4).workers(wanted) == workers


@pytest.mark.parametrize(
    ("there", "wanted", "gpus_each", "message"),
    [
        (made(4), 5, 0, "5 worker.s. need a CPU each, but Ray has 4 here: use --workers 4 or a larger cluster"),
        (made(0, nodes=1), None, 0, "1 worker.s. need a CPU each, but Ray has 0 here: use a larger cluster"),
        (made(8, gpus=1), 2, 1, "2 worker.s. need a GPU each, but Ray has 1 here: use --workers 1 or a larger"),
        (made(0, most_cpus=8), 9, 0, "9 worker.s. need a CPU each, but Ray has 8 here: use --workers 8 or"),
        (made(4), 0, 0, "--workers must be at least 1, not 0"),
    ],
)
def test_too_few_are_refused_in_one_line(there, wanted, gpus_each, message):
    with pytest.raises(ResourceError, match=message):
        there.workers(wanted, gpus_each)


def test_a_cluster_that_will_grow_may_have_nothing_yet():
    assert made(0, most_cpus=8).workers(None) == 1
    assert made(0, most_cpus=8).workers(6) == 6
    assert made(2, most_cpus=16, most_gpus=4).workers(4, gpus_each=1) == 4


def test_training_workers_share_their_machines_evenly():
    assert made(4).cpus_each(1) == 4
    assert made(4).cpus_each(2) == 2
    assert made(48, nodes=3).cpus_each(3) == 16
    assert made(20, nodes=2, smallest=4).cpus_each(2) == 4


def test_tasks_that_vary_glyphs_keep_cpus_of_their_own():
    assert made(4).cpus_each(1, kept=1) == 3
    assert made(6, nodes=2).cpus_each(2, kept=2) == 2
    with pytest.raises(ResourceError, match=r"1 worker.s., and 1 more .* need 2 CPUs, but Ray has 1 here: use --aug"):
        made(1).cpus_each(1, kept=1)
