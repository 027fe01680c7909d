"""Files that are named one by one: which of them are there, and may be read, and what is known of each."""

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from hwr.archive import Archive
from hwr.sources.base import index_of, official_split, pieces
from hwr.sources.files import is_inside, problem, unsafe, writers
from hwr.sources.labels import by_name, labelled
from hwr.storage import Folder

Line = tuple[str, str]
"""The path that a line names, and its raw label; either may be empty."""


class _Found(NamedTuple):
    """What is known of one line's file before it is opened."""

    size: int
    stamp: str
    reason: str | None
    detail: str | None


@dataclass
class Named:
    """Looks up the files that the lines of one list name; a file that an earlier line names is a reject.

    Attributes:
        images: The folder or archive that the paths start from.
        file: The name of the list.
        labels: Raw label to character, where not every label is one; otherwise the label is the character.
        writer_pattern: What finds the writer in a path; see `hwr.sources.files.writers`.
    """

    images: Folder | Archive
    file: str
    labels: Mapping[str, str] | None = None
    writer_pattern: str | None = None
    _seen: set[str] = field(default_factory=set)
    _lines: int = 0

    def index(self, lines: Iterable[Line]) -> pa.Table:
        """One row a line; the key is the path or, in an archive, ``ARCHIVE!/PATH``, and ``LIST#LINE`` without one."""
        index = pa.concat_tables([self._piece(piece) for piece in pieces(lines)])
        if isinstance(self.images, Folder):
            return index
        # In the order of the archive: a packed one can only be read forwards.
        place = {path: number for number, path in enumerate(self.images.sizes())}
        paths = index["file"].to_pylist()
        return index.take(sorted(range(len(paths)), key=lambda row: place.get(paths[row], -1)))

    def finds_any(self, paths: Sequence[str]) -> bool:
        """Whether any of the files is there, and may be read."""
        return any(one.reason is None for one in self._look(paths))

    def _piece(self, lines: list[Line]) -> pa.Table:
        paths = [path for path, _ in lines]
        label = labelled(np.array([label for _, label in lines], object), by_name(self.labels))
        inside = f"{self.images.name}!/" if isinstance(self.images, Archive) else ""
        found = self._look(paths)
        before, self._lines = self._lines, self._lines + len(lines)
        return index_of(
            len(lines),
            key=[f"{inside}{path}" if path else f"{self.file}#{row}" for row, path in enumerate(paths, before)],
            label=label["label"],
            split=official_split(self.file),
            writer=writers(paths, self.writer_pattern),
            file=paths,
            size=[one.size for one in found],
            stamp=[one.stamp for one in found],
            reason=pc.coalesce(pa.array([one.reason for one in found], pa.string()), label["reason"]),
            detail=pc.coalesce(pa.array([one.detail for one in found], pa.string()), label["detail"]),
        )

    def _look(self, paths: Sequence[str]) -> list[_Found]:
        """Each file's size and stamp, and what is wrong with it, in the order of the lines."""
        bad = {path: _bad(path) for path in paths}
        safe = [path for path, why in bad.items() if why is None]
        known = (
            self._archived(self.images, safe) if isinstance(self.images, Archive) else self._filed(self.images, safe)
        )
        found = []
        for path in paths:
            why = bad[path]
            if why:
                found.append(_Found(0, "", *why))
            elif path in self._seen:
                found.append(_Found(0, "", "named-twice", "an earlier line names the same file"))
            else:
                found.append(known[path])
            self._seen.add(path)
        return found

    @staticmethod
    def _archived(archive: Archive, paths: Sequence[str]) -> dict[str, _Found]:
        sizes, stamp = archive.sizes(), archive.stamp
        missing = _Found(0, stamp, "missing", f"{archive.name} has no such file")
        return {
            path: _Found(sizes[path], stamp, *problem(archive, path, sizes[path])) if path in sizes else missing
            for path in paths
        }

    @staticmethod
    def _filed(folder: Folder, paths: Sequence[str]) -> dict[str, _Found]:
        with folder.asked():
            infos = folder.fs.get_file_info([f"{folder.path}/{path}" for path in paths])
        inside = {above: is_inside(folder, above) for above in {posixpath.dirname(path) for path in paths}}
        found = {}
        for path, info in zip(paths, infos, strict=True):
            if not inside[posixpath.dirname(path)]:
                found[path] = _Found(0, "", "outside-folder", "a link that leads out of the folder")
            elif info.type == pafs.FileType.NotFound:
                found[path] = _Found(0, "", "missing", "there is no such file")
            else:
                size = info.size or 0
                found[path] = _Found(size, f"{size} {info.mtime_ns}", *problem(folder, path, size))
        return found


def clean(path: str) -> str:
    """A path as archives and folders spell it: with slashes, and without detours that stay inside."""
    return posixpath.normpath(path.replace("\\", "/")) if path else ""


def _bad(path: str) -> tuple[str, str] | None:
    return unsafe(path) if path else ("missing", "the line names no file")
