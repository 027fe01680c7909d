"""What a source is: first indexed (light, one row an input), then read (heavy, row by row)."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hwr import glyph, manifest
from hwr.errors import Reject

Image = npt.NDArray[np.uint8]

# Raw images are gathered up to this many pixels before they are made canonical, whatever the size of a part.
_PIXELS_AT_ONCE = 1 << 24

INDEX = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("split", pa.string()),
        pa.field("writer", pa.string()),
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("stamp", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
"""One row an input. ``key`` becomes the sample's id; ``split`` is official or null; ``file`` and ``row`` say where the
image lies, and ``stamp`` changes when that file does. A row whose ``reason`` is not null is already known to be a
reject and is never read."""


class Source(Protocol):
    """A set of images that can be listed cheaply and read in pieces, on any machine."""

    @property
    def name(self) -> str:
        """A short name for the ``source`` column."""

    def index(self) -> pa.Table:
        """All inputs, in a stable order, as `INDEX`."""

    def read(self, rows: pa.Table) -> Iterator[Image | Reject]:
        """The raw grey image (H, W) uint8 of each row, or why there is none, in the order of ``rows``."""


def fingerprint(index: pa.Table) -> str:
    """A hash of what an index lists, which changes with every input that is added, removed, renamed or changed."""
    return manifest.fingerprint(*(str(index[name].to_pylist()).encode() for name in ("key", "label", "split", "stamp")))


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
