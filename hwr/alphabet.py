"""Ordered alphabets: which characters a model knows, and the class number of each."""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Self

import numpy as np
import numpy.typing as npt

from hwr.errors import InputError

NAMED: dict[str, str] = {
    "digits": digits,
    "A-Z": ascii_uppercase,
    "az35": digits[1:] + ascii_uppercase,
    # The 47 classes of EMNIST Balanced, in its order: lower-case letters that look like their capitals are merged.
    # Cohen et al., "EMNIST: an extension of MNIST to handwritten letters", 2017, https://arxiv.org/abs/1702.05373
    "emnist47": digits + ascii_uppercase + "abdefghnqrt",
    "english62": digits + ascii_uppercase + ascii_lowercase,
}


@dataclass(frozen=True)
class Alphabet:
    """Labels in the order of their class numbers.

    Attributes:
        labels: One label a class, unique; a label is the character itself.
    """

    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.labels)) != len(self.labels):
            twice = sorted({label for label in self.labels if self.labels.count(label) > 1})
            raise InputError(f"an alphabet names each character once, but {''.join(twice)!r} come twice")
        if not self.labels:
            raise InputError("an alphabet needs at least one character")

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def parse(cls, text: str) -> Self:
        """A named alphabet (`NAMED`), or the characters themselves, such as ``ABC``."""
        return cls(tuple(NAMED.get(text, unicodedata.normalize("NFC", text))))

    @classmethod
    def of(cls, labels: Iterable[str]) -> Self:
        """The alphabet that labels themselves span: in the order of the named alphabets, then by code point."""
        found = set(labels)
        known = [label for label in NAMED["english62"] if label in found]
        return cls((*known, *sorted(found - set(known))))

    def encode(self, labels: Sequence[str]) -> npt.NDArray[np.int64]:
        """Class numbers (N,) int64 of labels; -1 where a label is not in the alphabet."""
        number = {label: index for index, label in enumerate(self.labels)}
        return np.fromiter((number.get(label, -1) for label in labels), np.int64, len(labels))


def read_mapping(text: str, name: str) -> dict[int, str]:
    """Read a mapping file of class numbers to characters, as EMNIST or as JSON has it.

    EMNIST has lines of a class number and the code point(s) of its character; Letters gives two code points a line,
    upper and lower case, and the first is taken. JSON is an object of class numbers and characters, either of them
    first (``{"0": "A"}`` or ``{"A": 0}``), or a list of characters.

    Args:
        text: The file's text.
        name: The file's name, for messages.

    Raises:
        InputError: A line is not a class number with a code point, the JSON is something else, or a class comes twice.
    """
    if text.lstrip().startswith(("{", "[")):
        return _read_json(text, name)
    mapping: dict[int, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            label, point = (int(field) for field in line.split()[:2])
            character = chr(point)
            if not _is_label(character):
                raise ValueError
        except (ValueError, OverflowError):
            raise InputError(f"{name} line {number} is not 'class-number code-point': {line[:40]!r}") from None
        if label in mapping:
            raise InputError(f"{name} line {number} maps class {label} a second time")
        mapping[label] = character
    if not mapping:
        raise InputError(f"{name} is empty: expected lines of 'class-number code-point'")
    return mapping


def _read_json(text: str, name: str) -> dict[int, str]:
    try:
        found = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not readable JSON: {error}") from None
    pairs = found if text.lstrip().startswith("{") else list(enumerate(found))
    if pairs and all(type(second) is int for _, second in pairs):
        pairs = [(number, character) for character, number in pairs]
    try:
        mapping = {int(number): character for number, character in pairs}
    except (ValueError, TypeError):
        mapping = {}
    texts = all(isinstance(character, str) and _is_label(character) for character in mapping.values())
    if not mapping or not texts or len(mapping) < len(pairs):
        raise InputError(f'{name} does not map class numbers to characters, as {{"0": "A", "1": "B"}} does')
    return {number: unicodedata.normalize("NFC", character) for number, character in mapping.items()}


def _is_label(text: str) -> bool:
    """Whether a text can be shown and written down; half a surrogate pair, for one, cannot."""
    return bool(text) and text.isprintable()


def visible(label: str) -> str:
    """A label of which every character can be seen: a space as a sign, what has no shape as its code point."""
    return "".join("␣" if c == " " else c if c.isprintable() else f"U+{ord(c):04X}" for c in label)
