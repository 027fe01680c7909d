"""What is known of predictions beyond themselves: the model that made them, and what their inputs have in common."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from hwr import bundle, manifest
from hwr.bundle import Card
from hwr.errors import InputError
from hwr.report.pictures.curves import COLUMNS
from hwr.sources import Samples
from hwr.storage import Folder

COMMON = ("source", "split", "writer")
"""The columns of a samples folder that inputs are grouped by."""


@dataclass(frozen=True)
class Origin:
    """Where predictions come from, as far as it is still there.

    Attributes:
        card: The model's; None where several voted, or where it has been moved or changed since.
        history: The epochs of the run that made the model, as lines of its ``history.jsonl``; empty where unknown.
        groups: For each of `COMMON` that is known: id to value.
        learned: Ids of the samples for training: a model may know their labels by heart, also as another version of
            the samples.
        is_plain: Whether the model answered as it was validated: alone, from its whole alphabet, without ``--tta``.
    """

    card: Card | None
    history: list[dict[str, Any]]
    groups: Mapping[str, Mapping[str, str]]
    learned: frozenset[str]
    is_plain: bool

    @classmethod
    def of(cls, predictions: Folder, images: Mapping[str, Any], stamp: str | None) -> Self:
        """Look for it.

        Args:
            predictions: A folder of predictions.
            images: The ``images`` entry of its manifest.
            stamp: That of the inputs when they were listed: samples with another one have been made anew since.
        """
        config = predictions.read_json(manifest.CONFIG)
        settings, inputs = (each if isinstance(each, dict) else {} for each in map(config.get, ("settings", "inputs")))
        named = settings.get("model")
        models = named if isinstance(named, list) and all(isinstance(each, str) for each in named) else []
        card = _card(models[0], inputs.get(models[0])) if len(models) == 1 else None
        samples = _samples(images, stamp)
        groups = _groups(samples) if samples else {}
        return cls(
            card,
            _history(models[0]) if card else [],
            groups,
            frozenset(name for name, split in groups.get("split", {}).items() if split == "train"),
            len(models) == 1 and not settings.get("only") and not settings.get("tta"),
        )


def _card(location: str, fingerprint: str | None) -> Card | None:
    try:
        folder = bundle.find(location)
        return bundle.read_card(folder) if bundle.fingerprint(folder) == fingerprint else None
    except InputError:
        return None  # a report says nothing of a model that is gone


def _history(location: str) -> list[dict[str, Any]]:
    run, _ = Folder.file(location)
    if not (run.has("history.jsonl") and run.has(manifest.CONFIG)):
        return []
    try:
        epochs = [json.loads(line) for line in run.read_bytes("history.jsonl").splitlines()]
    except ValueError:
        return []
    return epochs if all(isinstance(each, dict) and each.keys() >= set(COLUMNS) for each in epochs) else []


def _samples(images: Mapping[str, Any], stamp: str | None) -> Samples | None:
    folder = Folder.open(images["location"])
    try:
        found = Samples(folder, images["split"]) if Samples.is_samples(folder) else None
        return found if found and found.fingerprint == stamp and found.files() else None
    except InputError:
        return None  # it is being made anew: what it says may not be of these inputs


def _groups(samples: Samples) -> dict[str, dict[str, str]]:
    only = {"split": samples.split} if samples.split else {}
    found: dict[str, dict[str, str]] = {name: {} for name in COMMON}
    for file in samples.files():
        table = samples.folder.read_table(file, ["id", *COMMON], **only)
        ids = table["id"].to_pylist()
        for name in COMMON:
            values = zip(ids, table[name].to_pylist(), strict=True)
            found[name] |= {key: value for key, value in values if value is not None}
    return found
