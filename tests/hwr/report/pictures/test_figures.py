"""Pictures are whole PNG files, in both themes, for few and many and odd characters, and show what they are given."""

import io

import numpy as np
import pytest
from PIL import Image

from hwr.alphabet import NAMED
from hwr.metrics.scores import Character
from hwr.report.pictures import drawing, figures
from hwr.report.pictures.drawing import DARK, LIGHT


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Draw with fewer pixels, for speed; sizes and colours stay the same."""
    monkeypatch.setattr(drawing, "DPI", 60)


def opened(png: bytes) -> np.ndarray:
    """Pixels (H, W, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def colour(name: str) -> np.ndarray:
    return np.array([int(name[index : index + 2], 16) for index in (1, 3, 5)])


def near(pixels: np.ndarray, name: str) -> int:
    """How many pixels have a colour, to within rounding."""
    return int((np.abs(pixels.astype(int) - colour(name)).max(axis=2) <= 2).sum())


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("labels", ["A", NAMED["digits"], NAMED["english62"], [chr(0x3B1 + i) for i in range(120)]])
def test_the_confusion_matrix_stands_on_its_theme_and_touches_no_edge(theme, labels):
    counts = np.eye(len(labels), dtype=np.int64) * 7
    counts[0, -1] += 1
    pixels = opened(figures.confusion(counts, list(labels), theme))
    assert pixels.shape[1] == round(drawing.WIDTH * drawing.DPI)
    border = np.concatenate([pixels[:3].reshape(-1, 3), pixels[-3:].reshape(-1, 3), pixels[:, :3].reshape(-1, 3)])
    assert (border == colour(theme.paper)).all()


def test_right_and_wrong_cells_have_their_colours_and_an_empty_cell_is_blank():
    right = opened(figures.confusion(np.array([[5, 0], [0, 5]]), "AB"))
    wrong = opened(figures.confusion(np.array([[0, 5], [5, 0]]), "AB"))
    cell = right.shape[1] ** 2 // 8  # somewhat less than half of the matrix
    assert near(right, LIGHT.right) > cell > near(right, LIGHT.wrong)
    assert near(wrong, LIGHT.wrong) > cell > near(wrong, LIGHT.right)
    assert near(right, LIGHT.paper) > cell


def test_one_confusion_in_thousands_is_seen():
    counts = np.array([[9999, 1], [0, 10_000]])
    pixels = opened(figures.confusion(counts, "AB")).astype(int)
    reddish = (pixels[..., 0] - pixels[..., 2] > 20).sum()
    assert reddish > pixels.shape[1] ** 2 // 8


def test_a_character_that_never_occurs_does_no_harm():
    figures.confusion(np.zeros((3, 3), np.int64), "ABC")


@pytest.mark.parametrize("labels", ["0", NAMED["english62"], [chr(0x3B1 + i) for i in range(120)]])
def test_bars_are_drawn_for_any_number_of_characters(labels):
    characters = [Character(label, 1, 1, index / len(labels), 5, 5) for index, label in enumerate(labels)]
    assert opened(figures.f1_bars(characters)).shape[1] == round(drawing.WIDTH * drawing.DPI)
    assert opened(figures.predicted_bars(list(labels), list(range(len(labels))), DARK)).size


def test_the_weakest_bars_stand_out():
    same = [Character(label, 1, 1, 0.9, 5, 5) for label in "ABCDEFGHIJ"]
    weak = [*same[:-1], Character("J", 1, 1, 0.1, 5, 5)]
    assert near(opened(figures.f1_bars(same[:4])), LIGHT.wrong) == 0
    assert near(opened(figures.f1_bars(weak)), LIGHT.wrong) > 0


@pytest.mark.parametrize("groups", [["right", "wrong"], ["without truth"]])
def test_confidence_has_one_panel_a_group(groups):
    bins = np.arange(20)
    alone = opened(figures.confidence({groups[0]: bins}))
    whole = opened(figures.confidence(dict.fromkeys(groups, bins)))
    assert whole.shape[0] - alone.shape[0] == round((len(groups) - 1) * 1.7 * drawing.DPI)
    assert (near(whole, LIGHT.wrong) > 0) == ("wrong" in groups)


def test_the_same_figure_is_the_same_file():
    counts = np.array([[3, 1], [0, 4]])
    assert figures.confusion(counts, "AB") == figures.confusion(counts, "AB")


@pytest.mark.parametrize("label", ["$x$", "$\\frac$", "_a", "漢字", "\x00", "<b>"])
def test_any_label_can_be_drawn(label):
    figures.confusion(np.array([[3, 1], [0, 4]]), [label, "B"])
    figures.predicted_bars([label, "B"], [1, 0])
