"""Image files in a folder or an archive: which may be opened, and what is in them."""

import os
import re
import stat
from collections.abc import Iterable, Iterator

from hwr.archive import Archive
from hwr.decode import MAX_BYTES, decode
from hwr.errors import InputError, Reject, RejectError
from hwr.sources.base import Image
from hwr.storage import Folder

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")


def problem(top: Folder | Archive, path: str, size: int) -> tuple[str | None, str | None]:
    """Reason and detail where a file must not be opened, known without opening it; else None and None.

    Args:
        top: The folder or archive.
        path: The file's path in it, with ``/``.
        size: Its size in bytes.
    """
    if any("\ud800" <= character <= "\udfff" for character in path):
        return "bad-name", "the file name is not valid UTF-8"
    if not path.lower().endswith(SUFFIXES):
        return "not-an-image", "the file name has no image ending"
    if size > MAX_BYTES:
        return "too-large", f"{size:,} bytes, more than {MAX_BYTES:,}"
    return _local_problem(top, path) if isinstance(top, Folder) and top.is_local else (None, None)


def is_inside(top: Folder, path: str) -> bool:
    """Whether what a path below the top names lies there in truth, and not elsewhere by way of a link."""
    if not top.is_local:
        return True
    root = os.path.realpath(top.path)
    return os.path.commonpath([root, os.path.realpath(f"{top.path}/{path}")]) == root


def _local_problem(top: Folder, path: str) -> tuple[str | None, str | None]:
    """A file of this machine that is no regular file, or a link that leads out of the top or nowhere."""
    whole = f"{top.path}/{path}"
    mode = os.lstat(whole).st_mode
    if stat.S_ISLNK(mode):
        if not is_inside(top, path):
            return "outside-folder", "a link that leads out of the folder"
        if not os.path.exists(whole):
            return "missing", "a link that leads nowhere"
        mode = os.stat(whole).st_mode
    if not stat.S_ISREG(mode):
        return "not-a-file", "a folder, pipe, socket or device"
    return None, None


def read_files(top: Folder | Archive, paths: Iterable[str]) -> Iterator[Image | Reject]:
    """Decode files one after the other."""
    for path in paths:
        try:
            yield decode(top.read_bytes(path))
        except RejectError as error:
            yield error.reject
        except FileNotFoundError:
            yield Reject("missing", "there is no such file")
        except OSError as error:
            yield Reject("unopenable", " ".join((error.strerror or str(error)).split()))


def writers(paths: Iterable[str], pattern: str | None) -> list[str | None]:
    """Who wrote each file: what the first group of a regular expression finds in its path, or None."""
    if pattern is None:
        return [None for _ in paths]
    found = (re.search(pattern, path) for path in paths)
    return [(match and match.group(1)) or None for match in found]


def check_pattern(pattern: str) -> None:
    """Check a pattern for `writers`.

    Raises:
        InputError: It is no regular expression, or has no group.
    """
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise InputError(f"--writer-pattern {pattern} is not a regular expression: {error}") from error
    if groups < 1:
        raise InputError(f"--writer-pattern {pattern} needs a group around the writer, such as -([0-9]+)[.]png$")
