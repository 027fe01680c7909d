"""The contracts between jobs: Arrow schemas of samples, rejects and predictions, with a version.

Images are canonical Arrow fixed-shape tensors
(https://arrow.apache.org/docs/format/CanonicalExtensions.html#fixed-shape-tensor), so that any Arrow reader opens them.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

VERSION = 1

SPLITS = ("train", "val", "test")


def _contract(name: str, fields: list[pa.Field]) -> pa.Schema:
    return pa.schema(fields, metadata={"hwr.contract": name, "hwr.version": str(VERSION)})


def samples(size: int) -> pa.Schema:
    """The schema of samples whose glyphs are ``size`` x ``size`` uint8, white ink on black, upright."""
    return _contract(
        "samples",
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("image", pa.fixed_shape_tensor(pa.uint8(), [size, size]), nullable=False),
            pa.field("label", pa.string()),
            pa.field("split", pa.string(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("writer", pa.string()),
        ],
    )


REJECTS = _contract(
    "rejects",
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string()),
    ],
)

PREDICTIONS = _contract(
    "predictions",
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("prediction", pa.string()),
        pa.field("confidence", pa.float32()),
        pa.field("top", pa.list_(pa.struct([("label", pa.string()), ("score", pa.float32())]))),
        pa.field("label", pa.string()),
        pa.field("reason", pa.string()),
    ],
)


def images_to_arrow(images: npt.NDArray[np.uint8]) -> pa.FixedShapeTensorArray:
    """Wrap glyphs (N, S, S) uint8 as an Arrow tensor column; an empty batch keeps its shape."""
    kind = pa.fixed_shape_tensor(pa.uint8(), list(images.shape[1:]))
    flat = pa.array(np.ascontiguousarray(images).reshape(-1))
    storage = pa.FixedSizeListArray.from_arrays(flat, int(np.prod(images.shape[1:])))
    return pa.ExtensionArray.from_storage(kind, storage)


def images_from_arrow(column: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """The glyphs (N, S, S) uint8 of an Arrow tensor column; read-only where Arrow owns the memory."""
    parts = [chunk.to_numpy_ndarray() for chunk in column.chunks]
    if not parts:
        return np.zeros((0, *column.type.shape), np.uint8)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
