"""5,025 inputs of every kind, good and bad, give one row each, however often and wherever the job is killed."""

import csv
import gzip
import json
import os

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.jobs import Command, contents
from tests.pictures import digits, encode

GOOD = 5000

# What a file's name may do to a table, a page or a path.
NAMES = ["a b.png", "it's \"so\".png", "two\nlines.png", "tab\there.png", "=cmd()|'x'!A1.png", "+1.png", "-1.png",
         "@x.png", "é.png", "e\u0301.png", "数字.png", "\u202egnp.png", "<script>alert(1)</script>.png", "a;b,c.png",
         "%2e%2e.png", "a..png", "x" * 240 + ".png", "back\\slash.png", "UPPER.PNG"]  # fmt: skip


def bad_files(top):
    """25 files that cannot be labelled: relative path to the reason that each must get."""
    outside = top.parent / "outside"
    outside.mkdir()
    good = encode(digits()[0])
    jpeg = encode(digits()[1], "JPEG")
    (outside / "secret.png").write_bytes(good)
    written = {
        "empty.png": (b"", "empty"),
        "empty.jpg": (b"", "empty"),
        "text.png": (b"no picture", "not-an-image"),
        "page.png": (b"<html></html>", "not-an-image"),
        "zeros.png": (b"\0" * 4000, "not-an-image"),
        "notes.txt": (b"a list", "not-an-image"),
        "table.csv": (b"1,2", "not-an-image"),
        "no-ending": (good, "not-an-image"),
        "vector.svg": (b"<svg/>", "not-an-image"),
        "cut.png": (good[: len(good) // 2], "corrupt"),
        "head.png": (good[:20], "corrupt"),
        "cut.jpg": (jpeg[: len(jpeg) // 2], "corrupt"),
        "cut.gif": (encode(digits()[2], "GIF")[:40], "corrupt"),
        "cut.tif": (encode(digits()[2], "TIFF")[:100], "corrupt"),
        "cut.bmp": (encode(digits()[2], "BMP")[:60], "corrupt"),
        "cut.webp": (encode(digits()[2], "WEBP")[:60], "corrupt"),
        "flipped.png": (good[:60] + bytes([good[60] ^ 255]) + good[61:], "corrupt"),
        "bomb.png": (encode(Image.new("1", (9000, 9000))), "too-large"),
        "white.png": (encode(np.full((40, 40), 255, np.uint8)), "blank"),
        "dot.bmp": (encode(np.full((1, 1), 255, np.uint8), "BMP"), "blank"),
    }
    for name, (data, _) in written.items():
        (top / name).write_bytes(data)
    (top / "out.png").symlink_to(outside / "secret.png")
    (top / "gone.png").symlink_to(top / "nowhere.png")
    (top / "loop").symlink_to(top)
    (top / "leads-out").symlink_to(outside)
    os.mkfifo(top / "pipe.png")
    return {name: reason for name, (_, reason) in written.items()} | {
        "out.png": "outside-folder", "gone.png": "missing", "loop": "not-a-file", "leads-out": "not-a-file",
        "pipe.png": "not-a-file",
    }  # fmt: skip


@pytest.fixture(scope="module")
def scans(tmp_path_factory, data):
    """A folder of real digits, with names and files that a hostile user would choose; and the bad ones' reasons."""
    top = tmp_path_factory.mktemp("hostile") / "scans"
    rows = gzip.decompress((data / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    glyphs = np.frombuffer(rows, np.uint8, offset=16).reshape(-1, 28, 28)[:GOOD]
    for number, glyph in enumerate(glyphs):
        name = NAMES[number] if number < len(NAMES) else f"{number:05d}.png"
        path = top / f"box {number % 7}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(glyph))
    (top / "empty" / "folder").mkdir(parents=True)
    return top, bad_files(top)


def words(scans, out):
    return ["label", "--images", scans, "--model", "emnist47", "--only", "digits", "--out", out]


@pytest.fixture(scope="module")
def undisturbed(scans):
    """The whole job, done at one go."""
    out = scans[0].parent / "undisturbed"
    status, told, said = Command(words(scans[0], out)).end()
    assert (status, said) == (0, "")
    assert "5,025 predictions, 5,000 ok, 25 unreadable" in told
    return out


def done(out):
    """How many parts there are."""
    folder = out / "predictions"
    return len([path for path in folder.iterdir() if path.suffix == ".parquet"]) if folder.exists() else 0


def parts(out):
    """The predictions, file by file, without their times of change."""
    return {name: entry.split()[0] for name, entry in contents(out / "predictions").items()}


def test_every_input_is_one_row_and_every_name_is_whole(scans, undisturbed):
    top, bad = scans
    rows = ds.dataset(undisturbed / "predictions").to_table().to_pylist()
    expected = [path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_symlink() or not path.is_dir()]
    assert len(rows) == 5025
    assert sorted(row["id"] for row in rows) == sorted(expected)
    found = {row["id"]: row["reason"].split(":")[0] for row in rows if row["status"] == "unreadable"}
    assert found == bad
    assert len(bad) == 25


def test_tables_and_page_are_safe_to_open(undisturbed):
    with (undisturbed / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5025
    for row in rows:
        assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values()), row
    page = (undisturbed / "overview.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    summary = json.loads((undisturbed / "summary.json").read_text(encoding="utf-8"))
    assert summary["inputs"] == sum(summary["statuses"].values()) == 5025


def test_the_command_may_be_killed_at_any_point(scans, undisturbed):
    out = scans[0].parent / "killed"
    whole = done(undisturbed)
    for share in (0.3, 0.7):
        command = Command(words(scans[0], out))
        command.wait_until(lambda limit=share * whole: done(out) >= limit)
        assert command.kill()[0] != 0
        assert not (out / "manifest.json").exists()
        assert done(out) < whole
    newest = max((out / "predictions").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    pq.read_table(newest)  # what is there is whole
    status, told, said = Command(words(scans[0], out)).end()
    assert (status, said) == (0, "")
    assert f"of {whole} parts to do" in told
    assert parts(out) == parts(undisturbed)
    for name in ("predictions.csv", "overview.html"):
        assert (out / name).exists()


def test_a_killed_worker_costs_nothing(scans, undisturbed):
    out = scans[0].parent / "worker"
    command = Command(words(scans[0], out))
    command.wait_until(lambda: done(out) >= 3)
    victims = command.workers("MapWorker")
    assert victims
    victims[0].kill()
    assert command.end()[0] == 0
    assert parts(out) == parts(undisturbed)
