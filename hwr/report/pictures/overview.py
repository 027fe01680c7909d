"""Pictures of what an ingest made as PNG bytes, in a light and a dark theme.

They are drawn with Pillow: an ingest waits for them, and matplotlib takes seconds for the hundreds of texts in them.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator
from PIL import Image

from hwr.report.pictures import drawing
from hwr.report.pictures.drawing import CHARACTERS, LIGHT, MOST_NAMES, PRINTED, WIDTH, Theme
from hwr.report.pictures.pen import Pen, pixels, points

COLUMNS = 2
PLACES = 12  # glyphs beside each other for which a sheet has room
UNEVEN = 50  # from this ratio of the most to the fewest samples on, only a logarithmic scale shows both
FLOOR = 0.6  # where a logarithmic scale begins: one sample still has a bar
LEFT, RIGHT, TITLE, TALL, GAP = 0.75, 0.1, 0.34, 1.3, 0.16  # inches: the margins and the height of a panel of bars
WIDEST = 0.8  # inches: a bar of one class would be a wall


def sheet(groups: Sequence[tuple[str, int, npt.NDArray[np.uint8]]], theme: Theme = LIGHT) -> bytes:
    """Glyphs of each class beside its label and the number of its samples, in two columns read downwards.

    Args:
        groups: Label, number of samples, and at most `PLACES` glyphs (n, S, S) uint8 of each class.
        theme: The colours.

    Returns:
        A PNG file.
    """
    column, named, gap = pixels(WIDTH / COLUMNS), pixels(0.85), pixels(0.1)
    side = (column - named - 2 * gap) // PLACES
    rows = -(-len(groups) // COLUMNS)
    pen = Pen.on(theme, COLUMNS * column, rows * (side + gap) + gap)
    for index, (label, count, glyphs) in enumerate(groups):
        left, top = index // rows * column + gap, index % rows * (side + gap) + gap
        right, name, number = left + named - gap, drawing.printable(label), f"{count:,}"
        size = min(0.56 * side, (named - gap) / (0.61 * max(1, len(name))))
        pen.write((right, top + 0.36 * side), name, size, theme.ink, "rm", family=CHARACTERS)
        pen.write((right, top + 0.84 * side), number, 0.28 * side, theme.muted, "rm")
        for place, glyph in enumerate(glyphs):
            pen.paper.paste(_scaled(glyph, max(1, side - 1)), (left + named + place * side, top))
    return drawing.encoded(pen.paper)


def balance(
    labels: Sequence[str], counts: Mapping[str, npt.NDArray[np.int64]], theme: Theme = LIGHT, things: str = "samples"
) -> bytes:
    """Samples of each class, one panel a split, each on its own scale; many classes are sorted instead of named.

    Args:
        labels: The C classes.
        counts: Split to its samples (C,) of each class, at least one sample a split.
        theme: The colours.
        things: What is counted, if not samples.

    Returns:
        A PNG file.
    """
    names, font, turned = drawing.fitted(labels)
    many = len(labels) > MOST_NAMES
    order = np.argsort(-np.sum(list(counts.values()), axis=0), kind="stable") if many else np.arange(len(labels))
    below = 0.08 + (max(map(len, names)) * 0.61 if turned and not many else 1.3) * font / 72
    step = (WIDTH - LEFT - RIGHT) * drawing.DPI / len(labels)
    pen = Pen.on(theme, pixels(WIDTH), pixels((TITLE + TALL + GAP) * len(counts) + below))
    for index, (split, values) in enumerate(counts.items()):
        top = pixels((TITLE + TALL + GAP) * index)
        title = _title(split, values, things)
        pen.write((pixels(LEFT), top + pixels(0.15)), title, points(10), theme.ink, "lm")
        _bars(pen, values[order], step, top + pixels(TITLE + TALL))
    foot = pen.paper.height - pixels(below)
    if many:
        words = "classes, the most frequent first"
        pen.write((pixels(LEFT), foot + pixels(0.1)), words, points(9), theme.muted, "lm")
        return drawing.encoded(pen.paper)
    for place, name in enumerate(names):
        middle = pixels(LEFT) + (place + 0.5) * step
        pen.write(
            (middle, foot), name, points(font), theme.ink, "rm" if turned else "ma", family=CHARACTERS, turned=turned
        )
    return drawing.encoded(pen.paper)


def histogram(groups: Mapping[str, npt.NDArray[np.int64]], theme: Theme = LIGHT) -> bytes:
    """How often a share, such as a confidence, lies in each of equal bins over [0, 1]; one panel a group.

    Args:
        groups: Name to counts (bins,), at least one of them above 0; each has its own scale, and ``abstained`` the
            colour of errors.
        theme: The colours.

    Returns:
        A PNG file.
    """
    below = 0.3
    pen = Pen.on(theme, pixels(WIDTH), pixels((TITLE + TALL + GAP) * len(groups) + below))
    wide = (WIDTH - LEFT - RIGHT) * drawing.DPI
    for index, (name, values) in enumerate(groups.items()):
        top = pixels((TITLE + TALL + GAP) * index)
        pen.write((pixels(LEFT), top + pixels(0.15)), f"{name} · {values.sum():,}", points(10), theme.ink, "lm")
        colour = theme.wrong if name == "abstained" else theme.right
        _bars(pen, values, wide / len(values), top + pixels(TITLE + TALL), colour)
    for tenth in range(0, 11, 2):
        place = (pixels(LEFT) + wide * tenth / 10, pen.paper.height - pixels(below))
        pen.write(place, f"{10 * tenth} %", points(9), theme.ink, "ma" if tenth < 10 else "ra")
    return drawing.encoded(pen.paper)


def _title(split: str, values: npt.NDArray[np.int64], things: str) -> str:
    absent = np.count_nonzero(values == 0)
    lacking = f" · {absent:,} of {len(values):,} classes have none" if absent else ""
    return f"{split} · {values.sum():,} {things}{lacking}{' · logarithmic scale' if _uneven(values) else ''}"


def _uneven(values: npt.NDArray[np.int64]) -> bool:
    return bool(values.max() > UNEVEN * values[values > 0].min())


def _bars(pen: Pen, values: npt.NDArray[np.int64], step: float, bottom: int, colour: str | None = None) -> None:
    """Bars of one panel, the lines behind them, and the counts above them where there is room."""
    most, uneven, start = int(values.max()), colour is None and _uneven(values), pixels(LEFT)
    counted, turned = len(values) <= MOST_NAMES, len(values) > PRINTED
    letters = len(f"{most:,}") if turned else 2  # what a count above a bar takes of the height
    tall = pixels(TALL - (0.06 + letters * 0.6 * 6.5 / 72 if counted else 0))

    def height(value: float) -> float:
        share = np.log(max(value, FLOOR) / FLOOR) / np.log(most / FLOOR) if uneven else value / most
        return float(tall * share)

    for tick in _ticks(most, uneven):
        y = bottom - height(tick)
        pen.draw.line((start, y, pen.paper.width - pixels(RIGHT), y), pen.theme.line, max(1, pixels(0.01)))
        pen.write((start - pixels(0.08), y), f"{tick:,}", points(9), pen.theme.ink, "rm")
    margin = max(0.11 * step, (step - pixels(WIDEST)) / 2) if counted else 0
    for place, value in enumerate(values.tolist()):
        left, top = start + place * step + margin, bottom - height(value)
        if value:
            pen.draw.rectangle((left, top, max(left, left + step - 2 * margin - 1), bottom), colour or pen.theme.right)
        if counted and (value or colour is None):  # an empty bin is no fault, an empty class may be
            where, size = (start + (place + 0.5) * step, top - pixels(0.04)), points(6.5 if turned else 8.5)
            shade = pen.theme.muted if value else pen.theme.wrong
            pen.write(where, f"{value:,}", size, shade, "lm" if turned else "mb", turned=turned)


def _ticks(most: int, uneven: bool) -> list[int]:
    """Round numbers up to the most, a few of them."""
    if uneven:
        return [10**power for power in range(len(str(most)))]
    return [int(tick) for tick in MaxNLocator(4, integer=True).tick_values(0, most) if tick <= most]


def _scaled(glyph: npt.NDArray[np.uint8], side: int) -> Image.Image:
    """A glyph at another size; one of very few pixels keeps their edges."""
    way = Image.Resampling.NEAREST if 3 * len(glyph) <= side else Image.Resampling.BILINEAR
    return Image.fromarray(np.ascontiguousarray(glyph)).resize((side, side), way)
