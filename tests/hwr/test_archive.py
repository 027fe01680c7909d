"""Files in zip and tar archives are read in place; what is no file is never followed."""

import io
import tarfile
import zipfile

import pytest

from hwr.archive import Archive
from hwr.errors import InputError
from hwr.storage import Folder
from tests.pictures import reason

FILES = {"a/one.png": b"1" * 3000, "two.png": b"2"}


def tar(path, mode):
    with tarfile.open(path, mode) as archive:
        for name, data in FILES.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)


def zipped(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)


def archive(path):
    return Archive(Folder.open(str(path.parent)), path.name)


@pytest.mark.parametrize(("name", "mode"), [("x.tar", "w"), ("x.tar.gz", "w:gz"), ("x.tar.xz", "w:xz"), ("x.zip", "")])
def test_files_come_out_in_any_order(tmp_path, name, mode):
    tar(tmp_path / name, mode) if mode else zipped(tmp_path / name)
    found = archive(tmp_path / name)
    assert {path: size for path, size in found.sizes().items() if "link" not in path} == {
        path: len(data) for path, data in FILES.items()
    }
    for path, data in [*FILES.items(), *reversed(FILES.items())]:
        assert found.read_bytes(path) == data
    assert reason(found.read_bytes, "three.png") == "missing"


def test_links_in_a_tar_are_not_followed(tmp_path):
    tar(tmp_path / "x.tar", "w")
    assert reason(archive(tmp_path / "x.tar").read_bytes, "link.png") == "not-a-file"


def test_damage_is_a_reject_for_a_file_and_one_line_for_the_whole(tmp_path):
    zipped(tmp_path / "x.zip")
    data = bytearray((tmp_path / "x.zip").read_bytes())
    data[45] ^= 255  # inside the first file
    (tmp_path / "bad.zip").write_bytes(data)
    assert reason(archive(tmp_path / "bad.zip").read_bytes, "a/one.png") == "corrupt"
    assert archive(tmp_path / "bad.zip").read_bytes("two.png") == b"2"
    for name in ("no.zip", "no.tar"):
        (tmp_path / name).write_bytes(b"hello")
        with pytest.raises(InputError, match="is damaged or no archive"):
            archive(tmp_path / name).sizes()


def test_another_archive_of_the_same_name_is_noticed(tmp_path):
    zipped(tmp_path / "x.zip")
    assert len(archive(tmp_path / "x.zip").sizes()) == 2
    with zipfile.ZipFile(tmp_path / "x.zip", "a") as more:
        more.writestr("three.png", b"3")
    assert archive(tmp_path / "x.zip").read_bytes("three.png") == b"3"


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_files_with_long_names_are_found_behind_the_headers_that_hold_these(tmp_path, kind):
    files = {f"{'ö' * 90}/{number}{'x' * 120}.png": bytes([number]) * number for number in range(1, 4)}
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz", format=kind) as packed:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    found = archive(tmp_path / "x.tar.gz")
    assert list(found.sizes()) == list(files)
    assert {name: found.read_bytes(name) for name in reversed(files)} == files


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_second_name_of_a_file_in_a_tar_is_that_file(tmp_path, mode):
    with tarfile.open(tmp_path / "x.tar", mode) as whole:
        info = tarfile.TarInfo("./one.png")
        info.size = 3
        whole.addfile(info, io.BytesIO(b"one"))
        for name, target in {"two.png": "./one.png", "three.png": "two.png", "out.png": "../one.png",
                             "passwd.png": "/etc/passwd", "later.png": "last.png"}.items():  # fmt: skip
            link = tarfile.TarInfo(f"./{name}")
            link.type, link.linkname = tarfile.LNKTYPE, target
            whole.addfile(link)
        info = tarfile.TarInfo("last.png")
        whole.addfile(info)
    found = archive(tmp_path / "x.tar")
    assert [found.read_bytes(name) for name in ("two.png", "one.png", "three.png")] == [b"one"] * 3
    assert [found.sizes()[name] for name in ("one.png", "two.png", "three.png")] == [3, 3, 3]
    for name in ("out.png", "passwd.png", "later.png"):
        assert reason(found.read_bytes, name) == "not-a-file"
