"""A samples folder that an earlier ingest made, read back: its glyphs are canonical already."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from hwr import manifest
from hwr.errors import InputError, Reject
from hwr.schema import images_from_arrow
from hwr.sources.base import Image, index_of
from hwr.storage import Folder


@dataclass(frozen=True)
class Samples:
    """One split, or all, of a samples folder.

    Attributes:
        folder: The samples folder.
        split: ``train``, ``val`` or ``test``; None for all three.
    """

    folder: Folder
    split: str | None = None

    @staticmethod
    def is_samples(folder: Folder) -> bool:
        """Whether `hwr ingest` made this folder, finished or not."""
        try:
            return folder.has(manifest.CONFIG) and folder.read_json(manifest.CONFIG).get("kind") == "samples"
        except InputError:  # a file of this name that somebody else's program wrote
            return False

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.base

    @property
    def fingerprint(self) -> str:
        """Of everything in the folder."""
        return str(manifest.require(self.folder, "samples")["fingerprint"])

    def files(self) -> list[str]:
        """Names of the Parquet files.

        Raises:
            InputError: The folder is unfinished, or has no sample in this split.
        """
        facts = manifest.require(self.folder, "samples")
        splits = facts["counts"]["splits"]
        if not (any(splits.values()) if self.split is None else splits.get(self.split)):
            raise InputError(f"{self.folder.name} has no samples in its {self.split or 'splits'} split")
        return [entry["name"] for entry in facts["files"]]

    def index(self) -> pa.Table:
        """One row a sample, in the order of the files."""
        stamp = self.fingerprint
        return pa.concat_tables([self._index_file(name, stamp) for name in self.files()])

    def _index_file(self, name: str, stamp: str) -> pa.Table:
        table = self.folder.read_table(name, ["id", "label", "split", "writer"])
        rows = index_of(
            len(table),
            key=table["id"],
            **{column: table[column] for column in ("label", "split", "writer")},
            file=name,
            row=range(len(table)),
            stamp=stamp,
        )
        return rows if self.split is None else rows.filter(pc.equal(rows["split"], self.split))

    def read(self, rows: pa.Table) -> Iterator[Image | Reject]:
        """The stored glyphs."""
        for name, row in zip(rows["file"].to_pylist(), rows["row"].to_pylist(), strict=True):
            yield _images(self.folder.location, name)[row]


@lru_cache(maxsize=4)
def _images(location: str, name: str) -> Image:
    return images_from_arrow(Folder.open(location).read_table(name, ["image"])["image"])
