"""What predictions are worth: one `Report`, from which report.json, the pictures and the page are all drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from hwr.metrics.scores import Scores, Top, score
from hwr.metrics.shares import Share
from hwr.metrics.suspects import Suspect, suspects
from hwr.report.tally import BINS, STATUSES
from hwr.report.trust import Trust

Mask = npt.NDArray[np.bool_]

MOST_GROUPS = 200  # of a kind, such as writers: the largest ones


@dataclass(frozen=True, eq=False)
class Group:
    """The figures of the inputs that have something in common: a source, a split, a writer.

    Attributes:
        value: What they have in common.
        inputs: How many inputs with a truth these are.
        scores: Figures over those answered; None where there is none.
        trust: What confidences are worth over those that were read; None where there is none.
    """

    value: str
    inputs: int
    scores: Scores | None
    trust: Trust | None

    def to_json(self) -> dict[str, Any]:
        """All figures but those of single characters."""
        kept: dict[str, Any] = {"value": self.value, "inputs": self.inputs}
        if self.scores is not None:
            averages = {"macro": asdict(self.scores.macro), "weighted": asdict(self.scores.weighted)}
            top = {str(k): value for k, value in enumerate(self.scores.top_k, 1)}
            kept |= {**self.scores.share.to_json(), **averages, "top_k": top, "loss": self.scores.loss}
        if self.trust is not None:
            kept |= {"coverage": self.trust.coverage, "ece": self.trust.reliability.ece, "brier": self.trust.brier}
        return kept


@dataclass(frozen=True, eq=False)
class Report:
    """Predictions joined with their truth, and the scores that follow.

    Attributes:
        rows: One row an input, in the columns of `hwr.schema.PREDICTIONS` without ``top``; ``label`` is the truth, and
            ``guess`` the likeliest character, also where the model abstained.
        top: The best guesses of each row.
        labels: The model's alphabet, in the order of its class numbers.
        groups: For each thing that is known of inputs, such as their writer: its value for each row, or None.
        scores: Figures over the answered rows whose truth is known; None where there is no such row.
    """

    rows: pd.DataFrame
    top: Top
    labels: tuple[str, ...]
    groups: Mapping[str, pd.Series]
    scores: Scores | None

    @classmethod
    def of(
        cls, predictions: pa.Table, labels: Sequence[str], groups: Mapping[str, Mapping[str, str]] | None = None
    ) -> Self:
        """Score predictions.

        Args:
            predictions: A table of `hwr.schema.PREDICTIONS`; ``label`` is the truth, null where it is not known.
            labels: The model's alphabet, in the order of its class numbers.
            groups: For each thing that is known of inputs, such as their writer: id to value.
        """
        top = guesses(predictions["top"])
        rows = predictions.drop_columns(["top"]).to_pandas()
        best = pd.Series(top.labels[:, 0] if top.labels.shape[1] else "", rows.index, dtype=object)
        abstained = (rows["status"] == "abstained") & (best != "")
        rows["guess"] = rows["prediction"].where(~abstained, best)
        known = {name: rows["id"].map(values) for name, values in (groups or {}).items()}
        known = {name: values for name, values in known.items() if values.notna().any()}
        scored = np.asarray((rows["status"] == "ok") & rows["label"].notna())
        return cls(rows, top, tuple(labels), known, _score(rows, top, labels, scored))

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
        return Share(int(self.chosen("right").sum()), self.with_truth) if self.with_truth else None

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

    @cached_property
    def trust(self) -> Trust | None:
        """What confidences are worth, over all rows that were read and whose truth is known; None without such rows."""
        return _trust(self.rows, np.ones(len(self.rows), dtype=bool))

    @cached_property
    def by_group(self) -> dict[str, list[Group]]:
        """The same figures for each source, split, writer, …; the `MOST_GROUPS` with the most inputs, largest first."""
        known = self.rows["label"].notna()
        found = {}
        for name, values in self.groups.items():
            largest = list(_counts(values[known].dropna()))[:MOST_GROUPS]
            found[name] = [self._group(value, np.asarray(known & (values == value))) for value in largest]
        return found

    def known_groups(self, name: str) -> int:
        """How many sources, splits, writers, … there are among the rows with a truth."""
        return int(self.groups[name][self.rows["label"].notna()].nunique())

    @property
    def divided(self) -> dict[str, list[Group]]:
        """Those of `by_group` that tell groups apart: one group of everything says nothing new."""
        return {name: groups for name, groups in self.by_group.items() if len(groups) > 1}

    def merged(self, names: Mapping[str, str]) -> Scores | None:
        """The scores where look-alikes count as one character; its name is that of its group.

        Args:
            names: The group of each label of the alphabet, see `hwr.metrics.look_alikes.groups`.
        """
        if self.scores is None:
            return None
        answered = self.rows[np.asarray((self.rows["status"] == "ok") & self.rows["label"].notna())]
        return score(
            truth=[names.get(label, label) for label in answered["label"]],
            predicted=[names.get(label, label) for label in answered["prediction"]],
            confidence=answered["confidence"].to_numpy(np.float32),
            labels=list(dict.fromkeys(names[label] for label in self.labels)),
        )

    def suspects(self, unseen: Mask) -> list[Suspect]:
        """Rows whose truth the model contradicts confidently; ``row`` is a place in ``rows``.

        Args:
            unseen: (N,), which rows the model was not trained on: of the others it may know the labels by heart.
        """
        places = np.flatnonzero(unseen & np.asarray(self.rows["label"].isin(self.labels) & self.rows["guess"].notna()))
        if not len(places):
            return []
        found = suspects(self.rows["label"].iloc[places].tolist(), _rows(self.top, places), self.labels)
        return [Suspect(int(places[each.row]), each.suggestion, each.margin) for each in found]

    def confidence(self, chosen: Mask) -> npt.NDArray[np.int64]:
        """Counts (BINS,) of the confidences of some rows, in equal bins over [0, 1]."""
        values = self.rows.loc[chosen, "confidence"].dropna().to_numpy(np.float64)
        return np.histogram(np.clip(values, 0, 1), bins=BINS, range=(0, 1))[0].astype(np.int64)

    def chosen(self, which: str) -> Mask:
        """Which rows are ``right``, ``wrong`` or ``unknown`` (no truth), among those answered."""
        answered, known = self.rows["status"] == "ok", self.rows["label"].notna()
        same = (self.rows["prediction"] == self.rows["label"]).fillna(value=False)
        mask = {"right": known & same, "wrong": known & ~same, "unknown": ~known}[which]
        return np.asarray(answered & mask, dtype=bool)

    def to_json(self) -> dict[str, Any]:
        """Everything report.json holds of these predictions alone."""
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
            "trust": self.trust.to_json() if self.trust else None,
            "groups": {name: [group.to_json() for group in groups] for name, groups in self.by_group.items()},
            "predicted": self.predicted,
            "confidence": {"edges": np.linspace(0, 1, BINS + 1).round(4).tolist(), **bins},
        }

    def _group(self, value: str, members: Mask) -> Group:
        scored = members & np.asarray(self.rows["status"] == "ok")
        scores = _score(self.rows, self.top, self.labels, scored)
        return Group(value, int(members.sum()), scores, _trust(self.rows, members))


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


def _score(rows: pd.DataFrame, top: Top, labels: Sequence[str], scored: Mask) -> Scores | None:
    """Figures over some rows, all of them answered and with a truth."""
    if not scored.any():
        return None
    answers = rows[scored]
    return score(
        truth=answers["label"].tolist(),
        predicted=answers["prediction"].tolist(),
        confidence=answers["confidence"].to_numpy(np.float32),
        labels=labels,
        top=_rows(top, np.flatnonzero(scored)),
    )


def _trust(rows: pd.DataFrame, members: Mask) -> Trust | None:
    read = members & np.asarray(rows["label"].notna() & rows["guess"].notna())
    if not read.any():
        return None
    some = rows[read]
    right = np.asarray(some["guess"] == some["label"], dtype=bool)
    return Trust.of(some["confidence"].to_numpy(np.float32), right, np.asarray(some["status"] == "ok"))


def _rows(top: Top, places: npt.NDArray[np.int64]) -> Top:
    return Top(top.labels[places], top.scores[places])


def _counts(values: pd.Series) -> dict[str, int]:
    found = {str(value): int(count) for value, count in values.value_counts().items()}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
