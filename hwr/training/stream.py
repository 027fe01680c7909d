"""Training samples that do not fit in memory: read anew each epoch, in an order that is drawn beforehand.

Each epoch the pieces (the training rows of one shard) are put in a random order, and each rank reads its own stretch
of that sequence, so that all ranks take the same number of steps and no row is read twice. What a rank reads passes
through a shuffle buffer: a row leaves it when a later one takes its place.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hwr.training.feed import Glyphs, seed
from hwr.training.ranks import Ranks


@dataclass(frozen=True)
class Stretch:
    """Consecutive usable rows of one piece.

    Attributes:
        piece: Number of the piece.
        start: First row.
        stop: The row after the last.
        seed: For whatever is drawn while they are read.
    """

    piece: int
    start: int
    stop: int
    seed: int


@dataclass(frozen=True)
class Streamed:
    """A `hwr.training.feed.Feed` that holds no more than its buffer.

    Attributes:
        rows: Usable rows of each piece.
        counts: See `Feed`.
        seed: Seed of the order.
        is_varied: Whether ``read`` augments.
        capacity: Rows of the shuffle buffer.
        device: Where batches go.
        read: Reads stretches, in their order and in chunks of any length, on the processor.
    """

    rows: tuple[int, ...]
    counts: Tensor
    seed: int
    is_varied: bool
    capacity: int
    device: torch.device
    read: Callable[[Sequence[Stretch]], Iterable[Glyphs]]

    def epoch(self, number: int, size: int, start: int, ranks: Ranks) -> Iterator[Glyphs]:
        """See `Feed`; batches that are left out are read all the same, which is much quicker than training on them."""
        stretches = plan(self.rows, seed(self.seed, number), size, ranks)
        generator = torch.Generator().manual_seed(seed(self.seed, number, ranks.rank))
        mixed = shuffled(self.read(stretches), self.capacity, generator)
        batches = rebatched(mixed, len(range(size)[ranks.share]))
        for position, batch in enumerate(batches):
            if position >= start:
                yield batch.to(self.device)


def plan(rows: Sequence[int], order: int, size: int, ranks: Ranks) -> list[Stretch]:
    """What one rank reads in one epoch, in this order.

    Args:
        rows: Usable rows of each piece.
        order: Seed of the order of pieces.
        size: Samples of a global batch; as many whole batches are read as there are.
        ranks: Who shares the work.
    """
    generator = torch.Generator().manual_seed(order)
    shares = [len(range(size)[Ranks(rank, ranks.world).share]) for rank in range(ranks.world)]
    steps = sum(rows) // size
    left = steps * sum(shares[: ranks.rank])
    right = left + steps * shares[ranks.rank]
    stretches, first = [], 0
    for piece in torch.randperm(len(rows), generator=generator).tolist():
        start, stop = max(left - first, 0), min(right - first, rows[piece])
        if start < stop:
            stretches.append(Stretch(piece, start, stop, seed(order, piece)))
        first += rows[piece]
    return stretches


def shuffled(chunks: Iterable[Glyphs], capacity: int, generator: torch.Generator) -> Iterator[Glyphs]:
    """Pass every row through a buffer from which random ones leave as others come in.

    Args:
        chunks: Rows in order, on the processor.
        capacity: Rows of the buffer; at least 1.
        generator: Where the randomness comes from, on the processor.

    Yields:
        The same rows, in chunks of any length.
    """
    filling: list[Glyphs] = []
    buffer: Glyphs | None = None
    for chunk in itertools.chain.from_iterable(whole.chunks(capacity) for whole in chunks):
        if buffer is None:
            filling.append(chunk)
            if sum(map(len, filling)) < capacity:
                continue
            whole = concat(filling)
            buffer, chunk = whole[:capacity].clone(), whole[capacity:]  # noqa: PLW2901 - what did not fit goes on
        places = torch.randperm(len(buffer), generator=generator)[: len(chunk)]
        if len(chunk):
            yield buffer[places]
            buffer.images[places], buffer.labels[places] = chunk.images, chunk.labels
    rest = buffer if buffer is not None else concat(filling) if filling else None
    if rest is not None:
        yield rest[torch.randperm(len(rest), generator=generator)]


def rebatched(chunks: Iterable[Glyphs], rows: int) -> Iterator[Glyphs]:
    """The same rows, so many at a time; the last, incomplete batch is left out."""
    waiting: list[Glyphs] = []
    count = 0
    for chunk in chunks:
        waiting.append(chunk)
        count += len(chunk)
        if count >= rows:
            whole = concat(waiting)
            full = count - count % rows
            yield from whole[:full].chunks(rows)
            waiting, count = [whole[full:].clone()], count % rows


def concat(parts: Sequence[Glyphs]) -> Glyphs:
    """One after the other, in memory of their own."""
    return Glyphs(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))
