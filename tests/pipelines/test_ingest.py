"""Ingest loses nothing, says what it left out, and makes the same folder however often it is interrupted."""

import contextlib
import gzip
import json
import os
import re
import struct
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hwr import glyph, schema
from hwr.alphabet import NAMED
from pipelines import ingest
from tests.jobs import contents, hwr, scan, write_scans
from tests.pictures import encode, idx


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def write_idx(folder, stem, images, labels):
    folder.mkdir(exist_ok=True)
    head = struct.pack(">IIII", 0x803, *images.shape)
    (folder / f"{stem}-images-idx3-ubyte").write_bytes(head + np.ascontiguousarray(images).tobytes())
    (folder / f"{stem}-labels-idx1-ubyte").write_bytes(
        struct.pack(">II", 0x801, len(labels)) + labels.astype(np.uint8).tobytes()
    )


def test_shards_hold_the_contract_and_open_without_ray(samples):
    facts = manifest(samples)
    table = ds.dataset(samples / "samples").to_table()
    assert table.schema.equals(schema.samples(28))
    assert pq.read_schema(samples / facts["files"][0]["name"]).metadata[b"hwr.contract"] == b"samples"
    assert len(set(table["id"].to_pylist())) == len(table) == 600
    assert facts["counts"]["splits"] == {"train": 486, "val": 54, "test": 60}
    assert {row["split"] for row in table.select(["split"]).to_pylist()} == {"train", "val", "test"}
    frame = pd.read_parquet(samples / "samples")
    assert frame["image"].map(len).eq(784).all()
    assert (frame["label"] == frame["id"].str.split("/").str[0]).all()


def test_glyphs_are_those_of_the_canonical_function(samples, digits):
    table = pq.read_table(samples / "samples")
    by_id = dict(zip(table["id"].to_pylist(), schema.images_from_arrow(table["image"]), strict=True))
    for number in (0, 7, 599):
        expected = glyph.canonical(scan(digits[0][number]))
        assert np.array_equal(by_id[f"{digits[1][number]}/{number:04d}.png"], expected)


def test_the_same_command_again_changes_nothing(samples, capsys):
    before = contents(samples)
    words = ["ingest", "--source", samples.parent / "scans", "--format", "image-folder", "--out", samples]
    assert hwr(*words) == 0
    assert "is already complete: 600 samples of 10 characters" in capsys.readouterr().out
    assert contents(samples) == before


def test_other_settings_on_the_same_folder_are_refused(samples, capsys):
    before = contents(samples)
    words = ["ingest", "--source", samples.parent / "scans", "--format", "image-folder", "--out", samples]
    assert hwr(*words, "--size", 32) == 1
    assert "was made with size=28, not 32: choose another --out" in capsys.readouterr().err
    assert contents(samples) == before


def test_an_interrupted_ingest_goes_on_and_ends_like_an_undisturbed_one(tmp_path, digits):
    write_scans(tmp_path / "scans", digits[0][:700], digits[1][:700])
    (tmp_path / "scans" / "0" / "broken.png").write_bytes(b"broken")
    words = ["ingest", "--source", tmp_path / "scans", "--format", "image-folder"]
    assert hwr(*words, "--out", tmp_path / "straight") == 0
    assert hwr(*words, "--out", tmp_path / "broken") == 0
    # What a job killed half-way leaves: some shards, no manifest, and a file that was being written.
    (tmp_path / "broken" / "manifest.json").unlink()
    (tmp_path / "broken" / "samples" / "part-00001.parquet").unlink()
    (tmp_path / "broken" / "samples" / "part-00000.parquet").rename(
        tmp_path / "broken" / "samples" / ".part-00000.parquet.1a2b3c4d.tmp"
    )
    assert hwr(*words, "--out", tmp_path / "broken") == 0
    one, two = (
        {name: mark.split()[0] for name, mark in contents(tmp_path / name).items()} for name in ("straight", "broken")
    )
    assert one == two


def test_every_input_is_a_sample_or_a_reject_with_its_reason(tmp_path, digits, capsys):
    write_scans(tmp_path / "scans", digits[0][:50], digits[1][:50])
    bad = tmp_path / "scans" / "3"
    (bad / "empty.png").touch()
    (bad / "text.png").write_text("hello")
    (bad / "cut.png").write_bytes(next(bad.glob("0*.png")).read_bytes()[:80])
    words = ["ingest", "--source", tmp_path / "scans", "--format", "image-folder", "--out", tmp_path / "out"]
    assert hwr(*words) == 1
    assert (
        "3 of 53 inputs were rejected (1 corrupt, 1 empty, 1 not-an-image), more than --max-reject-share 0.05: mend"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert hwr(*words, "--max-reject-share", 0.06) == 0
    counts = manifest(tmp_path / "out")["counts"]
    assert counts["inputs"] == 53 == counts["samples"] + counts["rejects"]
    assert counts["reasons"] == {"corrupt": 1, "empty": 1, "not-an-image": 1}
    assert "3 rejects, 1 corrupt, 1 empty, 1 not-an-image" in capsys.readouterr().out
    rejects = ds.dataset(tmp_path / "out" / "rejects").to_table()
    assert rejects.schema.equals(schema.REJECTS)
    assert sorted(rejects["key"].to_pylist()) == ["3/cut.png", "3/empty.png", "3/text.png"]


def test_emnist_comes_out_upright_with_the_characters_of_its_mapping(tmp_path, digits):
    glyphs = np.stack([glyph.canonical(scan(image)) for image in digits[0][:40]])
    write_idx(tmp_path / "in", "emnist-train", glyphs.transpose(0, 2, 1), digits[1][:40] + 1)
    (tmp_path / "in" / "emnist-mapping.txt").write_text("".join(f"{n + 1} {ord('a') + n}\n" for n in range(10)))
    assert hwr("ingest", "--source", tmp_path / "in", "--format", "emnist-idx", "--out", tmp_path / "out") == 0
    table = pq.read_table(tmp_path / "out" / "samples")
    order = [int(key.split("#")[1]) for key in table["id"].to_pylist()]
    assert np.array_equal(schema.images_from_arrow(table["image"]), glyphs[order])
    assert table["label"].to_pylist() == [chr(ord("a") + digits[1][row]) for row in order]


@pytest.mark.parametrize(
    ("broken", "advice"), [(13, "most files are no images, so scans may"), (12, "mend the source")]
)
def test_another_format_is_suggested_only_where_most_files_are_no_images(broken, advice):
    config = SimpleNamespace(alphabet=None, mapping=None, source="scans")
    assert ingest._advice(config, {"inputs": 25, "reasons": {"not-an-image": broken}}).startswith(advice)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--format", "emnist-idx"], r"has no \*-mapping.txt"),
        (["--format", "idx", "--alphabet", "digits", "--mapping", "m"], "give one of them"),
        (["--format", "idx", "--mapping", "none.txt"], "there is no mapping file"),
        (["--format", "idx", "--size", "4"], "--size must be from 8 to 256"),
        (["--format", "image-folder", "--out", "{source}/out"], "lies inside --source"),
        (["--format", "idx", "--max-reject-share", "1.1"], "--max-reject-share must be from 0 to 1"),
        (["--format", "idx", "--images", "x"], "--images has no use with --format idx"),
        (["--format", "idx", "--split-by", "writer"], "--split-by writer needs inputs with writers"),
    ],
)
def test_set_up_mistakes_are_one_line(tmp_path, digits, capsys, flags, message):
    write_idx(tmp_path / "in", "train", digits[0][:5], digits[1][:5])
    flags = [flag.format(source=tmp_path / "in") for flag in flags]
    words = ["ingest", "--source", tmp_path / "in", "--out", tmp_path / "out", *flags]
    assert hwr(*words) == 1
    err = capsys.readouterr().err
    assert re.search(message, err)
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_new_changed_and_missing_files_in_the_source_are_noticed(tmp_path, digits, capsys):
    write_scans(tmp_path / "scans", digits[0][:20], digits[1][:20])
    words = ["ingest", "--source", tmp_path / "scans", "--format", "image-folder", "--out", tmp_path / "out"]
    assert hwr(*words) == 0
    scans = sorted((tmp_path / "scans").rglob("*.png"))
    before = scans[0].read_bytes()
    for change in (scans[1].read_bytes(), None):
        scans[0].write_bytes(change) if change else scans[0].unlink()
        assert hwr(*words) == 1
        assert "was made from other content of" in capsys.readouterr().err
    scans[0].write_bytes(before)
    write_scans(tmp_path / "scans", digits[0][:21], digits[1][:21])
    assert hwr(*words) == 1
    assert "was made from other content of" in capsys.readouterr().err


TWELVE = {
    "empty.png": "empty", "text.png": "not-an-image", "notes.txt": "not-an-image", "cut.png": "corrupt",
    "flipped.png": "corrupt", "headless.png": "corrupt", "white.png": "blank", "huge.png": "too-large",
    "outside.png": "outside-folder", "gone.png": "missing", "pipe.png": "not-a-file", "\udcff.png": "bad-name",
}  # fmt: skip


def write_bad_files(folder):
    """One file of each kind that cannot become a glyph."""
    good = encode(scan(np.eye(8, dtype=np.uint8) * 255))
    contents = {
        "empty.png": b"", "text.png": b"hello", "notes.txt": b"hello", "cut.png": good[:-20],
        "flipped.png": good[:60] + bytes([good[60] ^ 255]) + good[61:], "headless.png": good[:8] + good[20:],
        "white.png": encode(np.full((40, 40), 250, np.uint8)),
        "huge.png": encode(Image.new("1", (8000, 8000))), "\udcff.png": good,
    }  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder.parents[1] / "elsewhere.png").write_bytes(good)
    (folder / "outside.png").symlink_to(folder.parents[1] / "elsewhere.png")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    os.mkfifo(folder / "pipe.png")


def test_twelve_kinds_of_bad_files_among_a_thousand_good_ones(tmp_path, digits):
    write_scans(tmp_path / "scans", digits[0][:1000], digits[1][:1000])
    write_bad_files(tmp_path / "scans" / "3")
    assert hwr("ingest", "--source", tmp_path / "scans", "--format", "image-folder", "--out", tmp_path / "out") == 0
    counts = manifest(tmp_path / "out")["counts"]
    assert (counts["inputs"], counts["samples"], counts["rejects"]) == (1012, 1000, 12)
    rejects = ds.dataset(tmp_path / "out" / "rejects").to_table().to_pylist()
    found = {row["key"].removeprefix("//").removeprefix("3/"): row["reason"] for row in rejects}
    assert found == {("\\udcff.png" if "\udcff" in name else name): reason for name, reason in TWELVE.items()}
    assert all(row["detail"] for row in rejects)


def test_copies_across_splits_are_counted_and_can_be_dropped(tmp_path, digits, capsys):
    write_scans(tmp_path / "in" / "train", digits[0][:100], digits[1][:100])
    write_scans(tmp_path / "in" / "test", digits[0][90:120], digits[1][90:120])
    first = next((tmp_path / "in" / "train" / "0").iterdir())
    (first.parent / "copy.png").write_bytes(first.read_bytes())
    words = ["ingest", "--source", tmp_path / "in", "--format", "image-folder", "--out"]
    assert hwr(*words, tmp_path / "kept") == 0
    counts = manifest(tmp_path / "kept")["counts"]
    assert counts["samples"] == 131
    leaks = counts["duplicates"]["leaks"]
    assert leaks.get("train-test", 0) + leaks.get("val-test", 0) == 10
    assert counts["duplicates"]["train"] + leaks.get("train-val", 0) == 1
    assert counts["duplicates"]["dropped"] == 0
    assert re.search(r"\n1[01] glyphs are in two splits, bit for bit", capsys.readouterr().out)
    assert hwr(*words, tmp_path / "dropped", "--drop-leaks") == 0
    counts = manifest(tmp_path / "dropped")["counts"]
    assert counts["inputs"] == 131 == counts["samples"] + counts["rejects"]
    assert counts["reasons"] == {"leak": sum(leaks.values())}
    assert counts["splits"]["test"] == 30
    table = ds.dataset(tmp_path / "dropped" / "samples").to_table()
    images = schema.images_from_arrow(table["image"]).reshape(len(table), -1)
    sides = {}
    for image, split in zip(images, table["split"].to_pylist(), strict=True):
        sides.setdefault(image.tobytes(), set()).add(split)
    assert all(len(splits) == 1 for splits in sides.values())
    before = contents(tmp_path / "dropped")
    (tmp_path / "dropped" / "manifest.json").unlink()
    assert hwr(*words, tmp_path / "dropped", "--drop-leaks") == 0
    after = contents(tmp_path / "dropped")
    assert {name: mark.split()[0] for name, mark in after.items()} == {
        name: mark.split()[0] for name, mark in before.items()
    }


@pytest.mark.parametrize("victim", ["job", "worker"])
def test_killed_half_way_and_run_again_it_equals_an_undisturbed_run(tmp_path, digits, victim):
    write_scans(tmp_path / "scans", digits[0], digits[1])
    write_bad_files(tmp_path / "scans" / "3")
    words = ["ingest", "--source", tmp_path / "scans", "--format", "image-folder", "--size", 64]
    assert hwr(*words, "--out", tmp_path / "straight") == 0
    command = [sys.executable, "-m", "pipelines", *map(str, words), "--out", str(tmp_path / "killed")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    shards = tmp_path / "killed" / "samples"
    while process.poll() is None and len(list(shards.glob("*.parquet"))) < 2:
        time.sleep(0.01)
    mine = psutil.Process(process.pid).children(recursive=True)
    worker = next(child for child in mine if "MapWorker" in " ".join(child.cmdline()))
    worker.kill() if victim == "worker" else process.kill()
    process.wait(timeout=300)
    for child in mine:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    assert (tmp_path / "killed" / "manifest.json").exists() == (victim == "worker")
    assert hwr(*words, "--out", tmp_path / "killed") == 0
    one, two = (
        {name: mark.split()[0] for name, mark in contents(tmp_path / folder).items()}
        for folder in ("straight", "killed")
    )
    assert one == two


@pytest.fixture(scope="module")
def published(data, tmp_path_factory):
    """Every kind of published set, ingested: name to folder."""
    top = tmp_path_factory.mktemp("published")
    sources = {
        "mnist": (data / "mnist", "idx"),
        "mnist_csv": (data / "mnist" / "mnist_test.csv.zip", "pixel-csv"),
        "emnist": (data / "emnist47r", "emnist-idx"),
        "emnist_csv": (data / "emnist47r" / "emnist47r-sample.csv.gz", "emnist-csv"),
        "az": (data / "az", "pixel-csv", "--alphabet", "A-Z"),
    }  # fmt: skip
    for name, (source, kind, *flags) in sources.items():
        assert hwr("ingest", "--source", source, "--format", kind, *flags, "--out", top / name) == 0
    return top


COUNTS = {"mnist": (70_000, 10), "mnist_csv": (10_000, 10), "emnist": (106_180, 47), "emnist_csv": (4_000, 47),
          "az": (37_715, 26)}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_published_sets_come_in_whole(published, name):
    counts = manifest(published / name)["counts"]
    assert (counts["samples"], len(counts["labels"])) == COUNTS[name]
    assert counts["samples"] + counts["rejects"] == counts["inputs"] == sum(counts["labels"].values())


def test_the_same_digits_come_from_idx_csv_npz_and_parquet(published, data, tmp_path):
    images = idx("mnist/t10k-images-idx3-ubyte.gz")[:3000]
    labels = np.frombuffer(gzip.decompress((data / "mnist" / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8)
    np.savez(tmp_path / "test.npz", images=images, labels=labels[8:3008])
    frame = {"image": [encode(image) for image in images], "label": labels[8:3008]}
    pq.write_table(pa.table(frame), tmp_path / "test.parquet", row_group_size=500)
    whole = ds.dataset(published / "mnist" / "samples").to_table(filter=pa.compute.field("split") == "test")
    for kind, file in (("numpy", "test.npz"), ("parquet", "test.parquet")):
        out = tmp_path / kind
        assert hwr("ingest", "--source", tmp_path / file, "--format", kind, "--out", out) == 0
        table = ds.dataset(out / "samples").to_table()
        assert manifest(out)["counts"]["inputs"] == 3000 == len(table)
        for column in ("label", "split"):
            assert table[column].to_pylist() == whole[column].to_pylist()[:3000]
        assert np.array_equal(schema.images_from_arrow(table["image"]), images)
    csv = ds.dataset(published / "mnist_csv" / "samples").to_table()
    assert csv["label"].to_pylist() == whole["label"].to_pylist()
    assert np.array_equal(schema.images_from_arrow(csv["image"]), schema.images_from_arrow(whole["image"]))


def test_digits_and_capitals_are_trained_together_with_no_merge_step(samples, data, tmp_path):
    source = data / "az" / "A_Z_sample_kaggle_format.csv.gz"
    words = ["ingest", "--source", source, "--format", "pixel-csv", "--alphabet", "A-Z", "--out", tmp_path / "az"]
    assert hwr(*words) == 0
    words = ["train", "--data", samples, "--data", tmp_path / "az", "--alphabet", "az35", "--epochs", 1]
    assert hwr(*words, "--out", tmp_path / "run") == 0
    card = json.loads((tmp_path / "run" / "model" / "model.json").read_text())
    assert "".join(card["alphabet"]) == "123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert [entry["location"] for entry in card["data"]] == [str(samples), str(tmp_path / "az")]


def test_english_comes_from_its_zip_with_each_writer_on_one_side(data, tmp_path):
    words = ["ingest", "--source", data / "english" / "english.csv", "--format", "image-csv", "--split-by", "writer"]
    assert hwr(*words, "--writer-pattern", r"-0*([0-9]+)[.]png$", "--out", tmp_path / "out") == 0
    counts = manifest(tmp_path / "out")["counts"]
    assert counts["inputs"] == 3410 == counts["samples"]
    assert len(counts["labels"]) == 62
    table = ds.dataset(tmp_path / "out" / "samples").to_table(["writer", "split"]).to_pandas()
    assert sorted(map(int, table["writer"].unique())) == list(range(1, 56))
    assert table.groupby("writer")["split"].nunique().eq(1).all()
    assert table["split"].value_counts()[["train", "test", "val"]].gt(0).all()


def test_published_emnist_rows_are_kept_bit_for_bit(published, data):
    facts = manifest(published / "emnist")
    assert facts["counts"]["splits"]["test"] == 9_400
    table = ds.dataset(published / "emnist" / "samples").to_table(filter=pa.compute.field("split") == "test")
    raw = idx("emnist47r/emnist47r-test-images-idx3-ubyte.gz").transpose(0, 2, 1)
    assert np.array_equal(schema.images_from_arrow(table["image"]), raw)
    numbers = np.frombuffer(
        gzip.decompress((data / "emnist47r" / "emnist47r-test-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8
    )
    assert table["label"].to_pylist() == [NAMED["emnist47"][number] for number in numbers]
