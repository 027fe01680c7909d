"""What all pages share: pictures for a light and a dark page, and templates that escape every text."""

import base64
from dataclasses import dataclass

import jinja2

from hwr.report.drawing import DARK, LIGHT


@dataclass(frozen=True)
class Picture:
    """One figure as PNG files, for a light and a dark page."""

    name: str
    alt: str
    light: bytes
    dark: bytes


def environment() -> jinja2.Environment:
    """The templates of this package, their filters, and the colours of the page as ``paper``."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("hwr.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters |= {"percent": percent, "count": "{:,}".format, "visible": visible, "data_uri": data_uri}
    made.globals["paper"] = {"light": LIGHT, "dark": DARK}
    return made


def data_uri(png: bytes) -> str:
    """A PNG file as an address that carries the file itself."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def visible(label: str) -> str:
    """A label of which every character can be seen: a space as a sign, what has no shape as its code point."""
    return "".join("␣" if c == " " else c if c.isprintable() else f"U+{ord(c):04X}" for c in label)


def percent(share: float, digits: int = 2) -> str:
    """A share as text; what is not wholly right is never rounded up to 100."""
    text = f"{100 * share:.{digits}f}"
    if share < 1 and float(text) == 100:
        text = f"{100 - 10**-digits:.{digits}f}"
    return f"{text}\N{NARROW NO-BREAK SPACE}%"
