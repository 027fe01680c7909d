"""The table is the one that scikit-learn writes, and odd labels leave its columns where they are."""

import re
from operator import eq

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics

from hwr.metrics.scores import score
from hwr.metrics.table import classification_report


def table(truth: list[str], predicted: list[str], labels: list[str]) -> str:
    return classification_report(score(truth, predicted, np.full(len(truth), 0.5, np.float32), labels))


@given(st.lists(st.tuples(st.sampled_from("ABCDE"), st.sampled_from("ABDEF")), min_size=1, max_size=80))
def test_it_is_what_scikit_learn_writes(rows):
    truth, predicted = map(list, zip(*rows, strict=True))
    assume(any(map(eq, truth, predicted)))
    expected = metrics.classification_report(truth, predicted, digits=4, zero_division=0)
    assert table(truth, predicted, list("ABCDEFGH")) == expected


def test_where_all_is_wrong_rows_are_still_whole_numbers_unlike_in_scikit_learn():
    expected = metrics.classification_report(["A", "B"], ["B", "C"], digits=4, zero_division=0)
    assert table(["A", "B"], ["B", "C"], list("ABC")) == re.sub(r"  (\d)\.0$", r"    \1", expected, flags=re.MULTILINE)


def test_it_is_what_scikit_learn_writes_of_many_rows_of_62_characters():
    random = np.random.default_rng(0)
    labels = [chr(33 + number) for number in range(62)]
    true = random.integers(0, 62, 5_000)
    answered = np.where(random.random(5_000) < 0.9, true, random.integers(0, 62, 5_000))
    truth, predicted = ([labels[number] for number in numbers] for numbers in (true, answered))
    assert table(truth, predicted, labels) == metrics.classification_report(truth, predicted, digits=4)


def test_names_longer_than_the_last_line_widen_the_column_as_in_scikit_learn():
    truth, predicted = ["ampersand-and-more", "B", "B"], ["B", "B", "ampersand-and-more"]
    expected = metrics.classification_report(truth, predicted, digits=4, labels=["ampersand-and-more", "B"])
    assert table(truth, predicted, ["ampersand-and-more", "B"]) == expected


@pytest.mark.parametrize(
    ("label", "name", "narrower"),
    [
        (" ", "           ␣", 0),
        ("\n", "      U+000A", 0),
        ("\u202e", "      U+202E", 0),
        ("\u200b", "      U+200B", 0),
        ("x" * 500, "x" * 23 + "…", 0),
        ("漢", "          漢", 1),  # two columns wide
        ("\u0302", "           ◌\u0302", -1),  # a mark that sits on what is before it
        ("कु", "           कु", -1),
    ],
)
def test_odd_labels_leave_the_columns_where_they_are(label, name, narrower):
    lines = table([label, "B"], [label, "B"], [label, "B"]).splitlines()
    row = lines[2]
    assert row.startswith(f"{name}     1.0000    1.0000    1.0000         1")
    full = [line for line in lines if line]
    assert len({len(line) + (narrower if line is row else 0) for line in full}) == 1
