"""Everything that a report says: the figures of predictions, and what they are held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from hwr.errors import InputError
from hwr.metrics.comparison import Comparison, compare
from hwr.metrics.scores import Scores
from hwr.metrics.suspects import Suspect
from hwr.report.origin import Origin
from hwr.report.recognition import Report
from hwr.report.shift import Shift

ANSWERS = "answers.parquet"
"""What a report keeps of each input, so that a later one can be held against it."""


@dataclass(frozen=True, eq=False)
class Against:
    """What changed since an earlier report.

    Attributes:
        location: The earlier report.
        comparison: The figures over the inputs that both know the truth of.
        rows: Those inputs: ``id``, ``label``, ``confidence``, the earlier ``before`` and the present ``after`` answer
            (None where there was none).
        other_truth: How many of them have another truth than they had; the present one counts for both.
    """

    location: str
    comparison: Comparison
    rows: pd.DataFrame
    other_truth: int

    @classmethod
    def of(cls, report: Report, earlier: pa.Table, location: str) -> Self:
        """Compare.

        Args:
            report: The present figures.
            earlier: The `ANSWERS` of the other report.
            location: Where that report lies.

        Raises:
            InputError: They have no input in common whose truth is known.
        """
        before = earlier.to_pandas().rename(columns={"prediction": "before", "label": "truth"})
        rows = report.rows.merge(before[["id", "before", "truth"]], on="id").rename(columns={"prediction": "after"})
        rows = rows[rows["label"].notna()].reset_index(drop=True)
        if rows.empty:
            raise InputError(
                f"--against {location} has no input in common with these predictions whose truth is known here"
            )
        # Missing answers are None, which equals no label.
        rows = rows.astype({"before": object, "after": object}).where(rows.notna(), None)
        found = compare(rows["label"].tolist(), rows["before"].tolist(), rows["after"].tolist(), report.labels)
        other = int((rows["truth"].notna() & (rows["truth"] != rows["label"])).sum())
        return cls(location, found, rows[["id", "label", "confidence", "before", "after"]], other)

    def flipped(self, which: str) -> pd.DataFrame:
        """The rows that were ``fixed`` or ``broken``."""
        was, now = (self.rows[name] == self.rows["label"] for name in ("before", "after"))
        return self.rows[{"fixed": now & ~was, "broken": was & ~now}[which]]

    def to_json(self) -> dict[str, Any]:
        """The figures, and which inputs flipped."""
        flips = {which: self.flipped(which)["id"].tolist() for which in ("fixed", "broken")}
        return {
            "report": self.location,
            **self.comparison.to_json(),
            "other_truth": self.other_truth,
            "flipped": flips,
        }


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A report with all that it is held against.

    Attributes:
        report: The figures of the predictions themselves.
        origin: The model and what is known of the inputs.
        names: The group of each label where look-alikes were merged; None where that was not asked for.
        merged: The scores with look-alikes merged; None where not asked for, or where no truth is known.
        suspects: Inputs whose truth the model contradicts; ``row`` is a place in ``report.rows``.
        shift: How far the predictions are from the validation samples; None where the model does not say.
        against: What changed since an earlier report; None where there is none.
    """

    report: Report
    origin: Origin
    names: Mapping[str, str] | None
    merged: Scores | None
    suspects: list[Suspect]
    shift: Shift | None
    against: Against | None

    @classmethod
    def of(cls, report: Report, origin: Origin, names: Mapping[str, str] | None, against: Against | None) -> Self:
        """Work everything out.

        Args:
            report: The figures of the predictions.
            origin: Where they come from.
            names: The group of each label, see `hwr.metrics.look_alikes.groups`; None to merge nothing.
            against: The comparison with an earlier report.
        """
        unseen = ~np.asarray(report.rows["id"].isin(origin.learned))
        calibration = origin.card.calibrated() if origin.card and origin.is_plain else None
        return cls(
            report,
            origin,
            names,
            report.merged(names) if names is not None else None,
            report.suspects(unseen),
            Shift.of(report, calibration),
            against,
        )

    @property
    def groups_merged(self) -> list[str]:
        """The names of the groups of more than one character."""
        counts = pd.Series((self.names or {}).values(), dtype=object).value_counts()
        return [name for name in dict.fromkeys((self.names or {}).values()) if counts[name] > 1]

    def suspected(self) -> pd.DataFrame:
        """The rows of the suspects, in their order, with ``suggestion`` and ``margin``."""
        rows = self.report.rows.iloc[[one.row for one in self.suspects]]
        return rows.assign(
            suggestion=[one.suggestion for one in self.suspects], margin=[one.margin for one in self.suspects]
        )

    def answers(self) -> pa.Table:
        """What `ANSWERS` holds."""
        columns = ["id", "status", "label", "prediction", "guess", "confidence"]
        return pa.Table.from_pandas(self.report.rows[columns], preserve_index=False)

    def to_json(self) -> dict[str, Any]:
        """Everything report.json holds except what was evaluated."""
        merged = {"groups": self.groups_merged, **self.merged.to_json()} if self.merged else None
        return {
            **self.report.to_json(),
            "merged": merged,
            "suspects": len(self.suspects),
            "shift": self.shift.to_json() if self.shift else None,
            "against": self.against.to_json() if self.against else None,
        }
