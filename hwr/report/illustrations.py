"""Which pictures a report has, by what its figures allow."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from hwr.report.evaluation import Evaluation
from hwr.report.galleries import Galleries
from hwr.report.pictures import calibration, change, curves, drift, figures
from hwr.report.pictures import sheets as glyph_sheets
from hwr.report.pictures.drawing import DARK, LIGHT, Theme
from hwr.report.recognition import Report
from hwr.report.templates import Picture, Shown

Glyph = npt.NDArray[np.uint8]
Figure = Callable[[Theme], bytes]

ON_A_SHEET = 60
POINTS = 200  # of a curve: more cannot be told apart


def pictures(evaluation: Evaluation) -> list[Picture]:
    """Draw every figure that there is data for."""
    named = {**_of_answers(evaluation.report), **_of_trust(evaluation.report), **_of_others(evaluation)}
    return [Picture(name, alt, figure(LIGHT), figure(DARK)) for name, (alt, figure) in named.items()]


def sheets(chosen: Galleries, glyphs: Mapping[str, Glyph]) -> dict[str, bytes]:
    """The galleries as PNG files for slides, by name: ``pairs``, ``mistakes`` and ``samples``, those that have glyphs.

    Args:
        chosen: What the page shows.
        glyphs: Id to glyph (S, S) uint8.
    """
    made = {}
    rows = [
        (pair.truth, pair.predicted, pair.count, [glyphs[one.id] for one in some if one.id in glyphs])
        for pair, some in chosen.pairs
    ]
    if any(examples for *_, examples in rows):
        references = {one.prediction: glyphs[one.id] for one in reversed(chosen.references) if one.id in glyphs}
        made["pairs"] = glyph_sheets.pairs(rows, references)
    for name, title, shown in (
        ("mistakes", "The most confident mistakes", chosen.mistakes),
        ("samples", "Answers drawn at random", chosen.samples),
    ):
        some = [(glyphs[one.id], _said(one), f"{100 * one.confidence:.1f} %") for one in shown if one.id in glyphs]
        if some:
            made[name] = glyph_sheets.sheet(title, some[:ON_A_SHEET])
    return made


def _said(one: Shown) -> str:
    return one.prediction if one.truth in (None, one.prediction) else f"{one.truth} → {one.prediction}"


def _of_answers(report: Report) -> dict[str, tuple[str, Figure]]:
    made: dict[str, tuple[str, Figure]] = {}
    if report.scores is not None:
        scores = report.scores
        met = np.flatnonzero(scores.confusion.sum(axis=0) + scores.confusion.sum(axis=1))
        counts, labels = scores.confusion[np.ix_(met, met)], [scores.labels[index] for index in met]
        true = [character for character in scores.characters if character.support]
        made["confusion"] = ("Confusion matrix", lambda theme: figures.confusion(counts, labels, theme))
        made["f1"] = ("F1 of each character", lambda theme: figures.f1_bars(true, theme))
    groups = {which: report.confidence(report.chosen(which)) for which in ("right", "wrong", "unknown")}
    known = {"without truth" if which == "unknown" else which: bins for which, bins in groups.items() if bins.any()}
    if known:
        made["confidence"] = ("Histogram of confidence", lambda theme: figures.confidence(known, theme))
    names, answers = list(report.predicted), list(report.predicted.values())
    made["predicted"] = ("Answers per character", lambda theme: figures.predicted_bars(names, answers, theme))
    return made


def _of_trust(report: Report) -> dict[str, tuple[str, Figure]]:
    trust = report.trust
    if trust is None:
        return {}
    bins, curve = trust.reliability, trust.abstention.thinned(POINTS)
    here = (trust.coverage, trust.accuracy) if trust.accuracy is not None and trust.coverage < 1 else None
    return {
        "reliability": (
            "Accuracy against confidence",
            lambda theme: calibration.reliability(bins.rows, bins.confidence, bins.accuracy, theme),
        ),
        "coverage": (
            "Accuracy against the share that is answered",
            lambda theme: calibration.coverage(curve.coverage, curve.accuracy, theme, here),
        ),
    }


def _of_others(evaluation: Evaluation) -> dict[str, tuple[str, Figure]]:
    made: dict[str, tuple[str, Figure]] = {}
    if evaluation.shift is not None:
        shift, labels = evaluation.shift, evaluation.report.labels
        expected, found = (_shares(counts) for counts in (shift.answers.expected, shift.answers.found))
        made["answers"] = (
            "Answers per character, on the validation samples and here",
            lambda theme: drift.distributions(labels, expected, found, theme),
        )
        made["sureness"] = (
            "Confidence, on the validation samples and here",
            lambda theme: drift.confidences(shift.confidence.expected, shift.confidence.found, theme),
        )
    if evaluation.against is not None:
        characters = evaluation.against.comparison.characters
        before, after = (np.array([getattr(each, name) for each in characters]) for name in ("before", "after"))
        made["changes"] = (
            "Recall of each character, before and now",
            lambda theme: change.changes([each.label for each in characters], before, after, theme),
        )
    if evaluation.origin.history:
        made["curves"] = ("Learning curves", lambda theme: curves.learning_curves(evaluation.origin.history, theme))
    return made


def _shares(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return counts / float(counts.sum())
