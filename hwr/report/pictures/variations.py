"""What augmentation makes of glyphs, for a person to judge: variations should still be the same character."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from hwr.report.pictures import drawing
from hwr.report.pictures.drawing import CHARACTERS, LIGHT
from hwr.report.pictures.pen import Pen

SIDE = 56  # pixels of a shown glyph, at least: whole multiples of its own, so that what is seen is what is trained on
GAP = 8


def sheet(originals: npt.NDArray[np.uint8], variations: npt.NDArray[np.uint8], labels: Sequence[str]) -> bytes:
    """One row a glyph: its character, the original, and beyond a gap its variations.

    Args:
        originals: Glyphs (N, S, S), white ink on black, at least one.
        variations: M variations of each (N, M, S, S).
        labels: The N characters.

    Returns:
        A PNG file.
    """
    scale = -(-SIDE // originals.shape[1])
    side = scale * originals.shape[1]
    names = [drawing.printable(label) for label in labels]
    font = min(0.56 * side, 2 * SIDE)
    left = round(0.61 * font * max(map(len, names))) + 2 * GAP
    first = left + side + 3 * GAP
    step = side + max(1, GAP // 4)
    pen = Pen.on(LIGHT, first + step * variations.shape[1] + GAP, len(names) * (side + GAP) + GAP)
    for row, (name, original) in enumerate(zip(names, originals, strict=True)):
        top = row * (side + GAP) + GAP
        pen.write((left - GAP, top + side / 2), name, font, LIGHT.ink, "rm", family=CHARACTERS)
        pen.paper.paste(_enlarged(original, scale), (left, top))
        for place, variation in enumerate(variations[row]):
            pen.paper.paste(_enlarged(variation, scale), (first + place * step, top))
    return drawing.encoded(pen.paper)


def _enlarged(glyph: npt.NDArray[np.uint8], scale: int) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(glyph)).resize(
        (scale * glyph.shape[1], scale * glyph.shape[0]), Image.Resampling.NEAREST
    )
