"""Images in Arrow columns: encoded files, tensors and lists of grey values, as `hwr.sources.parquet` finds them.

Formats: the Hugging Face hub's struct of bytes and path
(https://huggingface.co/docs/datasets/about_dataset_features), Arrow's tensors
(https://arrow.apache.org/docs/format/CanonicalExtensions.html), Ray Data's tensors, and plain lists. An extension type
is read as the plain values that it is stored as, so a pickled object is never opened, whatever a file says it holds.
"""

import json
import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hwr.decode import MAX_PIXELS, decode
from hwr.errors import Reject, RejectError
from hwr.sources.base import Image

Shape = tuple[int, ...]
_Counts = npt.NDArray[np.int64]


def is_images(column: pa.Field) -> bool:
    """Whether a column can hold images, by its type alone."""
    kind, shape = _storage(column.type), _declared_shape(column)
    if pa.types.is_struct(kind):
        parts = {part.name: part.type for part in kind}
        return _is_binary(parts.get("bytes", pa.null())) or _is_ragged_tensor(parts)
    return _is_binary(kind) or (_depth(kind) in (1, 2, 3) and (shape is None or _plane(shape) is not None))


def read_images(values: pa.Array, column: pa.Field) -> Callable[[int], Image | Reject]:
    """Read a few rows of a column of images; grey values are converted all at once, encoded files one by one.

    Args:
        values: The rows.
        column: The field of the schema that they come from, for which `is_images` holds.

    Returns:
        Row number in ``values`` to image (H, W) uint8, or to a reject: ``missing``, ``wrong-length``, ``out-of-range``
        (an integer outside 0 to 255, a float outside 0 to 1), ``too-large``, or what `hwr.decode.decode` raises.
    """
    while isinstance(values, pa.ExtensionArray):
        values = values.storage
    if _is_binary(values.type):
        return lambda row: _decoded(values[row].as_py())
    if not pa.types.is_struct(values.type):
        return _grey_images(values, column, None)
    parts = {part.name: part.type for part in values.type}
    if not _is_binary(parts.get("bytes", pa.null())):
        shapes = [tuple(side or 0 for side in shape or ()) for shape in pc.struct_field(values, "shape").to_pylist()]
        return _grey_images(pc.struct_field(values, "data"), column, shapes)
    data = pc.struct_field(values, "bytes")
    # Any other kind of path is left alone: it could be an object that has to be unpickled.
    named = pa.types.is_string(parts.get("path", pa.null()))
    paths = pc.struct_field(values, "path").cast(pa.binary()) if named else pa.nulls(len(values), pa.binary())
    return lambda row: _decoded(data[row].as_py(), paths[row].as_py() or b"")


def _decoded(data: bytes | None, path: bytes = b"") -> Image | Reject:
    if data is None:
        return Reject("missing", path.decode(errors="replace"))
    try:
        return decode(data)
    except RejectError as error:
        return error.reject


def _grey_images(values: pa.Array, column: pa.Field, shapes: list[Shape] | None) -> Callable[[int], Image | Reject]:
    numbers, counts, found = _unnest(values)
    pixels, bad = _to_uint8(numbers)
    ends = np.cumsum(counts)
    # Of several bad values in a row, the first is named: it is entered last.
    first_bad = dict(zip(np.searchsorted(ends, bad, "right")[::-1].tolist(), bad[::-1].tolist(), strict=True))
    valid = values.is_valid().to_pylist()
    sizes, stops = counts.tolist(), ends.tolist()
    declared, axes = _declared_shape(column), _axes(column)

    def image(row: int) -> Image | Reject:
        if not valid[row]:
            return Reject("missing")
        shape = declared or (shapes[row] if shapes else tuple(found[row].tolist()))
        size, stop = sizes[row], stops[row]
        if size > MAX_PIXELS:
            return Reject("too-large", f"{size:,} pixels, more than {MAX_PIXELS:,}")
        plane = _plane(tuple(shape[axis] for axis in axes) if axes else shape)
        if plane is None or math.prod(shape) != size:
            return Reject("wrong-length", _misfit(size, shape))
        if row in first_bad:
            value = numbers[first_bad[row]].as_py()
            return Reject("out-of-range", f"value {'null' if value is None else format(value, '.9g')}")
        part = pixels[stop - size : stop]
        return (part.reshape(shape).transpose(axes) if axes else part).reshape(plane)

    return image


def _misfit(size: int, shape: Shape) -> str:
    if shape == (size,):
        return f"{size} values are no square"
    if -1 in shape:
        return f"{size} values in lists of different lengths"
    sides = " x ".join(map(str, shape))
    return f"{sides} values are no grey image" if math.prod(shape) == size else f"{size} values instead of {sides}"


def _unnest(values: pa.Array) -> tuple[pa.Array, _Counts, _Counts]:
    """Flatten lists of lists.

    Returns:
        All numbers; how many of them are in each row (N,); and the shape of each row (N, depth), -1 where the lists of
        one row differ in length.
    """
    rows = np.arange(len(values))
    counts = _lengths(values)
    shape, values = [counts], values.flatten()
    while _is_list(values.type):
        owner, inner = np.repeat(rows, counts), _lengths(values)
        width = np.zeros(len(rows), np.int64)
        width[owner[::-1]] = inner[::-1]  # the first list of each row is written last, and stays
        odd = np.bincount(owner[inner != width[owner]], minlength=len(rows)) > 0
        shape.append(np.where(odd, -1, width))
        counts, values = np.bincount(owner, inner, len(rows)).astype(np.int64), values.flatten()
    return values, counts, np.stack(shape, 1)


def _lengths(lists: pa.Array) -> _Counts:
    lengths = pc.if_else(lists.is_valid(), pc.list_value_length(lists).cast(pa.int64()), 0)
    return np.asarray(lengths.to_numpy(zero_copy_only=False), np.int64)


def _to_uint8(values: pa.Array) -> tuple[Image, _Counts]:
    """Grey values as uint8, and the places of those that are none."""
    numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
    bad = values.is_null().to_numpy(zero_copy_only=False)
    if numbers.dtype.kind == "f":
        bad |= ~((numbers >= 0) & (numbers <= 1))  # not the same as outside: nothing compares with NaN
        numbers = np.rint(np.where(bad, 0, numbers) * np.float32(255))
    elif numbers.dtype != np.uint8:
        bad |= (numbers < 0) | (numbers > 255)
    return numbers.astype(np.uint8, copy=False), np.flatnonzero(bad)


@lru_cache(maxsize=256)
def _plane(shape: Shape) -> tuple[int, int] | None:
    """Height and width of (H, W), (H, W, 1), (1, H, W) or a flat square."""
    if len(shape) == 3 and 1 in (shape[0], shape[2]):
        shape = shape[:2] if shape[2] == 1 else shape[1:]
    if len(shape) == 1:
        shape = (math.isqrt(max(shape[0], 0)),) * 2 if math.isqrt(max(shape[0], 0)) ** 2 == shape[0] else ()
    return (shape[0], shape[1]) if len(shape) == 2 and min(shape) > 0 else None


def _declared_shape(column: pa.Field) -> Shape | None:
    """The shape that all rows have by the type of their column."""
    shape = getattr(column.type, "shape", None)  # Arrow's tensors, and Ray's where Ray is imported
    metadata = column.metadata or {}
    if metadata.get(b"ARROW:extension:name", b"").startswith(b"ray.data.arrow_tensor"):
        try:
            shape = json.loads(metadata.get(b"ARROW:extension:metadata", b""))
        except (ValueError, RecursionError):  # older Ray pickled the shape: left alone
            return None
    if shape is None and pa.types.is_fixed_size_list(column.type) and _depth(column.type) == 1:
        shape = [column.type.list_size]
    right = isinstance(shape, list | tuple) and all(isinstance(side, int) for side in shape)
    return tuple(shape) if right and shape else None


def _axes(column: pa.Field) -> Shape | None:
    return tuple(column.type.permutation or ()) or None if isinstance(column.type, pa.FixedShapeTensorType) else None


def _storage(kind: pa.DataType) -> pa.DataType:
    while isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return kind


def _depth(kind: pa.DataType) -> int:
    """How many lists lie around numbers; 0 where there are none of either."""
    depth = 0
    while _is_list(kind):
        kind, depth = kind.value_type, depth + 1
    return depth if pa.types.is_integer(kind) or pa.types.is_floating(kind) else 0


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _is_ragged_tensor(parts: dict[str, pa.DataType]) -> bool:
    """Whether a struct is a tensor of variable shape, Arrow's or Ray's: its values and its shape."""
    data, shape = parts.get("data", pa.null()), parts.get("shape", pa.null())
    return _depth(data) == 1 and _depth(shape) == 1 and bool(pa.types.is_integer(shape.value_type))
