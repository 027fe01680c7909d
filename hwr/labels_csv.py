"""A CSV of labels by id, as a person keeps the truth about images or as a report writes down corrections."""

import csv
import io
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from unicodedata import normalize

from hwr.errors import InputError
from hwr.spreadsheet import restore
from hwr.storage import Folder

GROUPS = ("source", "split", "writer")
"""Columns that put inputs into groups, beside their labels."""


@dataclass(frozen=True)
class File:
    """A file that the user named, read whole.

    Attributes:
        name: What the user wrote; used in messages.
        location: An absolute path or URI that means it from any working directory.
        data: Its bytes.
    """

    name: str
    location: str
    data: bytes


@dataclass(frozen=True)
class Labels:
    """What a CSV says of inputs.

    Attributes:
        labels: Id to label in NFC, None where it is left empty; in the order of the file.
        groups: Those of `GROUPS` that the file has and that are not empty, each with the value of an id; empty cells
            are left out.
    """

    labels: dict[str, str | None]
    groups: dict[str, dict[str, str]]


def read_file(location: str) -> File:
    """Read a file that the user named, by path or URI.

    Raises:
        InputError: It cannot be read.
    """
    folder, name = Folder.file(location)
    try:
        return File(location, Folder.open(location).location, folder.read_bytes(name))
    except OSError as error:
        raise InputError(f"{location} cannot be read: {error.strerror or 'it is not a file'}") from error


def read_labels(data: bytes, name: str) -> Labels:
    """Read a CSV with a header and the columns file (or id) and label; `GROUPS` are kept, other columns ignored.

    Cells may be such as `hwr.spreadsheet.safe` makes them: they become what they were.

    Args:
        data: The file, in UTF-8.
        name: The file's name, for messages.

    Raises:
        InputError: It is no such CSV, or names an input twice.
    """
    try:
        rows = _rows(data)
        return _labels(next(rows), rows, name)
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{name} is not a readable CSV file in UTF-8: {error}") from error


def _rows(data: bytes) -> Iterator[list[str]]:
    """The first row, and all others that are not empty, read as they are asked for: a million are large as objects."""
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")
    reader = csv.reader(text, skipinitialspace=True, strict=True)
    yield next(reader, [])
    yield from filter(None, reader)


def _labels(header: list[str], rows: Iterable[list[str]], name: str) -> Labels:
    key, label, places = _places(header, name)
    labels: dict[str, str | None] = {}
    groups: dict[str, dict[str, str]] = {group: {} for group in places}
    for row in rows:
        if len(row) <= max(key, label):
            raise InputError(f"{name} has a row with too few fields, near {row[0]!r}")
        id_ = restore(row[key])
        if id_ in labels:
            raise InputError(f"{name} names {id_!r} more than once: keep one row for each input")
        labels[id_] = _text(row[label]) or None
        for group, place in places.items():
            value = _text(row[place]) if place < len(row) else ""
            if value:
                groups[group][id_] = value
    return Labels(labels, {group: values for group, values in groups.items() if values})


def _places(header: list[str], name: str) -> tuple[int, int, dict[str, int]]:
    """Where the id, the label and each of the groups stand in a row."""
    header = [column.strip() for column in header]
    twice = next((column for column in ("file", "id", "label", *GROUPS) if header.count(column) > 1), None)
    if twice:
        raise InputError(f"{name} has the column {twice} more than once: keep one")
    place = {column: number for number, column in enumerate(header)}
    key = next((place[column] for column in ("file", "id") if column in place), None)
    if key is None or "label" not in place:
        found = ", ".join(header) or "none at all"
        raise InputError(f"{name} needs the columns file (or id) and label in its first line, but has {found}")
    return key, place["label"], {group: place[group] for group in GROUPS if group in place}


def _text(cell: str) -> str:
    """What a cell says, without spaces around it, unless it is nothing else; equal ones become one object."""
    text = normalize("NFC", restore(cell))
    return sys.intern(text.strip() or text)
