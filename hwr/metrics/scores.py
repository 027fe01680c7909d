"""Figures of a classifier: confusion counts, and the scores that follow from them and from the confidences.

Pure functions of plain inputs; they need numpy and scikit-learn only.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwr.alphabet import Alphabet
from hwr.metrics.shares import Share

PAIRS = 20


def count_confusion(
    true: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: int
) -> npt.NDArray[np.int64]:
    """Count how often each class was taken for each.

    Args:
        true: Class numbers (B,) int64, in [0, classes).
        predicted: Class numbers (B,) int64, in [0, classes).
        classes: Their number C.

    Returns:
        Counts (C, C) int64; the row is the true class, the column the predicted one.

    Raises:
        ValueError: A class number is out of range; it would be counted as some other pair.
    """
    for numbers in (true, predicted):
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < classes:
            raise ValueError(f"class numbers must be in [0, {classes}), found {numbers.min()} to {numbers.max()}")
    flat = np.bincount(true * classes + predicted, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)


@dataclass(frozen=True)
class Average:
    """Precision, recall and F1, averaged over characters."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Character:
    """Figures of one character: ``support`` rows are it, ``predicted`` rows were taken for it; 0 / 0 counts as 0."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


@dataclass(frozen=True)
class Pair:
    """One character taken for another."""

    truth: str
    predicted: str
    count: int


@dataclass(frozen=True, eq=False)
class Top:
    """The best guesses of each row, best first.

    Attributes:
        labels: (N, K) str; "" where a row has fewer than K.
        scores: (N, K) float32 probabilities in [0, 1]; 0 where a row has fewer.
    """

    labels: npt.NDArray[np.str_]
    scores: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scores:
    """What a set of answers is worth, given the truth.

    Attributes:
        labels: The order of rows and columns of ``confusion``: the alphabet, then any true character outside it.
        confusion: Counts (C, C), as `count_confusion` gives them.
        characters: One entry for each of ``labels``.
        macro: The plain mean over the characters that occur in the truth.
        weighted: Their mean weighted by how often each occurs.
        pairs: The most confused pairs, most frequent first.
        top_k: Share of rows whose truth is among the best k guesses, for k = 1, 2, … as far as every row carries.
        loss: Mean negative log likelihood of the truth in nats, see `likelihood`; None without guesses.
        loss_bounded: Rows for which the loss is only a lower bound; 0 says that ``loss`` is exact.
        confidence_right: Mean confidence of right answers; None without any.
        confidence_wrong: Mean confidence of wrong answers; None without any.
    """

    labels: tuple[str, ...]
    confusion: npt.NDArray[np.int64]
    characters: tuple[Character, ...]
    macro: Average
    weighted: Average
    pairs: tuple[Pair, ...]
    top_k: tuple[float, ...]
    loss: float | None
    loss_bounded: int
    confidence_right: float | None
    confidence_wrong: float | None

    @property
    def share(self) -> Share:
        """Right answers of all answers."""
        return Share(int(np.trace(self.confusion)), int(self.confusion.sum()))

    def to_json(self) -> dict[str, Any]:
        """All figures, with the confusion counts beside the order of their rows and columns."""
        return {
            **self.share.to_json(),
            "macro": asdict(self.macro),
            "weighted": asdict(self.weighted),
            "top_k": {str(k): value for k, value in enumerate(self.top_k, 1)},
            "loss": self.loss,
            "loss_bounded_rows": self.loss_bounded,
            "mean_confidence": {"right": self.confidence_right, "wrong": self.confidence_wrong},
            "characters": [asdict(character) for character in self.characters],
            "most_confused": [asdict(pair) for pair in self.pairs],
            "confusion": {"labels": list(self.labels), "counts": self.confusion.tolist()},
        }


def score(
    truth: Sequence[str],
    predicted: Sequence[str],
    confidence: npt.NDArray[np.float32],
    labels: Sequence[str],
    top: Top | None = None,
) -> Scores:
    """Score answers against the truth.

    Args:
        truth: The true label of each of N rows; one outside ``labels`` is simply never right.
        predicted: The answer of each row, one of ``labels``.
        confidence: (N,) float32 in [0, 1].
        labels: The model's alphabet, in the order of its class numbers.
        top: The best guesses of each row, for the loss and top-k accuracy.

    Raises:
        ValueError: There are no rows, or an answer is not one of ``labels``.
    """
    if not len(truth):
        raise ValueError("there is nothing to score")
    outside = set(truth) - set(labels)
    order = Alphabet((*labels, *Alphabet.of(outside).labels) if outside else tuple(labels))
    confusion = count_confusion(order.encode(truth), order.encode(predicted), len(order))
    characters, macro, weighted = _per_character(confusion, order.labels)
    right = np.array(truth) == np.array(predicted)
    loss, bounded = likelihood(truth, top) if top is not None and top.labels.size else (None, 0)
    return Scores(
        labels=order.labels,
        confusion=confusion,
        characters=characters,
        macro=macro,
        weighted=weighted,
        pairs=most_confused(confusion, order.labels),
        top_k=top_k(truth, top) if top is not None else (),
        loss=loss,
        loss_bounded=bounded,
        confidence_right=_mean(confidence[right]),
        confidence_wrong=_mean(confidence[~right]),
    )


def top_k(truth: Sequence[str], top: Top) -> tuple[float, ...]:
    """Share of rows whose truth is among the best k guesses, for each k that every row carries."""
    carried = int((top.labels != "").sum(axis=1).min())
    hits = top.labels[:, :carried] == np.array(truth)[:, None]
    return tuple(float(share) for share in np.maximum.accumulate(hits, axis=1).mean(axis=0))


def likelihood(truth: Sequence[str], top: Top) -> tuple[float, int]:
    """Mean negative log likelihood of the truth in nats, from the guesses that were kept.

    Where the truth is not among them its probability is at most what they leave over, and at most the least of
    them. That bound is used, so the mean never overstates the loss; it is exact where every truth is among the
    guesses.

    Returns:
        The mean, and the number of rows for which only the bound was known.
    """
    hits = top.labels == np.array(truth)[:, None]
    found = hits.any(axis=1)
    scores = top.scores.astype(np.float64)
    own = np.where(hits, scores, 0.0).sum(axis=1)
    least = np.where(top.labels == "", 1.0, scores).min(axis=1, initial=1.0)
    # Float32 scores add up to 1 only to within their rounding, so no bound may be smaller than that.
    left = np.maximum(1.0 - scores.sum(axis=1), np.finfo(np.float32).eps)
    chance = np.where(found, np.maximum(own, np.finfo(np.float32).tiny), np.minimum(left, least))
    return float(-np.log(np.maximum(chance, np.finfo(np.float32).tiny)).mean()), int((~found).sum())


def most_confused(confusion: npt.NDArray[np.int64], labels: Sequence[str], most: int = PAIRS) -> tuple[Pair, ...]:
    """Pairs off the diagonal, most frequent first, then in the order of the labels."""
    wrong = confusion - np.diag(np.diag(confusion))
    rows, columns = np.nonzero(wrong)
    order = np.argsort(-wrong[rows, columns], kind="stable")[:most]
    pairs = ((rows[index], columns[index]) for index in order)
    return tuple(Pair(labels[row], labels[column], int(wrong[row, column])) for row, column in pairs)


def _per_character(
    confusion: npt.NDArray[np.int64], labels: Sequence[str]
) -> tuple[tuple[Character, ...], Average, Average]:
    """Figures of each character and their averages, from the counts, so that the cost does not grow with the rows."""
    from sklearn.metrics import precision_recall_fscore_support  # noqa: PLC0415 - a second that others need not wait

    true, predicted = np.nonzero(confusion)
    weight = confusion[true, predicted]
    every = np.arange(len(labels))
    figures = np.array(
        precision_recall_fscore_support(true, predicted, labels=every, sample_weight=weight, zero_division=0)[:3]
    )
    support = confusion.sum(axis=1)
    taken = confusion.sum(axis=0)
    columns = (*figures.tolist(), support.tolist(), taken.tolist())
    characters = tuple(Character(*row) for row in zip(labels, *columns, strict=True))
    macro = Average(*(float(value) for value in figures[:, support > 0].mean(axis=1)))
    weighted = Average(*(float(value) for value in np.average(figures, axis=1, weights=support)))
    return characters, macro, weighted


def _mean(values: npt.NDArray[np.float32]) -> float | None:
    return float(values.mean(dtype=np.float64)) if values.size else None
