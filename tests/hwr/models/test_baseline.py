"""Baseline is the network that it says it is, weight for weight."""

import pytest

from hwr import models


@pytest.mark.parametrize(("size", "classes"), [(4, 2), (28, 10), (28, 47), (33, 62)])
def test_its_weights_are_those_of_its_layers(size, classes):
    wide = 64 * (size // 4) ** 2
    convolutions = [(1, 32), (32, 32), (32, 64), (64, 64)]
    expected = sum(9 * before * after + after + 2 * after for before, after in convolutions)
    expected += (wide + 1) * 512 + (512 + 1) * classes
    assert sum(weight.numel() for weight in models.build("baseline", size, classes).parameters()) == expected


def test_it_has_as_many_weights_as_the_common_network_for_emnist():
    assert sum(weight.numel() for weight in models.build("baseline", 28, 47).parameters()) == 1_695_631
