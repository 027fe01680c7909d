"""Shares of rows that were answered right, and what a sample of that size allows to say of them."""

from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

CONFIDENT = 0.95


@dataclass(frozen=True)
class Share:
    """So many of so many, with the interval that a sample of this size allows."""

    correct: int
    rows: int

    @property
    def accuracy(self) -> float:
        """In [0, 1]."""
        return self.correct / self.rows

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the accuracy."""
        return wilson(self.correct, self.rows)

    def to_json(self) -> dict[str, Any]:
        """Counts, share and interval."""
        return {**asdict(self), "accuracy": self.accuracy, "interval95": list(self.interval)}


def wilson(correct: int, total: int, level: float = CONFIDENT) -> tuple[float, float]:
    """The Wilson score interval of a share, in [0, 1]; unlike p ± 2s it holds near 0 and 1.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.

    Raises:
        ValueError: ``correct`` is not in [0, total] or ``total`` is 0.
    """
    if not 0 <= correct <= total or not total:
        raise ValueError(f"{correct} of {total} is not a share")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = correct / total
    centre = share + z * z / (2 * total)
    reach = z * (share * (1 - share) / total + z * z / (4 * total * total)) ** 0.5
    scale = 1 + z * z / total
    # At the ends the bound is exact, but the root is not: 0 of 5 must not give 1e-17.
    low = 0.0 if correct == 0 else (centre - reach) / scale
    high = 1.0 if correct == total else (centre + reach) / scale
    return low, high
