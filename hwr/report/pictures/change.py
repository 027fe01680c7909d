"""A picture of what changed between two models, character by character, as PNG bytes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.lines import Line2D

from hwr.report.pictures import drawing
from hwr.report.pictures.drawing import LIGHT, Theme


def changes(
    labels: Sequence[str],
    before: npt.NDArray[np.float64],
    after: npt.NDArray[np.float64],
    theme: Theme = LIGHT,
) -> bytes:
    """Recall of each character before and after: two dots and a line between them, in the colour of where it went.

    Args:
        labels: The C characters, at least one, in the order to show.
        before: Recall (C,) float64 in [0, 1] of the first model.
        after: That of the second.
        theme: The colours.

    Returns:
        A PNG file.
    """
    figure, axes = drawing.canvas(theme, 3.4)
    places = np.arange(len(labels), dtype=np.float64)
    dot = float(np.clip(300 / len(labels), 2.5, 8))
    kinds = (
        ("rose", theme.right, after > before),
        ("fell", theme.wrong, after < before),
        ("did not change", theme.muted, after == before),
    )
    named: list[Artist] = [_dot(theme.muted, theme.paper, "before")]
    for name, colour, chosen in kinds:
        where, start, end = places[chosen], before[chosen], after[chosen]
        axes.plot(
            where, start, "o", markersize=0.85 * dot, markerfacecolor=theme.paper, markeredgecolor=theme.muted,
            markeredgewidth=1.2, zorder=3,
        )  # fmt: skip
        axes.vlines(where, start, end, color=colour, linewidth=max(1.0, 0.3 * dot), zorder=2)
        axes.plot(where, end, "o", color=colour, markersize=dot, zorder=4)
        if chosen.any():
            named.append(_dot(colour, colour, f"after: {name} ({chosen.sum():,})"))
    drawing.zoom(axes, np.concatenate([before, after]))
    drawing.name_axes(axes, places, labels)
    axes.set(xlim=(-0.6, len(labels) - 0.4), ylabel="recall")
    axes.grid(axis="y", color=theme.line, linewidth=0.8)
    drawing.explain(axes, theme, named)
    return drawing.png(figure)


def _dot(edge: str, face: str, label: str) -> Line2D:
    """What a dot means."""
    return Line2D(
        [], [], marker="o", markersize=6, markeredgecolor=edge, markerfacecolor=face, linestyle="none", label=label
    )
