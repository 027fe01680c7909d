"""Real handwriting, from files to a report in a real browser, and what a person corrects there to the next data set."""

import csv
import gzip
import itertools
import json

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tests.jobs import hwr
from tests.pictures import idx, lines

ROWS = 600


def mnist(data, top):
    labels = np.frombuffer(
        gzip.decompress((data / "mnist" / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, -1, 8
    )
    table = lines(idx("mnist/t10k-images-idx3-ubyte.gz")[:ROWS], labels[:ROWS])
    (top / "mnist.csv").write_text(table)
    return ["--source", top / "mnist.csv", "--format", "pixel-csv"], ["--only", "digits"]


def emnist47r(data, top):
    mapping = data / "emnist47r" / "emnist47r-mapping.txt"
    with gzip.open(data / "emnist47r" / "emnist47r-sample.csv.gz", "rt") as table:
        (top / "emnist.csv").write_text("".join(itertools.islice(table, ROWS)))
    return ["--source", top / "emnist.csv", "--format", "emnist-csv", "--mapping", mapping], []


def az35(data, top):
    """1 to 9 of MNIST and capitals, their class numbers put into one row of 35."""
    labels = np.frombuffer(
        gzip.decompress((data / "mnist" / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, -1, 8
    )
    kept = np.flatnonzero(labels)[: ROWS // 2]
    table = lines(idx("mnist/t10k-images-idx3-ubyte.gz")[kept], labels[kept] - 1)
    with gzip.open(data / "az" / "az_nist_uppercase.csv.gz", "rt") as letters:
        for line in itertools.islice(letters, 0, 100 * ROWS // 2, 100):
            label, _, pixels = line.partition(",")
            table += f"{int(label) + 9},{pixels}"
    (top / "az35.csv").write_text(table)
    words = ["--source", top / "az35.csv", "--format", "pixel-csv", "--alphabet", "az35"]
    return words, ["--only", "123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"]


def english(data, top):
    header, *rows = (data / "english" / "english.csv").read_text().splitlines()
    (top / "english.csv").write_text("\n".join([header, *rows[::7]]) + "\n")
    images = data / "english" / "Img.zip"
    return ["--source", top / "english.csv", "--format", "image-csv", "--images", images], []


@pytest.mark.parametrize("source", [mnist, emnist47r, az35, english])
def test_a_correction_typed_in_the_browser_is_in_the_next_data_set(source, data, tmp_path, open_page):
    ingest, how = source(data, tmp_path)
    samples, labels, report = (tmp_path / name for name in ("samples", "labels", "report"))
    assert hwr("ingest", *ingest, "--out", samples) == 0
    assert hwr("label", "--images", samples, "--model", "emnist47", "--out", labels, *how) == 0
    assert hwr("evaluate", "--predictions", labels, "--out", report, "--fold-case") == 0
    page = open_page((report / "report.html").read_text())

    found = json.loads((report / "report.json").read_text())["answered"]
    answers = [
        row for row in pq.read_table(report / "answers.parquet").to_pylist() if row["label"] != row["prediction"]
    ]
    assert f"{found['correct']:,} of {found['rows']:,} answers are right" in page.locator("main").inner_text()

    # Sorted by F1, the weakest character is the first.
    page.locator("#characters").get_by_role("button", name="F1").click()
    shares = page.eval_on_selector_all(
        "#characters tbody tr", "rows => rows.map((row) => row.cells[3].dataset.value).filter(Boolean).map(Number)"
    )
    assert shares == sorted(shares)
    assert len(shares) == sum(character["support"] > 0 for character in found["characters"])

    # The most confused pair leads to its mistakes, and to no others.
    pair = found["most_confused"][0]
    page.locator("#pairs a").first.click()
    shown = page.locator("#mistakes .glyphs > li:visible")
    assert shown.count() == pair["count"]
    assert shown.count() == sum((r["label"], r["prediction"]) == (pair["truth"], pair["predicted"]) for r in answers)

    # The first two glyphs get a character by one key each.
    page.locator("#review input[type=text]").first.focus()
    first = [json.loads(card.get_attribute("data-id")) for card in page.locator("#review li[data-id]").all()[:2]]
    truth = {row["id"]: row["label"] for row in pq.read_table(report / "answers.parquet").to_pylist()}
    typed = ["4" if truth[key] != "4" else "5" for key in first]
    page.keyboard.type("".join(typed))
    with page.expect_download() as download:
        page.get_by_role("button", name="Download corrections.csv").click()
    download.value.save_as(tmp_path / "corrections.csv")
    with (tmp_path / "corrections.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["label"], row["was"]) for row in rows] == [
        (key, label, truth[key]) for key, label in zip(first, typed, strict=True)
    ]
    corrected = tmp_path / "corrected"
    assert hwr("ingest", *ingest, "--out", corrected, "--corrections", tmp_path / "corrections.csv") == 0
    new, old = (
        {row["id"]: (row["label"], row["split"]) for row in table.to_pylist()}
        for table in (
            ds.dataset(each / "samples").to_table(columns=["id", "label", "split"]) for each in (corrected, samples)
        )
    )
    changes = dict(zip(first, typed, strict=True))
    assert new == {key: (changes.get(key, label), split) for key, (label, split) in old.items()}
