"""Networks get the layout and the arithmetic that their device is quick at."""

import pytest
import torch

from hwr.device import as_input, autocast, has_bf16, place

CPU = torch.device("cpu")


def test_glyphs_become_input_in_the_unit_range():
    glyphs = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    images = as_input(glyphs)
    assert images.shape == (1, 1, 16, 16)
    assert images.dtype == torch.float32
    assert (images.min(), images.max()) == (0, 1)
    assert torch.equal((images * 255).round().to(torch.uint8).squeeze(1), glyphs)


@pytest.mark.parametrize(("precision", "expected"), [("float32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_precision_that_is_asked_for_is_taken(precision, expected):
    with autocast(CPU, precision):
        assert torch.nn.Linear(4, 4)(torch.rand(1, 4)).dtype == expected


def test_auto_takes_bf16_exactly_where_the_hardware_has_it():
    with autocast(CPU, "auto"):
        assert (torch.nn.Linear(4, 4)(torch.rand(1, 4)).dtype == torch.bfloat16) == has_bf16(CPU)


def test_weights_lie_channels_last():
    convolution = place(torch.nn.Conv2d(8, 8, 3), CPU)
    assert convolution.weight.is_contiguous(memory_format=torch.channels_last)
