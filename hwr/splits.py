"""Which sample is for training, validation or test: stratified, by a stable hash, the same on every machine."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from hwr.errors import InputError

Names = npt.NDArray[np.object_]


@dataclass(frozen=True)
class SplitConfig:
    """How much of a set is held out where it brings no official split of its own."""

    test_share: float = 0.1
    """Share of each character held out for the test split; an official test split is kept instead."""
    val_share: float = 0.1
    """Share of each character's training samples held out for validation."""
    split_by: Literal["sample", "writer"] = "sample"
    """What is held out: single samples, or all that a writer wrote, so that no hand is on two sides."""

    def __post_init__(self) -> None:
        for name, share in (("--test-share", self.test_share), ("--val-share", self.val_share)):
            if not 0 <= share < 1:
                raise InputError(f"{name} must be at least 0 and less than 1, not {share}")


def assign(
    keys: Sequence[str],
    labels: Sequence[str | None],
    official: Sequence[str | None],
    writers: Sequence[str | None],
    config: SplitConfig,
) -> Names:
    """Give each sample its split.

    Official splits are kept. If a set has none at all, the test share goes to test. If it has no official validation
    split, the validation share of what is left for training is carved off. Samples are held out label by label, or
    writer by writer, in the order of a BLAKE2b hash, so the order of the input does not matter.

    Args:
        keys: Stable identities of the samples, (N,).
        labels: Their labels, (N,); unlabelled samples form a group of their own.
        official: ``train``, ``val``, ``test`` or None for each, (N,).
        writers: Who wrote each, (N,), or None; a sample without a writer is held out by itself.
        config: The shares, and what is held out.

    Returns:
        Split names, (N,) object.
    """
    split = np.array([name or "train" for name in official], dtype=object)
    shares = {} if any(official) else {"test": config.test_share}
    if "val" not in official:
        shares["val"] = config.val_share
    for step, (name, share) in enumerate(shares.items(), 1):
        if config.split_by == "writer":
            # Whoever is not named could be anybody: each such sample is held out by itself.
            hands = [writer or f"\0{key}" for writer, key in zip(writers, keys, strict=True)]
            _hold_out_writers(split, hands, name, share, stay=1 + len(shares) - step)
        else:
            _hold_out_samples(split, keys, labels, name, share)
    return split


def _hold_out_samples(split: Names, keys: Sequence[str], labels: Sequence[str | None], name: str, share: float) -> None:
    """Move `share` of each label's training samples to split `name`, in place; one sample always stays behind."""
    free = np.flatnonzero(split == "train")
    kinds, _ = pd.factorize(np.array(labels, object)[free], use_na_sentinel=False)
    chances = np.array([_hash(name, keys[index]) for index in free.tolist()], np.uint64)
    order = np.lexsort((chances, kinds))
    counts = np.bincount(kinds)
    rank = np.arange(len(free)) - np.repeat(np.cumsum(counts) - counts, counts)
    held_out = np.minimum(np.rint(counts * share).astype(int), counts - 1)
    split[free[order[rank < np.repeat(held_out, counts)]]] = name


def _hold_out_writers(split: Names, writers: Sequence[str], name: str, share: float, stay: int) -> None:
    """Move whole writers to split `name`, in place, as long as no more than `share` of the samples go with them.

    Where there is a share, one writer at least goes, the smallest if all are too large; and `stay` or more stay.
    """
    members: dict[str, list[int]] = {}
    for index in np.flatnonzero(split == "train").tolist():
        members.setdefault(writers[index], []).append(index)
    room = round(share * sum(map(len, members.values())))
    ranked = sorted(members, key=lambda writer: (_hash(name, writer), writer))
    chosen: list[str] = []
    for writer in ranked if room else ():
        if len(members[writer]) <= room and len(chosen) + stay < len(ranked):
            chosen.append(writer)
            room -= len(members[writer])
    if room and not chosen and len(ranked) > stay:
        chosen = [min(ranked, key=lambda writer: len(members[writer]))]
    for writer in chosen:
        split[members[writer]] = name


def _hash(name: str, key: str) -> int:
    digest = hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=8, person=name.encode()).digest()
    return int.from_bytes(digest)
