"""A stream gives every row once, in an order that is drawn anew, and each rank the same number of batches."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwr.training import Glyphs, Ranks
from hwr.training.stream import Streamed, plan, rebatched, shuffled


def rows(first: int, last: int) -> Glyphs:
    numbers = torch.arange(first, last)
    return Glyphs(numbers.to(torch.uint8).view(-1, 1, 1), numbers)


def streamed(lengths: list[int], capacity: int, chunk: int = 5) -> Streamed:
    """Pieces of numbered rows, one after the other."""
    ends = torch.tensor([0, *lengths]).cumsum(0).tolist()

    def read(stretches):
        for each in stretches:
            yield from rows(ends[each.piece] + each.start, ends[each.piece] + each.stop).chunks(chunk)

    counts = torch.tensor([sum(lengths)])
    return Streamed(tuple(lengths), counts, 7, False, capacity, torch.device("cpu"), read)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(1, 16), st.integers(1, 4), st.integers(0, 99))
def test_all_ranks_together_read_whole_batches_of_different_rows(lengths, size, world, order):
    size = max(size, world)
    read = []
    for rank in range(world):
        stretches = plan(lengths, order, size, Ranks(rank, world))
        read.append(sum(each.stop - each.start for each in stretches))
        assert all(0 <= each.start < each.stop <= lengths[each.piece] for each in stretches)
    steps = sum(lengths) // size
    assert read == [steps * len(range(rank, size, world)) for rank in range(world)]
    seen = [
        (each.piece, row)
        for rank in range(world)
        for each in plan(lengths, order, size, Ranks(rank, world))
        for row in range(each.start, each.stop)
    ]
    assert len(seen) == len(set(seen)) == steps * size


@given(st.integers(0, 60), st.integers(1, 25), st.integers(1, 9), st.integers(0, 9))
def test_a_shuffle_buffer_loses_nothing(count, capacity, chunk, seed):
    out = list(shuffled(rows(0, count).chunks(chunk), capacity, torch.Generator().manual_seed(seed)))
    numbers = torch.cat([each.labels for each in out]).tolist() if out else []
    assert sorted(numbers) == list(range(count))
    assert all(torch.equal(each.images.flatten(), each.labels.to(torch.uint8)) for each in out)


@given(st.lists(st.integers(0, 20), max_size=9), st.integers(1, 12))
def test_batches_are_whole_and_in_order(lengths, size):
    ends = torch.tensor([0, *lengths]).cumsum(0).tolist()
    out = list(rebatched((rows(a, b) for a, b in itertools.pairwise(ends)), size))
    assert all(len(each) == size for each in out)
    assert [n for each in out for n in each.labels.tolist()] == list(range(sum(lengths) // size * size))


def test_order_changes_with_the_epoch_and_repeats_with_the_same():
    feed = streamed([40, 30, 50], capacity=60)
    one, again, two = (
        torch.cat([batch.labels for batch in feed.epoch(number, 8, 0, Ranks())]).tolist() for number in (1, 1, 2)
    )
    assert one == again
    assert sorted(one) == sorted(two) == list(range(120))
    assert one != two
    # Neighbours of a file are far apart: a buffer of half the rows mixes them well.
    assert sum(abs(a - b) == 1 for a, b in itertools.pairwise(one)) < 12


@pytest.mark.parametrize("start", [1, 7])
def test_a_restart_within_an_epoch_goes_on_with_the_same_batches(start):
    feed = streamed([40, 30, 50], capacity=25)
    whole = [batch.labels.tolist() for batch in feed.epoch(3, 8, 0, Ranks(1, 2))]
    assert [batch.labels.tolist() for batch in feed.epoch(3, 8, start, Ranks(1, 2))] == whole[start:]
    assert len(whole) == 15
    assert {len(batch) for batch in whole} == {4}
