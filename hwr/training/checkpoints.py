"""Checkpoints of a run: files that are complete or not there, and that prove their own content."""

import io
import re
from typing import Any

import torch

from hwr import manifest
from hwr.storage import Folder
from hwr.training.state import Epoch, Training

# The two latest are always kept, so that a damaged last one costs an epoch and not the run.
_LATEST = 2

_NAME = re.compile(r"epoch-(\d+)-step-(\d+)-([0-9a-f]{16})[.]pt")


def save(folder: Folder, training: Training, keep: int) -> None:
    """Write a checkpoint, then remove those that are no longer wanted.

    Args:
        folder: The run's checkpoints.
        training: What to save. Within an epoch, its epochs and steps done so far are both in the name.
        keep: How many of the best epochs to keep, beside the latest checkpoints.

    Raises:
        OutputError: The disk is full or the folder cannot be written; the checkpoints that were there still are.
    """
    content = io.BytesIO()
    torch.save(training.state_dict(), content)
    data = content.getvalue()
    place = f"epoch-{len(training.history):06d}-step-{training.partial.step:09d}"
    new = f"{place}-{manifest.fingerprint(data)}.pt"
    folder.write_bytes(new, data)
    wanted = _wanted(names(folder), new, training.history, keep)
    for name in names(folder):
        if name not in wanted:
            folder.remove(name)


def latest(folder: Folder, device: torch.device) -> tuple[dict[str, Any] | None, list[str]]:
    """Read the last checkpoint that is whole.

    Args:
        folder: The run's checkpoints.
        device: Where its tensors go.

    Returns:
        A `Training.state_dict`, None where there is no checkpoint that can be read; and the names of later ones that
        are damaged.
    """
    damaged: list[str] = []
    for name in reversed(names(folder)):
        data = folder.read_bytes(name)
        if name.endswith(f"-{manifest.fingerprint(data)}.pt"):
            return torch.load(io.BytesIO(data), map_location=device, weights_only=True), damaged
        damaged.append(name)
    return None, damaged


def names(folder: Folder) -> list[str]:
    """The checkpoints, oldest first."""
    return [name for name in folder.names() if _NAME.fullmatch(name)]


def _wanted(found: list[str], new: str, history: list[Epoch], keep: int) -> set[str]:
    best = sorted(history, key=lambda epoch: epoch.merit, reverse=True)[:keep]
    ends = {f"epoch-{epoch.epoch:06d}-step-{0:09d}" for epoch in best}
    # Whatever is of the same moment or of a later one is damaged: training went on from before it.
    whole = [name for name in found if _place(name) < _place(new)] + [new]
    return {*whole[-_LATEST:], *(name for name in whole if _place(name) in ends)}


def _place(name: str) -> str:
    """Epochs and steps done, in an order that sorts."""
    return name.rpartition("-")[0]
