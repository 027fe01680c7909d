"""Two sets of answers to the same rows: what one mends and the other breaks, and whether that may be chance."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwr.alphabet import Alphabet
from hwr.metrics.shares import Share


@dataclass(frozen=True)
class CharacterChange:
    """What changed for the ``support`` rows that are one character.

    Attributes:
        label: The character.
        support: Its rows, at least 1.
        before: The share of them that was right, in [0, 1].
        after: The share of them that is right now, in [0, 1].
        fixed: Rows that were wrong and are right.
        broken: Rows that were right and are wrong.
    """

    label: str
    support: int
    before: float
    after: float
    fixed: int
    broken: int


@dataclass(frozen=True)
class Comparison:
    """What changed between two sets of answers.

    Attributes:
        before: Right ones of the first.
        after: Right ones of the second.
        fixed: Rows that only the second has right.
        broken: Rows that only the first has right.
        p_value: How probable a difference at least this large is, if neither is better, in [0, 1]: the exact test of
            McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
            Psychometrika 12, 1947. 1 where no row changed; 0 where it is too small for a number.
        characters: What changed for each character that occurs in the truth; the one that lost most comes first.
    """

    before: Share
    after: Share
    fixed: int
    broken: int
    p_value: float
    characters: tuple[CharacterChange, ...]

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "fixed": self.fixed,
            "broken": self.broken,
            "p_value": self.p_value,
            "characters": [asdict(character) for character in self.characters],
        }


def compare(
    truth: Sequence[str], before: Sequence[str | None], after: Sequence[str | None], labels: Sequence[str]
) -> Comparison:
    """Compare two sets of answers to the same rows.

    Args:
        truth: The true label of each of N rows.
        before: The answers (N,) of the first; None, where it gave none, is not right.
        after: The answers (N,) of the second.
        labels: The characters in their order; one of the truth that is not among them comes after them.

    Raises:
        ValueError: There are no rows, or not as many answers as rows.
    """
    if not len(truth):
        raise ValueError("there is nothing to compare")
    was, now = (_right(truth, answers) for answers in (before, after))
    outside = set(truth) - set(labels)
    order = Alphabet((*labels, *Alphabet.of(outside).labels) if outside else tuple(labels))
    fixed, broken = int((now & ~was).sum()), int((was & ~now).sum())
    return Comparison(
        before=Share(int(was.sum()), len(truth)),
        after=Share(int(now.sum()), len(truth)),
        fixed=fixed,
        broken=broken,
        p_value=_chance(fixed, broken),
        characters=_per_character(order.encode(truth), was, now, order.labels),
    )


def _right(truth: Sequence[str], answers: Iterable[str | None]) -> npt.NDArray[np.bool_]:
    return np.array([own == answer for own, answer in zip(truth, answers, strict=True)], np.bool_)


def _per_character(
    true: npt.NDArray[np.int64], was: npt.NDArray[np.bool_], now: npt.NDArray[np.bool_], labels: Sequence[str]
) -> tuple[CharacterChange, ...]:
    rows = (np.ones_like(was), was, now, now & ~was, was & ~now)
    support, before, after, fixed, broken = (
        np.bincount(true[chosen], minlength=len(labels)).tolist() for chosen in rows
    )
    # Counts, not the difference of two shares: equal changes must be equal numbers to stay in the order of labels.
    present = [number for number in range(len(labels)) if support[number]]
    present.sort(key=lambda number: (after[number] - before[number]) / support[number])
    return tuple(
        CharacterChange(
            labels[number],
            support[number],
            before[number] / support[number],
            after[number] / support[number],
            fixed[number],
            broken[number],
        )
        for number in present
    )


def _chance(fixed: int, broken: int) -> float:
    """The two-sided p-value: if neither is better, each row that changed did so by the throw of a coin."""
    from scipy.stats import binomtest  # noqa: PLC0415 - a second that others need not wait

    return float(binomtest(fixed, fixed + broken).pvalue) if fixed + broken else 1.0
