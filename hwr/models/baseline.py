"""Baseline: a plain network such as many student projects on EMNIST train, to compare others with."""

from typing import cast

from torch import Tensor, nn

from hwr.errors import InputError
from hwr.models._layers import convolution


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions and a pool: (N, inputs, H, W) to (N, outputs, H / 2, W / 2), rounded down."""
    return nn.Sequential(
        convolution(inputs, outputs, bias=True), convolution(outputs, outputs, bias=True),
        nn.MaxPool2d(2), nn.Dropout(0.25),
    )  # fmt: skip


class Baseline(nn.Module):
    """Two stages of 32 and 64 channels, then a dense layer of 512: 1.7 million weights at 28 pixels, most in that one.

    Args:
        size: Side of the glyphs, in pixels; at least 4.
        classes: Number of labels.

    Raises:
        InputError: The glyphs are too small.
    """

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        if size < 4:
            raise InputError(f"baseline needs glyphs of 4 pixels or more, not {size}")
        self.features = nn.Sequential(_stage(1, 32), _stage(32, 64), nn.Flatten())
        self.head = nn.Sequential(
            nn.Linear(64 * (size // 4) ** 2, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Score glyphs (N, 1, S, S) float in [0, 1]: (N, classes), before softmax."""
        return cast(Tensor, self.head(self.features(x)))
