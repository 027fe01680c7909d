"""Every file of a folder becomes one row: a glyph with its label, or a reject that says why."""

import os

import numpy as np
import pyarrow.fs as pafs
import pytest
from PIL import Image

from hwr.errors import InputError, Reject
from hwr.sources import ImageFolder, base, read_glyphs
from hwr.storage import Folder
from tests.pictures import digits, encode


def source(path, **settings) -> ImageFolder:
    return ImageFolder(Folder.open(str(path)), **settings)


def put(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def labels(found: ImageFolder) -> dict:
    index = found.index()
    return dict(zip(index["key"].to_pylist(), index["label"].to_pylist(), strict=True))


@pytest.fixture
def image(digits):
    return 255 - np.kron(digits[0][0], np.ones((4, 4), np.uint8))


def test_the_folder_directly_below_the_top_is_the_label(tmp_path, image):
    for name in ("A/1.png", "A/deep/2.png", "b/1.JPG", "loose.png"):
        put(tmp_path / name, image)
    assert labels(source(tmp_path)) == {"A/1.png": "A", "A/deep/2.png": "A", "b/1.JPG": "b", "loose.png": None}


def test_folders_named_by_split_are_official(tmp_path, image):
    put(tmp_path / "train" / "A" / "1.png", image)
    put(tmp_path / "Test" / "B" / "1.png", image)
    found = source(tmp_path)
    assert labels(found) == {"train/A/1.png": "A", "Test/B/1.png": "B"}
    assert sorted(found.index()["split"].to_pylist()) == ["test", "train"]


def test_folders_named_by_class_number_get_their_character(tmp_path, image):
    put(tmp_path / "07" / "1.png", image)
    put(tmp_path / "99" / "1.png", image)
    index = source(tmp_path, labels={"07": "x"}).index().to_pylist()
    assert [(row["label"], row["reason"], row["detail"]) for row in index] == [
        ("x", None, None), (None, "unknown-label", "folder '99'"),
    ]  # fmt: skip


def test_bad_files_become_rejects_with_reasons_and_good_ones_glyphs(tmp_path, image):
    put(tmp_path / "scans" / "good.png", image)
    put(tmp_path / "outside.png", image)
    scans = tmp_path / "scans"
    (scans / "empty.png").touch()
    (scans / "notes.txt").write_text("hello")
    (scans / "cut.png").write_bytes((scans / "good.png").read_bytes()[:60])
    (scans / "text.png").write_text("not a picture")
    (scans / "escape.png").symlink_to(tmp_path / "outside.png")
    (scans / "gone.png").symlink_to(scans / "nowhere.png")
    put(scans / "white.png", np.full((30, 30), 255, np.uint8))
    os.mkfifo(scans / "pipe.png")
    (scans / "circle.png").symlink_to(scans / "circle.png")
    (scans / ".hidden").touch()
    put(scans / ".ipynb_checkpoints" / "good.png", image)
    (scans / "Thumbs.db").touch()
    put(scans / "\\udcff.png", image)
    with open(os.fsencode(scans) + b"/\xff.png", "wb") as file:
        file.write((scans / "good.png").read_bytes())

    found = source(scans)
    index = found.index()
    glyphs, rejects = read_glyphs(found, index, 28)
    assert len(set(index["key"].to_pylist())) == len(index)
    reasons = {key: reject and reject.reason for key, reject in zip(index["key"].to_pylist(), rejects, strict=True)}
    assert reasons == {
        "\\udcff.png": None,
        "//\\udcff.png": "bad-name",
        "circle.png": "missing",
        "cut.png": "corrupt",
        "empty.png": "empty",
        "escape.png": "outside-folder",
        "gone.png": "missing",
        "good.png": None,
        "notes.txt": "not-an-image",
        "pipe.png": "not-a-file",
        "text.png": "not-an-image",
        "white.png": "blank",
    }
    for glyph, reject in zip(glyphs, rejects, strict=True):
        assert (glyph.max() > 0) == (reject is None)


def test_mixed_sizes_keep_their_order(tmp_path, digits):
    for number in range(6):
        put(tmp_path / f"{number}.png", 255 - np.kron(digits[0][number], np.ones((1 + number,) * 2, np.uint8)))
    (tmp_path / "3.png").write_text("broken")
    found = source(tmp_path)
    glyphs, rejects = read_glyphs(found, found.index(), 28)
    assert [isinstance(reject, Reject) for reject in rejects] == [False, False, False, True, False, False]
    alone = [read_glyphs(found, found.index().slice(number, 1), 28)[0][0] for number in range(6)]
    assert np.array_equal(glyphs, alone)


def test_missing_and_empty_folders_are_one_line(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        source(tmp_path / "none").index()
    with pytest.raises(InputError, match="has no files in it"):
        source(tmp_path).index()


def test_split_folders_are_splits_also_beside_loose_files_and_never_beside_labels(tmp_path):
    for path in ("train/A/1.png", "test/A/2.png", "README.md"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(encode(digits()[0]))
    index = ImageFolder(Folder.open(str(tmp_path))).index()
    found = dict(
        zip(
            index["key"].to_pylist(),
            zip(index["label"].to_pylist(), index["split"].to_pylist(), strict=True),
            strict=True,
        )
    )
    assert found == {"train/A/1.png": ("A", "train"), "test/A/2.png": ("A", "test"), "README.md": (None, None)}
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "3.png").write_bytes(encode(digits()[0]))
    with pytest.raises(InputError, match="has the folders test and train beside others, such as 'all'"):
        ImageFolder(Folder.open(str(tmp_path))).index()


def test_a_link_to_a_folder_is_one_row_and_is_not_followed(tmp_path, image):
    put(tmp_path / "in" / "A" / "1.png", image)
    put(tmp_path / "away" / "2.png", image)
    (tmp_path / "in" / "empty").mkdir()
    (tmp_path / "in" / "A" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "A" / "out.png").symlink_to(tmp_path / "away")
    (tmp_path / "in" / "A" / ".hidden").symlink_to(tmp_path / "away")
    index = source(tmp_path / "in").index().select(["key", "reason", "detail"])
    assert [tuple(row.values()) for row in index.to_pylist()] == [
        ("A/1.png", None, None),
        ("A/loop", "not-a-file", "a link to a folder is not followed"),
        ("A/out.png", "not-a-file", "a link to a folder is not followed"),
    ]


def test_an_index_made_in_pieces_is_the_index(tmp_path, image, monkeypatch):
    for name in ("train/A/1.png", "train/A/2.png", "train/b/3.png", "test/A/4.png", "5.png", "notes.txt"):
        put(tmp_path / f"{name}.png", image)
    (tmp_path / "train" / "A" / "link.png").symlink_to(tmp_path)
    whole = source(tmp_path, writer_pattern=r"(\d)").index()
    assert whole["split"].to_pylist() == [None, None, "test", "train", "train", "train", "train"]
    monkeypatch.setattr(base, "_INPUTS_AT_ONCE", 2)
    found = source(tmp_path, writer_pattern=r"(\d)").index()
    assert found.equals(whole)
    assert base.fingerprint(found) == base.fingerprint(whole)


def test_elsewhere_the_rows_are_sorted_by_path(tmp_path, image):
    names = ["a-1.png", "a/2.png", "a/b/1.png", "b.png"]
    for name in reversed(names):
        put(tmp_path / "top" / name, image)
    elsewhere = Folder("x://top", pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem()), "top")
    assert list(labels(ImageFolder(elsewhere)).items()) == list(zip(names, [None, "a", "a", None], strict=True))


def test_a_folder_that_may_not_be_listed_is_one_line(tmp_path, image, monkeypatch):
    put(tmp_path / "A" / "1.png", image)

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "lstat", refuse)
    with pytest.raises(InputError, match=r"cannot list .*: Permission denied"):
        source(tmp_path).index()
