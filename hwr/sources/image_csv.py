"""A CSV that names image files and says what is on them; the files lie in a folder, or in a zip or tar archive."""

import csv
import io
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from hwr.archive import Archive
from hwr.errors import InputError, Reject
from hwr.sources.base import Image, index_of, official_split
from hwr.sources.files import SUFFIXES, is_inside, problem, read_files, writers
from hwr.sources.labels import by_name, labelled
from hwr.storage import Folder

_IMAGES = ("image", "images", "file", "filename", "file_name", "path", "filepath", "image_path", "img", "name")
_LABELS = ("label", "labels", "class", "character", "char", "target", "text")


class _Found(NamedTuple):
    """What is known of one line's file before it is opened."""

    size: int
    stamp: str
    reason: str | None
    detail: str | None


@dataclass(frozen=True)
class ImageCsv:
    """The files that one CSV names. The id of a file is its path or, in an archive, ``ARCHIVE!/PATH``.

    Attributes:
        folder: Where the CSV lies.
        file: Its name.
        images: The folder or archive that the paths in it start from.
        labels: Label in the CSV to character, where not every label is one; otherwise the label is the character.
        image_column: The name of the column with the paths; without it, the one of a usual name.
        label_column: The name of the column with the labels; without it, the one of a usual name.
        writer_pattern: What finds the writer in a path; see `hwr.sources.files.writers`.
    """

    folder: Folder
    file: str
    images: Folder | Archive
    labels: Mapping[str, str] | None = None
    image_column: str | None = None
    label_column: str | None = None
    writer_pattern: str | None = None

    @property
    def name(self) -> str:
        """The name of the CSV without its ending."""
        return posixpath.splitext(self.file)[0]

    def index(self) -> pa.Table:
        """One row a line of the CSV.

        Raises:
            InputError: The CSV is damaged, has no such columns, or names nothing.
        """
        paths, labels = self.lines()
        found, label = self._look(paths), labelled(np.array(labels, object), by_name(self.labels))
        inside = f"{self.images.name}!/" if isinstance(self.images, Archive) else ""
        index = index_of(
            len(paths),
            key=[f"{inside}{path}" if path else f"{self.file}#{row}" for row, path in enumerate(paths)],
            label=label["label"],
            split=official_split(self.file),
            writer=writers(paths, self.writer_pattern),
            file=paths,
            size=[one.size for one in found],
            stamp=[one.stamp for one in found],
            reason=pc.coalesce(pa.array([one.reason for one in found], pa.string()), label["reason"]),
            detail=pc.coalesce(pa.array([one.detail for one in found], pa.string()), label["detail"]),
        )
        if isinstance(self.images, Folder):
            return index
        # In the order of the archive: a packed one can only be read forwards.
        place = {path: number for number, path in enumerate(self.images.sizes())}
        return index.take(sorted(range(len(paths)), key=lambda row: place.get(paths[row], -1)))

    def finds_any(self) -> bool:
        """Whether any of the first files that the CSV names is there."""
        return any(one.reason is None for one in self._look(self.lines()[0][:100]))

    def read(self, rows: pa.Table) -> Iterator[Image | Reject]:
        """Decode each file."""
        yield from read_files(self.images, rows["file"].to_pylist())

    def lines(self) -> tuple[list[str], list[str]]:
        """The paths and the raw labels of the CSV, line by line; a label is empty where there is no such column.

        Raises:
            InputError: The CSV is damaged, has no such columns, or names nothing.
        """
        where = f"{self.folder.name}/{self.file}"
        try:
            text = self.folder.read_bytes(self.file).decode("utf-8-sig")
            rows = [row for row in csv.reader(io.StringIO(text), delimiter=_delimiter(text), strict=True) if row]
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{where} is not a CSV file in UTF-8: {error}") from error
        header = [name.strip() for name in rows[0]] if rows and not _names_a_file(rows[0]) else []
        body = rows[1:] if header else rows
        if not body:
            raise InputError(f"{where} names no files")
        image = _column(where, header, self.image_column, _IMAGES, "--image-column")
        label = _column(where, header, self.label_column, _LABELS, "--label-column")
        if image is None and not header:
            image = next(place for place, cell in enumerate(body[0]) if _names_a_file([cell]))
            label = next((place for place in range(len(body[0])) if place != image), None)
        if label is None and image is not None and len(header) == 2:
            label = 1 - image
        if image is None:
            raise InputError(f"{where} has no column of file names among {', '.join(header)}: name it (--image-column)")
        return [_clean(_cell(row, image)) for row in body], [_cell(row, label) for row in body]

    def _look(self, paths: Sequence[str]) -> list[_Found]:
        """Each file's size and stamp, and what is wrong with it, in the order of the lines."""
        unsafe = {path: _unsafe(path) for path in paths}
        safe = [path for path, why in unsafe.items() if why is None]
        known = (
            self._archived(self.images, safe) if isinstance(self.images, Archive) else self._filed(self.images, safe)
        )
        seen: set[str] = set()
        found = []
        for path in paths:
            why = unsafe[path]
            if why:
                found.append(_Found(0, "", *why))
            elif path in seen:
                found.append(_Found(0, "", "named-twice", "an earlier line names the same file"))
            else:
                found.append(known[path])
            seen.add(path)
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


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max((",", ";", "\t"), key=first.count)


def _names_a_file(row: Sequence[str]) -> bool:
    return any(cell.strip().lower().endswith(SUFFIXES) for cell in row)


def _column(where: str, header: list[str], wanted: str | None, usual: Sequence[str], flag: str) -> int | None:
    if wanted is not None:
        if wanted not in header:
            raise InputError(f"{where} has no column {wanted!r} for {flag}: it has {', '.join(header) or 'no header'}")
        return header.index(wanted)
    lower = [name.lower() for name in header]
    return next((lower.index(name) for name in usual if name in lower), None)


def _cell(row: Sequence[str], place: int | None) -> str:
    return row[place] if place is not None and place < len(row) else ""


def _clean(path: str) -> str:
    """A path as archives and folders spell it: with slashes, and without detours that stay inside."""
    path = path.strip().replace("\\", "/")
    return posixpath.normpath(path) if path else ""


def _unsafe(path: str) -> tuple[str, str] | None:
    if not path:
        return "missing", "the line names no file"
    if path.startswith(("/", "../")) or path == ".." or path[1:3] == ":/":
        return "outside-folder", "a path that leads out of the folder"
    if "\0" in path or len(path.encode()) > 4000 or any(len(part.encode()) > 255 for part in path.split("/")):
        return "bad-name", "a path that no file system has: too long, or with a null character"
    return None
