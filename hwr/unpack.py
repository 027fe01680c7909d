"""Files as they were before gzip or zip packed them, in ranges of bytes, however large they are."""

import gzip
import zipfile
import zlib
from functools import lru_cache
from typing import IO

import pyarrow as pa

from hwr.errors import InputError, one_line
from hwr.storage import Folder, is_clutter

_STEP = 1 << 20


class Unpacked:
    """The content of one file: itself, or what is in its gzip or zip.

    Ranges are cheapest in rising order: what is packed is unpacked as far as it is asked for and never held whole; an
    earlier range unpacks from the start again.

    Attributes:
        damage: What is wrong with the file, once reading has come upon it; reads end there.
    """

    def __init__(self, folder: Folder, name: str, member: str | None = None) -> None:
        """Open a file.

        Args:
            folder: Where it lies.
            name: The file.
            member: Which file of a zip archive; its only one, if none is named.

        Raises:
            InputError: There is no such file, or the archive does not hold exactly one.
        """
        self.damage: str | None = None
        self._place = (folder, name, member)
        self._file, self._plain = _open(*self._place)
        self._at = 0

    def read(self, start: int, size: int) -> bytes:
        """The bytes from ``start`` on: ``size`` of them, or fewer where the content ends or is damaged."""
        if start < self._at:
            self._file, self._plain = _open(*self._place)
            self._at = 0
        if self._plain and start > self._at:
            self._at = self._file.seek(start)
        pieces = []
        while self._at < start + size:
            piece = self._next(min(_STEP, start + size - self._at))
            if not piece:
                break
            pieces.append(piece[max(0, start - self._at) :])
            self._at += len(piece)
        return b"".join(pieces)

    def _next(self, size: int) -> bytes:
        try:
            # One step of unpacking at a time, so that everything before the damage comes out.
            return self._file.read(size) if self._plain else self._file.read1(size)  # type: ignore[attr-defined]
        except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
            self.damage = one_line(error)
            return b""


def unpacked(folder: Folder, name: str, member: str | None = None) -> Unpacked:
    """An `Unpacked` that this process keeps open, because a worker reads many parts of the same file."""
    return _kept(folder.location, name, member, folder.stamp(name))


@lru_cache(maxsize=4)
def _kept(location: str, name: str, member: str | None, _stamp: str) -> Unpacked:
    return Unpacked(Folder.open(location), name, member)


def _open(folder: Folder, name: str, member: str | None) -> tuple[IO[bytes], bool]:
    """The file as a stream of its content, and whether that is the file itself, in which one can jump about."""
    file = folder.open_file(name)
    magic = file.read(4)
    file.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=file), False  # type: ignore[return-value]
    if magic != b"PK\x03\x04":
        return file, True
    try:
        archive = zipfile.ZipFile(file)
        return archive.open(member or _only_member(archive, f"{folder.name}/{name}")), False
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, KeyError, pa.ArrowInvalid) as error:
        raise InputError(f"{folder.name}/{name} cannot be unpacked: {one_line(error)}") from error


def _only_member(archive: zipfile.ZipFile, name: str) -> str:
    members = [info.filename for info in archive.infolist() if not info.is_dir() and not is_clutter(info.filename)]
    if len(members) != 1:
        raise InputError(f"{name} holds {len(members)} files instead of one: unpack it into a folder of its own")
    return members[0]
