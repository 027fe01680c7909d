"""The Ray glue: too few CPUs are refused, parts stay whole, and a failing worker is one line."""

import pyarrow as pa
import pytest
import ray

from hwr import parts
from hwr.errors import HwrError, ResourceError
from hwr.storage import Folder
from pipelines._ray import Cluster, cluster, run_parts, session
from tests.jobs import hwr_process, write_scans

LAPTOP = Cluster(cpus=4, gpus=0, nodes=1, cpus_on_smallest=4, memory=8 * 2**30)


@pytest.mark.parametrize(("wanted", "workers"), [(None, 2), (1, 1), (2, 2)])
def test_workers_leave_the_spare_cpus(wanted, workers):
    assert LAPTOP.workers(wanted) == workers


@pytest.mark.parametrize(
    ("there", "wanted", "message"),
    [
        (LAPTOP, 3, "3 worker.s. need 5 CPUs, but Ray has 4 here: use --workers 2 or a larger cluster"),
        (Cluster(2, 0, 1, 2, 8 * 2**30), None, "1 worker.s. need 3 CPUs, but Ray has 2 here: use a larger cluster"),
        (LAPTOP, 0, "--workers must be at least 1, not 0"),
    ],
)
def test_too_few_cpus_are_refused_in_one_line(there, wanted, message):
    with pytest.raises(ResourceError, match=message):
        there.workers(wanted)


def test_a_gpu_cannot_be_shared_by_training_workers():
    with pytest.raises(ResourceError, match="2 workers need a GPU each, but Ray has 1: use --workers 1"):
        Cluster(cpus=8, gpus=1, nodes=1, cpus_on_smallest=8, memory=8 * 2**30).workers(2, gpus_each=1)


def test_training_workers_share_their_machines_evenly():
    assert LAPTOP.cpus_each(1) == 2
    assert LAPTOP.cpus_each(2) == 1
    assert Cluster(cpus=48, gpus=0, nodes=3, cpus_on_smallest=16, memory=8 * 2**30).cpus_each(3) == 15
    assert Cluster(cpus=20, gpus=0, nodes=2, cpus_on_smallest=4, memory=8 * 2**30).cpus_each(2) == 4


class Write:
    """Writes each part whole, as the jobs do."""

    def __init__(self, out: Folder) -> None:
        self.out = out

    def __call__(self, part: pa.Table) -> pa.Table:
        self.out.write_table(f"{part['part'][0].as_py()}.parquet", part)
        return pa.table({"rows": [len(part)]})


class Fail(Write):
    """Meets an error that no other try would mend."""

    def __call__(self, part: pa.Table) -> pa.Table:
        raise HwrError(f"the disk is full at {part['part'][0]}")


def test_every_part_arrives_whole(tmp_path):
    pieces = parts.cut(pa.table({"row": range(3000)}), "part")
    run_parts(pieces, Write, {"out": Folder.open(str(tmp_path))}, what="rows", workers=2)
    folder = Folder.open(str(tmp_path.parent))
    files = parts.files(pieces, folder, tmp_path.name)
    tables = [folder.read_table(entry["name"], ["row"]) for entry in files]
    assert pa.concat_tables(tables)["row"].to_pylist() == list(range(3000))
    assert [entry["rows"] for entry in files] == list(map(len, tables)) == [len(piece) for piece in pieces]


def test_a_failing_worker_is_one_line(tmp_path):
    pieces = parts.cut(pa.table({"row": range(10)}), "part")
    with pytest.raises(HwrError, match=r"^a worker failed: the disk is full at part-00000; the same") as caught:
        run_parts(pieces, Fail, {"out": Folder.open(str(tmp_path))}, what="rows", workers=1)
    assert "\n" not in str(caught.value)


def test_a_session_uses_the_ray_that_runs_and_leaves_it_running():
    with session():
        found = cluster()
    assert found == Cluster(cpus=5, gpus=0, nodes=1, cpus_on_smallest=5, memory=found.memory)
    assert found.memory > 2**30
    assert ray.is_initialized()


def test_no_cluster_at_the_address_is_one_line(tmp_path, digits):
    write_scans(tmp_path / "in", *(column[:20] for column in digits))
    words = ["ingest", "--source", tmp_path / "in", "--format", "image-folder", "--out", tmp_path / "out"]
    done = hwr_process(*words, RAY_ADDRESS="127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith("hwr ingest: no Ray cluster answers at RAY_ADDRESS=127.0.0.1:1")
    assert done.stderr.count("\n") == 1
