"""Pictures of what confidences are worth as PNG bytes: the reliability diagram, and accuracy against coverage."""

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hwr.report.pictures import drawing
from hwr.report.pictures.drawing import LIGHT, WIDTH, Theme

SETTLED = 0.05  # share answered from which on the accuracy is more than the luck of a few rows
DOTTED = 30  # up to this many points of a curve, each is a dot; a line of one could not be seen
MODEST = 0.4  # how strongly the gap of a bin is coloured that is more often right than it says


def reliability(
    rows: npt.NDArray[np.int64],
    confidence: npt.NDArray[np.float64],
    accuracy: npt.NDArray[np.float64],
    theme: Theme = LIGHT,
) -> bytes:
    """The reliability diagram: accuracy against confidence in equal bins over [0, 1], and the rows of each bin.

    What lies between the accuracy and the mean confidence of a bin is coloured: as an error where the model is surer
    than it is right. Empty bins are left out. The rows of each bin stand below, for the accuracy of a few says little.
    Guo et al., "On calibration of modern neural networks", 2017, https://arxiv.org/abs/1706.04599.

    Args:
        rows: Rows (B,) int64 in each bin, at least one of them above 0.
        confidence: Mean confidence (B,) float64 in [0, 1] of each bin; that of an empty one is not looked at.
        accuracy: Share (B,) float64 in [0, 1] of right answers in each bin; likewise.
        theme: The colours.

    Returns:
        A PNG file.
    """
    bins = len(rows)
    figure = Figure(figsize=(WIDTH, 5.2), facecolor=theme.paper, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for axes in (upper, lower):
        drawing.dress(axes, theme)
        axes.yaxis.set_major_formatter(FuncFormatter(drawing.per_cent))
        axes.grid(axis="y", color=theme.line, linewidth=0.8)
    kinds = _stacked(upper, np.flatnonzero(rows), confidence, accuracy, theme)
    upper.plot([-0.5, bins - 0.5], [0, 1], color=theme.ink, linewidth=1, linestyle=(0, (4, 3)))
    upper.set(ylabel="accuracy", ylim=(0, 1))
    ideal = Line2D([], [], color=theme.ink, linewidth=1, linestyle=(0, (4, 3)), label="as often right as sure")
    drawing.explain(upper, theme, [*kinds, ideal])
    share = rows / rows.sum()
    lower.bar(np.arange(bins), share, 1, color=theme.muted, edgecolor=theme.paper, linewidth=1)
    lower.set(ylabel="rows", xlabel="confidence", xlim=(-0.5, bins - 0.5), ylim=(0, 1.25 * share.max()))
    lower.yaxis.set_major_locator(MaxNLocator(3, steps=drawing.ROUND))
    drawing.over_bars(lower, share.tolist(), [f"{count:,}" if count else "" for count in rows.tolist()], theme)
    shares = np.linspace(0, 1, 11)
    lower.set_xticks(shares * bins - 0.5, [drawing.per_cent(value) for value in shares.round(3)])
    lower.tick_params(axis="x", pad=6)
    figure.align_ylabels()
    return drawing.png(figure)


def coverage(
    coverage: npt.NDArray[np.float64],
    accuracy: npt.NDArray[np.float64],
    theme: Theme = LIGHT,
    marked: tuple[float, float] | None = None,
) -> bytes:
    """Accuracy of what is answered against the share that is, when only the surest rows are answered.

    The y axis goes down to what the curve comes to from a share of `SETTLED` on: one wrong row among the surest few
    would flatten all of the rest.

    Args:
        coverage: Shares (M,) float64 answered, in (0, 1], at least one.
        accuracy: Share (M,) float64 of right ones among those answered, in [0, 1].
        theme: The colours.
        marked: Share answered and accuracy of the predictions at hand, where some abstained.

    Returns:
        A PNG file.
    """
    figure, axes = drawing.canvas(theme, 3.4)
    order = np.argsort(coverage, kind="stable")
    axes.plot(
        coverage[order], accuracy[order], color=theme.right, linewidth=1.8, label="accuracy of what is answered",
        marker="o" if len(order) <= DOTTED else None, markersize=4,
    )  # fmt: skip
    settled = accuracy[coverage >= min(SETTLED, coverage.max())]
    drawing.zoom(axes, np.array([*settled, accuracy.max(), *([] if marked is None else [marked[1]])]))
    if marked is not None:
        _mark(axes, marked, theme)
    axes.set(xlabel="share answered, the surest first", ylabel="accuracy", xlim=(0, 1.01))
    axes.set_xticks(np.linspace(0, 1, 11))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f} %"))
    axes.grid(axis="y", color=theme.line, linewidth=0.8)
    axes.tick_params(axis="x", pad=6)
    drawing.explain(axes, theme)
    return drawing.png(figure)


def _stacked(
    axes: Axes,
    some: npt.NDArray[np.int64],
    confidence: npt.NDArray[np.float64],
    accuracy: npt.NDArray[np.float64],
    theme: Theme,
) -> list[Artist]:
    """Draw the accuracy of some bins and its gaps to their confidence.

    Returns:
        What the colours mean, those that occur.
    """
    sure, right = confidence[some], accuracy[some]
    modest = drawing.blend(theme, theme.right, MODEST)
    kinds = (
        ("accuracy", theme.right, np.zeros_like(right), np.minimum(right, sure)),
        ("more often right than sure", modest, sure, right - sure),
        ("surer than right", theme.wrong, right, sure - right),
    )
    named: list[Artist] = []
    for name, colour, foot, tall in kinds:
        drawn = tall > 0
        axes.bar(some[drawn], tall[drawn], 1, foot[drawn], color=colour, edgecolor=theme.paper, linewidth=1)
        if drawn.any():
            named.append(Patch(color=colour, label=name))
    return named


def _mark(axes: Axes, point: tuple[float, float], theme: Theme) -> None:
    """Set a ring at a point, with lines to both axes; what it says stands above the panel, where nothing is hidden."""
    share, right = point
    words = f"these predictions: {100 * share:.4g} % answered, {100 * right:.4g} % of them right"
    corner = ([share, share, 0], [axes.get_ylim()[0], right, right])
    axes.plot(*corner, color=theme.muted, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    axes.plot(
        [share], [right], "o", markersize=8, markerfacecolor=theme.paper, markeredgecolor=theme.wrong,
        markeredgewidth=1.8, linestyle="none", label=words, zorder=5, clip_on=False,
    )  # fmt: skip
