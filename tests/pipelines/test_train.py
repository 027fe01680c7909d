"""A run is what its files say, goes on after a loss, and refuses what it cannot learn from."""

import json
import re
import shutil
import signal

import pytest
import torch
from PIL import Image

from hwr import bundle
from hwr.storage import Folder
from hwr.training.calibrate import calibrate_folder
from tests.jobs import Command, contents, hwr, write_scans


def history(run):
    return [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]


def test_a_run_holds_model_card_labels_and_history(run, samples):
    facts = json.loads((run / "manifest.json").read_text())
    epochs = history(run)
    assert [epoch["epoch"] for epoch in epochs] == list(range(1, 7))
    best = max(epochs, key=lambda epoch: (epoch["val_accuracy"], -epoch["val_loss"]))
    assert facts["metrics"]["val_accuracy"] == best["val_accuracy"] > 0.8
    assert facts["metrics"]["epoch"] == best["epoch"]
    assert list(epochs[0]) == [
        "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_f1", "learning_rate", "seconds",
        "images_per_second", "best",
    ]  # fmt: skip
    assert len(list((run / "tensorboard").iterdir())) == 6
    with Image.open(run / "curves.png") as curves:
        assert curves.size[0] > 600
    assert len(list((run / "checkpoints").iterdir())) <= 4
    assert not (run / "ray").exists()
    assert json.loads((run / "labels.json").read_text()) == {str(digit): str(digit) for digit in range(10)}
    model, card = bundle.load(Folder.open(str(run / "model")))
    assert card.alphabet == list("0123456789")
    assert card.size == 28
    assert card.data == [
        {"location": str(samples), "fingerprint": json.loads((samples / "manifest.json").read_text())["fingerprint"]}
    ]
    assert card.settings["recipe"]["epochs"] == 6
    assert set(card.versions) == {"hwr", "torch", "ray"}
    calibration = card.calibrated()
    # The same rows that chose the best epoch, under the same weights.
    val = json.loads((samples / "manifest.json").read_text())["counts"]["splits"]["val"]
    assert sum(calibration.rows) == val
    assert sum(calibration.right) / val == pytest.approx(best["val_accuracy"])
    alone = calibrate_folder(Folder.open(str(run / "model")), Folder.open(str(samples)))
    assert calibration.temperature == pytest.approx(alone.temperature, rel=0.01)
    assert calibration.ece == pytest.approx(alone.ece, abs=0.01)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_the_same_command_again_changes_nothing(run, samples, capsys):
    before = contents(run)
    assert hwr("train", "--data", samples, "--out", run, "--epochs", 6, "--batch-size", 32) == 0
    assert "is already complete: validation accuracy" in capsys.readouterr().out
    assert contents(run) == before


def test_other_settings_on_the_same_run_are_refused(run, samples, capsys):
    assert hwr("train", "--data", samples, "--out", run, "--epochs", 7, "--batch-size", 32) == 1
    assert capsys.readouterr().err.startswith(f"hwr train: {run} was made with recipe.epochs=6, not 7: choose")


def timeless(run):
    return [{k: v for k, v in epoch.items() if k not in ("seconds", "images_per_second")} for epoch in history(run)]


def test_two_workers_and_two_sets_with_an_alphabet_of_their_own(samples, digits, tmp_path, capsys):
    write_scans(tmp_path / "more", digits[0][600:900], digits[1][600:900])
    assert hwr("ingest", "--source", tmp_path / "more", "--format", "image-folder", "--out", tmp_path / "two") == 0
    words = ["train", "--data", samples, "--data", tmp_path / "two", "--out", tmp_path / "run", "--alphabet", "123"]
    assert hwr(*words, "--workers", 2, "--epochs", 2, "--batch-size", 31, "--model", "baseline") == 0
    out = capsys.readouterr().out
    assert "samples are left out: they have no label, or one outside the alphabet" in out
    assert "training baseline on 3 characters" in out
    assert "2 worker(s) with 1 CPUs each, global batch 31" in out
    assert len(history(tmp_path / "run")) == 2
    assert bundle.load(Folder.open(str(tmp_path / "run" / "model")))[1].alphabet == ["1", "2", "3"]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_stream_gives_all_workers_the_same_steps_and_counts_every_row(samples, tmp_path, capsys, workers):
    out = tmp_path / "run"
    words = ["train", "--data", samples, "--out", out, "--epochs", 2, "--batch-size", 32, "--workers", workers]
    where = ["--augment.where", "data"] if workers == 2 else []
    # A worker whose validation counts do not add up to the rows of the split ends the run with an error.
    assert hwr(*words, "--memory", 0.0002, *where) == 0
    told = capsys.readouterr().out
    assert "do not fit in the 0 MB that a worker may take for them: they are streamed" in told
    assert ("varied in Ray Data tasks" if where else "varied on the training device") in told
    state = torch.load(max((out / "checkpoints").iterdir()), weights_only=True)
    rows = json.loads((samples / "manifest.json").read_text())["counts"]["splits"]
    assert int(state["confusion"].sum()) == rows["val"]
    assert {int(one["step"]) for one in state["optimizer"]["state"].values()} == {2 * (rows["train"] // 32)}
    assert len(history(out)) == 2


def test_another_alphabet_can_start_from_a_model(samples, run, tmp_path, capsys):
    words = ["train", "--data", samples, "--out", tmp_path / "run", "--init", run, "--alphabet", "7213", "--epochs", 1]
    assert hwr(*words, "--learning-rate", "1e-5", "--batch-size", 32) == 0
    assert history(tmp_path / "run")[0]["val_accuracy"] > 0.9
    card = json.loads((tmp_path / "run" / "model" / "model.json").read_text())
    assert card["settings"]["init"] == json.loads((run / "manifest.json").read_text())["fingerprint"]
    assert card["architecture"] == "glyphnet"
    assert hwr(*words[:4], tmp_path / "other", *words[5:], "--model", "vgg5") == 1
    assert "is a glyphnet, not a vgg5: leave --model out" in capsys.readouterr().err


def test_the_preview_is_a_picture_and_nothing_else(samples, tmp_path, capsys):
    assert hwr("train", "--data", samples, "--out", tmp_path / "run", "--preview", "--augment.mixup", "0.4") == 0
    assert "run-preview.png: some glyphs" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["run-preview.png"]
    with Image.open(tmp_path / "run-preview.png") as picture:
        picture.verify()


def test_mlflow_hears_of_every_epoch(samples, tmp_path, monkeypatch):
    from mlflow.tracking import MlflowClient  # noqa: PLC0415 - slow to import

    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    words = ["train", "--data", samples, "--out", tmp_path / "run", "--epochs", 2, "--batch-size", 64]
    assert hwr(*words, "--mlflow", uri) == 0
    client = MlflowClient(tracking_uri=uri)
    (found,) = client.search_runs([client.get_experiment_by_name("hwr").experiment_id])
    assert found.info.status == "FINISHED"
    points = client.get_metric_history(found.info.run_id, "val_accuracy")
    assert [point.value for point in points] == [epoch["val_accuracy"] for epoch in history(tmp_path / "run")]
    assert "curves.png" in [file.path for file in client.list_artifacts(found.info.run_id)]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--alphabet", "12X"], "the data has no sample of X: leave it out of --alphabet or add data"),
        (["--workers", "9"], "9 worker(s) need a CPU each, but Ray has 3 here: use --workers 3"),
        (["--workers", "2", "--min-workers", "3"], "--min-workers must be from 1 to the number of workers, 2, not 3"),
        (["--batch-size", "3", "--workers", "2"], "a batch of 3 sample(s) over 2 worker(s) is too small"),
        (["--memory", "0"], "--memory must be a number from 0.0001 up, not 0.0"),
        (["--init", "nowhere"], "there is no run or model nowhere; models that ship with hwr: emnist47"),
        (
            ["--learning-rate", "1e30", "--gradient-clip", "0", "--batch-size", "32"],
            "training stopped: the loss became nan in epoch 1: choose a lower --learning-rate, and another --out",
        ),
    ],
)
def test_what_cannot_be_trained_is_one_line(samples, tmp_path, capsys, flags, message):
    assert hwr("train", "--data", samples, "--out", tmp_path / "run", "--epochs", 1, *flags) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_data_that_was_given_twice_or_changed_is_one_line(samples, tmp_path, capsys):
    assert hwr("train", "--data", samples, f"{samples}/", "--out", tmp_path / "run") == 1
    assert f"--data names {samples} twice" in capsys.readouterr().err
    shutil.copytree(samples, tmp_path / "changed")
    first, second, *_ = sorted((tmp_path / "changed" / "samples").iterdir())
    second.write_bytes(first.read_bytes())
    assert hwr("train", "--data", tmp_path / "changed", "--out", tmp_path / "run") == 1
    assert "part-00001.parquet is not the file that was ingested: ingest anew" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_checkpoints_that_cannot_be_written_are_one_line_and_free_the_workers(samples, tmp_path, capsys):
    words = ["train", "--data", samples, "--out", tmp_path / "run", "--epochs", 1, "--batch-size", 32]
    assert hwr(*words, "--workers", 9) == 1  # claims the folder
    capsys.readouterr()
    (tmp_path / "run" / "checkpoints").symlink_to(tmp_path / "a disk that is" / "not there")
    # Only the first of the workers fails, while the second waits for it.
    assert hwr(*words, "--workers", 2) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"hwr train: training stopped: cannot write {tmp_path}/run/checkpoints/epoch-000001-step-")
    assert err.count("\n") == 1
    (tmp_path / "run" / "checkpoints").unlink()
    assert hwr(*words, "--workers", 2) == 0


def test_an_interrupted_and_then_killed_run_goes_on_as_if_it_had_not_been(samples, tmp_path):
    words = ["train", "--data", samples, "--epochs", "14", "--batch-size", "16", "--patience", "0", "--out"]
    assert hwr(*words, tmp_path / "undisturbed") == 0
    out = tmp_path / "run"
    words.append(out)
    for stop in (signal.SIGINT, signal.SIGTERM):
        command = Command(words)
        one_more(command, out)
        command.process.send_signal(stop)
        status, told, said = command.end()
        assert status == 130
        assert "stopping: the workers save a checkpoint first" in told
        assert said == "hwr train: interrupted; what is done is kept, and the same command goes on from there\n"
    command = Command(words)
    one_more(command, out)
    assert command.kill()[0] == -signal.SIGKILL
    assert not (out / "manifest.json").exists()
    newest = max((out / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-100])
    (out / "history.jsonl").write_text('{"epoch": 1, "train_')  # records are written from checkpoints, never read
    command = Command(words)
    status, told, said = command.end()
    assert (status, said) == (0, "")
    assert f"checkpoint {newest.name} is damaged: going on from the one before it" in told
    assert_same(out, tmp_path / "undisturbed")


def test_a_killed_worker_costs_no_more_than_its_epoch(samples, tmp_path, run):
    out = tmp_path / "run"
    command = Command(["train", "--data", samples, "--out", out, "--epochs", "6", "--batch-size", "32"])
    command.wait_until(lambda: epochs(out) >= 2)
    (worker,) = command.workers("TrainWorker")
    worker.kill()
    status, told, _ = command.end()
    assert status == 0
    # It was killed after two epochs were told, and may have trained on until the signal came.
    going_on = [int(number) for number in re.findall("going on after epoch ([0-9]+)", told)]
    assert len(going_on) == 1
    assert 2 <= going_on[0] < 6
    assert_same(out, run)


def test_records_that_a_loss_has_left_out_are_made_up_for(samples, run, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(run, out)
    # As where the command was killed after the last checkpoint, and a worker earlier, each before it told of it.
    for name in ("manifest.json", "history.jsonl", "model/model.safetensors"):
        (out / name).unlink()
    events = sorted((out / "tensorboard").iterdir())
    for missing in (events[0], events[3], events[-1]):
        missing.unlink()
    assert hwr("train", "--data", samples, "--out", out, "--epochs", 6, "--batch-size", 32) == 0
    assert "going on after epoch 6" in capsys.readouterr().out
    assert_same(out, run)


def epochs(out):
    return len(history(out)) if (out / "history.jsonl").exists() else 0


def one_more(command, out):
    done = epochs(out)
    command.wait_until(lambda: epochs(out) > done)


def assert_same(out, undisturbed):
    """The run is as if nothing had happened to it: each epoch once, with the same figures, and the same model."""
    found, expected = timeless(out), timeless(undisturbed)
    assert [epoch["epoch"] for epoch in found] == list(range(1, len(expected) + 1))
    for ours, theirs in zip(found, expected, strict=True):
        # An epoch that was stopped within adds up its losses in two parts.
        assert ours == {**theirs, "train_loss": pytest.approx(theirs["train_loss"], rel=1e-9)}
    assert len(list((out / "tensorboard").iterdir())) == len(expected)
    weights = [(folder / "model" / "model.safetensors").read_bytes() for folder in (out, undisturbed)]
    assert weights[0] == weights[1]
    cards = [json.loads((folder / "model" / "model.json").read_text()) for folder in (out, undisturbed)]
    assert cards[0]["calibration"] == cards[1]["calibration"]
