"""Which sample is for training, validation or test: stratified, by a stable hash, the same on every machine."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwr.errors import InputError


@dataclass(frozen=True)
class SplitConfig:
    """How much of a set is held out where it brings no official split of its own."""

    test_share: float = 0.1
    """Share of each character held out for the test split; an official test split is kept instead."""
    val_share: float = 0.1
    """Share of each character's training samples held out for validation."""

    def __post_init__(self) -> None:
        for name, share in (("--test-share", self.test_share), ("--val-share", self.val_share)):
            if not 0 <= share < 1:
                raise InputError(f"{name} must be at least 0 and less than 1, not {share}")


def assign(
    keys: Sequence[str], labels: Sequence[str | None], official: Sequence[str | None], config: SplitConfig
) -> npt.NDArray[np.object_]:
    """Give each sample its split.

    Official splits are kept. If a set has none at all, the test share of each label goes to test. If it has no
    official validation split, the validation share of each label's training samples is carved off. Within a label,
    samples are taken in the order of a BLAKE2b hash of their key, so the order of the input does not matter.

    Args:
        keys: Stable identities of the samples, (N,).
        labels: Their labels, (N,); unlabelled samples form a group of their own.
        official: ``train``, ``val``, ``test`` or None for each, (N,).
        config: The shares.

    Returns:
        Split names, (N,) object.
    """
    split = np.array([name or "train" for name in official], dtype=object)
    if not any(official):
        _hold_out(split, keys, labels, "test", config.test_share)
    if "val" not in official:
        _hold_out(split, keys, labels, "val", config.val_share)
    return split


def _hold_out(
    split: npt.NDArray[np.object_], keys: Sequence[str], labels: Sequence[str | None], name: str, share: float
) -> None:
    """Move `share` of each label's training samples to split `name`, in place; one sample always stays behind."""
    members: dict[str | None, list[int]] = {}
    for index in np.flatnonzero(split == "train").tolist():
        members.setdefault(labels[index], []).append(index)
    for indices in members.values():
        count = min(round(len(indices) * share), len(indices) - 1)
        ranked = sorted(indices, key=lambda index: (_hash(name, keys[index]), keys[index]))
        split[ranked[:count]] = name


def _hash(name: str, key: str) -> bytes:
    return hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=8, person=name.encode()).digest()
