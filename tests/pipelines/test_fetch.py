"""Official files arrive whole or not at all. torchvision downloads from a web server of this machine."""

import errno
import gzip
import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
import zipfile
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pyarrow.fs as pafs
import pytest
from torchvision.datasets import EMNIST, MNIST
from torchvision.datasets import utils as torchvision_utils

from hwr import official
from hwr.alphabet import Alphabet, read_mapping
from hwr.sources import Idx
from hwr.storage import Folder
from pipelines import console, fetch
from tests.jobs import contents, hwr


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        """Say nothing either: torchvision hangs up on its first request, which only looks for redirects."""


@pytest.fixture
def web(tmp_path):
    """The address of a web server for the folder ``mirror``."""
    (tmp_path / "mirror").mkdir()
    handler = partial(Handler, directory=str(tmp_path / "mirror"))
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def mirror(monkeypatch, tmp_path, data, web):
    """A mirror of MNIST with the official files, that tests may damage."""
    folder = tmp_path / "mirror"
    for name in official.files("mnist"):
        (folder / name).symlink_to(data / "mnist" / name)
    monkeypatch.setattr(MNIST, "mirrors", [f"{web}/"])
    return folder


@pytest.fixture
def emnist(monkeypatch, tmp_path, data, web):
    """An archive laid out as EMNIST's, with 40 real rows in each file of two sets."""
    folder = tmp_path / "mirror"
    with zipfile.ZipFile(folder / "gzip.zip", "w") as archive:
        for name in ("emnist-balanced", "emnist-letters"):
            for file in official.files(name):
                original = data / "emnist47r" / file.replace(name, "emnist47r")
                archive.writestr(f"gzip/{file}", _first_rows(original, 40))
    monkeypatch.setattr(EMNIST, "url", f"{web}/gzip.zip")
    publish(monkeypatch, folder / "gzip.zip")
    return folder / "gzip.zip"


def publish(monkeypatch, archive):
    monkeypatch.setattr(EMNIST, "md5", hashlib.md5(archive.read_bytes()).hexdigest())


def _first_rows(path, count):
    if path.suffix == ".txt":
        return path.read_bytes()
    with gzip.open(path) as file:
        magic, _ = struct.unpack(">II", file.read(8))
        rest = file.read(8 + 784 * count if magic == 0x803 else count)
    return gzip.compress(struct.pack(">II", magic, count) + rest)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_mnist_arrives_byte_for_byte_and_its_next_command_reads_it(capsys, monkeypatch, tmp_path, mirror):
    monkeypatch.chdir(tmp_path)
    assert hwr("fetch", "--name", "mnist", "--out", "raw/my mnist") == 0
    out, err = capsys.readouterr()
    command = "hwr ingest --source 'raw/my mnist' --format idx --out data/mnist"
    assert out == f"mnist: downloading 12 MB\nraw/my mnist: 4 files, 11.6 MB; next: {command}\n"
    assert err == ""
    raw = tmp_path / "raw" / "my mnist"
    assert names(raw) == sorted(official.files("mnist"))
    assert all((raw / name).read_bytes() == (mirror / name).read_bytes() for name in names(raw))
    assert names(tmp_path) == ["mirror", "raw"]
    assert names(tmp_path / "raw") == ["my mnist"]

    assert hwr("ingest", "--source", raw, "--format", "idx", "--out", "data/mnist") == 0
    assert "70,000 samples of 10 characters" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["emnist-balanced", "emnist-letters"])
def test_one_set_of_emnist_arrives_without_the_others(capsys, tmp_path, emnist, name):
    out = tmp_path / "out"
    assert hwr("fetch", "--name", name, "--out", out) == 0
    said = capsys.readouterr()
    assert f"; next: hwr ingest --source {out} --format emnist-idx --out data/{name}\n" in said.out
    assert said.err == ""
    assert names(out) == sorted(official.files(name))
    with zipfile.ZipFile(emnist) as archive:
        assert all((out / file).read_bytes() == archive.read(f"gzip/{file}") for file in names(out))
    assert names(tmp_path) == ["mirror", "out"]
    characters = read_mapping((out / f"{name}-mapping.txt").read_text(), "mapping")
    index = Idx(Folder.open(str(out)), characters, transposed=True).index()
    assert set(index["split"].to_pylist()) == {"train", "test"}
    assert len(index) == 80
    assert index["reason"].null_count == 80
    assert set(index["label"].to_pylist()) <= set(Alphabet.parse("emnist47").labels)


def test_a_second_run_changes_nothing_and_needs_no_network(capsys, monkeypatch, tmp_path, mirror):
    out = tmp_path / "out"
    assert hwr("fetch", "--name", "mnist", "--out", out) == 0
    (out / "notes.txt").touch()
    before = contents(out)
    capsys.readouterr()
    monkeypatch.setattr(MNIST, "mirrors", [])
    assert hwr("fetch", "--name", "mnist", "--out", out) == 0
    said = capsys.readouterr().out
    assert f"{out} is already complete: 4 files, 11.6 MB; next: hwr ingest --source {out}" in said
    assert contents(out) == before
    assert names(mirror) == sorted(official.files("mnist"))


def test_a_folder_with_some_of_the_files_gets_all_of_them_anew(tmp_path, mirror):
    out = tmp_path / "out"
    out.mkdir()
    first, *_ = official.files("mnist")
    (out / first).write_bytes(b"half a file")
    (out / ".DS_Store").touch()
    assert hwr("fetch", "--name", "mnist", "--out", out) == 0
    assert names(out) == sorted([".DS_Store", *official.files("mnist")])
    assert (out / first).read_bytes() == (mirror / first).read_bytes()


def test_a_folder_that_is_not_of_this_machine(capsys, monkeypatch, tmp_path, mirror):
    far = tmp_path / "far"
    far.mkdir()
    bucket = Folder("far://bucket", pafs.SubTreeFileSystem(str(far), pafs.LocalFileSystem()), "raw")
    monkeypatch.setattr(Folder, "open", lambda _: bucket)
    assert hwr("fetch", "--name", "mnist", "--out", "far://bucket") == 0
    assert "next: hwr ingest --source far://bucket --format idx" in capsys.readouterr().out
    assert all((far / "raw" / name).read_bytes() == (mirror / name).read_bytes() for name in official.files("mnist"))


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (
            lambda packed: packed[:99] + bytes([packed[99] ^ 1]) + packed[100:],
            "what arrived (4,542 bytes) does not have",
        ),
        (lambda packed: packed[:99], "what arrived (99 bytes) does not have the published checksum"),
        (None, "HTTP Error 404: File not found"),
    ],
    ids=["damaged", "short", "missing"],
)
def test_what_a_mirror_does_wrong_is_one_line_and_leaves_nothing(capsys, tmp_path, web, mirror, sent, why, existing):
    out = tmp_path / "raw" / "out"
    if existing:
        out.mkdir(parents=True)
    last = mirror / official.files("mnist")[-1]
    packed = last.read_bytes()
    last.unlink()
    if sent:
        last.write_bytes(sent(packed))
    assert hwr("fetch", "--name", "mnist", "--out", out) == 1
    said = capsys.readouterr()
    assert said.out == "mnist: downloading 12 MB\n"
    assert said.err.startswith(f"hwr fetch: cannot download {web}/{last.name}: {why}")
    assert said.err.endswith("; nothing was written, and the same command tries again\n")
    assert said.err.count("\n") == 1
    assert names(tmp_path) == (["mirror", "raw"] if existing else ["mirror"])
    assert not existing or names(out) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_line_and_leaves_nothing(capsys, monkeypatch, tmp_path, mirror, number):  # noqa: ARG001
    fail(monkeypatch, OSError(number, os.strerror(number)))
    out = tmp_path / "raw" / "out"
    assert hwr("fetch", "--name", "mnist", "--out", out) == 1
    assert capsys.readouterr().err == f"hwr fetch: cannot write {out}: the disk is full\n"
    assert names(tmp_path) == ["mirror"]


def fail(monkeypatch, error):
    """Let the last file of MNIST fail, when some of its bytes are on the disk."""
    fetch = torchvision_utils._urlretrieve

    def half(url, path):
        fetch(url, path)
        if url.endswith(official.files("mnist")[-1]):
            raise error

    monkeypatch.setattr(torchvision_utils, "_urlretrieve", half)


def test_an_interrupted_download_leaves_nothing(capsys, monkeypatch, tmp_path, mirror):  # noqa: ARG001
    fail(monkeypatch, KeyboardInterrupt())
    assert hwr("fetch", "--name", "mnist", "--out", tmp_path / "raw" / "out") == 130
    said = capsys.readouterr()
    assert said.err == "hwr fetch: interrupted; the same command starts the download anew\n"
    assert names(tmp_path) == ["mirror"]


def test_without_a_network(capsys, monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        urls = [f"http://127.0.0.1:{nobody.getsockname()[1]}/{name}/" for name in ("a", "b")]
    monkeypatch.setattr(MNIST, "mirrors", urls)
    monkeypatch.setattr(EMNIST, "url", urls[0])
    for name in ("mnist", "emnist-byclass"):
        assert hwr("fetch", "--name", name, "--out", tmp_path / "raw" / "out") == 1
        said = capsys.readouterr().err
        assert said.startswith(f"hwr fetch: cannot download {urls[0]}")
        assert "Connection refused" in said
        assert said.count("\n") == 1
        assert names(tmp_path) == []


def test_a_mirror_that_hangs_is_given_up(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(official, "_PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{silent.getsockname()[1]}/"])
        assert hwr("fetch", "--name", "mnist", "--out", tmp_path / "out") == 1
    assert "timed out" in capsys.readouterr().err
    assert names(tmp_path) == []
    assert socket.getdefaulttimeout() is None


def test_the_next_mirror_is_asked(monkeypatch, tmp_path, web, mirror):
    monkeypatch.setattr(MNIST, "mirrors", [f"{web}/none/", *MNIST.mirrors])
    assert hwr("fetch", "--name", "mnist", "--out", tmp_path / "out") == 0
    assert all((tmp_path / "out" / name).read_bytes() == (mirror / name).read_bytes() for name in names(mirror))


@pytest.mark.parametrize("damage", ["no zip", "a member is missing", "a member is damaged"])
def test_an_archive_that_is_not_emnists_any_more(capsys, monkeypatch, tmp_path, emnist, damage):
    if damage == "no zip":
        emnist.write_bytes(b"<html>moved</html>")
    elif damage == "a member is damaged":
        packed = bytearray(emnist.read_bytes())
        packed[200] ^= 1  # inside the first member, which is stored as it is
        emnist.write_bytes(packed)
    publish(monkeypatch, emnist)
    name = "emnist-digits" if damage == "a member is missing" else "emnist-balanced"
    assert hwr("fetch", "--name", name, "--out", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert said.startswith("hwr fetch: EMNIST's archive is not what it was: ")
    assert said.count("\n") == 1
    assert names(tmp_path) == ["mirror"]


@pytest.mark.parametrize("other", ["thesis.txt", "emnist-letters-mapping.txt", "folder/"])
def test_a_folder_of_something_else_is_left_alone(capsys, tmp_path, other):
    out = tmp_path / "out"
    (out / other).mkdir(parents=True) if other.endswith("/") else (out.mkdir(), (out / other).touch())
    assert hwr("fetch", "--name", "mnist", "--out", out) == 1
    said = f"hwr fetch: {out} holds something else, such as {other.rstrip('/')}: choose another --out\n"
    assert capsys.readouterr() == ("", said)
    assert names(out) == [other.rstrip("/")]


def test_an_output_that_is_a_file_or_lies_below_one(capsys, tmp_path):
    (tmp_path / "file").touch()
    assert hwr("fetch", "--name", "mnist", "--out", tmp_path / "file") == 1
    assert capsys.readouterr().err == f"hwr fetch: {tmp_path}/file is a file: choose another --out\n"
    assert hwr("fetch", "--name", "mnist", "--out", tmp_path / "file" / "below") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert names(tmp_path) == ["file"]


def test_a_set_that_does_not_exist(capsys, tmp_path):
    assert hwr("fetch", "--name", "emnist-greek", "--out", tmp_path / "out") == 2
    assert "emnist-balanced" in capsys.readouterr().err
    assert names(tmp_path) == []


def test_the_names_are_those_that_torchvision_knows():
    assert set(official.NAMES) == {"mnist", *(f"emnist-{split}" for split in EMNIST.splits)}
    assert official.files("mnist") == tuple(name for name, _ in MNIST.resources)


def test_a_person_sees_how_much_has_arrived(monkeypatch, tmp_path):
    steps, told = [], threading.Event()

    @contextmanager
    def bar(what, total):
        assert (what, total) == ("MB", 12)
        yield lambda count, _: (steps.append(count), sum(steps) == 12 and told.set())

    monkeypatch.setattr(console, "progress", bar)
    monkeypatch.setattr(fetch, "_LOOK", 0.001)
    with fetch._watched(tmp_path, 12):
        for size in (5_000_000, 0, 20_000_000):
            (tmp_path / f"{size}").write_bytes(bytes(size))
        assert told.wait(60)
    assert sum(steps) == 12
    assert min(steps) == 0


def test_help_is_quick():
    code = "import sys, pipelines.fetch; sys.exit(bool({'torch', 'torchvision', 'ray'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
