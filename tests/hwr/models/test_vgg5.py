"""VGG-5 has the layers and the first weights of the published scripts."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from hwr import models


@pytest.mark.parametrize(("size", "classes"), [(16, 2), (28, 47), (40, 62)])
def test_its_weights_are_those_of_its_layers(size, classes):
    widths = [1, 64, 64, 128, 128, 256, 256, 256, 256, 256, 256]
    expected = sum(9 * before * after + 3 * after for before, after in pairwise(widths))
    expected += (256 * (size // 16) ** 2 + 1) * 512 + 2 * 512 + (512 + 1) * classes
    assert sum(weight.numel() for weight in models.build("vgg5", size, classes).parameters()) == expected


def test_convolutions_start_as_in_the_scripts():
    torch.manual_seed(0)
    convolutions = [module for module in models.build("vgg5", 28, 10).modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 10
    for convolution in convolutions[1:]:
        assert convolution.weight.std().item() == pytest.approx(math.sqrt(2 / (9 * convolution.out_channels)), rel=0.03)
