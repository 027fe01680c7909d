"""Which columns of a Parquet file hold images, labels, splits and writers."""

import json
from dataclasses import dataclass, field
from unicodedata import normalize

import pyarrow as pa

from hwr.errors import InputError
from hwr.sources.arrow_images import is_images

_IMAGES = ("image", "img", "picture", "png", "jpg", "bytes", "pixels")
_LABELS = ("label", "labels", "class", "character", "char", "target", "text", "y")


@dataclass(frozen=True)
class Columns:
    """Which columns of a file are read. The files of one set must be equal in it.

    Attributes:
        image: Name of the image column.
        label: Name of the label column, if there is one.
        is_text: Whether labels are text; otherwise they are class numbers.
        names: The names of the classes that the file itself gives, in their order.
        split: Name of a text column of splits; files may differ.
        writer: Name of a column of writers; files may differ.
    """

    image: str
    label: str | None
    is_text: bool
    names: tuple[str, ...] | None = field(repr=False)
    split: str | None = field(compare=False)
    writer: str | None = field(compare=False)

    def __str__(self) -> str:
        names = f" of {len(self.names)} classes ({' '.join(self.names)[:80]})" if self.names else ""
        label = f"{'text' if self.is_text else 'number'} labels{names} in {self.label!r}" if self.label else "no labels"
        return f"images in {self.image!r} and {label}"


def choose_columns(schema: pa.Schema, image: str | None, label: str | None, where: str) -> Columns:
    """Find the columns of one file by their names and types.

    Args:
        schema: The file's.
        image: Name of the image column, or None: the only column that can be one, or the only such one with a usual
            name.
        label: Name of the label column, or None: the first usual name whose column holds text or numbers, if any.
        where: The file's name, for messages.

    Raises:
        InputError: A column that is named is not there or of no use, or which one holds the images is not clear.
    """
    label = _label_column(schema, label, where)
    kind = schema.field(label).type if label else pa.null()
    lower = {name.lower(): name for name in schema.names if schema.names.count(name) == 1}
    split, writer = (lower.get(name) for name in ("split", "writer"))
    return Columns(
        image=_image_column(schema, image, where),
        label=label,
        is_text=is_text(kind),
        names=_class_names(schema, label) if _is_number(kind) else None,
        split=split if split and is_text(schema.field(split).type) else None,
        writer=writer if writer and _is_label(schema.field(writer).type) else None,
    )


def _image_column(schema: pa.Schema, named: str | None, where: str) -> str:
    images = [one.name for one in schema if is_images(one)]
    if named is not None:
        _require(schema, named, "--image-column", where)
        if named not in images:
            kind = schema.field(named).type
            raise InputError(f"{where} has no images in {named!r}, but {kind}: expected bytes, tensors or lists")
        return named
    found = images if len(images) == 1 else [name for name in images if name.lower() in _IMAGES]
    if len(found) != 1 or schema.names.count(found[0]) > 1:
        many = f"{len(images)} columns that may hold images" if images else "no column of images"
        raise InputError(
            f"{where} has {many}: call one of them image, or name it to hwr ingest with --image-column; "
            f"its columns are {_listed(schema)}"
        )
    return str(found[0])


def _label_column(schema: pa.Schema, named: str | None, where: str) -> str | None:
    if named is not None:
        _require(schema, named, "--label-column", where)
        if not _is_label(schema.field(named).type):
            kind = schema.field(named).type
            raise InputError(f"{where} has no labels in {named!r}, but {kind}: expected text or numbers")
        return named
    labels = {one.name.lower(): one.name for one in schema if _is_label(one.type) and schema.names.count(one.name) == 1}
    return next((labels[name] for name in _LABELS if name in labels), None)


def _require(schema: pa.Schema, name: str, flag: str, where: str) -> None:
    count = schema.names.count(name)
    if count != 1:
        raise InputError(f"{where} has {count or 'no'} columns {name!r}: {flag} takes one of {_listed(schema)}")


def _listed(schema: pa.Schema) -> str:
    more = len(schema.names) - 12
    return ", ".join(schema.names[:12]) + (f" and {more} more" if more > 0 else "")


def _class_names(schema: pa.Schema, label: str | None) -> tuple[str, ...] | None:
    """The names of classes that the hub's ``datasets`` keeps in the metadata of a file, if they can be read."""
    try:
        feature = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][label]
        names = tuple(normalize("NFC", name) for name in feature["names"])
        "".join(names).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return names if feature.get("_type", "ClassLabel") == "ClassLabel" and isinstance(feature["names"], list) else None


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is text, dictionary-encoded or not."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_label(kind: pa.DataType) -> bool:
    return is_text(kind) or _is_number(kind.value_type if pa.types.is_dictionary(kind) else kind)
