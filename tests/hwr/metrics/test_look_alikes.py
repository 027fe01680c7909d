"""Groups are what following every pair by hand gives, and what cannot be meant is said in one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwr.alphabet import NAMED
from hwr.errors import InputError
from hwr.metrics.look_alikes import groups

LABELS = NAMED["english62"]
PARTS = st.lists(st.text(LABELS, min_size=2, max_size=4).filter(lambda part: len(set(part)) > 1), min_size=1)


@given(PARTS, st.booleans(), st.permutations(LABELS))
def test_groups_are_all_that_pairs_lead_to(parts, fold_case, labels):
    found = groups(",".join(parts), fold_case, labels)
    assert list(found) == labels
    for label in labels:
        reached = {label}
        while True:
            near = {other for part in parts if reached & set(part) for other in part}
            cases = {each.swapcase() for each in reached if each.isalpha()} if fold_case else set()
            if near | cases <= reached:
                break
            reached |= near | cases
        assert found[label] == "".join(other for other in labels if other in reached)


def test_a_group_is_named_by_its_members_in_the_order_of_the_labels():
    found = groups("O0,lI1", fold_case=False, labels="01IOlx")
    assert found == {"0": "0O", "1": "1Il", "I": "1Il", "O": "0O", "l": "1Il", "x": "x"}


def test_without_flags_every_label_is_alone():
    assert groups(None, fold_case=False, labels=["A", "a", "Alpha"]) == {"A": "A", "a": "a", "Alpha": "Alpha"}


def test_only_cases_that_are_both_labels_are_folded():
    found = groups(None, fold_case=True, labels="AaBc")
    assert found == {"A": "Aa", "a": "Aa", "B": "B", "c": "c"}


def test_flags_work_together():
    assert groups("0O", fold_case=True, labels="0Oo")["o"] == "0Oo"


@pytest.mark.parametrize(
    ("labels", "together"),
    [
        (["ß", "SS", "S", "s"], [["S", "s"]]),  # the capitals of ß are two letters
        (["ß", "ẞ"], [["ß", "ẞ"]]),  # yet ß is what becomes of the capital ẞ
        (["İ", "i"], []),
        (["I", "i", "ı"], [["I", "i", "ı"]]),
        (["Σ", "σ", "ς"], [["Σ", "σ", "ς"]]),
        (["σ", "ς"], []),  # they meet in a capital that is not here
        (["ŉ", "N"], []),
        (["Я", "я", "5"], [["Я", "я"]]),
        (["Alpha", "ALPHA", "alpha"], []),
    ],
)
def test_cases_beyond_english_meet_where_one_character_becomes_another(labels, together):
    expected = {label: label for label in labels} | {label: "".join(group) for group in together for label in group}
    assert groups(None, fold_case=True, labels=labels) == expected


def test_a_group_never_takes_the_name_of_another_label():
    found = groups("AB", fold_case=False, labels=["A", "B", "AB", "A/B"])
    assert found == {"A": "A//B", "B": "A//B", "AB": "AB", "A/B": "A/B"}


def test_a_decomposed_letter_is_the_label_it_composes_to():
    assert groups("e\u0301e", fold_case=False, labels=["e", "é"])["é"] == "eé"


@pytest.mark.parametrize(
    ("merge", "message"),
    [
        ("", "--merge is empty: write"),
        ("0O,", "group of fewer than two characters, ''"),
        (",", "group of fewer than two characters, ''"),
        ("0O,I", "group of fewer than two characters, 'I'"),
        ("00", "group of fewer than two characters, '00'"),
        ("0O, 1I", "names ' ', which is none of the 62 characters here"),
        ("0Ö", "names 'Ö', which is none of the 62 characters here"),
        ("0\n", r"names '\n', which is none of the 62 characters here"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line(merge, message):
    with pytest.raises(InputError) as found:
        groups(merge, fold_case=False, labels=LABELS)
    assert message in str(found.value)
    assert str(found.value).endswith("such as 0O,1Il")
    assert "\n" not in str(found.value)
