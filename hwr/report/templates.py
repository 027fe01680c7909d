"""What all pages share: pictures for a light and a dark page, and templates that escape every text."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

import jinja2
import numpy as np
import numpy.typing as npt

from hwr.alphabet import visible
from hwr.report.pictures import drawing
from hwr.report.pictures.drawing import DARK, LIGHT
from hwr.report.scripts import script

Glyphs = Mapping[str, npt.NDArray[np.uint8]]
"""The glyphs (S, S) uint8, white ink on black, of inputs by id; those that cannot be had are left out."""


@dataclass(frozen=True)
class Picture:
    """One figure as PNG files, for a light and a dark page."""

    name: str
    alt: str
    light: bytes
    dark: bytes


@dataclass(frozen=True)
class Shown:
    """One input in a gallery.

    Attributes:
        id: Its id.
        truth: Its true label, where that is known.
        prediction: What the model said, or would have said.
        confidence: How sure it was, in [0, 1].
    """

    id: str
    truth: str | None
    prediction: str
    confidence: float


@dataclass(frozen=True)
class Suspect(Shown):
    """An input whose truth may be wrong.

    Attributes:
        suggestion: What it rather is.
    """

    suggestion: str


def environment() -> jinja2.Environment:
    """The templates of this package, their filters, the colours of the page as ``paper``, and its ``script``.

    What a script has to know to the letter is written as JSON, ``exact``, in an attribute: HTML itself would change a
    carriage return, and drop a null character.
    """
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("hwr.report", "pages"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters |= {
        "percent": percent,
        "count": "{:,}".format,
        "visible": visible,
        "data_uri": data_uri,
        "named": named,
        "exact": json.dumps,
    }
    made.globals |= {"paper": {"light": LIGHT, "dark": DARK}, "script": script}
    return made


def data_uri(png: bytes) -> str:
    """A PNG file as an address that carries the file itself."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def embedded(glyphs: Glyphs) -> dict[str, dict[str, str | int]]:
    """Glyphs to embed, by id, each with two sides to show it at: whole multiples of its pixels, so they stay square."""
    made: dict[str, dict[str, str | int]] = {}
    for name, image in glyphs.items():
        side = len(image)
        small, large = (side * max(1, round(near / side)) for near in (56, 84))
        made[name] = {"uri": data_uri(drawing.glyph(image)), "small": small, "large": large}
    return made


def named(id_: str, most: int = 100) -> str:
    """The name of an input for a page: its middle left out where it is long, what has no shape as an escape."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in id_)
    return shown if len(shown) <= most else f"{shown[: most // 2 - 1]}…{shown[-(most // 2) :]}"


def percent(share: float, digits: int = 2) -> str:
    """A share as text; what is not wholly right is never rounded up to 100."""
    text = f"{100 * share:.{digits}f}"
    if share < 1 and float(text) == 100:
        text = f"{100 - 10**-digits:.{digits}f}"
    return f"{text}\N{NARROW NO-BREAK SPACE}%"
