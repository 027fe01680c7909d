"""How far what comes in now is from what a model was validated on."""

import numpy as np
import numpy.typing as npt

SHIFTED = 0.1
DIFFERENT = 0.25


def stability(expected: npt.NDArray[np.int64], found: npt.NDArray[np.int64]) -> float:
    """The population stability index of two histograms, 0 or more: 0 where both have the same shares.

    It is the symmetric Kullback-Leibler divergence in nats. Half a row is added to every bin of both, so that an empty
    bin gives a finite figure. Few rows differ by chance alone: without any shift N and M rows give about
    (B - 1) (1 / N + 1 / M), somewhat less where bins have few rows, so that 100 rows in 47 bins look very different.

    Siddiqi, "Credit risk scorecards", 2006; Yurdakul, "Statistical properties of population stability index", 2018.

    Args:
        expected: Counts (B,), such as those of the validation samples.
        found: Counts (B,) in the same bins.

    Raises:
        ValueError: The bins are not the same, a count is negative, or one of the two has no rows.
    """
    if expected.shape != found.shape:
        raise ValueError(f"{expected.shape} and {found.shape} are not the same bins")
    if any((counts < 0).any() or not counts.sum() for counts in (expected, found)):
        raise ValueError("both histograms need rows, and no count may be negative")
    before, after = ((counts + 0.5) / (counts + 0.5).sum() for counts in (expected, found))
    return float(((after - before) * np.log(after / before)).sum())


def reading(index: float) -> str:
    """What an index is commonly taken to say: ``stable`` below 0.1, ``shifted`` below 0.25, else ``very different``."""
    if index < SHIFTED:
        return "stable"
    return "shifted" if index < DIFFERENT else "very different"
