"""Splits are stratified, stable, and carve validation from training only."""

from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hwr.errors import InputError
from hwr.splits import SplitConfig, assign


def split(keys, labels, official=None, writers=None, config=None):
    nothing = [None] * len(keys)
    return assign(keys, labels, official or nothing, writers or nothing, config or SplitConfig())


KEYS = st.lists(st.text(max_size=6), unique=True, max_size=80)


@given(KEYS, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(keys, random):
    labels = {key: random.choice("ab") for key in keys}
    shuffled = random.sample(keys, len(keys))
    one, two = (dict(zip(some, split(some, [labels[key] for key in some]), strict=True)) for some in (keys, shuffled))
    assert one == two


@given(KEYS, st.floats(0, 0.99), st.floats(0, 0.99))
def test_every_label_keeps_a_training_sample_and_gets_its_share(keys, test, val):
    labels = [str(len(key) % 3) for key in keys]
    found = split(keys, labels, config=SplitConfig(test, val))
    for label, count in Counter(labels).items():
        mine = Counter(name for name, of in zip(found, labels, strict=True) if of == label)
        assert mine["train"] >= 1
        assert mine["test"] == min(round(count * test), count - 1)
        assert mine.total() == count


def test_an_official_test_split_is_kept_and_validation_is_carved_from_train():
    official = ["train"] * 100 + ["test"] * 50
    found = split([str(i) for i in range(150)], ["a"] * 150, official)
    assert (found[100:] == "test").all()
    assert Counter(found[:100]) == {"train": 90, "val": 10}


def test_an_official_validation_split_is_kept():
    official = ["train", "train", "val", "test"]
    assert split(list("abcd"), ["x"] * 4, official).tolist() == official


def test_the_split_of_known_keys_never_changes():
    found = split([f"img/{i}.png" for i in range(20)], ["a"] * 20)
    assert "".join(name[1] for name in found) == "errrerrrrarrrrrrrarr"  # second letters: train, test, val


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_impossible_shares_are_one_line(share):
    with pytest.raises(InputError, match="--val-share must be at least 0 and less than 1"):
        SplitConfig(val_share=share)


WRITERS = st.lists(st.sampled_from(["ann", "bob", "cyd", "dan", "eve", None]), min_size=1, max_size=60)


@given(WRITERS, st.floats(0, 0.9), st.floats(0, 0.9), st.booleans())
def test_a_writer_is_on_one_side(writers, test, val, tested):
    assume(any(writers))
    keys = [str(number) for number in range(len(writers))]
    official = ["test" if tested and number % 3 == 0 else "train" for number in range(len(keys))] if tested else None
    found = split(keys, ["a"] * len(keys), official, writers, SplitConfig(test, val, "writer"))
    assert "train" in found or tested
    if tested:
        assert [name == "test" for name in found] == [name == "test" for name in official]
    sides: dict[str, set[str]] = {}
    for writer, name in zip(writers, found, strict=True):
        if writer and not (tested and name == "test"):
            sides.setdefault(writer, set()).add(name)
    assert all(len(names) == 1 for names in sides.values())


def test_writers_are_held_out_by_about_their_share():
    writers = [str(number % 55) for number in range(3410)]
    found = Counter(split([str(n) for n in range(3410)], ["a"] * 3410, None, writers, SplitConfig(split_by="writer")))
    assert 0.08 < found["test"] / 3410 <= 0.1
    assert 0.07 < found["val"] / 3410 <= 0.1


def test_one_writer_of_nearly_everything_stays_for_training():
    writers = ["ann"] * 980 + ["bob"] * 10 + ["cyd"] * 10
    found = split([str(number) for number in range(1000)], ["a"] * 1000, None, writers, SplitConfig(split_by="writer"))
    assert Counter(found) == {"train": 980, "test": 10, "val": 10}
