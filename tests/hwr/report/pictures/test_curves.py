"""The curves of a training are a whole picture for any number of epochs, and show what the epochs came to."""

import io

import numpy as np
import pytest
from PIL import Image

from hwr.report.pictures import curves, drawing
from hwr.report.pictures.drawing import DARK, LIGHT

NAN = float("nan")
SIZE = (round(drawing.WIDTH * 60), round(3.5 * 60))


@pytest.fixture(autouse=True, scope="module")
def coarse():
    """Draw with fewer pixels, for speed; sizes and colours stay the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "DPI", 60)
        yield


def epochs(train_losses, *, best=-1):
    count = len(train_losses)
    return [
        {
            "epoch": index + 1, "train_loss": loss, "train_accuracy": 0.5, "val_loss": 0.9 * loss, "val_accuracy": 0.6,
            "val_f1": 0.55, "learning_rate": 1e-3, "seconds": 1.0, "images_per_second": 1.0,
            "best": index == best % count,
        }
        for index, loss in enumerate(train_losses)
    ]  # fmt: skip


def drawn(history) -> np.ndarray:
    """Pixels (H, W, 3) of the curves."""
    return np.asarray(Image.open(io.BytesIO(curves.learning_curves(history))).convert("RGB")).astype(int)


def places(pixels, name) -> np.ndarray:
    """Columns of the pixels of a colour."""
    colour = np.array([int(name[index : index + 2], 16) for index in (1, 3, 5)])
    return np.nonzero(np.abs(pixels - colour).max(axis=2) <= 12)[1]


@pytest.mark.parametrize("count", [1, 3, 40, 300])
def test_any_number_of_epochs_fits_and_touches_no_edge(count):
    pixels = drawn(epochs(list(np.geomspace(2, 0.05, count))))
    assert pixels.shape[1::-1] == SIZE
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all()
    for colour in (LIGHT.muted, LIGHT.right, LIGHT.wrong):
        assert len(places(pixels, colour))


@pytest.mark.parametrize("losses", [[0.0], [NAN], [NAN, 1.0], [1.0, float("inf")], [1e30, 1e-30], [1e-9] * 3])
def test_losses_of_any_size_are_drawn(losses):
    assert drawn(epochs(losses)).shape[1::-1] == SIZE


def test_in_the_dark_theme_no_colour_of_the_light_one_is_left():
    pixels = np.asarray(Image.open(io.BytesIO(curves.learning_curves(epochs([2.0, 0.05]), DARK))).convert("RGB"))
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == [int(DARK.paper[index : index + 2], 16) for index in (1, 3, 5)]).all()
    for colour in (DARK.muted, DARK.right, DARK.wrong):
        assert len(places(pixels.astype(int), colour))
    for colour in (LIGHT.paper, LIGHT.right, LIGHT.wrong):
        assert not len(places(pixels.astype(int), colour))


def test_the_best_epoch_is_marked_where_it_is():
    early, late = (drawn(epochs([1.0] * 40, best=best)) for best in (3, 36))
    panel = SIZE[0] * 4 // 10.4
    changed = np.nonzero((early != late).any(axis=2)[: SIZE[1] // 2, : int(panel)])[1]
    assert changed.min() < 0.3 * panel
    assert changed.max() > 0.7 * panel
    assert np.abs(early - drawn(epochs([1.0] * 40, best=3))).max() == 0


def test_a_run_without_a_best_epoch_has_no_mark():
    history = [epoch | {"best": False} for epoch in epochs([1.0, 0.5])]
    assert len(places(drawn(history), LIGHT.right)) < len(places(drawn(epochs([1.0, 0.5])), LIGHT.right))


@pytest.mark.parametrize(("losses", "scale"), [([2.0, 0.5], "linear"), ([2.0, 0.05], "log"), ([2.0, 0.0], "linear")])
def test_the_scale_of_the_loss_is_logarithmic_only_for_a_wide_range(losses, scale, monkeypatch):
    figures = []
    monkeypatch.setattr(drawing, "png", lambda figure: figures.append(figure) or b"")
    curves.learning_curves(epochs(losses))
    assert figures[0].axes[0].get_yscale() == scale
