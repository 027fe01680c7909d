"""Sheets show every glyph upright and in whole pixels, with captions that fit and tell errors by their colour."""

import numpy as np
import pytest

from hwr.report.pictures import drawing, sheets
from hwr.report.pictures.drawing import DARK, LIGHT, WIDTH
from hwr.report.pictures.pen import Pen, points
from tests.hwr.report.pixels import near, opened, untouched

ODD = ["<script>", "$x$", "😀", "漢字", " ", "\n", "\x00", "", "السلام", "word" * 60]


def patterned(side=28, seed=0):
    """A glyph of random grey pixels: no two sheets with it look the same by chance."""
    return np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)


def places(pixels, glyph, scale):
    """Where the top left corners of a glyph are, each of its pixels ``scale`` pixels wide and tall."""
    large = glyph.repeat(scale, axis=0).repeat(scale, axis=1)
    grey = pixels[..., 0]
    last = np.array(grey.shape) - len(large)
    alike = [
        grey[row : 1 + last[0] + row, column : 1 + last[1] + column] == large[row, column]
        for row, column in np.random.default_rng(0).integers(0, len(large), (4, 2))
    ]
    corners = np.argwhere(np.logical_and.reduce(alike))
    return [
        (row, column) for row, column in corners.tolist()
        if (pixels[row : row + len(large), column : column + len(large)] == large[..., None]).all()
    ]  # fmt: skip


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("count", [0, 1, 10, 11, 60])
def test_a_sheet_of_any_number_of_glyphs_is_as_wide_as_the_page_and_touches_no_edge(theme, count):
    glyphs = [(patterned(), f"{name} → {name}", name) for name in (ODD * 6)[:count]]
    for title in ("mistakes", "word " * 90, "漢\n"):
        pixels = opened(sheets.sheet(title, glyphs, theme))
        assert pixels.shape[1] == round(WIDTH * drawing.DPI)
        assert untouched(pixels, theme.paper)


@pytest.mark.parametrize(
    ("side", "scale", "columns"), [(8, 14, 10), (28, 4, 10), (32, 3, 10), (64, 1, 10), (200, 1, 6), (2000, 1, 1)]
)
def test_every_glyph_is_enlarged_by_a_whole_factor_upright_and_unsmoothed(side, scale, columns):
    glyphs = [patterned(side, seed) for seed in range(columns + 1)]
    pixels = opened(sheets.sheet("all", [(glyph, "A", "98.2 %") for glyph in glyphs]))
    found = [places(pixels, glyph, scale) for glyph in glyphs]
    assert all(len(corners) == 1 for corners in found)
    tops, lefts = np.array(found)[:, 0].T
    assert (np.diff(lefts[:columns]) >= side * scale).all()
    assert (tops[:columns] == tops[0]).all()
    assert tops[-1] > tops[0] + side * scale
    assert lefts[-1] == lefts[0]
    assert untouched(pixels, LIGHT.paper)


def test_long_captions_get_wider_columns_in_place_of_letters_that_nobody_can_read(monkeypatch):
    sizes = []
    write = Pen.write
    monkeypatch.setattr(Pen, "write", lambda pen, *args, **more: sizes.append(args[2]) or write(pen, *args, **more))
    caption = f"{'character_11_taamatar'} → {'character_7_chha'}"
    pixels = opened(sheets.sheet("all", [(patterned(), caption, "98.2 %")] * 8))
    assert min(sizes) >= 0.97 * points(sheets.SMALLEST)
    assert untouched(pixels, LIGHT.paper)


@pytest.mark.parametrize("labels", ["ab", "\u0633\u0634", ["\u0633\u0644\u0627\u0645", "\u0634\u0643\u0631\u0627"]])
def test_the_truth_stands_left_of_the_arrow_whichever_way_its_script_runs(labels, monkeypatch):
    written = {}
    monkeypatch.setattr(Pen, "write", lambda *args, **_: written.update({args[2]: args[1][0]}))
    truth, predicted = labels
    for draw in (
        lambda: sheets.sheet("all", [(patterned(), f"{truth} → {predicted}", "98.2 %")]),
        lambda: sheets.pairs([(truth, predicted, 3, [])], {}),
    ):
        written.clear()
        draw()
        assert written[truth] < written[sheets.ARROW] < written[predicted]


def test_a_caption_with_an_arrow_has_the_colour_of_errors_and_no_other_has():
    wrong, right = (opened(sheets.sheet("all", [(patterned(), first, "98.2 %")])) for first in ("O → 0", "O"))
    assert near(wrong, LIGHT.wrong).any()
    assert not near(right, LIGHT.wrong).any()


@pytest.mark.parametrize("labels", ["0O", "Il", "1l", "\n\t", "漢字"])
def test_labels_that_look_alike_or_cannot_be_seen_differ_on_a_sheet(labels):
    first, second = (sheets.sheet("all", [(patterned(), label, "")]) for label in labels)
    assert first != second


def test_a_space_is_made_visible_as_a_label_and_stays_a_space_in_words():
    def caption(text):
        return sheets.sheet("all", [(patterned(), text, "")])

    assert caption(" ") == caption("␣") != caption("")
    assert caption("  → 0") == caption("␣ → 0")
    assert caption("98.2 %") != caption("98.2␣%")


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("side", [8, 28, 200])
@pytest.mark.parametrize("count", [0, 1, 20])
def test_pairs_of_any_labels_stand_on_their_theme_and_touch_no_edge(theme, side, count):
    labels = (ODD * 2)[:count]
    rows = [(label, labels[-1], 10**index, [patterned(side)] * (index % 7)) for index, label in enumerate(labels)]
    pixels = opened(sheets.pairs(rows, {label: patterned(side) for label in ODD[::2]}, theme))
    assert pixels.shape[1] == round(WIDTH * drawing.DPI) or side == 200
    assert untouched(pixels, theme.paper)


def test_a_pair_shows_four_examples_and_a_right_one_of_each_of_its_characters():
    wrong = [patterned(28, seed) for seed in range(6)]
    right = {label: patterned(28, 10 + number) for number, label in enumerate("O0X")}
    pixels = opened(sheets.pairs([("O", "0", 12, wrong)], right))
    found = [places(pixels, glyph, 4) for glyph in (*wrong[:4], right["O"], right["0"])]
    assert all(len(corners) == 1 for corners in found)
    rows, columns = np.array(found)[:, 0].T
    assert len(set(rows)) == 1
    assert (np.diff(columns) >= 28 * 4).all()
    assert not [places(pixels, glyph, 4) for glyph in (*wrong[4:], right["X"]) if places(pixels, glyph, 4)]


def test_each_pair_has_its_row_in_the_order_given_and_one_without_references_stays_blank():
    first, second = patterned(28, 1), patterned(28, 2)
    pixels = opened(sheets.pairs([("O", "0", 12, [first]), ("I", "l", 1, [second])], {}))
    [(upper, left)], [(lower, same)] = places(pixels, first, 4), places(pixels, second, 4)
    assert upper + 28 * 4 < lower
    assert left == same
    assert not near(pixels, LIGHT.right).any()


def test_the_count_and_both_characters_are_said():
    def drawn(*pair):
        return sheets.pairs([(*pair, [patterned()])], {})

    assert len({drawn("O", "0", 12), drawn("0", "O", 12), drawn("O", "0", 1), drawn("I", "l", 12)}) == 4
    assert near(opened(drawn("O", "0", 12)), LIGHT.wrong).any()
