"""Pictures of an ingest are whole PNG files, in both themes, for any number and kind of classes."""

import io

import numpy as np
import pytest
from PIL import Image

from hwr.alphabet import NAMED
from hwr.report.pictures import drawing
from hwr.report.pictures import overview as overview_figures
from hwr.report.pictures.drawing import DARK, LIGHT

ODD = ["<script>", "$x$", "$\\frac{", "😀", "漢字", " ", "\n", "\x00", "", "السلام", "word" * 60]


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Draw with fewer pixels, for speed; sizes and colours stay the same."""
    monkeypatch.setattr(drawing, "DPI", 60)


def opened(png: bytes) -> np.ndarray:
    """Pixels (H, W, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def near(pixels: np.ndarray, name: str) -> np.ndarray:
    """Which pixels (H, W) have a colour."""
    colour = np.array([int(name[index : index + 2], 16) for index in (1, 3, 5)])
    return (np.abs(pixels.astype(int) - colour) <= 2).all(axis=2)


def counted(classes: int, **splits: int) -> dict[str, np.ndarray]:
    return {split: np.full(classes, count, np.int64) for split, count in splits.items()}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("labels", ["A", NAMED["digits"], NAMED["english62"], ODD, [str(i) for i in range(3000)]])
def test_pictures_are_as_wide_as_the_page_and_touch_no_edge(theme, labels):
    counts = counted(len(labels), train=24_000, val=1)
    counts["train"][0] = 1
    glyphs = np.full((12, 8, 8), 255, np.uint8)
    for png in (
        overview_figures.balance(list(labels), counts, theme),
        overview_figures.sheet([(label, 24_000, glyphs) for label in labels[:100]], theme),
    ):
        pixels = opened(png)
        assert pixels.shape[1] == round(drawing.WIDTH * drawing.DPI)
        border = [pixels[:1], pixels[-1:], pixels[:, :1], pixels[:, -1:]]
        assert all(near(edge, theme.paper).all() for edge in border)


def test_each_split_has_a_panel():
    one, three = (
        overview_figures.balance("AB", counted(2, **some)) for some in ({"train": 5}, dict.fromkeys("abc", 5))
    )
    panel = drawing.DPI * (overview_figures.TITLE + overview_figures.TALL + overview_figures.GAP)
    assert abs(opened(three).shape[0] - opened(one).shape[0] - 2 * panel) <= 2


def test_a_bar_is_as_tall_as_its_count_says():
    pixels = near(opened(overview_figures.balance("AB", {"train": np.array([100, 50])})), LIGHT.right)
    first, second = pixels[:, : pixels.shape[1] // 2], pixels[:, pixels.shape[1] // 2 :]
    assert abs(first.any(axis=1).sum() - 2 * second.any(axis=1).sum()) <= 2


def test_one_sample_beside_thousands_has_a_bar_and_none_has_none():
    pixels = near(opened(overview_figures.balance("ABC", {"train": np.array([24_000, 1, 0])})), LIGHT.right)
    left = round(overview_figures.LEFT * drawing.DPI)
    first, second, third = np.array_split(pixels[:, left:], 3, axis=1)
    assert first.any(axis=1).sum() > second.any(axis=1).sum() > 2
    assert not third.any()


def test_a_sheet_shows_every_glyph_upright():
    """A glyph lit in its top left quarter is lit there on the sheet."""
    glyph = np.zeros((28, 28), np.uint8)
    glyph[:14, :14] = 255
    pixels = opened(overview_figures.sheet([("A", 12, np.stack([glyph] * 12))]))
    half = pixels[:, : pixels.shape[1] // 2]
    black = (half < 5).all(axis=2)
    rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black[black.any(axis=1)].any(axis=0))
    lower = half[rows[-1] - 2 : rows[-1], columns[0] : columns[-1]]
    upper = half[rows[0] + 2, columns[0] : columns[-1]]
    assert lower.max() < 100 or (lower < 100).mean() > 0.9
    assert 0.3 < (upper > 200).all(axis=-1).mean() < 0.7


def test_the_same_picture_is_the_same_file():
    assert overview_figures.balance("AB", counted(2, train=3)) == overview_figures.balance("AB", counted(2, train=3))
