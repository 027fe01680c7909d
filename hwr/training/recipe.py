"""The recipe: everything that decides how weights follow from samples, except the augmentation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import nn

from hwr.device import Precision
from hwr.errors import InputError

Optimizer = Literal["adamw", "adam", "sgd"]
Schedule = Literal["one-cycle", "cosine", "constant", "plateau"]
Balance = Literal["none", "weights", "logits"]

# Part of the run in which the one-cycle rate rises, and what share of the peak it starts and ends with.
_RISE, _FIRST, _LAST = 0.2, 0.1, 0.001

# The plateau schedule halves the rate after so many epochs without a lower validation loss.
_PLATEAU, _DROP = 2, 0.5


class Validated(Protocol):
    """An epoch that has been validated."""

    @property
    def val_loss(self) -> float:
        """Mean cross-entropy in nats."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained."""

    epochs: int = 12
    """Passes over the training split, at most."""
    batch_size: int = 256
    """Samples a step, over all workers together."""
    optimizer: Optimizer = "adamw"
    """AdamW, Adam (its decay is not decoupled) or SGD with Nesterov momentum 0.9."""
    learning_rate: float = 4e-3
    """The highest learning rate; for sgd, ten to a hundred times this is usual."""
    schedule: Schedule = "one-cycle"
    """How the learning rate changes: up and down, down along a cosine, not at all, or halved where the validation loss
    has not fallen for two epochs."""
    weight_decay: float = 0.05
    """Pull of weights towards zero; norms and biases are left alone."""
    label_smoothing: float = 0.0
    """Share of each label that is spread over all characters."""
    balance: Balance = "none"
    """For sets with few samples of some characters, so that these are not given up for the frequent ones: class
    weights in the loss, or the frequencies added to the scores while training (logit adjustment)."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient; 0 does not clip."""
    ema: float = 0.998
    """Decay per step of the running average of the weights, which is what is validated and kept; 0 keeps the weights
    of the last step."""
    patience: int = 8
    """Epochs without a better validation accuracy, or a lower loss at the same, after which training stops; 0 never
    stops early."""
    min_delta: float = 0.0
    """How much better it must be to count, as a share: 0.001 is a tenth of a percent."""
    time_limit: float = 0.0
    """Minutes of training after which it ends with what it has; the schedule is shortened to fit. 0 is no limit."""
    precision: Precision = "auto"
    """Arithmetic of the network; auto takes bf16 where the hardware has it."""
    seed: int = 0
    """Seed of the first weights, the order of samples and the augmentation."""

    def __post_init__(self) -> None:
        _require(self, ("epochs", "batch_size"), 1, math.inf)
        _require(self, ("learning_rate", "weight_decay", "gradient_clip", "patience", "time_limit"), 0, math.inf)
        _require(self, ("seed",), 0, 2**63 - 1)
        _require(self, ("label_smoothing", "ema", "min_delta"), 0, 0.9999)

    def make_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """An optimizer for a network on its device."""
        # Norms and biases are not decayed: shrinking them towards zero regularises nothing.
        decayed = [p for p in model.parameters() if p.ndim > 1]
        others = [p for p in model.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": self.weight_decay}, {"params": others, "weight_decay": 0.0}]
        if self.optimizer == "sgd":
            return torch.optim.SGD(groups, lr=self.learning_rate, momentum=0.9, nesterov=True, fused=True)
        kind = torch.optim.AdamW if self.optimizer == "adamw" else torch.optim.Adam
        return kind(groups, lr=self.learning_rate, fused=True)

    def rate(self, progress: float, history: Sequence[Validated]) -> float:
        """The learning rate at one step.

        Args:
            progress: Share of the training that is done, in [0, 1].
            history: The epochs that are done; only the plateau schedule looks at them.
        """
        shapes = {
            "one-cycle": lambda: one_cycle(progress),
            "cosine": lambda: (1 + math.cos(math.pi * progress)) / 2,
            "constant": lambda: 1.0,
            "plateau": lambda: _DROP ** plateaus([epoch.val_loss for epoch in history]),
        }
        return self.learning_rate * shapes[self.schedule]()


def one_cycle(progress: float) -> float:
    """The learning rate as a share of its peak: up over the first fifth, then down along a cosine to nearly nothing.

    Smith and Topin, "Super-convergence", 2018, https://arxiv.org/abs/1708.07120.

    Args:
        progress: Share of the training that is done, in [0, 1].
    """
    if progress < _RISE:
        return _FIRST + (1 - _FIRST) * progress / _RISE
    return _LAST + (1 - _LAST) * (1 + math.cos(math.pi * (progress - _RISE) / (1 - _RISE))) / 2


def plateaus(losses: Sequence[float]) -> int:
    """How often the loss has stayed above its lowest value for two epochs on end, each epoch counted once."""
    count, stale, lowest = 0, 0, math.inf
    for loss in losses:
        stale = 0 if loss < lowest else stale + 1
        lowest = min(lowest, loss)
        if stale == _PLATEAU:
            count, stale = count + 1, 0
    return count


def _require(recipe: Recipe, names: Sequence[str], least: float, most: float) -> None:
    for name in names:
        value = getattr(recipe, name)
        if not least <= value <= most or value == math.inf:
            span = f"a number from {least} up" if most == math.inf else f"from {least} to {most}"
            raise InputError(f"--{name.replace('_', '-')} must be {span}, not {value}")
