"""A sheet of variations shows every glyph exactly, one row a glyph, the original apart."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hwr.report.pictures.variations import GAP, SIDE, sheet


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def enlarged(glyph: np.ndarray, scale: int) -> np.ndarray:
    return np.repeat(glyph.repeat(scale, axis=0).repeat(scale, axis=1)[..., None], 3, axis=2)


@given(st.integers(1, 4), st.integers(1, 6), st.sampled_from([8, 28, 32, 64]), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_originals_and_variations_stand_in_their_places_pixel_for_pixel(rows, count, size, seed):
    rng = np.random.default_rng(seed)
    originals = rng.integers(1, 255, (rows, size, size), dtype=np.uint8)
    variations = rng.integers(1, 255, (rows, count, size, size), dtype=np.uint8)
    scale = -(-SIDE // size)
    side = scale * size
    pixels = opened(sheet(originals, variations, ["A"] * rows))
    step = side + GAP // 4
    first = pixels.shape[1] - GAP - count * step
    for row in range(rows):
        top = GAP + row * (side + GAP)
        band = pixels[top : top + side]
        left = first - 3 * GAP - side
        assert np.array_equal(band[:, left : left + side], enlarged(originals[row], scale))
        assert (band[:, left + side : first] == 255).all()
        for place in range(count):
            begin = first + place * step
            assert np.array_equal(band[:, begin : begin + side], enlarged(variations[row, place], scale))


@pytest.mark.parametrize("label", ["A", " ", "\x00", "漢", "word" * 9])
def test_each_row_has_its_character_and_nothing_touches_an_edge(label):
    glyphs = np.full((2, 28, 28), 255, np.uint8)
    pixels = opened(sheet(glyphs, np.stack([glyphs] * 3, axis=1), [label, "B"]))
    for row in (0, 1):
        assert (pixels[GAP + row * (56 + GAP) :][:56] < 100).any()
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all()
