"""How many workers of which size there is room for, and what is refused before anything starts."""

import time

import pytest

from hwr.errors import ResourceError
from hwr.storage import Folder
from pipelines import _cluster
from pipelines._cluster import Cluster, heard


def made(cpus, gpus=0, nodes=1, smallest=None, grows=False):
    """A cluster."""
    return Cluster(cpus, gpus, nodes, cpus // nodes if smallest is None else smallest, 8 * 2**30, grows)


@pytest.mark.parametrize(("wanted", "workers"), [(None, 4), (1, 1), (4, 4)])
def test_there_is_a_worker_for_each_cpu_unless_fewer_are_asked_for(wanted, workers):
    assert made(4).workers(wanted) == workers


@pytest.mark.parametrize(
    ("there", "wanted", "gpus_each", "message"),
    [
        (made(4), 5, 0, "5 worker.s. need a CPU each, but Ray has 4 here: use --workers 4 or a larger cluster"),
        (made(0, nodes=1), None, 0, "1 worker.s. need a CPU each, but Ray has 0 here: use a larger cluster"),
        (made(8, gpus=1), 2, 1, "2 worker.s. need a GPU each, but Ray has 1 here: use --workers 1 or a larger"),
        (made(4), 0, 0, "--workers must be at least 1, not 0"),
    ],
)
def test_too_few_are_refused_in_one_line(there, wanted, gpus_each, message):
    with pytest.raises(ResourceError, match=message):
        there.workers(wanted, gpus_each)


def test_a_cluster_that_grows_may_have_nothing_yet():
    assert made(0, grows=True).workers(None) == 1
    assert made(0, grows=True).workers(6) == 6
    assert made(2, grows=True).workers(4, gpus_each=1) == 4


def test_training_workers_share_their_machines_evenly():
    assert made(4).cpus_each(1) == 4
    assert made(4).cpus_each(2) == 2
    assert made(48, nodes=3).cpus_each(3) == 16
    assert made(20, nodes=2, smallest=4).cpus_each(2) == 4


def test_tasks_that_vary_glyphs_keep_cpus_of_their_own():
    assert made(4).cpus_each(1, kept=1) == 3
    assert made(6, nodes=2).cpus_each(2, kept=2) == 2
    with pytest.raises(ResourceError, match=r"1 worker.s., and 1 for .* need 2 CPUs, but Ray has 1 here: use --aug"):
        made(1).cpus_each(1, kept=1)


def test_silence_is_not_left_unexplained(monkeypatch, capsys):
    monkeypatch.setattr(_cluster, "_SILENCE_S", 0.2)
    with heard() as hear:
        hear(1)
        time.sleep(0.5)
    told = capsys.readouterr().out
    assert "nothing was heard for 0 s: of 3 CPUs that Ray has, 3 are free" in told
    time.sleep(0.3)
    assert not capsys.readouterr().out


def test_news_is_no_silence(monkeypatch, capsys):
    monkeypatch.setattr(_cluster, "_SILENCE_S", 0.3)
    with heard() as hear:
        for _ in range(6):
            hear(1)
            time.sleep(0.1)
    assert not capsys.readouterr().out


def test_another_machine_must_see_the_same_folders(tmp_path):
    there, missing = Folder.open(str(tmp_path)), Folder.open(str(tmp_path / "missing"))
    (tmp_path / "one.png").touch()
    assert _cluster.unseen([(there, ["one.png"])]) == []
    assert _cluster.unseen([(there, ["one.png"]), (missing, [])]) == [missing.name]
    assert _cluster.unseen([(there, ["one.png", "two.png"])]) == [there.name]
