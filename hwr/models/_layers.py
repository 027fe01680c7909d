"""The layer that all networks here are built of."""

from torch import nn


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, bias: bool) -> nn.Sequential:
    """Convolution, batch norm, ReLU: (N, inputs, H, W) to (N, outputs, H / stride, W / stride), rounded up.

    A bias before batch norm changes nothing that the network can compute; networks from elsewhere have it.
    """
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias), nn.BatchNorm2d(outputs), nn.ReLU()
    )
