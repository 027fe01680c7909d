"""A trained model as people exchange it: ``model.safetensors`` and its card ``model.json``; no pickle."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn

from hwr import manifest, models
from hwr.calibration import Calibration
from hwr.errors import InputError
from hwr.storage import Folder

WEIGHTS, CARD = "model.safetensors", "model.json"

FORMAT = 1

_SHIPPED = Path(__file__).parent / "pretrained"

# What `hwr.glyph.canonical` does; a change there that alters glyphs must change this, so that no model is fed glyphs
# of another kind than it learned from.
PREPROCESSING = "canonical glyph, version 2"


@dataclass(frozen=True)
class Card:
    """What one must know to use a model, and where it comes from.

    Attributes:
        architecture: A name in `hwr.models`.
        alphabet: Labels in the order of the model's outputs. It is kept here and nowhere else.
        size: Side of the glyphs, in pixels.
        preprocessing: What was done to an image before the model saw it.
        data: Location, as it was given, and fingerprint of each samples folder that it was trained on.
        metrics: Figures of the epoch that was kept, and how it was chosen.
        settings: The settings of the run.
        calibration: `hwr.calibration.Calibration.to_json`; empty where confidences were not calibrated.
        notes: What a person should know, by topic; a model that ships says here what it is good for and what not.
        versions: Versions of the software that made it.
        format: Version of this card's form.
    """

    architecture: str
    alphabet: list[str]
    size: int
    preprocessing: str
    data: list[dict[str, str]] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def calibrated(self) -> Calibration | None:
        """The calibration as such; None where there is none.

        Raises:
            InputError: It was tampered with; `load` has seen that it was not.
        """
        if not self.calibration:
            return None
        found = Calibration.from_json(self.calibration)
        if found.answers and len(found.answers) != len(self.alphabet):
            raise InputError(f"its calibration counts {len(found.answers)} answers for {len(self.alphabet)} labels")
        return found


def find(location: str) -> Folder:
    """The model folder that a user means.

    Args:
        location: A run that hwr train made, a model folder itself, or the name of a model that ships with hwr.

    Raises:
        InputError: It is neither, the run is unfinished, or its model was changed since.
    """
    if ships(location):
        return Folder.open(str(_SHIPPED / location))
    folder = Folder.open(location)
    if folder.is_empty():
        raise InputError(f"there is no run or model {location}; models that ship with hwr: {', '.join(shipped())}")
    if folder.has(CARD):
        return folder
    facts = manifest.require(folder, "run")
    model = folder / "model"
    if fingerprint(model) != facts["fingerprint"]:
        raise InputError(f"{model.name} was changed after its training: its files do not match {location}'s manifest")
    return model


def address(folder: Folder) -> str:
    """What `find` finds a model by on any machine: one that ships with hwr may lie elsewhere there."""
    return folder.base if folder.path == str(_SHIPPED / folder.base) else folder.location


def ships(location: str) -> bool:
    """Whether a model that comes with hwr is meant: a folder of its name that holds no model does not hide it."""
    return location in shipped() and not any(map(Folder.open(location).has, (CARD, WEIGHTS, manifest.CONFIG)))


def shipped() -> list[str]:
    """Names of the models that come with hwr."""
    return sorted(path.parent.name for path in _SHIPPED.glob(f"*/{CARD}"))


def save(folder: Folder, weights: Mapping[str, Tensor], card: Card) -> None:
    """Write a model folder, the card last."""
    plain = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    folder.write_bytes(WEIGHTS, safetensors.torch.save(plain))
    folder.write_json(CARD, asdict(card))


def load(folder: Folder) -> tuple[nn.Module, Card]:
    """Read a model folder.

    Returns:
        The network in evaluation mode, on the processor, and its card.

    Raises:
        InputError: Card or weights are missing, damaged, or do not belong together.
    """
    card = read_card(folder)
    model = models.build(card.architecture, card.size, len(card.alphabet))
    try:
        model.load_state_dict(safetensors.torch.load(folder.read_bytes(WEIGHTS)))
    except (safetensors.SafetensorError, RuntimeError, KeyError) as error:
        raise InputError(f"{folder.name}/{WEIGHTS} does not fit its card: {str(error).splitlines()[0]}") from error
    if not all(value.isfinite().all() for value in model.state_dict().values()):
        raise InputError(f"{folder.name}/{WEIGHTS} holds weights that are no finite numbers: train the model anew")
    return model.eval(), card


def read_card(folder: Folder) -> Card:
    """Read the card of a model folder.

    Raises:
        InputError: Card or weights are missing, or the card is damaged or of another version.
    """
    _require_files(folder)
    try:
        card = Card(**folder.read_json(CARD))
    except TypeError as error:
        raise InputError(f"{folder.name}/{CARD} is not a model card that this hwr knows: {error}") from error
    if not _is_sound(card):
        raise InputError(f"{folder.name}/{CARD} is damaged: its size is no number or its alphabet no list of labels")
    if card.format != FORMAT:
        raise InputError(f"{folder.name}/{CARD} has format {card.format}, but this hwr reads format {FORMAT}")
    if card.preprocessing != PREPROCESSING:
        raise InputError(f"{folder.name} was trained on {card.preprocessing!r}, but this hwr makes {PREPROCESSING!r}")
    try:
        card.calibrated()
    except InputError as error:
        raise InputError(f"{folder.name}/{CARD} is damaged: {error}") from error
    return card


def _is_sound(card: Card) -> bool:
    """Whether a card says what it must in the form that it must have."""
    has_size = isinstance(card.size, int) and 0 < card.size <= 1024
    labels = card.alphabet if isinstance(card.alphabet, list) else []
    has_labels = bool(labels) and all(isinstance(label, str) for label in labels) and len(set(labels)) == len(labels)
    return has_size and has_labels and isinstance(card.architecture, str)


def fingerprint(folder: Folder) -> str:
    """A content hash of weights and card.

    Raises:
        InputError: One of them is missing.
    """
    _require_files(folder)
    return manifest.fingerprint(folder.read_bytes(WEIGHTS), folder.read_bytes(CARD))


def _require_files(folder: Folder) -> None:
    for name in (CARD, WEIGHTS):
        if not folder.has(name):
            raise InputError(f"{folder.name} has no {name}: it is not a model that hwr train made")
