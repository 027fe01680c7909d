"""One command makes one file, says what it is, and leaves nothing behind where it fails."""

import json

import numpy as np
import onnxruntime
import pytest

from hwr import export
from hwr.glyph import canonical_batch
from hwr.predictor import Predictor
from hwr.storage import Folder
from tests.jobs import contents, hwr


def test_a_run_becomes_a_file_that_reads_digits(tmp_path, run, digits, capsys):
    out = tmp_path / "new" / "digits.onnx"
    assert hwr("export", "--model", run, "--format", "onnx", "--out", out) == 0
    said = capsys.readouterr()
    assert f"{out}: glyphnet for 10 characters, ONNX opset " in said.out
    assert "the same answers on 1,797 real glyphs, scores within " in said.out
    assert said.err == ""

    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    labels = json.loads(session.get_modelmeta().custom_metadata_map["alphabet"])
    glyphs = canonical_batch(digits[0][900:])[0]
    scores = session.run(None, {"glyphs": glyphs[:, None].astype(np.float32) / 255})[0]
    assert np.mean(np.array(labels)[scores.argmax(1)] == digits[1][900:].astype(str)) > 0.75
    predictor = Predictor([Folder.open(str(run / "model"))])
    assert np.mean(scores.argmax(1) == predictor(glyphs).argmax(1)) > 0.98  # the predictor may compute in bf16


@pytest.mark.parametrize("form", ["torch-export", "hdf5"])
def test_a_model_folder_does_as_well(tmp_path, run, form):
    assert hwr("export", "--model", run / "model", "--format", form, "--out", tmp_path / "file") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_file_may_be_a_uri(tmp_path, run):
    assert hwr("export", "--model", run, "--format", "hdf5", "--out", f"file://{tmp_path}/digits.h5") == 0
    assert (tmp_path / "digits.h5").exists()


def test_what_exists_is_never_overwritten(tmp_path, run, capsys):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder").mkdir()
    before = contents(tmp_path)
    for name in ("file", "folder"):
        assert hwr("export", "--model", run, "--format", "hdf5", "--out", tmp_path / name) == 1
        assert capsys.readouterr().err == (
            f"hwr export: {tmp_path}/{name} exists: choose another --out, or remove it\n"
        )
    assert contents(tmp_path) == before


def test_a_model_that_is_none_is_one_line(tmp_path, samples, capsys):
    for model, message in (
        ("/none", "there is no run or model /none; models that ship with hwr: emnist47"),
        (samples, "holds a samples folder, but run"),
    ):
        assert hwr("export", "--model", model, "--format", "onnx", "--out", tmp_path / "x") == 1
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_file_that_answers_otherwise_is_not_left(tmp_path, run, monkeypatch, capsys):
    write, read = export._FORMATS["hdf5"]

    def careless(data):
        model = read(data)
        model.state_dict()["head.bias"].add_(0.002)
        return model

    monkeypatch.setitem(export._FORMATS, "hdf5", (write, careless))
    assert hwr("export", "--model", run, "--format", "hdf5", "--out", tmp_path / "x.h5") == 1
    err = capsys.readouterr().err
    assert "does not answer as its model does: scores differ by up to 2.0e-03, where 1e-04 is allowed" in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())
