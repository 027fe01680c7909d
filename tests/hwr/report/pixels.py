"""What the tests of pictures share: PNG bytes as pixels, and where a colour is."""

import io

import numpy as np
from PIL import Image


def opened(png: bytes) -> np.ndarray:
    """Pixels (H, W, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def near(pixels: np.ndarray, name: str, within: int = 2) -> np.ndarray:
    """Which pixels (H, W) have a colour such as ``#0f766e``, to within rounding; thin lines are paler than that."""
    colour = np.array([int(name[index : index + 2], 16) for index in (1, 3, 5)])
    return (np.abs(pixels.astype(int) - colour) <= within).all(axis=2)


def untouched(pixels: np.ndarray, paper: str) -> bool:
    """Whether a picture has nothing but paper on all four of its edges, so that nothing is cut off there."""
    return all(near(edge, paper).all() for edge in (pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:]))


def tallest(mask: np.ndarray) -> int:
    """The most pixels of a mask (H, W) in one column."""
    return int(mask.sum(axis=0).max())
