"""Confidence that means something: a temperature for the scores, and the threshold above which answers are right.

Temperature scaling divides all scores by one number, fitted on samples that were not trained on, so that of the answers
given with a confidence of 0.9 nine in ten are right; no answer changes: Guo et al., "On calibration of modern neural
networks", 2017, https://arxiv.org/abs/1706.04599.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that all of PyTorch uses

from hwr.errors import InputError
from hwr.metrics.shares import wilson

# Where the loss is looked at: from 1/20 to 20, evenly in the logarithm, with 1 in the middle.
TEMPERATURES = tuple(math.pow(20, step / 30 - 1) for step in range(61))

# Equal bins of the confidence: as fine as a threshold can be, and a multiple of the next.
BINS = 1500

# Bins of the calibration error, as in the paper.
_ECE_BINS = 15

_BIN = re.compile(r"(\d{1,4}) (\d{1,15}) (\d{1,15})", re.ASCII)


@dataclass(frozen=True)
class Threshold:
    """A confidence from which on answers are given, and what validation says of it.

    Attributes:
        min_confidence: Answers at or above it are given, in [0, 1).
        coverage: Share of the validation rows that are answered, in (0, 1].
        accuracy: Share of those answers that are right, in [0, 1].
    """

    min_confidence: float
    coverage: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """What validation says of a model's confidences.

    Attributes:
        temperature: What scores are divided by before the softmax.
        rows: How many validation rows had a calibrated confidence in each of `BINS` equal bins of [0, 1].
        right: How many of these were answered right.
        answers: How many got each answer, in the order of the alphabet; empty in a card of before this was counted.
    """

    temperature: float
    rows: tuple[int, ...]
    right: tuple[int, ...]
    answers: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values for a model's card; the bins as one text ``BIN ROWS RIGHT, …`` without the empty ones."""
        bins = zip(range(BINS), self.rows, self.right, strict=True)
        return {
            "temperature": self.temperature,
            "bins": ", ".join(f"{number} {rows} {right}" for number, rows, right in bins if rows),
            "answers": list(self.answers),
        }

    @classmethod
    def from_json(cls, found: object) -> Self:
        """Read `to_json`.

        Raises:
            InputError: It is not what `to_json` writes.
        """
        values = found if isinstance(found, dict) else {}
        temperature, text = values.get("temperature"), values.get("bins")
        # JSON's true passes for 1 in Python.
        is_number = isinstance(temperature, int | float) and temperature is not True
        if temperature is None or not (is_number and TEMPERATURES[0] <= temperature <= TEMPERATURES[-1]):
            raise InputError(f"its calibration has no temperature that hwr train writes, but {temperature!r}")
        rows, right = [0] * BINS, [0] * BINS
        last = -1
        for entry in text.split(", ") if isinstance(text, str) else [""]:
            parts = _BIN.fullmatch(entry)
            number, count, hits = map(int, parts.groups()) if parts else (0, 0, 0)
            if not (last < number < BINS and 0 < count >= hits):
                raise InputError("its calibration has bins that hwr train does not write")
            rows[number], right[number], last = count, hits, number
        answers = values.get("answers", [])
        counts = isinstance(answers, list) and all(type(each) is int and each >= 0 for each in answers)
        if not counts or (answers and sum(answers) != sum(rows)):
            raise InputError("its calibration has answers that hwr train does not write")
        return cls(float(temperature), tuple(rows), tuple(right), tuple(answers))

    @property
    def ece(self) -> float:
        """The expected calibration error: how far confidence and accuracy are apart on average, over 15 equal bins.

        Rows count as in the middle of their bin of `BINS`, which shifts the error by 1/3000 at most.
        """
        middles = (np.arange(BINS) + 0.5) / BINS
        gaps = middles * self.rows - self.right
        return float(np.abs(gaps.reshape(_ECE_BINS, -1).sum(axis=1)).sum() / sum(self.rows))

    def threshold(self, target_accuracy: float) -> Threshold:
        """The lowest confidence from which on answers are right with at least this share.

        An accuracy seen on few rows may be luck, so it is the lower end of its 95 % Wilson interval that has to reach
        the target. No threshold lies below all validation rows: of such confidences nothing is known.

        Args:
            target_accuracy: In (0, 1).

        Raises:
            InputError: No share is given, or validation supports none as high.
        """
        if not 0 < target_accuracy < 1:
            raise InputError(f"--target-accuracy must be above 0 and below 1, not {target_accuracy}")
        rows, right = (np.cumsum(counts[::-1])[::-1].tolist() for counts in (self.rows, self.right))
        bounds = {number: wilson(right[number], rows[number])[0] for number in range(BINS) if self.rows[number]}
        for number, bound in bounds.items():
            if bound >= target_accuracy:
                return Threshold(number / BINS, rows[number] / rows[0], right[number] / rows[number])
        best = math.floor(max(bounds.values()) * 1e4) / 1e4
        raise InputError(
            f"--target-accuracy {target_accuracy} is out of reach: the {rows[0]:,} samples by which this model was "
            f"validated support {best} at most"
        )


def losses(scores: Tensor, labels: Tensor) -> Tensor:
    """Summed cross-entropy under each of `TEMPERATURES`.

    Args:
        scores: (N, C) float32, before the softmax.
        labels: (N,) int64 class numbers.

    Returns:
        (61,) float64 nats, on the same device.
    """
    scores = scores - scores.amax(1, keepdim=True)  # small numbers lose nothing in float32
    own = scores.gather(1, labels[:, None]).sum(dtype=torch.float64)
    whole = [(scores / each).logsumexp(1).sum(dtype=torch.float64) for each in TEMPERATURES]
    return torch.stack(whole) - own / own.new_tensor(TEMPERATURES)


def best_temperature(losses: Sequence[float]) -> float:
    """Where the loss is least, by a parabola through the three lowest points.

    The loss is judged together with a standard normal prior of the temperature's logarithm. It weighs less than a
    handful of rows, and keeps a validation split without a mistake from claiming certainty.

    Args:
        losses: Summed over all rows, under each of `TEMPERATURES`.

    Raises:
        InputError: They are no finite numbers.
    """
    logs = [math.log(each) for each in TEMPERATURES]
    found = [loss + log * log / 2 for loss, log in zip(losses, logs, strict=True)]
    if not all(map(math.isfinite, found)):
        raise InputError("the model's scores are no finite numbers: it cannot be calibrated")
    least = min(range(len(found)), key=found.__getitem__)
    if least in (0, len(found) - 1):
        return TEMPERATURES[least]
    left, middle, right = found[least - 1 : least + 2]
    shift = (left - right) / (2 * (left - 2 * middle + right))
    # Rounded, since sums over other numbers of workers differ in their last digits.
    return round(math.exp(logs[least] + shift * (logs[1] - logs[0])), 4)


def count(scores: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Count rows, and those answered right, by their calibrated confidence.

    Args:
        scores: (N, C) float32, before the softmax.
        labels: (N,) int64 class numbers.
        temperature: What to divide the scores by.

    Returns:
        (2, BINS) float64, so that it can be summed over ranks, on the same device: rows and right ones.
    """
    confidence, answer = F.softmax(scores / temperature, 1).max(1)
    numbers = (confidence.double() * BINS).long().clamp(max=BINS - 1)
    # Whether a row is right picks which half it is counted in: one pass, and integers until the end.
    halves = torch.bincount(numbers + BINS * (answer == labels), minlength=2 * BINS).view(2, BINS)
    return torch.stack([halves.sum(0), halves[1]]).double()
