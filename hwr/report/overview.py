"""The page of an ingest: what its samples look like, how they are spread over classes and splits, what was refused."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import name

import numpy as np
import numpy.typing as npt
from PIL import Image

from hwr.report.pictures import drawing
from hwr.report.pictures import overview as overview_figures
from hwr.report.pictures.drawing import DARK, LIGHT, Theme
from hwr.report.templates import Picture, data_uri, environment
from hwr.schema import SPLITS

PER_CLASS = 12
MOST_CLASSES = 100  # on the sheet: more would make the page large, and nobody looks at them
MOST_NAMED = 12  # classes that a sentence names
EXAMPLES = 3
SHARPEST = 56  # side in pixels that a glyph needs on the page, where it is shown at about 38
COARSE = 19  # up to this side, pixels are shown as squares
UNLABELLED = "unlabelled"

REASONS = {
    "empty": "The file has no bytes at all.",
    "not-an-image": "It is no picture, or of a kind that is not read.",
    "corrupt": "It begins as a picture does, but is damaged or cut off.",
    "too-large": "It has more pixels than are read: a whole page perhaps, not one character.",
    "blank": "There is no ink in it, only paper or specks.",
    "outside-folder": "A link that leads out of the source folder; it is not followed.",
    "not-a-file": "A pipe, socket or device, not a file.",
    "bad-name": "Its name is no valid text, so it could not be written down.",
    "unopenable": "It could not be opened: often a matter of permissions.",
    "missing": "It is listed, but no such file is there.",
    "named-twice": "An earlier line of the table names the same file; it counts once.",
    "unknown-label": "Its label is not in the alphabet, which is the digits if none is given.",
    "wrong-length": "The row has more or fewer values than a picture has pixels.",
    "out-of-range": "A pixel lies outside 0 to 255.",
    "not-a-number": "A pixel is no whole number.",
    "leak": "The same picture is in another split too; it was left out so that accuracy stays honest.",
}
"""What each reason of a reject means, for a reader who sees it for the first time."""

DUPLICATES = {
    "train": "copies inside train",
    "train-val": "in both train and val",
    "train-test": "in both train and test",
    "val-test": "in both val and test",
    "dropped": "left out for it",
}

Label = str | None
"""A class; None stands for the samples without a label, as in `hwr.schema.samples`."""


@dataclass(frozen=True, eq=False)
class Overview:
    """What an ingest made, for its page.

    Attributes:
        facts: What was ingested, name to value, in the order to show: source, format, size, date.
        counts: The ``counts`` of a samples manifest; ``duplicates`` may be left out.
        classes: Class to split to number of samples, in the order to show.
        rejects: Reason to its first examples: the key of an input, and what was found in it.
        sheet: Class to glyphs (n, S, S) uint8, white ink on black: at most `PER_CLASS`, of the classes `on_sheet`.
    """

    facts: Mapping[str, str]
    counts: Mapping[str, Any]
    classes: Mapping[Label, Mapping[str, int]]
    rejects: Mapping[str, Sequence[tuple[str, str | None]]]
    sheet: Mapping[Label, npt.NDArray[np.uint8]]

    def groups(self) -> list[tuple[Label, npt.NDArray[np.uint8]]]:
        """The classes with glyphs to show, in their order, cut down to what fits on a sheet."""
        shown = on_sheet([label for label in self.classes if len(self.sheet.get(label, ()))])
        return [(label, self.sheet[label][:PER_CLASS]) for label in shown]

    def total(self, label: Label) -> int:
        """Samples of a class in all splits."""
        return sum(self.classes[label].values())


def on_sheet(labels: Sequence[Label]) -> list[Label]:
    """The classes that get a place on the sheet: all, or `MOST_CLASSES` spread evenly over them."""
    places = np.linspace(0, len(labels) - 1, min(len(labels), MOST_CLASSES)).round().astype(int)
    return [labels[place] for place in places]


def pictures(overview: Overview) -> list[Picture]:
    """Draw the sheet of glyphs and the balance of the classes, as far as there are samples."""
    drawn: list[Picture] = []

    def draw(title: str, alt: str, figure: Callable[[Theme], bytes]) -> None:
        drawn.append(Picture(title, alt, figure(LIGHT), figure(DARK)))

    groups = [(label or UNLABELLED, overview.total(label), glyphs) for label, glyphs in overview.groups()]
    counts = {split: _column(overview, split) for split in SPLITS}
    if groups:
        draw("glyphs", "Random glyphs of each class", lambda theme: overview_figures.sheet(groups, theme))
    if any(values.any() for values in counts.values()):
        labels = [label or UNLABELLED for label in overview.classes]
        met = {split: values for split, values in counts.items() if values.any()}
        draw("balance", "Samples per class and split", lambda theme: overview_figures.balance(labels, met, theme))
    return drawn


def render(overview: Overview, drawn: Sequence[Picture]) -> str:
    """Write the page.

    Args:
        overview: What the ingest made.
        drawn: What `pictures` made of it.

    Returns:
        HTML.
    """
    template = environment().get_template("overview.html.j2")
    counts = overview.counts
    labelled = [label for label in overview.classes if label is not None and overview.total(label)]
    return template.render(
        facts=overview.facts,
        counts=counts,
        pictures={picture.name: picture for picture in drawn},
        labelled=len(labelled),
        unlabelled=overview.total(None) if None in overview.classes else 0,
        cards=[_card(overview, label, glyphs) for label, glyphs in overview.groups()],
        extremes=_extremes(overview, labelled),
        absent={
            split: _named(label for label in labelled if not overview.classes[label].get(split)) for split in SPLITS
        },
        duplicates=_duplicates(counts.get("duplicates", {})),
        rejects=refused(counts["reasons"], overview.rejects),
    )


def _column(overview: Overview, split: str) -> npt.NDArray[np.int64]:
    return np.array([counts.get(split, 0) for counts in overview.classes.values()], dtype=np.int64)


def _card(overview: Overview, label: Label, glyphs: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """One class on the sheet."""
    return {
        "label": label,
        "title": f"U+{ord(label):04X} {name(label, '')}".strip() if label and len(label) == 1 else label or "",
        "total": overview.total(label),
        "splits": {split: overview.classes[label].get(split, 0) for split in SPLITS},
        "uri": data_uri(drawing.encoded(_strip(glyphs))),
        "width": 100 * len(glyphs) / PER_CLASS,
        "coarse": glyphs.shape[1] <= COARSE,
    }


def _strip(glyphs: npt.NDArray[np.uint8]) -> Image.Image:
    """Glyphs (n, S, S) side by side as one picture, which is transparent between them."""
    count, size = glyphs.shape[:2]
    wide = size + max(1, size // 14)
    pixels = np.zeros((size, count, wide, 2), np.uint8)
    pixels[:, :, :size, 0] = glyphs.swapaxes(0, 1)
    pixels[:, :, :size, 1] = 255
    strip = Image.fromarray(pixels.reshape(size, count * wide, 2))
    if size <= SHARPEST:
        return strip
    return strip.resize((round(strip.width * SHARPEST / size), SHARPEST), Image.Resampling.BILINEAR)


def _extremes(overview: Overview, labelled: Sequence[str]) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """The three classes with the fewest and with the most samples; none where that says nothing."""
    ordered = sorted(((label, overview.total(label)) for label in labelled), key=lambda pair: pair[1])
    worth = len(ordered) >= 6 and ordered[0][1] < ordered[-1][1]
    return (ordered[:3], ordered[:-4:-1]) if worth else ([], [])


def _named(labels: Iterable[str]) -> dict[str, Any]:
    """Classes for a sentence: the first few by name, and how many there are."""
    whole = list(labels)
    return {"count": len(whole), "first": whole[:MOST_NAMED]}


def _duplicates(counts: Mapping[str, Any]) -> dict[str, int]:
    flat = {**counts, **counts.get("leaks", {})}
    return {words: flat[key] for key, words in DUPLICATES.items() if flat.get(key)}


def refused(
    counts: Mapping[str, int], examples: Mapping[str, Sequence[tuple[str, str | None]]]
) -> list[dict[str, Any]]:
    """What a page says of inputs that could not be used, the most frequent reason first.

    Args:
        counts: Inputs of each reason.
        examples: Reason to its first examples, as `Overview` has them.
    """
    reasons = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [
        {
            "reason": reason,
            "meaning": REASONS.get(reason, ""),
            "count": count,
            "examples": examples.get(reason, ())[:EXAMPLES],
        }
        for reason, count in reasons
    ]
