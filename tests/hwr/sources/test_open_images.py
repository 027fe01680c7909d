"""Whatever `hwr label` is pointed at becomes a source with one row an input, each with a key of its own."""

import io
import os
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwr.errors import HwrError, InputError
from hwr.sources import ImageFolder, ParquetImages, open_images, read_by_id, read_glyphs
from tests.pictures import digits, encode

GOOD = encode(digits()[0])
FILES = {
    "A/1.png": None, "A/deep/2.png": None, "b/=cmd() ö 'q' \"x\",\n.png": None, "loose.png": None,
    "A/cut.png": "corrupt", "A/notes.txt": "not-an-image", "A/empty.png": "empty",
}  # fmt: skip
LABELS = {"A/1.png": "A", "A/deep/2.png": "A", "A/cut.png": "A", "A/notes.txt": "A", "A/empty.png": "A"}


def content(name):
    return {"cut.png": GOOD[:60], "notes.txt": b"hello", "empty.png": b""}.get(name.rpartition("/")[2], GOOD)


def outcome(location):
    """Key to (label, reason) of all that is opened; every key is there once."""
    source = open_images(str(location), None)
    index = source.index()
    glyphs, rejects = read_glyphs(source, index, 28)
    assert [reject is None for reject in rejects] == [glyph.any() for glyph in glyphs]
    assert len(set(index["key"].to_pylist())) == len(index)
    rows = zip(index["label"].to_pylist(), (reject and reject.reason for reject in rejects), strict=True)
    return dict(zip(index["key"].to_pylist(), rows, strict=True))


def reasons(location):
    return {key: reason for key, (_, reason) in outcome(location).items()}


def put(top, names=FILES):
    for name in names:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content(name))


def zipped(path, files=FILES):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in files:
            archive.writestr(name, content(name))


def tarred(path, files=FILES, mode="w:gz"):
    with tarfile.open(path, mode, errors="surrogateescape") as archive:
        for name in files:
            info = tarfile.TarInfo(name)
            info.size = len(content(name))
            archive.addfile(info, io.BytesIO(content(name)))


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz"])
def test_an_archive_says_what_the_folder_it_unpacks_to_says(tmp_path, name):
    (tmp_path / "in").mkdir()
    put(tmp_path / "in")
    (zipped if name == "x.zip" else tarred)(tmp_path / name)
    found = outcome(tmp_path / name)
    assert found == {f"{name}!/{key}": row for key, row in outcome(tmp_path / "in").items()}
    assert {key: reason for key, (_, reason) in found.items()} == {f"{name}!/{key}": FILES[key] for key in FILES}
    assert [key.partition("!/")[2] for key in found] == list(FILES)  # a packed tar can only be read forwards


def test_folders_of_splits_and_clutter_in_an_archive_are_those_of_a_folder(tmp_path):
    zipped(tmp_path / "x.zip", ["train/A/1.png", "./test/B/2.png", "__MACOSX/A/._1.png", "train/.DS_Store"])
    index = open_images(str(tmp_path / "x.zip"), None).index()
    assert index.select(["file", "label", "split"]).to_pylist() == [
        {"file": "train/A/1.png", "label": "A", "split": "train"},
        {"file": "test/B/2.png", "label": "B", "split": "test"},
    ]
    zipped(tmp_path / "x.zip", [".hidden"])
    with pytest.raises(InputError, match=r"x\.zip has no files in it"):
        outcome(tmp_path / "x.zip")


def test_paths_that_lead_out_of_an_archive_are_rejects_without_a_label(tmp_path):
    names = ["A/1.png", "../A/1.png", "/A/1.png", "A/../../1.png", "..\\1.png", "C:\\1.png", "//../A/1.png"]
    names.append("A/" + "x" * 300 + ".png")
    zipped(tmp_path / "x.zip", names)
    found = outcome(tmp_path / "x.zip")
    assert list(found.values()) == [("A", None), *[(None, "outside-folder")] * 6, (None, "bad-name")]
    assert [key for key in found if not key.startswith("x.zip!///")] == ["x.zip!/A/1.png"]
    tarred(tmp_path / "y.tar", ["A/\udcff.png", "A/\\udcff.png"], "w:")
    assert outcome(tmp_path / "y.tar") == {
        "y.tar!///A/\\udcff.png": (None, "bad-name"), "y.tar!/A/\\udcff.png": ("A", None),
    }  # fmt: skip


def test_links_and_locked_files_in_archives_are_rejects(tmp_path):
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("good.png", GOOD)
    data = bytearray((tmp_path / "x.zip").read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1  # the flag of a password, in the directory of the archive
    (tmp_path / "locked.zip").write_bytes(data)
    assert reasons(tmp_path / "x.zip") == {"x.zip!/link.png": "not-a-file", "x.zip!/good.png": None}
    assert reasons(tmp_path / "locked.zip")["locked.zip!/good.png"] == "encrypted"


@given(st.data())
def test_a_damaged_archive_is_one_line_or_rejects(tmp_path_factory, data):
    top = tmp_path_factory.getbasetemp()
    name = data.draw(st.sampled_from(["d.zip", "d.tar", "d.tar.gz", "d.tar.bz2", "d.tar.xz"]))
    zipped(top / name) if name == "d.zip" else tarred(top / name, mode=f"w:{name[6:]}")
    whole = bytearray((top / name).read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        whole[place] ^= data.draw(st.integers(1, 255))
    (top / name).write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        assert len(outcome(top / name)) >= 1
    except HwrError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either is right


def test_a_tar_with_a_broken_header_does_not_lose_what_is_behind_it(tmp_path):
    tarred(tmp_path / "x.tar", ["1.png", "2.png", "3.png"], "w:")
    data = bytearray((tmp_path / "x.tar").read_bytes())
    data[data.index(b"2.png")] ^= 255
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(InputError, match=r"x\.tar is damaged or no archive: a broken header after 1 files"):
        outcome(tmp_path / "x.tar")


LINES = {
    "A/1.png": None, "gone.png": "missing", "../secret.png": "outside-folder", "/etc/passwd": "outside-folder",
    "link/secret.png": "outside-folder", "A": "not-an-image", "A/cut.png": "corrupt", " lead ö.png": None,
}  # fmt: skip


@pytest.fixture
def listed(tmp_path):
    """A folder with files to list, and beside it one that no list may reach."""
    top = tmp_path / "top"
    top.mkdir()
    put(top, ["A/1.png", "A/cut.png", " lead ö.png"])
    (tmp_path / "away").mkdir()
    (tmp_path / "secret.png").write_bytes(GOOD)
    (tmp_path / "away" / "secret.png").write_bytes(GOOD)
    (top / "link").symlink_to(tmp_path / "away")
    return top


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_each_line_of_a_text_is_one_row_with_a_key_of_its_own(listed, end):
    lines = [*LINES, "", "A/1.png", "./A\\1.png", "../secret.png", "   "]
    (listed / "list.txt").write_text("\ufeff" + end.join(lines), encoding="utf-8", newline="")
    again = {"A/1.png//2": "named-twice", "A/1.png//3": "named-twice", "../secret.png//2": "outside-folder"}
    assert reasons(listed / "list.txt") == LINES | again


def test_each_line_of_a_csv_is_one_row_with_its_label(listed):
    (listed / "list.csv").write_text("image,label\nA/1.png,A\n,B\nA/1.png,C\nlist.csv#1,D\n/etc/passwd,E\n")
    assert outcome(listed / "list.csv") == {
        "A/1.png": ("A", None), "list.csv#1": ("B", "missing"), "A/1.png//2": ("C", "named-twice"),
        "list.csv#1//2": ("D", "missing"), "/etc/passwd": ("E", "outside-folder"),
    }  # fmt: skip


@given(st.lists(st.text(st.sampled_from("a/.\\#2 ")), min_size=1))
def test_no_two_lines_share_a_key(tmp_path_factory, lines):
    path = tmp_path_factory.getbasetemp() / "a.csv"
    path.write_text("image\n" + "".join(f'"{line}"\n' for line in lines))
    assert len(outcome(path)) == len(lines)
    path = path.with_suffix(".txt")
    path.write_text("".join(f"{line}\n" for line in [*lines, "a"]))
    assert len(outcome(path)) == 1 + sum(bool(line.strip()) for line in lines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n \r\n", "names no files"),
        (b"", "names no files"),
        ("ä.png".encode("utf-16"), "is not a text file in UTF-8"),
    ],
)
def test_a_text_that_is_no_list_is_one_line(tmp_path, content, message):
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        outcome(tmp_path / "list.txt")


def table(labels):
    return pa.table({"image": pa.array([GOOD, b"broken"], pa.binary()), "label": labels})


def test_parquet_is_read_by_file_and_by_folder(tmp_path):
    for name in ("b.parquet", "a.parquet"):
        pq.write_table(table(["x", "y"]), tmp_path / name)
    rows = {"a.parquet#0": ("x", None), "a.parquet#1": ("y", "not-an-image")}
    assert outcome(tmp_path / "a.parquet") == rows
    (tmp_path / "README.md").touch()
    (tmp_path / ".hidden.png").touch()
    assert outcome(tmp_path) == rows | {key.replace("a.", "b."): row for key, row in rows.items()}
    (tmp_path / "1.png").write_bytes(GOOD)
    assert isinstance(open_images(str(tmp_path), None), ImageFolder)
    (tmp_path / "1.png").unlink()
    (tmp_path / "A").mkdir()
    assert outcome(tmp_path).keys() == {"a.parquet#0", "a.parquet#1", "b.parquet#0", "b.parquet#1"}
    put(tmp_path, ["A/1.png"])
    assert isinstance(open_images(str(tmp_path), None), ImageFolder)


def test_parquet_is_read_from_the_folders_of_the_hub(tmp_path):
    (tmp_path / "data").mkdir()
    assert isinstance(open_images(str(tmp_path), None), ImageFolder)
    pq.write_table(table(["x", "y"]), tmp_path / "data" / "train-00000-of-00001.parquet")
    (tmp_path / "README.md").touch()
    assert outcome(tmp_path) == {
        "data/train-00000-of-00001.parquet#0": ("x", None),
        "data/train-00000-of-00001.parquet#1": ("y", "not-an-image"),
    }
    put(tmp_path, ["pictures/1.png"])
    assert isinstance(open_images(str(tmp_path), None), ImageFolder)


def test_images_need_no_splits(tmp_path):
    names = ["train/1.png", "test/1.png", "other/1.png"]
    put(tmp_path / "in", names)
    zipped(tmp_path / "x.zip", names)
    found = {name: (name.partition("/")[0], None) for name in names}
    assert outcome(tmp_path / "in") == found
    assert outcome(tmp_path / "x.zip") == {f"x.zip!/{key}": row for key, row in found.items()}
    put(tmp_path / "splits", ["train/A/1.png", "test/A/1.png"])
    assert set(outcome(tmp_path / "splits").values()) == {("A", None)}


def test_a_class_number_that_means_nothing_here_does_not_keep_an_image_from_being_read(tmp_path):
    pq.write_table(table([3, 40]), tmp_path / "a.parquet")
    assert outcome(tmp_path / "a.parquet") == {"a.parquet#0": ("3", None), "a.parquet#1": (None, "not-an-image")}
    pq.write_table(table([40, 3]), tmp_path / "a.parquet")
    assert outcome(tmp_path / "a.parquet")["a.parquet#0"] == (None, None)


def test_a_single_image_is_one_row(tmp_path):
    put(tmp_path, ["A/1.png", "A/cut.png"])
    (tmp_path / "link.png").symlink_to(tmp_path / "A" / "1.png")
    assert outcome(tmp_path / "A" / "1.png") == {"1.png": (None, None)}
    assert outcome(tmp_path / "A" / "cut.png") == {"cut.png": (None, "corrupt")}
    assert outcome(tmp_path / "link.png") == {"link.png": (None, None)}


def test_what_cannot_be_read_is_one_line_that_lists_what_can(tmp_path):
    (tmp_path / "x.npy").touch()
    os.mkfifo(tmp_path / "pipe.png")
    for name, message in {
        "x.npy": r"x\.npy is none of the files that images are read from: give a folder, an archive \(\.zip, \.tar, ",
        "none.zip": r"there is no file or folder .*/none\.zip: give a folder",
        "pipe.png": r"there is no file or folder .*/pipe\.png: .* a list of files \(\.txt, \.csv\), Parquet",
    }.items():
        with pytest.raises(InputError, match=message):
            open_images(str(tmp_path / name), None)
    put(tmp_path, ["A/1.png"])
    with pytest.raises(InputError, match="--split test needs a samples folder"):
        open_images(str(tmp_path / "A" / "1.png"), "test")


def test_rows_are_the_same_from_any_working_directory_and_by_uri(listed, monkeypatch):
    zipped(listed / "x.zip")
    (listed / "list.txt").write_text("A/1.png\n")
    pq.write_table(table(["x", "y"]), listed / "a.parquet")
    for name in ("x.zip", "list.txt", "a.parquet", "A/1.png"):
        index = open_images(str(listed / name), None).index()
        monkeypatch.chdir(listed)
        assert open_images(name, None).index().equals(index)
        monkeypatch.chdir(listed / "A")
        assert open_images(f"../{name}", None).index().equals(index)
        assert open_images((listed / name).as_uri(), None).index().equals(index)


def test_a_few_of_any_kind_are_read_by_id(listed):
    zipped(listed / "x.zip")
    tarred(listed / "x.tgz")
    (listed / "list.txt").write_text("A/1.png\nA/1.png\n")
    pq.write_table(table(["x", "y"]), listed / "a.parquet")
    names = {
        "x.zip": "x.zip!/A/1.png", "x.tgz": "x.tgz!/A/1.png", "list.txt": "A/1.png", "a.parquet": "a.parquet#0",
        "A/1.png": "1.png", "": "A/1.png",
    }  # fmt: skip

    def read(name: str, wanted: list[str]) -> dict:
        place = str(listed / name)
        return read_by_id({"location": place, "split": None}, open_images(place, None).index(), wanted, 28)

    expected = read("A", ["1.png"])["1.png"]
    for name, key in names.items():
        wanted = [key, "A/1.png//2", "a.parquet#1", "nobody"]
        found = read(name, wanted)
        assert found.keys() == {key}
        assert np.array_equal(found[key], expected)
    assert isinstance(open_images(str(listed / "a.parquet"), None), ParquetImages)


def test_a_table_without_a_clear_column_is_told_what_labelling_can_do(tmp_path):
    pq.write_table(table(["x", "y"]).rename_columns(["one", "two"]).append_column("three", [[GOOD, GOOD]]),
                   tmp_path / "a.parquet")  # fmt: skip
    (tmp_path / "list.csv").write_text("scan,label\na,b\n")
    for name in ("a.parquet", "list.csv"):
        with pytest.raises(InputError, match="image, or name it to hwr ingest with --image-column"):
            outcome(tmp_path / name)


@pytest.mark.parametrize("content", ["[]", "3", "no JSON", '{"kind": "mine"}', ""])
def test_another_programs_config_does_not_keep_a_folder_from_being_read(tmp_path, content):
    put(tmp_path, ["1.png"])
    (tmp_path / "config.json").write_text(content)
    assert reasons(tmp_path) == {"1.png": None, "config.json": "not-an-image"}
