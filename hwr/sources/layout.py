"""What the folders that files lie in say of them, the same for a folder and for an archive."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hwr.errors import InputError
from hwr.sources.base import SPLIT_WORDS, index_of, pieces
from hwr.sources.files import is_written, writers
from hwr.sources.label_folders import label_of
from hwr.sources.labels import by_name, labelled

File = tuple[str, int, str, str | None, str | None]
"""A path, below the top or as `hwr.sources.files.written` gives it; size, stamp, and what is wrong with the file."""

_FILES = pa.schema(
    [
        ("file", pa.string()),
        ("size", pa.int64()),
        ("stamp", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)


@dataclass(frozen=True)
class Layout:
    """Folders named by label: the name of the one that a file lies in, directly below the top, is its label.

    Or it says the label as `hwr.sources.label_folders` does, where no folder can be named so. Files at the top have
    none. If the folders at the top are all named train, val or test, they are the official
    splits and the labels lie below.

    Attributes:
        where: The name of the top, for messages.
        labels: Folder name to label, where not every name is a label; otherwise the name is the label.
        writer_pattern: What finds the writer in a path; see `hwr.sources.files.writers`.
        inside: What comes before each path in its key.
        needs_splits: Whether folders of splits and of labels side by side are refused; otherwise all are labels.
    """

    where: str
    labels: Mapping[str, str] | None = None
    writer_pattern: str | None = None
    inside: str = ""
    needs_splits: bool = True

    def index(self, files: Iterable[File]) -> pa.Table:
        """One row a file, in their order, as `hwr.sources.base.INDEX`.

        Raises:
            InputError: There are no files, or folders of splits and of labels side by side where splits are needed.
        """
        tops: set[str] = set()
        found = []
        for piece in pieces(files):
            tops.update(path.split("/")[0] for path, *_ in piece if "/" in path and not is_written(path))
            found.append(pa.table(list(zip(*piece, strict=True)), schema=_FILES))
        if not found:
            raise InputError(f"{self.where} has no files in it")
        in_splits = self._in_splits(tops)
        return pa.concat_tables([self._piece(piece, in_splits) for piece in found])

    def _in_splits(self, tops: set[str]) -> bool:
        """Whether the folders at the top are splits and not labels."""
        others = sorted(top for top in tops if top.lower() not in SPLIT_WORDS)
        splits = sorted(tops.difference(others))
        if self.needs_splits and others and len(splits) > 1:  # one alone may be a label, such as a word
            raise InputError(
                f"{self.where} has the folders {' and '.join(splits)} beside others, such as {others[0]!r}: "
                "are they splits or labels? Move one kind elsewhere"
            )
        return bool(splits) and not others

    def _piece(self, files: pa.Table, in_splits: bool) -> pa.Table:
        paths = files["file"].to_pylist()
        places = [[] if is_written(path) else path.split("/")[:-1] for path in paths]
        names = [label_of(place[in_splits]) if len(place) > in_splits else "" for place in places]
        found = labelled(np.array(names, object), by_name(self.labels, "folder"))
        return index_of(
            len(paths),
            key=[f"{self.inside}{path}" for path in paths] if self.inside else files["file"],
            label=found["label"],
            split=[SPLIT_WORDS.get(_top(path).lower()) for path in paths] if in_splits else None,
            writer=writers(paths, self.writer_pattern),
            file=files["file"],
            size=files["size"],
            stamp=files["stamp"],
            reason=pc.coalesce(files["reason"], found["reason"]),
            detail=pc.coalesce(files["detail"], found["detail"]),
        )


def _top(path: str) -> str:
    return path.removeprefix("//").split("/")[0]
