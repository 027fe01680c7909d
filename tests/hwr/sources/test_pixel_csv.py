"""Lines of pixels become images, however they are packed and headed; an odd line costs itself and nothing else."""

import gzip
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hwr.errors import InputError, Reject
from hwr.sources.pixel_csv import PixelCsv, parse
from hwr.storage import Folder
from tests.pictures import idx, lines, read

DIGITS = dict(enumerate("0123456789"))
LETTERS = dict(enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


def source(folder, name="some.csv", characters=DIGITS, **options):
    return PixelCsv(Folder.open(str(folder)), (name,), characters, **options)


@pytest.fixture(scope="module")
def some(digits):
    return digits[0][:30], digits[1][:30]


TABLES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 6), st.just(5)))


@given(TABLES, st.sampled_from([b",", b";", b"\t"]))
def test_parsing_reads_every_table_of_bytes(table, delimiter):
    text = b"".join(delimiter.join(str(value).encode() for value in row) + b"\n" for row in table.tolist())
    assert np.array_equal(parse(text, 5, delimiter), table)


CELLS = st.lists(st.text("0123456789-. a", max_size=4), min_size=1, max_size=7)


@given(st.lists(CELLS, min_size=1, max_size=4))
def test_parsing_gives_up_on_anything_that_is_no_table_of_bytes(rows):
    text = "".join(",".join(row) + "\n" for row in rows).encode()
    found = parse(text, 5)
    plain = [len(row) == 5 and all(c.isdecimal() and str(int(c)) == c and int(c) < 256 for c in row) for row in rows]
    assert (found is not None) == all(plain)
    if found is not None:
        assert found.tolist() == [[int(cell) for cell in row] for row in rows]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("header", ["", "label,{}", '"label","{}"', "\ufefflabel,{}"])
def test_headers_and_line_ends_make_no_difference(tmp_path, some, header, end):
    names = header.format(('","' if '"' in header else ",").join(f"pixel{number}" for number in range(64)))
    text = f"{names}{end if header else ''}{lines(*some, end)}"
    (tmp_path / "some.csv").write_text(text, newline="")
    index, images = read(source(tmp_path))
    assert index["label"].to_pylist() == [str(label) for label in some[1]]
    assert index["key"].to_pylist()[:2] == ["some.csv#0", "some.csv#1"]
    assert np.array_equal(images, some[0])


def test_packed_files_are_read_like_plain_ones(tmp_path, some):
    text = lines(*some).encode()
    (tmp_path / "some.csv.gz").write_bytes(gzip.compress(text))
    with zipfile.ZipFile(tmp_path / "some.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("some.csv", text)
    for name in ("some.csv.gz", "some.csv.zip"):
        assert np.array_equal(read(source(tmp_path, name))[1], some[0])


def test_the_label_stands_where_the_header_says_or_in_a_named_column(tmp_path, some):
    images, labels = some
    rows = np.column_stack([images.reshape(30, -1), labels]).tolist()
    body = "".join(",".join(map(str, row)) + "\n" for row in rows)
    for name, options in (("Class", {}), ("what", {"label_column": "what"})):
        (tmp_path / "some.csv").write_text(",".join(f"p{number}" for number in range(64)) + f",{name}\n{body}")
        index, found = read(source(tmp_path, **options))
        assert index["label"].to_pylist() == [str(label) for label in labels]
        assert np.array_equal(found, images)
    with pytest.raises(InputError, match="has no column 'none' for --label-column: its first columns are p0, p1"):
        source(tmp_path, label_column="none").index()


def test_lines_of_a_square_alone_have_no_label(tmp_path, some):
    (tmp_path / "some.csv").write_text("\n".join(",".join(map(str, image.reshape(-1))) for image in some[0]))
    index, images = read(source(tmp_path))
    assert index["label"].null_count == 30
    assert np.array_equal(images, some[0])


def test_each_odd_line_is_a_reject_and_the_others_are_read(tmp_path, some):
    body = lines(*some).splitlines()
    cells = body[3].split(",")
    body[3] = ",".join(cells[:-1])
    body[5] = ",".join([*body[5].split(",")[:-1], "256"])
    body[7] = ",".join([*body[7].split(",")[:-1], "-1"])
    body[9] = ",".join([*body[9].split(",")[:-1], "x"])
    body[11] = ",".join([*body[11].split(",")[:-1], "0.5"])
    body[13] = "77" + body[13][1:]
    body[15] = ",".join(f'"{cell}"' for cell in body[15].split(","))
    body[17] = ",".join(f"{cell}.0" for cell in body[17].split(","))
    body[19] = body[19] + "\n\n"  # empty lines are no inputs
    (tmp_path / "some.csv").write_text("\n".join(body))
    index, images = read(source(tmp_path))
    assert len(index) == 30
    marks = zip(index["reason"].to_pylist(), index["detail"].to_pylist(), strict=True)
    assert {row: mark for row, mark in enumerate(marks) if mark[0]} == {13: ("unknown-label", "class 77")}
    images.insert(13, some[0][13])
    assert {row: image for row, image in enumerate(images) if isinstance(image, Reject)} == {
        3: Reject("wrong-length", "64 fields instead of 65"),
        5: Reject("out-of-range", "256 is not a whole number from 0 to 255"),
        7: Reject("out-of-range", "-1 is not a whole number from 0 to 255"),
        9: Reject("not-a-number", "'x' as a pixel"),
        11: Reject("out-of-range", "0.5 is not a whole number from 0 to 255"),
    }
    good = [row for row in range(30) if not isinstance(images[row], Reject)]
    assert np.array_equal([images[row] for row in good], some[0][good])


def test_a_label_that_is_a_character_is_taken_as_it_is(tmp_path, some):
    (tmp_path / "some.csv").write_text(lines(some[0][:2], np.array(["B", "?"])))
    index = source(tmp_path, characters=LETTERS).index()
    assert index["label"].to_pylist() == ["B", None]
    assert index["detail"].to_pylist() == [None, "label '?'"]


def test_a_damaged_file_gives_what_lies_before_the_damage_and_one_reject(tmp_path, data):
    packed = (data / "az" / "A_Z_sample_kaggle_format.csv.gz").read_bytes()
    (tmp_path / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    found = source(tmp_path, "cut.csv.gz", LETTERS)
    index, images = read(found)
    assert index["reason"].to_pylist()[-1] == "corrupt"
    assert index["reason"].null_count == len(index) - 1 == len(images)
    whole = source(data / "az", "A_Z_sample_kaggle_format.csv.gz", LETTERS)
    assert np.array_equal(images, list(whole.read(whole.index().slice(0, len(images)))))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a CSV file with a line for each image"),
        (b"\x89PNG\0\0", "is not a CSV file"),
        (b"1,2,3,4\n" * 3, "has lines of 4 fields|no label"),
        (b"1,2,3,4,5,6,7\n", "has lines of 7 fields: expected a label and the pixels of a square image"),
        (b"label,a,b,c,d\n", "has no line of pixels in it"),
    ],
)
def test_what_is_no_table_of_images_is_one_line(tmp_path, content, message):
    (tmp_path / "some.csv").write_bytes(content)
    if b"1,2,3,4\n" in content:
        assert source(tmp_path).index()["label"].null_count == 3  # a square of 2 x 2
        return
    with pytest.raises(InputError, match=message):
        source(tmp_path).index()


def test_kaggles_mnist_is_the_official_test_set(data):
    found = source(data / "mnist", "mnist_test.csv.zip")
    index, images = read(found)
    assert index["split"].unique().to_pylist() == ["test"]
    assert np.array_equal(images, idx("mnist/t10k-images-idx3-ubyte.gz"))
    labels = gzip.decompress((data / "mnist" / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    assert index["label"].to_pylist() == [str(label) for label in labels]


def test_kaggles_emnist_is_turned_upright(data):
    found = source(data / "emnist47r", "emnist47r-sample.csv.gz", dict(enumerate(map(str, range(47)))), transposed=True)
    raw = np.loadtxt(data / "emnist47r" / "emnist47r-sample.csv.gz", np.uint8, delimiter=",", max_rows=50)
    assert np.array_equal(
        list(found.read(found.index().slice(0, 50))), raw[:, 1:].reshape(-1, 28, 28).transpose(0, 2, 1)
    )


@pytest.mark.parametrize("place", [0, 64])
def test_the_numbered_header_that_pandas_writes_is_a_header(tmp_path, some, place):
    names = [str(number) for number in range(64)]
    names.insert(place, "label")
    rows = np.insert(some[0].reshape(30, -1), place, some[1], axis=1)
    text = ",".join(names) + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows.tolist())
    (tmp_path / "some.csv").write_text(text)
    index, images = read(source(tmp_path))
    assert index["label"].to_pylist() == [str(label) for label in some[1]]
    assert np.array_equal(images, some[0])
    (tmp_path / "some.csv").write_text(text.replace("label", "digit"))
    with pytest.raises(InputError, match="has no column called label: say with --label-column"):
        source(tmp_path).index()
    assert np.array_equal(read(source(tmp_path, label_column="digit"))[1], some[0])


def test_a_column_of_characters_is_read_as_characters_also_where_some_are_digits(tmp_path, some):
    az35 = dict(enumerate("123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    (tmp_path / "some.csv").write_text(lines(some[0][:4], np.array(["1", "9", "A", "Z"])))
    assert source(tmp_path, characters=az35).index()["label"].to_pylist() == list("19AZ")
    (tmp_path / "some.csv").write_text(lines(some[0][:4], np.array(["0", "1", "2", "A"])))
    index = source(tmp_path, characters=az35).index()
    assert index["label"].to_pylist() == ["1", "2", "3", None]
    assert index["detail"].to_pylist()[3] == "label 'A'"


def test_a_short_last_line_costs_itself_alone(tmp_path, some):
    for end in ("5", "5,", "5\n"):
        (tmp_path / "some.csv").write_text(lines(*some) + end)
        images = read(source(tmp_path))[1]
        assert np.array_equal(images[:30], some[0])
        assert images[30].reason == "wrong-length"
    assert parse(b"007,5\n", 3) is None
