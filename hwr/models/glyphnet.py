"""GlyphNet: a small residual network for glyphs, made for processors with bf16 units and for GPUs.

Residual blocks follow He et al., "Deep residual learning for image recognition", 2016, https://arxiv.org/abs/1512.03385.
The stem halves the glyph at once: full-resolution convolutions over one channel cost most and bring least here.
"""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that all of PyTorch uses

from hwr.errors import InputError
from hwr.models._layers import convolution


class _Residual(nn.Module):
    """Two 3 x 3 convolutions beside the identity; (N, C, H, W) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = convolution(channels, channels, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.second(self.first(x))))


class GlyphNet(nn.Module):
    """About 0.5 million weights: stem and three stages of 32, 64 and 128 channels, each halving the side.

    Args:
        size: Side of the glyphs, in pixels; at least 8.
        classes: Number of labels.

    Raises:
        InputError: The glyphs are too small.
    """

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        if size < 8:
            raise InputError(f"glyphnet needs glyphs of 8 pixels or more, not {size}")
        self.features = nn.Sequential(
            convolution(1, 32, kernel=5, stride=2, bias=False), _Residual(32),
            convolution(32, 64, stride=2, bias=False), _Residual(64),
            convolution(64, 128, stride=2, bias=False), _Residual(128),
        )  # fmt: skip
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Score glyphs (N, 1, S, S) float in [0, 1]: (N, classes), before softmax."""
        pooled = self.features(x).mean(dim=(2, 3))
        return cast(Tensor, self.head(self.dropout(pooled)))
