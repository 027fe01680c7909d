"""Each image gets exactly one row, the same as a plain loop would give it, however often the job is interrupted."""

import csv
import json
import shutil

import numpy as np
import pyarrow.dataset as ds
import pytest

from hwr import schema
from hwr.predictor import Predictor
from hwr.sources import open_images, read_glyphs
from hwr.storage import Folder
from tests.jobs import contents, hwr, write_scans


def predictions(folder):
    return ds.dataset(folder / "predictions").to_table()


@pytest.fixture(scope="module")
def scans(tmp_path_factory, digits):
    """300 unseen digits in one flat folder, some bad files among them, and names that are hard on a CSV."""
    folder = tmp_path_factory.mktemp("flat")
    write_scans(folder / "by-class", digits[0][900:1200], digits[1][900:1200])
    flat = folder / "flat"
    flat.mkdir()
    for path in (folder / "by-class").rglob("*.png"):
        shutil.copy(path, flat / path.name)
    shutil.copy(path, flat / "=cmd() ö 'q' \"x\",\n.png")
    (flat / "bad.png").write_text("no picture")
    (flat / "empty.png").touch()
    return flat


@pytest.fixture(scope="module")
def labelled(scans, run):
    out = scans.parent / "labels"
    assert hwr("label", "--images", scans, "--model", run, "--out", out) == 0
    return out


def test_every_image_is_one_row_of_the_contract(scans, labelled):
    table = predictions(labelled)
    assert table.schema.equals(schema.PREDICTIONS)
    assert sorted(table["id"].to_pylist()) == sorted(path.name for path in scans.iterdir())
    rows = {row["id"]: row for row in table.to_pylist()}
    assert rows["bad.png"]["status"] == "unreadable"
    assert rows["bad.png"]["reason"].startswith("not-an-image")
    assert rows["empty.png"]["reason"] == "empty: 0 bytes"
    for row in rows.values():
        if row["status"] == "ok":
            assert row["prediction"] == row["top"][0]["label"]
            assert row["confidence"] == row["top"][0]["score"] == max(entry["score"] for entry in row["top"])
            assert len(row["top"]) == 5
            assert row["reason"] is None
        assert row["label"] is None


def test_the_job_says_what_a_plain_loop_says(scans, labelled, run):
    source = open_images(str(scans), None)
    index = source.index()
    glyphs, rejects = read_glyphs(source, index, 28)
    predictor = Predictor([Folder.open(str(run / "model"))])
    scores = predictor(glyphs)
    rows = {row["id"]: row for row in predictions(labelled).to_pylist()}
    for key, score, reject in zip(index["key"].to_pylist(), scores, rejects, strict=True):
        if reject is None:
            assert rows[key]["prediction"] == predictor.alphabet[score.argmax()]
            assert rows[key]["confidence"] == pytest.approx(score.max(), abs=1e-6)


def test_the_csv_is_safe_and_whole(labelled):
    with (labelled / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 303
    assert "'=cmd() ö 'q' \"x\",\n.png" in {row["file"] for row in rows}
    assert all(not row["file"].startswith("=") for row in rows)


def test_it_reads_digits(tmp_path, scans, run):
    out = tmp_path / "out"
    assert hwr("label", "--images", scans.parent / "by-class", "--model", run, "--out", out) == 0
    table = predictions(out)
    truth, said = (np.array(table[name].to_pylist()) for name in ("label", "prediction"))
    assert None not in truth
    assert (truth == said).mean() > 0.75


def test_folder_names_are_truth_only_if_all_are_characters_of_the_model(tmp_path, scans, run):
    shutil.copytree(scans.parent / "by-class", tmp_path / "in")
    (tmp_path / "in" / "3").rename(tmp_path / "in" / "march")
    assert hwr("label", "--images", tmp_path / "in", "--model", run, "--out", tmp_path / "out") == 0
    assert set(predictions(tmp_path / "out")["label"].to_pylist()) == {None}


def test_the_same_command_again_changes_nothing(scans, labelled, run, capsys):
    before = contents(labelled)
    assert hwr("label", "--images", scans, "--model", run, "--out", labelled) == 0
    assert "is already complete: 303 predictions, 301 ok, 2 unreadable" in capsys.readouterr().out
    assert contents(labelled) == before


def test_an_interrupted_job_goes_on_and_ends_like_an_undisturbed_one(tmp_path, scans, labelled, run):
    shutil.copytree(labelled, tmp_path / "out")
    (tmp_path / "out" / "manifest.json").unlink()
    (tmp_path / "out" / "predictions.csv").unlink()
    (tmp_path / "out" / "predictions" / "part-00001.parquet").unlink()
    assert hwr("label", "--images", scans, "--model", run, "--out", tmp_path / "out") == 0
    one, two = ({k: v.split()[0] for k, v in contents(folder).items()} for folder in (labelled, tmp_path / "out"))
    assert one == two


def test_a_split_of_samples_is_labelled_with_its_truth(tmp_path, samples, run):
    words = ["label", "--images", samples, "--split", "test", "--model", run, "--out", tmp_path / "out"]
    assert hwr(*words) == 0
    table = predictions(tmp_path / "out")
    assert len(table) == json.loads((samples / "manifest.json").read_text())["counts"]["splits"]["test"]
    assert table["label"].to_pylist() == [key.split("/")[0] for key in table["id"].to_pylist()]


def test_files_that_were_added_since_are_picked_up_and_nothing_else_is_done_again(tmp_path, scans, run, capsys):
    folder, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(scans, folder)
    moved = [path for path in sorted(folder.iterdir()) if path.suffix == ".png"][::3]
    for path in moved:
        path.rename(tmp_path / path.name)
    words = ["label", "--images", folder, "--model", run, "--out", out]
    assert hwr(*words) == 0
    before = contents(out / "predictions")
    for path in moved:
        (tmp_path / path.name).rename(path)
    assert hwr(*words) == 0
    assert f"303 images ({len(moved)} of them new), 1 of 3 parts to do" in capsys.readouterr().out
    after = contents(out / "predictions")
    assert {name: after[name] for name in before} == before
    rows = predictions(out).to_pylist()
    assert sorted(row["id"] for row in rows) == sorted(path.name for path in scans.iterdir())
    assert json.loads((out / "manifest.json").read_text())["counts"]["inputs"] == 303
    moved[0].write_bytes(moved[1].read_bytes())
    assert hwr(*words) == 1
    assert f"1 of the inputs have changed since they were listed, such as {folder}/{moved[0].name}" in (
        capsys.readouterr().err
    )


def test_answers_that_are_not_sure_enough_are_abstained_from(tmp_path, scans, labelled, run, capsys):
    whole = {row["id"]: row for row in predictions(labelled).to_pylist()}
    limit = float(np.median([row["confidence"] for row in whole.values() if row["status"] == "ok"]))
    out = tmp_path / "out"
    assert hwr("label", "--images", scans, "--model", run, "--out", out, "--min-confidence", limit) == 0
    rows = predictions(out).to_pylist()
    for row in rows:
        other = whole[row["id"]]
        assert row["confidence"] == other["confidence"]
        assert row["top"] == other["top"]
        if other["status"] == "ok" and other["confidence"] < limit:
            assert (row["status"], row["prediction"]) == ("abstained", None)
        else:
            assert row == other
    abstained = sum(row["status"] == "abstained" for row in rows)
    assert 100 < abstained < 200
    assert f"{301 - abstained} ok, {abstained} abstained, 2 unreadable" in capsys.readouterr().out


def test_some_characters_and_several_models(tmp_path, scans, run):
    words = ["label", "--images", scans.parent / "by-class", "--model", run, "--model", "emnist47"]
    assert hwr(*words, "--out", tmp_path / "no") == 1  # they do not read the same characters
    words = ["label", "--images", scans.parent / "by-class", "--model", "emnist47", "--out", tmp_path / "out", "--tta"]
    assert hwr(*words, "--only", "digits", "--top-k", 3) == 0
    table = predictions(tmp_path / "out")
    assert set(table["prediction"].to_pylist()) <= set("0123456789")
    assert {len(top) for top in table["top"].to_pylist()} == {3}
    truth, said = (np.array(table[name].to_pylist()) for name in ("label", "prediction"))
    assert (truth == said).mean() > 0.75


def test_answers_are_handed_out_also_when_they_are_there_already(tmp_path, scans, labelled, run, capsys):
    before = contents(labelled)
    words = ["label", "--images", scans, "--model", run, "--out", labelled]
    extra = ["--sort-into", tmp_path / "sorted", "--label-studio", tmp_path / "tasks.json"]
    assert hwr(*words, *extra) == 0
    assert f"{tmp_path}/sorted: 303 images copied" in capsys.readouterr().out
    assert contents(labelled) == before
    rows = {row["id"]: row for row in predictions(labelled).to_pylist()}
    copied = {name: entry.split()[0] for name, entry in contents(tmp_path / "sorted").items() if name[0] != "."}
    originals = {name: entry.split()[0] for name, entry in contents(scans).items()}
    assert sorted(copied.values()) == sorted(originals.values())
    for name, content in copied.items():
        folder = name.split("/")[0]
        meant = [key for key, original in originals.items() if original == content]
        assert folder in {rows[key]["prediction"] or "_unreadable" for key in meant}
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert len(tasks) == 301
    scores = [task["predictions"][0]["score"] for task in tasks]
    assert scores == sorted(scores)
    assert (tmp_path / "tasks.xml").exists()
    assert hwr(*words, *extra) == 0
    assert f"{tmp_path}/sorted: 0 images copied" in capsys.readouterr().out


def test_an_archive_is_labelled_as_the_folder_that_it_unpacks_to(tmp_path, scans, labelled, run, capsys):
    name = shutil.make_archive(str(tmp_path / "scans"), "zip", scans)
    words = ["label", "--images", name, "--model", run, "--out", tmp_path / "out"]
    assert hwr(*words) == 0
    ours, theirs = ({row["id"]: row for row in predictions(out).to_pylist()} for out in (tmp_path / "out", labelled))
    assert ours.keys() == {f"scans.zip!/{key}" for key in theirs}
    for key, row in theirs.items():
        assert ours[f"scans.zip!/{key}"] == {**row, "id": f"scans.zip!/{key}"}
    assert hwr(*words, "--label-studio", tmp_path / "tasks.json") == 1
    assert "--label-studio shows image files: give --images a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--split", "test"], "--split test needs a samples folder"),
        (["--out", "{scans}/labels"], "lies inside --images"),
        (["--top-k", "0"], "--top-k must be at least 1, not 0"),
        (["--only", "1Z"], "--only names Z, which the model does not read: it knows 0 1 2 3 4 5 6 7 8 9"),
        (["--min-confidence", "1.5"], "--min-confidence must be from 0 to 1, not 1.5"),
        (
            ["--min-confidence", "0.5", "--target-accuracy", "0.9"],
            "give --min-confidence or --target-accuracy, not both",
        ),
        (["--target-accuracy", "0.9", "--tta"], "--target-accuracy is known of one model as it was validated"),
        (["--workers", "7"], "7 worker(s) need a CPU each, but Ray has 3 here: use --workers 3"),
    ],
)
def test_set_up_mistakes_are_one_line(tmp_path, scans, run, capsys, flags, message):
    flags = [flag.format(scans=scans) for flag in flags]
    assert hwr("label", "--images", scans, "--model", run, "--out", tmp_path / "out", *flags) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
