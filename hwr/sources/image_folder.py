"""Folders of image files: one folder a character, or one flat folder without labels."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from unicodedata import normalize

import pyarrow as pa

from hwr.decode import decode
from hwr.errors import InputError, Reject, RejectError
from hwr.sources.base import INDEX, Image
from hwr.storage import Folder

_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
_CLUTTER = ("thumbs.db", "desktop.ini")
_OFFICIAL = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class ImageFolder:
    """All files below a folder. The id of a file is its path relative to the folder, with ``/``.

    The name of the folder that a file lies in, directly below the top, is its label; files at the top have none. If
    the folders at the top are all named train, val or test, they are the official splits and the labels lie below.

    Attributes:
        folder: The top.
        characters: Folder name to label, where folders are named by class number; otherwise the name is the label.
    """

    folder: Folder
    characters: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.base

    def index(self) -> pa.Table:
        """One row a file, hidden ones left out; what is no image file, or lies outside the folder, is a reject.

        Raises:
            InputError: There is no such folder, or no file in it.
        """
        self.folder.require()
        files = [(key, stamp) for key, stamp in self.folder.walk() if not _is_clutter(key)]
        if not files:
            raise InputError(f"{self.folder.name} has no files in it")
        tops = {key.split("/")[0].lower() for key, _ in files}
        in_splits = tops <= _OFFICIAL.keys() and any("/" in key for key, _ in files)
        rows = [{**self._row(key, in_splits), "stamp": stamp} for key, stamp in files]
        return pa.Table.from_pylist(rows, schema=INDEX)

    def _row(self, key: str, in_splits: bool) -> dict[str, str | int | None]:
        parts = key.split("/")
        split = _OFFICIAL[parts.pop(0).lower()] if in_splits else None
        # macOS writes é as two code points and alphabets have it as one; NFC makes them the same label.
        named = normalize("NFC", parts[0]) if len(parts) > 1 else None
        label = named if named is None or self.characters is None else self.characters.get(named)
        reason, detail = self._problem(key)
        if reason == "bad-name":  # a reject, under a name that can be written and, with its slashes, is no other file's
            key, label = "//" + key.replace("\\", "\\\\").encode(errors="backslashreplace").decode(), None
        elif reason is None and named is not None and label is None:
            reason, detail = "unknown-label", f"folder {named!r}"
        return {
            "key": key, "label": label, "split": split, "writer": None,
            "file": key, "row": 0, "reason": reason, "detail": detail,
        }  # fmt: skip

    def _problem(self, key: str) -> tuple[str | None, str | None]:
        if any("\ud800" <= character <= "\udfff" for character in key):
            return "bad-name", "the file name is not valid UTF-8"
        if not key.lower().endswith(_SUFFIXES):
            return "not-an-image", "the file name has no image ending"
        return _local_problem(self.folder.path, key) if self.folder.is_local else (None, None)

    def read(self, rows: pa.Table) -> Iterator[Image | Reject]:
        """Decode each file."""
        for key in rows["file"].to_pylist():
            try:
                yield decode(self.folder.read_bytes(key))
            except RejectError as error:
                yield error.reject
            except OSError as error:
                yield Reject("unopenable", " ".join((error.strerror or str(error)).split()))


def _local_problem(top: str, key: str) -> tuple[str | None, str | None]:
    """Why a file of this machine must not be opened: it is no regular file, or a link that leads out of the top."""
    path = f"{top}/{key}"
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        root, target = os.path.realpath(top), os.path.realpath(path)
        if os.path.commonpath([root, target]) != root:
            return "outside-folder", "a link that leads out of the folder"
        mode = os.stat(path).st_mode if os.path.exists(path) else stat.S_IFREG  # a dangling link fails when it is read
    if not stat.S_ISREG(mode):
        return "not-a-file", "a pipe, socket or device"
    return None, None


def _is_clutter(key: str) -> bool:
    *_, name = parts = key.split("/")
    return any(part.startswith(".") for part in parts) or name.lower() in _CLUTTER
