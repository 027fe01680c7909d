"""Raw labels -> characters: class numbers through an alphabet, names as they are."""

from collections.abc import Callable, Mapping
from typing import Any
from unicodedata import normalize

import numpy.typing as npt
import pandas as pd
import pyarrow as pa

Find = Callable[[Any], tuple[str | None, str | None]]
"""The character of a raw label, and what is wrong where there should be one; neither, where there is no label."""


def labelled(values: npt.NDArray[Any], find: Find) -> dict[str, pa.Array]:
    """The columns ``label``, ``reason`` and ``detail`` of an index.

    Args:
        values: One raw label an input, (N,).
        find: Called once for each label that occurs.
    """
    places, distinct = pd.factorize(values)
    found = [find(value) for value in distinct.tolist()] or [(None, None)]
    labels, details = (pa.array(column, pa.string()).take(pa.array(places)) for column in zip(*found, strict=True))
    reasons = pa.array(["unknown-label" if detail else None for _, detail in found], pa.string())
    return {"label": labels, "reason": reasons.take(pa.array(places)), "detail": details}


def by_number(characters: Mapping[int, str]) -> Find:
    """Class numbers, through what they mean."""

    def find(number: int) -> tuple[str | None, str | None]:
        label = characters.get(int(number))
        return label, None if label else f"class {number}"

    return find


def by_name(labels: Mapping[str, str] | None, what: str = "label") -> Find:
    """Names that are labels themselves or, where a mapping is given, that stand for one.

    Args:
        labels: Name to label.
        what: What has the name, for messages.
    """

    def find(name: str) -> tuple[str | None, str | None]:
        # macOS writes é as two code points and alphabets have it as one; NFC makes them the same label.
        label = normalize("NFC", name.strip()) or None
        if label is None or labels is None:
            return label, None
        return labels.get(label), None if label in labels else f"{what} {label!r}"

    return find
