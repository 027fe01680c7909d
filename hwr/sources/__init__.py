"""Where glyphs come from: one file a format, all behind one `Source`."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hwr.errors import InputError
from hwr.sources.base import INDEX, Image, Source, fingerprint, read_glyphs
from hwr.sources.formats import Format, Raw, open_source
from hwr.sources.idx import Idx
from hwr.sources.image_folder import ImageFolder
from hwr.sources.parquet import ParquetImages
from hwr.sources.samples import Samples
from hwr.storage import Folder

__all__ = [
    "INDEX",
    "Format",
    "Idx",
    "Image",
    "ImageFolder",
    "ParquetImages",
    "Raw",
    "Samples",
    "Source",
    "fingerprint",
    "open_images",
    "open_source",
    "read_by_id",
    "read_glyphs",
]


def read_by_id(images: Mapping[str, Any], ids: Sequence[str], size: int) -> dict[str, Image]:
    """The glyphs of a few inputs by id, for reports; what can no longer be read is left out.

    Args:
        images: The ``images`` entry of a predictions manifest: ``location``, ``source`` and ``split``.
        ids: Which inputs.
        size: Side of the glyphs, in pixels.

    Returns:
        Id to glyph (size, size) uint8.
    """
    try:
        source = open_images(images["location"], images["split"])
        index = source.index()
    except InputError:
        return {}  # the folder has been moved or removed since; a report says so and stands without it
    rows = index.filter(pc.is_in(index["key"], pa.array(list(ids), pa.string())))
    glyphs, rejects = read_glyphs(source, rows, size)
    found = zip(rows["key"].to_pylist(), glyphs, rejects, strict=True)
    return {key: image for key, image, reject in found if reject is None}


def open_images(location: str, split: str | None) -> Source:
    """Open what ``hwr label`` reads: a folder of images, or (with a split) a samples folder.

    Raises:
        InputError: There is no such folder, or a split is asked of a folder of images.
    """
    folder = Folder.open(location)
    folder.require()
    if Samples.is_samples(folder):
        return Samples(folder, split)
    if split is not None:
        raise InputError(f"--split {split} needs a samples folder, but {location} is not one that hwr ingest made")
    return ImageFolder(folder)
