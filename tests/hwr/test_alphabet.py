"""Alphabets keep order, and mapping files are read as EMNIST writes them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwr.alphabet import NAMED, Alphabet, read_mapping
from hwr.errors import InputError


@pytest.mark.parametrize(
    ("name", "size"), [("digits", 10), ("A-Z", 26), ("az35", 35), ("emnist47", 47), ("english62", 62)]
)
def test_named_alphabets_have_their_size(name, size):
    assert len(Alphabet.parse(name)) == len(set(NAMED[name])) == size


def test_emnist47_is_in_the_order_of_the_mapping_file(data):
    mapping = read_mapping((data / "emnist47r" / "emnist47r-mapping.txt").read_text(), "mapping")
    assert tuple(mapping[number] for number in range(47)) == Alphabet.parse("emnist47").labels


@given(st.lists(st.characters(exclude_categories=["Cs"]), min_size=1, unique=True))
def test_encode_gives_each_label_its_place(labels):
    assert Alphabet(tuple(labels)).encode(labels).tolist() == list(range(len(labels)))


def test_a_foreign_label_is_minus_one():
    assert np.array_equal(Alphabet.parse("AB").encode(["B", "x", "A"]), [1, -1, 0])


def test_the_alphabet_of_labels_does_not_depend_on_their_order():
    assert Alphabet.of(["b", "é", "7", "B"]) == Alphabet.of(["é", "B", "b", "7"]) == Alphabet(("7", "B", "b", "é"))


@pytest.mark.parametrize("text", ["ABA", ""])
def test_an_alphabet_with_doubles_or_nothing_is_refused(text):
    with pytest.raises(InputError, match="an alphabet"):
        Alphabet.parse(text)


def test_letters_start_at_one_and_the_first_case_is_taken():
    assert read_mapping("1 65 97\n2 66 98\n\n", "letters") == {1: "A", 2: "B"}


@pytest.mark.parametrize("text", ["", "x 65", "1", "1 65\n1 66", "1 99999999999", "1 55296", "1 0"])
def test_a_broken_mapping_is_one_line(text):
    with pytest.raises(InputError, match=r"^letters"):
        read_mapping(text, "letters")


def test_json_maps_in_either_direction_or_as_a_list():
    assert read_mapping('{"0": "A", "1": "é"}', "m") == {0: "A", 1: "é"}
    assert read_mapping('{"A": 0, "é": 1}', "m") == {0: "A", 1: "é"}
    assert read_mapping('["A", "é"]', "m") == {0: "A", 1: "é"}


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        '{"0": 1.5}',
        '{"x": "y"}',
        '{"0": true}',
        '{"0": "a", "0": "b"}',
        '{"0": "\\ud800"}',
        "[" * 99_999,
        "[[1]]",
    ],
)
def test_json_that_maps_nothing_is_one_line(text):
    with pytest.raises(InputError, match=r"^m "):
        read_mapping(text, "m")
