"""The pictures of a drift show both sides to the same scale, for any characters."""

import numpy as np
import pytest

from hwr.alphabet import NAMED
from hwr.report.pictures import drawing, drift
from hwr.report.pictures.drawing import DARK, LIGHT
from tests.hwr.report.pixels import near, opened, tallest, untouched

MANY = [chr(0x3B1 + i) for i in range(120)]
ODD = ["$x$", "$\\frac", "_a", "漢字", "\x00", "<b>", " ", "", "word" * 9]


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Draw with fewer pixels, for speed; sizes and colours stay the same."""
    monkeypatch.setattr(drawing, "DPI", 60)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("labels", ["A", NAMED["digits"], NAMED["english62"], MANY, ODD])
def test_any_number_of_characters_stands_on_its_theme_and_touches_no_edge(theme, labels):
    random = np.random.default_rng(0)
    expected, found = (random.dirichlet(np.ones(len(labels))) for _ in range(2))
    pixels = opened(drift.distributions(list(labels), expected, found, theme))
    assert pixels.shape[1] == round(drawing.WIDTH * drawing.DPI)
    assert untouched(pixels, theme.paper)
    for colour in (theme.right, theme.muted):
        assert near(pixels, colour)[30:].any()


def test_the_bars_of_a_character_are_as_tall_as_its_shares_and_stand_beside_each_other():
    pixels = opened(drift.distributions("AB", np.array([0.4, 0.2]), np.array([0.2, 0.8])))[30:]
    for colour, first, second in ((LIGHT.muted, 0.4, 0.2), (LIGHT.right, 0.2, 0.8)):
        left, right = (tallest(half) for half in np.array_split(near(pixels, colour)[:, 60:], 2, axis=1))
        assert abs(left / right - first / second) < 0.15
    expected, found = (np.nonzero(near(pixels, colour)[:, 60:300])[1] for colour in (LIGHT.muted, LIGHT.right))
    assert np.median(expected) < np.median(found)


@pytest.mark.parametrize("labels", ["AB", NAMED["english62"]])
def test_a_character_that_never_occurs_has_no_bar_and_nothing_at_all_does_no_harm(labels):
    none, every = np.zeros(len(labels)), np.full(len(labels), 1 / len(labels))
    assert not near(opened(drift.distributions(list(labels), every, none)), LIGHT.right)[30:].any()
    assert untouched(opened(drift.distributions(list(labels), none, none)), LIGHT.paper)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_confidences_stand_on_their_theme_and_touch_no_edge(theme):
    rising, falling = np.arange(20), np.arange(20)[::-1]
    for expected, found in ((rising, falling), (np.eye(20)[19], np.eye(20)[0])):
        pixels = opened(drift.confidences(expected, found, theme))
        assert untouched(pixels, theme.paper)
        assert near(pixels, theme.right, 40)[30:].any()
        assert near(pixels, drawing.blend(theme, theme.muted, 0.35)).any()


def test_confidences_are_compared_as_shares_however_many_there_are():
    few, many = np.arange(20), 1000 * np.arange(20)
    assert drift.confidences(few, few) == drift.confidences(many, few / few.sum())
    assert drift.confidences(few, few) != drift.confidences(few, few[::-1])


def test_a_side_without_any_confidence_lies_flat():
    some, none = np.arange(20), np.zeros(20)
    assert drift.confidences(some, none) != drift.confidences(some, some)
    assert untouched(opened(drift.confidences(none, none)), LIGHT.paper)
