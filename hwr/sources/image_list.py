"""Lists of image files to label, and single ones: what is named is one row each, with a key of its own."""

import io
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from hwr.errors import InputError, Reject
from hwr.sources.base import INDEX, Image, index_of
from hwr.sources.files import named_problem, read_files
from hwr.sources.image_csv import ImageCsv
from hwr.sources.named import Line, Named, clean
from hwr.storage import Folder

ENDINGS = (".txt", ".csv")


@dataclass(frozen=True)
class ImageList:
    """The files that a list names, from its own folder on: a text with one path a line, or a CSV as `ImageCsv` reads.

    The id of a file is its path. A line that names an earlier one's file once more gets ``PATH//2``, which no path is.

    Attributes:
        folder: Where the list lies; paths do not leave it.
        file: Its name.
    """

    folder: Folder
    file: str

    @property
    def name(self) -> str:
        """The name of the list without its ending."""
        return posixpath.splitext(self.file)[0]

    def index(self) -> pa.Table:
        """One row a line that is not empty; a file that is not there, or lies outside the folder, is a reject.

        Raises:
            InputError: The list is no text in UTF-8, or names nothing.
        """
        is_text = self.file.lower().endswith(".txt")
        lines = self._lines() if is_text else ImageCsv(self.folder, self.file, self.folder).lines()
        index = Named(self.folder, self.file).index(lines)
        return index.set_column(index.schema.get_field_index("key"), INDEX.field("key"), _unique(index["key"]))

    def _lines(self) -> Iterator[Line]:
        where, empty = f"{self.folder.name}/{self.file}", True
        try:
            for line in io.TextIOWrapper(io.BytesIO(self.folder.read_bytes(self.file)), "utf-8-sig"):
                path = clean(line.rstrip())
                if path:
                    empty = False
                    yield path, ""
        except UnicodeDecodeError as error:
            raise InputError(f"{where} is not a text file in UTF-8: {error}") from error
        if empty:
            raise InputError(f"{where} names no files")

    def read(self, rows: pa.Table) -> Iterator[Image | Reject]:
        """Decode each file."""
        yield from read_files(self.folder, rows["file"].to_pylist())


@dataclass(frozen=True)
class ImageFile:
    """A single image file, by whatever link it was named. Its id is its name.

    Attributes:
        folder: Where it lies.
        file: Its name.
    """

    folder: Folder
    file: str

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.file

    def index(self) -> pa.Table:
        """One row."""
        size, stamp = self.folder.bytes(self.file), self.folder.stamp(self.file)
        reason, detail = named_problem(self.file, size)
        return index_of(1, key=self.file, file=self.file, size=size, stamp=stamp, reason=reason, detail=detail)

    def read(self, rows: pa.Table) -> Iterator[Image | Reject]:
        """Decode it."""
        yield from read_files(self.folder, rows["file"].to_pylist())


def _unique(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """Keys of which each is there once: the second of a kind becomes ``KEY//2``, the third ``KEY//3``."""
    codes = pd.Series(keys.combine_chunks().dictionary_encode().indices.to_numpy())
    turns = pa.array(codes.groupby(codes).cumcount().to_numpy() + 1)
    ends = pc.if_else(pc.equal(turns, 1), "", pc.binary_join_element_wise("//", turns.cast(pa.string()), ""))
    return pc.binary_join_element_wise(keys, pa.chunked_array([ends]), "")
