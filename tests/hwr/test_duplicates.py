"""Copies of a glyph are found bit for bit, and a leak is whatever training or validation should not have seen."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hwr import duplicates


def table(rows):
    return pd.DataFrame([(f"{i}", *row) for i, row in enumerate(rows)], columns=["id", "split", "digest"])


@given(hnp.arrays(np.uint8, st.tuples(st.integers(0, 12), st.just(3), st.just(3)), elements=st.integers(0, 1)))
def test_digests_are_equal_where_glyphs_are(glyphs):
    found = duplicates.digests(glyphs)
    assert found.shape == (len(glyphs),)
    for one in range(len(glyphs)):
        for other in range(len(glyphs)):
            assert (found[one] == found[other]) == np.array_equal(glyphs[one], glyphs[other])


def test_repeats_are_counted_within_training_only():
    assert duplicates.repeated(table([("train", 1), ("train", 1), ("train", 1), ("val", 1), ("test", 2)])) == 2


ROWS = st.lists(st.tuples(st.sampled_from(["train", "val", "test"]), st.integers(0, 4)), max_size=25)


@given(ROWS)
def test_without_its_leaks_a_set_has_no_glyph_in_two_splits(rows):
    samples = table(rows)
    found = duplicates.leaks(samples)
    kept = samples.drop(found.index)
    assert kept.groupby("digest")["split"].nunique().le(1).all()
    assert not (found["split"] == "test").any()
    # Nothing else is touched: what leaks has a twin in a later split.
    twins = samples.set_index("id").loc[found["twin"]]
    assert (twins["digest"].to_numpy() == found["digest"].to_numpy()).all()
    assert (twins["split"].to_numpy() == found["twin_split"].to_numpy()).all()
    assert set(samples["digest"]) == set(kept["digest"])


def test_the_twin_in_test_is_named_before_the_one_in_val():
    found = duplicates.leaks(table([("train", 7), ("val", 7), ("test", 7)]))
    assert found[["id", "twin", "twin_split"]].to_numpy().tolist() == [["0", "2", "test"], ["1", "2", "test"]]
