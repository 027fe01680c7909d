"""What holds for every network: shapes, learning, and one line where glyphs are too small."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812

from hwr import models
from hwr.device import as_input
from hwr.errors import InputError
from hwr.glyph import canonical_batch

SMALLEST = {"glyphnet": 8, "baseline": 4, "vgg5": 16}


def test_every_network_is_tested():
    assert set(SMALLEST) == set(models.NAMES)


@given(st.sampled_from(models.NAMES), st.integers(0, 20), st.integers(1, 62), st.integers(1, 3))
@settings(max_examples=30)
def test_scores_have_one_column_a_class(name, more, classes, count):
    size = SMALLEST[name] + more
    model = models.build(name, size, classes).eval()
    scores = model(torch.rand(count, 1, size, size))
    assert scores.shape == (count, classes)
    assert scores.dtype == torch.float32


@pytest.mark.parametrize("name", models.NAMES)
def test_a_glyph_is_scored_the_same_alone_and_in_company(name):
    torch.manual_seed(0)
    model = models.build(name, 28, 10).eval()
    glyphs = torch.rand(5, 1, 28, 28)
    with torch.inference_mode():
        torch.testing.assert_close(torch.cat([model(glyph[None]) for glyph in glyphs]), model(glyphs))


@pytest.mark.parametrize("name", models.NAMES)
def test_a_gradient_step_lowers_the_loss_on_real_digits(name, digits):
    torch.manual_seed(0)
    model = models.build(name, 28, 10)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # the loss is to change by the step alone
    images = as_input(torch.from_numpy(canonical_batch(digits[0][:64])[0]))
    labels = torch.from_numpy(digits[1][:64])
    before = F.cross_entropy(model(images), labels)
    before.backward()
    torch.optim.SGD(model.parameters(), lr=0.01).step()
    assert F.cross_entropy(model(images), labels) < before


@pytest.mark.parametrize("name", models.NAMES)
def test_glyphs_that_are_too_small_are_one_line(name):
    least = SMALLEST[name]
    with pytest.raises(InputError, match=f"^{name} needs glyphs of {least} pixels or more, not {least - 1}$"):
        models.build(name, least - 1, 10)
    models.build(name, least, 10)
