"""Folders of image files: one folder a character, or one flat folder without labels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from hwr.errors import Reject
from hwr.sources.base import Image
from hwr.sources.files import problem, read_files, written
from hwr.sources.layout import File, Layout
from hwr.storage import Folder, is_clutter


@dataclass(frozen=True)
class ImageFolder:
    """All files below a folder, labelled by the folders in it as `Layout` says.

    The id of a file is its path relative to the folder, with ``/``.

    Attributes:
        folder: The top.
        labels: Folder name to label, where not every name is a label; otherwise the name is the label.
        writer_pattern: What finds the writer in a path; see `hwr.sources.files.writers`.
        needs_splits: Whether it must be clear which folders are splits.
    """

    folder: Folder
    labels: Mapping[str, str] | None = None
    writer_pattern: str | None = None
    needs_splits: bool = True

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.base

    def index(self) -> pa.Table:
        """One row a file, hidden ones left out; what is no image file, or lies outside the folder, is a reject.

        Raises:
            InputError: There is no such folder, no file in it, or it has folders of splits and of labels side by side.
        """
        self.folder.require()
        layout = Layout(self.folder.name, self.labels, self.writer_pattern, needs_splits=self.needs_splits)
        return layout.index(self._files())

    def _files(self) -> Iterator[File]:
        for path, stamp in self.folder.walk():
            if is_clutter(path):
                continue
            size = int(stamp.split()[0])
            reason, detail = problem(self.folder, path, size)
            yield written(path) if reason == "bad-name" else path, size, stamp, reason, detail

    def read(self, rows: pa.Table) -> Iterator[Image | Reject]:
        """Decode each file."""
        yield from read_files(self.folder, rows["file"].to_pylist())
