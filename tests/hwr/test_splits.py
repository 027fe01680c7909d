"""Splits are stratified, stable, and carve validation from training only."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwr.errors import InputError
from hwr.splits import SplitConfig, assign

KEYS = st.lists(st.text(max_size=6), unique=True, max_size=80)


@given(KEYS, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(keys, random):
    labels = {key: random.choice("ab") for key in keys}
    shuffled = random.sample(keys, len(keys))
    one, two = (
        dict(zip(some, assign(some, [labels[key] for key in some], [None] * len(some), SplitConfig()), strict=True))
        for some in (keys, shuffled)
    )
    assert one == two


@given(KEYS, st.floats(0, 0.99), st.floats(0, 0.99))
def test_every_label_keeps_a_training_sample_and_gets_its_share(keys, test, val):
    labels = [str(len(key) % 3) for key in keys]
    split = assign(keys, labels, [None] * len(keys), SplitConfig(test, val))
    for label, count in Counter(labels).items():
        mine = Counter(name for name, of in zip(split, labels, strict=True) if of == label)
        assert mine["train"] >= 1
        assert mine["test"] == min(round(count * test), count - 1)
        assert mine.total() == count


def test_an_official_test_split_is_kept_and_validation_is_carved_from_train():
    official = ["train"] * 100 + ["test"] * 50
    split = assign([str(i) for i in range(150)], ["a"] * 150, official, SplitConfig())
    assert (split[100:] == "test").all()
    assert Counter(split[:100]) == {"train": 90, "val": 10}


def test_an_official_validation_split_is_kept():
    official = ["train", "train", "val", "test"]
    assert assign(list("abcd"), ["x"] * 4, official, SplitConfig()).tolist() == official


def test_the_split_of_known_keys_never_changes():
    split = assign([f"img/{i}.png" for i in range(20)], ["a"] * 20, [None] * 20, SplitConfig())
    assert "".join(name[1] for name in split) == "errrerrrrarrrrrrrarr"  # second letters: train, test, val


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_impossible_shares_are_one_line(share):
    with pytest.raises(InputError, match="--val-share must be at least 0 and less than 1"):
        SplitConfig(val_share=share)
