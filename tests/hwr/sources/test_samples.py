"""A samples folder reads back as it was written, one split or all of them."""

import numpy as np
import pyarrow as pa
import pytest

from hwr import glyph, manifest, schema
from hwr.errors import InputError
from hwr.sources import ImageFolder, Samples, open_images, read_by_id, read_glyphs
from hwr.storage import Folder
from tests.jobs import scan


@pytest.fixture
def folder(tmp_path, digits):
    """Two splits of two samples each; the glyphs are real digits."""
    out = Folder.open(str(tmp_path / "samples"))
    glyphs = np.stack([glyph.canonical(scan(digit)) for digit in digits[0][:4]])
    manifest.claim(out, "samples", {}, {})
    files = []
    for split, rows in (("train", slice(0, 2)), ("test", slice(2, 4))):
        ids = [f"{split}/{number}" for number in range(2)]
        columns = [ids, schema.images_to_arrow(glyphs[rows]), ["a", None], [split] * 2, ["set"] * 2, ["7", None]]
        name = f"samples/{split}-00000.parquet"
        out.write_table(name, pa.table(columns, schema=schema.samples(28)))
        files.append({"name": name, "rows": 2})
    manifest.complete(
        out,
        "samples",
        {"files": files, "fingerprint": "1", "size": 28, "counts": {"splits": {"train": 2, "val": 0, "test": 2}}},
    )
    return out, glyphs


def test_a_split_comes_back_bit_for_bit(folder):
    out, glyphs = folder
    source = open_images(out.name, "test")
    index = source.index()
    assert index["key"].to_pylist() == ["test/0", "test/1"]
    assert index.select(["label", "split", "writer"]).to_pylist() == [
        {"label": "a", "split": "test", "writer": "7"}, {"label": None, "split": "test", "writer": None},
    ]  # fmt: skip
    read, rejects = read_glyphs(source, index, 28)
    assert np.array_equal(read, glyphs[2:])
    assert rejects == [None, None]


def test_without_a_split_all_samples_come(folder):
    assert len(open_images(folder[0].name, None).index()) == 4


def test_a_split_without_samples_is_one_line(folder):
    with pytest.raises(InputError, match="has no samples in its val split"):
        open_images(folder[0].name, "val").index()


def test_an_unfinished_folder_is_not_taken_for_a_folder_of_images(folder):
    out, _ = folder
    (out.fs).delete_file(f"{out.path}/manifest.json")
    with pytest.raises(InputError, match="its ingest did not finish"):
        open_images(out.name, None).index()


def test_other_folders_are_folders_of_images_and_have_no_split(tmp_path):
    assert isinstance(open_images(str(tmp_path), None), ImageFolder)
    assert not Samples.is_samples(Folder.open(str(tmp_path)))
    with pytest.raises(InputError, match="--split test needs a samples folder"):
        open_images(str(tmp_path), "test")


def test_a_few_are_read_by_id_and_what_is_gone_is_left_out(folder):
    out, glyphs = folder
    where, listed = {"location": out.location, "split": None}, Samples(out).index()
    found = read_by_id(where, listed, ["test/1", "train/0", "nobody"], 28)
    assert found.keys() == {"test/1", "train/0"}
    assert np.array_equal(found["test/1"], glyphs[3])
    assert read_by_id({"location": "/nowhere", "split": None}, listed, ["test/1"], 28) == {}
    other = listed.set_column(listed.schema.get_field_index("stamp"), "stamp", pa.repeat("other", len(listed)))
    assert read_by_id(where, other, ["test/1"], 28) == {}
