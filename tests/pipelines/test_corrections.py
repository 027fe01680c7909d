"""Corrections make a new version of a data set: other labels, and the same ids, splits and glyphs."""

import csv
import gzip
import json
import re
import struct

import pyarrow.dataset as ds
import pytest
from PIL import Image

from hwr.spreadsheet import to_csv
from tests.jobs import contents, hwr, scan, write_scans
from tests.pictures import idx, lines


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def rows(folder):
    """Every sample by its id, as bytes and texts."""
    table = ds.dataset(folder / "samples").to_table()
    images = table["image"].combine_chunks().to_numpy_ndarray()
    columns = (table[name].to_pylist() for name in ("label", "split", "source", "writer"))
    return {
        key: (image.tobytes(), *rest)
        for key, image, *rest in zip(table["id"].to_pylist(), images, *columns, strict=True)
    }


def correct(path, labels):
    """Write corrections as a report does."""
    path.write_bytes(to_csv(["file", "label", "was"], [(key, label, "?") for key, label in labels.items()]))
    return path


def check(before, after, labels):
    """Samples are as they were but for the corrected labels."""
    old, new = rows(before), rows(after)
    assert {*new} == {*old, *labels}
    for key, row in new.items():
        assert row[1] == labels.get(key, row[1])
        if key in old:
            assert row[0] == old[key][0]
            assert row[2:] == old[key][2:]
            assert key in labels or row[1] == old[key][1]


@pytest.fixture(scope="module")
def scans(tmp_path_factory, digits):
    """200 scans in folders by class, and samples made of them."""
    top = tmp_path_factory.mktemp("corrections")
    write_scans(top / "scans", digits[0][:200], digits[1][:200])
    assert hwr("ingest", "--source", top / "scans", "--format", "image-folder", "--out", top / "before") == 0
    return top


def words(scans, out, *more):
    return ["ingest", "--source", scans / "scans", "--format", "image-folder", "--out", out, *more]


def some(samples, count, label):
    """A wrong label for a few samples of each split."""
    by_split = {}
    for key, row in sorted(rows(samples).items()):
        by_split.setdefault(row[2], []).append(key)
    return {key: label for keys in by_split.values() for key in keys[:count]}


def test_folders_of_images_keep_ids_splits_and_glyphs(scans, tmp_path, capsys):
    labels = some(scans / "before", 2, "ß")
    same = next(key for key in rows(scans / "before") if key not in labels)
    file = correct(tmp_path / "c.csv", {**labels, same: rows(scans / "before")[same][1]})
    assert hwr(*words(scans, tmp_path / "out", "--corrections", file)) == 0
    check(scans / "before", tmp_path / "out", labels)
    before, after = manifest(scans / "before"), manifest(tmp_path / "out")
    assert after["counts"]["corrected"] == 6
    assert "corrected" not in before["counts"]
    assert after["counts"]["labels"]["ß"] == 6
    assert after["counts"]["splits"] == before["counts"]["splits"]
    assert "), 6 labels corrected, 0 rejects; see overview.html" in capsys.readouterr().out
    page = (tmp_path / "out" / "overview.html").read_text()
    assert f"{file}: 6 labels corrected" in page


def test_published_digits_of_idx_keep_their_official_split(data, tmp_path):
    (tmp_path / "in").mkdir()
    for stem, count in (("train", 600), ("t10k", 200)):
        images = idx(f"mnist/{stem}-images-idx3-ubyte.gz")[:count]
        labels = gzip.decompress((data / "mnist" / f"{stem}-labels-idx1-ubyte.gz").read_bytes())[8 : 8 + count]
        head = struct.pack(">IIII", 0x803, *images.shape)
        (tmp_path / "in" / f"{stem}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        (tmp_path / "in" / f"{stem}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + labels)
    command = ["ingest", "--source", tmp_path / "in", "--format", "idx", "--out"]
    assert hwr(*command, tmp_path / "before") == 0
    old = rows(tmp_path / "before")
    # Digits for digits: not a byte in the length of any file says that labels are others.
    picked = [key for number, key in enumerate(sorted(old)) if number % 80 == 0]
    labels = {key: str((int(old[key][1]) + 1) % 10) for key in picked}
    assert {old[key][2] for key in picked} >= {"train", "test"}
    file = correct(tmp_path / "c.csv", labels)
    assert hwr(*command, tmp_path / "after", "--corrections", file, "--alphabet", "digits") == 0
    check(tmp_path / "before", tmp_path / "after", labels)
    before, after = manifest(tmp_path / "before"), manifest(tmp_path / "after")
    assert after["counts"]["corrected"] == len(labels) == 10
    assert after["counts"]["splits"]["test"] == before["counts"]["splits"]["test"] == 200
    assert after["fingerprint"] != before["fingerprint"]


def test_a_line_of_pixels_refused_for_its_label_alone_comes_in(tmp_path, digits):
    numbers = digits[1][:60].copy()
    numbers[[7, 20]] = 12
    text = lines(digits[0][:60], numbers).splitlines(keepends=True)
    text[20] = "12,1,2,3\n"
    text[30] = text[30].replace(",0", ",x", 1)
    (tmp_path / "some.csv").write_text("".join(text))
    command = ["ingest", "--source", tmp_path / "some.csv", "--format", "pixel-csv", "--max-reject-share", 0.1, "--out"]
    assert hwr(*command, tmp_path / "before") == 0
    assert manifest(tmp_path / "before")["counts"]["reasons"] == {"not-a-number": 1, "unknown-label": 2}
    labels = {"some.csv#7": "3", "some.csv#9": "4" if digits[1][9] != 4 else "5"}
    spoilt = {"some.csv#20": "1", "some.csv#30": "1"}  # no label mends a broken line
    file = correct(tmp_path / "c.csv", {**labels, **spoilt})
    assert hwr(*command, tmp_path / "after", "--corrections", file) == 0
    check(tmp_path / "before", tmp_path / "after", labels)
    counts = manifest(tmp_path / "after")["counts"]
    assert counts["reasons"] == {"not-a-number": 1, "wrong-length": 1}
    assert (counts["corrected"], counts["samples"]) == (2, 58)


def test_ids_of_a_labelling_are_those_of_the_samples_and_their_source(scans, tmp_path):
    for name, images in (("samples", scans / "before"), ("scans", scans / "scans")):
        assert hwr("label", "--images", images, "--model", "emnist47", "--out", tmp_path / name) == 0
        with (tmp_path / name / "predictions.csv").open(newline="") as file:
            found = [row["file"] for row in csv.DictReader(file)]
        assert {*found} == {*rows(scans / "before")}
    labels = dict.fromkeys(found[:3], "Z")
    file = correct(tmp_path / "c.csv", labels)
    assert hwr(*words(scans, tmp_path / "out", "--corrections", file)) == 0
    check(scans / "before", tmp_path / "out", labels)


def test_flat_scans_without_labels_become_samples_with_the_corrections_of_their_labelling(tmp_path, digits):
    names = ["=cmd() ö 'q' \"x\",\n.png", "'=a.png", "plain.png", "@b.png", "deep/-1.png", "not named.png"]
    (tmp_path / "flat" / "deep").mkdir(parents=True)
    for name, image in zip(names, digits[0], strict=False):
        Image.fromarray(scan(image)).save(tmp_path / "flat" / name)
    assert hwr("label", "--images", tmp_path / "flat", "--model", "emnist47", "--out", tmp_path / "labels") == 0
    ids = ds.dataset(tmp_path / "labels" / "predictions").to_table()["id"].to_pylist()
    assert {*ids} == {*names}
    labels = dict(zip(names[:5], ["=", "'-", "A", "é", "7"], strict=True))
    file = correct(tmp_path / "corrections.csv", labels)
    command = ["ingest", "--source", file, "--format", "image-csv", "--images", tmp_path / "flat"]
    assert hwr(*command, "--out", tmp_path / "out") == 0
    assert {key: row[1] for key, row in rows(tmp_path / "out").items()} == labels
    # The same file corrects what a folder of them gives, with ids that are the same.
    command = ["ingest", "--source", tmp_path / "flat", "--format", "image-folder", "--out", tmp_path / "folder"]
    assert hwr(*command, "--corrections", file) == 0
    found = {key: row[1] for key, row in rows(tmp_path / "folder").items()}
    assert found == {**labels, "not named.png": None}
    assert manifest(tmp_path / "folder")["counts"]["corrected"] == 5


def test_the_same_command_goes_on_and_other_corrections_are_refused(scans, tmp_path, capsys, monkeypatch):
    labels = some(scans / "before", 1, "X")
    file = correct(tmp_path / "c.csv", labels)
    command = words(scans, tmp_path / "out", "--corrections", file)
    assert hwr(*command) == 0
    before = {name: mark.split()[0] for name, mark in contents(tmp_path / "out").items()}
    capsys.readouterr()
    monkeypatch.chdir(tmp_path)
    assert hwr(*words(scans, tmp_path / "out", "--corrections", "c.csv")) == 0
    said = capsys.readouterr().out
    assert "is already complete: 200 samples of 11 characters" in said
    assert "3 labels corrected" in said
    # As a job that was killed half-way leaves it.
    (tmp_path / "out" / "manifest.json").unlink()
    (tmp_path / "out" / "samples" / "part-00001.parquet").unlink()
    assert hwr(*command) == 0
    assert {name: mark.split()[0] for name, mark in contents(tmp_path / "out").items()} == before
    correct(file, dict.fromkeys(labels, "Y"))
    assert hwr(*command) == 1
    assert f"was made from other content of {file}" in capsys.readouterr().err
    other = correct(tmp_path / "d.csv", labels)
    for flags in (["--corrections", other], []):
        assert hwr(*words(scans, tmp_path / "out", *flags)) == 1
        assert "was made with corrections=" in capsys.readouterr().err
    assert hwr(*words(scans, scans / "before", "--corrections", file)) == 1
    assert "was made with corrections=nothing, not" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "flags", "says"),
    [
        ("file,label\nnone.png,1\n", [], r"c\.csv names 1 of 1 inputs that are not in .*scans, such as 'none.png'"),
        ("file,label\n0/0000.png,\n", [], r"c\.csv has no label for '0/0000.png'"),
        ("file,label\n0/0000.png,A\n", ["--alphabet", "digits"], r"'A' .*, which --alphabet digits does not have"),
        ("file,label\n0/0000.png,A\n", ["--mapping", "map.json"], r"'A' .*, which --mapping map.json does not have"),
        ("name,label\n0/0000.png,1\n", [], r"c\.csv needs the columns file \(or id\) and label"),
        (None, [], r"c\.csv cannot be read"),
    ],
    ids=["unknown", "empty", "alphabet", "mapping", "columns", "gone"],
)
def test_mistakes_in_corrections_are_one_clear_line_and_take_no_folder(
    scans, tmp_path, capsys, monkeypatch, text, flags, says
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "map.json").write_text(json.dumps(list("0123456789")))
    if text is not None:
        (tmp_path / "c.csv").write_text(text)
    assert hwr(*words(scans, tmp_path / "out", "--corrections", tmp_path / "c.csv", *flags)) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert re.search(says, err)
    assert not (tmp_path / "out").exists()


def test_corrections_of_themselves_are_refused(scans, tmp_path, capsys):
    file = correct(scans / "scans.csv", {"0/0000.png": "1"})
    command = ["ingest", "--source", file, "--images", scans / "scans", "--format", "image-csv", "--corrections", file]
    assert hwr(*command, "--out", tmp_path / "out") == 1
    assert "is the --source itself: leave it out" in capsys.readouterr().err
