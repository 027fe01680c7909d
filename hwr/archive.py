"""Zip and tar archives, read as folders of files, without unpacking them to disk."""

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa

from hwr import object_store
from hwr.errors import InputError, Reject, RejectError, one_line
from hwr.storage import Folder

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError,
    NotImplementedError, RuntimeError, UnicodeDecodeError,  # not for Python: a compression, password or name
    pa.ArrowInvalid,  # a jump to before the beginning of a remote file
)  # fmt: skip


@dataclass(frozen=True)
class Archive:
    """One archive. Pickles, so workers can hold one.

    Attributes:
        folder: Where it lies.
        name: The file.
    """

    folder: Folder
    name: str

    @property
    def stamp(self) -> str:
        """Size and time of change of the archive."""
        return self.folder.stamp(self.name)

    def sizes(self) -> dict[str, int]:
        """The path of each file in it, with ``/``, and its size in bytes when unpacked.

        Raises:
            InputError: It is damaged, or no archive.
        """
        return self._open().sizes

    def read_bytes(self, path: str) -> bytes:
        """Unpack one file.

        Raises:
            RejectError: ``missing``, ``not-a-file`` (a link or a device), ``encrypted`` or ``corrupt``.
        """
        opened = self._open()
        if path not in opened.sizes:
            raise RejectError(Reject("missing", f"{self.name} has no such file"))
        try:
            return opened.read(path)
        except _DAMAGED as error:
            raise RejectError(Reject("corrupt", f"{self.name}: {one_line(error)}")) from error
        except OSError as error:
            object_store.check(error, f"{self.folder.name}/{self.name}")
            if error.errno is not None:  # the disk or the network; bzip2's damage has no number
                raise
            raise RejectError(Reject("corrupt", f"{self.name}: {one_line(error)}")) from error

    def _open(self) -> "_Zip | _Tar":
        return _opened(self.folder.location, self.name, self.stamp)


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        # Links are listed here and in a tar, so that they become rejects; they are never followed.
        self._members = {info.filename.removeprefix("./"): info for info in archive.infolist() if not info.is_dir()}
        self.sizes = {name: info.file_size for name, info in self._members.items()}

    def read(self, path: str) -> bytes:
        info = self._members[path]
        if stat.S_ISLNK(info.external_attr >> 16):
            raise RejectError(Reject("not-a-file", "a link in an archive"))
        if info.flag_bits & 1:
            raise RejectError(Reject("encrypted", "the archive is locked with a password"))
        return self._archive.read(info)


class _Tar:
    def __init__(self, archive: tarfile.TarFile) -> None:
        if archive.fileobj is None:
            raise tarfile.ReadError("it is closed")
        self._archive, self._file = archive, archive.fileobj
        # Where each begins and how large it is: what Python keeps of a file is ten times as much.
        self._places: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined] # not among the documented ones
            if not info.isdir():
                name, place = info.name.removeprefix("./"), (info.offset, info.size)
                if info.islnk():  # a second name of a file before it; one that names nothing in here stays a link
                    place = self._place(info.linkname.removeprefix("./")) or place
                self._places[name], self.sizes[name] = place
        self._check_end()

    def _place(self, name: str) -> tuple[int, int] | None:
        return (self._places[name], self.sizes[name]) if name in self._places else None

    def _check_end(self) -> None:
        """Python takes a broken header for the end of the archive, and the files behind it would be missing."""
        self._file.seek(self._archive.offset)
        if self._file.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise tarfile.ReadError(f"a broken header after {len(self.sizes)} files")

    def read(self, path: str) -> bytes:
        self._file.seek(self._places[path])
        info = tarfile.TarInfo.fromtarfile(self._archive)
        file = self._archive.extractfile(info) if info.isreg() else None
        if file is None:
            raise RejectError(Reject("not-a-file", "a link or device in an archive"))
        data = file.read()
        if len(data) < info.size:
            raise RejectError(Reject("corrupt", f"the archive ends after {len(data)} of {info.size} bytes"))
        return data


@lru_cache(maxsize=2)
def _opened(location: str, name: str, _stamp: str) -> _Zip | _Tar:
    """An archive that this process keeps open; the stamp is there to notice another file of the same name."""
    folder = Folder.open(location)
    try:
        if name.lower().endswith(".zip"):
            return _Zip(zipfile.ZipFile(folder.open_file(name)))
        return _Tar(tarfile.open(fileobj=folder.open_file(name)))
    except (*_DAMAGED, OSError) as error:
        object_store.check(error, f"{folder.name}/{name}")
        raise InputError(f"{folder.name}/{name} is damaged or no archive: {one_line(error)}") from error
