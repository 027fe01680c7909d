"""What predictions are worth: one `Report`, from which report.json, the pictures and the page are all drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from hwr.metrics.scores import Scores, Top, score
from hwr.metrics.shares import Share
from hwr.report.tally import BINS, STATUSES


@dataclass(frozen=True, eq=False)
class Report:
    """Predictions joined with their truth, and the scores that follow.

    Attributes:
        rows: One row an input, in the columns of `hwr.schema.PREDICTIONS` without ``top``; ``label`` is the truth.
        labels: The model's alphabet, in the order of its class numbers.
        scores: Figures over the answered rows whose truth is known; None where there is no such row.
    """

    rows: pd.DataFrame
    labels: tuple[str, ...]
    scores: Scores | None

    @classmethod
    def of(cls, predictions: pa.Table, labels: Sequence[str]) -> Self:
        """Score predictions.

        Args:
            predictions: A table of `hwr.schema.PREDICTIONS`; ``label`` is the truth, null where it is not known.
            labels: The model's alphabet, in the order of its class numbers.
        """
        rows = predictions.drop_columns(["top"]).to_pandas()
        scored = np.asarray((rows["status"] == "ok") & rows["label"].notna())
        if not scored.any():
            return cls(rows, tuple(labels), None)
        answers = rows[scored]
        scores = score(
            truth=answers["label"].tolist(),
            predicted=answers["prediction"].tolist(),
            confidence=answers["confidence"].to_numpy(np.float32),
            labels=labels,
            top=guesses(predictions["top"].filter(pa.array(scored))),
        )
        return cls(rows, tuple(labels), scores)

    @cached_property
    def statuses(self) -> dict[str, int]:
        """How many rows have each status."""
        return {status: int((self.rows["status"] == status).sum()) for status in STATUSES}

    @cached_property
    def with_truth(self) -> int:
        """How many rows have a truth, whatever their status."""
        return int(self.rows["label"].notna().sum())

    @cached_property
    def outside(self) -> int:
        """How many rows have a truth that the model does not know; such a row cannot be right."""
        return int((self.rows["label"].notna() & ~self.rows["label"].isin(self.labels)).sum())

    @cached_property
    def over_all(self) -> Share | None:
        """Right ones of all inputs with a truth: an abstained or unreadable one counts as wrong. None without truth."""
        right = (self.rows["status"] == "ok") & (self.rows["prediction"] == self.rows["label"])
        return Share(int(right.fillna(value=False).sum()), self.with_truth) if self.with_truth else None

    @cached_property
    def reasons(self) -> dict[str, dict[str, int]]:
        """For ``unreadable`` and ``abstained``: how many rows give each reason, most frequent first."""
        return {
            status: _counts(reason_names(self.rows.loc[self.rows["status"] == status, "reason"]))
            for status in ("unreadable", "abstained")
        }

    @cached_property
    def predicted(self) -> dict[str, int]:
        """How many answers each character of the alphabet got, in its order."""
        found = _counts(self.rows.loc[self.rows["status"] == "ok", "prediction"])
        return {label: found.get(label, 0) for label in self.labels}

    def confidence(self, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Counts (BINS,) of the confidences of some rows, in equal bins over [0, 1]."""
        values = self.rows.loc[chosen, "confidence"].dropna().to_numpy(np.float64)
        return np.histogram(np.clip(values, 0, 1), bins=BINS, range=(0, 1))[0].astype(np.int64)

    def chosen(self, which: str) -> npt.NDArray[np.bool_]:
        """Which rows are ``right``, ``wrong`` or ``unknown`` (no truth), among those answered."""
        answered, known = self.rows["status"] == "ok", self.rows["label"].notna()
        same = (self.rows["prediction"] == self.rows["label"]).fillna(value=False)
        mask = {"right": known & same, "wrong": known & ~same, "unknown": ~known}[which]
        return np.asarray(answered & mask, dtype=bool)

    def to_json(self) -> dict[str, Any]:
        """Everything report.json holds except where the predictions came from."""
        bins = {which: self.confidence(self.chosen(which)).tolist() for which in ("right", "wrong", "unknown")}
        return {
            "rows": len(self.rows),
            "statuses": self.statuses,
            "reasons": self.reasons,
            "truth": {
                "with": self.with_truth,
                "without": len(self.rows) - self.with_truth,
                "outside_alphabet": self.outside,
            },
            "answered": self.scores.to_json() if self.scores else None,
            "all_inputs": self.over_all.to_json() if self.over_all else None,
            "predicted": self.predicted,
            "confidence": {"edges": np.linspace(0, 1, BINS + 1).round(4).tolist(), **bins},
        }


def guesses(column: pa.ChunkedArray) -> Top:
    """The ``top`` column of predictions as arrays (N, K); rows with fewer than the most are padded."""
    lists = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    filled = np.arange(lengths.max(initial=0)) < lengths[:, None]
    flat = lists.flatten()
    names = np.array(flat.field("label").to_pylist(), dtype=np.str_)
    labels = np.full(filled.shape, "", dtype=names.dtype if names.size else np.str_)
    scores = np.zeros(filled.shape, np.float32)
    labels[filled] = names
    scores[filled] = flat.field("score").to_numpy(zero_copy_only=False)
    return Top(labels, scores)


def reason_names(reasons: pd.Series) -> pd.Series:
    """The part of each reason that can be counted: its short name, without the detail after the colon."""
    return reasons.fillna("no reason given").map(lambda reason: reason.partition(": ")[0])


def _counts(values: pd.Series) -> dict[str, int]:
    found = {str(value): int(count) for value, count in values.value_counts().items()}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
