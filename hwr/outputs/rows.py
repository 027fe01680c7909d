"""The predictions of a folder, one Parquet file after the other."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hwr.storage import Folder


def tables(out: Folder, names: Iterable[str], columns: list[str]) -> Iterator[pa.Table]:
    """Columns of `hwr.schema.PREDICTIONS`, one table a file.

    Args:
        out: The folder of a labelling.
        names: The files, as its manifest names them; another that lies there is not part of it.
        columns: Which columns.

    Raises:
        InputError: A file is missing or damaged.
    """
    for name in names:
        yield out.read_table(name, columns)


def answers(rows: pa.Table) -> pa.Array:
    """The prediction of each row (N,); of one that abstained the best guess, where it was kept; null otherwise."""
    lists = pa.chunked_array(rows["top"].chunks, rows["top"].type).combine_chunks()
    said = pc.fill_null(pc.greater(pc.list_value_length(lists), 0), fill_value=False)
    best = pc.struct_field(pc.list_element(lists.filter(said), 0), "label")
    places = np.cumsum(said.to_numpy(zero_copy_only=False)) - 1
    guesses = best.take(pa.array(places, mask=~said.to_numpy(zero_copy_only=False)))
    kept = pc.if_else(pc.equal(rows["status"], "abstained"), guesses, None)
    return pc.coalesce(rows["prediction"], kept).combine_chunks()
