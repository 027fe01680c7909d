"""IDX files, the form of MNIST and EMNIST, plain or gzip-compressed.

Format: http://yann.lecun.com/exdb/mnist/ (big-endian magic 0x00000803 with count, rows, columns for images and
0x00000801 with count for labels). EMNIST stores its images transposed (https://arxiv.org/abs/1702.05373).
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hwr.errors import InputError, Reject
from hwr.sources.base import Image, by_file, index_of, numbered, official_split
from hwr.sources.labels import by_number, labelled
from hwr.storage import Folder
from hwr.unpack import Unpacked, unpacked

_IMAGES, _LABELS = 0x00000803, 0x00000801
_HEADER = 16  # bytes before the first pixel
_CHUNK = 1 << 24  # bytes of pixels that are read at a time
_NAME = re.compile(r"images?[-.]idx3", re.IGNORECASE)


@dataclass(frozen=True)
class Idx:
    """All pairs of image and label files of one folder.

    Attributes:
        folder: Where the files lie.
        characters: Class number to character.
        transposed: Whether images are stored transposed, as EMNIST's are.
    """

    folder: Folder
    characters: Mapping[int, str]
    transposed: bool = False

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.base

    def index(self) -> pa.Table:
        """One row an image; train/test is official where a file's name says it.

        Raises:
            InputError: The folder has no pair, a header is broken, or counts do not match.
        """
        self.folder.require()
        images = [name for name in self.folder.names() if _NAME.search(name)]
        if not images:
            raise InputError(
                f"{self.folder.name} has no IDX images: expected files such as train-images-idx3-ubyte.gz "
                "beside train-labels-idx1-ubyte.gz"
            )
        twice = [name for name in images if f"{name}.gz" in images]
        if twice:
            raise InputError(f"{self.folder.name} has both {twice[0]} and {twice[0]}.gz: remove one of them")
        index = pa.concat_tables([self._index_file(name) for name in images])
        if not len(index):
            raise InputError(f"{self.folder.name} holds no images: {', '.join(images)} say that they have 0")
        return index

    def _index_file(self, name: str) -> pa.Table:
        labels = self._labels(name)
        count, height, width = _image_header(self.folder, name)
        if count != len(labels):
            raise InputError(f"{self.folder.name}/{name} has {count} images, but {len(labels)} labels belong to it")
        return index_of(
            count,
            key=numbered(name, count),
            split=official_split(name),
            file=name,
            row=np.arange(count),
            size=height * width,
            stamp=f"{self.folder.stamp(name)} {self.folder.stamp(_label_file(name))}",
            **labelled(labels, by_number(self.characters)),
        )

    def _labels(self, images: str) -> npt.NDArray[np.uint8]:
        name = _label_file(images)
        if not self.folder.has(name):
            raise InputError(f"{self.folder.name}/{images} has no labels beside it: expected {name}")
        content = Unpacked(self.folder, name)
        head = content.read(0, 8)
        if len(head) < 8 or struct.unpack(">I", head[:4])[0] != _LABELS:
            raise InputError(f"{self.folder.name}/{name} is not an IDX label file")
        (count,) = struct.unpack(">I", head[4:])
        data = content.read(8, count + 1)
        if len(data) != count:
            found = f"{len(data)}" if len(data) < count else "more"
            raise InputError(f"{self.folder.name}/{name} should hold {count} labels, but holds {found}")
        return np.frombuffer(data, np.uint8)

    def read(self, rows: pa.Table) -> Iterator[Image | Reject]:
        """Images by file and row; a row behind the end of a truncated file is a reject."""
        for name, group in by_file(rows):
            content = unpacked(self.folder, name)
            _, height, width = _image_header(self.folder, name)
            for numbers in np.array_split(group["row"].to_numpy(), 1 + len(group) * height * width // _CHUNK):
                first, last = int(numbers[0]), int(numbers[-1])
                data = content.read(_HEADER + first * height * width, (last + 1 - first) * height * width)
                whole = len(data) // (height * width)
                images = np.frombuffer(data, np.uint8, whole * height * width).reshape(whole, height, width)
                for row in (numbers - first).tolist():
                    if row >= whole:
                        yield Reject("corrupt", f"{name} ends after {first + whole} images")
                    else:
                        yield images[row].T if self.transposed else images[row]


def _label_file(images: str) -> str:
    return re.sub("idx3", "idx1", re.sub("image", "label", images, flags=re.IGNORECASE), flags=re.IGNORECASE)


def _image_header(folder: Folder, name: str) -> tuple[int, int, int]:
    head = Unpacked(folder, name).read(0, _HEADER)
    if len(head) < _HEADER or struct.unpack(">I", head[:4])[0] != _IMAGES:
        raise InputError(f"{folder.name}/{name} is not an IDX image file")
    count, height, width = struct.unpack(">III", head[4:_HEADER])
    if not 0 < height * width <= 1 << 20:
        raise InputError(f"{folder.name}/{name} says that its images are {height} x {width} pixels")
    if count * height * width > 1 << 33:
        raise InputError(
            f"{folder.name}/{name} says that it holds {count:,} images of {height} x {width} pixels: too many"
        )
    return count, height, width
