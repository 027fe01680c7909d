"""How a training went, epoch by epoch, as one picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from hwr.report.pictures import drawing
from hwr.report.pictures.drawing import LIGHT, WIDTH, Theme

History = Sequence[Mapping[str, Any]]
"""The epochs of a run in their order, each as a line of its ``history.jsonl``."""

COLUMNS = (
    "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_f1", "learning_rate", "best"
)  # fmt: skip
"""What `learning_curves` reads of each epoch."""

STEEP = 20  # from this ratio of the greatest to the smallest loss on, a linear scale hides how the training ended
DOTTED = 30  # up to this many epochs, each is a dot
CAPTION = (
    "The training curves are measured on augmented glyphs with dropout on, the validation curves on plain glyphs "
    "without it:\nvalidation may well look better than training."
)


def learning_curves(history: History, theme: Theme = LIGHT) -> bytes:
    """Loss, accuracy and learning rate over the epochs; the best epoch is marked.

    Args:
        history: At least one epoch.
        theme: The colours.

    Returns:
        A PNG file.
    """
    figure = Figure(figsize=(WIDTH, 3.5), facecolor=theme.paper, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    loss, accuracy, rate = figure.subplots(1, 3, width_ratios=(4, 4, 2.4))
    epochs = _column(history, "epoch")
    for axes, title in ((loss, "loss"), (accuracy, "accuracy"), (rate, "learning rate")):
        _prepare(axes, title, epochs, theme)
    for axes, name, label, colour in (
        (loss, "train_loss", "train", theme.muted),
        (loss, "val_loss", "validation", theme.right),
        (accuracy, "train_accuracy", "train", theme.muted),
        (accuracy, "val_f1", "F1 (macro)", theme.wrong),
        (accuracy, "val_accuracy", "validation", theme.right),
    ):
        _line(axes, epochs, _column(history, name), label, colour)
    rates = _column(history, "learning_rate")
    rate.plot(epochs, rates, color=theme.ink, linewidth=0.8, **_dots(len(epochs), 2))
    rate.set_ylim(0, 1.05 * rates.max() or 1)
    rate.yaxis.set_major_locator(MaxNLocator(nbins=4))
    rate.yaxis.set_major_formatter("{x:g}")
    best = next((epoch for epoch in reversed(history) if epoch["best"]), None)
    if best is not None:
        for axes, name in ((loss, "val_loss"), (accuracy, "val_accuracy")):
            _mark(axes, best["epoch"], best[name], theme)
    _scale_loss(loss, np.concatenate([_column(history, "train_loss"), _column(history, "val_loss")]), theme)
    accuracy.yaxis.set_major_formatter(FuncFormatter(drawing.per_cent))
    for axes in (loss, accuracy):
        _explain(axes, theme)
    figure.supxlabel(CAPTION, x=0.01, ha="left", fontsize=8, color=theme.muted)
    return drawing.png(figure)


def _column(history: History, name: str) -> npt.NDArray[np.float64]:
    return np.array([epoch[name] for epoch in history], dtype=np.float64)


def _prepare(axes: Axes, title: str, epochs: npt.NDArray[np.float64], theme: Theme) -> None:
    drawing.dress(axes, theme)
    axes.set_title(title, loc="left", fontsize=10, color=theme.ink)
    axes.set(xlabel="epoch", xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=theme.line, linewidth=0.8)
    axes.tick_params(which="both", length=0, labelsize=8)


def _dots(epochs: int, size: float) -> dict[str, Any]:
    return {"marker": "o", "markersize": size} if epochs <= DOTTED else {}


def _line(
    axes: Axes, epochs: npt.NDArray[np.float64], values: npt.NDArray[np.float64], label: str, colour: str
) -> None:
    axes.plot(epochs, values, color=colour, linewidth=1.4, label=label, **_dots(len(epochs), 3))


def _mark(axes: Axes, epoch: int, value: float, theme: Theme) -> None:
    """Set a ring around the best epoch's value, on a line down to its number."""
    axes.axvline(epoch, color=theme.right, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    axes.plot(
        [epoch], [value], "o", markersize=7, markerfacecolor=theme.paper, markeredgecolor=theme.right,
        markeredgewidth=1.6, linestyle="none", label=f"best: epoch {epoch:,}", zorder=5,
    )  # fmt: skip


def _scale_loss(axes: Axes, values: npt.NDArray[np.float64], theme: Theme) -> None:
    """Take a logarithmic scale where a linear one would hide the end; a diverged loss is left out of the choice."""
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() > STEEP * finite.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_title("loss, logarithmic", loc="left", fontsize=10, color=theme.ink)
        return
    axes.set_ylim(bottom=0)


def _explain(axes: Axes, theme: Theme) -> None:
    """Name the lines below the panel, where they cannot hide one."""
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, frameon=False, fontsize=8, labelcolor=theme.ink
    )
