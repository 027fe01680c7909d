"""Folders of image files: one folder a character, or one flat folder without labels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hwr.errors import InputError, Reject
from hwr.sources.base import SPLIT_WORDS, Image, index_of
from hwr.sources.files import problem, read_files, writers
from hwr.sources.labels import by_name, labelled
from hwr.storage import Folder, is_clutter


@dataclass(frozen=True)
class ImageFolder:
    """All files below a folder. The id of a file is its path relative to the folder, with ``/``.

    The name of the folder that a file lies in, directly below the top, is its label; files at the top have none. If
    the folders at the top are all named train, val or test, they are the official splits and the labels lie below.

    Attributes:
        folder: The top.
        labels: Folder name to label, where not every name is a label; otherwise the name is the label.
        writer_pattern: What finds the writer in a path; see `hwr.sources.files.writers`.
    """

    folder: Folder
    labels: Mapping[str, str] | None = None
    writer_pattern: str | None = None

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.base

    def index(self) -> pa.Table:
        """One row a file, hidden ones left out; what is no image file, or lies outside the folder, is a reject.

        Raises:
            InputError: There is no such folder, no file in it, or it has folders of splits and of labels side by side.
        """
        self.folder.require()
        files = [(path, stamp) for path, stamp in self.folder.walk() if not is_clutter(path)]
        if not files:
            raise InputError(f"{self.folder.name} has no files in it")
        sizes = [int(stamp.split()[0]) for _, stamp in files]
        problems = [problem(self.folder, path, size) for (path, _), size in zip(files, sizes, strict=True)]
        # A name that is not UTF-8 is a reject, under a name that can be written and, with its slashes, is no other's.
        bad = [reason == "bad-name" for reason, _ in problems]
        keys = [_written(path) if odd else path for (path, _), odd in zip(files, bad, strict=True)]
        in_splits = self._in_splits({path.split("/")[0] for path, _ in files if "/" in path})
        places = [[] if odd else key.split("/")[in_splits:-1] for key, odd in zip(keys, bad, strict=True)]
        found = labelled(
            np.array([place[0] if place else "" for place in places], object), by_name(self.labels, "folder")
        )
        reasons, details = (pa.array(marks, pa.string()) for marks in zip(*problems, strict=True))
        return index_of(
            len(files),
            key=keys,
            label=found["label"],
            split=[SPLIT_WORDS.get(path.split("/")[0].lower()) for path, _ in files] if in_splits else None,
            writer=writers(keys, self.writer_pattern),
            file=keys,
            size=sizes,
            stamp=[stamp for _, stamp in files],
            reason=pc.coalesce(reasons, found["reason"]),
            detail=pc.coalesce(details, found["detail"]),
        )

    def _in_splits(self, tops: set[str]) -> bool:
        """Whether the folders at the top are splits and not labels."""
        others = sorted(top for top in tops if top.lower() not in SPLIT_WORDS)
        splits = sorted(tops.difference(others))
        if others and len(splits) > 1:  # one alone may be a label, such as a word
            raise InputError(
                f"{self.folder.name} has the folders {' and '.join(splits)} beside others, such as {others[0]!r}: "
                "are they splits or labels? Move one kind elsewhere"
            )
        return bool(splits) and not others

    def read(self, rows: pa.Table) -> Iterator[Image | Reject]:
        """Decode each file."""
        yield from read_files(self.folder, rows["file"].to_pylist())


def _written(path: str) -> str:
    return "//" + path.replace("\\", "\\\\").encode(errors="backslashreplace").decode()
