"""What all pictures share: colours, letters, axes and PNG bytes; drawn on Agg, with no state shared between calls."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

DPI = 160
WIDTH = 9.6  # inches; the page shows pictures at about 100 pixels an inch
MOST_NAMES = 80
PRINTED = 20  # with more classes than this there is no room for figures side by side
NARROWEST = 0.002  # range of shares that an axis shows at least, so that noise does not look like a cliff
ROUND = (1, 2, 5, 10)  # what the lines of an axis are multiples of
CHARACTERS = "DejaVu Sans Mono"  # comes with matplotlib, and tells 0 from O and I from l


@dataclass(frozen=True)
class Theme:
    """Colours of the page that a picture stands on."""

    paper: str
    ink: str
    muted: str
    line: str
    right: str
    wrong: str


LIGHT = Theme(paper="#ffffff", ink="#1a1d21", muted="#626a75", line="#e4e7eb", right="#0f766e", wrong="#c2410c")
DARK = Theme(paper="#171a1f", ink="#e8eaed", muted="#9aa3ae", line="#2b3038", right="#2fb8a6", wrong="#f08a4b")


def glyph(image: npt.NDArray[np.uint8]) -> bytes:
    """One glyph (S, S) uint8 as a PNG file, pixel for pixel."""
    return encoded(Image.fromarray(np.ascontiguousarray(image)), optimize=True)


def encoded(picture: Image.Image, *, optimize: bool = False) -> bytes:
    """A picture as a PNG file; ``optimize`` takes four times as long for the smallest one."""
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=optimize, compress_level=3)
    return data.getvalue()


def printable(label: str) -> str:
    """A label as a picture can show it: as `written`, a space is made visible, and what is long is cut."""
    shown = written(label.replace(" ", "␣"))
    return shown if len(shown) <= 12 else f"{shown[:11]}…"


def written(text: str) -> str:
    """A text as a picture can show it: a character without a shape gives its code point."""
    shapes = _shapes()
    return "".join(c if ord(c) in shapes and c.isprintable() else f"U+{ord(c):04X}" for c in text)


@cache
def _shapes() -> frozenset[int]:
    return frozenset(FT2Font(font_manager.findfont(CHARACTERS)).get_charmap())


def canvas(theme: Theme, height: float) -> tuple[Figure, Axes]:
    """A figure as wide as the page, ``height`` inches tall, with its axes."""
    figure = Figure(figsize=(WIDTH, height), facecolor=theme.paper, layout="constrained")
    axes = figure.subplots()
    dress(axes, theme)
    return figure, axes


def dress(axes: Axes, theme: Theme) -> None:
    """Give axes the page's colours and sizes, and no frame."""
    axes.set_facecolor(theme.paper)
    axes.spines[:].set_visible(False)
    axes.tick_params(colors=theme.ink, length=0, labelsize=9)
    axes.xaxis.label.set(color=theme.muted, fontsize=10)
    axes.yaxis.label.set(color=theme.muted, fontsize=10)
    axes.set_axisbelow(True)


def fitted(labels: Sequence[str]) -> tuple[list[str], float, bool]:
    """Printable names, the font size they fit in side by side, and whether they have to be turned below an axis."""
    names = [printable(label) for label in labels]
    return names, float(np.clip(460 / len(names), 6.4, 12)), max(map(len, names)) > 2


def name_axes(axes: Axes, places: npt.NDArray[np.float64], labels: Sequence[str], *, left: bool = False) -> None:
    """Name the places of characters below, or also left; beyond what there is room for, every second, third, … one."""
    step = -(-len(labels) // MOST_NAMES)
    names, font, turned = fitted(labels)
    for axis, rotation in ((axes.xaxis, 90 if turned else 0), *([(axes.yaxis, 0)] if left else [])):
        axis.set_ticks(
            places[::step], names[::step], rotation=rotation, fontsize=font, fontfamily=CHARACTERS, parse_math=False
        )


def bars(axes: Axes, labels: Sequence[str], values: Sequence[float], colours: Sequence[str], theme: Theme) -> None:
    """Draw a bar for each character, with its name below."""
    places = np.arange(len(labels), dtype=np.float64)
    axes.bar(places, values, 0.78, color=colours)
    name_axes(axes, places, labels)
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.grid(axis="y", color=theme.line, linewidth=0.8)


def over_bars(axes: Axes, values: Sequence[float], texts: Sequence[str], theme: Theme) -> None:
    """Write a text over each bar, where there is room for them."""
    if len(values) > MOST_NAMES:
        return
    many = len(values) > PRINTED
    for place, (value, text) in enumerate(zip(values, texts, strict=True)):
        axes.annotate(
            text, (place, value), (0, 3), textcoords="offset points", ha="center", va="bottom", annotation_clip=False,
            rotation=90 if many else 0, fontsize=6.5 if many else 9, color=theme.muted,
        )  # fmt: skip


def per_cent(share: float, _: object = None) -> str:
    """A share in [0, 1] as the label of an axis; the second argument is what matplotlib hands to such a function."""
    return f"{100 * share:.5g} %"


def zoom(axes: Axes, values: npt.NDArray[np.float64]) -> None:
    """Let the y axis show the range of some shares, in per cent, with a little room and no line beyond 0 and 100 %."""
    high = float(values.max())
    low = max(0.0, min(float(values.min()), high - NARROWEST))
    high = max(high, low + NARROWEST)
    bottom, top = low - 0.07 * (high - low), high + 0.07 * (high - low)
    ticks = np.round(MaxNLocator(5, steps=ROUND).tick_values(max(0.0, bottom), min(1.0, top)), 9)
    axes.set(ylim=(bottom, top), yticks=ticks[(ticks >= max(0.0, bottom)) & (ticks <= min(1.0, top))])
    axes.yaxis.set_major_formatter(FuncFormatter(per_cent))


def explain(axes: Axes, theme: Theme, handles: Sequence[Artist] | None = None) -> None:
    """Say above a panel what its colours mean, where that cannot hide anything."""
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=5, frameon=False, borderaxespad=0.3,
        borderpad=0.2, fontsize=9, labelcolor=theme.ink, columnspacing=2.2, handlelength=1.4,
    )  # fmt: skip


def mix(theme: Theme, colour: str, strength: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """RGB (..., 3) in [0, 1] between the paper (strength 0) and a colour (1)."""
    paper, full = np.array(to_rgb(theme.paper)), np.array(to_rgb(colour))
    mixed: npt.NDArray[np.float64] = paper + (full - paper) * strength[..., None]
    return mixed


def blend(theme: Theme, colour: str, strength: float) -> str:
    """The one colour that `mix` gives at a strength in [0, 1], such as ``#8ab8b3``."""
    red, green, blue = mix(theme, colour, np.array(strength)).tolist()
    return to_hex((red, green, blue))


def png(figure: Figure) -> bytes:
    """A figure as a PNG file; the same figure gives the same file."""
    data = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(data, format="png", dpi=DPI, facecolor=figure.get_facecolor(), metadata={"Software": None})
    return data.getvalue()
