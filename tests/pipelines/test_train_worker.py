"""What a worker says at the end of a training: a calibration, once it is over, and nothing if it was stopped."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from hwr import schema, shards
from hwr.alphabet import Alphabet
from hwr.augment import AugmentConfig
from hwr.calibration import Calibration
from hwr.storage import Folder
from hwr.training import Epoch, Recipe
from pipelines import _train_worker
from pipelines._mlflow import Tracker
from pipelines._records import Records
from pipelines._train_worker import Job, Piece, Started


class Told:
    """A board without Ray, on which the command asks to stop once so many epochs are told."""

    def __init__(self, stop_after: int = 99) -> None:
        self.news: list[Any] = []
        self.stop_after = stop_after

    def tell(self, item: Any) -> None:
        self.news.append(item)

    leave = tell

    def was_stopped(self) -> bool:
        return sum(isinstance(item, tuple) and isinstance(item[0], Epoch) for item in self.news) >= self.stop_after

    is_stopping = was_stopped


@pytest.fixture
def job(tmp_path, digits, monkeypatch) -> Job:
    """Two epochs on some digits, with four in ten of them for validation."""
    monkeypatch.setattr(_train_worker, "get_device", lambda: torch.device("cpu"))
    data, rows = Folder.open(str(tmp_path / "data")), 200
    images = np.pad(digits[0][:rows], [(0, 0), (10, 10), (10, 10)])
    splits = ["val" if row % 5 < 2 else "train" for row in range(rows)]
    columns = {
        "id": [str(row) for row in range(rows)], "image": schema.images_to_arrow(images),
        "label": [str(label) for label in digits[1][:rows]], "split": splits, "source": ["s"] * rows,
        "writer": pa.nulls(rows, pa.string()),
    }  # fmt: skip
    shards.write(data, "part", pa.table(columns, schema=schema.samples(28)), schema.REJECTS.empty_table())
    pieces = {name: (Piece(data, "samples/part.parquet", splits.count(name)),) for name in ("train", "val")}
    trained = digits[1][:rows][[split == "train" for split in splits]]
    return Job(
        pieces, torch.from_numpy(np.bincount(trained, minlength=10)), Folder.open(str(tmp_path / "run")), "glyphnet",
        Alphabet.parse("digits"), 28, Recipe(epochs=2, batch_size=60), AugmentConfig(where="device"),
        is_streamed=False, memory=10**9, init=None, keep=2,
    )  # fmt: skip


def test_the_last_word_is_the_calibration_of_the_best_epoch(job):
    board = Told()
    _train_worker._train(job, board)
    assert isinstance(board.news[0], Started)
    *_, calibration = board.news
    assert isinstance(calibration, Calibration)
    best = [item[0] for item in board.news if isinstance(item, tuple) and item[0].best][-1]
    assert sum(calibration.rows) == 80
    assert sum(calibration.right) == round(best.val_accuracy * 80)


def test_a_training_that_is_over_is_calibrated_anew_with_the_same_result(job):
    first, again, streamed = Told(), Told(), Told()
    _train_worker._train(job, first)
    _train_worker._train(job, again)
    _train_worker._train(replace(job, is_streamed=True), streamed)
    for board in (again, streamed):
        assert [type(item) for item in board.news] == [Started, Calibration]
        assert board.news[-1] == first.news[-1]


def test_a_training_that_ends_early_says_why(job, capsys):
    job, board = replace(job, recipe=replace(job.recipe, epochs=9, patience=1, min_delta=0.9999)), Told()
    _train_worker._train(job, board)
    Records(job, Tracker(), lambda *_, **__: None).add(board.news)
    told = capsys.readouterr().out
    assert "epoch 2/9" in told
    assert "epoch 3/9" not in told
    assert "that was enough: 1 epoch brought nothing better\ncalibrated" in told


def test_a_training_that_was_stopped_is_not_calibrated_though_its_epochs_be_done(job):
    for epochs in (1, 2):
        board = Told(stop_after=epochs)
        _train_worker._train(replace(job, out=job.out / str(epochs)), board)
        assert board.was_stopped()
        assert not any(isinstance(item, Calibration) for item in board.news)
