"""The processes that train together. They meet through `torch.distributed`, whoever started them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
import torch.distributed as dist
from torch import Tensor, nn


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
    def is_first(self) -> bool:
        """Whether this is the one that decides and saves."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """Which rows of a global batch are this rank's."""
        return slice(self.rank, None, self.world)

    def sum(self, total: Tensor) -> list[float]:
        """Add up a vector over all ranks, in place, and fetch it."""
        if self.world > 1:
            dist.all_reduce(total)
        return [float(value) for value in total.tolist()]

    def from_first(self, values: Sequence[float], device: torch.device) -> list[float]:
        """What the first rank says, on every rank."""
        if self.world == 1:
            return list(values)
        said = torch.tensor(values, dtype=torch.float64, device=device)
        dist.broadcast(said, src=0)
        return [float(value) for value in said.tolist()]

    def align(self, model: nn.Module) -> None:
        """Give all ranks the first one's buffers: batch-norm statistics, which each rank gathers from its own share."""
        if self.world > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)
