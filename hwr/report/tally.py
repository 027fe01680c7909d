"""Predictions counted one part at a time: what the page of a labelling and summary.json are made of."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hwr.outputs import rows
from hwr.report.overview import EXAMPLES
from hwr.report.templates import Shown
from hwr.storage import Folder

SUMMARY = "summary.json"
COLUMNS = ["id", "status", "prediction", "confidence", "top", "label", "reason"]

STATUSES = ("ok", "abstained", "unreadable")
BINS = 20
MOST = 60  # inputs that a page shows of each kind
_MIX = 2654435761  # Knuth's multiplier: neighbouring row numbers come to lie far apart


class Tally:
    """Counts of all predictions, and the few of them that are worth a look; its size does not grow with them.

    Attributes:
        statuses: Rows of each status.
        characters: Answers of each character: those of the alphabet in its order, and any other after them.
        examples: Reason of unreadable rows to the first `EXAMPLES` inputs: their id and what was found in them.
        bins: Confidences (BINS,) of ``ok`` and of ``abstained`` rows, in equal bins over [0, 1].
    """

    def __init__(self, alphabet: Sequence[str]) -> None:
        self.statuses = dict.fromkeys(STATUSES, 0)
        self.characters = dict.fromkeys(alphabet, 0)
        self.examples: dict[str, list[tuple[str, str | None]]] = {}
        self.bins = {status: np.zeros(BINS, np.int64) for status in ("ok", "abstained")}
        self._reasons: Counter[str] = Counter()
        self._sums = {"ok": 0.0, "abstained": 0.0}
        self._kept: dict[str, pa.Table] = {}
        self._read = 0

    @classmethod
    def of(cls, tables: Iterable[pa.Table], alphabet: Sequence[str]) -> "Tally":
        """Count predictions.

        Args:
            tables: Tables with the `COLUMNS`, as `hwr.outputs.rows.tables` reads them.
            alphabet: What the model can answer, in its order.
        """
        made = cls(alphabet)
        for table in tables:
            made._add(table)
        return made

    @property
    def inputs(self) -> int:
        """All rows."""
        return sum(self.statuses.values())

    @property
    def reasons(self) -> dict[str, int]:
        """Unreadable rows by reason, the most frequent first."""
        return dict(sorted(self._reasons.items(), key=lambda item: (-item[1], item[0])))

    def shown(self, which: str) -> list[Shown]:
        """The `MOST` answers that are ``surest`` or ``least`` sure, or the surest that ``abstained``, best first.

        Among equals, of which there can be many thousands, some are drawn from everywhere; the same every time.
        """
        kept = self._kept.get(which)
        return [] if kept is None else [Shown(**row) for row in kept.drop_columns(["mix"]).to_pylist()]

    def mean(self, status: str) -> float | None:
        """Mean confidence of the rows of a status; None where there are none."""
        count = int(self.bins[status].sum())
        return self._sums[status] / count if count else None

    def to_json(self) -> dict[str, Any]:
        """Everything that summary.json holds of the predictions."""
        bins = {status: counts.tolist() for status, counts in self.bins.items()}
        return {
            "inputs": self.inputs,
            "statuses": self.statuses,
            "characters": self.characters,
            "reasons": self.reasons,
            "mean_confidence": {status: self.mean(status) for status in self.bins},
            "confidence": {"edges": np.linspace(0, 1, BINS + 1).round(4).tolist(), **bins},
        }

    def _add(self, table: pa.Table) -> None:
        for status, count in _counts(table["status"]):
            self.statuses[status] += count
        numbers = np.arange(self._read, self._read + len(table), dtype=np.uint64)
        self._read += len(table)
        known = table.append_column("answer", rows.answers(table)).append_column(
            "mix", pa.array((numbers * np.uint64(_MIX)).astype(np.uint32))
        )
        for status in self.bins:
            some = known.filter(pc.and_(pc.equal(known["status"], status), pc.is_finite(known["confidence"])))
            self._measure(status, some)
        for character, count in _counts(table["prediction"].filter(pc.equal(table["status"], "ok"))):
            self.characters[character] = self.characters.get(character, 0) + count
        self._explain(table.filter(pc.equal(table["status"], "unreadable")))

    def _measure(self, status: str, some: pa.Table) -> None:
        values = np.clip(some["confidence"].to_numpy().astype(np.float64), 0, 1)
        self.bins[status] += np.histogram(values, bins=BINS, range=(0, 1))[0]
        self._sums[status] += float(values.sum())
        few = pa.table(
            {
                "id": some["id"],
                "truth": some["label"],
                "prediction": some["answer"],
                "confidence": values,
                "mix": some["mix"],
            }
        )
        few = few.filter(pc.is_valid(few["prediction"]))
        for which, sign in (("surest", -1), ("least", 1)) if status == "ok" else (("abstained", -1),):
            self._keep(which, few, sign)

    def _keep(self, which: str, few: pa.Table, sign: int) -> None:
        """Keep the first `MOST` by confidence, rising (1) or falling (-1)."""
        whole = pa.concat_tables([self._kept[which], few]) if which in self._kept else few
        order = np.lexsort((whole["mix"].to_numpy(), sign * whole["confidence"].to_numpy()))
        self._kept[which] = whole.take(pa.array(order[:MOST])).combine_chunks()

    def _explain(self, unreadable: pa.Table) -> None:
        reasons = pc.fill_null(unreadable["reason"], "no reason given")
        short = pc.replace_substring_regex(reasons, "(?s): .*$", "")
        for reason, count in _counts(short):
            self._reasons[reason] += count
            first = self.examples.setdefault(reason, [])
            some = pc.equal(short, reason)
            for key, whole in zip(
                unreadable["id"].filter(some).slice(0, EXAMPLES).to_pylist(),
                reasons.filter(some).slice(0, EXAMPLES).to_pylist(),
                strict=True,
            ):
                first.append((key, whole.partition(": ")[2] or None))
            del first[EXAMPLES:]


def write_summary(out: Folder, tally: Tally, facts: Mapping[str, Any]) -> None:
    """Write `SUMMARY`.

    Args:
        out: Where to put it.
        tally: The predictions.
        facts: What else to say, as JSON: the model, the settings, the date.

    Raises:
        OutputError: The disk is full or the folder cannot be written.
    """
    text = json.dumps({**facts, **tally.to_json()}, indent=2, ensure_ascii=False, allow_nan=False)
    out.write_bytes(SUMMARY, f"{text}\n".encode())


def _counts(texts: pa.ChunkedArray) -> list[tuple[str, int]]:
    """Each text that occurs, in the order of its first place, and how often it does."""
    found = pc.value_counts(pc.drop_null(texts))
    return list(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))
