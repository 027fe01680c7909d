"""The job joins truth by id, hides no row, refuses truth that does not fit, and never makes a report twice."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hwr import listing, manifest, schema
from hwr.errors import InputError, OutputError
from hwr.report.pictures import drawing
from hwr.sources import ImageFolder
from hwr.spreadsheet import to_csv
from hwr.storage import Folder
from pipelines import evaluate
from pipelines.evaluate import Config

LABELS = "0123456789"


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Draw coarsely: what pictures show is proven elsewhere."""
    monkeypatch.setattr(drawing, "DPI", 30)


def predict(folder: Path, truth: bool = True, rows: int = 160, seed: int = 0) -> list[dict]:
    """Make a predictions folder in two parts, with the images of a few of its inputs; its rows."""
    random = np.random.default_rng(seed)
    made = []
    for index in range(rows):
        label = str(random.integers(10))
        chances = random.dirichlet(np.ones(10) * 0.3)
        chances[int(label)] += 0.6
        best = np.argsort(-chances)[:3]
        top = [{"label": LABELS[each], "score": float(chances[each] / chances.sum())} for each in best]
        status = "unreadable" if index % 40 == 3 else "abstained" if index % 11 == 5 else "ok"
        row = {"id": f"page/{index:03}.png", "status": status, "label": label if truth else None, "reason": None}
        answer = {"prediction": top[0]["label"], "confidence": top[0]["score"], "top": top}
        made.append(row | (answer if status != "unreadable" else {"reason": "corrupt"}))
    images = folder.parent / "images" / "page"
    images.mkdir(parents=True, exist_ok=True)
    for index in range(rows):
        ink = np.full((40, 30), 255, np.uint8)
        ink[8:32, 10:20] = index % 100
        Image.fromarray(ink).save(images / f"{index:03}.png")
    _write(folder, made, images.parent)
    return made


def _write(folder: Path, rows: list[dict], images: Path) -> None:
    out = Folder.open(str(folder))
    manifest.claim(out, "predictions", {}, {})
    files = []
    for part, some in enumerate((rows[: len(rows) // 2], rows[len(rows) // 2 :])):
        name = f"predictions/part-{part:05}.parquet"
        out.write_table(name, pa.Table.from_pylist(some, schema=schema.PREDICTIONS))
        files.append({"name": name, "rows": len(some)})
    facts = {"fingerprint": manifest.fingerprint(json.dumps(rows).encode()), "files": files, "counts": {},
             "model": "/runs/digits/model", "alphabet": list(LABELS), "size": 28,
             "images": {"location": str(images), "split": None}}  # fmt: skip
    listing.add(out / "inputs", ImageFolder(Folder.open(str(images))).index(), None)
    manifest.complete(out, "predictions", facts)


def run(tmp_path: Path, truth: Path | None = None, out: str = "report") -> dict:
    evaluate.run(Config(str(tmp_path / "labels"), str(tmp_path / out), truth and str(truth)))
    return json.loads((tmp_path / out / "report.json").read_text())


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_count_agrees_with_the_raw_rows(tmp_path, capsys):
    rows = predict(tmp_path / "labels")
    found = run(tmp_path)

    answered = [row for row in rows if row["status"] == "ok"]
    right = [row for row in answered if row["prediction"] == row["label"]]
    wrong = [row for row in answered if row["prediction"] != row["label"]]
    assert len(right) > 100
    assert len(wrong) > 3
    assert found["rows"] == 160
    for status in ("ok", "abstained", "unreadable"):
        assert found["statuses"][status] == sum(row["status"] == status for row in rows) > 0
    assert found["reasons"]["unreadable"] == {"corrupt": 4}
    assert found["truth"] == {"with": 160, "without": 0, "outside_alphabet": 0}
    assert (found["answered"]["rows"], found["answered"]["correct"]) == (len(answered), len(right))
    assert found["answered"]["accuracy"] == len(right) / len(answered)
    assert (found["all_inputs"]["rows"], found["all_inputs"]["correct"]) == (160, len(right))
    assert found["all_inputs"]["accuracy"] == len(right) / 160
    assert found["answered"]["confusion"]["labels"] == list(LABELS)
    for true in LABELS:
        assert found["predicted"][true] == sum(row["prediction"] == true for row in answered)
        for taken in LABELS:
            count = sum(row["label"] == true and row["prediction"] == taken for row in answered)
            assert found["answered"]["confusion"]["counts"][int(true)][int(taken)] == count
    for k in (1, 2, 3):
        among = sum(row["label"] in [guess["label"] for guess in row["top"][:k]] for row in answered)
        assert found["answered"]["top_k"][str(k)] == among / len(answered)
    assert found["confidence"]["edges"][1] == 0.05
    for name, some in (("right", right), ("wrong", wrong), ("unknown", [])):
        bins = [0] * 20
        for row in some:
            bins[min(int(np.float32(row["confidence"]) * 20), 19)] += 1
        assert found["confidence"][name] == bins
    assert f"{len(right) / len(answered):.2%}" in capsys.readouterr().out


def test_the_folder_holds_the_page_its_pictures_and_glyphs(tmp_path):
    predict(tmp_path / "labels")
    run(tmp_path)
    out = tmp_path / "report"
    made = manifest.require(Folder.open(str(out)), "report")
    assert set(made["files"]) | {"config.json", "manifest.json"} == set(contents(out))
    assert set(made["files"]) == {
        "report.html", "report.json", "answers.parquet", "classification_report.txt", "suspects.csv", "confusion.png",
        "f1.png", "confidence.png", "predicted.png", "reliability.png", "coverage.png", "pairs.png", "mistakes.png",
        "samples.png",
    }  # fmt: skip
    html = (out / "report.html").read_text()
    assert html.count('class="glyph"') > 30
    assert "could not be read any more" not in html
    assert "/runs/digits/model" in html


def test_images_that_are_gone_do_not_stop_the_report(tmp_path):
    predict(tmp_path / "labels")
    (tmp_path / "images").rename(tmp_path / "moved")
    run(tmp_path)
    assert (tmp_path / "report" / "report.html").read_text().count("could not be read any more") == 1


def test_truth_is_joined_by_id_in_whatever_order_it_comes(tmp_path):
    rows = predict(tmp_path / "labels")
    shuffled = [f"{row['label']},x,{row['id']}\n" for row in sorted(rows, key=lambda row: row["id"][::-1])]
    truth = write(tmp_path / "truth.csv", "label,note,file\n" + "".join(shuffled), "utf-8-sig")
    assert run(tmp_path, truth)["answered"] == run(tmp_path, out="other")["answered"]


def test_truth_in_a_csv_replaces_what_rides_along_and_rows_without_are_counted(tmp_path, capsys):
    rows = predict(tmp_path / "labels")
    answered = [row for row in rows if row["status"] == "ok"]
    lines = [f"{answered[0]['id']},{answered[0]['prediction']}", f"{answered[1]['id']}, ß", f"{answered[2]['id']},"]
    found = run(tmp_path, write(tmp_path / "truth.csv", "id,label\n" + "\n".join(lines)))
    assert found["truth"] == {"with": 2, "without": 158, "outside_alphabet": 1}
    assert (found["answered"]["rows"], found["answered"]["correct"]) == (2, 1)
    assert found["answered"]["confusion"]["labels"] == [*LABELS, "ß"]
    assert "158 without truth" in capsys.readouterr().out


def test_names_and_labels_that_a_table_defused_are_matched_again(tmp_path):
    rows = predict(tmp_path / "labels", rows=40)
    right = next(row for row in rows if row["status"] == "ok")
    right |= {
        "id": "'=cmd().png",
        "prediction": "-",
        "label": None,
        "top": [{"label": "-", "score": right["confidence"]}],
    }
    _write(tmp_path / "labels", rows, tmp_path / "images")
    (tmp_path / "truth.csv").write_bytes(to_csv(["file", "label"], [(right["id"], "-")]))
    assert b"''=cmd().png,'-" in (tmp_path / "truth.csv").read_bytes()
    found = run(tmp_path, tmp_path / "truth.csv")
    assert (found["truth"]["with"], found["answered"]["correct"]) == (1, 1)


def test_without_truth_the_report_still_stands(tmp_path, capsys):
    predict(tmp_path / "labels", truth=False)
    found = run(tmp_path)
    assert (found["answered"], found["all_inputs"]) == (None, None)
    assert found["truth"]["without"] == 160
    assert "no answer has a known truth" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,label\npage/000.png,1\nelsewhere.png,2\n", "names 1 of 2 inputs that are not in .*'elsewhere.png'"),
        ("file,label\npage/000.png,1\npage/000.png,2\n", "'page/000.png' more than once"),
        ("file,character\npage/000.png,1\n", "needs the columns file .* but has file, character"),
        ("name,label\npage/000.png,1\n", "needs the columns file .* but has name, label"),
        ("", "but has none at all"),
        ("file,label\npage/000.png\n", "too few fields, near 'page/000.png'"),
        ('file,label\n"page/000.png,1\n', "not a readable CSV"),
    ],
    ids=["unknown", "twice", "no-label", "no-id", "empty", "short", "quote"],
)
def test_mistakes_in_the_truth_are_one_clear_line(tmp_path, text, says):
    predict(tmp_path / "labels", rows=20)
    truth = write(tmp_path / "truth.csv", text)
    with pytest.raises(InputError, match=says) as caught:
        run(tmp_path, truth)
    assert "\n" not in str(caught.value)
    assert str(truth) in str(caught.value)


def test_truth_that_is_not_text_or_not_there_is_one_clear_line(tmp_path):
    predict(tmp_path / "labels", rows=20)
    (tmp_path / "truth.csv").write_bytes(b"file,label\npage/000.png,\xff\n")
    with pytest.raises(InputError, match="not a readable CSV"):
        run(tmp_path, tmp_path / "truth.csv")
    with pytest.raises(InputError, match=r"gone\.csv cannot be read"):
        run(tmp_path, tmp_path / "gone.csv")


def test_a_mistaken_truth_does_not_take_the_output_folder(tmp_path):
    predict(tmp_path / "labels", rows=20)
    for text in ("nothing\n", "file,label\nelsewhere.png,1\n"):
        with pytest.raises(InputError):
            run(tmp_path, write(tmp_path / "truth.csv", text))
        assert not (tmp_path / "report").exists()


def test_the_same_command_again_says_so_and_changes_nothing(tmp_path, capsys):
    predict(tmp_path / "labels", rows=40)
    run(tmp_path)
    before, said = contents(tmp_path / "report"), capsys.readouterr().out
    run(tmp_path)
    again = capsys.readouterr().out
    assert contents(tmp_path / "report") == before
    assert "is already complete: accuracy" in again
    assert again.split(": ", 1)[1] == said.split(": ", 1)[1]


def test_an_unfinished_report_is_made_whole(tmp_path):
    predict(tmp_path / "labels", rows=40)
    run(tmp_path)
    for name in ("manifest.json", "report.html"):
        (tmp_path / "report" / name).unlink()
    run(tmp_path)
    assert (tmp_path / "report" / "report.html").exists()


def test_changed_truth_or_predictions_are_refused(tmp_path):
    predict(tmp_path / "labels", rows=40)
    truth = write(tmp_path / "truth.csv", "file,label\npage/000.png,1\n")
    run(tmp_path, truth)
    write(truth, "file,label\npage/000.png,2\n")
    with pytest.raises(OutputError, match=r"other content of .*truth\.csv"):
        run(tmp_path, truth)
    with pytest.raises(OutputError, match="made with truth="):
        run(tmp_path)


def test_predictions_that_are_not_there_or_unfinished_or_damaged_are_one_clear_line(tmp_path):
    with pytest.raises(InputError, match="does not exist or is empty"):
        run(tmp_path)
    predict(tmp_path / "labels", rows=20)
    part = tmp_path / "labels" / "predictions" / "part-00001.parquet"
    part.unlink()
    with pytest.raises(InputError, match="is damaged"):
        run(tmp_path)
    (tmp_path / "labels" / "manifest.json").unlink()
    with pytest.raises(InputError, match="did not finish"):
        run(tmp_path, out="other")


def test_a_name_that_is_markup_shows_as_text(tmp_path):
    evil = "<script>alert(1)</script>"
    rows = predict(tmp_path / "labels", rows=20)
    rows[0] |= {"id": evil, "status": "ok", "label": "1", "prediction": "2", "confidence": 0.9,
                "top": [{"label": "2", "score": 0.9}]}  # fmt: skip
    _write(tmp_path / "labels", rows, tmp_path / "images")
    run(tmp_path)
    html = (tmp_path / "report" / "report.html").read_text()
    assert html.count("<script") == 1  # the page's own
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 2
    assert "&lt;script&gt;alert(1)&lt;/" in html


@pytest.mark.parametrize("confidence", [float("nan"), 1.5, -0.1, None])
def test_confidences_that_are_no_probabilities_are_one_clear_line(tmp_path, confidence):
    rows = predict(tmp_path / "labels", rows=20)
    rows[0] |= {"status": "ok", "confidence": confidence}
    _write(tmp_path / "labels", rows, tmp_path / "images")
    with pytest.raises(InputError, match="has confidences that are no probabilities"):
        run(tmp_path)
    assert not (tmp_path / "report").exists()


def test_a_report_to_compare_with_must_be_one_of_the_same_images_and_whole(tmp_path):
    predict(tmp_path / "labels", rows=20)
    run(tmp_path, out="before")
    answers = tmp_path / "before" / "answers.parquet"
    table = pq.read_table(answers)
    for wrong, says in (
        (table.set_column(0, "id", pa.array([f"other/{row}" for row in range(20)])), "has none of the 20 inputs"),
        (table.drop_columns(["label"]), "is not what hwr evaluate writes"),
    ):
        pq.write_table(wrong, answers)
        with pytest.raises(InputError, match=says):
            evaluate.run(Config(str(tmp_path / "labels"), str(tmp_path / "now"), against=str(tmp_path / "before")))
    assert not (tmp_path / "now").exists()


@pytest.mark.parametrize("flag", ["predictions", "truth", "against", "out"])
def test_no_uri_with_a_password_is_taken(tmp_path, flag):
    predict(tmp_path / "labels", rows=20)
    places = {"predictions": str(tmp_path / "labels"), "out": str(tmp_path / "report")}
    with pytest.raises(InputError, match="has credentials in it") as said:
        evaluate.run(Config(**{**places, flag: "s3://KEY:SECRET@bucket/x"}))
    assert "SECRET@" not in str(said.value)
    assert not (tmp_path / "report").exists()
