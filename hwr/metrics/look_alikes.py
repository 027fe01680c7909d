"""Characters that count as one: 0 and O, or a letter and its capital, where handwriting does not tell them apart."""

from collections.abc import Iterator, Sequence
from itertools import count
from unicodedata import normalize

from hwr.errors import InputError

_HOW = "write the characters that count as one, with a comma between groups, such as 0O,1Il"


def groups(merge: str | None, fold_case: bool, labels: Sequence[str]) -> dict[str, str]:
    """Name the group of every label.

    Groups that share a label are one. Cases are those of Unicode, one character to one: ``ς`` and ``σ`` meet in ``Σ``,
    ``ı`` and ``i`` in ``I``, while ``ß``, whose capitals are two letters, and ``İ`` stay apart from these.

    Args:
        merge: Groups with commas between them, each character a label: ``0O,1Il``. None for none. A comma itself, and
            labels of several characters, cannot be named.
        fold_case: Whether a character and its other case count as one, where both are in ``labels``.
        labels: All labels, each once.

    Returns:
        Label to the name of its group, in the order of ``labels``: the members on end in that order, such as ``0O``
        (with a stroke between them, where a label has that name already). A label alone keeps its own.

    Raises:
        InputError: ``merge`` is empty, has a group of fewer than two characters, or one that is not in ``labels``.
    """
    above = {label: label for label in labels}
    for one, other in (*_merged(merge, above), *(_cases(above) if fold_case else ())):
        above[_top(above, one)] = _top(above, other)
    members: dict[str, list[str]] = {}
    for label in labels:
        members.setdefault(_top(above, label), []).append(label)
    names = {top: _name(group, above) for top, group in members.items()}
    return {label: names[_top(above, label)] for label in labels}


def _merged(merge: str | None, labels: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs that ``--merge`` makes one."""
    if merge is None:
        return
    if not merge:
        raise InputError(f"--merge is empty: {_HOW}")
    for group in normalize("NFC", merge).split(","):
        if len(set(group)) < 2:
            raise InputError(f"--merge has a group of fewer than two characters, {group!r}: {_HOW}")
        unknown = next((character for character in group if character not in labels), None)
        if unknown is not None:
            raise InputError(f"--merge names {unknown!r}, which is none of the {len(labels)} characters here: {_HOW}")
        yield from ((group[0], character) for character in group[1:])


def _cases(labels: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs of labels that are one character in two cases."""
    for label in labels:
        others = (label.upper(), label.lower())
        # What is of several characters is a name, or a spelling such as SS for ß, and no character's other case.
        yield from ((label, other) for other in others if len(other) == 1 and other != label and other in labels)


def _top(above: dict[str, str], label: str) -> str:
    """The label that stands for the whole group so far."""
    while above[label] != label:
        above[label] = above[above[label]]  # halves the way for those who come after
        label = above[label]
    return label


def _name(group: list[str], labels: dict[str, str]) -> str:
    if len(group) == 1:
        return group[0]
    # Two labels A and B next to one called AB must not become that one.
    return next(name for strokes in count() if (name := ("/" * strokes).join(group)) not in labels)
