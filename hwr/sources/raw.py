"""The image files behind inputs, for whoever copies them."""

from collections.abc import Sequence

import cv2
import pyarrow as pa

from hwr.errors import Reject
from hwr.sources import FILES, Source
from hwr.sources.files import raw_bytes
from hwr.sources.image_archive import ImageArchive


class Files:
    """Gives the image file of an input by its id; asked in the order of the parts, it holds one part at a time."""

    def __init__(self, source: Source, parts: Sequence[pa.Table]) -> None:
        """Begin at the first part.

        Args:
            source: Where the inputs come from.
            parts: Its index, cut into parts.
        """
        self._source, self._parts = source, iter(parts)
        self._part, self._places = pa.table({}), dict[str, int]()

    def __call__(self, key: str) -> bytes | None:
        """The bytes of an input's file, a PNG where it lies in a table; None where there is none to be read."""
        while key not in self._places:
            self._part = next(self._parts)
            self._places = {name: place for place, name in enumerate(self._part["key"].to_pylist())}
        row = self._part.slice(self._places[key], 1)
        return None if row["reason"][0].as_py() == "named-twice" else _file(self._source, row)


def _file(source: Source, row: pa.Table) -> bytes | None:
    name, size = row["file"][0].as_py(), row["size"][0].as_py()
    if isinstance(source, ImageArchive):
        return raw_bytes(source.archive, name, size)
    if isinstance(source, FILES):
        return raw_bytes(source.folder, name, size)
    image = next(source.read(row))
    return None if isinstance(image, Reject) else cv2.imencode(".png", image)[1].tobytes()
