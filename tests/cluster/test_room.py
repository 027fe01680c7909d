"""Too few CPUs, too little object store, machines that come late or see other disks: no hang, and no wrong row."""

import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from ray._private import ray_constants

from tests.cluster.conftest import COUNT, ingest, label, shards, train
from tests.head import Head
from tests.jobs import Command, hwr_process
from tests.machines import machines, wait_for

pytestmark = pytest.mark.cluster

# The smallest object store that Ray starts with.
STORE = 75 * 2**20

RAY = Path(sys.executable).parent / "ray"

# Ray's own autoscaler, with machines that are raylets here.
AUTOSCALER = {
    "RAY_FAKE_CLUSTER": "1", "RAY_enable_autoscaler_v2": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    "RAY_CLOUD_INSTANCE_ID": "f" * 51 + "00000", "RAY_OVERRIDE_NODE_ID_FOR_TESTING": "f" * 51 + "00000",
}  # fmt: skip


def test_too_few_cpus_are_refused_before_anything_starts(scans, samples, tmp_path):
    with machines(1) as cluster:
        for words in (ingest(scans, tmp_path / "a"), label(scans, tmp_path / "b"), train(samples, tmp_path / "c")):
            done = hwr_process(*words, "--workers", 2, RAY_ADDRESS=cluster.address)
            line = "2 worker(s) need a CPU each, but Ray has 1 here: use --workers 1 or a larger cluster\n"
            assert (done.returncode, done.stderr) == (1, f"hwr {words[0]}: {line}")


def test_all_jobs_finish_with_an_object_store_of_a_quarter_of_their_data(scans, tmp_path, monkeypatch):
    """Glyphs of 40 pixels, ingested, trained on as a stream, and labelled; by itself Ray starts no store so small."""
    quarter = COUNT * 40 * 40 // 4
    monkeypatch.setattr(ray_constants, "OBJECT_STORE_MINIMUM_MEMORY_BYTES", quarter)
    samples, run, labels = (tmp_path / name for name in ("samples", "run", "labels"))
    with machines(2, object_store=quarter) as cluster:
        assert cluster.head_node.get_resource_and_label_spec().object_store_memory == quarter
        for words, line in (
            ([*ingest(scans, samples), "--size", 40], "4,000 samples of 10"),
            (["train", "--data", samples, "--out", run, "--epochs", 1, "--memory", 0.004], "they are streamed"),
            (["label", "--images", samples, "--model", run, "--out", labels], "4,000 predictions, 4,000 ok"),
        ):
            status, told, said = Command(words, RAY_ADDRESS=cluster.address).end()
            assert (status, said) == (0, ""), told
            assert line in told


def test_a_cluster_that_has_no_machine_yet_grows_for_the_job(scans, labels, tmp_path):
    one = {"resources": {"CPU": 1, "object_store_memory": STORE}, "max_workers": 2}
    head = Head(cpus=0, kinds={"one": one}, **AUTOSCALER)
    try:
        there = {**head.environment, "RAY_ADDRESS": head.address}
        status, told, said = Command([*label(scans, tmp_path / "out"), "--workers", 2], **there).end()
        refused = hwr_process(*label(scans, tmp_path / "more"), "--workers", 3, **there)
    finally:
        head.close()
    assert (status, said) == (0, "")
    assert "2 worker(s) need a CPU each: waiting until the cluster has grown to at least 1" in told
    assert shards(tmp_path / "out") == shards(labels)
    assert refused.returncode == 1
    assert "3 worker(s) need a CPU each, and the cluster cannot grow to that: use fewer --workers" in refused.stderr


def test_a_machine_with_another_disk_is_found_out_before_its_rows_are_lost(scans, tmp_path):
    """The head does no work itself. The raylet that does sees an empty folder where the scans are."""
    with machines(0) as cluster:
        elsewhere = f"mount -t tmpfs none {scans} && exec {RAY} start --address={cluster.address} --num-cpus=1 --block"
        other = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", elsewhere], start_new_session=True, stdout=subprocess.DEVNULL
        )
        try:
            wait_for(lambda: sum(node["Alive"] for node in cluster.global_state.node_table()) == 2)
            done = hwr_process(*label(scans, tmp_path / "out"), RAY_ADDRESS=cluster.address)
        finally:
            family = [psutil.Process(other.pid), *psutil.Process(other.pid).children(recursive=True)]
            for process in family:
                process.kill()
            other.wait()
    assert done.returncode == 1
    assert re.search(rf"the machine \S+ does not see {scans}/\S+: put it on a file system that all", done.stderr)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out" / "predictions").exists()
