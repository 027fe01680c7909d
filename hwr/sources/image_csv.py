"""A CSV that names image files and says what is on them; the files lie in a folder, or in a zip or tar archive."""

import csv
import io
import itertools
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from hwr.archive import Archive
from hwr.errors import InputError, Reject
from hwr.sources.base import Image
from hwr.sources.files import SUFFIXES, read_files
from hwr.sources.named import Line, Named, clean
from hwr.spreadsheet import restore
from hwr.storage import Folder

_IMAGES = ("image", "images", "file", "filename", "file_name", "path", "filepath", "image_path", "img", "name")
_LABELS = ("label", "labels", "class", "character", "char", "target", "text")


@dataclass(frozen=True)
class ImageCsv:
    """The files that one CSV names. The id of a file is its path or, in an archive, ``ARCHIVE!/PATH``.

    Cells may be such as `hwr.spreadsheet.safe` makes them, and for an archive paths may be ids already: so the answers
    of a labelling, or a person's corrections of them, are read as they were written.

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
        return self._named().index(self.lines())

    def finds_any(self) -> bool:
        """Whether any of the first files that the CSV names is there."""
        return self._named().finds_any([path for path, _ in itertools.islice(self.lines(), 100)])

    def _named(self) -> Named:
        return Named(self.images, self.file, self.labels, self.writer_pattern)

    def read(self, rows: pa.Table) -> Iterator[Image | Reject]:
        """Decode each file."""
        yield from read_files(self.images, rows["file"].to_pylist())

    def lines(self) -> Iterator[Line]:
        """The path and the raw label of each line; a label is empty where there is no such column.

        Raises:
            InputError: The CSV is damaged, has no such columns, or names nothing.
        """
        where = f"{self.folder.name}/{self.file}"
        rows = _rows(self.folder.read_bytes(self.file), where)
        first = next(rows, [])
        header = [] if _names_a_file(first) else [name.strip() for name in first]
        first = next(rows, []) if header else first
        if not first:
            raise InputError(f"{where} names no files")
        image, label = self._columns(where, header, first)
        inside = f"{self.images.name}!/" if isinstance(self.images, Archive) else ""
        for row in itertools.chain([first], rows):
            path = restore(_cell(row, image).strip())
            yield clean(path.removeprefix(inside)), restore(_cell(row, label))

    def _columns(self, where: str, header: list[str], first: list[str]) -> tuple[int, int | None]:
        """The places of the paths and of the labels."""
        image = _column(where, header, self.image_column, _IMAGES, "--image-column")
        label = _column(where, header, self.label_column, _LABELS, "--label-column")
        if image is None and not header:
            image = next(place for place, cell in enumerate(first) if _names_a_file([cell]))
            label = next((place for place in range(len(first)) if place != image), None)
        if image is None:
            found = ", ".join(header)
            raise InputError(
                f"{where} has no column of file names among {found}: "
                "call it image, or name it to hwr ingest with --image-column"
            )
        if label is None and len(header) == 2:
            label = 1 - image
        return image, label


def _rows(data: bytes, where: str) -> Iterator[list[str]]:
    """The rows that are not empty, read as they are asked for."""
    try:
        text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")
        delimiter = _delimiter(data[: 1 << 16].decode(errors="replace"))
        yield from filter(None, csv.reader(text, delimiter=delimiter, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{where} is not a CSV file in UTF-8: {error}") from error


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
