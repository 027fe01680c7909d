"""GlyphNet takes every size of glyph and every size of alphabet, and is as small as it says."""

import pytest
import torch

from hwr import models
from hwr.errors import InputError


@pytest.mark.parametrize(("size", "classes"), [(8, 1), (28, 10), (33, 47), (64, 62)])
def test_scores_have_one_column_a_class(size, classes):
    model = models.build("glyphnet", size, classes).eval()
    assert model(torch.rand(3, 1, size, size)).shape == (3, classes)


def test_it_has_about_half_a_million_weights():
    count = sum(parameter.numel() for parameter in models.build("glyphnet", 28, 10).parameters())
    assert 450_000 < count < 550_000


def test_an_unknown_name_is_one_line():
    with pytest.raises(InputError, match="there is no model 'vgg99': this hwr has glyphnet"):
        models.build("vgg99", 28, 10)
