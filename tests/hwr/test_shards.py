"""A shard holds its samples split by split, and dropping a leak twice is dropping it once."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hwr import duplicates, schema, shards
from hwr.storage import Folder


@pytest.fixture
def shard(tmp_path, digits):
    """Six samples, of which the first (train) and the last (test) are the same glyph, and one reject."""
    out = Folder.open(str(tmp_path))
    images = np.concatenate([digits[0][:5], digits[0][:1]])
    samples = {
        "id": list("abcdef"), "image": schema.images_to_arrow(images), "label": list("012340"),
        "split": ["train", "val", "train", "test", "train", "test"], "source": ["s"] * 6, "writer": [None] * 6,
    }  # fmt: skip
    rejects = {"source": ["s"], "key": ["x"], "reason": ["blank"], "detail": ["no ink"]}
    shards.write(out, "part-0", pa.table(samples, schema=schema.samples(8)), pa.table(rejects, schema=schema.REJECTS))
    return out, images


def test_a_reader_of_one_split_finds_its_rows_in_one_row_group(shard):
    out, images = shard
    file = pq.ParquetFile(f"{out.path}/samples/part-0.parquet")
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [3, 1, 2]
    table = out.read_table("samples/part-0.parquet", ["id", "image"], split="test")
    assert table["id"].to_pylist() == ["d", "f"]
    assert np.array_equal(schema.images_from_arrow(table["image"]), images[[3, 5]])
    assert out.read_table("samples/part-0.parquet").schema.equals(schema.samples(8))


def test_digests_belong_to_their_rows(shard):
    out, images = shard
    found = shards.read(out, "part-0").set_index("id")["digest"]
    expected = dict(zip("abcdef", duplicates.digests(images), strict=True))
    assert found.to_dict() == expected
    assert found["a"] == found["f"]


def test_a_leak_becomes_a_reject_once(shard):
    out, _ = shard
    leaks = duplicates.leaks(shards.read(out, "part-0"))
    assert leaks["id"].tolist() == ["a"]
    killed = pa.concat_tables(
        [
            shards.read_rejects(out, "part-0"),
            pa.table({"source": ["s"], "key": ["a"], "reason": ["leak"], "detail": ["?"]}, schema=schema.REJECTS),
        ]
    )
    out.write_table("rejects/part-0.parquet", killed)  # as if killed between the two files
    states = []
    for _ in range(2):
        shards.drop(out, "part-0", leaks)
        states.append([out.read_bytes(f"{name}/part-0.parquet") for name in ("samples", "rejects")])
    assert states[0] == states[1]
    assert sorted(shards.read(out, "part-0")["id"]) == list("bcdef")
    assert shards.read_rejects(out, "part-0").select(["key", "reason", "detail"]).to_pylist() == [
        {"key": "x", "reason": "blank", "detail": "no ink"},
        {"key": "a", "reason": "leak", "detail": "also in test: f"},
    ]


def test_a_part_of_rejects_alone_is_a_shard_of_no_rows(tmp_path):
    out = Folder.open(str(tmp_path))
    shards.write(out, "p", schema.samples(28).empty_table(), schema.REJECTS.empty_table())
    found = shards.read(out, "p")
    assert found.empty
    assert isinstance(found, pd.DataFrame)
    assert shards.read_rejects(out, "p").equals(schema.REJECTS.empty_table())
