"""The contracts hold: shapes survive, and no Ray is needed to read what jobs write."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hwr import schema


@given(hnp.arrays(np.uint8, st.tuples(st.integers(0, 5), st.just(8), st.just(8))))
def test_images_survive_arrow_bit_for_bit(images):
    column = pa.chunked_array([schema.images_to_arrow(images)])
    assert np.array_equal(schema.images_from_arrow(column), images)


def test_no_chunks_give_no_images():
    empty = pa.chunked_array([], pa.fixed_shape_tensor(pa.uint8(), [28, 28]))
    assert schema.images_from_arrow(empty).shape == (0, 28, 28)


def test_a_shard_opens_in_plain_pyarrow_and_pandas(tmp_path):
    images = np.arange(2 * 64, dtype=np.uint8).reshape(2, 8, 8)
    columns = [["a", "b"], schema.images_to_arrow(images), ["1", None], ["train"] * 2, ["set"] * 2, [None, "7"]]
    pq.write_table(pa.table(columns, schema=schema.samples(8)), tmp_path / "shard.parquet")

    read = pq.read_table(tmp_path / "shard.parquet")
    assert read.schema.equals(schema.samples(8), check_metadata=True)
    assert read.schema.field("image").type == pa.fixed_shape_tensor(pa.uint8(), [8, 8])
    frame = pd.read_parquet(tmp_path / "shard.parquet")
    assert np.array_equal(np.stack(frame["image"]).reshape(2, 8, 8), images)
    assert frame["label"].isna().tolist() == [False, True]


@pytest.mark.parametrize("contract", [schema.samples(28), schema.REJECTS, schema.PREDICTIONS])
def test_every_contract_names_its_version(contract):
    assert contract.metadata[b"hwr.version"] == str(schema.VERSION).encode()
