"""What a source is: first indexed (light, one row an input), then read (heavy, row by row)."""

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hwr import glyph, manifest
from hwr.errors import Reject

Image = npt.NDArray[np.uint8]

_Item = TypeVar("_Item")

# Of the inputs that become an index, so many at a time are Python objects.
_INPUTS_AT_ONCE = 10_000

# Raw images are gathered up to this many pixels before they are made canonical, whatever the size of a part.
_PIXELS_AT_ONCE = 1 << 24

SPLIT_WORDS = {
    "train": "train", "training": "train", "trn": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test", "t10k": "test",
}  # fmt: skip
"""What files and folders of the splits are called."""

INDEX = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("split", pa.string()),
        pa.field("writer", pa.string()),
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("stamp", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
"""One row an input. ``key`` becomes the sample's id; ``split`` is official or null; ``file``, ``row`` (its number, or
the byte at which it begins) and ``size`` (in bytes, 0 if it is not known) say where the image lies, and ``stamp``
changes when that file does. A row whose ``reason`` is not null is already known to be a reject and is never read."""


def index_of(count: int, **columns: Any) -> pa.Table:
    """An index from those of its columns that are known.

    Args:
        count: How many inputs there are.
        columns: Arrays of one value an input, or one value for all; a column left out is null, and ``row`` and ``size``
            are 0.
    """
    filled = {"row": 0, "size": 0, **columns}
    return pa.table({field.name: _column(filled.get(field.name), count, field.type) for field in INDEX}, schema=INDEX)


def _column(values: Any, count: int, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.cast(kind)
    if values is None or isinstance(values, str | int):
        return pa.repeat(pa.scalar(values, kind), count)
    return pa.array(values, kind)


def pieces(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """The items, ten thousand at a time: an index made piece by piece holds a million inputs as Arrow alone."""
    rest = iter(items)
    while piece := list(itertools.islice(rest, _INPUTS_AT_ONCE)):
        yield piece


class Source(Protocol):
    """A set of images that can be listed cheaply and read in pieces, on any machine."""

    @property
    def name(self) -> str:
        """A short name for the ``source`` column."""

    def index(self) -> pa.Table:
        """All inputs, in a stable order, as `INDEX`."""

    def read(self, rows: pa.Table) -> Iterator[Image | Reject]:
        """The raw grey image (H, W) uint8 of each row, or why there is none, in the order of ``rows``."""


def numbered(name: str, count: int) -> pa.Array:
    """The keys of a file's rows: ``NAME#0``, ``NAME#1`` and so on."""
    return pc.binary_join_element_wise(name, pa.array(np.arange(count)).cast(pa.string()), "#")


def official_split(name: str) -> str | None:
    """The split that a file's name speaks of: ``train-images.idx3``, ``mnist_test.csv``, ``t10k``, ``x_val``."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), None)


def by_file(rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows, cut where another file begins."""
    names = rows["file"].to_pylist()
    start = 0
    for name, group in itertools.groupby(names):
        count = sum(1 for _ in group)
        yield name, rows.slice(start, count)
        start += count


def fingerprint(index: pa.Table) -> str:
    """A hash of what an index lists, which changes with every input that is added, removed, renamed or changed."""
    return manifest.fingerprint(
        *(part for name in ("key", "label", "split", "stamp") for part in _content(index[name]))
    )


def _content(texts: pa.ChunkedArray) -> tuple[bytes, bytes]:
    """All texts on end, and their lengths; a null has a length that no text has."""
    whole = texts.combine_chunks().cast(pa.large_string())
    joined = pc.binary_join(
        pa.LargeListArray.from_arrays([0, len(whole)], pc.fill_null(whole, "")), pa.scalar("", pa.large_string())
    )
    lengths = pc.fill_null(pc.binary_length(whole), -1)
    return joined[0].as_buffer().to_pybytes(), lengths.to_numpy().astype("<i8").tobytes()


def read_glyphs(source: Source, rows: pa.Table, size: int) -> tuple[Image, list[Reject | None]]:
    """Read inputs and bring them into canonical form.

    Ingest and labelling both come through here, so what a model learns from and what it sees later cannot differ.

    Args:
        source: Where the rows come from.
        rows: Part of ``source.index()``.
        size: Side of the canonical glyph, in pixels.

    Returns:
        Glyphs (N, size, size) uint8, and for each its reject or None. A rejected glyph is all zero.
    """
    read = source.read(rows.filter(pc.is_null(rows["reason"])))
    marks = zip(rows["reason"].to_pylist(), rows["detail"].to_pylist(), strict=True)
    return _canonical((Reject(why, detail or "") if why else next(read) for why, detail in marks), size)


def _canonical(images: Iterable[Image | Reject], size: int) -> tuple[Image, list[Reject | None]]:
    batches, rejects = [np.zeros((0, size, size), np.uint8)], []
    for chunk in _chunks(images):
        good = [image for image in chunk if not isinstance(image, Reject)]
        glyphs, found = glyph.canonical_batch(good, size)
        whole = np.zeros((len(chunk), size, size), np.uint8)
        whole[[not isinstance(image, Reject) for image in chunk]] = glyphs
        outcome = iter(found)
        rejects += [image if isinstance(image, Reject) else next(outcome) for image in chunk]
        batches.append(whole)
    return np.concatenate(batches), rejects


def _chunks(images: Iterable[Image | Reject]) -> Iterator[list[Image | Reject]]:
    chunk: list[Image | Reject] = []
    pixels = 0
    for image in images:
        chunk.append(image)
        pixels += 0 if isinstance(image, Reject) else image.size
        if pixels >= _PIXELS_AT_ONCE:
            yield chunk
            chunk, pixels = [], 0
    if chunk:
        yield chunk
