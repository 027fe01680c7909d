"""Predictions as tasks that Label Studio imports, so that people confirm or mend them there, the least sure first.

Two files are made: the tasks with their pre-annotations as JSON, and beside it the labelling configuration as XML.
The form is that of https://labelstud.io/guide/predictions; a score is the model's confidence.

To import them:

1. Start Label Studio with ``LOCAL_FILES_SERVING_ENABLED=true`` and ``LOCAL_FILES_DOCUMENT_ROOT`` set to the folder that
   the folder of images lies in (https://labelstud.io/guide/storage#Local-storage). For images in an object store, leave
   both out.
2. Create a project. In Settings, Labeling Interface, Code, paste the XML file.
3. In Settings, Cloud Storage, add a source storage: *Local files* with the folder of images as its absolute path, or
   the bucket. Save it without syncing, which would make a second task for each image; it gives leave to show them.
4. Import the JSON file. Tasks keep its order; sorted by *Prediction score* in the data manager they also come so.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.fs import FileType

from hwr.errors import InputError, OutputError
from hwr.outputs import rows
from hwr.storage import Folder

COLUMNS = ["id", "status", "prediction", "confidence", "top"]

_CHOICE, _IMAGE = "character", "image"  # the names by which tasks and configuration refer to each other
_AT_ONCE = 8192
_LOOKED_AT = 1 << 16  # bytes of a file that show whether it holds tasks; a task has a few hundred


def check(location: str) -> None:
    """Refuse a place where tasks cannot be written, or where something else would be overwritten.

    Args:
        location: As `write` takes it. Tasks that were written there before may be replaced.

    Raises:
        InputError: It names no file, or none that leaves a place for the configuration.
        OutputError: There, or beside it with the ending ``.xml``, lies what `write` did not make.
    """
    folder, name = Folder.file(location)
    if location.endswith("/") or (not folder.is_local and folder.path == "/"):
        raise InputError(f"--label-studio {location} names a folder: name a file in it, such as tasks.json")
    if name.lower().endswith(".xml"):
        raise InputError(
            f"--label-studio {location} ends in .xml, as the file that is written beside it: name it .json"
        )
    for file, is_ours in ((name, _holds_tasks), (_beside(name), _holds_configuration)):
        kind = (folder / file).kind()
        if kind == FileType.NotFound:
            continue
        with folder.open_file(file) if kind == FileType.File else BytesIO() as content:
            if not is_ours(content.read(_LOOKED_AT)):
                raise OutputError(
                    f"{folder.name}/{file} exists and is not what --label-studio writes: choose another name"
                )


def write(
    tables: Iterable[pa.Table], location: str, alphabet: Sequence[str], model: str, address: Callable[[str], str]
) -> None:
    """Write the tasks, the least sure first, and the configuration beside them, each whole or not at all.

    Inputs that could not be read have no task: there is nothing to look at. Those that abstained have their best guess.

    Args:
        tables: Tables with the `COLUMNS`, as `hwr.outputs.rows.tables` reads them.
        location: The JSON file; the configuration gets the same name with the ending ``.xml``.
        alphabet: The characters to choose from.
        model: The model's name and version.
        address: Where Label Studio finds the image of an id; see `file_address`.

    Raises:
        InputError: The location is none that can be opened.
        OutputError: The disk is full or the folder cannot be written.
    """
    folder, name = Folder.file(location)
    folder.write_bytes(_beside(name), configuration(alphabet).encode())
    with folder.writing(name) as file:
        mark = b"[\n"
        for row in _least_sure_first(tables):
            text = json.dumps(_task(row, model, address(row["id"])), ensure_ascii=False, allow_nan=False)
            file.write(mark + text.encode())
            mark = b",\n"
        file.write(b"\n]\n" if mark == b",\n" else b"[]\n")


def configuration(alphabet: Sequence[str]) -> str:
    """The labelling configuration as XML: an image, and one character to choose for it."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name=_IMAGE, value=f"${_IMAGE}")
    choices = ElementTree.SubElement(
        view, "Choices", name=_CHOICE, toName=_IMAGE, choice="single", showInline="true", required="true"
    )
    for label in alphabet:
        ElementTree.SubElement(choices, "Choice", value=label)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def file_address(images: Folder, id_: str) -> str:
    """Where Label Studio finds a file of a folder: below its document root, or in the object store."""
    if images.is_local:
        return f"/data/local-files/?d={quote(f'{images.base}/{id_}')}"
    return f"{images.name.partition('://')[0]}://{images.path}/{id_}"


def _beside(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(".xml"))


def _holds_tasks(begin: bytes) -> bool:
    """Whether a file begins as `write` begins it: a task a line, with the fields that `_task` gives it."""
    mark, _, rest = begin.partition(b"\n")
    try:
        task = json.loads(rest.partition(b"\n")[0].rstrip(b","))
    except (ValueError, RecursionError):
        return begin == b"[]\n"
    fields = task["data"].keys() if isinstance(task, dict) and isinstance(task.get("data"), dict) else set()
    return mark == b"[" and fields == {_IMAGE, "file", "status"} and task.keys() == {"data", "predictions"}


def _holds_configuration(begin: bytes) -> bool:
    """Whether a file begins as any `configuration` does."""
    return begin.startswith(configuration(["?"]).partition("<Choice ")[0].encode())


def _least_sure_first(tables: Iterable[pa.Table]) -> Iterator[dict[str, Any]]:
    """All rows that can be looked at; only a few of them are Python objects at the same time."""
    kept = [_columns(table) for table in tables]
    if not kept:
        return
    whole = pa.concat_tables(kept)
    order = np.argsort(pc.fill_null(whole["confidence"], 0).to_numpy(), kind="stable")
    for start in range(0, len(order), _AT_ONCE):
        yield from whole.take(pa.array(order[start : start + _AT_ONCE])).to_pylist()


def _columns(table: pa.Table) -> pa.Table:
    columns = {name: table[name] for name in ("id", "status", "confidence")}
    readable = pc.not_equal(table["status"], "unreadable")
    return pa.table({**columns, "answer": rows.answers(table)}).filter(readable)


def _task(row: dict[str, Any], model: str, image: str) -> dict[str, Any]:
    choice = {
        "from_name": _CHOICE,
        "to_name": _IMAGE,
        "type": "choices",
        "value": {"choices": [row["answer"]]},
    }
    said = {"model_version": model, "score": row["confidence"], "result": [choice]}
    data = {_IMAGE: image, "file": row["id"], "status": row["status"]}
    return {"data": data, "predictions": [] if row["answer"] is None else [said]}
