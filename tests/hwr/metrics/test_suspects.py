"""Suspects are those of the paper's rule, written out row by row, and they are the rows whose labels were spoilt."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import cross_val_predict

from hwr.metrics.scores import Top
from hwr.metrics.suspects import Suspect, suspects

LABELS = "ABCDE"


def made(rows: list[dict[str, float]]) -> Top:
    """Guesses of each row, given best first."""
    width = max(len(row) for row in rows)
    labels = np.array([[*row, *[""] * (width - len(row))] for row in rows])
    return Top(labels, np.array([[*row.values(), *[0] * (width - len(row))] for row in rows], np.float32))


@st.composite
def guesses(draw):
    """Rows of up to four guesses with probabilities in thirty-seconds, so that many are equal, best first."""
    names = draw(st.lists(st.sampled_from(LABELS), min_size=1, max_size=4, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, 32), min_size=len(names), max_size=len(names))))
    parts = sorted((high - low for low, high in zip([0, *cuts], cuts, strict=False)), reverse=True)
    return {name: part / 32 for name, part in zip(names, parts, strict=True)}


def by_hand(given_labels: list[str], rows: list[dict[str, float]]) -> list[tuple[int, set[str], float]]:
    """The rule of the paper in exact fractions: row, the likeliest classes that reach their thresholds, margin."""
    thresholds = {}
    for label in LABELS:
        own = [Fraction(row.get(label, 0)) for row, of in zip(rows, given_labels, strict=True) if of == label]
        if own:
            thresholds[label] = sum(own) / len(own)
    found = []
    for number, (row, of) in enumerate(zip(rows, given_labels, strict=True)):
        reached = {label: p for label, p in row.items() if p > 0 and label in thresholds and p >= thresholds[label]}
        best = {label for label, p in reached.items() if p == max(reached.values())}
        if of in LABELS and best and of not in best:
            found.append((number, best, max(reached.values()) - row.get(of, 0)))
    return sorted(found, key=lambda each: (-each[2], each[0]))


@given(st.lists(st.tuples(st.sampled_from([*LABELS[:4], "ß"]), guesses()), min_size=1, max_size=40))
def test_suspects_follow_the_rule_written_out_row_by_row(answers):
    labels, rows = map(list, zip(*answers, strict=True))
    found = suspects(labels, made(rows), LABELS)
    expected = by_hand(labels, rows)
    assert [suspect.row for suspect in found] == [number for number, _, _ in expected]
    for suspect, (_, best, margin) in zip(found, expected, strict=True):
        assert suspect.suggestion in best
        assert suspect.margin == margin
        assert -1 < suspect.margin <= 1


def test_the_surest_contradiction_comes_first_and_equals_by_row():
    rows = [{"A": 0.875, "B": 0.125}, {"B": 0.75, "A": 0.25}, {"B": 1.0}, {"B": 0.75, "A": 0.25}, {"B": 0.75}]
    found = suspects("AAAAB", made(rows), LABELS)
    assert found == [Suspect(2, "B", 1.0), Suspect(1, "B", 0.5), Suspect(3, "B", 0.5)]


def test_a_class_seldom_sure_may_be_suggested_against_the_odds():
    rows = [{"A": 1.0}, {"A": 1.0}, {"A": 0.625, "B": 0.375}, {"A": 0.75, "B": 0.25}]
    assert suspects("AAAB", made(rows), LABELS) == [Suspect(2, "B", -0.25)]


def test_a_class_that_no_row_was_given_is_never_suggested():
    assert suspects("AA", made([{"C": 1.0}, {"A": 1.0}]), LABELS) == []


def test_rows_with_a_label_that_the_model_does_not_know_count_nowhere():
    rows = [{"A": 1.0}, {"A": 0.5, "B": 0.5}, {"B": 0.5, "A": 0.25}]
    known = suspects("AB", made(rows[:2]), LABELS)
    assert suspects(["A", "B", "ß"], made(rows), LABELS) == known


def test_a_guess_that_the_model_does_not_know_has_no_say():
    assert suspects("AAB", made([{"ß": 0.75, "A": 0.25}, {"A": 0.5}, {"B": 0.5}]), "AB") == []


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (2, 0)])
def test_nothing_to_go_by_raises_no_suspicion(shape):
    assert suspects(["A"] * shape[0], Top(np.zeros(shape, "<U1"), np.zeros(shape, np.float32)), LABELS) == []


def test_labels_that_were_spoilt_on_purpose_are_found(digits):
    glyphs, truth = digits
    random = np.random.default_rng(0)
    spoilt = random.choice(len(truth), 36, replace=False)
    labels = truth.copy()
    labels[spoilt] = (truth[spoilt] + random.integers(1, 10, 36)) % 10
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
    chances = cross_val_predict(model, glyphs.reshape(len(glyphs), -1) / 16, labels, cv=5, method="predict_proba")
    best = np.argsort(-chances, axis=1)[:, :5]
    top = Top(best.astype(str), np.take_along_axis(chances, best, 1).astype(np.float32))
    found = suspects(labels.astype(str).tolist(), top, "0123456789")
    rows = [suspect.row for suspect in found]
    assert len(set(rows) & set(spoilt.tolist())) >= 30
    assert len(set(rows[:36]) & set(spoilt.tolist())) >= 24  # drawn blindly, one would be
    mended = [int(suspect.suggestion) == truth[suspect.row] for suspect in found if suspect.row in spoilt]
    assert np.mean(mended) > 0.85
