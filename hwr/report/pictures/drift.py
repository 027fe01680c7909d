"""Pictures of how predictions differ from those on the validation set, as PNG bytes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hwr.report.pictures import drawing
from hwr.report.pictures.drawing import LIGHT, Theme

EXPECTED, FOUND = "validation set", "these predictions"


def distributions(
    labels: Sequence[str],
    expected: npt.NDArray[np.float64],
    found: npt.NDArray[np.float64],
    theme: Theme = LIGHT,
) -> bytes:
    """How large a share of the answers each character has: on the validation set, and in these predictions.

    Args:
        labels: The C characters, at least one.
        expected: Shares (C,) float64 in [0, 1] of the answers on the validation set.
        found: Those in these predictions.
        theme: The colours.

    Returns:
        A PNG file.
    """
    figure, axes = drawing.canvas(theme, 3.0)
    places = np.arange(len(labels), dtype=np.float64)
    axes.bar(places - 0.2, expected, 0.4, color=theme.muted, label=EXPECTED)
    axes.bar(places + 0.2, found, 0.4, color=theme.right, label=FOUND)
    drawing.name_axes(axes, places, labels)
    most = max(float(expected.max()), float(found.max()))
    axes.set(xlim=(-0.6, len(labels) - 0.4), ylim=(0, 1.04 * most or 1), ylabel="answers")
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=drawing.ROUND))
    axes.yaxis.set_major_formatter(FuncFormatter(drawing.per_cent))
    axes.grid(axis="y", color=theme.line, linewidth=0.8)
    drawing.explain(axes, theme)
    return drawing.png(figure)


def confidences(
    expected: npt.NDArray[np.float64] | npt.NDArray[np.int64],
    found: npt.NDArray[np.float64] | npt.NDArray[np.int64],
    theme: Theme = LIGHT,
) -> bytes:
    """How sure the answers are, as shares: on the validation set, and in these predictions.

    Args:
        expected: Counts or shares (B,) of the confidences on the validation set in equal bins over [0, 1]; they are
            scaled to a sum of 1, so that sets of any two sizes can be compared.
        found: Those in these predictions.
        theme: The colours.

    Returns:
        A PNG file.
    """
    figure, axes = drawing.canvas(theme, 3.0)
    edges = np.linspace(0, 1, len(expected) + 1)
    before, here = _shares(expected), _shares(found)
    axes.stairs(before, edges, fill=True, facecolor=drawing.blend(theme, theme.muted, 0.35), linewidth=0)
    axes.stairs(before, edges, color=theme.muted, linewidth=1.4, label=EXPECTED)
    axes.stairs(here, edges, color=theme.right, linewidth=2, label=FOUND)
    axes.set(xlim=(0, 1), ylim=(0, 1.04 * max(before.max(), here.max()) or 1), xlabel="confidence", ylabel="answers")
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=drawing.ROUND))
    axes.yaxis.set_major_formatter(FuncFormatter(drawing.per_cent))
    axes.set_xticks(np.linspace(0, 1, 11))
    axes.xaxis.set_major_formatter(FuncFormatter(drawing.per_cent))
    axes.tick_params(axis="x", pad=6)
    axes.grid(axis="y", color=theme.line, linewidth=0.8)
    drawing.explain(axes, theme)
    return drawing.png(figure)


def _shares(counts: npt.NDArray[np.float64] | npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    total = float(counts.sum())
    return counts / total if total else counts.astype(np.float64)
