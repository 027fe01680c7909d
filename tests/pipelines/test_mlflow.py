"""A training arrives in MLflow whole and once, whatever stops between; and MLflow never stops a training."""

import contextlib
import json
import socket
import sys
import time

import mlflow
import pytest

from hwr.errors import HwrError
from hwr.storage import Folder
from pipelines import _mlflow
from pipelines._mlflow import tracking

SETTINGS = {"alphabet": ["A", "é"], "recipe": {"epochs": 3, "precision": "auto"}, "augment": {"rotate": 10.0}}


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """MLflow keeps artifacts in the working folder, and settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name, value in _mlflow.DEFAULTS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def uri(tmp_path):
    """A store of its own for each test."""
    return f"sqlite:///{tmp_path}/runs.db"


@pytest.fixture
def out(tmp_path):
    folder = Folder.open(str(tmp_path / "digits"))
    folder.write_json("config.json", {"kind": "run"})
    return folder


def record(epoch):
    return {"epoch": epoch, "train_loss": 1 / epoch, "val_loss": 2 / epoch, "val_accuracy": 0.5, "best": True}


def train(uri, out, epochs, *, finish=True):
    """What a job does: each epoch into the history and to the tracker."""
    with tracking(uri, out, SETTINGS) as tracker:
        for epoch in epochs:
            lines = [json.dumps(record(step)) for step in range(1, epoch + 1)]
            out.write_bytes("history.jsonl", "\n".join(lines).encode())
            tracker.epoch(record(epoch))
        if finish:
            out.write_json("labels.json", {"0": "A"})
            out.write_bytes("curves.png", b"png")
            out.write_bytes("model/model.json", b"{}")
            tracker.finish(out)


def runs(uri):
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("hwr")
    return client, client.search_runs([experiment.experiment_id]) if experiment else []


def steps(uri, name="val_loss"):
    client, (run,) = runs(uri)
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]


def test_without_a_uri_nothing_happens(out, capsys):
    train(None, out, [1, 2])
    assert not out.has("mlflow.json")
    assert not capsys.readouterr().out


def test_a_training_arrives_with_parameters_figures_and_files(uri, out, capsys):
    train(uri, out, [1, 2, 3])
    client, (run,) = runs(uri)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "digits"
    assert run.data.tags["hwr.run"] == out.location
    assert run.data.params == {
        "alphabet": '["A", "é"]', "recipe.epochs": "3", "recipe.precision": "auto", "augment.rotate": "10.0",
    }  # fmt: skip
    assert set(run.data.metrics) == {"train_loss", "val_loss", "val_accuracy"}
    assert steps(uri) == [(1, 2.0), (2, 1.0), (3, 2 / 3)]
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"config.json", "history.jsonl", "labels.json", "curves.png", "model"}
    assert [file.path for file in client.list_artifacts(run.info.run_id, "model")] == ["model/model.json"]
    assert not capsys.readouterr().out


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "KILLED"), (HwrError, "FAILED")])
def test_a_stopped_training_says_so_and_goes_on_as_the_same_run(uri, out, error, status):
    with pytest.raises(error), tracking(uri, out, SETTINGS) as tracker:
        stop(tracker, error)
    assert runs(uri)[1][0].info.status == status
    train(uri, out, [1, 2, 3])  # the first epoch was trained again
    assert runs(uri)[1][0].info.status == "FINISHED"
    assert steps(uri) == [(1, 2.0), (2, 1.0), (3, 2 / 3)]


def test_epochs_that_mlflow_missed_are_made_up_for(uri, out):
    train(uri, out, [1], finish=False)
    out.write_bytes("history.jsonl", "\n".join(json.dumps(record(epoch)) for epoch in (1, 2, 3)).encode())
    with tracking(uri, out, SETTINGS) as tracker:
        tracker.finish(out)
    assert [step for step, _ in steps(uri)] == [1, 2, 3]


def test_a_removed_folder_or_a_removed_run_begins_a_new_one(uri, out):
    train(uri, out, [1], finish=False)
    out.fs.delete_file(f"{out.path}/mlflow.json")
    train(uri, out, [1], finish=False)
    client, found = runs(uri)
    assert len(found) == 2
    client.delete_run(out.read_json("mlflow.json")["run"])
    train(uri, out, [1], finish=False)
    assert len(runs(uri)[1]) == 2


def test_a_failure_in_between_costs_one_line_and_is_made_up_for(uri, out, monkeypatch, capsys):
    with tracking(uri, out, SETTINGS) as tracker:
        tracker.epoch(record(1))
        with monkeypatch.context() as patch:
            patch.setattr(mlflow.MlflowClient, "log_batch", broken)
            for epoch in (2, 3):
                tracker.epoch(record(epoch))
        said = capsys.readouterr().out
        assert said == f"MLflow at {uri} fails, and this run does without it: the line is cut\n"
        out.write_bytes("history.jsonl", "\n".join(json.dumps(record(epoch)) for epoch in (1, 2, 3)).encode())
        tracker.finish(out)
    assert steps(uri) == [(1, 2.0), (2, 1.0), (3, 2 / 3)]
    assert runs(uri)[1][0].info.status == "FINISHED"


def stop(tracker, error):
    tracker.epoch(record(1))
    raise error


def broken(*_args, **_options):
    raise OSError("the line\nis cut")


@contextlib.contextmanager
def listening(*, answers):
    """A port of this machine that takes connections and never answers, or takes none."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if answers is not None:
            server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("answers", [None, False], ids=["closed", "silent"])
def test_a_server_that_does_not_answer_is_one_line_within_seconds(out, answers, monkeypatch):
    monkeypatch.setattr(_mlflow, "PATIENCE", 0.5)
    start = time.monotonic()
    with listening(answers=answers) as uri, pytest.raises(HwrError) as caught:
        train(uri, out, [1])
    assert str(caught.value).startswith(f"--mlflow {uri} does not answer: ")
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 20
    assert not out.has("mlflow.json")


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("runs", "--mlflow must begin with http"),
        ("sqlite:////no/such/folder/runs.db", "which is no folder"),
        ("http://me:secret@127.0.0.1:1", "^--mlflow is no place for a password: [^@]*$"),
    ],
)
def test_what_is_no_store_is_refused(out, uri, says):
    with pytest.raises(HwrError, match=says):
        train(uri, out, [1])


def test_a_file_that_is_no_store_is_refused_in_one_line(tmp_path, uri, out):
    (tmp_path / "runs.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(HwrError, match=r"^--mlflow sqlite:.* cannot be used: [^\n]*$"):
        train(uri, out, [1])


def test_the_missing_extra_is_named(out, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(HwrError, match=r"^--mlflow needs the MLflow extra: pip install 'hwr\[mlflow\]'$"):
        train("http://127.0.0.1:1", out, [1])
