"""Where training samples come from: batches of one epoch at a time, each rank its share."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from hwr.training.ranks import Ranks


@dataclass(frozen=True)
class Glyphs:
    """Samples in memory.

    Attributes:
        images: (N, S, S) uint8, white ink on black.
        labels: (N,) int64 class numbers.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: slice | Tensor) -> "Glyphs":
        return Glyphs(self.images[rows], self.labels[rows])

    def clone(self) -> "Glyphs":
        """The same in memory of their own, so that a larger tensor behind them can go."""
        return Glyphs(self.images.clone(), self.labels.clone())

    def to(self, device: torch.device) -> "Glyphs":
        """The same on a device; the copy runs beside what the device is doing."""
        return Glyphs(self.images.to(device, non_blocking=True), self.labels.to(device, non_blocking=True))

    def chunks(self, rows: int) -> Iterator["Glyphs"]:
        """All samples in their order, so many at a time."""
        return (self[start : start + rows] for start in range(0, len(self), rows))


class Feed(Protocol):
    """Training samples.

    Attributes:
        counts: How many samples of each class there are (C,) int64, over all ranks.
        is_varied: Whether the glyphs come augmented.
    """

    @property
    def counts(self) -> Tensor:
        """See above."""

    @property
    def is_varied(self) -> bool:
        """See above."""

    def epoch(self, number: int, size: int, start: int, ranks: Ranks) -> Iterator[Glyphs]:
        """This rank's share of each global batch of an epoch, on the device that trains.

        The order is drawn anew each epoch, from the seed and the epoch's number alone, so that a restart repeats it.
        The last, incomplete batch is left out, and every rank gets the same number of batches.

        Args:
            number: The epoch, from 1.
            size: Samples of a global batch.
            start: How many batches to leave out at the beginning, since they have been trained on.
            ranks: Who shares the work.
        """


@dataclass(frozen=True)
class InMemory:
    """All training samples on the device that trains; they stay there.

    The global batches are the same for any number of ranks, since each rank holds all samples and takes its share of
    one order.

    Attributes:
        glyphs: The samples.
        counts: See `Feed`.
        seed: Seed of their order.
        is_varied: Never.
    """

    glyphs: Glyphs
    counts: Tensor
    seed: int
    is_varied: bool = False

    def epoch(self, number: int, size: int, start: int, ranks: Ranks) -> Iterator[Glyphs]:
        """See `Feed`."""
        device = self.glyphs.labels.device
        generator = torch.Generator(device).manual_seed(seed(self.seed, number))
        order = torch.randperm(len(self.glyphs), generator=generator, device=device)
        for first in range(start * size, len(order) - size + 1, size):
            yield self.glyphs[order[first : first + size][ranks.share]]


def seed(*numbers: int) -> int:
    """One seed out of several numbers, such as seed, epoch and step; neighbours are far apart."""
    mixed = 0
    for number in numbers:
        # SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
        mixed = (mixed + number + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        mixed ^= mixed >> 31
    return mixed >> 1  # PyTorch takes a signed number
