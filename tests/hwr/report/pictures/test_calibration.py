"""The pictures of confidences show gaps where there are some, leave out empty bins, and zoom to what is there."""

import numpy as np
import pytest

from hwr.report.pictures import calibration, drawing
from hwr.report.pictures.drawing import DARK, LIGHT
from tests.hwr.report.pixels import near, opened, tallest, untouched

MIDDLES = (np.arange(15) + 0.5) / 15


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Draw with fewer pixels, for speed; sizes and colours stay the same."""
    monkeypatch.setattr(drawing, "DPI", 60)


def diagram(accuracy, *, confidence=MIDDLES, rows=None, theme=LIGHT):
    """The upper and the lower panel, without the words above."""
    rows = np.full(len(confidence), 100) if rows is None else np.array(rows)
    pixels = opened(calibration.reliability(rows, confidence, np.array(accuracy), theme))
    return pixels[25 : int(0.7 * len(pixels))], pixels[int(0.7 * len(pixels)) :]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("rows", [[3], [0, 10_000_000], [1_234_567] * 15, [0] * 49 + [5]])
def test_a_reliability_diagram_of_any_bins_stands_on_its_theme_and_touches_no_edge(theme, rows):
    middles = (np.arange(len(rows)) + 0.5) / len(rows)
    for accuracy in (1 - middles, np.ones(len(rows))):
        pixels = opened(calibration.reliability(np.array(rows), middles, accuracy, theme))
        assert pixels.shape[1] == round(drawing.WIDTH * drawing.DPI)
        assert untouched(pixels, theme.paper)


def test_a_model_that_is_as_often_right_as_sure_has_no_gap():
    upper, _ = diagram(MIDDLES)
    assert near(upper, LIGHT.right).sum() > 10_000
    assert not near(upper, LIGHT.wrong).any()
    assert not near(upper, drawing.blend(LIGHT, LIGHT.right, calibration.MODEST)).any()


def test_a_model_that_is_too_sure_shows_errors_and_one_that_is_too_modest_a_paler_colour():
    pale = drawing.blend(LIGHT, LIGHT.right, calibration.MODEST)
    sure, modest = diagram(0.5 * MIDDLES)[0], diagram(0.5 + 0.5 * MIDDLES)[0]
    assert near(sure, LIGHT.wrong).sum() > 5000 > near(sure, pale).sum() == 0
    assert near(modest, pale).sum() > 5000 > near(modest, LIGHT.wrong).sum() == 0


def test_a_gap_is_as_tall_as_confidence_and_accuracy_are_apart():
    small, large = (
        tallest(near(diagram([0.8 - gap], confidence=np.array([0.8]))[0], LIGHT.wrong)) for gap in (0.2, 0.4)
    )
    assert abs(large - 2 * small) <= 4


def test_an_empty_bin_is_left_out_whatever_its_means_are():
    rows = [0] * 14 + [10]
    some, none = np.where(np.arange(15) < 14, 0.9, 0.95), np.where(np.arange(15) < 14, 0.0, 0.95)
    first, second = (diagram(means, confidence=means, rows=rows)[0] for means in (some, none))
    np.testing.assert_array_equal(first, second)
    bars = near(first, LIGHT.right).any(axis=0)
    assert 0 < bars.sum() < first.shape[1] / 10


def test_the_lower_panel_shows_the_share_of_rows():
    _, lower = diagram(MIDDLES[:2], confidence=MIDDLES[:2], rows=[100, 50])
    bars = near(lower, LIGHT.muted)
    left, right = bars[:, 100:250], bars[:, 350:500]
    assert abs(tallest(left) - 2 * tallest(right)) <= 6


def curve(accuracy, *, shares=None, marked=None, theme=LIGHT):
    shares = np.linspace(1 / len(accuracy), 1, len(accuracy)) if shares is None else np.array(shares)
    return opened(calibration.coverage(shares, np.array(accuracy, np.float64), theme, marked))


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("accuracy", [[1.0], [0.0], np.linspace(1, 0.9, 200), [0.0, *[0.99] * 50]])
def test_a_curve_of_any_accuracy_stands_on_its_theme_and_touches_no_edge(theme, accuracy):
    for marked in (None, (1.0, accuracy[-1]), (0.0, 0.0)):
        pixels = curve(accuracy, theme=theme, marked=marked)
        assert untouched(pixels, theme.paper)
        assert near(pixels, theme.right).any()
        assert near(pixels, theme.wrong).any() == (marked is not None)


def test_the_curve_falls_from_left_to_right_and_fills_the_height_however_small_its_range():
    for least in (0.5, 0.95, 0.99):
        pixels = curve(np.linspace(1, least, 100))
        rows, columns = np.nonzero(near(pixels, LIGHT.right)[30:])
        assert rows[columns < columns.min() + 20].mean() < rows[columns > columns.max() - 20].mean()
        assert np.ptp(rows) > len(pixels) / 2


def test_one_wrong_row_among_the_surest_few_does_not_flatten_the_curve():
    shares = np.linspace(0.001, 1, 1000)
    lucky, unlucky = (
        near(curve(np.r_[first, np.linspace(1, 0.99, 999)], shares=shares), LIGHT.right) for first in (1, 0)
    )
    assert (lucky != unlucky)[:, lucky.shape[1] // 4 :].sum() == 0


def test_the_mark_is_where_its_point_is():
    def place(share):
        _, columns = np.nonzero(near(curve(np.linspace(1, 0.9, 100), marked=(share, 0.95)), LIGHT.wrong)[30:])
        return columns.mean()

    width = drawing.WIDTH * drawing.DPI
    assert 0.5 * width < place(0.9) - place(0.2) < 0.7 * width
