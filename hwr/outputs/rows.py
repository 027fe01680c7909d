"""The predictions of a folder, one Parquet file after the other."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hwr.storage import Folder


def names(predictions: Folder) -> list[str]:
    """The Parquet files of a folder of predictions, in the order in which they are read."""
    return [name for name in predictions.names() if name.endswith(".parquet")]


def tables(predictions: Folder, columns: list[str]) -> Iterator[pa.Table]:
    """Columns of `hwr.schema.PREDICTIONS`, one table a file.

    Raises:
        InputError: A file is damaged.
    """
    for name in names(predictions):
        yield predictions.read_table(name, columns)


def answers(rows: pa.Table) -> pa.Array:
    """The prediction of each row (N,); of one that abstained the best guess, where it was kept; null otherwise."""
    lists = pa.chunked_array(rows["top"].chunks, rows["top"].type).combine_chunks()
    said = pc.fill_null(pc.greater(pc.list_value_length(lists), 0), fill_value=False)
    best = pc.struct_field(pc.list_element(lists.filter(said), 0), "label")
    places = np.cumsum(said.to_numpy(zero_copy_only=False)) - 1
    guesses = best.take(pa.array(places, mask=~said.to_numpy(zero_copy_only=False)))
    kept = pc.if_else(pc.equal(rows["status"], "abstained"), guesses, None)
    return pc.coalesce(rows["prediction"], kept).combine_chunks()
