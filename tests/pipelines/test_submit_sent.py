"""What submit sends: flags that mean the same on the cluster, the code alone, and a look at what is there."""

import importlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hwr.errors import InputError
from pipelines import _probe, _sent, cli
from pipelines._probe import Location
from pipelines.cli import Place


def test_the_flags_that_are_locations_are_marked_where_they_are_defined():

    found = {
        job: _sent._places(importlib.import_module(f"pipelines.{job}").Config) for job in cli.JOBS if job != "submit"
    }
    read, written = Place.INPUT, Place.OUTPUT
    assert found == {
        "demo": {"--out": written},
        "fetch": {"--out": written},
        "ingest": {
            "--source": read, "--out": written, "--images": read, "--mapping": read, "--corrections": read,
        },
        "train": {"--data": read, "--out": written, "--init": Place.MODEL, "--mlflow": Place.SERVER},
        "label": {
            "--images": read, "--model": Place.MODEL, "--out": written, "--sort-into": written,
            "--label-studio": written,
        },
        "evaluate": {"--predictions": read, "--out": written, "--truth": read, "--against": read},
        "export": {"--model": Place.MODEL, "--out": written},
    }  # fmt: skip


def test_relative_paths_become_absolute_and_everything_else_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    words = [
        "--images", "scans", "--model", "emnist47", "--model", "run", "--model=s3://b/run", "--out=out",
        "--sort_into", "~/s", "--only", "out", "--tta",
    ]  # fmt: skip
    sent, found = _sent.absolute(cli.parse("label", words), words)
    assert sent == [
        "--images", f"{tmp_path}/scans", "--model", "emnist47", "--model", f"{tmp_path}/run", "--model=s3://b/run",
        f"--out={tmp_path}/out", "--sort_into", "/home/me/s", "--only", "out", "--tta",
    ]  # fmt: skip
    assert found == [
        Location("--images", f"{tmp_path}/scans", is_output=False),
        Location("--model", f"{tmp_path}/run", is_output=False),
        Location("--out", f"{tmp_path}/out", is_output=True),
        Location("--sort-into", "/home/me/s", is_output=True),
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "s3://KEY:WORD@bucket/data"], "has credentials in it"),
        (["--data", "d", "--init", "abfs://:WORD@account.dfs.core.windows.net/run"], "has credentials in it"),
        (["--data", "d", "--mlflow", "http://me:WORD@host"], "has credentials in it"),
        (["--data", "d", "--mlflow", "sqlite:///ml.db"], "is a file of one machine: a job on a cluster needs"),
    ],
)
def test_what_must_not_stand_in_a_list_of_jobs_is_refused_before_it_does(words, message):
    words = [*words, "--out", "o"]
    with pytest.raises(InputError, match=message) as refused:
        _sent.absolute(cli.parse("train", words), words)
    assert "WORD" not in str(refused.value)


def test_a_relative_default_becomes_absolute_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _sent.absolute(cli.parse("demo", []), [])[0] == ["--out", f"{tmp_path}/demo"]


def test_the_package_is_the_code_alone_and_runs_from_anywhere(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with _sent.package() as package:
        first = package.read_bytes()
        with zipfile.ZipFile(package) as archive:
            names = archive.namelist()
            archive.extractall(tmp_path / "there")
    assert {name.split("/")[0] for name in names} == {"hwr", "pipelines"}
    assert not [name for name in names if "__pycache__" in name]
    assert {"hwr/pretrained/emnist47/model.safetensors", "hwr/report/pages/report.css"} < set(names)
    assert f"the code: {len(names)} files, {len(first) / 1e6:.1f} MB\n" == capsys.readouterr().out
    where = "import hwr, pipelines.cli; print(hwr.__file__)"
    command = [sys.executable, "-c", where]
    done = subprocess.run(command, cwd=tmp_path / "there", capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path}/there/hwr/__init__.py\n"
    with _sent.package() as package:
        assert package.read_bytes() == first, "Ray would take the same code for another package"


def test_a_package_that_ray_would_not_take_is_refused_with_its_largest_files(monkeypatch):
    monkeypatch.setattr(_sent, "LIMIT", 1_000_000)
    with pytest.raises(InputError, match=r"Ray takes 1\.0 MB: .* first: \S+model\.safetensors \(2\.\d MB\), "):
        _sent.package().__enter__()


@pytest.fixture
def places(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "gone").symlink_to("nothing")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "is_output", "said"),
    [
        ("", False, None),
        ("file", False, None),
        ("none", False, "none is not there"),
        ("", True, None),
        ("new/and/below", True, None),
        ("file", True, None),
        ("file/below", True, "file is not a folder"),
        ("gone/below", True, "gone is not a folder"),
    ],
)
def test_a_look_finds_what_is_wrong_with_a_path(places, path, is_output, said):
    asked = {"locations": [{"flag": "--x", "path": f"{places}/{path}".rstrip("/"), "is_output": is_output}]}
    found = _probe.look({**asked, "needed": []})["wrong"]
    assert [flag for flag, _ in found] == ["--x"] * (said is not None)
    assert said is None or found[0][1].endswith(said)


def test_a_look_needs_neither_ray_nor_hwr_where_it_runs(tmp_path):
    asked = {"locations": [{"flag": "--x", "path": "/none", "is_output": False}], "needed": ["pip", "no-such-thing"]}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _probe.program()], cwd=tmp_path, capture_output=True, text=True,
        env={"HWR_ASKED": json.dumps(asked)}, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout.removeprefix("hwr found: "))
    assert found["wrong"] == [["--x", "/none is not there"]]
    assert "no-such-thing" in found["missing"]
    assert found["python"] == list(sys.version_info[:2])


def test_what_hwr_cannot_do_without_is_known_without_its_extras():
    assert {"torch", "ray", "opencv-python-headless"} < set(_probe.needed())
    assert not {"mypy", "mlflow-skinny"} & set(_probe.needed())


def test_the_code_of_this_project_is_what_is_sent():
    root = Path(__file__).parents[2]
    assert dict(_sent._files())["pipelines/submit.py"] == root / "pipelines" / "submit.py"
