"""Checkpoints prove their content; the latest and the best stay."""

from dataclasses import replace

import pytest
import torch

from hwr.errors import OutputError
from hwr.storage import Folder
from hwr.training import Epoch, Recipe, checkpoints
from tests.hwr.training.conftest import started

CPU = torch.device("cpu")


def epoch(number: int, accuracy: float) -> Epoch:
    return Epoch(number, 1, 0.5, 1, accuracy, 0.5, 0, 1, 1, best=False)


@pytest.fixture
def training():
    return started(Recipe(), "baseline")


def places(folder: Folder) -> list[str]:
    return [name.rpartition("-")[0] for name in checkpoints.names(folder)]


def test_the_two_latest_and_the_best_stay(training, tmp_path):
    folder = Folder.open(str(tmp_path))
    for number, accuracy in enumerate([0.6, 0.9, 0.8, 0.5, 0.4, 0.3], 1):
        training.history.append(epoch(number, accuracy))
        checkpoints.save(folder, training, keep=2)
    assert places(folder) == [f"epoch-00000{number}-step-000000000" for number in (2, 3, 5, 6)]
    training.partial.step = 40
    checkpoints.save(folder, training, keep=0)
    assert places(folder) == ["epoch-000006-step-000000000", "epoch-000006-step-000000040"]


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_read(training, tmp_path):
    folder = Folder.open(str(tmp_path))
    for number in (1, 2):
        training.history.append(epoch(number, 0.5))
        checkpoints.save(folder, training, keep=0)
    first, second = checkpoints.names(folder)
    data = (tmp_path / second).read_bytes()
    flipped = bytes([data[len(data) // 2] ^ 1])
    for broken in (data[:1000], b"", data[: len(data) // 2] + flipped + data[len(data) // 2 + 1 :]):
        (tmp_path / second).write_bytes(broken)
        state, damaged = checkpoints.latest(folder, CPU)
        assert damaged == [second]
        assert len(state["history"]) == 1
    (tmp_path / first).write_bytes(b"no")
    assert checkpoints.latest(folder, CPU) == (None, [second, first])
    assert checkpoints.latest(Folder.open(str(tmp_path / "none")), CPU) == (None, [])


def test_a_damaged_checkpoint_makes_room_for_the_next_and_costs_no_other(training, tmp_path):
    folder = Folder.open(str(tmp_path))
    for number in (1, 2, 3):
        training.history.append(epoch(number, 0.5))
        checkpoints.save(folder, training, keep=0)
    *_, second, third = checkpoints.names(folder)
    (tmp_path / third).write_bytes(b"no")
    training.history.pop()
    training.partial.step = 40  # trained on from the second, and saved within the third epoch
    checkpoints.save(folder, training, keep=0)
    assert second in checkpoints.names(folder)
    assert places(folder) == ["epoch-000002-step-000000000", "epoch-000002-step-000000040"]
    assert checkpoints.latest(folder, CPU)[1] == []


def test_what_is_loaded_is_what_was_saved(training, tmp_path):
    training.history.append(epoch(1, 0.5))
    training.partial = replace(training.partial, step=3, tally=[1.0, 2.0, 3.0], seconds=4.0)
    checkpoints.save(Folder.open(str(tmp_path)), training, keep=1)
    state, _ = checkpoints.latest(Folder.open(str(tmp_path)), CPU)
    other = started(Recipe(seed=1), "baseline")
    other.load_state_dict(state)
    assert other.history == training.history
    assert other.partial == training.partial
    for name, value in training.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name])


def test_a_disk_that_is_full_leaves_the_earlier_checkpoints(training, tmp_path, monkeypatch):
    folder = Folder.open(str(tmp_path))
    training.history.append(epoch(1, 0.5))
    checkpoints.save(folder, training, keep=0)
    before = checkpoints.names(folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    training.history.append(epoch(2, 0.6))
    with pytest.raises(OutputError, match="the disk is full"):
        checkpoints.save(folder, training, keep=0)
    assert [path.name for path in tmp_path.iterdir()] == before
    assert checkpoints.latest(folder, CPU)[0]["history"][-1]["epoch"] == 1
