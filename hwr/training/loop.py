"""The training loop, as a generator. It knows nothing of Ray: ranks meet through `torch.distributed`."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that all of PyTorch uses

from hwr.augment import AugmentConfig
from hwr.device import Precision, as_input, autocast
from hwr.errors import HwrError, InputError
from hwr.training.feed import Feed, Glyphs
from hwr.training.ranks import Ranks
from hwr.training.recipe import Recipe
from hwr.training.state import Epoch, Partial, Training
from hwr.training.step import Step

# Ranks agree on what to do next every so many steps, or about once a second where steps are slow: rarely enough to cost
# nothing, often enough for Ctrl-C.
_LOOK_STEPS = 10

# About once a second the sums are fetched, which waits for the device, and progress is told.
_TELL_S = 1.0

# An epoch that takes longer than this is saved in between.
_SAVE_S = 300.0


@dataclass(frozen=True)
class Progress:
    """How far the running epoch is, over all ranks; the same on each of them.

    Attributes:
        epoch: Its number, from 1.
        step: Steps done.
        steps: Steps of the whole epoch.
        loss: Mean loss so far, in nats.
        accuracy: Share of right answers so far.
        images_per_second: Over all ranks.
        save: Whether the state should be saved now.
        stop: Whether training ends here, as was asked for.
    """

    epoch: int
    step: int
    steps: int
    loss: float
    accuracy: float
    images_per_second: float
    save: bool
    stop: bool


def fit(  # noqa: PLR0917 - what is trained, on what, and how
    training: Training,
    feed: Feed,
    val: Callable[[Ranks], Iterable[Glyphs]],
    recipe: Recipe,
    augmentation: AugmentConfig,
    asked_to_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Epoch | Progress]:
    """Train until the recipe's epochs are over, its time is up, or validation stops getting better.

    Order, augmentation and dropout of a step follow from the seed, the epoch and the step alone, so that a restart
    repeats them. All ranks see the same figures and so take the same decisions.

    Args:
        training: Where to start from; updated in place, and consistent whenever something is yielded.
        feed: Training samples.
        val: Gives a rank's share of the validation samples, on the device; all shares together are all samples.
        recipe: Settings of the loop.
        augmentation: Settings of the augmentation.
        asked_to_stop: Whether to end after the steps that run; asked on the first rank only, every few steps.

    Yields:
        An `Epoch` at the end of each, and `Progress` in between.

    Raises:
        HwrError: The loss is no longer a finite number.
        InputError: There are too few samples for the network's batch norm.
    """
    epochs = _Epochs(training, feed, recipe, augmentation, asked_to_stop)
    while not training.is_over(recipe):
        for progress in epochs.run():
            yield progress
            if progress.stop:
                return
        epochs.ranks.align(training.average)
        classes = len(feed.counts)
        loss, confusion = validate(training.average, val(epochs.ranks), classes, recipe.precision, epochs.ranks)
        yield training.close(loss, confusion)
        if epochs.is_stopping:
            return


@dataclass
class _Epochs:
    """The steps of one epoch after the other, on one rank."""

    training: Training
    feed: Feed
    recipe: Recipe
    augmentation: AugmentConfig
    asked_to_stop: Callable[[], bool]
    ranks: Ranks = field(default_factory=Ranks.current)

    def __post_init__(self) -> None:
        self.step = Step.of(self.training, self.feed, self.recipe, self.augmentation, self.ranks)
        size = self.step.size
        if size < 2 * self.ranks.world:
            raise InputError(
                f"a batch of {size} sample(s) over {self.ranks.world} worker(s) is too small: batch norm needs two "
                "each, so use a larger --batch-size, fewer --workers or more samples"
            )
        self.steps = int(self.feed.counts.sum()) // size
        self.is_stopping = False
        self.saved = self.told = time.perf_counter()
        self.trained = self.training.seconds

    def run(self) -> Iterator[Progress]:
        """Do what is left of the running epoch; the state's ``partial`` then tells what all of it came to."""
        self.step.network.train()
        partial, number = self.training.partial, len(self.training.history) + 1
        started = time.perf_counter() - partial.seconds
        sums = torch.zeros(3, dtype=torch.float64, device=self.step.following[0].device)
        first = look = partial.step
        for step, batch in enumerate(self.feed.epoch(number, self.step.size, first, self.ranks), first):
            if step == first > 0:
                started = time.perf_counter() - partial.seconds  # reading what was trained on already is not training
            self._set_rate(number, step)
            sums += self.step(batch, number, step, self.steps)
            is_last = step + 1 == self.steps
            if step < look and not is_last:
                continue
            tell, save, seconds, ahead = self._agree(started, (step + 1) / self.steps)
            look = step + ahead
            is_late = self._is_late(seconds)
            if tell or is_last or is_late:
                self._add(partial, step + 1, sums, seconds)
                self.told = time.perf_counter()
            if is_last or is_late:
                break
            if tell:
                yield self._progress(number, save=save)
                started += time.perf_counter() - self.told  # others' work is not training
        # The clock stops when the device has done it all, which adding up has waited for.
        partial.seconds = self.ranks.from_first([time.perf_counter() - started], sums.device)[0]

    def _set_rate(self, number: int, step: int) -> None:
        progress = (number - 1 + step / self.steps) / self.recipe.epochs
        if self.recipe.time_limit:
            progress = min(1.0, max(progress, self.trained / (60 * self.recipe.time_limit)))
        rate = self.recipe.rate(progress, self.training.history)
        for group in self.training.optimizer.param_groups:
            group["lr"] = rate

    def _agree(self, started: float, done: float) -> tuple[bool, bool, float, int]:
        """What all ranks do next, as the first one sees it: tell and save; its clock; and how many steps to go on.

        Args:
            started: When the epoch began.
            done: Share of the epoch that is done.
        """
        now = time.perf_counter()
        stop = self.ranks.is_first and self.asked_to_stop()
        save = stop or now - self.saved > _SAVE_S
        ahead = max(1, min(_LOOK_STEPS, int(_TELL_S * done * self.steps / max(now - started, 1e-9))))
        said = [save or now - self.told > _TELL_S, save, stop, now - started, ahead]
        *decided, seconds, steps = self.ranks.from_first(said, self.step.following[0].device)
        tell, save, self.is_stopping = map(bool, decided)
        self.saved = now if save else self.saved
        return tell, save, seconds, int(steps)

    def _is_late(self, seconds: float) -> bool:
        """Whether the time limit is reached, given the seconds of this epoch."""
        self.trained = self.training.seconds - self.training.partial.seconds + seconds
        return 0 < self.recipe.time_limit * 60 <= self.trained

    def _add(self, partial: Partial, step: int, sums: Tensor, seconds: float) -> None:
        """Move the sums of all ranks into the state."""
        added = self.ranks.sum(sums)
        sums.zero_()
        partial.step, partial.seconds, partial.world = step, seconds, self.ranks.world
        partial.tally = [old + new for old, new in zip(partial.tally, added, strict=True)]
        if not math.isfinite(partial.tally[0]):
            number = len(self.training.history) + 1
            found = f"the loss became {partial.tally[0]} in epoch {number}"
            raise HwrError(f"{found}: choose a lower --learning-rate, and another --out")

    def _progress(self, number: int, *, save: bool) -> Progress:
        partial = self.training.partial
        loss, right, seen = partial.tally
        rate = seen / partial.seconds
        return Progress(number, partial.step, self.steps, loss / seen, right / seen, rate, save, self.is_stopping)


@torch.inference_mode()
def validate(
    model: nn.Module, val: Iterable[Glyphs], classes: int, precision: Precision, ranks: Ranks
) -> tuple[float, Tensor]:
    """Count what a network makes of every validation sample, once each, however many ranks share the work.

    Args:
        model: The network; left in evaluation mode.
        val: This rank's share of the samples, on the network's device.
        classes: Their number C.
        precision: Arithmetic of the network.
        ranks: Who shares the work.

    Returns:
        Mean loss in nats, and the confusion counts (C, C) int64 on the processor: the row is the true class.
    """
    model.eval()
    total = torch.zeros(1 + classes * classes, device=next(model.parameters()).device, dtype=torch.float64)
    for glyphs in val:
        with autocast(total.device, precision):
            scores = model(as_input(glyphs.images)).float()
        total[0] += F.cross_entropy(scores, glyphs.labels, reduction="sum")
        total[1:] += torch.bincount(glyphs.labels * classes + scores.argmax(1), minlength=classes * classes)
    loss, *counts = ranks.sum(total)
    if not math.isfinite(loss):
        raise HwrError(f"the validation loss became {loss}: choose a lower --learning-rate, and another --out")
    confusion = torch.tensor(counts, dtype=torch.float64).round().long().view(classes, classes)
    return loss / int(confusion.sum()), confusion
