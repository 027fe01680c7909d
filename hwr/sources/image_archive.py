"""Zip and tar archives of image files, read as if they were the folders that they unpack to."""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from hwr.archive import Archive
from hwr.errors import Reject
from hwr.sources.base import Image
from hwr.sources.files import problem, read_files, unsafe, written
from hwr.sources.layout import File, Layout
from hwr.storage import is_clutter


@dataclass(frozen=True)
class ImageArchive:
    """All files in an archive, labelled by the folders in it as `Layout` says. The id of a file is ``ARCHIVE!/PATH``.

    Attributes:
        archive: The archive.
    """

    archive: Archive

    @property
    def name(self) -> str:
        """The name of the archive."""
        return self.archive.name

    def index(self) -> pa.Table:
        """One row a file, hidden ones left out, in the archive's order: a packed one can only be read forwards.

        A path that leads out of the archive is a reject. Of two files with one path the later counts, as in unpacking.

        Raises:
            InputError: The archive is damaged, or has no file in it.
        """
        where = f"{self.archive.folder.name}/{self.name}"
        return Layout(where, inside=f"{self.name}!/", needs_splits=False).index(self._files())

    def _files(self) -> Iterator[File]:
        stamp = self.archive.stamp
        for path, size in self.archive.sizes().items():
            why = _unsafe(path)
            if why is None and is_clutter(posixpath.normpath(path)):
                continue
            reason, detail = why or problem(self.archive, path, size)
            yield written(path) if why or reason == "bad-name" else path, size, stamp, reason, detail

    def read(self, rows: pa.Table) -> Iterator[Image | Reject]:
        """Unpack and decode each file."""
        yield from read_files(self.archive, rows["file"].to_pylist())


def _unsafe(path: str) -> tuple[str, str] | None:
    return unsafe(path.replace("\\", "/"))  # so that what unpacks on Windows cannot leave its root either
