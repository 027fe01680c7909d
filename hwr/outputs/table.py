"""The predictions as one CSV file, for people with a spreadsheet."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from hwr.spreadsheet import write_csv
from hwr.storage import Folder

NAME = "predictions.csv"
COLUMNS = ["id", "prediction", "confidence", "status", "reason", "label"]

_HEADER = ["file", *COLUMNS[1:]]
_AT_ONCE = 8192  # rows that are Python objects at the same time


def write(tables: Iterable[pa.Table], out: Folder) -> None:
    """Write `NAME`, its cells safe to open in a spreadsheet; it is there whole or not at all.

    Args:
        tables: The predictions with at least the columns `COLUMNS`, as `hwr.outputs.rows.tables` reads them.
        out: Where to put it.

    Raises:
        OutputError: The disk is full or the folder cannot be written.
    """
    with out.writing(NAME) as file:
        write_csv(file, _HEADER, _rows(tables))


def _rows(tables: Iterable[pa.Table]) -> Iterator[tuple[object, ...]]:
    for table in tables:
        for batch in table.select(COLUMNS).to_batches(_AT_ONCE):
            cells = [column.to_pylist() for column in batch.columns]
            cells[2] = [None if score is None else f"{score:.4f}" for score in cells[2]]
            yield from zip(*cells, strict=True)
