"""What is known of predictions beyond themselves is looked up where it lies, and its absence is no error."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from hwr import bundle, manifest, models, schema, shards
from hwr.bundle import Card
from hwr.report.origin import Origin
from hwr.report.pictures.curves import COLUMNS
from hwr.schema import images_to_arrow
from hwr.storage import Folder
from tests.pictures import digits

EPOCH = {**dict.fromkeys(COLUMNS, 0.5), "epoch": 1, "best": True}


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A run that learned from the samples beside it."""
    card = Card("baseline", ["0", "1"], 28, bundle.PREPROCESSING, [{"location": "d", "fingerprint": "f"}])
    torch.manual_seed(0)
    bundle.save(Folder.open(str(tmp_path / "run" / "model")), models.build("baseline", 28, 2).state_dict(), card)
    (tmp_path / "labelled-by").write_text(bundle.fingerprint(Folder.open(str(tmp_path / "run" / "model"))))
    (tmp_path / "run" / "config.json").write_text("{}")
    (tmp_path / "run" / "history.jsonl").write_text(json.dumps(EPOCH) + "\n")
    samples = Folder.open(str(tmp_path / "samples"))
    manifest.claim(samples, "samples", {}, {})
    columns = {
        "id": ["a", "b", "c"], "image": images_to_arrow(digits()[:3, 34:62, 34:62].copy()), "label": ["0", "1", None],
        "split": ["train", "test", "train"], "source": ["s"] * 3, "writer": ["w", None, "w"],
    }  # fmt: skip
    shards.write(samples, "p", pa.table(columns, schema=schema.samples(28)), schema.REJECTS.empty_table())
    facts = {"fingerprint": "f", "size": 28, "files": [{"name": "samples/p.parquet", "rows": 3}]}
    manifest.complete(samples, "samples", {**facts, "counts": {"splits": {"train": 2, "test": 1}}})
    return tmp_path


def origin(top: Path, *, split: str | None = None, **settings: object) -> Origin:
    """Of predictions with these settings."""
    folder = Folder.open(str(top / "labels"))
    model = str(top / "run" / "model")
    inputs = {model: (top / "labelled-by").read_text()}
    folder.write_json(manifest.CONFIG, {"settings": {"model": [model], **settings}, "inputs": inputs})
    return Origin.of(folder, {"location": str(top / "samples"), "split": split}, "f")


def test_the_model_its_history_and_what_samples_have_in_common_are_found(top):
    found = origin(top)
    assert found.card.alphabet == ["0", "1"]
    assert found.history == [EPOCH]
    assert found.groups == {
        "source": {"a": "s", "b": "s", "c": "s"},
        "split": {"a": "train", "b": "test", "c": "train"},
        "writer": {"a": "w", "c": "w"},
    }
    assert found.learned == {"a", "c"}
    assert found.is_plain
    assert origin(top, split="test").groups["split"] == {"b": "test"}
    assert origin(top, split="test").learned == set()


@pytest.mark.parametrize("settings", [{"only": "01"}, {"tta": True}, {"model": ["one", "two"]}])
def test_answers_that_were_found_otherwise_than_in_validation_are_not_plain(top, settings):
    assert not origin(top, **settings).is_plain


@pytest.mark.parametrize("config", [{}, {"settings": [], "inputs": None}, {"settings": {"model": None}}])
def test_settings_of_another_form_say_nothing(top, config):
    folder = Folder.open(str(top / "labels"))
    folder.write_json(manifest.CONFIG, config)
    found = Origin.of(folder, {"location": str(top / "samples"), "split": None}, "f")
    assert (found.card, found.history, found.is_plain) == (None, [], False)


def test_what_was_moved_or_changed_since_is_not_known(top):
    facts = json.loads((top / "samples" / "manifest.json").read_text())
    (top / "samples" / "manifest.json").write_text(json.dumps({**facts, "fingerprint": "another"}))
    assert (origin(top).learned, origin(top).groups) == (set(), {})
    (top / "samples" / "manifest.json").unlink()
    assert origin(top).groups == {}
    (top / "run" / "history.jsonl").write_text('{"epoch": 1}\n')
    assert origin(top).history == []
    (top / "run" / "history.jsonl").write_text('{"epoch": 1')
    assert origin(top).history == []
    card = top / "run" / "model" / "model.json"
    card.write_text(card.read_text() + "\n")  # another model, in the same place
    assert (origin(top).card, origin(top).history) == (None, [])
