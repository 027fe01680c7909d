"""Rows whose given label is probably wrong, going by what a model says of all rows.

Confident learning: Northcutt, Jiang, Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 70,
2021, https://arxiv.org/abs/1911.00068.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwr.alphabet import Alphabet
from hwr.metrics.scores import Top


@dataclass(frozen=True)
class Suspect:
    """A row whose label is worth a look.

    Attributes:
        row: Its number.
        suggestion: The label that it more probably is.
        margin: The probability of the suggestion less that of the given label, in (-1, 1]. It is not always positive:
            a class that the model is seldom sure of asks for less than one that it is always sure of.
    """

    row: int
    suggestion: str
    margin: float


def suspects(given: Sequence[str], top: Top, labels: Sequence[str]) -> list[Suspect]:
    """Find rows that look like members of another class than the given one.

    The threshold of a class is its mean probability over the rows that were given it: what the model says of a typical
    member. A row is suspect where, of the classes that reach their thresholds, the likeliest is not the given one. A
    class that no row was given has no threshold and is never suggested, nor is one that is not among the row's guesses.

    Args:
        given: The label of each of N rows. A row with one outside ``labels`` counts nowhere and is never suspect.
        top: The best guesses of each row; a class that is not among them has probability 0, and so has no guess
            outside ``labels`` a say.
        labels: The model's alphabet.

    Returns:
        The suspects by margin, the largest first, then by row.
    """
    if not top.labels.size:
        return []
    alphabet = Alphabet(tuple(labels))
    own = alphabet.encode(given)[:, None]
    guessed = alphabet.encode(top.labels.ravel().tolist()).reshape(top.labels.shape)
    scores = top.scores.astype(np.float64)
    is_own = (guessed == own) & (own >= 0)
    chance = np.where(is_own, scores, 0).sum(axis=1)
    threshold = _thresholds(own[:, 0], chance, len(alphabet))
    reached = (own >= 0) & (guessed >= 0) & (scores > 0) & (scores >= threshold[guessed])
    likely = np.where(reached, scores, 0)
    best = likely.argmax(axis=1)
    likeliest = likely.max(axis=1)
    # Where the given class is as likely as another, there is nothing to suspect.
    rows = np.flatnonzero(likeliest > np.where(is_own, likely, 0).max(axis=1))
    margins = likeliest[rows] - chance[rows]
    order = np.argsort(-margins, kind="stable")
    suggested = top.labels[rows, best[rows]]
    return [Suspect(int(rows[place]), str(suggested[place]), float(margins[place])) for place in order]


def _thresholds(own: npt.NDArray[np.int64], chance: npt.NDArray[np.float64], classes: int) -> npt.NDArray[np.float64]:
    """Mean chance (C,) float64 of each class over the rows given it; beyond reach where there are none."""
    known = own >= 0
    rows = np.bincount(own[known], minlength=classes)
    sums = np.bincount(own[known], weights=chance[known], minlength=classes)
    return np.where(rows > 0, sums / np.maximum(rows, 1), np.inf)
