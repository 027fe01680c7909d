"""A predictor gives what the plain network gives, and what is asked on top: some characters, views, several models."""

import numpy as np
import pytest
import torch

from hwr import bundle, models
from hwr.bundle import Card
from hwr.device import as_input, place
from hwr.errors import InputError
from hwr.predictor import Predictor, load
from hwr.storage import Folder

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("float32")


def saved(top, name="glyphnet", alphabet="0123456789", seed=0):
    """A network that has seen something, so that its batch norms do something."""
    torch.manual_seed(seed)
    model = models.build(name, 28, len(alphabet))
    for _ in range(3):
        model.train()(torch.rand(64, 1, 28, 28) ** 3)
    folder = Folder.open(str(top / f"{name}-{seed}"))
    bundle.save(folder, model.state_dict(), Card(name, list(alphabet), 28, bundle.PREPROCESSING))
    return folder


@pytest.fixture
def glyphs():
    return np.random.default_rng(0).integers(0, 256, (300, 28, 28)).astype(np.uint8)


@torch.inference_mode()
def expected(folder, glyphs):
    model, _ = bundle.load(folder)
    return place(model, CPU)(as_input(torch.from_numpy(glyphs))).softmax(1).numpy()


@pytest.mark.parametrize("name", models.NAMES)
def test_folding_changes_no_figure(tmp_path, glyphs, name):
    folder = saved(tmp_path, name)
    predictor = Predictor([folder])
    assert not [one for one in predictor._models[0].modules() if isinstance(one, torch.nn.modules.batchnorm._BatchNorm)]
    np.testing.assert_allclose(predictor(glyphs), expected(folder, glyphs), atol=2e-6)
    assert predictor(glyphs[:0]).shape == (0, 10)


def test_only_some_characters_share_all_of_the_probability(tmp_path, glyphs):
    folder = saved(tmp_path, alphabet="0123ABC")
    some = Predictor([folder], "B31")
    assert some.alphabet == ["1", "3", "B"]
    whole = expected(folder, glyphs)[:, [1, 3, 5]]
    np.testing.assert_allclose(some(glyphs), whole / whole.sum(1, keepdims=True), atol=2e-6)
    with pytest.raises(InputError, match="--only names X Y, which the model does not read: it knows 0 1 2 3 A B C"):
        Predictor([folder], "XYA")


def test_several_models_count_alike(tmp_path, glyphs):
    one, other = saved(tmp_path, seed=1), saved(tmp_path, "baseline", seed=2)
    mean = (expected(one, glyphs) + expected(other, glyphs)) / 2
    np.testing.assert_allclose(Predictor([one, other])(glyphs), mean, atol=2e-6)
    letters = saved(tmp_path, alphabet="ABCDEFGHIJ", seed=3)
    with pytest.raises(InputError, match="do not read the same characters at the same size"):
        Predictor([one, letters])


def test_views_are_small_changes_and_their_mean_counts(tmp_path):
    folder = saved(tmp_path)
    bar = np.zeros((1, 28, 28), np.uint8)
    bar[:, 6:22, 12:16] = 255
    plain, mean = Predictor([folder])(bar), Predictor([folder], tta=True)(bar)
    assert not np.array_equal(plain, mean)
    np.testing.assert_allclose(mean.sum(), 1, atol=1e-5)
    # The first view is the glyph itself: what it alone gives, a seventh of the mean, is in it.
    assert (mean >= plain / 7 - 1e-6).all()


def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_lost(tmp_path, glyphs, monkeypatch):
    predictor = Predictor([saved(tmp_path)])
    whole = predictor(glyphs)
    seen = []
    score = predictor._score

    def small(batch):
        seen.append(len(batch))
        if len(batch) > 40:
            raise torch.OutOfMemoryError
        return score(batch)

    monkeypatch.setattr(predictor, "_score", small)
    np.testing.assert_allclose(predictor(glyphs), whole, atol=2e-6)
    assert seen[:4] == [256, 128, 64, 32]
    assert seen[4:] == [32] * 8 + [12]
    monkeypatch.setattr(predictor, "_score", lambda _: small(torch.zeros(41)))
    with pytest.raises(torch.OutOfMemoryError):
        predictor(glyphs)


@pytest.mark.parametrize(("only", "why"), [("AA", "'A' come twice"), ("", "needs at least one character")])
def test_characters_that_are_no_alphabet_are_told_by_their_flag(only, why):
    with pytest.raises(InputError, match=rf"^--only '{only}': an alphabet .*{why}"):
        load([bundle.find("emnist47")], only)
