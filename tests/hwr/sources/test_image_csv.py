"""Each line of a CSV is one input, wherever its images lie, and no path leaves its root."""

import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from hwr.archive import Archive
from hwr.errors import InputError, Reject
from hwr.sources import base
from hwr.sources.image_csv import ImageCsv
from hwr.spreadsheet import to_csv
from hwr.storage import Folder
from tests.pictures import digits, read


@pytest.fixture
def top(tmp_path):
    (tmp_path / "Img").mkdir()
    for number in range(6):
        Image.fromarray(digits()[number]).save(tmp_path / "Img" / f"img{number}-00{number % 3 + 1}.png")
    (tmp_path / "some.csv").write_text(
        "image,label\n" + "".join(f"Img/img{n}-00{n % 3 + 1}.png,{n}\n" for n in range(6))
    )
    return tmp_path


def source(top, images=None, **options):
    folder = Folder.open(str(top))
    return ImageCsv(folder, "some.csv", images or folder, **options)


def test_files_of_a_folder_are_read(top):
    index, images = read(source(top, writer_pattern=r"-0*(\d+)\.png$"))
    assert np.array_equal(images, digits()[:6])
    assert index["label"].to_pylist() == list("012345")
    assert index["writer"].to_pylist() == ["1", "2", "3"] * 2
    assert index["key"][0].as_py() == "Img/img0-001.png"


def test_archives_need_no_unpacking(top):
    with zipfile.ZipFile(top / "Img.zip", "w") as archive:
        for path in sorted((top / "Img").iterdir()):
            archive.write(path, f"Img/{path.name}")
    with tarfile.open(top / "Img.tar.gz", "w:gz") as archive:
        archive.add(top / "Img", "Img")
    for name in ("Img.zip", "Img.tar.gz"):
        index, images = read(source(top, Archive(Folder.open(str(top)), name)))
        assert np.array_equal(images, digits()[:6])
        assert index["key"][0].as_py() == f"{name}!/Img/img0-001.png"


def test_each_bad_line_is_a_reject_and_the_others_are_read(top):
    outside = top.parent / "outside.png"
    outside.write_bytes((top / "Img" / "img0-001.png").read_bytes())
    (top / "Img" / "link.png").symlink_to(outside)
    (top / "Img" / "cut.png").write_bytes((top / "Img" / "img0-001.png").read_bytes()[:99])
    (top / "Img" / "notes.txt").write_text("hello")
    (top / "Img" / "folder.png").mkdir()
    lines = {
        "../outside.png": "outside-folder", str(outside): "outside-folder", "C:\\x.png": "outside-folder",
        "Img/../../outside.png": "outside-folder", "Img/link.png": "outside-folder", "Img/none.png": "missing",
        "": "missing", "Img/notes.txt": "not-an-image", "Img/folder.png": "not-a-file", "Img/cut.png": "corrupt",
        "./Img//img3-001.png": None, "Img/../Img/img3-001.png": "named-twice", "Img\\img4-002.png": None,
    }  # fmt: skip
    (top / "some.csv").write_text("label;image\n" + "".join(f"{n};{path}\n" for n, path in enumerate(lines)))
    index, images = read(source(top))
    reasons = index["reason"].to_pylist()
    for row, image in zip([row for row, reason in enumerate(reasons) if reason is None], images, strict=True):
        reasons[row] = image.reason if isinstance(image, Reject) else None
    assert dict(zip(lines, reasons, strict=True)) == lines
    assert np.array_equal(images[-1], digits()[4])


def test_columns_are_named_or_found(top):
    body = "".join(f"{n},x,Img/img{n}-00{n % 3 + 1}.png\n" for n in range(6))
    for header, options in (
        ("what,when,where\n", {"image_column": "where", "label_column": "what"}),
        ("Label,when,FileName\n", {}),
    ):
        (top / "some.csv").write_text(header + body)
        assert source(top, **options).index()["label"].to_pylist() == list("012345")
    (top / "some.csv").write_text("".join(f"Img/img{n}-00{n % 3 + 1}.png,{n}\n" for n in range(6)))
    assert source(top).index()["label"].to_pylist() == list("012345")
    (top / "some.csv").write_text("a,b\n1,2\n")
    with pytest.raises(
        InputError, match=r"has no column of file names among a, b: call it image, or name it to hwr ingest with"
    ):
        source(top).index()
    with pytest.raises(InputError, match="has no column 'c' for --label-column: it has a, b"):
        source(top, image_column="a", label_column="c").index()


def test_labels_outside_the_alphabet_are_rejects(top):
    index = source(top, labels={"0": "zero", "1": "one"}).index()
    assert index["label"].to_pylist()[:3] == ["zero", "one", None]
    assert index["detail"].to_pylist()[2] == "label '2'"


@pytest.mark.parametrize("content", [b"", b"image,label\n", b"\n\n"])
def test_a_csv_that_names_nothing_is_one_line(top, content):
    (top / "some.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"some\.csv names no files"):
        source(top).index()


@pytest.mark.parametrize("content", [b'image,label\n"a.png,1\n', b"image,label\n\xff.png,1\n"])
def test_a_damaged_csv_is_one_line(top, content):
    (top / "some.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"some\.csv is not a CSV file in UTF-8"):
        source(top).index()


def test_english_comes_from_its_zip(data):
    folder = Folder.open(str(data / "english"))
    found = ImageCsv(folder, "english.csv", Archive(folder, "Img.zip"), writer_pattern=r"-0*(\d+)\.png$")
    index = found.index()
    assert len(index) == 3410
    assert index["reason"].null_count == 3410
    assert len(index["label"].unique()) == 62
    assert sorted(map(int, index["writer"].unique().to_pylist())) == list(range(1, 56))
    assert all(image.shape == (900, 1200) for image in found.read(index.slice(1000, 3)))


def test_folders_that_are_links_out_of_the_root_and_impossible_paths_are_rejects(top):
    (top.parent / "away").mkdir()
    (top / "Img" / "img0-001.png").rename(top.parent / "away" / "secret.png")
    (top / "link").symlink_to(top.parent / "away")
    long = "x" * 300 + ".png"
    (top / "some.csv").write_text(f"image,gt\nlink/secret.png,a\n{long},b\nIm\0g.png,c\nImg/img1-002.png,d\n")
    index, images = read(source(top))
    assert index["reason"].to_pylist() == ["outside-folder", "bad-name", "bad-name", None]
    assert index["label"].to_pylist()[3] == "d"
    assert np.array_equal(images, digits()[1:2])


def test_an_archive_is_read_in_its_own_order(top):
    with tarfile.open(top / "Img.tar.gz", "w:gz") as archive:
        for number in (4, 0, 2):
            archive.add(top / "Img" / f"img{number}-00{number % 3 + 1}.png", f"Img/img{number}-00{number % 3 + 1}.png")
    index, images = read(source(top, Archive(Folder.open(str(top)), "Img.tar.gz")))
    assert index["label"].to_pylist()[-3:] == ["4", "0", "2"]
    assert index["reason"].to_pylist()[:3] == ["missing"] * 3
    assert np.array_equal(images, digits()[[4, 0, 2]])


def test_a_csv_read_in_pieces_is_the_csv(top, monkeypatch):
    (top / "some.csv").write_text(
        "image,label\r" + "".join(f"Img/img{n}-00{n % 3 + 1}.png,{n}\r" for n in (0, 1, 2, 1))
    )
    whole = source(top).index()
    assert whole["reason"].to_pylist() == [None, None, None, "named-twice"]
    monkeypatch.setattr(base, "_INPUTS_AT_ONCE", 1)
    assert source(top).index().equals(whole)
    (top / "some.csv").write_bytes((top / "some.csv").read_bytes() + b",1\r\xff.png,2\r")
    with pytest.raises(InputError, match=r"some\.csv is not a CSV file in UTF-8"):
        source(top).index()
    (top / "some.csv").write_text("image,label\nImg/img0-001.png,0\n,1\n,2\n")
    assert source(top).index()["key"].to_pylist() == ["Img/img0-001.png", "some.csv#1", "some.csv#2"]


def test_names_and_labels_that_a_table_defused_are_what_they_were(top):
    names = ["=cmd().png", "'=b.png", "@ c.png", "-1.png"]
    for number, name in enumerate(names):
        Image.fromarray(digits()[number]).save(top / name)
    rows = [(name, label, None) for name, label in zip(names, ["=", "'-", "@x", "a"], strict=True)]
    (top / "some.csv").write_bytes(to_csv(["file", "label", "was"], rows))
    index, images = read(source(top))
    assert index["key"].to_pylist() == names
    assert index["label"].to_pylist() == ["=", "'-", "@x", "a"]
    assert np.array_equal(images, digits()[:4])


def test_in_an_archive_the_id_of_an_image_is_as_good_as_its_path(top):
    with zipfile.ZipFile(top / "Img.zip", "w") as archive:
        for path in sorted((top / "Img").iterdir()):
            archive.write(path, f"Img/{path.name}")
    by_path, _ = read(source(top, Archive(Folder.open(str(top)), "Img.zip")))
    rows = zip(by_path["key"].to_pylist(), by_path["label"].to_pylist(), strict=True)
    (top / "some.csv").write_bytes(to_csv(["file", "label"], rows))
    by_id, images = read(source(top, Archive(Folder.open(str(top)), "Img.zip")))
    assert by_id["key"][0].as_py() == "Img.zip!/Img/img0-001.png"
    assert by_id.equals(by_path)
    assert np.array_equal(images, digits()[:6])
