"""Too few CPUs, too little object store, machines that come late or see other disks: no hang, and no wrong row."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.cluster.conftest import ingest, label, shards, train
from tests.head import Head
from tests.jobs import Command, hwr_process
from tests.machines import machines

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


def test_a_stream_four_times_the_object_store_is_trained_on(scans, tmp_path):
    """Every worker reads its share anew each epoch; what it may take for that is more than the store holds."""
    side = 280  # 4,000 glyphs of 78,400 bytes are four times the store
    assert hwr_process(*ingest(scans, tmp_path / "large"), "--size", side).returncode == 0
    facts = json.loads((tmp_path / "large" / "manifest.json").read_text())
    assert facts["counts"]["samples"] * side * side >= 4 * STORE
    with machines(2, object_store=STORE) as cluster:
        words = ["train", "--data", tmp_path / "large", "--out", tmp_path / "run", "--epochs", 1, "--memory", 0.25]
        status, told, said = Command([*words, "--batch-size", 32], RAY_ADDRESS=cluster.address).end(540)
    assert (status, said) == (0, "")
    assert "are streamed" in told


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
    """Its raylet sees an empty folder where the scans are: each of them would come out as unreadable there."""
    with machines(1) as cluster:
        elsewhere = f"mount -t tmpfs none {scans} && exec {RAY} start --address={cluster.address} --num-cpus=1 --block"
        other = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", elsewhere], start_new_session=True, stdout=subprocess.DEVNULL
        )
        try:
            cluster.wait_for_nodes(2)
            done = hwr_process(*label(scans, tmp_path / "out"), RAY_ADDRESS=cluster.address)
        finally:
            family = [psutil.Process(other.pid), *psutil.Process(other.pid).children(recursive=True)]
            for process in family:
                process.kill()
            other.wait()
    assert done.returncode == 1
    assert f"does not see {scans} as this one does: put it on a file system that all machines have" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out" / "predictions").exists()
