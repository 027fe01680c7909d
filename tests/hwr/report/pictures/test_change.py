"""The picture of two models' recalls shows which characters rose and which fell, however many there are."""

import numpy as np
import pytest

from hwr.alphabet import NAMED
from hwr.report.pictures import change, drawing
from hwr.report.pictures.drawing import DARK, LIGHT
from tests.hwr.report.pixels import near, opened, untouched

MANY = [chr(0x3B1 + i) for i in range(120)]
ODD = ["$x$", "$\\frac", "_a", "漢字", "\x00", "<b>", " ", "", "word" * 9]


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Draw with fewer pixels, for speed; sizes and colours stay the same."""
    monkeypatch.setattr(drawing, "DPI", 60)


def drawn(before, after, labels="ABCDEFGHIJ", theme=LIGHT):
    """The panel, without the words above."""
    return opened(change.changes(list(labels), np.array(before, float), np.array(after, float), theme))[30:]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("labels", ["A", NAMED["digits"], NAMED["english62"], MANY, ODD])
def test_any_number_of_characters_stands_on_its_theme_and_touches_no_edge(theme, labels):
    random = np.random.default_rng(0)
    for low in (0.0, 0.97):
        before, after = (random.uniform(low, 1, len(labels)) for _ in range(2))
        pixels = opened(change.changes(list(labels), before, after, theme))
        assert pixels.shape[1] == round(drawing.WIDTH * drawing.DPI)
        assert untouched(pixels, theme.paper)
    assert untouched(
        opened(change.changes(list(labels), np.ones(len(labels)), np.ones(len(labels)), theme)), theme.paper
    )


def test_a_rise_has_the_colour_of_right_a_fall_that_of_wrong_and_no_change_neither():
    low, high = [0.5] * 10, [0.9] * 10
    rose, fell, same = drawn(low, high), drawn(high, low), drawn(high, high)
    assert near(rose, LIGHT.right).any()
    assert not near(rose, LIGHT.wrong).any()
    assert near(fell, LIGHT.wrong).any()
    assert not near(fell, LIGHT.right).any()
    assert not (near(same, LIGHT.right) | near(same, LIGHT.wrong)).any()


def test_characters_stand_in_the_order_given():
    before = np.full(10, 0.8)
    columns = np.nonzero(near(drawn(before, before + np.where(np.arange(10) == 0, 0.1, 0)), LIGHT.right))[1]
    assert columns.max() < drawing.WIDTH * drawing.DPI / 4
    columns = np.nonzero(near(drawn(before, before + np.where(np.arange(10) == 9, 0.1, 0)), LIGHT.right))[1]
    assert columns.min() > drawing.WIDTH * drawing.DPI * 3 / 4


def test_the_line_between_the_dots_is_as_long_as_the_change():
    before, after = np.full(10, 0.5), np.full(10, 0.6)
    after[3] = 0.9
    pixels = near(drawn(before, after), LIGHT.right)
    spans = [np.ptp(np.nonzero(part)[0]) for part in np.array_split(pixels[:, 48:], 10, axis=1)]
    assert np.argmax(spans) == 3
    assert spans[3] > 2.5 * spans[0]
