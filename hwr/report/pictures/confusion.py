"""A quick picture of the confusion matrix, for every epoch of a training; a report has `figures.confusion`."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from hwr.report.pictures import drawing, figures
from hwr.report.pictures.drawing import CHARACTERS, LIGHT, MOST_NAMES
from hwr.report.pictures.pen import Pen

SIDE = 800  # pixels of the matrix, about: what a screen has room for
FONT = 16  # pixels, at most
GAP = 6  # pixels between the matrix and a name
WORDS = "rows: true · columns: predicted · share of the row, wrong ones on a square-root scale"


def confusion_picture(counts: npt.NDArray[np.int64], labels: Sequence[str]) -> bytes:
    """The confusion matrix in the colours of `figures.confusion`, its characters on all four sides: 40 ms.

    Args:
        counts: (C, C), [true, predicted].
        labels: The C characters.

    Returns:
        A PNG file.
    """
    cell = max(1, SIDE // len(labels))
    step = -(-len(labels) // MOST_NAMES)
    names = [drawing.printable(label) for label in labels]
    longest = max(map(len, names))
    font = min(FONT, 0.9 * cell * step)
    margin = round(0.61 * font * max(longest, 2)) + 2 * GAP
    side = cell * len(labels)
    pen = Pen.on(LIGHT, side + 2 * margin, side + 2 * margin + 2 * FONT)
    pen.paper.paste(_matrix(counts, cell), (margin, margin))
    turned = longest > 2
    near, far = margin - GAP, margin + side + GAP
    for place in range(0, len(names), step):
        middle = margin + (place + 0.5) * cell
        above, below = ("lm", "rm") if turned else ("md", "ma")
        for where, anchor, upright in (
            ((near, middle), "rm", True), ((far, middle), "lm", True),
            ((middle, near), above, not turned), ((middle, far), below, not turned),
        ):  # fmt: skip
            pen.write(where, names[place], font, LIGHT.ink, anchor, family=CHARACTERS, turned=not upright)
    pen.write((margin, pen.paper.height - FONT), WORDS, 0.85 * FONT, LIGHT.muted, "lm")
    return drawing.encoded(pen.paper)


def _matrix(counts: npt.NDArray[np.int64], cell: int) -> Image.Image:
    """The cells as squares of ``cell`` pixels, with lines between them where there is room."""
    colours = (255 * figures.shades(counts, LIGHT)[1]).round().astype(np.uint8)
    pixels = colours.repeat(cell, axis=0).repeat(cell, axis=1)
    if cell >= 8:
        line = (255 * drawing.mix(LIGHT, LIGHT.line, np.ones(1))[0]).round().astype(np.uint8)
        pixels[::cell] = line
        pixels[:, ::cell] = line
        pixels[-1] = line
        pixels[:, -1] = line
    return Image.fromarray(pixels)
