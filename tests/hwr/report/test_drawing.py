"""What pictures share: glyphs keep their pixels and every label has something to show."""

import io

import numpy as np
import pytest
from PIL import Image

from hwr.report import drawing


def test_a_glyph_keeps_its_pixels():
    image = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(drawing.glyph(image)))), image)


@pytest.mark.parametrize(
    ("label", "shown"),
    [("A", "A"), (" ", "␣"), ("漢", "U+6F22"), ("\n", "U+000A"), ("$x$", "$x$"), ("upper_case_of_a", "upper_case_…")],
)
def test_labels_are_made_printable(label, shown):
    assert drawing.printable(label) == shown
