"""Glyphs that occur more than once, bit for bit: harmless within a split, a leak across two."""

import hashlib

import numpy as np
import numpy.typing as npt
import pandas as pd

from hwr.schema import SPLITS


def digests(glyphs: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """A content hash of each glyph (BLAKE2b, 64 bit: among ten million, two differ and collide once in 370,000 sets).

    Args:
        glyphs: Glyphs (N, S, S) uint8.

    Returns:
        Hashes (N,) uint64.
    """
    found = (hashlib.blake2b(glyph.tobytes(), digest_size=8).digest() for glyph in glyphs)
    return np.frombuffer(b"".join(found), "<u8")


def repeated(samples: pd.DataFrame) -> int:
    """How many training samples repeat an earlier one.

    Args:
        samples: One row a sample, with ``split`` and ``digest``.
    """
    return int(samples.loc[samples["split"] == "train", "digest"].duplicated().sum())


def leaks(samples: pd.DataFrame) -> pd.DataFrame:
    """Samples whose glyph occurs in a split that must not have seen it: training in val or test, val in test.

    Args:
        samples: One row a sample, with ``id``, ``split`` and ``digest``.

    Returns:
        The leaking rows in their order and with their index, with ``twin`` and ``twin_split`` in addition: the first
        sample with the same glyph in the test split or, if it has none, in val.
    """
    found = []
    for place, split in enumerate(SPLITS):
        mine = samples[samples["split"] == split]
        for later in reversed(SPLITS[place + 1 :]):
            twins = samples[samples["split"] == later].drop_duplicates("digest").set_index("digest")["id"]
            both = mine[mine["digest"].isin(twins.index)]
            found.append(both.assign(twin=both["digest"].map(twins), twin_split=later))
            mine = mine.drop(both.index)
    return pd.concat(found).sort_index()
