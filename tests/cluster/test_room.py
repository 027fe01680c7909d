"""Too few CPUs, too little object store, machines that come late or see other disks: no hang, and no wrong row."""

import json
import os

import pytest
from ray.cluster_utils import AutoscalingCluster

from tests.cluster.conftest import ingest, label, shards, train
from tests.jobs import Command, hwr_process
from tests.machines import machines

pytestmark = pytest.mark.cluster

# The smallest object store that Ray starts with.
STORE = 75 * 2**20


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
    kind = {
        "resources": {"CPU": 1, "object_store_memory": STORE},
        "node_config": {},
        "min_workers": 0,
        "max_workers": 2,
    }
    cluster = AutoscalingCluster(
        head_resources={"CPU": 0}, worker_node_types={"one": kind}, autoscaler_v2=True, idle_timeout_minutes=0.1
    )
    cluster.start()
    try:
        address = os.environ["RAY_ADDRESS"]
        status, told, said = Command([*label(scans, tmp_path / "out"), "--workers", 2], RAY_ADDRESS=address).end()
        refused = hwr_process(*label(scans, tmp_path / "more"), "--workers", 3, RAY_ADDRESS=address)
    finally:
        cluster.shutdown()
    assert (status, said) == (0, "")
    assert "2 worker(s) need a CPU each: waiting until the cluster has grown to at least 1" in told
    assert shards(tmp_path / "out") == shards(labels)
    assert refused.returncode == 1
    assert "3 worker(s) need a CPU each, but Ray has 2 here" in refused.stderr
