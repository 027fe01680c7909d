"""TensorBoard's own reader finds every epoch once and in order, whatever was written again, and whole pictures."""

import io
import random
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hwr.report import events
from hwr.report.pictures.drawing import glyph
from hwr.storage import Folder


def record(epoch: int, shift: float = 0.0) -> dict[str, float]:
    names = set(events.SCALARS.values())
    return {"epoch": epoch, **{name: epoch + len(name) / 100 + shift for name in names}, "seconds": 1.0, "best": True}


def written(folder, records):
    for line in records:
        events.write(Folder.open(str(folder)), line, {})


def read(folder) -> EventAccumulator:
    found = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    found.Reload()
    return found


def test_every_figure_of_every_epoch_arrives_once_and_in_order(tmp_path):
    written(tmp_path, [record(epoch) for epoch in range(1, 13)])
    found = read(tmp_path)
    assert sorted(found.Tags()["scalars"]) == sorted(events.SCALARS)
    for tag, name in events.SCALARS.items():
        scalars = found.Scalars(tag)
        assert [scalar.step for scalar in scalars] == list(range(1, 13))
        assert [scalar.value for scalar in scalars] == pytest.approx([record(epoch)[name] for epoch in range(1, 13)])


def test_an_epoch_trained_again_replaces_its_own_file(tmp_path):
    written(tmp_path, [record(1), record(2), record(3), record(2, shift=0.5), record(3, shift=0.5), record(4)])
    assert len(list((tmp_path / "tensorboard").iterdir())) == 4
    scalars = read(tmp_path).Scalars("loss/val")
    assert [scalar.step for scalar in scalars] == [1, 2, 3, 4]
    shifts = (0, 0.5, 0.5, 0)
    assert [scalar.value for scalar in scalars] == pytest.approx(
        [record(epoch, shift)["val_loss"] for epoch, shift in enumerate(shifts, 1)]
    )


def test_wall_times_in_disorder_lose_nothing(tmp_path, monkeypatch):
    order = list(range(1, 31))
    random.Random(0).shuffle(order)  # the first file is not the oldest
    for moment, epoch in enumerate(order):
        monkeypatch.setattr(events.time, "time", lambda moment=moment: 1_700_000_000.0 - 1000 * moment)
        written(tmp_path, [record(epoch)])
    assert [scalar.step for scalar in read(tmp_path).Scalars("accuracy/val")] == list(range(1, 31))


def test_a_reader_that_watches_sees_each_epoch_as_it_comes(tmp_path):
    written(tmp_path, [record(1)])
    found = read(tmp_path)
    for epoch in range(2, 6):
        written(tmp_path, [record(epoch)])
        found.Reload()
        assert [scalar.step for scalar in found.Scalars("f1/val")] == list(range(1, epoch + 1))


def test_a_picture_comes_back_as_it_was(tmp_path):
    png = glyph(np.random.default_rng(0).integers(0, 256, (28, 30), dtype=np.uint8))
    for epoch in (1, 2):
        events.write(Folder.open(str(tmp_path)), record(epoch), {"confusion": png, "augmented samples": png})
    found = read(tmp_path)
    assert sorted(found.Tags()["images"]) == ["augmented samples", "confusion"]
    pictures = found.Images("confusion")
    assert [picture.step for picture in pictures] == [1, 2]
    assert (pictures[0].width, pictures[0].height) == (30, 28) == Image.open(io.BytesIO(png)).size
    assert pictures[1].encoded_image_string == png


def test_a_diverged_epoch_is_written_too(tmp_path):
    written(tmp_path, [record(1) | {"train_loss": float("nan")}])
    (scalar,) = read(tmp_path).Scalars("loss/train")
    assert np.isnan(scalar.value)


def test_neither_tensorflow_nor_torch_is_loaded_for_it_nor_tensorboard_before_it(tmp_path):
    code = (
        "import sys; from hwr.report import events; from hwr.storage import Folder\n"
        "assert 'tensorboard' not in sys.modules\n"
        f"events.write(Folder.open({str(tmp_path)!r}), {record(1)!r}, {{}})\n"
        "assert not {'tensorflow', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=events.__file__.rpartition("/hwr/")[0])
