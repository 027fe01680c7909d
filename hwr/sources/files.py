"""Image files in a folder or an archive: which may be opened, and what is in them."""

import itertools
import os
import re
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from hwr.archive import Archive
from hwr.decode import MAX_BYTES, decode
from hwr.errors import InputError, Reject, RejectError
from hwr.sources.base import Image
from hwr.storage import Folder

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")

_AT_ONCE = 16  # files that are fetched from an object store at the same time

_NOT_UTF8 = re.compile("[\ud800-\udfff]")


def problem(top: Folder | Archive, path: str, size: int) -> tuple[str | None, str | None]:
    """Reason and detail where a file must not be opened, known without opening it; else None and None.

    Args:
        top: The folder or archive.
        path: The file's path in it, with ``/``.
        size: Its size in bytes.
    """
    reason, detail = named_problem(path, size)
    if not (isinstance(top, Folder) and top.is_local):
        return reason, detail
    whole = f"{top.path}/{path}"
    mode = os.lstat(whole).st_mode
    is_link = stat.S_ISLNK(mode)
    if is_link and reason != "bad-name" and os.path.isdir(whole):
        return "not-a-file", "a link to a folder is not followed"
    if reason is not None:
        return reason, detail
    if is_link:
        return _link_problem(top, path)
    return (None, None) if stat.S_ISREG(mode) else ("not-a-file", "a folder, pipe, socket or device")


def named_problem(path: str, size: int) -> tuple[str | None, str | None]:
    """Reason and detail where a file's name or size alone forbids to open it; else None and None."""
    if _NOT_UTF8.search(path):
        return "bad-name", "the file name is not valid UTF-8"
    if not path.lower().endswith(SUFFIXES):
        return "not-an-image", "the file name has no image ending"
    if size > MAX_BYTES:
        return "too-large", f"{size:,} bytes, more than {MAX_BYTES:,}"
    return None, None


def unsafe(path: str) -> tuple[str, str] | None:
    """Reason and detail where no folder has, or may have, such a path, however it came by it; else None.

    Args:
        path: A path that a list or an archive gives, with ``/``.
    """
    if path.startswith("/") or path[1:3] == ":/" or ".." in path.split("/"):
        return "outside-folder", "a path that leads out of the folder"
    name = path.encode(errors="surrogateescape")
    if "\0" in path or len(name) > 4000 or any(len(part) > 255 for part in name.split(b"/")):
        return "bad-name", "a path that no file system has: too long, or with a null character"
    return None


def written(path: str) -> str:
    """A path that cannot be used, as text that can be written and, with the slashes before it, is no other's."""
    return "//" + path.replace("\\", "\\\\").encode(errors="backslashreplace").decode()


def is_written(path: str) -> bool:
    """Whether a path is as `written` gives it, and names no place."""
    return path.startswith("//")


def is_inside(top: Folder, path: str) -> bool:
    """Whether what a path below the top names lies there in truth, and not elsewhere by way of a link."""
    if not top.is_local:
        return True
    root = _real(top.path)
    return os.path.commonpath([root, os.path.realpath(f"{top.path}/{path}")]) == root


@lru_cache(maxsize=4)
def _real(path: str) -> str:
    return os.path.realpath(path)


def _link_problem(top: Folder, path: str) -> tuple[str | None, str | None]:
    """A link of this machine that leads out of the top, nowhere, or to what is no regular file."""
    whole = f"{top.path}/{path}"
    if not is_inside(top, path):
        return "outside-folder", "a link that leads out of the folder"
    if not os.path.exists(whole):
        return "missing", "a link that leads nowhere"
    return (None, None) if os.path.isfile(whole) else ("not-a-file", "a link to a pipe, socket or device")


def raw_bytes(top: Folder | Archive, path: str, size: int) -> bytes | None:
    """A file as it is, whether it is a picture or not; None where it must not or cannot be read.

    Args:
        top: The folder or archive.
        path: The file's path in it, with ``/``.
        size: Its size in bytes, 0 if it is not known.
    """
    if size > MAX_BYTES or "\0" in path:
        return None
    if (
        isinstance(top, Folder)
        and top.is_local
        and (not is_inside(top, path) or not os.path.isfile(f"{top.path}/{path}"))
    ):
        return None
    try:
        return top.read_bytes(path)
    except (RejectError, OSError):
        return None


def read_files(top: Folder | Archive, paths: Iterable[str]) -> Iterator[Image | Reject]:
    """Decode files one after the other; those of an object store are fetched several at a time.

    Raises:
        StorageError: An object store does not answer, or does not allow it: that says nothing of a file.
    """
    is_far = isinstance(top, Folder) and not top.is_local
    for found in _ahead(top, paths) if is_far else (_fetch(top, path) for path in paths):
        try:
            yield found if isinstance(found, Reject) else decode(found)
        except RejectError as error:
            yield error.reject


def _fetch(top: Folder | Archive, path: str) -> bytes | Reject:
    try:
        return top.read_bytes(path)
    except RejectError as error:
        return error.reject
    except FileNotFoundError:
        return Reject("missing", "there is no such file")
    except OSError as error:
        return Reject("unopenable", " ".join((error.strerror or str(error)).split()))


def _ahead(top: Folder | Archive, paths: Iterable[str]) -> Iterator[bytes | Reject]:
    """Files in their order; some of those behind are on their way meanwhile, since each takes a while to come."""
    rest = iter(paths)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        coming = deque(pool.submit(_fetch, top, path) for path in itertools.islice(rest, 2 * _AT_ONCE))
        try:
            while coming:
                yield coming.popleft().result()
                coming.extend(pool.submit(_fetch, top, path) for path in itertools.islice(rest, 1))
        finally:
            pool.shutdown(cancel_futures=True)


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
