"""Files appear complete or not at all, and folders are the same whether named as path or URI."""

import errno
import os
import pickle
import re

import pyarrow as pa
import pytest

from hwr.errors import InputError, OutputError
from hwr.storage import Folder


@pytest.fixture(params=["local", "remote"])
def store(request):
    """How to open a folder on this machine's disk, and through a file system that is not known to be local."""

    def opened(path) -> Folder:
        if request.param == "local":
            return Folder.open(str(path))
        return Folder("mock://a", pa.fs.SubTreeFileSystem(str(path), pa.fs.LocalFileSystem()), "")

    return opened


def test_a_written_file_reads_back_and_leaves_nothing_beside_it(tmp_path):
    folder = Folder.open(str(tmp_path)) / "a"
    folder.write_bytes("deep/b.bin", b"12")
    folder.write_bytes("deep/b.bin", b"345")
    assert folder.read_bytes("deep/b.bin") == b"345"
    assert (folder / "deep").names() == ["b.bin"]


def test_a_full_disk_is_one_line_and_keeps_the_earlier_file(tmp_path, monkeypatch):
    folder = Folder.open(str(tmp_path))
    folder.write_bytes("a", b"before")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="the disk is full"):
        folder.write_bytes("a", b"after")
    assert folder.names() == ["a"]
    assert folder.read_bytes("a") == b"before"


def test_a_file_written_in_pieces_is_there_whole_or_not_at_all(tmp_path, store):
    folder = store(tmp_path)
    with folder.writing("deep/a") as file:
        file.write(b"1")
        assert not folder.has("deep/a")
        file.write(b"2")
    assert folder.read_bytes("deep/a") == b"12"

    def stumble():
        with folder.writing("deep/a") as file:
            file.write(b"half")
            raise RuntimeError("stumbled")

    with pytest.raises(RuntimeError, match="stumbled"):
        stumble()
    assert folder.read_bytes("deep/a") == b"12"
    assert os.listdir(tmp_path / "deep") == ["a"]


def test_what_killed_writers_left_is_swept_and_what_is_being_written_is_not(tmp_path):
    folder = Folder.open(str(tmp_path))
    (tmp_path / "deep").mkdir()
    for name in (".a.json.0a1b2c3d.tmp", "deep/.b.0a1b2c3d.tmp", "deep/.mine.tmp", "deep/b.0a1b2c3d.tmp"):
        (tmp_path / name).write_bytes(b"half")
    assert not folder.is_empty()
    with folder.writing("c") as file:
        file.write(b"whole")
        folder.sweep()
    assert folder.read_bytes("c") == b"whole"
    assert sorted(name for name, _ in folder.walk()) == ["c", "deep/.mine.tmp", "deep/b.0a1b2c3d.tmp"]


def test_a_folder_in_which_the_first_write_was_killed_is_empty(tmp_path):
    (tmp_path / ".config.json.0a1b2c3d.tmp").write_bytes(b"half")
    assert Folder.open(str(tmp_path)).is_empty()
    (tmp_path / "mine").touch()
    assert not Folder.open(str(tmp_path)).is_empty()


def test_a_path_and_its_uri_open_the_same_folder(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "f").write_bytes(b"1")
    assert Folder.open(f"file://{tmp_path}/x").names() == Folder.open(f"{tmp_path}/x/").names() == ["f"]


def test_options_of_a_uri_stay_at_its_end():
    folder = Folder("s3://bucket/a?region=here", pa.fs.LocalFileSystem(), "/bucket/a") / "b"
    assert (folder.name, folder.path) == ("s3://bucket/a/b?region=here", "/bucket/a/b")


def test_an_unknown_uri_is_one_line():
    with pytest.raises(InputError, match="nowhere://x is not a location that can be opened"):
        Folder.open("nowhere://x")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://KEY:SECRET@bucket/x",
        "gs://KEY@bucket/x",
        "abfs://:SECRET@account.dfs.core.windows.net/x",
        "abfss://name:SECRET@account.dfs.core.windows.net/x",
        "s3://KEY@bucket/x",
        "s3://KEY:SEC/RET@bucket/x",
        "s3://bucket/x?endpoint_override=http://KEY:SECRET@host:9000",
    ],
)
def test_a_uri_with_credentials_is_refused_without_repeating_them(uri):
    with pytest.raises(InputError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a profile") as said:
        Folder.open(uri)
    assert not re.search("KEY[:@]|SEC/|SECRET[@]|RET@", str(said.value))


def test_a_folder_travels_to_workers(tmp_path):
    assert pickle.loads(pickle.dumps(Folder.open(str(tmp_path)))).path == str(tmp_path)


def test_walk_is_sorted_and_does_not_follow_a_loop(tmp_path):
    for name in ("b/2.png", "b/1.png", "a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    folder = Folder.open(str(tmp_path))
    assert [name for name, _ in folder.walk()] == ["a.png", "b/1.png", "b/2.png", "b/loop"]
    assert all(stamp == folder.stamp(name) for name, stamp in folder.walk() if name != "b/loop")


def test_what_is_missing_or_no_folder_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"there is no folder .*/none"):
        Folder.open(f"{tmp_path}/none").require()
    with pytest.raises(InputError, match="file is a file, but a folder is needed"):
        Folder.open(f"{tmp_path}/file").require()
    assert Folder.open(f"{tmp_path}/none").is_empty()
    assert not Folder.open(f"{tmp_path}/file").is_empty()


def test_broken_json_is_one_line(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match=r"a\.json is not a readable JSON file"):
        Folder.open(str(tmp_path)).read_json("a.json")


def test_a_path_that_is_not_utf8_is_one_line():
    with pytest.raises(InputError, match=r"'scans/\\udcff' is not valid UTF-8: rename it"):
        Folder.open("scans/\udcff")


def test_a_folder_lies_within_another_by_whatever_links_it_is_named(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    real, link, beside = (Folder.open(str(tmp_path / name)) for name in ("real", "link", "real-too"))
    assert all(one.is_within(other) for one in (real / "new", link / "new", link) for other in (real, link))
    assert real.is_within(Folder.open("/"))
    assert not any(one.is_within(other) for one, other in [(beside, real), (Folder.open(str(tmp_path)), link)])
    assert not Folder("s3://a", pa.fs.SubTreeFileSystem("/", pa.fs.LocalFileSystem()), real.path).is_within(real)
