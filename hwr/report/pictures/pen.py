"""Pictures drawn with Pillow, which takes milliseconds for the hundreds of texts that take matplotlib seconds."""

from dataclasses import dataclass
from functools import cache

from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from hwr.report.pictures import drawing
from hwr.report.pictures.drawing import Theme

WORDS = "DejaVu Sans"


@dataclass(frozen=True)
class Pen:
    """A picture in the making."""

    theme: Theme
    paper: Image.Image
    draw: ImageDraw.ImageDraw

    @classmethod
    def on(cls, theme: Theme, width: int, height: int) -> "Pen":
        """An empty picture, its size in pixels."""
        paper = Image.new("RGB", (width, height), theme.paper)
        return cls(theme, paper, ImageDraw.Draw(paper))

    def write(
        self,
        place: tuple[float, float],
        text: str,
        size: float,
        colour: str,
        anchor: str,
        *,
        family: str = WORDS,
        turned: bool = False,
    ) -> None:
        """Write a text of a size in pixels at a place, its anchor as Pillow names it; turned, it reads upwards."""
        font = _font(family, max(1.0, size))
        if not turned:
            self.draw.text(place, text, fill=colour, font=font, anchor=anchor)
            return
        _, top, right, bottom = (round(edge) for edge in font.getbbox(text, anchor="lm"))
        mask = Image.new("L", (max(1, right), max(1, bottom - top)))
        ImageDraw.Draw(mask).text((0, -top), text, fill=255, font=font, anchor="lm")
        x, y = round(place[0] + top), round(place[1] - (mask.width if anchor == "lm" else 0))
        self.paper.paste(colour, (x, y), mask.rotate(90, expand=True))

    def length(self, text: str, size: float, *, family: str = WORDS) -> float:
        """How many pixels a text of a size in pixels is long."""
        return _font(family, max(1.0, size)).getlength(text)


def pixels(inches: float) -> int:
    """A length in the pixels of a page's picture."""
    return round(inches * drawing.DPI)


def points(size: float) -> float:
    """A font size given in points, in pixels."""
    return size * drawing.DPI / 72


@cache
def _font(family: str, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_manager.findfont(family), size)
