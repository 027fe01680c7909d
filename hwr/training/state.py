"""A training run between two steps: all that is needed to go on as if it had never stopped."""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from hwr.training.recipe import Recipe


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to; plain numbers, the same on every rank.

    Losses are mean cross-entropies in nats per sample, accuracies and F1 (macro) are shares in [0, 1], seconds are
    wall-clock time of the training steps alone. Training figures are of augmented glyphs, under dropout and with the
    smoothed labels.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    val_f1: float
    learning_rate: float
    seconds: float
    images_per_second: float
    best: bool

    @property
    def merit(self) -> tuple[float, float]:
        """What the best epoch has most of: validation accuracy; among equals, the lower loss."""
        return self.val_accuracy, -self.val_loss


@dataclass
class Partial:
    """What is done of the epoch that is running, over all ranks.

    Attributes:
        step: Steps done.
        tally: Summed loss, samples right and samples seen.
        seconds: Time taken.
        world: How many ranks shared it.
    """

    step: int = 0
    tally: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    seconds: float = 0.0
    world: int = 0


@dataclass
class Training:
    """A training run.

    Attributes:
        model: The weights that are trained.
        average: Their running average, which is what is validated: it is steadier than the weights of any one step, so
            that early stopping and the choice of the best epoch follow less noise (Polyak and Juditsky, "Acceleration
            of stochastic approximation by averaging", 1992).
        optimizer: With its moments.
        history: All epochs so far.
        best: The average's state at the best epoch so far.
        confusion: Counts (C, C) int64 of the last validation: the row is the true class, the column the predicted one.
        partial: The epoch that is running.
    """

    model: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    history: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    confusion: Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.int64))
    partial: Partial = field(default_factory=Partial)

    @classmethod
    def start(cls, model: nn.Module, recipe: Recipe) -> Self:
        """A run that has not seen a sample yet."""
        return cls(model, copy.deepcopy(model), recipe.make_optimizer(model))

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values only, so that it loads with ``weights_only=True``."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": [asdict(epoch) for epoch in self.history],
            "best": self.best,
            "confusion": self.confusion,
            "partial": asdict(self.partial),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = read_history(state)
        self.best = state["best"]
        self.confusion = state["confusion"]
        self.partial = Partial(**state["partial"])

    @property
    def seconds(self) -> float:
        """Time trained so far, this epoch included."""
        return sum(epoch.seconds for epoch in self.history) + self.partial.seconds

    def close(self, val_loss: float, confusion: Tensor) -> Epoch:
        """Make the running epoch one of the history, and start the next.

        Args:
            val_loss: Mean validation loss, in nats.
            confusion: Validation counts, see above.
        """
        loss, right, seen = self.partial.tally
        true_positives = confusion.diag().double()
        f1 = 2 * true_positives / (confusion.sum(0) + confusion.sum(1))
        epoch = Epoch(
            len(self.history) + 1, loss / seen, right / seen, val_loss,
            float(true_positives.sum() / confusion.sum()), float(f1[confusion.sum(1) > 0].mean()),
            self.optimizer.param_groups[0]["lr"], self.partial.seconds, seen / self.partial.seconds, best=False,
        )  # fmt: skip
        if all(earlier.merit < epoch.merit for earlier in self.history):
            epoch = replace(epoch, best=True)
            self.best = {name: value.detach().clone() for name, value in self.average.state_dict().items()}
        self.history.append(epoch)
        self.confusion, self.partial = confusion, Partial()
        return epoch

    def is_over(self, recipe: Recipe) -> bool:
        """Whether epochs, time or patience are used up."""
        return why_over(self.history, recipe, self.seconds) is not None


def why_over(history: Sequence[Epoch], recipe: Recipe, seconds: float) -> str | None:
    """Why a run ends after these epochs.

    Args:
        history: The epochs that are done.
        recipe: What the run was asked for.
        seconds: Time trained so far.

    Returns:
        The reason, for people; None if it goes on.
    """
    if not history:
        return None
    if len(history) >= recipe.epochs:
        return "all epochs are done"
    if 0 < recipe.time_limit * 60 <= seconds:
        return f"the {recipe.time_limit:g} minutes of the time limit are used up"
    if 0 < recipe.patience <= _stale(history, recipe.min_delta):
        return f"{recipe.patience} epoch{'s' if recipe.patience > 1 else ''} brought nothing better"
    return None


def _stale(history: Sequence[Epoch], min_delta: float) -> int:
    """How many epochs have gone by since validation accuracy last got better by more than this."""
    best = history[0]
    for epoch in history[1:]:
        gain = epoch.val_accuracy - best.val_accuracy
        if gain > min_delta or (min_delta == 0 and epoch.merit > best.merit):
            best = epoch
    return len(history) - best.epoch


def read_history(state: dict[str, Any]) -> list[Epoch]:
    """The epochs of a `Training.state_dict`."""
    return [Epoch(**epoch) for epoch in state["history"]]
