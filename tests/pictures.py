"""Pictures that tests share, and ways to look at what comes of them."""

import gzip
import io
import os
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from hwr.errors import RejectError

DATA = Path(os.environ.get("HWR_DATA", ""))
needs_data = pytest.mark.skipif("HWR_DATA" not in os.environ, reason="HWR_DATA names no folder of real handwriting")


@cache
def digits():
    """100 real digits, dark on light, 96 x 96: scikit-learn's 8 x 8 ones, smoothly enlarged on a margin."""
    small = (load_digits().images[:100] * (255 / 16)).astype(np.uint8)
    large = [cv2.resize(digit, (64, 64), interpolation=cv2.INTER_CUBIC) for digit in small]
    return 255 - np.pad(np.stack(large), ((0, 0), (16, 16), (16, 16)))


def encode(image, kind="PNG", **options):
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def reason(call, *args):
    with pytest.raises(RejectError) as caught:
        call(*args)
    return caught.value.reject.reason


def attempt(call, *args):
    """What the call returns, and None or the reason of its reject; anything else that it raises fails the test."""
    try:
        return call(*args), None
    except RejectError as error:
        return None, error.reject.reason


def idx(name):
    return np.frombuffer(gzip.decompress((DATA / name).read_bytes()), np.uint8, offset=16).reshape(-1, 28, 28)


def near(one, other):
    return float(np.abs(one.astype(int) - other).mean())


def read(source):
    """The index of a source, and what it reads of the rows that are not known rejects."""
    index = source.index()
    return index, list(source.read(index.filter(index["reason"].is_null())))


def lines(images, labels, end="\n", delimiter=","):
    """Images as lines of a table of pixels, the label first."""
    rows = np.column_stack([labels, images.reshape(len(images), -1)])
    return "".join(delimiter.join(map(str, row)) + end for row in rows.tolist())
