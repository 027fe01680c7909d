"""The quick confusion matrix puts each share into its cell, in the report's colours, for any number of classes."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from hwr.alphabet import NAMED
from hwr.report.pictures import figures
from hwr.report.pictures.confusion import confusion_picture
from hwr.report.pictures.drawing import LIGHT


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def colour(name: str) -> np.ndarray:
    return np.array([int(name[index : index + 2], 16) for index in (1, 3, 5)])


def cells(pixels: np.ndarray, classes: int) -> np.ndarray:
    """The colour (C, C, 3) in the middle of each cell."""
    side = 800 // classes
    lines = np.nonzero((pixels == colour(LIGHT.line)).all(axis=2).sum(axis=1) >= classes * side - 1)[0]
    margin = lines[0]
    middles = margin + side * np.arange(classes) + side // 2
    return pixels[np.ix_(middles, middles)]


@given(st.integers(1, 62).flatmap(lambda c: arrays(np.int64, (c, c), elements=st.integers(0, 1000))))
@settings(max_examples=20)
def test_each_cell_has_the_colour_of_its_share(counts):
    labels = NAMED["english62"][: len(counts)]
    wanted = (255 * figures.shades(counts, LIGHT)[1]).round()
    assert np.array_equal(cells(opened(confusion_picture(counts, list(labels))), len(counts)), wanted)


def test_rows_are_truths_and_scaled_to_their_own_size():
    counts = np.zeros((10, 10), np.int64)
    counts[0, 0], counts[1, 1], counts[2, 7] = 5, 5000, 3
    found = cells(opened(confusion_picture(counts, list("0123456789"))), 10)
    assert (found[0, 0] == colour(LIGHT.right)).all()
    assert (found[1, 1] == colour(LIGHT.right)).all()
    assert (found[2, 7] == colour(LIGHT.wrong)).all()
    assert (found[7, 2] == 255).all()


@pytest.mark.parametrize(
    "labels",
    ["A", NAMED["digits"], NAMED["emnist47"], NAMED["english62"], [str(i) for i in range(900)], ["", "漢", "word" * 9]],
)
def test_names_stand_on_all_sides_and_touch_no_edge(labels):
    pixels = opened(confusion_picture(np.eye(len(labels), dtype=np.int64), list(labels)))
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all()
    dark = (pixels < 100).all(axis=2)
    side = max(1, 800 // len(labels)) * len(labels)
    margin = (pixels.shape[1] - side) // 2
    bottom = dark[margin + side : 2 * margin + side]
    for strip in (dark[:margin], bottom, dark[:, :margin], dark[:, -margin:]):
        assert strip.any()
