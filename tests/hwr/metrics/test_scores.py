"""Every figure agrees with plain counting."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwr.metrics.scores import Top, count_confusion, likelihood, most_confused, score, top_k

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=60)


def confusion(pairs: list[tuple[int, int]]) -> np.ndarray:
    true, predicted = np.array(pairs, np.int64).reshape(-1, 2).T
    return count_confusion(true, predicted, 5)


@given(PAIRS)
def test_confusion_counts_every_pair_once(pairs):
    counts = confusion(pairs)
    assert counts.shape == (5, 5)
    assert counts.dtype == np.int64
    for row in range(5):
        for column in range(5):
            assert counts[row, column] == pairs.count((row, column))


@pytest.mark.parametrize(("true", "predicted"), [([0, -1], [0, 0]), ([0, 1], [0, 5])])
def test_a_class_out_of_range_is_refused_rather_than_counted_elsewhere(true, predicted):
    with pytest.raises(ValueError, match=r"class numbers must be in \[0, 5\)"):
        count_confusion(np.array(true), np.array(predicted), 5)


def random_answers(seed: int, labels: str, rows: int) -> tuple[list[str], list[str], Top, np.ndarray]:
    """Truth, answers, their best three guesses and their whole probabilities (rows, classes)."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (rows, len(labels)))
    truth = random.choice(list(labels[:-1]), rows)  # the last character never occurs in the truth
    for row, label in enumerate(truth):
        logits[row, labels.index(label)] += 1.5
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    best = np.argsort(-chances, axis=1)[:, :3]
    top = Top(np.array(list(labels))[best], np.take_along_axis(chances, best, 1).astype(np.float32))
    return truth.tolist(), [labels[index] for index in best[:, 0]], top, chances


@pytest.mark.parametrize("seed", range(3))
def test_scores_agree_with_plain_counting(seed):
    labels = "ABCDEF"
    truth, predicted, top, chances = random_answers(seed, labels, 200)
    scores = score(truth, predicted, top.scores[:, 0], labels, top)
    found = scores.to_json()

    right = sum(t == p for t, p in zip(truth, predicted, strict=True))
    assert (found["rows"], found["correct"], found["accuracy"]) == (200, right, right / 200)
    per_character = {}
    for label in labels:
        hit = sum(t == p == label for t, p in zip(truth, predicted, strict=True))
        support, taken = truth.count(label), predicted.count(label)
        precision, recall = hit / taken if taken else 0, hit / support if support else 0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0
        per_character[label] = (precision, recall, f1, support, taken)
    for entry in found["characters"]:
        values = [entry[name] for name in ("precision", "recall", "f1", "support", "predicted")]
        assert values == pytest.approx(per_character[entry["label"]])
    occurring = [figures for figures in per_character.values() if figures[3]]
    assert len(occurring) == 5
    for index, name in enumerate(("precision", "recall", "f1")):
        assert found["macro"][name] == pytest.approx(sum(f[index] for f in occurring) / 5)
        assert found["weighted"][name] == pytest.approx(sum(f[index] * f[3] for f in occurring) / 200)
    for k in (1, 2, 3):
        among = sum(t in guesses[:k] for t, guesses in zip(truth, top.labels.tolist(), strict=True))
        assert found["top_k"][str(k)] == among / 200
    sure = [(s, t == p) for s, t, p in zip(top.scores[:, 0].tolist(), truth, predicted, strict=True)]
    assert found["mean_confidence"]["right"] == pytest.approx(sum(s for s, ok in sure if ok) / right)
    assert found["mean_confidence"]["wrong"] == pytest.approx(sum(s for s, ok in sure if not ok) / (200 - right))
    whole = -sum(math.log(chances[row, labels.index(t)]) for row, t in enumerate(truth)) / 200
    assert found["loss"] <= whole + 1e-6
    assert found["loss_bounded_rows"] == sum(t not in g for t, g in zip(truth, top.labels.tolist(), strict=True))


def test_the_loss_is_exact_where_all_guesses_are_kept():
    top = Top(np.array([["A", "B"], ["B", "A"]]), np.array([[0.75, 0.25], [0.5, 0.5]], np.float32))
    loss, bounded = likelihood(["B", "B"], top)
    assert loss == pytest.approx((math.log(4) + math.log(2)) / 2)
    assert bounded == 0


def test_a_truth_beyond_the_guesses_is_bounded_by_what_they_leave_and_by_the_least_of_them():
    labels = np.array([["A", "B"]])
    assert likelihood(["C"], Top(labels, np.array([[0.5, 0.3]], np.float32)))[0] == pytest.approx(math.log(5))
    assert likelihood(["C"], Top(labels, np.array([[0.5, 0.1]], np.float32)))[0] == pytest.approx(math.log(10))


def test_the_loss_stays_finite_where_the_guesses_leave_nothing():
    loss, bounded = likelihood(["C"], Top(np.array([["A"]]), np.array([[1.0]], np.float32)))
    assert 10 < loss < 100
    assert bounded == 1


def test_top_k_goes_as_far_as_every_row_carries():
    top = Top(np.array([["A", "B", "C"], ["B", "A", ""]]), np.array([[0.5, 0.3, 0.1], [0.6, 0.4, 0]], np.float32))
    assert top_k(["B", "B"], top) == (0.5, 1.0)


def test_a_truth_outside_the_alphabet_is_a_class_of_its_own_that_is_never_right():
    scores = score(["A", "ß", "é"], ["A", "B", "B"], np.array([0.9, 0.6, 0.5], np.float32), "AB")
    assert scores.labels == ("A", "B", "ß", "é")
    assert scores.share.correct == 1
    assert scores.confusion[2, 1] == 1
    assert (scores.loss, scores.top_k) == (None, ())


def test_most_confused_pairs_come_by_frequency_then_by_the_order_of_labels():
    counts = np.array([[9, 1, 3], [3, 9, 0], [1, 0, 9]])
    found = [(pair.truth, pair.predicted, pair.count) for pair in most_confused(counts, "ABC", most=3)]
    assert found == [("A", "C", 3), ("B", "A", 3), ("A", "B", 1)]


def test_all_right_has_no_pairs_and_no_confidence_of_wrong_answers():
    scores = score(["A"], ["A"], np.array([0.9], np.float32), "AB")
    assert scores.pairs == ()
    assert scores.to_json()["mean_confidence"] == {"right": pytest.approx(0.9), "wrong": None}


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="nothing to score"):
        score([], [], np.zeros(0, np.float32), "AB")
