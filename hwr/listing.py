"""What a job has to do, written down before it begins: a listing that only ever grows.

Each command lists its inputs anew. What it finds beyond what is written down becomes a further file of the listing,
with parts of its own; so files that were added to a folder are picked up, and parts that are done stay as they are.
"""

import pyarrow as pa
import pyarrow.compute as pc

from hwr import parts
from hwr.errors import InputError, OutputError
from hwr.storage import Folder

NOTHING = ""
"""The stamp of an input where no file is."""

_STATE = ("size", "stamp", "reason", "detail")


def read(folder: Folder) -> pa.Table | None:
    """All that is written down, in order, each row with its ``part``; None where nothing is.

    Raises:
        InputError: A file of it is gone or damaged, so that what the parts are made of is no longer known.
    """
    names = folder.names()
    try:
        if names != [_name(number) for number in range(len(names))]:
            raise InputError(f"{folder.name} has lost one of its files")
        tables = [folder.read_table(name) for name in names]
    except InputError as error:
        raise InputError(f"{error}: remove {folder.name}, and the same hwr label command does all of it anew") from None
    return pa.concat_tables(tables) if tables else None


def require(folder: Folder) -> pa.Table:
    """The same of a job that is complete.

    Raises:
        InputError: Nothing is written down.
    """
    known = read(folder)
    if known is None:
        raise InputError(f"{folder.name} has lost its files: hwr label writes it anew")
    return known


def stamps(folder: Folder) -> list[str]:
    """What changes when something is written down, without reading any of it."""
    return [folder.stamp(name) for name in folder.names()]


def news(index: pa.Table, known: pa.Table | None, name: str) -> pa.Table:
    """The rows of an index that are not written down yet; what is gone since stays as it is.

    Args:
        index: The inputs, as `hwr.sources.base.INDEX`.
        known: What is written down.
        name: What was listed, for messages.

    Raises:
        OutputError: An input has changed since it was written down.
    """
    if known is None:
        return index
    earlier = known["stamp"].take(pc.index_in(index["key"], known["key"]))
    differs = pc.and_(pc.not_equal(index["stamp"], earlier), pc.not_equal(index["stamp"], NOTHING))
    changed = index["key"].filter(pc.fill_null(differs, fill_value=False))
    if len(changed):
        raise OutputError(
            f"{len(changed):,} of the inputs have changed since they were listed, such as {name}/{changed[0]}: "
            "choose another --out"
        )
    return index.filter(pc.is_null(earlier))


def arrived(index: pa.Table, known: pa.Table) -> pa.Table:
    """The rows of an index that are written down as inputs that were named and not there, and now are there."""
    missing = known["key"].filter(pc.and_(pc.equal(known["stamp"], NOTHING), pc.equal(known["reason"], "missing")))
    is_late = pc.and_(pc.is_in(index["key"], missing.combine_chunks()), pc.not_equal(index["stamp"], NOTHING))
    return index.filter(is_late)


def replace(folder: Folder, rows: pa.Table) -> None:
    """Write down what has become of inputs that are written down; their parts, labels and splits stay as they are.

    Args:
        folder: The listing.
        rows: What `arrived` found.
    """
    for name in folder.names() if len(rows) else ():
        table = folder.read_table(name)
        places = pc.index_in(table["key"], rows["key"].combine_chunks())
        if places.null_count == len(places):
            continue
        for column in _STATE:
            field = table.schema.get_field_index(column)
            now = pc.if_else(pc.is_valid(places), rows[column].take(places), table[column])
            table = table.set_column(field, table.schema.field(field), now)
        folder.write_table(name, table)


def add(folder: Folder, rows: pa.Table, known: pa.Table | None) -> pa.Table:
    """Cut rows into parts and write them down.

    Args:
        folder: The listing.
        rows: What `news` found; may be empty, then nothing is written.
        known: What is written down.

    Returns:
        The whole listing.
    """
    if not len(rows):
        return known if known is not None else rows.append_column("part", pa.array([], pa.string()))
    done = parts.split(known) if known is not None else []
    added = pa.concat_tables(parts.cut(rows, "part", len(done)))
    folder.write_table(_name(len(folder.names())), added)
    return added if known is None else pa.concat_tables([known, added])


def _name(number: int) -> str:
    return f"{number:05d}.parquet"
