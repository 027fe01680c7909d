"""Real handwriting for benchmarks that need no samples folder. NumPy only: the peers' interpreters have little else."""

import gzip
import os
from pathlib import Path

import numpy as np

CLASSES, SIDE = 47, 28

# All training glyphs there are, and as many of them as loops in one process are timed on.
ALL, ROWS = 96_780, 20_480


def emnist47r(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The first training glyphs (N, 28, 28) uint8, upright, and their classes (N,) int64.

    Where ``HWR_DATA`` is unset they are noise of the same shape, which takes as long to train on.
    """
    if "HWR_DATA" not in os.environ:
        noise = np.random.default_rng(0)
        return noise.integers(0, 256, (rows, SIDE, SIDE), np.uint8), noise.integers(0, CLASSES, rows)
    images = _idx("images-idx3", 16).reshape(-1, SIDE, SIDE)[:rows].transpose(0, 2, 1)
    return np.ascontiguousarray(images), _idx("labels-idx1", 8)[:rows].astype(np.int64)


def _idx(part: str, header: int) -> np.ndarray:
    file = Path(os.environ["HWR_DATA"], "emnist47r", f"emnist47r-train-{part}-ubyte.gz")
    return np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8, offset=header)
