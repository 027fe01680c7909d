"""What hwr label has to do, written down in its output folder, and whether all of it is there."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from hwr import listing, manifest, parts
from hwr.outputs import table
from hwr.report import labelled
from hwr.report.tally import SUMMARY
from hwr.storage import Folder

# What people read; the manifest does not name it, as a person may save it anew.
_PAGES = (table.NAME, labelled.NAME, SUMMARY)


def write_down(index: pa.Table, out: Folder, alphabet: list[str] | None, images: Folder) -> int:
    """Write down what is to be labelled, beyond what was written down before.

    Args:
        index: All inputs.
        out: The output folder.
        alphabet: The characters of the model, where folders that are named by others are no truth.
        images: What was listed, for messages.

    Returns:
        How many inputs are new, or were missing before.

    Raises:
        HwrError: An input has changed since it was written down, or what is written down is damaged.
    """
    folder, has_parts = out / "inputs", bool((out / "predictions").names())
    known = listing.read(folder)
    if known is None and has_parts:  # looked for before, as another run of the same command may have just begun
        out.remove(manifest.MANIFEST)
        out.remove_folder("predictions")  # the listing was lost, and with it what the inputs were then
    late = 0 if known is None else _take_up(listing.arrived(index, known), known, out)
    known = listing.read(folder) if late else known
    found = listing.news(index, known, _above(images))
    if len(found):
        out.remove(manifest.MANIFEST)  # no longer complete
    if alphabet is not None:
        found = _with_truth(found, alphabet, known)
    listing.add(folder, found, known)
    return len(found) + late


def _take_up(late: pa.Table, known: pa.Table, out: Folder) -> int:
    """Have inputs labelled that were missing: their parts are done again, so that each keeps its one row."""
    for name in pc.unique(known["part"].filter(pc.is_in(known["key"], late["key"].combine_chunks()))).to_pylist():
        out.remove(manifest.MANIFEST)
        out.remove(f"predictions/{name}.parquet")  # first, so that none is left that the listing does not describe
    listing.replace(out / "inputs", late)
    return len(late)


def _above(images: Folder) -> str:
    """What ids are paths from, as the user would write it."""
    return Folder.file(images.name)[0].name if images.kind() == pafs.FileType.File else images.name


def _with_truth(index: pa.Table, alphabet: list[str], known: pa.Table | None) -> pa.Table:
    """Keep the labels of an index only where they are truth.

    A folder's name is taken for the truth only where every image lies in a folder named by a character of the model:
    a folder of scans that happens to be called ``A`` must not pass for one.
    """
    readable = pc.is_null(index["reason"])
    earlier = [] if known is None else known["label"].filter(pc.is_null(known["reason"])).unique().to_pylist()
    if {*earlier, *index["label"].filter(readable).unique().to_pylist()} <= set(alphabet):
        return index
    return index.set_column(index.schema.get_field_index("label"), "label", pa.nulls(len(index), pa.string()))


def is_whole(out: Folder) -> bool:
    """Whether a folder has all that its manifest says, and that says all that is listed; else it is made unfinished."""
    made, done = manifest.require(out, "predictions"), out / "predictions"
    todo = parts.split(listing.require(out / "inputs"))
    has_parts = not parts.missing(todo, done) and parts.files(todo, out, "predictions") == made["files"]
    if has_parts and all(out.has(name) for name in _PAGES):
        return True
    out.remove(manifest.MANIFEST)
    for file in made["files"]:
        if out.has(file["name"]) and out.bytes(file["name"]) != file["bytes"]:
            out.remove(file["name"])
    return False
