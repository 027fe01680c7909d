"""The page of a labelling: what was answered and how surely, what the answers look like, what could not be read."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hwr.report.overview import refused
from hwr.report.pictures import overview as overview_figures
from hwr.report.pictures.drawing import DARK, LIGHT, Theme
from hwr.report.tally import Tally
from hwr.report.templates import Glyphs, Picture, embedded, environment

NAME = "overview.html"

SHEETS = ("surest", "least", "abstained")


def pictures(tally: Tally) -> list[Picture]:
    """Draw how often each character was the answer and how sure the answers were, as far as there are any."""
    drawn: list[Picture] = []

    def draw(name: str, alt: str, figure: Callable[[Theme], bytes]) -> None:
        drawn.append(Picture(name, alt, figure(LIGHT), figure(DARK)))

    names, counts = list(tally.characters), np.array(list(tally.characters.values()), np.int64)
    per_character = {"answered": counts}
    bins = {words: tally.bins[status] for status, words in (("ok", "answered"), ("abstained", "abstained"))}
    known = {words: values for words, values in bins.items() if values.any()}
    if counts.any():
        draw(
            "characters",
            "Answers per character",
            lambda theme: overview_figures.balance(names, per_character, theme, "answers"),
        )
    if known:
        draw("confidence", "Histogram of confidence", lambda theme: overview_figures.histogram(known, theme))
    return drawn


def render(
    tally: Tally, facts: Mapping[str, str], drawn: Sequence[Picture], glyphs: Callable[[list[str]], Glyphs]
) -> str:
    """Write the page.

    Args:
        tally: The predictions.
        facts: What was labelled, name to value, in the order to show: the images, the model, the settings, the date.
        drawn: What `pictures` made of the predictions.
        glyphs: Called once, with the ids that are shown, if there are any.

    Returns:
        HTML.
    """
    sheets = {which: tally.shown(which) for which in SHEETS}
    # A few inputs are all both among the surest and the least sure: one sheet shows them.
    if len(sheets["least"]) == tally.statuses["ok"]:
        sheets["surest"] = []
    ids = list(dict.fromkeys(shown.id for sheet in sheets.values() for shown in sheet))
    found = embedded(glyphs(ids) if ids else {})
    return (
        environment()
        .get_template("labelled.html.j2")
        .render(
            tally=tally,
            facts=facts,
            pictures={picture.name: picture for picture in drawn},
            sheets=sheets,
            glyphs=found,
            missing=sum(name not in found for name in ids),
            used=sum(count > 0 for count in tally.characters.values()),
            reasons=refused(tally.reasons, tally.examples),
        )
    )
