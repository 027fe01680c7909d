"""Flags and formats become the right source, and flags that do not go together are one line."""

import gzip
import zipfile

import numpy as np
import pytest
from PIL import Image

from hwr.errors import InputError
from hwr.sources import Raw, open_source
from tests.pictures import lines


@pytest.fixture
def top(tmp_path, digits):
    text = lines(digits[0][:4], digits[1][:4]).encode()
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(text))
    (tmp_path / "a.csv").write_bytes(text)
    (tmp_path / "notes.txt").touch()
    return tmp_path


def labels(kind, **raw):
    return open_source(kind, Raw(**raw)).index()["label"].to_pylist()


def test_a_folder_stands_for_its_files_and_a_file_for_itself(top):
    index = open_source("pixel-csv", Raw(str(top))).index()
    assert index["file"].unique().to_pylist() == ["a.csv", "b.csv.gz"]
    assert len(open_source("pixel-csv", Raw(str(top / "b.csv.gz"))).index()) == 4
    assert open_source("pixel-csv", Raw((top / "a.csv").as_uri())).index()["key"][0].as_py() == "a.csv#0"
    with pytest.raises(InputError, match=r"has no \.npy or \.npz files in it"):
        open_source("numpy", Raw(str(top)))
    (top / "b.csv").write_bytes((top / "a.csv").read_bytes())
    with pytest.raises(InputError, match=r"has b\.csv both plain and packed"):
        open_source("pixel-csv", Raw(str(top)))
    with pytest.raises(InputError, match=r"there is no folder .*/none"):
        open_source("pixel-csv", Raw(str(top / "none")))


def test_class_numbers_go_through_an_alphabet_or_a_mapping(top):
    assert labels("pixel-csv", source=str(top / "a.csv")) == list("0123")
    assert labels("pixel-csv", source=str(top / "a.csv"), alphabet="A-Z") == list("ABCD")
    for name, text in (("m.json", '{"0": "x", "1": "y", "2": "z", "3": "ä"}'), ("m.txt", "0 120\n1 121\n2 122\n3 228")):
        (top / name).write_text(text)
        assert labels("pixel-csv", source=str(top / "a.csv"), mapping=str(top / name)) == list("xyzä")
    (top / "emnist-mapping.txt").write_text("0 65\n1 66\n2 67\n3 68\n")
    assert labels("emnist-csv", source=str(top / "a.csv")) == list("ABCD")


def test_images_of_a_csv_lie_beside_it_in_the_only_archive_or_where_it_is_said(tmp_path, digits):
    (tmp_path / "some.csv").write_text("image,label\nx/1.png,a\n")
    (tmp_path / "x").mkdir()
    Image.fromarray(digits[0][0]).save(tmp_path / "x" / "1.png")

    def key(**raw):
        return open_source("image-csv", Raw(str(tmp_path / "some.csv"), **raw)).index()["key"][0].as_py()

    assert key() == "x/1.png"
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(tmp_path / "x" / "1.png", "x/1.png")
    assert key() == "x/1.png"
    assert key(images=str(tmp_path / "x.zip")) == "x.zip!/x/1.png"
    (tmp_path / "x").rename(tmp_path / "y")
    assert key() == "x.zip!/x/1.png"
    (tmp_path / "z").mkdir()
    (tmp_path / "y").rename(tmp_path / "z" / "x")
    found = open_source("image-csv", Raw(str(tmp_path / "some.csv"), images=str(tmp_path / "z")))
    assert np.array_equal(next(iter(found.read(found.index()))), digits[0][0])


@pytest.mark.parametrize(
    ("kind", "raw", "message"),
    [
        ("idx", {"images": "x"}, "--images has no use with --format idx"),
        ("numpy", {"writer_pattern": "x"}, "--writer-pattern has no use with --format numpy"),
        ("image-folder", {"label_column": "x"}, "--label-column has no use with --format image-folder"),
        ("pixel-csv", {"alphabet": "digits", "mapping": "x"}, "give one of them"),
        ("pixel-csv", {"mapping": "none.txt"}, "there is no mapping file"),
        ("image-csv", {}, "has 2 CSV files: give one of them as --source"),
        ("image-folder", {"writer_pattern": "("}, r"--writer-pattern \( is not a regular expression"),
        ("image-folder", {"writer_pattern": "x"}, "--writer-pattern x needs a group around the writer"),
        ("emnist-csv", {}, r"has no \*-mapping\.txt"),
        ("parquet", {}, r"has no \.parquet files in it"),
    ],
)
def test_flags_that_make_no_sense_are_one_line(top, kind, raw, message):
    (top / "c.csv").touch()
    with pytest.raises(InputError, match=message):
        open_source(kind, Raw(str(top), **raw))
