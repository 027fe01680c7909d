"""Which inputs a report shows as glyphs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from hwr.metrics.scores import Pair
from hwr.report.evaluation import Evaluation
from hwr.report.recognition import Report
from hwr.report.templates import Shown, Suspect

PAIRS = 12
PER_PAIR = 4
MISTAKES = 2000
SAMPLES = 36
SUSPECTS = 300
LEAST = 300
FLIPS = 60
SEED = 0
NO_ANSWER = "–"


@dataclass(frozen=True)
class Galleries:
    """Which inputs a report shows.

    Attributes:
        pairs: The most confused pairs with a few inputs each.
        references: For each character of these pairs, an input that was surely read as what it is.
        mistakes: Wrong answers, the most confident first: they are either the model's worst or a wrong truth.
        samples: A random sample of right answers, or of all answers where no truth is known; the same every time.
        suspects: Inputs whose truth the model contradicts, the likeliest first: for a person to review.
        least: What the model was least sure of, answered or not, the least first: likewise.
        fixed: Inputs that only the present model reads rightly, with the answer of the other model.
        broken: Inputs that only the other model reads rightly, with the present answer.
    """

    pairs: list[tuple[Pair, list[Shown]]] = field(default_factory=list)
    references: list[Shown] = field(default_factory=list)
    mistakes: list[Shown] = field(default_factory=list)
    samples: list[Shown] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)
    least: list[Shown] = field(default_factory=list)
    fixed: list[Shown] = field(default_factory=list)
    broken: list[Shown] = field(default_factory=list)

    def framed(self) -> list[str]:
        """Every input that stands on the page even if its glyph cannot be had, once."""
        return _ids([*(some for _, some in self.pairs), self.mistakes, self.samples, self.fixed, self.broken])

    def ids(self) -> list[str]:
        """Every input of which the glyph is wanted, once."""
        return list(dict.fromkeys([*self.framed(), *_ids([self.references, self.suspects, self.least])]))


def galleries(evaluation: Evaluation) -> Galleries:
    """Choose what to show."""
    report = evaluation.report
    right, wrong, unknown = (report.chosen(which) for which in ("right", "wrong", "unknown"))
    mistakes = report.rows[wrong].sort_values(["confidence", "id"], ascending=[False, True], kind="stable")
    confused = report.scores.pairs[:PAIRS] if report.scores else ()
    pool = report.rows[right if report.scores else unknown]
    sample = pool.sample(min(SAMPLES, len(pool)), random_state=SEED) if len(pool) else pool
    doubted = evaluation.suspected().head(SUSPECTS)
    read = report.rows[np.asarray(report.rows["guess"].notna())]
    return Galleries(
        pairs=[(pair, _shown(_pair(mistakes, pair).head(PER_PAIR))) for pair in confused],
        references=_references(report, {label for pair in confused for label in (pair.truth, pair.predicted)}),
        mistakes=_shown(mistakes.head(MISTAKES)),
        samples=_shown(sample),
        suspects=[
            Suspect(**vars(shown), suggestion=suggestion)
            for shown, suggestion in zip(_shown(doubted), doubted["suggestion"], strict=True)
        ],
        least=_shown(read.sort_values(["confidence", "id"], kind="stable").head(LEAST)),
        fixed=_flipped(evaluation, "fixed"),
        broken=_flipped(evaluation, "broken"),
    )


def _pair(mistakes: pd.DataFrame, pair: Pair) -> pd.DataFrame:
    return mistakes[(mistakes["label"] == pair.truth) & (mistakes["prediction"] == pair.predicted)]


def _references(report: Report, labels: set[str]) -> list[Shown]:
    """The surest right answer of each label, as far as there is one."""
    right = report.rows[report.chosen("right")]
    sure = right[right["label"].isin(labels)].sort_values(["confidence", "id"], ascending=[False, True], kind="stable")
    return _shown(sure.drop_duplicates("label"))


def _flipped(evaluation: Evaluation, which: str) -> list[Shown]:
    if evaluation.against is None:
        return []
    rows = evaluation.against.flipped(which)
    answer = rows["before" if which == "fixed" else "after"]
    rows = rows.assign(guess=answer.where(answer.notna(), NO_ANSWER), confidence=rows["confidence"].fillna(0.0))
    return _shown(rows.sort_values(["confidence", "id"], ascending=[False, True], kind="stable").head(FLIPS))


def _shown(rows: pd.DataFrame) -> list[Shown]:
    columns = (rows["id"], rows["label"], rows["guess"], rows["confidence"])
    return [
        Shown(name, None if pd.isna(truth) else truth, guess, float(confidence))
        for name, truth, guess, confidence in zip(*columns, strict=True)
    ]


def _ids(lists: Sequence[Sequence[Shown]]) -> list[str]:
    return list(dict.fromkeys(shown.id for some in lists for shown in some))
