"""Networks by name. All take glyphs (N, 1, S, S) in [0, 1] and give scores (N, classes) before softmax."""

from collections.abc import Callable

from torch import nn

from hwr.errors import InputError
from hwr.models.baseline import Baseline
from hwr.models.glyphnet import GlyphNet
from hwr.models.vgg5 import VGG5

_NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {"glyphnet": GlyphNet, "baseline": Baseline, "vgg5": VGG5}

NAMES = tuple(_NETWORKS)


def build(name: str, size: int, classes: int) -> nn.Module:
    """Make an untrained network.

    Args:
        name: One of `NAMES`.
        size: Side of the glyphs, in pixels.
        classes: Number of labels.

    Raises:
        InputError: There is no network of this name, or it does not take glyphs this small.
    """
    if name not in _NETWORKS:
        raise InputError(f"there is no model {name!r}: this hwr has {', '.join(NAMES)}")
    return _NETWORKS[name](size, classes)
