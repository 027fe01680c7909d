"""Whether confidences can be believed, and what is gained by answering only where they are high."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_ROUNDING = 1e-6  # how far a float32 softmax may leave [0, 1]


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence beside accuracy, in equal bins of [0, 1].

    Attributes:
        rows: Rows of each bin (B,) int64; at least one over all.
        confidence: Their mean confidence (B,) float64 in [0, 1]; 0 where a bin is empty.
        accuracy: The share of them that is right (B,) float64 in [0, 1]; 0 where a bin is empty.
    """

    rows: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]

    @property
    def ece(self) -> float:
        """The expected calibration error in [0, 1]: how far confidence and accuracy are apart, over all rows.

        Guo et al., "On calibration of modern neural networks", 2017, https://arxiv.org/abs/1706.04599.
        """
        return float(self.rows @ np.abs(self.confidence - self.accuracy) / self.rows.sum())

    def to_json(self) -> dict[str, Any]:
        """The error, and every bin between its edges."""
        return {
            "ece": self.ece,
            "edges": np.linspace(0, 1, len(self.rows) + 1).round(4).tolist(),
            "rows": self.rows.tolist(),
            "confidence": self.confidence.tolist(),
            "accuracy": self.accuracy.tolist(),
        }


@dataclass(frozen=True, eq=False)
class Abstention:
    """What comes of answering only from a confidence on; from all rows, the first, to the surest alone, the last.

    Attributes:
        min_confidence: Rows at or above it are answered (M,) float64, rising.
        coverage: Their share of all rows (M,) float64 in (0, 1], falling from 1.
        accuracy: The share of them that is right (M,) float64 in [0, 1].
    """

    min_confidence: npt.NDArray[np.float64]
    coverage: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]

    def thinned(self, most: int) -> "Abstention":
        """At most so many of the points (2 or more): evenly in coverage, with the first and the last."""
        kept = _evenly(self.coverage, most)
        return Abstention(self.min_confidence[kept], self.coverage[kept], self.accuracy[kept])

    def at(self, coverages: Sequence[float]) -> list[dict[str, float]]:
        """What to ask for so that at least a share of the rows is answered.

        It is the point of least coverage that still has this share. Rows of equal confidence come together, so more may
        be answered than was asked for: each point says its own coverage.

        Args:
            coverages: Shares in [0, 1].

        Returns:
            For each share: ``asked``, and ``min_confidence``, ``coverage`` and ``accuracy`` of its point.

        Raises:
            ValueError: A share is above 1 or below 0.
        """
        if not all(0 <= asked <= 1 for asked in coverages):
            raise ValueError(f"shares must be in [0, 1], found {list(coverages)}")
        made = []
        for asked in coverages:
            point = int(np.flatnonzero(self.coverage >= asked)[-1])
            columns = {"min_confidence": self.min_confidence, "coverage": self.coverage, "accuracy": self.accuracy}
            made.append({"asked": asked, **{name: float(values[point]) for name, values in columns.items()}})
        return made


def reliability(confidence: npt.NDArray[np.float32], right: npt.NDArray[np.bool_], bins: int = 15) -> Reliability:
    """Compare confidence with accuracy, bin by bin.

    Args:
        confidence: Of each answer (N,) float32 in [0, 1]; what lies on an edge belongs to the bin above it, and 1 to
            the last.
        right: Whether each answer is right (N,) bool.
        bins: How many equal bins of [0, 1].

    Raises:
        ValueError: There are no rows, or a confidence is not in [0, 1].
    """
    values = _checked(confidence, right)
    numbers = np.minimum((values * bins).astype(np.int64), bins - 1)
    rows = np.bincount(numbers, minlength=bins).astype(np.int64)
    sums = (np.bincount(numbers, weights=each, minlength=bins) for each in (values, right))
    return Reliability(rows, *(each / np.maximum(rows, 1) for each in sums))


def brier(confidence: npt.NDArray[np.float32], right: npt.NDArray[np.bool_]) -> float:
    """The Brier score in [0, 1]: the mean squared distance of a confidence from 1, if the answer is right, or from 0.

    Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78, 1950.

    Args:
        confidence: Of each answer (N,) float32 in [0, 1].
        right: Whether each answer is right (N,) bool.

    Raises:
        ValueError: There are no rows, or a confidence is not in [0, 1].
    """
    from sklearn.metrics import brier_score_loss  # noqa: PLC0415 - a second that others need not wait

    return float(brier_score_loss(right, _checked(confidence, right), pos_label=True))


def abstention(confidence: npt.NDArray[np.float32], right: npt.NDArray[np.bool_]) -> Abstention:
    """Follow how accuracy rises, or does not, as fewer and surer rows are answered.

    Rows of equal confidence are answered together or not at all: no threshold can tell them apart.

    Args:
        confidence: Of each answer (N,) float32 in [0, 1].
        right: Whether each answer is right (N,) bool.

    Raises:
        ValueError: There are no rows, or a confidence is not in [0, 1].
    """
    values = _checked(confidence, right)
    thresholds, numbers = np.unique(values, return_inverse=True)
    # Counted from the surest down; then the other way round, so that all rows come first.
    answered, hits = (
        np.bincount(numbers, weights=each, minlength=len(thresholds))[::-1].cumsum()[::-1]
        for each in (np.ones(len(values)), right)
    )
    return Abstention(thresholds, answered / len(values), hits / answered)


def _evenly(falling: npt.NDArray[np.float64], most: int) -> npt.NDArray[np.int64]:
    """Places (M,) of at most so many of falling numbers: those nearest to even steps from the first to the last."""
    if len(falling) <= most:
        return np.arange(len(falling))
    steps = np.linspace(falling[0], falling[-1], most)
    after = np.clip(np.searchsorted(-falling, -steps), 1, len(falling) - 1)
    nearer = steps - falling[after] < falling[after - 1] - steps
    return np.unique(np.where(nearer, after, after - 1))


def _checked(confidence: npt.NDArray[np.float32], right: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    if not len(confidence) or len(confidence) != len(right):
        raise ValueError(f"{len(confidence)} confidences and {len(right)} answers: there is nothing to compare")
    values = confidence.astype(np.float64)
    inside = (values >= -_ROUNDING) & (values <= 1 + _ROUNDING)
    if not inside.all():
        raise ValueError(f"confidences must be in [0, 1], found {values[~inside][0]}")
    return np.clip(values, 0, 1)
