"""The scripts of pages: each page carries its own inline, and its policy lets that very text run and no other."""

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Script:
    """A script that stands in a page.

    Attributes:
        text: What stands between the tags, to the letter. It must not hold ``</script`` or ``<!--``.
    """

    text: str

    @property
    def digest(self) -> str:
        """What a Content-Security-Policy calls this text (https://www.w3.org/TR/CSP3/#match-element-to-source-list)."""
        return f"sha256-{base64.b64encode(hashlib.sha256(self.text.encode()).digest()).decode()}"


@cache
def script(*names: str) -> Script:
    """Scripts of this package as one; they see each other's functions and the page sees none of them.

    Args:
        names: Their files, in the order to run.
    """
    texts = (resources.files("hwr.report").joinpath("pages", name).read_text("utf-8") for name in names)
    return Script('(() => {\n"use strict";\n' + "\n".join(texts) + "})();\n")
