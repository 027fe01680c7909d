"""CSV tables with one image a line: a class number, and the grey value of every pixel, row by row.

This is how Kaggle has MNIST (with a header line), A-Z (without one) and EMNIST (transposed). Files may be packed as
``.gz`` or ``.zip`` and may be of any size: they are indexed and read piece by piece.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hwr.errors import InputError, Reject
from hwr.sources.base import Image, by_file, index_of, numbered, official_split
from hwr.sources.labels import Find, by_name, by_number, labelled
from hwr.storage import Folder
from hwr.unpack import Unpacked, unpacked

_HEAD = 1 << 22  # more than two lines of images of 512 x 512
_CHUNK = 1 << 23  # bytes that are looked at for lines at a time
_PARSED = 1 << 20  # bytes that are parsed at a time, so that they stay in the cache
_LABELS = (b"label", b"class", b"character", b"target", b"y")
_QUOTES = b" \"'"
_NUMBER = re.compile(rb"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?")

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """How the lines of one file are built.

    Attributes:
        start: Where the first image begins, in bytes.
        delimiter: What stands between two fields.
        fields: How many fields a line has.
        label: Which of them is the label; None where there is none.
        side: Side of the images, in pixels.
    """

    start: int
    delimiter: bytes
    fields: int
    label: int | None
    side: int


@dataclass(frozen=True)
class PixelCsv:
    """All lines of some CSV files.

    Attributes:
        folder: Where the files lie.
        files: Their names.
        characters: Class number to character; where half of a column's labels are no numbers, they are characters.
        label_column: The name of the label's column; without it, the one of a usual name, or the first.
        transposed: Whether images are stored transposed, as EMNIST's are.
    """

    folder: Folder
    files: tuple[str, ...]
    characters: Mapping[int, str]
    label_column: str | None = None
    transposed: bool = False

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.base

    def index(self) -> pa.Table:
        """One row a line that is not empty; ``row`` is the byte of the unpacked file at which the line begins.

        Raises:
            InputError: A file has no lines of square images.
        """
        return pa.concat_tables([self._index_file(name) for name in self.files])

    def _index_file(self, name: str) -> pa.Table:
        layout = _layout(self.folder, name, self.label_column)
        content = Unpacked(self.folder, name)
        starts, sizes, fields = _lines(content, layout)
        if not len(starts):
            raise InputError(f"{self.folder.name}/{name} has no line of pixels in it")
        shared = {"split": official_split(name), "file": name, "stamp": self.folder.stamp(name)}
        keys, raw = numbered(name, len(starts) + 1), np.array(fields, object)
        index = index_of(
            len(starts),
            key=keys[:-1],
            row=starts,
            size=sizes,
            **shared,
            **labelled(raw, self._find(set(fields))),
        )
        if content.damage is None:
            return index
        end = f"damaged after {len(starts):,} lines: {content.damage}"
        return pa.concat_tables([index, index_of(1, key=keys[-1:], reason="corrupt", detail=end, **shared)])

    def _find(self, fields: set[bytes]) -> Find:
        """How to read a column of labels: as class numbers, or as characters if half of what occurs is no number."""
        texts = [field.strip(_QUOTES).decode(errors="replace") for field in fields]
        numbers = sum(_is_class(text) for text in texts)
        name, number = by_name({label: label for label in self.characters.values()}), by_number(self.characters)

        def find(field: bytes) -> tuple[str | None, str | None]:
            text = field.strip(_QUOTES).decode(errors="replace")
            if 2 * numbers <= len(texts) or not text:
                return name(text)
            return number(int(float(text))) if _is_class(text) else (None, f"label {text!r}")

        return find

    def read(self, rows: pa.Table) -> Iterator[Image | Reject]:
        """Parse lines; one that is no image is a reject."""
        for name, group in by_file(rows):
            layout = _layout(self.folder, name, self.label_column)
            content = unpacked(self.folder, name)
            starts, ends = group["row"].to_numpy(), group["row"].to_numpy() + group["size"].to_numpy()
            for some in np.array_split(np.arange(len(group)), 1 + int(ends[-1] - starts[0]) // _PARSED):
                for image in _images(_text(content, starts[some], ends[some]), layout):
                    yield image.T if self.transposed and not isinstance(image, Reject) else image


def _layout(folder: Folder, name: str, label_column: str | None) -> Layout:
    return _layout_of(folder.location, name, label_column, folder.stamp(name))


@lru_cache(maxsize=8)
def _layout_of(location: str, name: str, label_column: str | None, _stamp: str) -> Layout:
    folder = Folder.open(location)
    head = Unpacked(folder, name).read(0, _HEAD)
    start = 3 if head.startswith(b"\xef\xbb\xbf") else 0  # the byte order mark of UTF-8
    lines = head[start:].splitlines(keepends=True)[:50]
    lines = [line for line in (lines if len(head) < _HEAD else lines[:-1] or lines) if line.strip()]
    if not lines or b"\0" in lines[0]:
        raise InputError(f"{folder.name}/{name} is not a CSV file with a line for each image")
    delimiter = max((b",", b";", b"\t", b" "), key=lines[0].count)
    names = [field.strip(_QUOTES + b"\r\n") for field in lines[0].split(delimiter)]
    header = _is_header(names, label_column)
    if header:
        start = head.index(lines[0]) + len(lines[0])
    # Where no header says how long a line is, most lines do: the first may be a bad one.
    counts = [line.count(delimiter) + 1 for line in lines]
    fields = len(names) if header else max(counts, key=counts.count)
    label = _label(f"{folder.name}/{name}", names if header else [], fields, label_column)
    pixels = fields - (label is not None)
    side = isqrt(pixels)
    if side < 2 or side * side != pixels:
        raise InputError(
            f"{folder.name}/{name} has lines of {fields} fields: expected a label and the pixels of a square image, "
            "such as 1 + 28 x 28 = 785"
        )
    return Layout(start, delimiter, fields, label, side)


def _is_header(fields: list[bytes], label_column: str | None) -> bool:
    """Whether a first line has names: mostly texts, or the numbers that pandas gives to columns beside one name."""
    texts = [field for field in fields if _NUMBER.fullmatch(field) is None]
    numbers = [field for field in fields if _NUMBER.fullmatch(field)]
    named = any(text.lower() in _LABELS or text.decode(errors="replace") == label_column for text in texts)
    return len(texts) > len(fields) / 2 or named or numbers == [b"%d" % place for place in range(len(fields) - 1)]


def _label(file: str, header: list[bytes], fields: int, wanted: str | None) -> int | None:
    """Which field is the label."""
    if wanted is not None:
        if wanted.encode() in header:
            return header.index(wanted.encode())
        has = f"its first columns are {b', '.join(header[:4]).decode(errors='replace')}" if header else "no header line"
        raise InputError(f"{file} has no column {wanted!r} for --label-column: {has}")
    usual = [place for place, name in enumerate(header) if name.lower() in _LABELS]
    if usual:
        return usual[0]
    if isqrt(fields) ** 2 == fields:
        return None
    if header:
        raise InputError(f"{file} has no column called label: say with --label-column which of its columns it is")
    return 0


def _lines(content: Unpacked, layout: Layout) -> tuple[Offsets, Offsets, list[bytes]]:
    """Where each line begins, how many bytes it has without its end, and its raw label."""
    starts, sizes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    fields: list[bytes] = []
    at, rest = layout.start, b""
    while True:
        more = content.read(at + len(rest), _CHUNK)
        # What lies behind the last line end is a line as well, unless damage has cut it.
        data = rest + (more or b"\n" * (bool(rest) and content.damage is None))
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
        begins = np.concatenate([[0], ends + 1])[:-1]
        ends = ends - (np.frombuffer(data, np.uint8)[ends - 1] == ord("\r")) * (ends > begins)
        full = ends > begins
        begins, ends = begins[full], ends[full]
        starts.append(at + begins)
        sizes.append(ends - begins)
        fields += _raw_labels(data, begins, ends, layout)
        if not more:
            return np.concatenate(starts), np.concatenate(sizes), fields
        done = data.rfind(b"\n") + 1
        at, rest = at + done, data[done:]
        if len(rest) > _HEAD:
            content.damage = f"a line of more than {_HEAD:,} bytes"
            return np.concatenate(starts), np.concatenate(sizes), fields


def _raw_labels(data: bytes, begins: Offsets, ends: Offsets, layout: Layout) -> list[bytes]:
    place, delimiter = layout.label, layout.delimiter
    if place is None:
        return [b""] * len(begins)
    if place == 0:  # labels are short: this spares a copy of the line
        short = zip(begins.tolist(), np.minimum(begins + 32, ends).tolist(), strict=True)
        return [data[begin:end].partition(delimiter)[0] for begin, end in short]
    lines = (data[begin:end].split(delimiter, place + 1) for begin, end in zip(begins, ends, strict=True))
    return [line[place] if len(line) > place else b"" for line in lines]


def _text(content: Unpacked, starts: Offsets, ends: Offsets) -> bytes:
    """Some lines, each with a line end; what lies between them in the file is left out."""
    first = int(starts[0])
    data = content.read(first, int(ends[-1]) - first)
    if (starts[1:] == ends[:-1] + 1).all():
        return data + b"\n"
    return b"".join(data[begin:end] + b"\n" for begin, end in zip(starts - first, ends - first, strict=True))


def _images(text: bytes, layout: Layout) -> Iterator[Image | Reject]:
    cells = parse(text, layout.fields, layout.delimiter)
    if cells is None:  # some line is odd: find out which, and how
        yield from (_image(line, layout) for line in text.split(b"\n")[:-1])
        return
    pixels = cells if layout.label is None else np.delete(cells, layout.label, axis=1)
    yield from pixels.reshape(-1, layout.side, layout.side)


def parse(text: bytes, fields: int, delimiter: bytes = b",") -> Bytes | None:
    """Parse lines of whole numbers from 0 to 255, about four times as fast as general CSV readers do.

    Most pixels are 0 and take two bytes with their delimiter. So only the others are looked at: where a number begins
    follows from its place in the text and from how many second and third digits stand before it.

    Args:
        text: Lines, each with a line end.
        fields: Numbers in a line.
        delimiter: One byte.

    Returns:
        Values (lines, fields) uint8; None where anything is not as it should be.
    """
    if delimiter == b";":  # below, every delimiter is a smaller byte than a digit
        if b"," in text:
            return None
        text, delimiter = text.replace(b";", b","), b","
    data = np.frombuffer(text, np.uint8)
    apart = data < ord("0")
    ends, line_ends = np.flatnonzero(apart), np.flatnonzero(data == ord("\n"))
    known = np.count_nonzero(data == ord(delimiter)) + len(line_ends)
    empty = len(data) < 4 or apart[0] or (apart[1:] & apart[:-1]).any()
    if (
        empty
        or data.max() > ord("9")
        or len(ends) != known
        or not np.array_equal(ends[fields - 1 :: fields], line_ends)
    ):
        return None
    first = data > ord("0")
    first[1:] &= apart[:-1]
    begins = np.flatnonzero(first)
    # What follows a first digit is another one where it is below 10; a delimiter wraps around to more than that.
    digits = [np.take(data[place:], begins, mode="clip") - np.uint8(ord("0")) for place in range(4)]
    second = digits[1] < 10
    third = second & (digits[2] < 10)
    if (third & (digits[3] < 10)).any():
        return None
    value = digits[0].astype(np.uint16)
    value = np.where(second, value * np.uint16(10) + digits[1], value)
    value = np.where(third, value * np.uint16(10) + digits[2], value)
    more = np.zeros(len(begins) + 1, np.int64)
    np.cumsum(second.view(np.uint8) + third.view(np.uint8), out=more[1:])
    until = more[np.searchsorted(begins, line_ends)]
    regular = (line_ends + 1 - until == 2 * fields * np.arange(1, len(line_ends) + 1)).all()
    if not regular or value.max(initial=0) > 255:
        return None
    values = np.zeros(len(line_ends) * fields, np.uint8)
    values[(begins - more[:-1]) >> 1] = value
    return values.reshape(-1, fields)


def _is_class(text: str) -> bool:
    return _NUMBER.fullmatch(text.encode()) is not None and float(text).is_integer()


def _image(line: bytes, layout: Layout) -> Image | Reject:
    cells = [cell.strip(_QUOTES + b"\r") for cell in line.split(layout.delimiter)]
    if len(cells) != layout.fields:
        return Reject("wrong-length", f"{len(cells)} fields instead of {layout.fields}")
    if layout.label is not None:
        del cells[layout.label]
    odd = next((cell for cell in cells if _NUMBER.fullmatch(cell) is None), None)
    if odd is not None:
        return Reject("not-a-number", f"{odd[:20].decode(errors='replace')!r} as a pixel")
    values = np.array(cells, np.float64)
    wrong = (values < 0) | (values > 255) | (values % 1 != 0)
    if wrong.any():
        return Reject("out-of-range", f"{values[wrong][0]:g} is not a whole number from 0 to 255")
    return values.astype(np.uint8).reshape(layout.side, layout.side)
