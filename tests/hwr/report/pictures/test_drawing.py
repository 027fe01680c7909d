"""What pictures share: glyphs keep their pixels and every label has something to show."""

import io

import numpy as np
import pytest
from PIL import Image

from hwr.report.pictures import drawing
from hwr.report.pictures.drawing import LIGHT


def test_a_glyph_keeps_its_pixels():
    image = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(drawing.glyph(image)))), image)


@pytest.mark.parametrize(
    ("label", "shown"),
    [("A", "A"), (" ", "␣"), ("漢", "U+6F22"), ("\n", "U+000A"), ("$x$", "$x$"), ("upper_case_of_a", "upper_case_…")],
)
def test_labels_are_made_printable(label, shown):
    assert drawing.printable(label) == shown


@pytest.mark.parametrize(("text", "shown"), [("98.2 % of it", "98.2 % of it"), ("漢", "U+6F22"), ("a\nb", "aU+000Ab")])
def test_words_keep_their_spaces_and_show_what_has_no_shape(text, shown):
    assert drawing.written(text) == shown


@pytest.mark.parametrize("values", [[1.0], [0.0], [0.0, 1.0], [0.99987, 1.0], [0.5, 0.50001], [0.2, 0.95]])
def test_a_zoomed_axis_holds_its_values_and_has_lines_only_from_0_to_100_per_cent(values):
    _, axes = drawing.canvas(LIGHT, 3)
    drawing.zoom(axes, np.array(values))
    bottom, top = axes.get_ylim()
    ticks = axes.get_yticks()
    assert bottom < min(values) <= max(values) < top
    assert len(ticks) >= 2
    assert max(bottom, 0) <= ticks.min() < ticks.max() <= min(top, 1)
    names = [drawing.per_cent(tick) for tick in ticks]
    assert len(set(names)) == len(names)


def test_a_blend_goes_from_the_paper_to_the_colour():
    assert [drawing.blend(LIGHT, LIGHT.right, strength) for strength in (0, 1)] == [LIGHT.paper, LIGHT.right]
