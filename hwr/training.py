"""The training loop, as a generator of epochs. It knows nothing of Ray: ranks meet through `torch.distributed`."""

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that all of PyTorch uses
from torch.nn.parallel import DistributedDataParallel

from hwr import augment
from hwr.augment import AugmentConfig
from hwr.device import Precision, as_input, autocast
from hwr.errors import HwrError, InputError

# Decay per step of the running average of the weights, once it has some steps behind it. The average is what is
# validated, kept and given away: it is steadier than the weights of any one step, so that early stopping and the
# choice of the best epoch follow less noise (Polyak and Juditsky, "Acceleration of stochastic approximation by
# averaging", 1992).
AVERAGE = 0.99


@dataclass(frozen=True)
class Recipe:
    """How a network is trained."""

    epochs: int = 20
    """Passes over the training split."""
    batch_size: int = 256
    """Samples a step, over all workers together."""
    learning_rate: float = 4e-3
    """Peak of the one-cycle schedule."""
    weight_decay: float = 0.02
    """AdamW's decoupled weight decay."""
    patience: int = 8
    """Epochs without a better validation result after which training stops; 0 never stops early."""
    precision: Precision = "auto"
    """Arithmetic of the network; auto takes bf16 where the hardware has it."""
    seed: int = 0
    """Seed of the first weights, the order of samples and the augmentation."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name.replace('_', '-')} must be at least 1, not {getattr(self, name)}")
        for name in ("learning_rate", "weight_decay", "patience", "seed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"--{name.replace('_', '-')} must be a number from 0 up, not {getattr(self, name)}")


@dataclass(frozen=True)
class Glyphs:
    """Samples in memory, on the device that trains.

    Attributes:
        images: (N, S, S) uint8, white ink on black.
        labels: (N,) int64 class numbers.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Ranks:
    """The processes that train together.

    Attributes:
        rank: Number of this one.
        world: How many there are.
    """

    rank: int = 0
    world: int = 1

    @classmethod
    def current(cls) -> Self:
        """As `torch.distributed` knows them; alone where it is not in use."""
        return cls(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else cls()

    @property
    def share(self) -> slice:
        """Which rows of a global batch are this rank's."""
        return slice(self.rank, None, self.world)

    def sum(self, total: Tensor) -> list[float]:
        """Add up a vector over all ranks, in place, and fetch it."""
        if self.world > 1:
            dist.all_reduce(total)
        return [float(value) for value in total.tolist()]

    def align(self, model: nn.Module) -> None:
        """Give all ranks the first one's buffers: batch-norm statistics, which each rank gathers from its own share."""
        if self.world > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to; plain numbers, the same on every rank.

    Losses are mean cross-entropies in nats per sample, accuracies are shares in [0, 1], seconds are wall-clock.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    images_per_second: float
    best: bool


@dataclass
class Training:
    """A training run at an epoch's end: all that is needed to go on as if it had never stopped.

    Attributes:
        model: The weights that are trained.
        average: Their running average, which is what is validated.
        optimizer: AdamW with its moments.
        history: All epochs so far.
        best: The average's state at the best epoch so far.
    """

    model: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    history: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def start(cls, model: nn.Module, recipe: Recipe) -> Self:
        """A run that has not seen a sample yet."""
        # Norms and biases are not decayed: shrinking them towards zero regularises nothing.
        decayed = [p for p in model.parameters() if p.ndim > 1]
        others = [p for p in model.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
        return cls(model, copy.deepcopy(model), torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True))

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values only, so that it loads with ``weights_only=True``."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": [asdict(epoch) for epoch in self.history],
            "best": self.best,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        self.best = state["best"]

    def best_epoch(self) -> Epoch | None:
        """The epoch with the highest validation accuracy; among equals, the lowest loss."""
        return max(self.history, key=_merit, default=None)

    def is_over(self, recipe: Recipe) -> bool:
        """Whether all epochs are done, or none of the last `Recipe.patience` was the best so far."""
        best = self.best_epoch()
        if best is None:
            return False
        stale = len(self.history) - best.epoch
        return len(self.history) >= recipe.epochs or 0 < recipe.patience <= stale


def fit(training: Training, train: Glyphs, val: Glyphs, recipe: Recipe, augmentation: AugmentConfig) -> Iterator[Epoch]:
    """Train until the recipe's epochs are over or validation stops getting better.

    The order of samples, the global batches and the augmentation depend on the seed and the epoch alone, so they are
    the same for any number of ranks and after any restart. All ranks see the same validation figures and so take the
    same decisions.

    Args:
        training: Where to start from; updated in place, and consistent whenever an epoch is yielded.
        train: Training samples: all of them, on every rank.
        val: Validation samples, likewise.
        recipe: Settings of the loop.
        augmentation: Settings of the augmentation.

    Raises:
        HwrError: The loss is no longer a finite number.
    """
    ranks = Ranks.current()
    network = DistributedDataParallel(training.model) if ranks.world > 1 else training.model
    while not training.is_over(recipe):
        number = len(training.history) + 1
        started = time.perf_counter()
        loss, accuracy, count = _Steps(network, training, recipe, augmentation, ranks).epoch(train, number)
        seconds = time.perf_counter() - started
        ranks.align(training.average)
        val_loss, val_accuracy = validate(training.average, val, recipe.precision, ranks)
        rate = training.optimizer.param_groups[0]["lr"]
        epoch = Epoch(
            number, loss, accuracy, val_loss, val_accuracy, rate, seconds, count / seconds,
            best=all(_merit(earlier) < (val_accuracy, -val_loss) for earlier in training.history),
        )  # fmt: skip
        training.history.append(epoch)
        if epoch.best:
            training.best = {name: value.detach().clone() for name, value in training.average.state_dict().items()}
        yield epoch


def _merit(epoch: Epoch) -> tuple[float, float]:
    return epoch.val_accuracy, -epoch.val_loss


@dataclass(frozen=True)
class _Steps:
    """The steps of one epoch, on one rank."""

    network: nn.Module
    training: Training
    recipe: Recipe
    augmentation: AugmentConfig
    ranks: Ranks

    def epoch(self, train: Glyphs, number: int) -> tuple[float, float, float]:
        """One pass: mean loss, accuracy and number of samples seen, over all ranks.

        The order is drawn anew each epoch, and the last, incomplete batch is left out.
        """
        self.network.train()
        device = train.images.device
        seed = self.recipe.seed * 1_000_003 + number
        generator = torch.Generator(device).manual_seed(seed)
        # Dropout draws from the global generator: seeded anew each epoch, so that a restart repeats the epoch exactly.
        torch.manual_seed(seed * 1_009 + self.ranks.rank)
        order = torch.randperm(len(train), generator=generator, device=device)
        size = min(self.recipe.batch_size, len(train))
        steps = len(train) // size
        total = torch.zeros(3, device=device)
        for step in range(steps):
            # Every rank draws for the whole global batch and takes its share: the same maps for any number of ranks.
            maps = augment.draw(size, self.augmentation, generator)[self.ranks.share]
            chosen = order[step * size : (step + 1) * size][self.ranks.share]
            self._set_rate((number - 1 + step / steps) / self.recipe.epochs)
            total += self._step(augment.warp(as_input(train.images[chosen]), maps), train.labels[chosen], size)
            _follow(self.training.average, self.training.model, (number - 1) * steps + step)
        loss, correct, count = self.ranks.sum(total)
        if not math.isfinite(loss):
            raise HwrError(f"the loss became {loss} in epoch {number}: lower --learning-rate")
        return loss / count, correct / count, count

    def _step(self, images: Tensor, labels: Tensor, size: int) -> Tensor:
        with autocast(images.device, self.recipe.precision):
            scores = self.network(images)
        loss = F.cross_entropy(scores.float(), labels, reduction="sum")
        optimizer = self.training.optimizer
        optimizer.zero_grad(set_to_none=True)
        # DDP averages over ranks; this makes it the mean over the global batch even where ranks' shares differ by one.
        torch.autograd.backward(loss * self.ranks.world / size)
        optimizer.step()
        return _tally(loss.detach(), scores, labels)

    def _set_rate(self, progress: float) -> None:
        for group in self.training.optimizer.param_groups:
            group["lr"] = one_cycle(progress) * self.recipe.learning_rate


@torch.inference_mode()
def validate(model: nn.Module, val: Glyphs, precision: Precision, ranks: Ranks) -> tuple[float, float]:
    """Mean loss and accuracy over every validation sample exactly once, however many ranks share the work.

    Args:
        model: The network; left in evaluation mode.
        val: All validation samples, on every rank.
        precision: Arithmetic of the network.
        ranks: Who shares the work.
    """
    model.eval()
    device = val.images.device
    total = torch.zeros(3, device=device, dtype=torch.float64)
    for start in range(ranks.rank * 1024, len(val), ranks.world * 1024):
        images, labels = val.images[start : start + 1024], val.labels[start : start + 1024]
        with autocast(device, precision):
            scores = model(as_input(images)).float()
        loss = F.cross_entropy(scores, labels, reduction="sum")
        total += _tally(loss, scores, labels)
    loss_sum, correct, count = ranks.sum(total)
    if count != len(val):
        raise RuntimeError(f"validation counted {count:g} of {len(val)} samples")
    return loss_sum / count, correct / count


def one_cycle(progress: float) -> float:
    """The learning rate as a share of its peak: up over the first fifth, then down along a cosine to nearly nothing.

    Smith and Topin, "Super-convergence", 2018, https://arxiv.org/abs/1708.07120.

    Args:
        progress: Share of the training that is done, in [0, 1].
    """
    warm = 0.2
    if progress < warm:
        return 0.1 + 0.9 * progress / warm
    return 0.001 + 0.999 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm))) / 2


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, step: int) -> None:
    """Move the running average of weights and batch-norm statistics towards those of the model after a step.

    The first steps weigh more, so that the random weights at the start are soon forgotten.
    """
    decay = min(AVERAGE, (1 + step) / (10 + step))
    averages, values = list(average.state_dict().values()), list(model.state_dict().values())
    real = [index for index, value in enumerate(values) if value.is_floating_point()]
    torch._foreach_lerp_([averages[i] for i in real], [values[i] for i in real], 1 - decay)


def _tally(loss: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """Summed loss, number right and number seen, as one vector (3,) on the device: adding it up needs no sync."""
    return torch.stack([loss, (scores.argmax(1) == labels).sum(), loss.new_tensor(len(labels))])
