"""An exported file opens without hwr, answers as its model does, and one that does not is never handed out."""

import copy
import io
import json
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from hwr import bundle, export, models
from hwr.device import as_input
from hwr.errors import HwrError
from hwr.glyph import canonical_batch
from hwr.predictor import Predictor
from hwr.storage import Folder

ROOT = Path(__file__).parents[2]
LABELS = [*"012345678", "ö"]


def card(name: str, size: int = 28) -> bundle.Card:
    return bundle.Card(name, LABELS, size, bundle.PREPROCESSING, settings={"recipe": {"epochs": 3}})


def made(name: str, glyphs: torch.Tensor) -> nn.Module:
    """A network whose answers differ from glyph to glyph, without the time that training takes."""
    torch.manual_seed(0)
    model = models.build(name, glyphs.shape[-1], len(LABELS))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model(glyphs)
        head = list(model.eval().modules())[-1]
        head.weight.mul_(20)
        head.bias.sub_(model(glyphs).mean(0))
    return model


def nudged(model: nn.Module) -> nn.Module:
    other = copy.deepcopy(model)
    with torch.no_grad():
        next(other.parameters()).mul_(1.01)
    return other


@pytest.fixture(scope="module")
def images(digits):
    return canonical_batch(digits[0][:100])[0]


@pytest.fixture
def glyphs(images, monkeypatch):
    """Fewer real glyphs than the job compares."""
    few = as_input(torch.from_numpy(images))
    monkeypatch.setattr(export, "real_glyphs", lambda _: few)
    return few


def open_onnx(data):
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["N", 1, 28, 28]
    assert session.get_outputs()[0].shape == ["N", 10]
    return lambda x: session.run(None, {"glyphs": x.numpy()})[0], session.get_modelmeta().custom_metadata_map


def open_torch_export(data):
    extra = dict.fromkeys(("alphabet", "size", "preprocessing", "card"), "")
    program = torch.export.load(io.BytesIO(data), extra_files=extra).module()
    return lambda x: program(x).detach().numpy(), extra


def open_hdf5(data):
    with h5py.File(io.BytesIO(data)) as file:
        facts = dict(file.attrs)
        weights = {name: torch.tensor(file[name][()]) for name in file}
    assert {value.dtype for value in weights.values()} == {torch.float32}
    model = models.build(json.loads(facts["card"])["architecture"], 28, 10)
    model.load_state_dict(weights)
    return lambda x: model.eval()(x).detach().numpy(), facts


OPEN = {"onnx": open_onnx, "torch-export": open_torch_export, "hdf5": open_hdf5}


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize(
    ("name", "form"),
    [("baseline", form) for form in OPEN] + [("glyphnet", "onnx"), ("glyphnet", "torch-export"), ("vgg5", "onnx")],
)
def test_a_file_answers_as_its_model_does(tmp_path, images, glyphs, name, form):
    model = made(name, glyphs)
    done = export.export(model, card(name), form)
    assert done.glyphs == 100
    assert done.difference <= export.TOLERANCE
    assert str(ROOT).encode() not in done.data  # where it was made is nobody's business

    answer, facts = OPEN[form](done.data)
    expected = model(glyphs).detach().numpy()
    assert len(set(expected.argmax(1))) > 3
    for count in (1, 7, 100):
        np.testing.assert_allclose(answer(glyphs[:count]), expected[:count], atol=export.TOLERANCE, rtol=0)

    folder = Folder.open(str(tmp_path))
    bundle.save(folder, model.state_dict(), card(name))
    scores = torch.from_numpy(answer(glyphs)).softmax(1).numpy()
    np.testing.assert_allclose(scores, Predictor([folder])(images), atol=1e-3)

    assert json.loads(facts["alphabet"]) == LABELS
    assert facts["size"] == "28"
    assert facts["preprocessing"] == bundle.PREPROCESSING
    assert json.loads(facts["card"]) == asdict(card(name))


def test_onnx_keeps_to_the_standard(glyphs):
    onnx.checker.check_model(export.export(made("baseline", glyphs), card("baseline"), "onnx").data, full_check=True)


@pytest.mark.parametrize("form", OPEN)
def test_a_file_that_answers_otherwise_is_refused(glyphs, monkeypatch, form):
    write, read = export._FORMATS[form]
    monkeypatch.setitem(export._FORMATS, form, (lambda model, card: write(nudged(model), card), read))
    with pytest.raises(HwrError, match=r"^the .* file does not answer as its model does: scores differ by up to"):
        export.export(made("baseline", glyphs), card("baseline"), form)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda scores: scores + 0.0012, "differ by up to 1.2e-03, where 1e-04 is allowed, and 0 of 110 answers do"),
        (lambda scores: scores * torch.nan, "differ by up to nan"),
        (lambda scores: scores + (len(scores) == 1), r"differ by up to 1\.0e\+00"),
        (lambda scores: scores.flip(1), "answers do; nothing was written"),
        (lambda scores: scores[:, :9], r"gives scores of shape \(100, 9\), not \(100, 10\)"),
    ],
)
def test_every_way_to_differ_is_noticed(glyphs, other, message):
    model = made("baseline", glyphs)
    assert export.compare(model, model, glyphs, "same") <= 1e-5
    with pytest.raises(HwrError, match=message):
        export.compare(model, lambda batch: other(model(batch)), glyphs, "other")


@pytest.mark.parametrize("size", [8, 40])
def test_real_glyphs_are_all_digits_at_the_size_of_the_model(size):
    glyphs = export.real_glyphs(size)
    assert glyphs.shape == (1797, 1, size, size)
    assert (glyphs.amax(dim=(1, 2, 3)) == 1).all()
    assert (glyphs >= 0).all()
