"""Every figure of report.json is what the raw rows say, worked out a second time with none of the report's helpers."""

import csv
import json
import math
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy.stats import binomtest
from sklearn.metrics import classification_report

from hwr import bundle, listing, manifest, models, schema, shards
from hwr.bundle import Card
from hwr.calibration import BINS, Calibration
from hwr.report.pictures import drawing
from hwr.schema import images_to_arrow
from hwr.sources import Samples
from hwr.storage import Folder
from pipelines import evaluate
from pipelines.evaluate import Config

LABELS = list("01Oo")
SPLITS = ["train", "val", "test", "test"]


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Draw coarsely: what pictures show is proven elsewhere."""
    monkeypatch.setattr(drawing, "DPI", 30)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Samples, a run that learned from them, and what it and another model say of them."""
    random = np.random.default_rng(3)
    truth = [None if n % 23 == 7 else "Ж" if n % 41 == 5 else str(random.choice(LABELS)) for n in range(400)]
    samples = _samples(tmp_path, truth)
    validated = Calibration(1.0, *_bins(random), (30, 20, 10, 40))
    data = [{"location": "data", "fingerprint": samples.fingerprint}]
    _run(tmp_path / "run", Card("baseline", LABELS, 28, bundle.PREPROCESSING, data, calibration=validated.to_json()))
    for name, skill in (("labels", 0.5), ("other", 0.35)):
        _predict(tmp_path / name, samples, truth, skill, random)
    return tmp_path


def _samples(top: Path, truth: list) -> Samples:
    folder = Folder.open(str(top / "samples"))
    manifest.claim(folder, "samples", {}, {})
    rows = len(truth)
    images = np.random.default_rng(0).integers(0, 255, (rows, 28, 28), np.uint8)
    columns = {
        "id": [f"page/{row:03}.png" for row in range(rows)], "image": images_to_arrow(images), "label": truth,
        "split": [SPLITS[row % 4] for row in range(rows)], "source": ["s" if row % 3 else "t" for row in range(rows)],
        "writer": [None if row % 5 == 0 else f"w{row % 7}" for row in range(rows)],
    }  # fmt: skip
    shards.write(folder, "p", pa.table(columns, schema=schema.samples(28)), schema.REJECTS.empty_table())
    files = [{"name": "samples/p.parquet", "rows": rows}]
    counts = {"splits": dict.fromkeys(("train", "val", "test"), 1)}
    manifest.complete(folder, "samples", {"fingerprint": "f", "size": 28, "files": files, "counts": counts})
    return Samples(folder)


def _bins(random) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rows = np.bincount((random.beta(5, 1, 100) * BINS).astype(int), minlength=BINS)
    return tuple(rows.tolist()), tuple((rows - (rows > 1)).clip(0).tolist())


def _run(place: Path, card: Card) -> None:
    torch.manual_seed(0)
    bundle.save(Folder.open(str(place / "model")), models.build("baseline", 28, 4).state_dict(), card)
    (place / "config.json").write_text("{}")
    epoch = {"epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5, "val_loss": 0.9, "val_accuracy": 0.6, "val_f1": 0.6,
             "learning_rate": 0.1, "seconds": 1.0, "images_per_second": 9.0, "best": True}  # fmt: skip
    (place / "history.jsonl").write_text(json.dumps(epoch) + "\n" + json.dumps({**epoch, "epoch": 2}) + "\n")


def _predict(place: Path, samples: Samples, truth: list, skill: float, random) -> None:
    out = Folder.open(str(place))
    model = str(place.parent / "run" / "model")
    manifest.claim(
        out,
        "predictions",
        {"model": [model], "only": None, "tta": False},
        {model: bundle.fingerprint(Folder.open(model))},
    )
    rows = []
    for number, label in enumerate(truth):
        chances = random.dirichlet(np.full(4, 0.5))
        if label in LABELS:
            chances[LABELS.index(label)] += skill
        chances /= chances.sum()
        best = np.argsort(-chances)[:3]
        top = [{"label": LABELS[each], "score": float(chances[each])} for each in best]
        key = f"page/{number:03}.png"
        if number % 40 == 3:
            rows.append({"id": key, "status": "unreadable", "label": label, "reason": "corrupt: cut short"})
            continue
        answer = top[0]["label"] if top[0]["score"] >= 0.45 else None
        rows.append({"id": key, "status": "ok" if answer else "abstained", "prediction": answer,
                     "confidence": top[0]["score"], "top": top, "label": label})  # fmt: skip
    out.write_table("predictions/part-00000.parquet", pa.Table.from_pylist(rows, schema=schema.PREDICTIONS))
    listing.add(out / "inputs", samples.index(), None)
    files = [{"name": "predictions/part-00000.parquet", "rows": len(rows)}]
    facts = {"fingerprint": place.name, "files": files, "counts": {}, "model": model, "alphabet": LABELS, "size": 28,
             "images": {"location": samples.folder.location, "split": None}}  # fmt: skip
    manifest.complete(out, "predictions", facts)


def _raw(place: Path, name: str) -> list[dict]:
    return pq.read_table(place / name / "predictions").to_pylist()


def _share(right: int, rows: int) -> dict:
    low, high = binomtest(right, rows).proportion_ci(method="wilson")
    return {"correct": right, "rows": rows, "accuracy": right / rows, "interval95": [low, high]}


def _mean(values) -> float | None:
    values = list(values)
    return math.fsum(values) / len(values) if values else None


def _figures(pairs: list[tuple[str, str]], order: list[str]) -> dict:
    """Precision, recall and F1 of each character and their means, from the pairs of truth and answer."""
    truth, answers, right = (
        Counter(column) for column in ([t for t, _ in pairs], [a for _, a in pairs], [t for t, a in pairs if t == a])
    )
    characters = []
    for label in order:
        precision = right[label] / answers[label] if answers[label] else 0.0
        recall = right[label] / truth[label] if truth[label] else 0.0
        f1 = 2 * right[label] / (truth[label] + answers[label]) if truth[label] + answers[label] else 0.0
        characters.append({"label": label, "precision": precision, "recall": recall, "f1": f1,
                           "support": truth[label], "predicted": answers[label]})  # fmt: skip
    true = [each for each in characters if each["support"]]
    names = ("precision", "recall", "f1")
    return {
        "macro": {name: _mean(each[name] for each in true) for name in names},
        "weighted": {name: sum(each[name] * each["support"] for each in true) / len(pairs) for name in names},
        "characters": characters,
    }


def _loss(rows: list[dict]) -> tuple[float, int]:
    total, bounded = 0.0, 0
    for row in rows:
        scores = {guess["label"]: guess["score"] for guess in row["top"]}
        if row["label"] not in scores:
            bounded += 1
            rest = max(1 - math.fsum(scores.values()), float(np.finfo(np.float32).eps))
            scores[row["label"]] = min(rest, *scores.values())
        total -= math.log(scores[row["label"]])
    return total / len(rows), bounded


def _answered(rows: list[dict], order: list[str], *, names: dict[str, str] | None = None) -> dict:
    """The ``answered`` part; with names, that of merged characters."""
    said = [row for row in rows if row["status"] == "ok" and row["label"] is not None]
    name = (names or {}).get
    pairs = [(name(row["label"], row["label"]), name(row["prediction"], row["prediction"])) for row in said]
    hits = [truth == answer for truth, answer in pairs]
    wrong = Counter(pair for pair in pairs if pair[0] != pair[1])
    ranked = sorted(wrong, key=lambda pair: (-wrong[pair], order.index(pair[0]), order.index(pair[1])))
    sure = [row["confidence"] for row in said]
    found = {
        **_share(sum(hits), len(hits)), **_figures(pairs, order), "top_k": {}, "loss": None, "loss_bounded_rows": 0,
        "mean_confidence": {
            "right": _mean(c for c, hit in zip(sure, hits, strict=True) if hit),
            "wrong": _mean(c for c, hit in zip(sure, hits, strict=True) if not hit),
        },
        "most_confused": [{"truth": t, "predicted": p, "count": wrong[t, p]} for t, p in ranked[:20]],
        "confusion": {"labels": order, "counts": [[pairs.count((t, p)) for p in order] for t in order]},
    }  # fmt: skip
    if names is None:
        found["loss"], found["loss_bounded_rows"] = _loss(said)
        guesses = [[guess["label"] for guess in row["top"]] for row in said]
        found["top_k"] = {
            str(k): _mean(row["label"] in some[:k] for row, some in zip(said, guesses, strict=True)) for k in (1, 2, 3)
        }
    return found


def _guess(row: dict) -> str | None:
    return row["top"][0]["label"] if row["top"] else None


def _trust(rows: list[dict]) -> dict:
    read = [row for row in rows if row["status"] != "unreadable" and row["label"] is not None]
    hits = [(row["confidence"], _guess(row) == row["label"]) for row in read]
    said = [row for row in read if row["status"] == "ok"]
    bins = [[each for each in hits if min(int(each[0] * 15), 14) == number] for number in range(15)]
    sure, right = ([_mean(each[column] for each in some) or 0.0 for some in bins] for column in (0, 1))
    gap = sum(len(some) * abs(s - r) for some, s, r in zip(bins, sure, right, strict=True)) / len(hits)
    fewer = []
    levels = sorted({confidence for confidence, _ in hits}, reverse=True)
    for asked in (1.0, 0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.5):
        least = next(level for level in levels if sum(c >= level for c, _ in hits) >= asked * len(hits))
        kept = [hit for confidence, hit in hits if confidence >= least]
        fewer.append({"asked": asked, "min_confidence": least, "coverage": len(kept) / len(hits),
                      "accuracy": _mean(kept)})  # fmt: skip
    return {
        "rows": len(read), "coverage": len(said) / len(read), "ece": gap,
        "accuracy_answered": _mean(row["prediction"] == row["label"] for row in said),
        "brier": _mean((confidence - hit) ** 2 for confidence, hit in hits),
        "reliability": {"ece": gap, "edges": [round(number / 15, 4) for number in range(16)],
                        "rows": [len(some) for some in bins], "confidence": sure, "accuracy": right},
        "if_fewer_were_answered": fewer,
    }  # fmt: skip


def _groups(rows: list[dict], values: dict[str, str | None], order: list[str]) -> list[dict]:
    members = defaultdict(list)
    for row in rows:
        if row["label"] is not None and values[row["id"]] is not None:
            members[values[row["id"]]].append(row)
    found = []
    for value, some in sorted(members.items(), key=lambda item: (-len(item[1]), item[0])):
        whole, trust = _answered(some, order), _trust(some)
        figures = {key: whole[key] for key in
                   ("correct", "rows", "accuracy", "interval95", "macro", "weighted", "top_k", "loss")}  # fmt: skip
        kept = {key: trust[key] for key in ("coverage", "ece", "brier")}
        found.append({"value": value, "inputs": len(some), **figures, **kept})
    return found


def _suspects(rows: list[dict]) -> list[tuple[str, str, float]]:
    """Confident learning, word by word as the paper has it: id, suggestion and margin, by margin."""
    known = [row for row in rows if row["label"] in LABELS and row["top"]]
    chance = {row["id"]: {guess["label"]: guess["score"] for guess in row["top"]} for row in known}
    threshold = {}
    for label in LABELS:
        own = [chance[row["id"]].get(label, 0.0) for row in known if row["label"] == label]
        threshold[label] = _mean(own) if own else math.inf
    found = []
    for row in known:
        likely = {each: p for each, p in chance[row["id"]].items() if p >= threshold[each]}
        best = max(likely, key=likely.get, default=row["label"])
        if best != row["label"]:
            found.append((row["id"], best, likely[best] - chance[row["id"]].get(row["label"], 0.0)))
    return sorted(found, key=lambda one: -one[2])


def _change(expected: list[int], found: list[int]) -> dict:
    before, after = ([(n + 0.5) / (sum(some) + len(some) / 2) for n in some] for some in (expected, found))
    index = sum((a - b) * math.log(a / b) for b, a in zip(before, after, strict=True))
    used = sum(b + a > 0 for b, a in zip(expected, found, strict=True))
    chance = (used - 1) * (1 / sum(expected) + 1 / sum(found))
    beyond = max(0, index - chance)
    reading = "stable" if beyond < 0.1 else "shifted" if beyond < 0.25 else "very different"
    return {"stability_index": index, "by_chance": chance, "reading": reading, "validation": expected, "here": found}


def _histogram(values, count: int = 20) -> list[int]:
    found = Counter(min(int(value * count), count - 1) for value in values)
    return [found[number] for number in range(count)]


def _close(found, expected, where: str = "report") -> None:
    """Fail where two trees of figures differ, in their names or in any value."""
    if isinstance(expected, dict):
        assert list(found) == list(expected) or set(found) == set(expected), where
        for key in expected:
            _close(found[key], expected[key], f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            _close(one, other, f"{where}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-7), where
    else:
        assert found == expected, where


def test_every_figure_equals_a_second_computation_from_the_raw_rows(place):
    evaluate.run(Config(str(place / "other"), str(place / "before")))
    evaluate.run(
        Config(str(place / "labels"), str(place / "report"), merge="0O", fold_case=True, against=str(place / "before"))
    )
    found = json.loads((place / "report" / "report.json").read_text())
    rows, order = _raw(place, "labels"), [*LABELS, "Ж"]
    answered = [row for row in rows if row["status"] == "ok"]
    known = [row for row in rows if row["label"] is not None]
    right = [row for row in answered if row["prediction"] == row["label"]]
    samples = {row["id"]: row for row in pq.read_table(place / "samples" / "samples").to_pylist()}
    unseen = [row for row in rows if samples[row["id"]]["split"] != "train"]
    merged = {"0": "0Oo", "O": "0Oo", "o": "0Oo"}
    read = [row for row in rows if row["status"] != "unreadable"]
    card = json.loads((place / "run" / "model" / "model.json").read_text())
    validated = [0] * 20
    for entry in card["calibration"]["bins"].split(", "):
        number, count, _ = map(int, entry.split())
        validated[number * 20 // BINS] += count
    before = {row["id"]: row["prediction"] for row in _raw(place, "other")}
    flips = {
        "fixed": [r["id"] for r in known if before[r["id"]] != r["label"] and r["prediction"] == r["label"]],
        "broken": [r["id"] for r in known if before[r["id"]] == r["label"] and r["prediction"] != r["label"]],
    }
    characters = []
    for label in order:
        own = [row for row in known if row["label"] == label]
        was, now = ([row["id"] in ids for row in own] for ids in (
            {r["id"] for r in own if before[r["id"]] == label}, {r["id"] for r in own if r["prediction"] == label}
        ))  # fmt: skip
        characters.append({"label": label, "support": len(own), "before": _mean(was), "after": _mean(now),
                           "fixed": sum(n and not w for w, n in zip(was, now, strict=True)),
                           "broken": sum(w and not n for w, n in zip(was, now, strict=True))})  # fmt: skip
    characters.sort(key=lambda each: each["after"] - each["before"])
    bins = {
        "right": _histogram(row["confidence"] for row in right),
        "wrong": _histogram(r["confidence"] for r in answered if r["label"] not in (None, r["prediction"])),
        "unknown": _histogram(row["confidence"] for row in answered if row["label"] is None),
    }
    expected = {
        "evaluated": found["evaluated"],
        "rows": 400,
        "statuses": {name: sum(r["status"] == name for r in rows) for name in ("ok", "abstained", "unreadable")},
        "reasons": {"unreadable": {"corrupt": 10}, "abstained": {"no reason given": len(read) - len(answered)}},
        "truth": {"with": len(known), "without": 400 - len(known),
                  "outside_alphabet": sum(row["label"] == "Ж" for row in rows)},
        "answered": _answered(rows, order),
        "all_inputs": _share(len(right), len(known)),
        "trust": _trust(rows),
        "groups": {name: _groups(rows, {key: row[name] for key, row in samples.items()}, order)
                   for name in ("source", "split", "writer")},
        "predicted": {label: sum(row["prediction"] == label for row in answered) for label in LABELS},
        "confidence": {"edges": [round(number / 20, 4) for number in range(21)], **bins},
        "merged": {"groups": ["0Oo"], **_answered(rows, ["0Oo", "1", "Ж"], names=merged)},
        "suspects": len(_suspects(unseen)),
        "shift": {
            "answers": _change([30, 20, 10, 40], [sum(_guess(row) == label for row in read) for label in LABELS]),
            "confidence": _change(validated, _histogram(row["confidence"] for row in read)),
        },
        "against": {
            "report": str(place / "before"),
            "before": _share(sum(before[row["id"]] == row["label"] for row in known), len(known)),
            "after": _share(len(right), len(known)),
            "fixed": len(flips["fixed"]), "broken": len(flips["broken"]),
            "p_value": binomtest(len(flips["fixed"]), len(flips["fixed"] + flips["broken"])).pvalue,
            "characters": characters, "other_truth": 0, "flipped": flips,
        },
    }  # fmt: skip
    assert len(flips["fixed"]) > len(flips["broken"]) > 0
    assert found["suspects"] > 0
    assert found["statuses"]["abstained"] > 10
    _close(found, expected)

    with (place / "report" / "suspects.csv").open(encoding="utf-8", newline="") as file:
        told = [(row["file"], row["suggestion"], float(row["margin"])) for row in csv.DictReader(file)]
    assert [one[:2] for one in told] == [one[:2] for one in _suspects(unseen)]
    assert [one[2] for one in told] == pytest.approx([one[2] for one in _suspects(unseen)], abs=1e-4)
    said = [row for row in answered if row["label"] is not None]
    table = classification_report(
        [row["label"] for row in said], [row["prediction"] for row in said], digits=4, zero_division=0
    )
    ours = (place / "report" / "classification_report.txt").read_text()
    assert sorted(ours.split("\n")) == sorted(table.split("\n"))
