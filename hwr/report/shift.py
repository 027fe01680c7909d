"""How far predictions are from what the model was validated on, of which no truth needs to be known."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hwr.calibration import Calibration
from hwr.metrics.drift import reading, stability
from hwr.report.recognition import Report
from hwr.report.tally import BINS

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Change:
    """One distribution, on the validation samples and here.

    Attributes:
        expected: Counts (B,) of the validation samples.
        found: Counts (B,) of these predictions, in the same bins.
    """

    expected: Counts
    found: Counts

    @property
    def index(self) -> float:
        """The population stability index."""
        return stability(self.expected, self.found)

    @property
    def by_chance(self) -> float:
        """How large the index is on average where nothing has changed, from the numbers of rows alone."""
        used = int(((self.expected + self.found) > 0).sum())
        return (used - 1) * float(1 / self.expected.sum() + 1 / self.found.sum())

    @property
    def reading(self) -> str:
        """What the index says beyond chance: ``stable``, ``shifted`` or ``very different``."""
        return reading(max(0.0, self.index - self.by_chance))

    def to_json(self) -> dict[str, Any]:
        """Both distributions and what they say."""
        return {
            "stability_index": self.index,
            "by_chance": self.by_chance,
            "reading": self.reading,
            "validation": self.expected.tolist(),
            "here": self.found.tolist(),
        }


@dataclass(frozen=True, eq=False)
class Shift:
    """Best guesses and confidences of all inputs that were read, beside those of the model's validation samples.

    Attributes:
        answers: Counts by character of the alphabet.
        confidence: Counts by confidence, in `BINS` equal bins of [0, 1].
    """

    answers: Change
    confidence: Change

    @classmethod
    def of(cls, report: Report, calibration: Calibration | None) -> Self | None:
        """Compare; None where the card has no counts, or where nothing was read."""
        read = np.asarray(report.rows["guess"].notna())
        if calibration is None or not calibration.answers or not read.any():
            return None
        guesses = report.rows.loc[read, "guess"].value_counts()
        found = np.array([int(guesses.get(label, 0)) for label in report.labels], np.int64)
        if len(calibration.answers) != len(found) or not found.sum():
            return None
        bins = np.array(calibration.rows, np.int64).reshape(BINS, -1).sum(axis=1)
        return cls(Change(np.array(calibration.answers, np.int64), found), Change(bins, report.confidence(read)))

    def to_json(self) -> dict[str, Any]:
        """Both."""
        return {"answers": self.answers.to_json(), "confidence": self.confidence.to_json()}
