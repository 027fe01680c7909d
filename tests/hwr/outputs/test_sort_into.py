"""Every image lands in the folder of its answer, once, and nowhere else; what a person moved stays where it is."""

import os
from pathlib import Path

import numpy as np
import pyarrow.fs as pafs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hwr.errors import OutputError
from hwr.outputs.sort_into import file_name, sort_into
from hwr.sources import ImageFolder
from hwr.sources.files import raw_bytes
from hwr.storage import Folder
from tests.hwr.outputs.predictions import NAMES, abstained, ok, stored, table, unreadable


@pytest.fixture
def scans(tmp_path) -> Folder:
    for number, name in enumerate(["a/1.png", "b/1.png", "b/A.png", "b/a.png", "q.png"]):
        path = tmp_path / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), number, np.uint8)).save(path)
    (tmp_path / "scans" / "notes.txt").write_bytes(b"no picture")
    return Folder.open(str(tmp_path / "scans"))


@pytest.fixture
def predictions(tmp_path) -> Folder:
    first = table(ok("a/1.png", "0"), ok("b/1.png", "0"), ok("b/A.png", "a"))
    second = table(ok("b/a.png", "A"), abstained("q.png"), unreadable("notes.txt"), unreadable("gone.png", "missing"))
    return stored(Folder.open(str(tmp_path / "predictions")), first, second)


def files(top: Path) -> dict[str, bytes]:
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def images(top: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(top).items() if not name.startswith(".")}


def run(predictions, tmp_path, scans, owner="mine"):
    target = Folder.open(str(tmp_path / "out"))
    return sort_into(predictions, predictions.names(), target, owner, lambda key: raw_bytes(scans, key, 0))


def test_every_image_is_in_the_folder_of_its_answer_and_the_originals_are_untouched(tmp_path, scans, predictions):
    before = files(tmp_path / "scans")
    made = run(predictions, tmp_path, scans)
    assert (made.copied, made.lost) == (6, 1)
    placed = images(tmp_path / "out")
    assert sorted((name.split("/")[0], data) for name, data in placed.items()) == sorted(
        [
            ("0", before["a/1.png"]), ("0", before["b/1.png"]), ("a_U+0061", before["b/A.png"]),
            ("A", before["b/a.png"]), ("_abstained", before["q.png"]), ("_unreadable", before["notes.txt"]),
        ]
    )  # fmt: skip
    for name in placed:
        path = tmp_path / "out" / name
        assert not path.is_symlink()
        path.write_bytes(b"edited")
    assert files(tmp_path / "scans") == before


def test_again_it_changes_nothing_and_what_was_moved_stays_moved(tmp_path, scans, predictions):
    run(predictions, tmp_path, scans)
    top = tmp_path / "out"
    (wrong,) = (top / "A").iterdir()
    wrong.rename(top / "0" / wrong.name)
    before = {name: (top / name).stat().st_mtime_ns for name in files(top)}
    again = run(predictions, tmp_path, scans)
    assert (again.copied, again.lost) == (0, 0)
    assert {name: (top / name).stat().st_mtime_ns for name in files(top)} == before


def test_new_predictions_are_taken_up(tmp_path, scans, predictions):
    run(predictions, tmp_path, scans)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "scans" / "new.png")
    predictions.write_table("part-00002.parquet", table(ok("new.png", "Z")))
    assert run(predictions, tmp_path, scans).copied == 1
    assert len(list((tmp_path / "out" / "Z").iterdir())) == 1


def test_a_stopped_copy_is_finished_and_equals_an_undisturbed_one(tmp_path, scans, predictions):
    run(predictions, tmp_path, scans)
    whole = images(tmp_path / "out")
    left = iter(range(4))

    def dies(key):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return raw_bytes(scans, key, 0)

    other = Folder.open(str(tmp_path / "other"))
    with pytest.raises(KeyboardInterrupt):
        sort_into(predictions, predictions.names(), other, "mine", dies)
    half = next((tmp_path / "other" / "A").iterdir())
    half.write_bytes(b"")  # as a machine that lost its power may leave it
    made = sort_into(predictions, predictions.names(), other, "mine", lambda key: raw_bytes(scans, key, 0))
    assert made.copied == 3
    assert images(tmp_path / "other") == whole


def test_a_folder_of_something_else_is_refused(tmp_path, scans, predictions):
    run(predictions, tmp_path, scans)
    with pytest.raises(OutputError, match=r"out holds the sorted images of another labelling: choose another --sort"):
        run(predictions, tmp_path, scans, owner="other")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(OutputError, match=r"mine exists and was not made by hwr"):
        sort_into(predictions, [], Folder.open(str(tmp_path / "mine")), "mine", lambda _: None)
    assert os.listdir(tmp_path / "mine") == ["letter.txt"]


def test_ingest_gives_the_labels_back_after_a_person_moved_one(tmp_path, scans, predictions):
    run(predictions, tmp_path, scans)
    (unsure,) = (tmp_path / "out" / "_abstained").iterdir()
    (tmp_path / "out" / "q_U+0071").mkdir()
    unsure.rename(tmp_path / "out" / "q_U+0071" / unsure.name)
    index = ImageFolder(Folder.open(str(tmp_path / "out"))).index()
    labels = sorted((row["label"] or "", row["reason"] or "") for row in index.to_pylist())
    assert labels == [("", "not-an-image"), ("0", ""), ("0", ""), ("A", ""), ("a", ""), ("q", "")]


def test_a_store_gets_the_same_files(tmp_path, scans, predictions):
    run(predictions, tmp_path, scans)
    (tmp_path / "store").mkdir()
    store = Folder("mock://s", pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem()), "store")
    assert sort_into(predictions, predictions.names(), store, "mine", lambda key: raw_bytes(scans, key, 0)).copied == 6
    assert images(tmp_path / "store") == images(tmp_path / "out")


@pytest.mark.parametrize("key", ["../secret.png", "a/../../secret.png", "link.png", "link.txt", "loop/secret.png"])
def test_nothing_outside_the_images_is_copied(tmp_path, scans, key):
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "scans" / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "scans" / "link.txt").symlink_to(tmp_path / "secret.png")
    (tmp_path / "scans" / "loop").symlink_to(tmp_path)
    assert raw_bytes(scans, key, 0) is None


@given(
    st.lists(
        st.one_of(st.sampled_from(NAMES), st.text(st.characters(exclude_categories=["Cs"]), min_size=1)), unique=True
    )
)
def test_names_are_safe_and_no_two_meet(keys):
    names = [file_name(key, b"\x89PNG") for key in keys]
    assert len({name.casefold() for name in names}) == len(names)
    for name in names:
        assert not set('<>:"/\\|?*\0\n\r\t') & set(name)
        assert len(name.encode()) <= 255
        assert not name.startswith((".", " "))
        assert name.endswith((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp"))


@pytest.mark.parametrize(
    ("key", "data", "begins", "ends"),
    [("page 1/k.PNG", b"", "page 1~k~", ".png"), ("set.parquet#12", b"\xff\xd8", "set.parquet#12~", ".jpg"),
     ("a.zip!/m/1.gif", b"", "a.zip_~m~1~", ".gif"), ("../../etc/passwd", b"?", "~..~etc~passwd~", "")],
)  # fmt: skip
def test_a_name_shows_where_the_image_came_from(key, data, begins, ends):
    name = file_name(key, data)
    assert name.startswith(begins)
    assert name.endswith(ends)


def test_two_that_copy_at_the_same_time_do_not_write_into_each_others_files(tmp_path, scans, predictions):
    """One begins while the other is within an image, and ends before it."""
    target, begun = Folder.open(str(tmp_path / "out")), []
    write = type(target).write_bytes

    def interrupted(self, name, data, **how):
        if name.endswith(".png") and not begun:
            begun.append(name)
            with self.writing(name, **how) as file:
                file.write(data[:10])
                run(predictions, tmp_path, scans)
                file.write(data[10:])
            return
        write(self, name, data, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(target), "write_bytes", interrupted)
        run(predictions, tmp_path, scans)
    assert begun
    assert sorted(images(tmp_path / "out").values()) == sorted(files(tmp_path / "scans").values())


def test_what_a_killed_copy_left_is_cleared_away(tmp_path, scans, predictions):
    (tmp_path / "out" / "0").mkdir(parents=True)
    (tmp_path / "out" / "0" / ".a.png.0123abcd.tmp").touch()
    (tmp_path / "out" / ".hwr-sorted.json").write_text('{"owner": "mine", "done": {}}')
    run(predictions, tmp_path, scans)
    assert not list((tmp_path / "out").rglob(".*.tmp"))


def test_a_path_that_no_file_has_is_lost_and_no_error(scans):
    assert raw_bytes(scans, "nul\0.png", 0) is None


def test_what_was_moved_stays_moved_when_its_part_was_made_anew(tmp_path, scans, predictions):
    run(predictions, tmp_path, scans)
    (wrong,) = (tmp_path / "out" / "A").iterdir()
    wrong.rename(tmp_path / "out" / "0" / wrong.name)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "scans" / "gone.png")
    predictions.write_table("part-00001.parquet", table(ok("b/a.png", "A"), abstained("q.png"), ok("gone.png", "Z")))
    assert run(predictions, tmp_path, scans).copied == 1
    assert not list((tmp_path / "out" / "A").iterdir())
    assert len(list((tmp_path / "out" / "Z").iterdir())) == 1
