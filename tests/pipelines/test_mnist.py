"""The four commands of the README on the complete MNIST, in processes of their own."""

import json

import pyarrow.dataset as ds
import pytest

from tests.jobs import contents, hwr_process

COMMANDS = [
    "ingest --source {data}/mnist --format idx --out data/mnist",
    "train --data data/mnist --out runs/mnist --epochs 4",
    "label --images data/mnist --split test --model runs/mnist --out labels/mnist",
    "evaluate --predictions labels/mnist --out reports/mnist",
]


@pytest.mark.timeout(1800)
def test_mnist_is_read_at_99_2_percent_and_nothing_is_done_twice(data, tmp_path):
    for command in COMMANDS:
        done = hwr_process(*command.format(data=data).split(), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    report = json.loads((tmp_path / "reports" / "mnist" / "report.json").read_text())
    assert report["rows"] == ds.dataset(tmp_path / "labels" / "mnist" / "predictions").count_rows() == 10_000
    assert report["all_inputs"]["accuracy"] >= 0.992

    before = contents(tmp_path)
    for command in COMMANDS:
        done = hwr_process(*command.format(data=data).split(), cwd=tmp_path)
        assert done.returncode == 0
        assert "is already complete" in done.stdout
    assert contents(tmp_path) == before
