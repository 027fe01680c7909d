"""Cutting a job into parts: each part reads its own inputs and writes its own file.

The cut depends on the inputs alone, never on the number of workers. So a file that exists is a part that is done, a
job that died goes on with the missing ones, and what comes out is the same however often it died and wherever it ran.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hwr.errors import InputError
from hwr.storage import Folder

_PARTS, _FEWEST, _MOST = 32, 128, 8192


def cut(index: pa.Table, name: str, first: int = 0) -> list[pa.Table]:
    """Cut an index into about 32 parts of 128 to 8,192 rows, each with its name in column ``part``.

    Args:
        index: The inputs; any table.
        name: How the files' names begin: ``part`` gives ``part-00000``, ``part-00001``, …
        first: The number of the first part.
    """
    rows = min(max(-(-len(index) // _PARTS), _FEWEST), _MOST)
    pieces = [index.slice(start, rows) for start in range(0, len(index), rows)]
    return [
        piece.append_column("part", pa.array([f"{name}-{number:05d}"] * len(piece), pa.string()))
        for number, piece in enumerate(pieces, first)
    ]


def split(table: pa.Table) -> list[pa.Table]:
    """The parts of a table of rows that name theirs in column ``part``, in order."""
    ends = pc.run_end_encode(table["part"].combine_chunks()).run_ends.to_pylist()
    return [table.slice(start, end - start) for start, end in zip([0, *ends], ends, strict=False)]


def missing(parts: Sequence[pa.Table], done: Folder, **same: str) -> list[pa.Table]:
    """The parts whose Parquet file is not yet in a folder or, where columns are named, is not what it should be.

    Args:
        parts: All parts of the job.
        done: The folder of their files.
        same: Name of a column in the files to the column of the parts whose values it repeats. A file that is damaged,
            or was made of other rows, counts as missing.
    """
    there = set(done.names())
    return [
        part
        for part in parts
        if (file := f"{_name(part)}.parquet") not in there or (same and not _is_of(part, done, file, same))
    ]


def files(parts: Sequence[pa.Table], out: Folder, under: str) -> list[dict[str, Any]]:
    """What a manifest says of the files that the parts wrote, a row for each input: their names, rows and bytes.

    Args:
        parts: All parts of the job, in order.
        out: The job's folder.
        under: The folder in it that holds the parts' files.
    """
    names = [f"{under}/{_name(part)}.parquet" for part in parts]
    return [
        {"name": name, "rows": len(part), "bytes": out.bytes(name)} for name, part in zip(names, parts, strict=True)
    ]


def _is_of(part: pa.Table, done: Folder, file: str, same: Mapping[str, str]) -> bool:
    """Whether a file can be read, all of it, and is of a part's rows."""
    try:
        found = done.read_table(file)
    except InputError:
        return False
    return all(theirs in found.schema.names and found[theirs].equals(part[ours]) for theirs, ours in same.items())


def _name(part: pa.Table) -> str:
    return str(part["part"][0])
