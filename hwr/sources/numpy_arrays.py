"""NumPy files: pairs of ``.npy``, images beside labels, or ``.npz`` archives that hold such pairs.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Nothing in a file is ever unpickled.
"""

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt, prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hwr.errors import InputError, Reject, one_line
from hwr.sources.base import Image, by_file, index_of, numbered, official_split
from hwr.sources.labels import by_name, by_number, labelled
from hwr.storage import Folder
from hwr.unpack import Unpacked, unpacked

_CHUNK = 1 << 22  # bytes of pixels that are read at a time
_HEAD = 1 << 16  # more bytes than the header of an array has
_LABEL = 1 << 10  # more bytes than a label has
_MOST = 1 << 27  # images in one array
_ROLES = {
    **dict.fromkeys(("x", "image", "images", "img", "imgs", "data", "pixels", "features"), "images"),
    **dict.fromkeys(("y", "label", "labels", "lbl", "target", "targets", "class", "classes"), "labels"),
}


class Header(NamedTuple):
    """What an array of images says of itself: how many, of which height, width and kind, and where they begin."""

    images: int
    height: int
    width: int
    kind: np.dtype[Any]
    start: int


@dataclass(frozen=True)
class NumpyArrays:
    """All arrays of images in some files, with the arrays of labels that belong to them.

    Attributes:
        folder: Where the files lie.
        files: Their names.
        characters: Class number to character; labels that are texts are characters themselves.
    """

    folder: Folder
    files: tuple[str, ...]
    characters: Mapping[int, str]

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.base

    def index(self) -> pa.Table:
        """One row an image; train, val and test are official where the name of a file or array says so.

        Raises:
            InputError: There are no images, or an array is of a kind or shape that is not images or their labels.
        """
        arrays = [array for file in self.files for array in _arrays(self.folder, file)]
        named: dict[tuple[str | None, str], str] = {}
        for array in arrays:
            role = _role(array)
            if role[0] is not None and role in named:
                raise InputError(f"{self.folder.name} has {named[role]} and {array}: which of them has the {role[0]}?")
            named[role] = array
        images = {about: array for (role, about), array in named.items() if role == "images"}
        if not images:
            raise InputError(
                f"{self.folder.name} has no array of images among {', '.join(arrays)}: "
                "call them x_train and y_train, or images and labels"
            )
        pairs = [(array, named.get(("labels", about))) for about, array in images.items()]
        return pa.concat_tables([self._index_array(array, labels) for array, labels in pairs])

    def _index_array(self, array: str, labels: str | None) -> pa.Table:
        header = _header(self.folder, array)
        files = dict.fromkeys(_place(name)[0] for name in (array, labels) if name is not None)
        return index_of(
            header.images,
            key=numbered(array, header.images),
            split=official_split(array),
            file=array,
            row=np.arange(header.images),
            size=header.kind.itemsize * header.height * header.width,
            stamp=" ".join(self.folder.stamp(file) for file in files),
            **(labelled(self._labels(labels, array, header.images), self._find) if labels is not None else {}),
        )

    def _labels(self, array: str, images: str, count: int) -> npt.NDArray[Any]:
        where = f"{self.folder.name}/{array}"
        try:
            data = Unpacked(self.folder, *_place(array)).read(0, _HEAD + count * _LABEL)
            values = np.load(io.BytesIO(data), allow_pickle=False, max_header_size=_HEAD)
        except Exception as error:  # headers are Python text, and broken ones raise whatever they stumble over
            raise InputError(f"{where} cannot be read as labels: {one_line(error)}") from error
        if values.dtype.kind not in "uifUS" or values.size != count:
            raise InputError(
                f"{where} should hold {count} labels, one for each image of {images}, but is an array of "
                f"{values.dtype} {values.shape}"
            )
        flat: npt.NDArray[Any] = values.reshape(-1)
        if flat.dtype.kind in "US":
            return flat.astype(str)
        if not (flat == np.trunc(flat)).all():
            raise InputError(
                f"{where} holds numbers that are no class numbers, such as {flat[flat != np.trunc(flat)][0]}"
            )
        return flat.astype(np.int64)

    def _find(self, label: int | str) -> tuple[str | None, str | None]:
        return by_name(None)(label) if isinstance(label, str) else by_number(self.characters)(label)

    def read(self, rows: pa.Table) -> Iterator[Image | Reject]:
        """Images by array and row; values that are no grey tones, and rows behind a damaged end, are rejects."""
        for array, group in by_file(rows):
            header = _header(self.folder, array)
            content, area = unpacked(self.folder, *_place(array)), header.height * header.width
            size = area * header.kind.itemsize
            for numbers in np.array_split(group["row"].to_numpy(), 1 + len(group) * size // _CHUNK):
                first, last = int(numbers[0]), int(numbers[-1])
                data = content.read(header.start + first * size, (last + 1 - first) * size)
                values = np.frombuffer(data, header.kind, len(data) // size * area)
                values = values.reshape(-1, header.height, header.width)
                whole = [row for row in (numbers - first).tolist() if row < len(values)]
                yield from to_grey(values[whole])
                for _ in range(len(numbers) - len(whole)):
                    yield Reject("corrupt", f"{array} ends after {first + len(values)} images")


def to_grey(values: npt.NDArray[Any]) -> Iterator[Image | Reject]:
    """Images of numbers as grey tones: whole numbers from 0 to 255, or fractions from 0 to 1.

    Args:
        values: Images (N, H, W) of any integer, boolean or floating kind.

    Yields:
        For each (H, W) uint8, or an ``out-of-range`` reject.
    """
    if values.dtype == np.uint8:
        yield from values
        return
    fractions = values.dtype.kind == "f"
    highest = 1 if fractions or values.dtype.kind == "b" else 255
    flat = values.reshape(len(values), -1)
    good = np.all((flat >= 0) & (flat <= highest), axis=1).tolist()  # not so for NaN
    for image, sound in zip(values, good, strict=True):
        if sound:
            yield np.rint(image * 255.0).astype(np.uint8) if highest == 1 else image.astype(np.uint8)
        else:
            odd = next(value for value in image.reshape(-1).tolist() if not 0 <= value <= highest)
            yield Reject(
                "out-of-range", f"{odd:g} is not {'a fraction' if fractions else 'a number'} of 0 to {highest}"
            )


def _arrays(folder: Folder, file: str) -> list[str]:
    """The names of a file's arrays: the file itself, or ``FILE.npz!/ARRAY`` for each in an archive."""
    if file.lower().endswith(".npy"):
        return [file]
    try:
        with zipfile.ZipFile(folder.open_file(file)) as archive:
            return [f"{file}!/{name.removesuffix('.npy')}" for name in archive.namelist() if name.endswith(".npy")]
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise InputError(f"{folder.name}/{file} is damaged or no .npz file: {one_line(error)}") from error


def _place(array: str) -> tuple[str, str | None]:
    """The file that an array is in, and which member of it."""
    file, inside, member = array.partition("!/")
    return file, f"{member}.npy" if inside else None


def _role(array: str) -> tuple[str | None, str]:
    """Whether an array's name speaks of images or of labels, and what else it says."""
    words = re.split(r"[^a-z0-9]+", array.lower().removesuffix(".npy"))
    roles = [_ROLES[word] for word in words if word in _ROLES]
    return roles[-1] if roles else None, " ".join(word for word in words if word not in _ROLES)


def _header(folder: Folder, array: str) -> Header:
    return _header_of(folder.location, array, folder.stamp(_place(array)[0]))


@lru_cache(maxsize=8)
def _header_of(location: str, array: str, _stamp: str) -> Header:
    folder = Folder.open(location)
    head = io.BytesIO(Unpacked(folder, *_place(array)).read(0, _HEAD))
    where = f"{folder.name}/{array}"
    try:
        read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        shape, column_major, kind = read[np.lib.format.read_magic(head)[0]](head)
    except Exception as error:  # see _labels
        raise InputError(f"{where} is not an array of NumPy's: {one_line(error)}") from error
    if kind.kind not in "buif":
        raise InputError(f"{where} holds {kind} instead of numbers: it is not read, since that could run code")
    if column_major and len(shape) > 1:
        raise InputError(f"{where} is stored column by column: save it anew as numpy.ascontiguousarray(...)")
    sides = tuple(side for side in shape[1:] if side != 1)
    if len(sides) == 1 and sides[0] > 0 and isqrt(sides[0]) ** 2 == sides[0]:
        sides = (isqrt(sides[0]), isqrt(sides[0]))
    if len(sides) != 2 or min(shape) < 0 or not 0 < prod(sides) <= 1 << 24 or shape[0] > _MOST:
        raise InputError(
            f"{where} has the shape {shape}: expected (N, S, S), (N, S, S, 1) or (N, S*S) for N images of S x S pixels"
        )
    return Header(shape[0], *sides, kind, head.tell())
