"""Ingest loses nothing, says what it left out, and makes the same folder however often it is interrupted."""

import gzip
import json
import re
import struct

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from hwr import glyph, schema
from tests.jobs import contents, hwr, scan, write_scans

pytestmark = pytest.mark.usefixtures("cluster")


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
    (tmp_path / "broken" / "samples" / "train-00001.parquet").unlink()
    (tmp_path / "broken" / "samples" / "test-00000.parquet").rename(
        tmp_path / "broken" / "samples" / "test-00000.parquet.1a2b3c4d.tmp"
    )
    assert hwr(*words, "--out", tmp_path / "broken") == 0
    one, two = (
        {name: mark.split()[0] for name, mark in contents(tmp_path / name).items() if not name.endswith(".tmp")}
        for name in ("straight", "broken")
    )
    two = {name: mark for name, mark in two.items() if not name.endswith(".tmp")}
    assert one == two


def test_every_input_is_a_sample_or_a_reject_with_its_reason(tmp_path, digits, capsys):
    write_scans(tmp_path / "scans", digits[0][:50], digits[1][:50])
    bad = tmp_path / "scans" / "3"
    (bad / "empty.png").touch()
    (bad / "text.png").write_text("hello")
    (bad / "cut.png").write_bytes(next(bad.glob("0*.png")).read_bytes()[:80])
    words = ["ingest", "--source", tmp_path / "scans", "--format", "image-folder", "--out", tmp_path / "out"]
    assert hwr(*words) == 0
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
    ("flags", "message"),
    [
        (["--format", "emnist-idx"], r"has no \*-mapping.txt"),
        (["--format", "idx", "--alphabet", "digits", "--mapping", "m"], "give one of them"),
        (["--format", "idx", "--mapping", "none.txt"], "there is no mapping file"),
        (["--format", "idx", "--size", "4"], "--size must be from 8 to 256"),
        (["--format", "image-folder", "--out", "{source}/out"], "lies inside --source"),
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


def test_published_emnist_rows_are_kept_bit_for_bit(data, tmp_path):
    assert hwr("ingest", "--source", data / "emnist47r", "--format", "emnist-idx", "--out", tmp_path / "out") == 0
    facts = manifest(tmp_path / "out")
    assert facts["counts"]["inputs"] == 106_180 == facts["counts"]["samples"]
    assert facts["counts"]["splits"]["test"] == 9_400
    assert len(facts["counts"]["labels"]) == 47
    table = ds.dataset(tmp_path / "out" / "samples").to_table(filter=pa.compute.field("split") == "test")
    raw = np.frombuffer(
        gzip.decompress((data / "emnist47r" / "emnist47r-test-images-idx3-ubyte.gz").read_bytes()),
        np.uint8, offset=16,
    ).reshape(-1, 28, 28).transpose(0, 2, 1)  # fmt: skip
    same = (schema.images_from_arrow(table["image"]) == raw).all((1, 2))
    assert same.sum() >= 9_399
