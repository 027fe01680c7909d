"""The Ray glue: parts stay whole, a failing worker is one line, and so is a cluster that is not there."""

import pyarrow as pa
import pytest
import ray

from hwr import parts
from hwr.errors import HwrError
from hwr.storage import Folder
from pipelines._cluster import Cluster, Machine, cluster
from pipelines._parts import run_parts
from pipelines._ray import session
from pipelines._shared import Shared
from tests.jobs import hwr_process, write_scans


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
    run_parts(pieces, Write, {"out": Folder.open(str(tmp_path))}, what="rows", workers=2, shared=Shared(()))
    folder = Folder.open(str(tmp_path.parent))
    files = parts.files(pieces, folder, tmp_path.name)
    tables = [folder.read_table(entry["name"], ["row"]) for entry in files]
    assert pa.concat_tables(tables)["row"].to_pylist() == list(range(3000))
    assert [entry["rows"] for entry in files] == list(map(len, tables)) == [len(piece) for piece in pieces]


def test_a_failing_worker_is_one_line(tmp_path):
    pieces = parts.cut(pa.table({"row": range(10)}), "part")
    with pytest.raises(HwrError, match=r"^a worker failed: the disk is full at part-00000; the same") as caught:
        run_parts(pieces, Fail, {"out": Folder.open(str(tmp_path))}, what="rows", workers=1, shared=Shared(()))
    assert "\n" not in str(caught.value)


def test_a_session_uses_the_ray_that_runs_and_leaves_it_running():
    with session():
        found = cluster()
    assert found == Cluster((Machine(3, 0, found.machines[0].memory),), grows=False)
    assert found.machines[0].memory > 2**30
    assert ray.is_initialized()


def test_no_cluster_at_the_address_is_one_line(tmp_path, digits):
    write_scans(tmp_path / "in", *(column[:20] for column in digits))
    words = ["ingest", "--source", tmp_path / "in", "--format", "image-folder", "--out", tmp_path / "out"]
    done = hwr_process(*words, RAY_ADDRESS="127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith("hwr ingest: no Ray cluster answers at RAY_ADDRESS=127.0.0.1:1")
    assert done.stderr.count("\n") == 1
