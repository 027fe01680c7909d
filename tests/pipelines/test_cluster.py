"""How many workers of which size there is room for, and what is refused before anything starts."""

import time

import pytest

from hwr.errors import ResourceError
from pipelines import _cluster
from pipelines._cluster import Cluster, Machine, Room, heard

GB = 2**30


def made(*machines, grows=False):
    """A cluster of machines, each as CPUs or as CPUs and GPUs, with 8 GB each."""
    pairs = (each if isinstance(each, tuple) else (each, 0) for each in machines)
    return Cluster(tuple(Machine(cpus, gpus, 8 * GB) for cpus, gpus in pairs), grows)


@pytest.mark.parametrize(("wanted", "workers"), [(None, 4), (1, 1), (4, 4)])
def test_there_is_a_worker_for_each_cpu_unless_fewer_are_asked_for(wanted, workers):
    assert made(4).workers(wanted) == made(1, 3).workers(wanted) == workers


@pytest.mark.parametrize(
    ("there", "wanted", "gpus_each", "message"),
    [
        (made(4), 5, 0, "5 worker.s. need a CPU each, but Ray has 4 here: use --workers 4 or a larger cluster"),
        (made(), None, 0, "1 worker.s. need a CPU each, but Ray has 0 here: use a larger cluster"),
        (made((8, 1)), 2, 1, "2 worker.s. need a GPU each, but Ray has 1 here: use --workers 1 or a larger"),
        (made(4), 0, 0, "--workers must be at least 1, not 0"),
    ],
)
def test_too_few_are_refused_in_one_line(there, wanted, gpus_each, message):
    with pytest.raises(ResourceError, match=message):
        there.workers(wanted, gpus_each)


def test_a_cluster_that_grows_may_have_nothing_yet():
    assert made(grows=True).workers(None) == 1
    assert made(grows=True).workers(6) == 6
    assert made(2, grows=True).workers(4, gpus_each=1) == 4


def test_training_workers_share_their_machines_evenly():
    assert made(4).room(1, 0) == Room(4, 8 * GB)
    assert made(4).room(2, 0) == Room(2, 4 * GB)
    assert made(16, 16, 16).room(3, 0) == Room(16, 8 * GB)
    assert made(16, 4).room(2, 0) == Room(4, 8 * GB)


@pytest.mark.parametrize(
    ("there", "workers"),
    [
        (made((48, 4), 16, 16, 16, 16), 4),
        (made((8, 8), 32, 32, 32), 8),
        (made((64, 8), (64, 1)), 9),
    ],
)
def test_training_workers_with_a_gpu_fit_where_the_gpus_are(there, workers):
    room = there.room(workers, 1)
    fit = [min(machine.gpus, machine.cpus // room.cpus, machine.memory // room.memory) for machine in there.machines]
    assert sum(fit) == workers


def test_tasks_that_vary_glyphs_keep_cpus_of_their_own():
    assert made(4).room(1, 0, kept=1).cpus == 3
    assert made(3, 3).room(2, 0, kept=2).cpus == 2
    with pytest.raises(ResourceError, match=r"1 worker.s., and 1 for .* need 2 CPUs, but Ray has 1 here: use --aug"):
        made(1).room(1, 0, kept=1)


@pytest.mark.parametrize(
    ("there", "wanted", "workers", "is_shared"),
    [
        (made(4), None, 4, False),
        (made((16, 1)), None, 8, True),
        (made((7, 1)), None, 7, True),
        (made((16, 1)), 4, 4, True),
        (made((16, 1)), 12, 12, False),
        (made((8, 4), 56), None, 8, True),
    ],
)
def test_labelling_workers_share_gpus_so_that_all_of_them_fit(there, wanted, workers, is_shared):
    count, share = there.shared_gpus(wanted)
    assert count == workers
    assert (share > 0) == is_shared
    assert count * share <= there.gpus or not share


def test_silence_is_not_left_unexplained(monkeypatch, capsys):
    monkeypatch.setattr(_cluster, "SILENCE_S", 0.2)
    with heard() as hear:
        hear(1)
        time.sleep(0.5)
    told = capsys.readouterr().out
    assert "nothing was heard for 0 s: of 3 CPUs that Ray has, 3 are free" in told
    time.sleep(0.3)
    assert not capsys.readouterr().out


def test_news_is_no_silence(monkeypatch, capsys):
    monkeypatch.setattr(_cluster, "SILENCE_S", 3.0)
    with heard() as hear:
        for _ in range(5):
            hear(1)
            time.sleep(1)
    assert not capsys.readouterr().out
