"""The interval of a share agrees with what defines it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from hwr.metrics.shares import wilson


@given(st.integers(1, 20_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_wilson_agrees_with_scipy_and_holds_the_share(counts):
    correct, total = counts
    low, high = wilson(correct, total)
    expected = binomtest(correct, total).proportion_ci(0.95, method="wilson")
    assert low == pytest.approx(expected.low, abs=1e-9)
    assert high == pytest.approx(expected.high, abs=1e-9)
    assert 0 <= low <= correct / total <= high <= 1


@given(st.integers(1, 500))
def test_wilson_mirrors_right_and_wrong_and_narrows_with_more_rows(total):
    low, high = wilson(total // 3, total)
    mirrored = wilson(total - total // 3, total)
    assert mirrored == pytest.approx((1 - high, 1 - low))
    more = wilson(4 * (total // 3), 4 * total)
    assert more[1] - more[0] < high - low


@pytest.mark.parametrize(("correct", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_what_is_no_share(correct, total):
    with pytest.raises(ValueError, match="is not a share"):
        wilson(correct, total)
