"""The official files of MNIST and of the six EMNIST sets, for those who have a network.

Where they lie and which checksums they have is torchvision's knowledge (``torchvision.datasets``). Only its download is
used, never its data set classes: those unpack all of EMNIST to read one set of it. Nothing here runs what arrives.

MNIST: http://yann.lecun.com/exdb/mnist/. EMNIST: https://arxiv.org/abs/1702.05373.
"""

import contextlib
import errno
import io
import shutil
import socket
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Literal, get_args

from hwr.errors import InputError, one_line

Name = Literal[
    "mnist", "emnist-balanced", "emnist-letters", "emnist-digits", "emnist-byclass", "emnist-bymerge", "emnist-mnist"
]
NAMES: tuple[Name, ...] = get_args(Name)

_PARTS = ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz")
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_PATIENCE = 60.0  # seconds of silence; without a limit a mirror that hangs would hang the job for ever


def files(name: Name) -> tuple[str, ...]:
    """The names of a set's files, as their authors gave them."""
    if name == "mnist":
        return tuple(f"{half}-{part}" for half in ("train", "t10k") for part in _PARTS)
    return (*(f"{name}-{half}-{part}" for half in ("train", "test") for part in _PARTS), f"{name}-mapping.txt")


def megabytes(name: Name) -> int:
    """How much has to be downloaded to get a set, in MB: all EMNIST sets come in one archive."""
    return 12 if name == "mnist" else 562


def download(name: Name, folder: Path) -> None:
    """Get the files of one set into a folder, each with its published checksum.

    Args:
        name: Which set.
        folder: A folder for this alone; EMNIST's archive passes through it.

    Raises:
        InputError: No mirror could be reached, or what they sent is damaged.
        OSError: The disk is full.
    """
    from torchvision.datasets import EMNIST, MNIST  # noqa: PLC0415 - it takes seconds, and help does not need it

    if name == "mnist":
        checksums = dict(MNIST.resources)
        for file in files(name):
            _download([f"{mirror}{file}" for mirror in MNIST.mirrors], folder / file, checksums[file])
        return
    archive = folder / "gzip.zip"
    _download([EMNIST.url], archive, EMNIST.md5)
    _unpack(archive, files(name))
    archive.unlink()


def _download(urls: Sequence[str], path: Path, checksum: str) -> None:
    """Download one file from the first mirror that has it whole."""
    from torchvision.datasets.utils import download_url  # noqa: PLC0415

    failures = []
    for url in urls:
        try:
            with contextlib.redirect_stderr(io.StringIO()), _patience():  # its bar is not ours
                download_url(url, path.parent, path.name, checksum)
        except (OSError, HTTPException, RuntimeError) as error:
            if isinstance(error, OSError) and error.errno in _DISK_FULL:
                raise
            failures.append(f"{url}: {_why(error, path)}")
        else:
            return
    raise InputError(f"cannot download {'; '.join(failures)}")


def _why(error: Exception, path: Path) -> str:
    """What went wrong with one mirror. torchvision raises a bare RuntimeError when a checksum does not match."""
    if type(error) is RuntimeError and path.exists():
        return f"what arrived ({path.stat().st_size:,} bytes) does not have the published checksum"
    return one_line(error)


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _unpack(archive: Path, members: Sequence[str]) -> None:
    """Copy some files of EMNIST's archive to the folder it lies in; the others are never unpacked."""
    try:
        with zipfile.ZipFile(archive) as packed:
            for member in members:
                with packed.open(f"gzip/{member}") as source, (archive.parent / member).open("wb") as target:
                    shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise InputError(f"EMNIST's archive is not what it was: {error.args[0]}") from error
