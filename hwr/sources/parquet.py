"""Parquet files with a column of images, as the Hugging Face hub, Ray Data, pandas and `hwr ingest` write them.

Format: https://parquet.apache.org/docs/file-format/. What an image may be is told in `hwr.sources.arrow_images`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hwr import object_store
from hwr.errors import InputError, Reject, one_line
from hwr.sources.arrow_images import read_images
from hwr.sources.base import SPLIT_WORDS, Image, index_of, numbered
from hwr.sources.labels import by_name
from hwr.sources.parquet_columns import Columns, choose_columns, is_text
from hwr.storage import Folder

_DIGITS = dict(enumerate("0123456789"))
_MOST_ROWS, _ROWS_AT_ONCE, _BYTES_AT_ONCE = 1 << 30, 256, 1 << 25


@dataclass(frozen=True)
class ParquetImages:
    """Parquet files with the same columns of images and labels.

    Where it is not named, the image column is the only one that can be one, or the only such one with a usual name
    (image, img, picture, png, jpg, bytes, pixels), and the label column is the first of label, labels, class,
    character, char, target, text and y that holds text or numbers; case does not matter. Columns ``split`` and
    ``writer`` are taken where they are found. Without ``split``, the name of a file, or of a folder that it lies in,
    says it: ``train-00000-of-00001.parquet``, ``mnist_test.parquet``, ``validation/0000.parquet``.

    Attributes:
        folder: Where the files lie.
        files: Their names relative to the folder, with ``/``, sorted.
        characters: Class number to character. None takes the names that the hub keeps in the file, or else digits.
            Labels that are text are the characters themselves.
        image_column: Name of the image column; None finds it.
        label_column: Name of the label column; None finds it.
        needs_labels: Whether an image whose label is no character is a reject; otherwise it has no label.
    """

    folder: Folder
    files: tuple[str, ...]
    characters: Mapping[int, str] | None = None
    image_column: str | None = None
    label_column: str | None = None
    needs_labels: bool = True

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.base

    def index(self) -> pa.Table:
        """One row an image, from footers and the columns of labels, splits and writers alone.

        Raises:
            InputError: There are no files or no rows, a file is damaged, or a column is missing, not clear or not the
                same in all files.
        """
        self.folder.require()
        if not self.files:
            raise InputError(f"{self.folder.name} has no Parquet files: expected files such as train-00000.parquet")
        first, tables = None, []
        for name in self.files:
            file, columns = self._open(name)
            first = first or columns
            if columns != first:
                raise InputError(f"{self.folder.name}/{name} has {columns}, but {self.files[0]} has {first}")
            tables.append(self._index_file(name, file, columns))
        index = pa.concat_tables(tables)
        if not len(index):
            raise InputError(f"{self.folder.name} holds no images: its Parquet files have 0 rows")
        return index

    def _open(self, name: str) -> tuple[pq.ParquetFile, Columns]:
        with _readable(self.folder, name):
            # Buffered, not read ahead: a row group may be larger than the memory.
            source = self.folder.fs.open_input_file(f"{self.folder.path}/{name}")
            file = pq.ParquetFile(source, pre_buffer=False, buffer_size=1 << 22, page_checksum_verification=True)
            schema = file.schema_arrow
        return file, choose_columns(schema, self.image_column, self.label_column, f"{self.folder.name}/{name}")

    def _index_file(self, name: str, file: pq.ParquetFile, columns: Columns) -> pa.Table:
        count = file.metadata.num_rows
        if not 0 <= count <= _MOST_ROWS:
            raise InputError(f"{self.folder.name}/{name} says that it holds {count:,} images: at most {_MOST_ROWS:,}")
        with _readable(self.folder, name):
            table = file.read([column for column in (columns.label, columns.split, columns.writer) if column])
        if len(table) != count:
            raise InputError(f"{self.folder.name}/{name} is damaged: it says {count:,} rows, but holds {len(table):,}")
        official = splits = _official_split(name)
        labels, details, writers = (pa.nulls(count, pa.string()) for _ in range(3))
        if columns.label:
            labels = _mapped(table[columns.label], lambda value: self._character(value, columns.names)[0])
        if columns.label and self.needs_labels:
            details = _mapped(table[columns.label], lambda value: self._character(value, columns.names)[1])
        if columns.split:
            splits = _mapped(table[columns.split], lambda value: SPLIT_WORDS.get(value.lower()) if value else official)
        if columns.writer:
            writers = _mapped(table[columns.writer], lambda value: None if value is None else str(value))
        return index_of(
            count,
            key=numbered(name, count),
            label=labels,
            split=splits,
            writer=writers,
            file=name,
            row=np.arange(count),
            stamp=self.folder.stamp(name),
            reason=pc.if_else(pc.is_valid(details), "unknown-label", pa.scalar(None, pa.string())),
            detail=details,
        )

    def _character(self, value: str | float | None, names: Sequence[str] | None) -> tuple[str | None, str | None]:
        """The character of one label, or what is wrong with it; neither where the image has no label."""
        if value is None or value == "" or value != value:  # noqa: PLR0124 - pandas writes no number as NaN
            return None, None
        if isinstance(value, str):
            if "\ufffd" in value:
                return None, "not UTF-8 text"
            labels = None if self.characters is None else {label: label for label in self.characters.values()}
            return by_name(labels)(value)
        if names is not None and value == -1:  # so the hub writes that there is no label
            return None, None
        own = dict(enumerate(names)) if names else _DIGITS
        characters = own if self.characters is None else self.characters
        character = characters.get(value) or None  # type: ignore[call-overload] # 3.0 finds 3
        return character, None if character else f"class {value:.16g}"

    def read(self, rows: pa.Table) -> Iterator[Image | Reject]:
        """Images by file and row; rows in order are read once, a few megabytes at a time."""
        places = zip(rows["file"].to_pylist(), rows["stamp"].to_pylist(), rows["row"].to_pylist(), strict=True)
        for (name, stamp), group in groupby(places, key=lambda place: place[:2]):
            at = self._images(name, stamp)
            yield from (at(row) for *_, row in group)

    def _images(self, name: str, stamp: str) -> Callable[[int], Image | Reject]:
        try:
            return _reader(self.folder.location, name, stamp, self.image_column, self.label_column).at
        except InputError as error:  # it was whole when it was indexed
            reject = Reject("unopenable", str(error))
            return lambda _: reject


def _official_split(name: str) -> str | None:
    """What the words of the file's name say, or else the folders that it lies in, the nearest first."""
    *folders, file = name.lower().split("/")
    for words in (re.split(r"[^a-z]+", file), *([folder] for folder in reversed(folders))):
        found = {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def _mapped(column: pa.ChunkedArray, function: Callable[[Any], str | None]) -> pa.ChunkedArray:
    """A function of each value, called once for all rows that have the same."""
    if is_text(column.type):
        column = column.cast(pa.large_string())
        distinct = pc.unique(column)
        raw = distinct.cast(pa.large_binary()).to_pylist()  # one that is not UTF-8 must not stop the others
        values = [None if value is None else value.decode(errors="replace") for value in raw]
    else:
        column = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        distinct = pc.unique(column)
        values = distinct.to_pylist()
    mapped = pa.array([function(value) for value in values], pa.string())
    return mapped.take(pc.index_in(column, value_set=distinct).combine_chunks())


@contextmanager
def _readable(folder: Folder, name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # readers of broken bytes raise whatever they stumble over
        object_store.check(error, f"{folder.name}/{name}")
        raise InputError(f"{folder.name}/{name} is not a readable Parquet file: {one_line(error)}") from error


@lru_cache(maxsize=2)
def _reader(location: str, name: str, _stamp: str, image: str | None, label: str | None) -> "_Reader":
    """Cached, because a worker reads many parts of the same file; a file that has changed has another stamp."""
    folder = Folder.open(location)
    file, columns = ParquetImages(folder, (name,), None, image, label)._open(name)
    with _readable(folder, name):
        return _Reader(file, name, columns.image)


class _Reader:
    """The image column of one file, read forward a batch of rows at a time; a step back begins its row group anew."""

    def __init__(self, file: pq.ParquetFile, name: str, column: str) -> None:
        self._file, self._name, self._column = file, name, column
        self._field = file.schema_arrow.field(column)
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        self._ends = np.cumsum([0, *(group.num_rows for group in groups)])
        self._group, self._start, self._stop = -1, 0, 0
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._image: Callable[[int], Image | Reject] | None = None

    def at(self, row: int) -> Image | Reject:
        """The image of a row, counted from the beginning of the file, or why there is none."""
        if row >= self._ends[-1]:
            return Reject("corrupt", f"{self._name} ends after {self._ends[-1]} images")
        if not self._start <= row < self._stop:
            self._seek(row)
        if self._image is None:  # rows that are passed over are not converted
            self._image = read_images(self._values, self._field)
        return self._image(row - self._start)

    def _seek(self, row: int) -> None:
        group = int(np.searchsorted(self._ends, row, "right")) - 1
        if group != self._group or row < self._start:
            self._begin(group)
        while row >= self._stop:
            self._advance()

    def _begin(self, group: int) -> None:
        self._group, self._start, self._stop = group, int(self._ends[group]), int(self._ends[group])
        self._batches = self._read(group)

    def _read(self, group: int) -> Iterator[pa.RecordBatch]:
        # Sized by what the file says of all columns, as dictionaries may shrink values to an eighth. A column's own
        # figures are left alone: where they are damaged, pyarrow 26 ends the process (no exception can be caught).
        facts = self._file.metadata.row_group(group)
        rows = _BYTES_AT_ONCE * facts.num_rows // max(8 * facts.total_byte_size, 1)
        rows = max(1, min(_ROWS_AT_ONCE, rows))
        yield from self._file.iter_batches(rows, row_groups=[group], columns=[self._column], use_threads=False)

    def _advance(self) -> None:
        self._start, self._image = self._stop, None
        try:
            self._values = next(self._batches).column(self._column)
            self._stop += len(self._values)
        except Exception as error:  # noqa: BLE001 - see _readable; nothing behind the damage can be found
            object_store.check(error, self._name)
            reject = Reject("corrupt", one_line(error) if str(error) else "the file ends early")
            self._stop, self._image = int(self._ends[self._group + 1]), lambda _: reject
