"""Bins, scores and thresholds agree with counting row by row."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from hwr.metrics.confidence import abstention, brier, reliability

ANSWERS = st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=80)
# A grid of few values makes rows of equal confidence, and values on the very edges of bins.
TIED = st.lists(st.tuples(st.integers(0, 15).map(lambda k: k / 15), st.booleans()), min_size=1, max_size=80)


def arrays(answers: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    confidence, right = zip(*answers, strict=True)
    return np.array(confidence, np.float32), np.array(right, bool)


@given(ANSWERS | TIED, st.integers(1, 30))
def test_bins_agree_with_counting_row_by_row(answers, bins):
    found = reliability(*arrays(answers), bins)
    rows = [(float(np.float32(confidence)), right) for confidence, right in answers]
    error = 0.0
    for number in range(bins):
        inside = [row for row in rows if min(int(Fraction(row[0]) * bins), bins - 1) == number]
        assert found.rows[number] == len(inside)
        mean = sum(confidence for confidence, _ in inside) / max(len(inside), 1)
        share = sum(right for _, right in inside) / max(len(inside), 1)
        assert found.confidence[number] == pytest.approx(mean)
        assert found.accuracy[number] == pytest.approx(share)
        error += abs(mean - share) * len(inside) / len(rows)
    assert found.ece == pytest.approx(error, abs=1e-12)
    assert 0 <= found.ece <= 1


@pytest.mark.parametrize("seed", range(3))
def test_bins_agree_with_scikit_learn(seed):
    random = np.random.default_rng(seed)
    confidence = random.random(500).astype(np.float32)
    right = random.random(500) < confidence**2
    found = reliability(confidence, right)
    accuracy, mean = calibration_curve(right, confidence, n_bins=15)
    assert found.accuracy[found.rows > 0] == pytest.approx(accuracy)
    assert found.confidence[found.rows > 0] == pytest.approx(mean)


def test_certainty_belongs_to_the_last_bin_and_an_edge_to_the_bin_above_it():
    found = reliability(np.array([0, 0.5, 1], np.float32), np.array([False, True, True]), bins=2)
    assert found.rows.tolist() == [1, 2]
    assert (found.rows.dtype, found.accuracy.dtype, found.confidence.dtype) == (np.int64, np.float64, np.float64)


def test_the_error_is_none_where_confidence_keeps_its_word_and_all_where_it_is_always_wrong():
    certain = np.ones(4, np.float32)
    assert reliability(certain, np.ones(4, bool)).ece == 0
    assert reliability(certain, np.zeros(4, bool)).ece == 1
    assert reliability(certain / 4, np.array([True, False, False, False])).ece == 0


def test_bins_are_said_between_their_edges():
    said = reliability(np.array([0.3, 0.9], np.float32), np.array([True, False]), bins=4).to_json()
    assert said["edges"] == [0, 0.25, 0.5, 0.75, 1]
    assert said["rows"] == [0, 1, 0, 1]
    assert said["accuracy"] == [0, 1, 0, 0]
    assert said["confidence"] == pytest.approx([0, 0.3, 0, 0.9])
    assert said["ece"] == pytest.approx(0.8)


@given(ANSWERS)
def test_the_brier_score_is_the_mean_squared_distance(answers):
    confidence, right = arrays(answers)
    distances = [(float(sure) - hit) ** 2 for sure, hit in zip(confidence, right, strict=True)]
    assert brier(confidence, right) == pytest.approx(sum(distances) / len(distances), abs=1e-12)


def test_the_brier_score_of_one_kind_of_answers_alone():
    sure = np.array([1, 1], np.float32)
    assert brier(sure, np.array([True, True])) == 0
    assert brier(sure, np.array([False, False])) == 1
    assert brier(sure[:1] / 2, np.array([True])) == 0.25


@given(ANSWERS | TIED)
def test_each_point_is_what_answering_from_its_confidence_on_gives(answers):
    confidence, right = arrays(answers)
    found = abstention(confidence, right)
    assert found.min_confidence.tolist() == sorted(set(confidence.tolist()))
    for least, coverage, accuracy in zip(found.min_confidence, found.coverage, found.accuracy, strict=True):
        answered = [hit for sure, hit in zip(confidence, right, strict=True) if sure >= least]
        assert coverage == len(answered) / len(answers)
        assert accuracy == sum(answered) / len(answered)
    assert found.coverage[0] == 1
    assert (np.diff(found.coverage) < 0).all()


def test_rows_of_one_confidence_are_one_point():
    found = abstention(np.full(7, 0.5, np.float32), np.arange(7) < 3)
    assert (found.min_confidence.tolist(), found.coverage.tolist()) == ([0.5], [1])
    assert found.accuracy.tolist() == [3 / 7]


@given(st.integers(0, 2**32 - 1), st.integers(1, 700), st.integers(2, 60))
def test_thinned_points_are_some_of_all_with_the_first_and_the_last(seed, rows, most):
    random = np.random.default_rng(seed)
    confidence = (random.integers(0, 400, rows) / 400).astype(np.float32)
    right = random.random(rows) < 0.7
    whole = abstention(confidence, right)
    thin = whole.thinned(most)
    assert len(thin.coverage) <= most
    points = set(zip(whole.min_confidence, whole.coverage, whole.accuracy, strict=True))
    assert set(zip(thin.min_confidence, thin.coverage, thin.accuracy, strict=True)) <= points
    ends = (whole.min_confidence[0], whole.min_confidence[-1])
    assert (thin.min_confidence[0], thin.min_confidence[-1]) == (ends if len(points) > 1 else (ends[0],) * 2)
    assert (np.diff(thin.coverage) < 0).all()


def test_thinned_points_lie_evenly_in_coverage_however_confidences_crowd():
    confidence = (1 - np.linspace(1e-3, 1, 5_000) ** 8).astype(np.float32)
    found = abstention(np.unique(confidence), np.ones(len(np.unique(confidence)), bool)).thinned(200)
    assert len(found.coverage) == 200
    assert np.abs(np.diff(found.coverage) + 1 / 199).max() < 1e-3


@given(ANSWERS | TIED, st.lists(st.floats(0, 1), max_size=4))
def test_the_point_for_a_share_answers_it_and_no_point_beyond_does(answers, shares):
    found = abstention(*arrays(answers))
    for asked, said in zip(shares, found.at(shares), strict=True):
        assert said["asked"] == asked
        assert said["coverage"] >= asked
        assert said["coverage"] == min(coverage for coverage in found.coverage if coverage >= asked)
        place = found.coverage.tolist().index(said["coverage"])
        assert said["min_confidence"] == found.min_confidence[place]
        assert said["accuracy"] == found.accuracy[place]


def test_a_share_that_ties_make_unreachable_is_overshot():
    found = abstention(np.array([0.9, 0.5, 0.5, 0.1], np.float32), np.array([True, True, False, False]))
    assert [point["coverage"] for point in found.at([1, 0.9, 0.75, 0.5, 0.25, 0])] == [1, 1, 0.75, 0.75, 0.25, 0.25]
    assert found.at([0.5]) == [{"asked": 0.5, "min_confidence": 0.5, "coverage": 0.75, "accuracy": 2 / 3}]


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_no_point_is_said_for_what_is_no_share(share):
    with pytest.raises(ValueError, match=r"shares must be in \[0, 1\]"):
        abstention(np.ones(1, np.float32), np.ones(1, bool)).at([share])


@pytest.mark.parametrize("figure", [reliability, brier, abstention])
def test_every_figure_refuses_what_is_no_confidence_and_no_rows_at_all(figure):
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"confidences must be in \[0, 1\]"):
            figure(np.array([0.5, wrong], np.float32), np.array([True, False]))
    with pytest.raises(ValueError, match="nothing to compare"):
        figure(np.zeros(0, np.float32), np.zeros(0, bool))
    with pytest.raises(ValueError, match="2 confidences and 1 answers"):
        figure(np.zeros(2, np.float32), np.zeros(1, bool))


def test_a_confidence_that_rounding_took_beyond_one_is_one():
    above = np.array([np.nextafter(np.float32(1), np.float32(2))])
    assert reliability(above, np.array([True])).ece == 0
    assert brier(above, np.array([True])) == 0
    assert abstention(above, np.array([True])).min_confidence.tolist() == [1]
