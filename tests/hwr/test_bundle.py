"""A model survives the way to disk, and one that does not fit is one line."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hwr import bundle, manifest, models
from hwr.alphabet import Alphabet
from hwr.errors import InputError
from hwr.glyph import canonical_batch
from hwr.predictor import Predictor
from hwr.storage import Folder
from tests.jobs import scan

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
    scores = Predictor([folder])(glyphs)
    with torch.inference_mode():
        expected = model(torch.from_numpy(glyphs).unsqueeze(1) / 255).softmax(1).numpy()
    assert scores.shape == (300, 2)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=0.02)  # bf16 keeps about three digits
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-5)


def test_the_predictor_divides_scores_by_the_temperature_of_the_card(saved):
    folder, model = saved
    glyphs = np.random.default_rng(0).integers(0, 256, (50, 28, 28), dtype=np.uint8)
    plain = Predictor([folder])(glyphs).astype(np.float64)
    bundle.save(folder, model.state_dict(), replace(CARD, calibration={"temperature": 0.5, "bins": "3 2 1"}))
    # Half the temperature squares the odds.
    np.testing.assert_allclose(Predictor([folder])(glyphs), plain**2 / (plain**2).sum(1, keepdims=True), atol=1e-5)


def test_a_card_from_before_there_was_calibration_loads(saved):
    folder, _ = saved
    card = folder.read_json(bundle.CARD)
    del card["calibration"]
    folder.write_json(bundle.CARD, card)
    assert bundle.load(folder)[1].calibrated() is None


def test_no_glyphs_give_no_scores(saved):
    assert Predictor([saved[0]])(np.zeros((0, 28, 28), np.uint8)).shape == (0, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 9}, "has format 9"),
        ({"alphabet": ["A"]}, "does not fit its card"),
        ({"architecture": "vgg99"}, "there is no model 'vgg99'"),
        ({"size": "28"}, "its size is no number"),
        ({"preprocessing": "none"}, "was trained on 'none'"),
        ({"calibration": {"temperature": -1, "bins": "3 2 1"}}, r"model\.json is damaged: its calibration .* but -1"),
        ({"calibration": {"temperature": 1, "bins": "3 1 2"}}, r"model\.json is damaged: its calibration has bins"),
        (
            {"calibration": {"temperature": 1, "bins": "3 2 1", "answers": [2]}},
            r"damaged: its calibration counts 1 answers",
        ),
        ({"calibration": ["3 2 1"]}, r"model\.json is damaged: its calibration"),
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


@pytest.fixture
def run(tmp_path):
    """A finished run with a model in it."""
    out = Folder.open(str(tmp_path / "run"))
    manifest.claim(out, "run", {}, {})
    bundle.save(out / "model", models.build("glyphnet", 28, 2).state_dict(), CARD)
    manifest.complete(out, "run", {"fingerprint": bundle.fingerprint(out / "model"), "metrics": {}})
    return out


def test_a_run_and_its_model_folder_both_mean_the_model(run):
    assert bundle.find(run.name).path == f"{run.path}/model"
    assert bundle.find(f"{run.name}/model").path == f"{run.path}/model"


def test_a_run_whose_model_was_changed_is_one_line(run):
    card = run.read_bytes("model/model.json")
    run.write_bytes("model/model.json", card.replace(b"canonical", b"Canonical"))
    with pytest.raises(InputError, match="was changed after its training"):
        bundle.find(run.name)
    run.fs.delete_file(f"{run.path}/model/model.json")
    with pytest.raises(InputError, match=r"run/model has no model\.json"):
        bundle.find(run.name)


def test_what_is_no_run_is_one_line(tmp_path):
    with pytest.raises(InputError, match="there is no run or model"):
        bundle.find(str(tmp_path / "none"))


def test_the_model_that_ships_is_small_knows_47_characters_and_says_what_it_is_good_for():
    assert bundle.shipped() == ["emnist47"]
    folder = bundle.find("emnist47")
    model, card = bundle.load(folder)
    assert tuple(card.alphabet) == Alphabet.parse("emnist47").labels
    assert sum(folder.bytes(name) for name in folder.names()) < 3e6
    assert set(card.notes) == {"data", "figures", "limits", "command"}
    assert all(not entry["location"].startswith("/") for entry in card.data)
    assert sum(value.numel() for value in model.parameters()) < 600_000


def test_it_reads_digits_that_it_never_saw(digits):
    predictor = Predictor([bundle.find("emnist47")])
    scans = [scan(image) for image in digits[0][:300]]
    glyphs, _ = canonical_batch(scans, 28)
    names = np.array(predictor.alphabet)
    tens = np.isin(names, list("0123456789"))
    scores = predictor(glyphs)[:, tens]
    # Without capitals that look alike most of the coarse digits of 8 x 8 pixels are right; chance would be a tenth.
    assert (names[tens][scores.argmax(1)] == digits[1][:300].astype(str)).mean() > 0.8


@pytest.mark.usefixtures("saved")
def test_a_folder_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "emnist47").mkdir()
    for name in (bundle.CARD, bundle.WEIGHTS):
        (tmp_path / "emnist47" / name).write_bytes((tmp_path / name).read_bytes())
    assert bundle.load(bundle.find("emnist47"))[1] == CARD


def test_a_folder_without_a_model_does_not_hide_one_that_ships(tmp_path, monkeypatch, saved):
    monkeypatch.chdir(tmp_path)
    shipped = bundle.find("emnist47").location
    (tmp_path / "emnist47").mkdir()
    (tmp_path / "emnist47" / "notes.txt").touch()
    assert bundle.find("emnist47").location == shipped
    (tmp_path / "emnist47" / "notes.txt").rename(tmp_path / "emnist47" / "config.json")
    with pytest.raises(InputError, match="its train did not finish"):
        bundle.find("emnist47")
    bundle.save(Folder.open("emnist47"), saved[1].state_dict(), CARD)
    assert bundle.find("emnist47").location == str(tmp_path / "emnist47")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_one_line(saved, value):
    folder, model = saved
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] = value
    bundle.save(folder, model.state_dict(), CARD)
    with pytest.raises(InputError, match=r"model\.safetensors holds weights that are no finite numbers"):
        bundle.load(folder)
