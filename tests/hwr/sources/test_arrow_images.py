"""Lists of grey values of any shape are images or rejects, never anything else."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hwr.errors import Reject
from hwr.sources.arrow_images import is_images, read_images

LISTS = {"list": pa.list_, "large": pa.large_list}
VALUES = {
    "uint8": (pa.uint8(), st.integers(0, 255)),
    "int16": (pa.int16(), st.integers(-300, 300)),
    "uint64": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "float32": (pa.float32(), st.floats(width=32)),
    "float64": (pa.float64(), st.floats(-0.1, 1.1)),
}


def images(values, kind, start=0):
    """What comes of some rows, of which the first are cut off, as in a piece of a larger column."""
    column = pa.array(values, kind).slice(start)
    read = read_images(column, pa.field("image", kind))
    return [read(row) for row in range(len(column))]


def grey(values):
    """The slow and plain way: value by value."""
    flat = np.array(values, object).reshape(-1)
    if not all(value is not None and 0 <= value <= (1 if isinstance(value, float) else 255) for value in flat):
        return None
    return [round(float(np.rint(value * 255))) if isinstance(value, float) else value for value in flat]


@given(st.data(), st.sampled_from(sorted(VALUES)), st.sampled_from(sorted(LISTS)), st.integers(0, 3))
def test_a_flat_list_is_a_square_image_or_says_why_not(data, kind, lists, start):
    number, values = VALUES[kind]
    rows = data.draw(st.lists(st.none() | st.lists(st.none() | values, max_size=10), min_size=start, max_size=12))
    for row, found in zip(rows[start:], images(rows, LISTS[lists](number), start), strict=True):
        if row is None:
            assert found == Reject("missing")
        elif len(row) not in (1, 4, 9):
            assert found == Reject("wrong-length", f"{len(row)} values are no square")
        elif (expected := grey(row)) is None:
            assert found.reason == "out-of-range"
        else:
            assert found.shape == (math.isqrt(len(row)),) * 2
            assert found.dtype == np.uint8
            assert found.reshape(-1).tolist() == expected


@given(st.lists(st.none() | st.lists(st.none() | st.lists(st.integers(0, 255), max_size=3), max_size=3), max_size=9))
def test_nested_lists_are_images_where_their_lengths_agree(rows):
    for row, found in zip(rows, images(rows, pa.list_(pa.list_(pa.uint8()))), strict=True):
        if row is None:
            assert found == Reject("missing")
        elif row and None not in row and len({len(line) for line in row}) == 1 and row[0]:
            assert found.tolist() == row
        else:
            assert found.reason == "wrong-length"


@given(hnp.arrays(np.uint8, st.tuples(*[st.integers(1, 4)] * 4)))
def test_a_channel_may_come_first_or_last(pixels):
    kind = pa.list_(pa.list_(pa.list_(pa.uint8())))
    for image, found in zip(pixels, images(pixels.tolist(), kind), strict=True):
        if 1 in (image.shape[0], image.shape[2]):
            assert np.array_equal(found.reshape(-1), image.reshape(-1))
            assert found.shape == (image.shape[:2] if image.shape[2] == 1 else image.shape[1:])
        else:
            assert found == Reject("wrong-length", " x ".join(map(str, image.shape)) + " values are no grey image")


def test_a_picture_that_is_too_large_is_a_reject():
    column = pa.ListArray.from_arrays([0, 50_000_001], pa.array(np.zeros(50_000_001, np.uint8)))
    found = read_images(column, pa.field("image", column.type))(0)
    assert found == Reject("too-large", "50,000,001 pixels, more than 50,000,000")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pa.binary(), True), (pa.large_binary(), True), (pa.binary_view(), True), (pa.string(), False),
        (pa.list_(pa.uint8()), True), (pa.list_(pa.string()), False), (pa.list_(pa.bool_()), False),
        (pa.list_(pa.uint8(), 784), True), (pa.list_(pa.float32(), 512), False), (pa.uint8(), False),
        (pa.list_(pa.list_(pa.list_(pa.list_(pa.uint8())))), False), (pa.null(), False),
        (pa.fixed_shape_tensor(pa.uint8(), [28, 20]), True), (pa.fixed_shape_tensor(pa.uint8(), [28, 28, 3]), False),
        (pa.fixed_shape_tensor(pa.float32(), [1, 28, 28]), True), (pa.struct([("path", pa.string())]), False),
        (pa.struct([("bytes", pa.binary()), ("path", pa.string())]), True), (pa.struct([("bytes", pa.int8())]), False),
        (pa.uuid(), False),
    ],
)  # fmt: skip
def test_what_can_be_an_image_is_known_by_its_type(kind, expected):
    assert is_images(pa.field("image", kind)) == expected
