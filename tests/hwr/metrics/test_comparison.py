"""What changed agrees with counting row by row, and the test with the throw of coins written out."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwr.metrics.comparison import compare

LABELS = "ABC"
ANSWER = st.sampled_from([*LABELS, None])
ROWS = st.lists(st.tuples(st.sampled_from([*LABELS, "ß"]), ANSWER, ANSWER), min_size=1, max_size=60)


@given(ROWS)
def test_counts_agree_with_counting_row_by_row(rows):
    found = compare(*zip(*rows, strict=True), LABELS)
    assert (found.before.rows, found.after.rows) == (len(rows), len(rows))
    assert found.before.correct == sum(truth == before for truth, before, _ in rows)
    assert found.after.correct == sum(truth == after for truth, _, after in rows)
    assert found.fixed == sum(before != truth == after for truth, before, after in rows)
    assert found.broken == sum(before == truth != after for truth, before, after in rows)
    assert found.after.correct - found.before.correct == found.fixed - found.broken
    assert {character.label for character in found.characters} == {truth for truth, _, _ in rows}
    for character in found.characters:
        own = [(before == truth, after == truth) for truth, before, after in rows if truth == character.label]
        assert character.support == len(own)
        assert character.before == sum(before for before, _ in own) / len(own)
        assert character.after == sum(after for _, after in own) / len(own)
        assert (character.fixed, character.broken) == (own.count((False, True)), own.count((True, False)))
    changes = [(character.fixed - character.broken) / character.support for character in found.characters]
    assert changes == sorted(changes)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 5))
def test_the_p_value_is_that_of_coins_thrown_for_the_rows_that_changed(fixed, broken, same):
    truth = ["A"] * (fixed + broken + same + 1)
    before = ["B"] * fixed + ["A"] * (broken + same + 1)
    after = ["A"] * fixed + [None] * broken + ["A"] * (same + 1)
    found = compare(truth, before, after, LABELS)
    thrown = fixed + broken
    tail = sum(math.comb(thrown, k) for k in range(min(fixed, broken) + 1)) / 2**thrown
    assert found.p_value == pytest.approx(min(1, 2 * tail))
    assert compare(truth, after, before, LABELS).p_value == pytest.approx(found.p_value)


def test_the_worst_change_comes_first_and_equals_in_the_order_of_the_labels():
    truth = ["C", "B", "B", "A", "A", "A", "A"]
    before = ["C", "A", "A", "A", "B", "A", "B"]
    after = ["C", "B", "A", None, "A", "B", None]
    found = compare(truth, before, after, LABELS)
    assert [(each.label, each.before, each.after) for each in found.characters] == [
        ("A", 0.5, 0.25), ("C", 1, 1), ("B", 0, 0.5)
    ]  # fmt: skip
    alike = compare("CBA", "CBA", "CBA", LABELS)
    assert [each.label for each in alike.characters] == ["A", "B", "C"]


def test_answers_that_are_all_the_same_prove_nothing():
    for answers in ("AB", ["B", None]):
        found = compare("AB", answers, answers, LABELS)
        assert (found.fixed, found.broken, found.p_value) == (0, 0, 1.0)


def test_a_truth_outside_the_labels_comes_after_them_and_can_be_learnt():
    found = compare(["ß", "A"], ["B", "A"], ["ß", "A"], LABELS)
    assert [(each.label, each.before, each.after) for each in found.characters] == [("A", 1, 1), ("ß", 0, 1)]


def test_everything_is_said_as_strict_json():
    said = json.loads(json.dumps(compare("AAB", ["A", None, "B"], "BAA", LABELS).to_json(), allow_nan=False))
    assert said["before"]["correct"] == 2
    assert said["after"]["interval95"][0] < 1 / 3 < said["after"]["interval95"][1]
    assert (said["fixed"], said["broken"], said["p_value"]) == (1, 2, 1.0)
    assert said["characters"] == [
        {"label": "B", "support": 1, "before": 1, "after": 0, "fixed": 0, "broken": 1},
        {"label": "A", "support": 2, "before": 0.5, "after": 0.5, "fixed": 1, "broken": 1},
    ]


def test_no_rows_and_uneven_ones_are_refused():
    with pytest.raises(ValueError, match="nothing to compare"):
        compare([], [], [], LABELS)
    with pytest.raises(ValueError, match="zip"):
        compare("AB", "A", "AB", LABELS)
    with pytest.raises(ValueError, match="zip"):
        compare("AB", "AB", "ABC", LABELS)
