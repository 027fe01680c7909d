"""VGG-5: a published network for EMNIST, seven times as large as GlyphNet.

It is the "VGG-5" of Kabir et al., "SpinalNet: Deep neural network with gradual input", 2020,
https://arxiv.org/abs/2007.03347, with the plain head and not the spinal one: the class ``VGG`` in the authors' scripts
for EMNIST (``MNIST_VGG`` in https://github.com/dipuk0506/SpinalNet). Ten convolutions with batch norm in four stages,
each ending in a pool, and two dense layers; at 28 pixels the layers, and how their first weights are drawn, are those
of the scripts. Not taken over: the log-softmax (networks here give scores), and normalising glyphs by mean and
deviation.
"""

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from hwr.errors import InputError
from hwr.models._layers import convolution


def _stage(inputs: int, *outputs: int) -> nn.Sequential:
    """One convolution for each number of outputs, and a pool: (N, inputs, H, W) to (N, outputs[-1], H / 2, W / 2)."""
    widths = pairwise((inputs, *outputs))
    return nn.Sequential(*(convolution(before, after, bias=True) for before, after in widths), nn.MaxPool2d(2))


class VGG5(nn.Module):
    """Stages of 64, 128, 256 and 256 channels and a dense layer of 512: 3.6 million weights at 28 pixels.

    Its head normalises over the batch, so that training needs batches of two or more.

    Args:
        size: Side of the glyphs, in pixels; at least 16.
        classes: Number of labels.

    Raises:
        InputError: The glyphs are too small.
    """

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        if size < 16:
            raise InputError(f"vgg5 needs glyphs of 16 pixels or more, not {size}")
        self.features = nn.Sequential(
            _stage(1, 64, 64), _stage(64, 128, 128), _stage(128, 256, 256, 256), _stage(256, 256, 256, 256),
            nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.Dropout(0.5), nn.Linear(256 * (size // 16) ** 2, 512), nn.BatchNorm1d(512), nn.ReLU(),
            nn.Dropout(0.5), nn.Linear(512, classes),
        )  # fmt: skip
        for module in self.features.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Score glyphs (N, 1, S, S) float in [0, 1]: (N, classes), before softmax."""
        return cast(Tensor, self.head(self.features(x)))
