"""The cut depends on the inputs alone, loses nothing, and a file that exists is a part that is done."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from hwr import parts
from hwr.storage import Folder


@given(st.integers(0, 300_000))
def test_parts_are_the_whole_in_order_and_of_bounded_size(count):
    index = pa.table({"row": pa.array(range(count), pa.int64())})
    pieces = parts.cut(index, "train")
    assert sum(map(len, pieces)) == count
    assert all(len(piece) <= 8192 for piece in pieces)
    assert all(len(piece) >= 128 for piece in pieces[:-1])
    assert [piece["row"][0].as_py() for piece in pieces] == [sum(map(len, pieces[:i])) for i in range(len(pieces))]
    assert len({piece["part"][0].as_py() for piece in pieces}) == len(pieces)


def test_what_is_written_is_not_missing_and_can_be_collected(tmp_path):
    out = Folder.open(str(tmp_path))
    pieces = parts.cut(pa.table({"row": range(300)}), "part")
    out.write_table("done/part-00001.parquet", pieces[1])
    assert parts.missing(pieces, out / "done") == [pieces[0], pieces[2]]
    for number in (0, 2):
        out.write_table(f"done/part-0000{number}.parquet", pieces[number])
    files = parts.files(pieces, out, "done")
    whole = pa.concat_tables([out.read_table(entry["name"], ["row"]) for entry in files])
    assert [entry["bytes"] for entry in files] == [(tmp_path / entry["name"]).stat().st_size for entry in files]
    assert whole["row"].to_pylist() == list(range(300))
    assert [(entry["name"], entry["rows"]) for entry in files] == [
        ("done/part-00000.parquet", 128), ("done/part-00001.parquet", 128), ("done/part-00002.parquet", 44),
    ]  # fmt: skip


def test_a_file_that_is_damaged_or_of_other_rows_is_missing(tmp_path):
    done = Folder.open(str(tmp_path))
    pieces = parts.cut(pa.table({"row": range(600), "other": range(600)}), "part")
    for number, piece in enumerate(pieces):
        done.write_table(f"part-0000{number}.parquet", piece.rename_columns(["id", "other", "part"]))
    assert parts.missing(pieces, done, id="row") == []
    whole = (tmp_path / "part-00001.parquet").read_bytes()
    (tmp_path / "part-00001.parquet").write_bytes(whole[:-100])
    (tmp_path / "part-00002.parquet").write_bytes(whole)
    (tmp_path / "part-00003.parquet").write_bytes(b"")
    done.write_table("part-00004.parquet", pieces[4].select(["other"]))
    assert parts.missing(pieces, done) == []
    assert parts.missing(pieces, done, id="row") == pieces[1:]
