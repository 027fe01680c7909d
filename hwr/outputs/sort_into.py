"""The labelled images in one folder a character, for people to look through and to mend.

Every image is copied, never linked: whoever edits a sorted image, or removes one, leaves the original as it is. A
file is named after its whole id, so that two of one name never meet, and ends in a short hash of it.

A person moves what is wrong into the right folder, and ``hwr ingest --format image-folder`` reads the folders back as
labels (see `hwr.sources.label_folders`); what is left among the abstained has none. What was moved stays moved: a part
of the predictions that is sorted is not looked at again.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from hwr.errors import OutputError
from hwr.manifest import fingerprint
from hwr.sources.files import SUFFIXES
from hwr.sources.label_folders import ABSTAINED, UNREADABLE, folder_name
from hwr.storage import Folder

STATE = ".hwr-sorted.json"  # hidden, so that ingest does not take it for an input

Read = Callable[[str], bytes | None]
"""The bytes of an input's image file by its id; None where there is no file, or it may not be read."""

_LONGEST = 150  # bytes of an id that a file's name shows
_KINDS = {b"\x89PNG": ".png", b"\xff\xd8": ".jpg", b"GIF8": ".gif", b"BM": ".bmp", b"II": ".tif", b"MM": ".tif",
          b"RIFF": ".webp"}  # fmt: skip


@dataclass(frozen=True)
class Sorted:
    """What a call did.

    Attributes:
        copied: Images that it copied.
        lost: Images that could not be copied, because their file is gone or may not be read.
    """

    copied: int
    lost: int


def sorted_already(target: Folder, owner: str) -> dict[str, int] | None:
    """Whether a folder may be taken for one labelling; nothing is written.

    Args:
        target: A new or empty folder, or one that was sorted before.
        owner: What the predictions are: their location, the settings and the fingerprints of the models, say.

    Returns:
        The files of predictions that are sorted already, and their size in bytes; None where it is new.

    Raises:
        OutputError: It holds something else.
    """
    if target.has(STATE):
        state = target.read_json(STATE)
        if state.get("owner") != owner or not isinstance(state.get("done"), dict):
            raise OutputError(f"{target.name} holds the sorted images of another labelling: choose another --sort-into")
        done: dict[str, int] = state["done"]
        return done
    if not target.is_empty():
        raise OutputError(f"{target.name} exists and was not made by hwr: choose another --sort-into")
    return None


def sort_into(out: Folder, names: Sequence[str], target: Folder, owner: str, read: Read) -> Sorted:
    """Copy every image into the folder of its answer, or of those that abstained or could not be read.

    Run again, it goes on where it was stopped, takes up files of predictions that have come since, and leaves the
    rest alone.

    Args:
        out: The folder of a labelling.
        names: Its files of predictions.
        target: Where to put the images.
        owner: As `sorted_already` has it.
        read: How to get an image; called from one thread, in the order of the rows.

    Raises:
        InputError: A file of predictions is damaged.
        OutputError: The target holds something else, is full or cannot be written.
    """
    done = sorted_already(target, owner)
    if done is None:
        done = {}
        target.write_json(STATE, {"owner": owner, "done": done})
    # An object store is asked once what it has, and not of each image.
    known = None if target.is_local else {path: int(stamp.split()[0]) for path, stamp in target.walk()}
    copied = lost = 0
    for name in names:
        size = out.bytes(name)
        if done.get(name) == size:
            continue
        # A part that was made anew since: what of it is sorted may have been moved, and stays where it is.
        there = {PurePosixPath(path).name for path, _ in target.walk()} if name in done else set()
        for key, folder in _places(out, name):
            data = read(key)
            lost += data is None
            if data is not None and (file := file_name(key, data)) not in there:
                copied += _put(target, f"{folder}/{file}", data, known)
        if target.is_local:
            os.sync()  # once a part, not a file: what is recorded as copied is on the disk
        done = {**done, name: size}
        target.write_json(STATE, {"owner": owner, "done": done})
    if copied:
        target.sweep()
    return Sorted(copied, lost)


def file_name(key: str, data: bytes) -> str:
    """A name for an image that any disk can hold and no other input has.

    Args:
        key: The input's id.
        data: Its file, which says the kind of picture where the id does not.
    """
    suffix = PurePosixPath(key).suffix.lower()
    if suffix not in SUFFIXES:
        suffix = next((kind for magic, kind in _KINDS.items() if data.startswith(magic)), "")
    stem = key[: -len(suffix)] if suffix and key.lower().endswith(suffix) else key
    shown = "".join(c if c.isalnum() or c in " -_.,+=@#()" else "~" if c == "/" else "_" for c in stem)
    short = shown.encode()[-_LONGEST:].decode(errors="ignore").lstrip(" .")  # a dot in front would hide the file
    return f"{short}~{fingerprint(key.encode())}{suffix}"


def _places(out: Folder, name: str) -> Iterator[tuple[str, str]]:
    """Each input's id, and the folder that it belongs into."""
    table = out.read_table(name, ["id", "status", "prediction"])
    folders: dict[Any, str] = {"abstained": ABSTAINED, "unreadable": UNREADABLE}
    for batch in table.to_batches(8192):
        for key, status, answer in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield key, folders.get(status) or folder_name(answer)


def _put(target: Folder, name: str, data: bytes, known: Mapping[str, int] | None) -> bool:
    """Write a file if it is not there whole; whether it was not. What is there and its size may be known."""
    if known is not None:
        is_there = known.get(name) == len(data)
    else:
        is_there = target.has(name) and target.bytes(name) == len(data)
    if not is_there:
        target.write_bytes(name, data, flush=False)
    return not is_there
