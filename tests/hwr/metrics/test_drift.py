"""The index agrees with what defines it, whatever the bins hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from hwr.metrics.drift import reading, stability

COUNTS = st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 5_000)), min_size=1, max_size=62).filter(
    lambda pairs: all(map(any, zip(*pairs, strict=True)))
)


@given(COUNTS)
def test_the_index_is_the_divergence_of_each_from_the_other(pairs):
    expected, found = np.array(pairs).T
    index = stability(expected, found)
    divergence = entropy(expected + 0.5, found + 0.5) + entropy(found + 0.5, expected + 0.5)
    assert index == pytest.approx(divergence, abs=1e-9)
    assert index == pytest.approx(stability(found, expected), abs=1e-12)
    assert index >= 0


@given(COUNTS)
def test_the_same_rows_are_stable(pairs):
    counts = np.array(pairs)[:, 0]
    assert stability(counts, counts) == 0
    assert reading(stability(counts, counts)) == "stable"


def test_a_figure_worked_out_by_hand():
    # Of 10 + 2 × 0.5 rows, 8.5 and 2.5 become 2.5 and 8.5.
    assert stability(np.array([8, 2]), np.array([2, 8])) == pytest.approx(2 * 6 / 11 * np.log(8.5 / 2.5))


def test_bins_that_are_empty_on_one_side_stay_finite_and_weigh_much():
    index = stability(np.array([1_000, 0]), np.array([0, 1_000]))
    assert 5 < index < 20
    assert reading(index) == "very different"


def test_few_rows_differ_by_chance_as_much_as_is_said():
    random = np.random.default_rng(0)
    shares = np.full(10, 0.1)
    found = [stability(random.multinomial(2_000, shares), random.multinomial(500, shares)) for _ in range(400)]
    assert np.mean(found) == pytest.approx(9 * (1 / 2_000 + 1 / 500), rel=0.1)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (0, "stable"),
        (0.0999, "stable"),
        (0.1, "shifted"),
        (0.2499, "shifted"),
        (0.25, "very different"),
        (9, "very different"),
    ],
)
def test_readings_begin_where_they_are_said_to(index, said):
    assert reading(index) == said


@pytest.mark.parametrize(
    ("expected", "found"), [([1, 2], [1]), ([0, 0], [1, 2]), ([1, 2], [0, 0]), ([3, -1], [1, 1]), ([], [])]
)
def test_what_are_no_two_histograms_is_refused(expected, found):
    with pytest.raises(ValueError, match=r"bins|rows"):
        stability(np.array(expected, np.int64), np.array(found, np.int64))
