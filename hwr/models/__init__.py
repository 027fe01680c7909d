"""Networks by name. All take glyphs (N, 1, S, S) in [0, 1] and give scores (N, classes) before softmax."""

from torch import nn

from hwr.errors import InputError
from hwr.models.glyphnet import GlyphNet

NAMES = ("glyphnet",)


def build(name: str, size: int, classes: int) -> nn.Module:
    """Make an untrained network.

    Args:
        name: One of `NAMES`.
        size: Side of the glyphs, in pixels.
        classes: Number of labels.

    Raises:
        InputError: There is no network of this name.
    """
    if name != "glyphnet":
        raise InputError(f"there is no model {name!r}: this hwr has {', '.join(NAMES)}")
    return GlyphNet(size, classes)
