"""A person's corrections of labels, laid over an index of inputs before anything is made of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from hwr import labels_csv, manifest
from hwr.errors import InputError

# The one reason of a reject that a correction takes away: the image itself was never looked at.
_MENDED = "unknown-label"


@dataclass(frozen=True)
class Corrections:
    """What inputs really show, by id.

    Attributes:
        name: The files as the user wrote them; used in messages.
        files: Absolute path or URI of each, that means it from any working directory, to its content hash.
        labels: Id to label in NFC.
    """

    name: str
    files: Mapping[str, str]
    labels: Mapping[str, str]

    @classmethod
    def open(cls, locations: Sequence[str], alphabet: Collection[str] | None = None, flag: str = "") -> Self:
        """Read CSVs as `hwr.labels_csv.read_labels` does; where several name an input, the last one counts.

        Args:
            locations: The files, as paths or URIs.
            alphabet: The labels that there may be; None for any.
            flag: What said so, for messages.

        Raises:
            InputError: One cannot be read, or a label is empty or none that there may be.
        """
        files: dict[str, str] = {}
        labels: dict[str, str] = {}
        for location in locations:
            file = labels_csv.read_file(location)
            files[file.location] = manifest.fingerprint(file.data)
            labels |= cls._read(file, alphabet, flag)
        return cls(", ".join(locations), files, labels)

    @staticmethod
    def _read(file: labels_csv.File, alphabet: Collection[str] | None, flag: str) -> dict[str, str]:
        location = file.name
        labels: dict[str, str] = {}
        for key, label in labels_csv.read_labels(file.data, file.name).labels.items():
            if label is None:
                raise InputError(
                    f"{location} has no label for {key!r}: a correction says what the image shows, so fill the label "
                    "in or remove the line"
                )
            labels[key] = label
            if alphabet is not None and labels[key] not in alphabet:
                raise InputError(
                    f"{location} has the label {labels[key]!r} for {key!r}, which {flag} does not have: mend the "
                    "line, or give others"
                )
        return labels

    def require(self, ids: pa.ChunkedArray, source: str) -> None:
        """Check that there is an input for each correction.

        Args:
            ids: The ids of all inputs, at least one.
            source: Where they come from, for messages.

        Raises:
            InputError: A correction names something else.
        """
        mine = self._ids()
        unknown = mine.filter(pc.invert(pc.is_in(mine, ids)))
        if len(unknown):
            raise InputError(
                f"{self.name} names {len(unknown):,} of {len(mine):,} inputs that are not in {source}, such as "
                f"{unknown[0].as_py()!r}: ids there look like {ids[0].as_py()!r}"
            )

    def apply(self, index: pa.Table) -> pa.Table:
        """An index with the corrected labels; what was a reject for its label alone is none any more.

        Args:
            index: Inputs as `hwr.sources.base.INDEX` has them.
        """
        found = pc.take(pa.array([*self.labels.values()], pa.string()), pc.index_in(index["key"], self._ids()))
        mended = pc.and_(pc.is_valid(found), pc.fill_null(pc.equal(index["reason"], _MENDED), fill_value=False))
        nothing = pa.scalar(None, pa.string())
        columns = {
            "label": pc.coalesce(found, index["label"]),
            "reason": pc.if_else(mended, nothing, index["reason"]),
            "detail": pc.if_else(mended, nothing, index["detail"]),
        }
        for name, column in columns.items():
            place = index.schema.get_field_index(name)
            index = index.set_column(place, index.schema.field(place), column)
        return index

    def _ids(self) -> pa.Array:
        return pa.array([*self.labels], pa.string())


def changed_ids(before: pa.Table, after: pa.Table) -> pa.ChunkedArray:
    """The ids of the inputs whose label is another in a corrected index than it was before."""
    other = pc.fill_null(pc.not_equal(before["label"], after["label"]), fill_value=True)
    return after["key"].filter(pc.and_(other, pc.is_valid(after["label"])))  # two that are null are no change
