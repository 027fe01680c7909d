"""IDX files, the form of MNIST and EMNIST, plain or gzip-compressed.

Format: http://yann.lecun.com/exdb/mnist/ (big-endian magic 0x00000803 with count, rows, columns for images and
0x00000801 with count for labels). EMNIST stores its images transposed (https://arxiv.org/abs/1702.05373).
"""

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hwr.errors import InputError, Reject
from hwr.sources.base import INDEX, Image
from hwr.storage import Folder

_IMAGES, _LABELS = 0x00000803, 0x00000801
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
        count, _, _ = _image_header(self.folder, name)
        if count != len(labels):
            raise InputError(f"{self.folder.name}/{name} has {count} images, but {len(labels)} labels belong to it")
        characters = [self.characters.get(int(number)) for number in labels]
        stamp = f"{self.folder.stamp(name)} {self.folder.stamp(_label_file(name))}"
        unknown = [character is None for character in characters]
        numbers = np.arange(count)
        return pa.table(
            {
                "key": pa.array([f"{name}#{row}" for row in numbers], pa.string()),
                "label": pa.array(characters, pa.string()),
                "split": pa.array([_official_split(name)] * count, pa.string()),
                "writer": pa.nulls(count, pa.string()),
                "file": pa.array([name] * count, pa.string()),
                "row": pa.array(numbers, pa.int64()),
                "stamp": pa.array([stamp] * count, pa.string()),
                "reason": pa.array(["unknown-label" if u else None for u in unknown], pa.string()),
                "detail": pa.array([f"class {labels[row]}" if unknown[row] else None for row in numbers], pa.string()),
            },
            schema=INDEX,
        )

    def _labels(self, images: str) -> npt.NDArray[np.uint8]:
        name = _label_file(images)
        if not self.folder.has(name):
            raise InputError(f"{self.folder.name}/{images} has no labels beside it: expected {name}")
        packed = self.folder.read_bytes(name)
        head = _unpacked(packed, 8)
        if len(head) < 8 or struct.unpack(">I", head[:4])[0] != _LABELS:
            raise InputError(f"{self.folder.name}/{name} is not an IDX label file")
        (count,) = struct.unpack(">I", head[4:])
        data = _unpacked(packed, 8 + count + 1)
        if len(data) != 8 + count:
            found = f"{len(data) - 8}" if len(data) < 8 + count else "more"
            raise InputError(f"{self.folder.name}/{name} should hold {count} labels, but holds {found}")
        return np.frombuffer(data, np.uint8, offset=8)

    def read(self, rows: pa.Table) -> Iterator[Image | Reject]:
        """Images by file and row; a row behind the end of a truncated file is a reject."""
        for name, row in zip(rows["file"].to_pylist(), rows["row"].to_pylist(), strict=True):
            images = _images(self.folder.location, name)
            if row >= len(images):
                yield Reject("corrupt", f"{name} ends after {len(images)} images")
            else:
                yield images[row].T if self.transposed else images[row]


def _label_file(images: str) -> str:
    return re.sub("idx3", "idx1", re.sub("image", "label", images, flags=re.IGNORECASE), flags=re.IGNORECASE)


def _official_split(name: str) -> str | None:
    lower = name.lower()
    if "t10k" in lower or "test" in lower:
        return "test"
    if "valid" in lower:
        return "val"
    return "train" if "train" in lower else None


def _image_header(folder: Folder, name: str) -> tuple[int, int, int]:
    with folder.fs.open_input_stream(f"{folder.path}/{name}", compression=None) as stream:
        head = _unpacked(bytes(stream.read(1 << 12)), 16)
    if len(head) < 16 or struct.unpack(">I", head[:4])[0] != _IMAGES:
        raise InputError(f"{folder.name}/{name} is not an IDX image file")
    count, height, width = struct.unpack(">III", head[4:16])
    if not 0 < height * width <= 1 << 20:
        raise InputError(f"{folder.name}/{name} says that its images are {height} x {width} pixels")
    if count * height * width > 1 << 33:
        raise InputError(
            f"{folder.name}/{name} says that it holds {count:,} images of {height} x {width} pixels: too many"
        )
    return count, height, width


@lru_cache(maxsize=2)
def _images(location: str, name: str) -> npt.NDArray[np.uint8]:
    """All whole images (N, H, W) of one file. Cached, because a worker reads many parts of the same file."""
    folder = Folder.open(location)
    count, height, width = _image_header(folder, name)
    data = _unpacked(folder.read_bytes(name), 16 + count * height * width)
    whole = max(0, min(count, (len(data) - 16) // (height * width)))
    return np.frombuffer(data[16:], np.uint8, whole * height * width).reshape(whole, height, width)


def _unpacked(data: bytes, limit: int) -> bytes:
    """The first `limit` bytes, decompressed if they are gzip; fewer where the file is truncated or damaged.

    A gzip file may be several members on end (RFC 1952). One byte more than asked for is unpacked, so that the check
    sum at a member's end is looked at; what lies up to 16 KiB before the damage is lost with it.
    """
    if data[:2] != b"\x1f\x8b":
        return data[:limit]
    stream, out = zlib.decompressobj(wbits=31), bytearray()
    for start in range(0, len(data), 1 << 14):
        piece = data[start : start + (1 << 14)]
        while piece and len(out) <= limit:
            try:
                out += stream.decompress(piece, limit + 1 - len(out))
            except zlib.error:
                return bytes(out[:limit])
            piece = stream.unused_data if stream.eof else stream.unconsumed_tail
            stream = zlib.decompressobj(wbits=31) if stream.eof else stream
    return bytes(out[:limit])
