"""The page of a recognition report: one self-contained HTML file, every text in it escaped."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hwr.report import review
from hwr.report.evaluation import Evaluation
from hwr.report.galleries import Galleries
from hwr.report.recognition import Report, reason_names
from hwr.report.templates import Glyphs, Picture, embedded, environment

EXAMPLES = 3  # file names given for each reason of an unreadable file


def render(
    evaluation: Evaluation, facts: Mapping[str, str], drawn: Sequence[Picture], chosen: Galleries, glyphs: Glyphs
) -> str:
    """Write the page.

    Args:
        evaluation: The figures.
        facts: What was evaluated, name to value, in the order to show: the predictions, the model, the date.
        drawn: The pictures, see `hwr.report.illustrations`.
        chosen: Which inputs to show.
        glyphs: Id to glyph (S, S) uint8 of these, as far as they can be had.

    Returns:
        HTML.
    """
    report = evaluation.report
    found = embedded(glyphs)
    reviewed = review.cards(chosen.suspects, chosen.least, found)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            evaluation=evaluation,
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
            long=any(len(label) > 1 for label in {*report.labels, *report.rows["label"].dropna()}),
            key=review.fingerprint(reviewed),
            glyphs=found,
            missing=sum(name not in found for name in chosen.framed()),
            unreadable=_unreadable(report),
            characters=[c for c in report.scores.characters if c.support or c.predicted] if report.scores else [],
        )
    )


def _counted(found: Sequence[str | None], labels: Sequence[str]) -> list[tuple[str, int]]:
    """The labels that occur and how often, in the order of the alphabet and then by code point."""
    places = {label: place for place, label in enumerate(labels)}
    known = Counter(label for label in found if label is not None)
    return sorted(known.items(), key=lambda item: (places.get(item[0], len(places)), item[0]))


def _unreadable(report: Report) -> list[dict[str, Any]]:
    rows = report.rows[report.rows["status"] == "unreadable"].sort_values("id")
    names = reason_names(rows["reason"])
    table = []
    for reason, count in report.reasons["unreadable"].items():
        some = rows[names == reason].head(EXAMPLES)
        examples = list(zip(some["id"], some["reason"].fillna(""), strict=True))
        table.append({"reason": reason, "count": count, "examples": examples})
    return table
