"""The figures of every character as plain text, in the form that scikit-learn made known."""

from collections.abc import Sequence
from unicodedata import category, east_asian_width

import numpy as np

from hwr.alphabet import visible
from hwr.metrics.scores import Average, Character, Scores

_LONGEST = 24
_HEAD = ("precision", "recall", "f1-score", "support")


def classification_report(scores: Scores) -> str:
    """Write scores as scikit-learn's function of this name does, with four digits; its last line has an end.

    As there, the characters are those that occur in the truth or among the answers, and ``macro avg`` is the mean over
    all of them. `Scores.macro` leaves out those that were only answered, so it can be higher.
    """
    found = [character for character in scores.characters if character.support or character.predicted]
    share = scores.share
    macro, weighted = _average(found), _average(found, [each.support for each in found])
    names = [_named(character.label) for character in found]
    width = max(len("weighted avg"), *map(_cells, names))
    lines = [
        _line("", _HEAD, width),
        "",
        *(_line(name, _figures(each, each.support), width) for name, each in zip(names, found, strict=True)),
        "",
        _line("accuracy", ("", "", f"{share.accuracy:.4f}", str(share.rows)), width),
        _line("macro avg", _figures(macro, share.rows), width),
        _line("weighted avg", _figures(weighted, share.rows), width),
    ]
    return "\n".join(lines) + "\n"


def _named(label: str) -> str:
    """A label that can be seen and takes up columns; a long one is cut."""
    shown = visible(label)
    if shown and not _cells(shown[0]):
        shown = f"◌{shown}"  # a mark without a letter would sit on the space before it
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def _average(characters: Sequence[Character], weights: Sequence[int] | None = None) -> Average:
    columns = zip(*((each.precision, each.recall, each.f1) for each in characters), strict=True)
    # One column at a time, as scikit-learn does: in another order sums differ in a last digit that rounding may show.
    return Average(*(float(np.average(column, weights=weights)) for column in columns))


def _figures(of: Average | Character, rows: int) -> tuple[str, ...]:
    return f"{of.precision:.4f}", f"{of.recall:.4f}", f"{of.f1:.4f}", str(rows)


def _line(name: str, cells: Sequence[str], width: int) -> str:
    return f"{' ' * (width - _cells(name))}{name} " + "".join(f" {cell:>9}" for cell in cells)


def _cells(text: str) -> int:
    """How many columns a text takes up: two for a wide character, none for a mark that sits on another."""
    return sum(0 if category(c) in ("Mn", "Me") else 2 if east_asian_width(c) in ("W", "F") else 1 for c in text)
