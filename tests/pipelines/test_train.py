"""A run is what its files say, goes on after a loss, and refuses what it cannot learn from."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from hwr import bundle
from hwr.storage import Folder
from tests.jobs import contents, hwr, write_scans


def history(run):
    return [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]


def test_a_run_holds_model_card_labels_and_history(run, samples):
    facts = json.loads((run / "manifest.json").read_text())
    epochs = history(run)
    assert [epoch["epoch"] for epoch in epochs] == list(range(1, 7))
    best = max(epochs, key=lambda epoch: (epoch["val_accuracy"], -epoch["val_loss"]))
    assert facts["metrics"]["val_accuracy"] == best["val_accuracy"] > 0.8
    assert facts["metrics"]["epoch"] == best["epoch"]
    assert json.loads((run / "labels.json").read_text()) == {str(digit): str(digit) for digit in range(10)}
    model, card = bundle.load(Folder.open(str(run / "model")))
    assert card.alphabet == list("0123456789")
    assert card.size == 28
    assert card.data == [
        {"location": str(samples), "fingerprint": json.loads((samples / "manifest.json").read_text())["fingerprint"]}
    ]
    assert card.settings["recipe"]["epochs"] == 6
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_the_same_command_again_changes_nothing(run, samples, capsys):
    before = contents(run)
    assert hwr("train", "--data", samples, "--out", run, "--epochs", 6, "--batch-size", 32) == 0
    assert "is already complete: validation accuracy" in capsys.readouterr().out
    assert contents(run) == before


def test_other_settings_on_the_same_run_are_refused(run, samples, capsys):
    assert hwr("train", "--data", samples, "--out", run, "--epochs", 7, "--batch-size", 32) == 1
    assert capsys.readouterr().err.startswith(f"hwr train: {run} was made with recipe.epochs=6, not 7: choose")


def test_two_workers_and_two_sets_with_an_alphabet_of_their_own(samples, digits, tmp_path, capsys):
    write_scans(tmp_path / "more", digits[0][600:900], digits[1][600:900])
    assert hwr("ingest", "--source", tmp_path / "more", "--format", "image-folder", "--out", tmp_path / "two") == 0
    words = ["train", "--data", samples, "--data", tmp_path / "two", "--out", tmp_path / "run", "--alphabet", "123"]
    assert hwr(*words, "--workers", 2, "--epochs", 2, "--batch-size", 31) == 0
    assert "2 worker(s) with 1 CPUs each, global batch 31" in capsys.readouterr().out
    assert len(history(tmp_path / "run")) == 2
    assert bundle.load(Folder.open(str(tmp_path / "run" / "model")))[1].alphabet == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--alphabet", "12X"], "the data has no sample of X: leave it out of --alphabet or add data"),
        (["--workers", "9"], "9 worker(s) need 11 CPUs, but Ray has 4 here: use --workers 2"),
        (["--learning-rate", "1e30", "--batch-size", "32"], "training stopped: the loss became nan in epoch 1: lower"),
    ],
)
def test_what_cannot_be_trained_is_one_line(samples, tmp_path, capsys, flags, message):
    assert hwr("train", "--data", samples, "--out", tmp_path / "run", "--epochs", 1, *flags) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def stopped(words, out, epochs, how) -> tuple[int, str]:
    """Start training in a process of its own and signal it once so many epochs are done: exit status and stderr."""
    command = [sys.executable, "-m", "pipelines", *map(str, words)]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)
    last = time.monotonic() + 120
    while not (out / "history.jsonl").exists() or len(history(out)) < epochs:
        assert process.poll() is None
        assert time.monotonic() < last
        time.sleep(0.05)
    os.killpg(process.pid, how) if how == signal.SIGKILL else process.send_signal(how)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def test_an_interrupted_and_then_killed_run_goes_on_as_if_it_had_not_been(samples, tmp_path, run):
    out = tmp_path / "run"
    words = ["train", "--data", samples, "--out", out, "--epochs", "6", "--batch-size", "32"]
    line = "hwr train: interrupted; what is done is kept, and the same command goes on from there\n"
    assert stopped(words, out, 1, signal.SIGINT) == (130, line)
    assert stopped(words, out, 3, signal.SIGKILL)[0] == -signal.SIGKILL
    assert not (out / "manifest.json").exists()
    assert hwr(*words) == 0
    timeless = [
        [{k: v for k, v in epoch.items() if k not in ("seconds", "images_per_second")} for epoch in history(folder)]
        for folder in (out, run)
    ]
    assert [epoch["epoch"] for epoch in timeless[0]] == list(range(1, 7))
    assert timeless[0] == timeless[1]
