"""Folders named after characters: a name that any disk can hold, and the character that such a name means.

Digits and capitals without an accent are their own names. Lower-case letters would meet their capitals on a disk that
does not tell them apart, and some characters may not stand in a name at all: these are followed by or replaced with
their code points, so that ``a`` is ``a_U+0061``, ``/`` is ``U+002F`` and ``é`` is ``é_U+00E9``.
"""

import re
from string import ascii_uppercase, digits
from unicodedata import normalize

from hwr.sources.base import SPLIT_WORDS

ABSTAINED, UNREADABLE = "_abstained", "_unreadable"
"""Folders of a sorted labelling whose images have no label."""

_CODED = re.compile(r"(?:(.*?)_)??(U\+[0-9A-F]{4,6}(?:_U\+[0-9A-F]{4,6})*)", re.DOTALL)
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{name}{number}" for name in ("COM", "LPT") for number in range(10))}
_LONGEST, _SPELT = 40, 10  # characters of a label in a name, alone and beside their code points


def folder_name(label: str) -> str:
    """The name of a label's folder; no two labels have names that any disk takes for the same.

    Args:
        label: One or more characters in NFC, as alphabets have them.
    """
    plain = all(c in digits + ascii_uppercase or (c.isalnum() and c.lower() == c.upper()) for c in label)
    reserved = label in _DEVICES or label.lower() in SPLIT_WORDS
    if plain and not reserved and len(label) <= _LONGEST:
        return label
    points = "_".join(f"U+{ord(c):04X}" for c in label)
    return f"{label}_{points}" if label.isalnum() and len(label) <= _SPELT else points


def label_of(folder: str) -> str:
    """The label that a folder's name means; the name itself, where it is none of `folder_name`'s."""
    if folder in (ABSTAINED, UNREADABLE):
        return ""
    found = _CODED.fullmatch(normalize("NFC", folder))
    if not found:
        return folder
    points = [int(point[2:], 16) for point in found[2].split("_")]
    if any(point > 0x10FFFF or 0xD800 <= point < 0xE000 for point in points):
        return folder
    label = "".join(map(chr, points))
    return label if found[1] in (None, label) else folder
