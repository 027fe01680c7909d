"""Corrections change the labels of what they name, in every format, and nothing else."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwr import shards
from hwr.corrections import Corrections, changed_ids
from hwr.errors import InputError
from hwr.sources import Raw, open_source
from hwr.sources.base import index_of
from hwr.spreadsheet import to_csv
from hwr.storage import Folder
from tests.jobs import write_scans
from tests.pictures import encode, lines

INDEX = index_of(
    5,
    key=["a", "b", "c", "d", "e"],
    label=["A", None, None, "A", "A"],
    split=["train", "val", "test", "test", "train"],
    file="x",
    stamp="1",
    reason=[None, "unknown-label", None, "corrupt", None],
    detail=[None, "class 40", None, "cut off", None],
)


def corrections(labels):
    return Corrections("c.csv", {"/c.csv": "0"}, labels)


def written(tmp_path, text):
    (tmp_path / "c.csv").write_bytes(text.encode())
    return str(tmp_path / "c.csv")


def test_labels_are_changed_and_only_what_was_refused_for_its_label_comes_in():
    found = corrections({"c": "C", "a": "X", "b": "B", "d": "D", "e": "A"}).apply(INDEX)
    assert found["label"].to_pylist() == ["X", "B", "C", "D", "A"]
    assert found["reason"].to_pylist() == [None, None, None, "corrupt", None]
    assert found["detail"].to_pylist() == [None, None, None, "cut off", None]
    others = [name for name in INDEX.column_names if name not in ("label", "reason", "detail")]
    assert found.select(others).equals(INDEX.select(others))
    assert found.schema.equals(INDEX.schema)
    assert changed_ids(INDEX, found).to_pylist() == ["a", "b", "c", "d"]


def test_no_corrections_change_nothing():
    found = corrections({}).apply(INDEX)
    assert found.equals(INDEX)
    assert changed_ids(INDEX, found).to_pylist() == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["A", "B", None]), st.sampled_from(["unknown-label", "blank", None])), min_size=1
    ),
    st.data(),
)
def test_each_row_is_as_a_plain_loop_has_it(rows, data):
    keys = [f"{number}.png" for number in range(len(rows))]
    labels, reasons = ([*column] for column in zip(*rows, strict=True))
    index = index_of(len(keys), key=keys, label=labels, file="x", stamp="1", reason=reasons, detail=reasons)
    index = pa.concat_tables([index.slice(0, 1), index.slice(1)])  # of several pieces, as sources make it
    given_ = data.draw(st.dictionaries(st.sampled_from(keys), st.sampled_from(["A", "B", "ß"])))
    found = corrections(given_).apply(index)
    assert found["label"].to_pylist() == [given_.get(key, label) for key, label in zip(keys, labels, strict=True)]
    assert found["reason"].to_pylist() == found["detail"].to_pylist()
    assert found["reason"].to_pylist() == [
        None if key in given_ and reason == "unknown-label" else reason
        for key, reason in zip(keys, reasons, strict=True)
    ]
    assert changed_ids(index, found).to_pylist() == [
        key for key, label in zip(keys, labels, strict=True) if given_.get(key, label) != label
    ]


def test_a_correction_of_no_input_is_one_clear_line():
    with pytest.raises(InputError, match=r"^c\.csv names 2 of 3 inputs that are not in scans, such as 'x': ") as caught:
        corrections({"a": "A", "x": "B", "y": "C"}).require(INDEX["key"], "scans")
    assert str(caught.value).endswith("ids there look like 'a'")
    corrections({"a": "A"}).require(INDEX["key"], "scans")
    corrections({}).require(INDEX["key"], "scans")


def test_of_several_files_the_last_one_that_names_an_input_counts(tmp_path):
    names = [str(tmp_path / f"{name}.csv") for name in ("first", "second")]
    for name, text in zip(names, ("id,label\na,A\nb,B\n", "id,label\nb,C\nc,D\n"), strict=True):
        Path(name).write_text(text)
    found = Corrections.open(names)
    assert found.labels == {"a": "A", "b": "C", "c": "D"}
    assert [*found.files] == names


def test_labels_are_spelt_as_sources_spell_them(tmp_path):
    location = written(tmp_path, 'id,label,was\n\'=a,e\u0301\nb,"A "\nc," "\n')
    found = Corrections.open([location])
    assert found.labels == {"=a": "é", "b": "A", "c": " "}
    assert (found.name, [*found.files]) == (location, [location])
    assert Corrections.open([written(tmp_path, "id,label\nb,A\n")]).files != found.files


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,label\na,\n", r"c\.csv has no label for 'a': .* fill the label in or remove the line"),
        ("file,label\na,B\nb,q\n", r"c\.csv has the label 'q' for 'b', which --alphabet A-Z does not have"),
        ("file,was\na,B\n", r"c\.csv needs the columns file \(or id\) and label"),
    ],
)
def test_corrections_that_say_nothing_or_what_there_is_not_are_one_clear_line(tmp_path, text, says):
    with pytest.raises(InputError, match=says) as caught:
        Corrections.open([written(tmp_path, text)], {"A", "B"}, "--alphabet A-Z")
    assert "\n" not in str(caught.value)


def write_formats(top, images, labels):
    """The same images in every format: format to the flags that read it."""
    count, height, width = images.shape
    (top / "idx").mkdir()
    head = struct.pack(">IIII", 0x803, count, height, width)
    told = struct.pack(">II", 0x801, count) + bytes(labels.tolist())
    (top / "idx" / "some-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()))
    (top / "idx" / "some-labels-idx1-ubyte.gz").write_bytes(gzip.compress(told))
    (top / "idx" / "some-mapping.txt").write_text("".join(f"{number} {ord('0') + number}\n" for number in range(10)))
    (top / "some.csv").write_text(lines(images, labels))
    np.savez(top / "some.npz", images=images, labels=labels)
    pq.write_table(pa.table({"image": [encode(one) for one in images], "label": labels}), top / "some.parquet")
    write_scans(top / "scans", images, labels)
    paths = sorted(str(path.relative_to(top / "scans")) for path in (top / "scans").rglob("*.png"))
    (top / "list.csv").write_bytes(to_csv(["file", "label"], [(path, path[0]) for path in paths]))
    mapping = {"mapping": str(top / "idx" / "some-mapping.txt")}
    return {
        "idx": {"source": str(top / "idx")},
        "emnist-idx": {"source": str(top / "idx")},
        "pixel-csv": {"source": str(top / "some.csv")},
        "emnist-csv": {"source": str(top / "some.csv"), **mapping},
        "numpy": {"source": str(top / "some.npz")},
        "parquet": {"source": str(top / "some.parquet")},
        "image-folder": {"source": str(top / "scans")},
        "image-csv": {"source": str(top / "list.csv"), "images": str(top / "scans")},
    }


def test_the_label_of_a_correction_reaches_the_shard_in_every_format(tmp_path, digits):
    out = Folder.open(str(tmp_path / "out"))
    for kind, flags in write_formats(tmp_path, digits[0][:6], digits[1][:6]).items():
        source = open_source(kind, Raw(**flags))
        index = source.index()
        keys, labels = index["key"].to_pylist(), index["label"].to_pylist()
        assert sorted(labels) == sorted(str(label) for label in digits[1][:6])
        mended = corrections({keys[4]: "Ä", keys[1]: "Q"})
        mended.require(index["key"], kind)
        part = mended.apply(index.set_column(2, INDEX.field("split"), pa.array(["test"] * 6)))
        shards.MakeShard(source, out, 28)(part.append_column("part", pa.array([kind] * 6)))
        table = out.read_table(f"samples/{kind}.parquet")
        assert table["id"].to_pylist() == keys, kind
        assert table["label"].to_pylist() == [labels[0], "Q", *labels[2:4], "Ä", labels[5]], kind
