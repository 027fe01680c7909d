"""Sheets of glyphs as PNG bytes, for people who paste pictures into slides; drawn with Pillow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from hwr.report.pictures import drawing
from hwr.report.pictures.drawing import CHARACTERS, LIGHT, WIDTH, Theme
from hwr.report.pictures.pen import Pen, pixels, points

COLUMNS = 10  # at most; fewer where captions are long or glyphs large
SMALLEST = 8  # points of a letter that can still be read
LONGEST = 27  # letters of a caption: two labels as long as `drawing.printable` makes them, and the arrow
EXAMPLES = 4
ARROW = " → "
SIDE, GAP, EDGE = 0.7, 0.1, 0.15  # inches: a glyph, at most, and what lies between and around
LETTER = 0.61  # how wide a letter of `CHARACTERS` is, for its size
HEAD, LINE = 0.4, 0.2  # inches: the height of a heading and of a line of a caption
NAMED, BESIDE = 2.2, 1.0  # inches: the names of a pair, and a right example with its character

Glyph = npt.NDArray[np.uint8]


def sheet(title: str, glyphs: Sequence[tuple[Glyph, str, str]], theme: Theme = LIGHT) -> bytes:
    """Glyphs in a grid, each with two lines below it.

    Args:
        title: What the sheet shows.
        glyphs: Glyph (S, S) uint8 and its two lines, such as ``O → 0`` and ``98.2 %``; a first line with an arrow is
            in the colour of errors. All of them are shown; some sixty fill a slide.
        theme: The colours.

    Returns:
        A PNG file.
    """
    captions = [(_pieces(first), _pieces(second)) for _, first, second in glyphs]
    longest = max((len("".join(pieces)) for lines in captions for pieces in lines), default=0)
    side, inner = max((_side(glyph) for glyph, _, _ in glyphs), default=0), pixels(WIDTH - 2 * EDGE)
    least = max(side, round(LETTER * points(SMALLEST) * longest)) + pixels(GAP)
    columns = max(1, min(COLUMNS, inner // least))
    step, tall = max(inner // columns, least), side + pixels(2 * LINE + 2 * GAP)
    edge, head = pixels(EDGE), pixels(EDGE + HEAD)
    width = max(pixels(WIDTH), 2 * edge + columns * step)
    pen = Pen.on(theme, width, head + -(-len(glyphs) // columns) * tall + edge)
    _heading(pen, (edge, width - edge), title, points(13), theme.ink)
    for index, ((glyph, _, _), (first, second)) in enumerate(zip(glyphs, captions, strict=True)):
        left, top = edge + index % columns * step, head + index // columns * tall
        pen.paper.paste(_enlarged(glyph), (left + (step - _side(glyph)) // 2, top))
        lines = ((first, 11, theme.wrong if ARROW in first else theme.ink), (second, 9, theme.muted))
        for number, (pieces, size, colour) in enumerate(lines):
            place = (left + step / 2, top + side + pixels(0.04 + (number + 0.5) * LINE))
            _write(pen, place, pieces, (points(size), step - pixels(GAP)), colour, middle=True)
    return drawing.encoded(pen.paper)


def pairs(
    rows: Sequence[tuple[str, str, int, Sequence[Glyph]]], references: Mapping[str, Glyph], theme: Theme = LIGHT
) -> bytes:
    """The most confused pairs: how often, some of the glyphs, and beside them one of each character read rightly.

    Args:
        rows: Truth, prediction, how often, and examples (S, S) uint8, of which the first `EXAMPLES` are shown.
        references: Character to a glyph (S, S) uint8 of it that was read rightly; one without stays blank.
        theme: The colours.

    Returns:
        A PNG file.
    """
    shown = [glyph for *_, examples in rows for glyph in examples[:EXAMPLES]]
    compared = [references[label] for row in rows for label in row[:2] if label in references]
    places = _Places(max((_side(glyph) for glyph in shown + compared), default=pixels(SIDE)))
    pen = Pen.on(theme, places.width, pixels(EDGE + HEAD) + len(rows) * places.tall + pixels(EDGE))
    starts = (pixels(EDGE), places.shown, places.right, places.width)
    for column, text in enumerate(("true → predicted", "how these were written", "read rightly, for comparison")):
        _heading(pen, (starts[column], starts[column + 1] - pixels(GAP)), text, points(10), theme.muted)
    for number, (truth, predicted, count, examples) in enumerate(rows):
        top = pixels(EDGE + HEAD) + number * places.tall
        pen.draw.line((pixels(EDGE), top, places.width - pixels(EDGE), top), theme.line, max(1, pixels(0.01)))
        _name(pen, (pixels(EDGE), top + places.tall / 2), truth, predicted, count)
        for column, glyph in enumerate(examples[:EXAMPLES]):
            pen.paper.paste(_enlarged(glyph), (places.shown + column * places.step, top + pixels(GAP)))
        for column, label in enumerate((truth, predicted)):
            if label in references:
                _right(pen, (places.right + column * places.beside, top + pixels(GAP)), label, references[label])
    return drawing.encoded(pen.paper)


@dataclass(frozen=True)
class _Places:
    """Where things stand on `pairs`, in pixels, for glyphs of a size; as wide as the page if that has room for them."""

    side: int

    @property
    def step(self) -> int:
        return self.side + pixels(GAP)

    @property
    def tall(self) -> int:
        return self.side + 2 * pixels(GAP)

    @property
    def shown(self) -> int:
        return pixels(EDGE + NAMED)

    @property
    def right(self) -> int:
        return self.shown + EXAMPLES * self.step + pixels(4 * GAP)

    @property
    def beside(self) -> int:
        return self.side + pixels(BESIDE)

    @property
    def width(self) -> int:
        return max(pixels(WIDTH), self.right + 2 * self.beside + pixels(EDGE))


def _name(pen: Pen, place: tuple[float, float], truth: str, predicted: str, count: int) -> None:
    """Write ``O → 0`` and, below it, how often, around the middle of a row."""
    x, y = place
    pieces = (drawing.printable(truth), ARROW, drawing.printable(predicted))
    _write(pen, (x, y - pixels(0.1)), pieces, (points(20), pixels(NAMED - 2 * GAP)), pen.theme.wrong)
    times = f"{count:,} time{'' if count == 1 else 's'}"
    pen.write((x, y + pixels(0.2)), times, points(10), pen.theme.muted, "lm")


def _right(pen: Pen, place: tuple[int, int], label: str, glyph: Glyph) -> None:
    """Show a glyph that was read rightly, with its character beside it."""
    left, top = place
    pen.paper.paste(_enlarged(glyph), place)
    where = (left + _side(glyph) + pixels(GAP), top + _side(glyph) / 2)
    _write(pen, where, (drawing.printable(label),), (points(16), pixels(BESIDE - 2 * GAP)), pen.theme.right)


def _heading(pen: Pen, between: tuple[int, int], text: str, size: float, colour: str) -> None:
    """Write a text at the top, between two columns of pixels; one too long for it is cut."""
    left, right = between
    shown, room = drawing.written(text), right - left
    long = pen.length(shown, size)
    if long > room:
        shown = f"{shown[: int(0.9 * len(shown) * room / long)]}…"
    size *= min(1.0, room / max(1.0, pen.length(shown, size)))
    pen.write((left, pixels(EDGE + HEAD / 2 - 0.05)), shown, size, colour, "lm")


def _write(
    pen: Pen,
    place: tuple[float, float],
    pieces: Sequence[str],
    fitting: tuple[float, float],
    colour: str,
    *,
    middle: bool = False,
) -> None:
    """Write pieces of a text one after the other from a place on, or around it.

    Each is laid out on its own: in one text, two labels that are written from right to left would swap sides, and the
    arrow between them would say the contrary.

    Args:
        pen: The picture.
        place: Where the text begins, or its middle; in pixels.
        pieces: From left to right.
        fitting: The size of the letters and the width that the whole may have, in pixels; what is longer gets smaller.
        colour: Of all of them.
        middle: Whether the place is the text's middle.
    """
    size, room = fitting
    size *= min(1.0, room / max(1.0, sum(pen.length(piece, size, family=CHARACTERS) for piece in pieces)))
    lengths = [pen.length(piece, size, family=CHARACTERS) for piece in pieces]
    x, y = place
    x -= sum(lengths) / 2 if middle else 0
    for piece, length in zip(pieces, lengths, strict=True):
        pen.write((x, y), piece, size, colour, "lm", family=CHARACTERS)
        x += length


def _pieces(line: str) -> tuple[str, ...]:
    """A line below a glyph in its pieces; labels in it, alone or on both sides of an arrow, are made visible."""
    before, arrow, after = line.partition(ARROW)
    if arrow:
        return drawing.printable(before), ARROW, drawing.printable(after)
    shown = drawing.written(line) if line.strip() else drawing.printable(line)
    return (shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…",)


def _side(glyph: Glyph) -> int:
    """The pixels that a glyph takes: the largest whole multiple of its own for which there is room."""
    return max(1, pixels(SIDE) // len(glyph)) * len(glyph)


def _enlarged(glyph: Glyph) -> Image.Image:
    side = _side(glyph)
    return Image.fromarray(np.ascontiguousarray(glyph)).resize((side, side), Image.Resampling.NEAREST)
