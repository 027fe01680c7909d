"""What the confidences of predictions are worth: calibration, and what abstaining from the unsure ones buys."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hwr.metrics.confidence import Abstention, Reliability, abstention, brier, reliability
from hwr.metrics.shares import Share

COVERAGES = (1.0, 0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.5)
"""Shares of the inputs that report.json and the page say the accuracy for, if only so many were answered."""


@dataclass(frozen=True, eq=False)
class Trust:
    """Figures over all inputs that were read, answered or abstained from, by their best guess.

    Attributes:
        reliability: Accuracy against confidence, in bins.
        brier: Mean squared distance of the confidence from being right (1) or wrong (0).
        abstention: Accuracy against the share that is answered.
        answered: How many were answered, of how many.
        right: How many of those answered are right.
    """

    reliability: Reliability
    brier: float
    abstention: Abstention
    answered: Share
    right: int

    @classmethod
    def of(
        cls, confidence: npt.NDArray[np.float32], right: npt.NDArray[np.bool_], answered: npt.NDArray[np.bool_]
    ) -> Self:
        """Measure.

        Args:
            confidence: (N,) float32 in [0, 1].
            right: (N,) whether the best guess is the truth.
            answered: (N,) whether it was given as an answer.
        """
        return cls(
            reliability(confidence, right),
            brier(confidence, right),
            abstention(confidence, right),
            Share(int(answered.sum()), len(answered)),
            int((right & answered).sum()),
        )

    @property
    def coverage(self) -> float:
        """Share of the inputs read that were answered, in [0, 1]."""
        return self.answered.accuracy

    @property
    def accuracy(self) -> float | None:
        """Share of right ones among those answered; None where none was."""
        return self.right / self.answered.correct if self.answered.correct else None

    @property
    def points(self) -> list[dict[str, float]]:
        """What comes of answering `COVERAGES` of the inputs, see `Abstention.at`."""
        return self.abstention.at(COVERAGES)

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {
            "rows": self.answered.rows,
            "coverage": self.coverage,
            "accuracy_answered": self.accuracy,
            "ece": self.reliability.ece,
            "brier": self.brier,
            "reliability": self.reliability.to_json(),
            "if_fewer_were_answered": self.points,
        }
