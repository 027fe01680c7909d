"""The page of a recognition report: one self-contained HTML file, every text in it escaped."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hwr.metrics import Pair
from hwr.report import figures, review
from hwr.report.drawing import DARK, LIGHT, Theme
from hwr.report.recognition import Report, reason_names
from hwr.report.templates import Glyphs, Picture, Shown, Suspect, embedded, environment

PAIRS = 12
PER_PAIR = 4
MISTAKES = 2000
SAMPLES = 36
EXAMPLES = 3  # file names given for each reason of an unreadable file
SEED = 0


@dataclass(frozen=True)
class Galleries:
    """Which inputs a page shows.

    Attributes:
        pairs: The most confused pairs with a few inputs each.
        mistakes: Wrong answers, the most confident first: they are either the model's worst or a wrong truth.
        samples: A random sample of right answers, or of all answers where no truth is known; the same every time.
        least: What the model was least sure of, answered or not, the least first: for a person to review.
    """

    pairs: list[tuple[Pair, list[Shown]]]
    mistakes: list[Shown]
    samples: list[Shown]
    least: list[Shown]

    def ids(self) -> list[str]:
        """Every input that is shown but for review, once."""
        lists = [*(shown for _, shown in self.pairs), self.mistakes, self.samples]
        return list(dict.fromkeys(shown.id for some in lists for shown in some))


def galleries(report: Report) -> Galleries:
    """Choose what to show."""
    right, wrong, unknown = (report.chosen(which) for which in ("right", "wrong", "unknown"))
    mistakes = report.rows[wrong].sort_values(["confidence", "id"], ascending=[False, True], kind="stable")
    pairs = []
    for pair in report.scores.pairs[:PAIRS] if report.scores else ():
        same = mistakes[(mistakes["label"] == pair.truth) & (mistakes["prediction"] == pair.predicted)]
        pairs.append((pair, _shown(same.head(PER_PAIR))))
    pool = report.rows[right if report.scores else unknown]
    sample = pool.sample(min(SAMPLES, len(pool)), random_state=SEED) if len(pool) else pool
    read = report.rows[report.rows["confidence"].notna() & report.rows["prediction"].notna()]
    least = read.sort_values(["confidence", "id"], kind="stable").head(review.LEAST)
    return Galleries(pairs, _shown(mistakes.head(MISTAKES)), _shown(sample), _shown(least))


def pictures(report: Report) -> list[Picture]:
    """Draw every figure that the report has data for."""
    drawn: list[Picture] = []

    def draw(name: str, alt: str, figure: Callable[[Theme], bytes]) -> None:
        drawn.append(Picture(name, alt, figure(LIGHT), figure(DARK)))

    groups = {which: report.confidence(report.chosen(which)) for which in ("right", "wrong", "unknown")}
    known = {"without truth" if which == "unknown" else which: bins for which, bins in groups.items() if bins.any()}
    if report.scores is not None:
        scores = report.scores
        met = np.flatnonzero(scores.confusion.sum(axis=0) + scores.confusion.sum(axis=1))
        counts, labels = scores.confusion[np.ix_(met, met)], [scores.labels[index] for index in met]
        true = [character for character in scores.characters if character.support]
        draw("confusion", "Confusion matrix", lambda theme: figures.confusion(counts, labels, theme))
        draw("f1", "F1 of each character", lambda theme: figures.f1_bars(true, theme))
    if known:
        draw("confidence", "Histogram of confidence", lambda theme: figures.confidence(known, theme))
    names, answers = list(report.predicted), list(report.predicted.values())
    draw("predicted", "Answers per character", lambda theme: figures.predicted_bars(names, answers, theme))
    return drawn


def render(
    report: Report,
    facts: Mapping[str, str],
    drawn: Sequence[Picture],
    glyphs: Glyphs,
    *,
    suspects: Sequence[Suspect] = (),
    key: str | None = None,
) -> str:
    """Write the page.

    Args:
        report: The figures.
        facts: What was evaluated, name to value, in the order to show: the predictions, the model, the date.
        drawn: What `pictures` made of the report.
        glyphs: Called once, with the ids that are shown.
        suspects: Inputs whose truth may be wrong, the likeliest first; the review begins with them.
        key: What the browser keeps corrections under: reports of the same predictions and truth should share it, and
            no others. Without one, it is a fingerprint of what stands in the review.

    Returns:
        HTML.
    """
    chosen = galleries(report)
    suspects = suspects[: review.SUSPECTS]
    found = embedded(glyphs, list(dict.fromkeys([*chosen.ids(), *(one.id for one in [*suspects, *chosen.least])])))
    reviewed = review.cards(suspects, chosen.least, found)
    template = environment().get_template("report.html.j2")
    return template.render(
        report=report,
        scores=report.scores,
        facts=facts,
        pictures={picture.name: picture for picture in drawn},
        chosen=chosen,
        choices={
            name: _counted([getattr(shown, name) for shown in chosen.mistakes], report.labels)
            for name in ("truth", "prediction")
        },
        listed={(shown.truth, shown.prediction) for shown in chosen.mistakes},
        reviewed=reviewed,
        long=any(len(label) > 1 for label in report.labels),
        key=review.fingerprint(reviewed) if key is None else key,
        glyphs=found,
        missing=sum(name not in found for name in chosen.ids()),
        unreadable=_unreadable(report),
        characters=[c for c in report.scores.characters if c.support or c.predicted] if report.scores else [],
    )


def _counted(found: Sequence[str], labels: Sequence[str]) -> list[tuple[str, int]]:
    """The labels that occur and how often, in the order of the alphabet and then by code point."""
    places = {label: place for place, label in enumerate(labels)}
    return sorted(Counter(found).items(), key=lambda item: (places.get(item[0], len(places)), item[0]))


def _shown(rows: pd.DataFrame) -> list[Shown]:
    columns = (rows["id"], rows["label"], rows["prediction"], rows["confidence"])
    return [
        Shown(name, None if pd.isna(truth) else truth, prediction, float(confidence))
        for name, truth, prediction, confidence in zip(*columns, strict=True)
    ]


def _unreadable(report: Report) -> list[dict[str, Any]]:
    rows = report.rows[report.rows["status"] == "unreadable"].sort_values("id")
    names = reason_names(rows["reason"])
    table = []
    for reason, count in report.reasons["unreadable"].items():
        some = rows[names == reason].head(EXAMPLES)
        examples = list(zip(some["id"], some["reason"].fillna(""), strict=True))
        table.append({"reason": reason, "count": count, "examples": examples})
    return table
