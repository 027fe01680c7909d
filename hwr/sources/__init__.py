"""Where glyphs come from: one file a format, all behind one `Source`."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from hwr import archive
from hwr.archive import Archive
from hwr.errors import InputError
from hwr.sources import image_list
from hwr.sources.base import INDEX, Image, Source, fingerprint, read_glyphs
from hwr.sources.files import SUFFIXES
from hwr.sources.formats import Format, Raw, open_source
from hwr.sources.idx import Idx
from hwr.sources.image_archive import ImageArchive
from hwr.sources.image_folder import ImageFolder
from hwr.sources.image_list import ImageFile, ImageList
from hwr.sources.parquet import ParquetImages
from hwr.sources.samples import Samples
from hwr.storage import Folder, is_clutter

_READS = (
    f"give a folder, an archive ({', '.join(archive.ENDINGS)}), a list of files ({', '.join(image_list.ENDINGS)}), "
    f"Parquet (.parquet) or an image ({', '.join(SUFFIXES)})"
)

FILES = (ImageFolder, ImageList, ImageFile)
"""Sources whose inputs are image files, by paths below ``folder``."""

__all__ = [
    "FILES",
    "INDEX",
    "Format",
    "Idx",
    "Image",
    "ImageArchive",
    "ImageFile",
    "ImageFolder",
    "ImageList",
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


def read_by_id(images: Mapping[str, Any], listed: pa.Table, ids: Sequence[str], size: int) -> dict[str, Image]:
    """The glyphs of a few inputs by id, for reports; what can no longer be read is left out.

    Args:
        images: The ``images`` entry of a predictions manifest: ``location`` and ``split``.
        listed: What was labelled, as `INDEX`; nothing is listed anew.
        ids: Which inputs.
        size: Side of the glyphs, in pixels.

    Returns:
        Id to glyph (size, size) uint8.
    """
    rows = listed.filter(pc.is_in(listed["key"], pa.array(list(ids), pa.string())))
    try:
        source = open_images(images["location"], images["split"])
        if isinstance(source, Samples) and len(rows) and source.fingerprint != rows["stamp"][0].as_py():
            return {}  # made anew since: the same rows may be others
        glyphs, rejects = read_glyphs(source, rows, size)
    except InputError:
        return {}  # the folder has been moved or removed since; a report says so and stands without it
    found = zip(rows["key"].to_pylist(), glyphs, rejects, strict=True)
    return {key: image for key, image, reject in found if reject is None}


def open_images(location: str, split: str | None) -> Source:
    """Open what ``hwr label`` reads, a path or URI.

    - a samples folder that ``hwr ingest`` made, or one split of it;
    - a folder of Parquet files: some lie directly in it, or in its folder ``data`` as the Hugging Face hub has them,
      and there is no image file anywhere below; all that lie below are read;
    - any other folder: all image files below it (`ImageFolder`);
    - a zip or tar archive: all image files in it (`ImageArchive`);
    - a list of image files, ``.txt`` or ``.csv`` (`ImageList`);
    - a Parquet file, or a single image file.

    Raises:
        InputError: There is nothing, or nothing of these, or a split is asked of anything but a samples folder.
    """
    folder = Folder.open(location)
    kind = folder.kind()
    if kind not in (pafs.FileType.File, pafs.FileType.Directory):
        raise InputError(f"there is no file or folder {location}: {_READS}")
    if kind == pafs.FileType.Directory and Samples.is_samples(folder):
        return Samples(folder, split)
    if split is not None:
        raise InputError(f"--split {split} needs a samples folder, but {location} is not one that hwr ingest made")
    if kind == pafs.FileType.Directory:
        files = _only_parquet(folder)
        return ParquetImages(folder, files, needs_labels=False) if files else ImageFolder(folder, needs_splits=False)
    return _open_file(location)


def _open_file(location: str) -> Source:
    folder, name = Folder.file(location)
    lower = name.lower()
    if lower.endswith(archive.ENDINGS):
        return ImageArchive(Archive(folder, name))
    if lower.endswith(image_list.ENDINGS):
        return ImageList(folder, name)
    if lower.endswith(".parquet"):
        return ParquetImages(folder, (name,), needs_labels=False)
    if lower.endswith(SUFFIXES):
        return ImageFile(folder, name)
    raise InputError(f"{location} is none of the files that images are read from: {_READS}")


def _only_parquet(folder: Folder) -> tuple[str, ...]:
    """The Parquet files of a folder that is one of them, as `open_images` says; none of any other."""
    tops = dict(folder.look())
    if not any(map(_is_parquet, tops)) and not (tops.get("data") and any(map(_is_parquet, (folder / "data").names()))):
        return ()  # a folder of a million images is not walked twice
    found = []
    for path, _ in folder.walk():
        if is_clutter(path):
            continue
        if path.lower().endswith(SUFFIXES):
            return ()
        if _is_parquet(path):
            found.append(path)
    return tuple(sorted(found))


def _is_parquet(path: str) -> bool:
    return path.lower().endswith(".parquet") and not is_clutter(path)
