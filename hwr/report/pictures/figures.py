"""Pictures of a recognition report as PNG bytes, in a light and a dark theme."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hwr.metrics.scores import Character
from hwr.report.pictures import drawing
from hwr.report.pictures.drawing import LIGHT, MOST_NAMES, PRINTED, WIDTH, Theme

SMALLEST = 0.2  # how strongly the rarest confusion is coloured, so that one in thousands is still seen


def confusion(counts: npt.NDArray[np.int64], labels: Sequence[str], theme: Theme = LIGHT) -> bytes:
    """The confusion matrix, coloured by the share of each row; counts are printed for up to 20 classes.

    Right and wrong have colours of their own, and wrong shares are drawn on a square-root scale: at 99 % accuracy a
    single scale would show an empty matrix with a diagonal. Cells that never occurred stay blank.

    Args:
        counts: (C, C), [true, predicted].
        labels: The C characters.
        theme: The colours.

    Returns:
        A PNG file.
    """
    size = len(labels)
    strength, colours = shades(counts, theme)
    figure, axes, strips = _square(theme, labels)
    line = drawing.mix(theme, theme.line, np.array([1.0 if size <= PRINTED else 0.5]))
    axes.pcolormesh(colours, edgecolors=line, linewidth=1 if size <= PRINTED else 0.5 if size <= MOST_NAMES else 0)
    axes.set(xlabel="predicted", ylabel="true", xlim=(0, size), ylim=(size, 0))
    drawing.name_axes(axes, np.arange(0.5, size), labels, left=True)
    axes.tick_params(top=True, labeltop=size > PRINTED, right=True, labelright=size > PRINTED, length=0, pad=3)
    if size <= PRINTED:
        _print_counts(axes, counts, strength, theme)
    _key(strips, theme)
    return drawing.png(figure)


def shades(counts: npt.NDArray[np.int64], theme: Theme) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """How strongly (C, C) in [0, 1], and in which RGB (C, C, 3) in [0, 1], `confusion` colours its cells."""
    diagonal = np.eye(len(counts), dtype=bool)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    strength = np.where(diagonal, share, np.sqrt(share))
    strength = np.where(counts > 0, SMALLEST + (1 - SMALLEST) * strength, 0)
    right, wrong = (drawing.mix(theme, colour, strength) for colour in (theme.right, theme.wrong))
    return strength, np.where(diagonal[..., None], right, wrong)


def f1_bars(characters: Sequence[Character], theme: Theme = LIGHT) -> bytes:
    """F1 of each character as bars from 0 to 100 %; the weakest, at most five, stand out.

    Args:
        characters: Those to show, in this order.
        theme: The colours.

    Returns:
        A PNG file.
    """
    figure, axes = drawing.canvas(theme, 2.6)
    values = [100 * character.f1 for character in characters]
    flawed = [index for index, value in enumerate(values) if value < 100]
    weakest = sorted(flawed, key=values.__getitem__)[: min(5, len(values) // 5)]
    colours = [theme.wrong if index in weakest else theme.right for index in range(len(values))]
    drawing.bars(axes, [character.label for character in characters], values, colours, theme)
    axes.set(ylim=(0, 100), ylabel="F1")
    axes.yaxis.set_major_formatter("{x:.0f} %")
    drawing.over_bars(axes, values, [f"{value:.1f}" if value < 99.95 else "100" for value in values], theme)
    return drawing.png(figure)


def predicted_bars(labels: Sequence[str], counts: Sequence[int], theme: Theme = LIGHT) -> bytes:
    """How many answers each character got.

    Args:
        labels: The characters.
        counts: The number of answers of each.
        theme: The colours.

    Returns:
        A PNG file.
    """
    figure, axes = drawing.canvas(theme, 2.6)
    drawing.bars(axes, labels, list(counts), [theme.right] * len(labels), theme)
    axes.set(ylim=(0, max(1, *counts)), ylabel="answers")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    drawing.over_bars(axes, list(counts), [f"{count:,}" for count in counts], theme)
    return drawing.png(figure)


def confidence(groups: dict[str, npt.NDArray[np.int64]], theme: Theme = LIGHT) -> bytes:
    """Histograms of confidence over [0, 1], one panel a group, each on its own scale.

    The scales differ because right answers outnumber wrong ones by far; shared, the wrong ones would not be seen.

    Args:
        groups: Name to counts (bins,); the group named ``wrong`` gets the colour of errors.
        theme: The colours.

    Returns:
        A PNG file.
    """
    figure = Figure(figsize=(WIDTH, 0.5 + 1.7 * len(groups)), facecolor=theme.paper, layout="constrained")
    panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, counts) in zip(panels, groups.items(), strict=True):
        drawing.dress(axes, theme)
        edges = np.linspace(0, 1, len(counts) + 1)
        colour = theme.wrong if name == "wrong" else theme.right
        axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color=colour, edgecolor=theme.paper, linewidth=1)
        axes.set_title(f"{name} · {int(counts.sum()):,}", loc="left", fontsize=10, color=theme.ink)
        axes.set(xlim=(0, 1), ylim=(0, max(1, counts.max() * 1.05)), ylabel="answers")
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.grid(axis="y", color=theme.line, linewidth=0.8)
    panels[-1].set_xlabel("confidence")
    panels[-1].xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    panels[-1].tick_params(axis="x", pad=6)
    figure.align_ylabels()
    return drawing.png(figure)


def _square(theme: Theme, labels: Sequence[str]) -> tuple[Figure, Axes, list[Axes]]:
    """A figure as wide as the page with a square for a matrix, exactly as large as the names around it allow.

    Returns:
        The figure, the square, and two strips below it for the key.
    """
    many = len(labels) > PRINTED
    names, font, turned = drawing.fitted(labels)
    beside = 0.12 + max(map(len, names)) * 0.61 * font / 72
    across = beside if turned else 0.12 + 1.2 * font / 72
    left, right = 0.3 + beside, beside if many else 0.1
    side = WIDTH - left - right
    bottom, top = across + 1.05, across if many else 0.08
    height = bottom + side + top
    figure = Figure(figsize=(WIDTH, height), facecolor=theme.paper)

    def place(x: float, y: float, width: float, tall: float) -> Axes:
        axes = figure.add_axes((x / WIDTH, y / height, width / WIDTH, tall / height))
        drawing.dress(axes, theme)
        return axes

    strips = [place(left + share * side, 0.25, 0.3 * side, 0.15) for share in (0, 0.55)]
    return figure, place(left, bottom, side, side), strips


def _print_counts(axes: Axes, counts: npt.NDArray[np.int64], strength: npt.NDArray[np.float64], theme: Theme) -> None:
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = theme.paper if strength[row, column] > 0.55 else theme.ink
        axes.text(
            column + 0.5, row + 0.5, f"{counts[row, column]:,}", ha="center", va="center", fontsize=9, color=colour
        )


def _key(strips: list[Axes], theme: Theme) -> None:
    """Say what the colours mean, each along its own scale."""
    strengths = np.linspace(0, 1, 100)
    kinds = (("right", theme.right, 1.0, (0, 0.5, 1)), ("wrong", theme.wrong, 0.5, (0.01, 0.1, 0.5, 1)))
    for strip, (name, colour, power, shares) in zip(strips, kinds, strict=True):
        strip.pcolormesh(
            strengths, [0, 1], drawing.mix(theme, colour, SMALLEST + (1 - SMALLEST) * strengths)[None, :-1]
        )
        strip.set_yticks([])
        strip.set_xticks([share**power for share in shares], [f"{100 * share:.0f} %" for share in shares])
        strip.tick_params(labelsize=8, labelcolor=theme.muted)
        strip.set_title(f"{name}, share of the row", loc="left", fontsize=9, color=theme.muted, pad=4)
