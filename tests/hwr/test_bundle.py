"""A model survives the way to disk, and one that does not fit is one line."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hwr import bundle, models
from hwr.errors import InputError
from hwr.predictor import Predictor
from hwr.storage import Folder

CARD = bundle.Card("glyphnet", list("AB"), 28, bundle.PREPROCESSING)


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = models.build("glyphnet", 28, 2).eval()
    folder = Folder.open(str(tmp_path))
    bundle.save(folder, model.state_dict(), CARD)
    return folder, model


def test_weights_and_card_come_back_equal(saved):
    folder, model = saved
    loaded, card = bundle.load(folder)
    assert card == CARD
    assert not loaded.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name


def test_the_predictor_gives_the_scores_of_the_model(saved):
    folder, model = saved
    glyphs = np.random.default_rng(0).integers(0, 256, (300, 28, 28), dtype=np.uint8)
    scores = Predictor(folder)(glyphs)
    with torch.inference_mode():
        expected = model(torch.from_numpy(glyphs).unsqueeze(1) / 255).softmax(1).numpy()
    assert scores.shape == (300, 2)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=0.02)  # bf16 keeps about three digits
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-5)


def test_no_glyphs_give_no_scores(saved):
    assert Predictor(saved[0])(np.zeros((0, 28, 28), np.uint8)).shape == (0, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 9}, "has format 9"),
        ({"alphabet": ["A"]}, "does not fit its card"),
        ({"architecture": "vgg99"}, "there is no model 'vgg99'"),
        ({"size": "28"}, "its size is no number"),
        ({"preprocessing": "none"}, "was trained on 'none'"),
    ],
)
def test_a_card_that_does_not_fit_is_one_line(saved, change, message):
    folder, model = saved
    bundle.save(folder, model.state_dict(), replace(CARD, **change))
    with pytest.raises(InputError, match=message):
        bundle.load(folder)


def test_missing_and_damaged_files_are_one_line(saved, tmp_path):
    folder, _ = saved
    folder.write_bytes(bundle.WEIGHTS, folder.read_bytes(bundle.WEIGHTS)[:100])
    with pytest.raises(InputError, match=r"model\.safetensors does not fit its card"):
        bundle.load(folder)
    folder.write_bytes(bundle.CARD, b'{"surprise": 1}')
    with pytest.raises(InputError, match="is not a model card"):
        bundle.load(folder)
    with pytest.raises(InputError, match=r"has no model\.json: it is not a model that hwr train made"):
        bundle.load(Folder.open(str(tmp_path / "none")))
