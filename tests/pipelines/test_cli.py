"""Every mistake is one clear line with the right exit status, and help is always at hand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import hwr as library
from pipelines import cli
from tests.jobs import hwr, hwr_process


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_names_every_job(capsys, words):
    assert hwr(*words) == 0
    out = capsys.readouterr().out
    assert all(job in out for job in cli.JOBS)


def test_version(capsys):
    assert hwr("--version") == 0
    assert capsys.readouterr().out.strip() == library.__version__


@pytest.mark.parametrize("job", cli.JOBS)
def test_every_job_explains_its_flags(job):
    by_name = subprocess.run(
        [sys.executable, "-m", f"pipelines.{job}", "--help"], capture_output=True, text=True, check=True
    )
    assert "--out" in by_name.stdout
    assert by_name.stdout == hwr_process(job, "--help").stdout


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["lable"], 2, "hwr lable: there is no such job: choose one of demo, fetch"),
        (["fetch", "--name", "emnist", "--out", "b"], 2, "choice 'emnist' for argument '--name'"),
        (["ingest"], 2, "hwr ingest: Missing from hwr ingest: --source STR"),
        (
            ["ingest", "--source", "a", "--format", "tape", "--out", "b"],
            2,
            "choice 'tape' for argument '--format'",
        ),
        (
            ["train", "--data", "a", "--out", "b", "--epoch", "3"],
            2,
            "options: --epoch, 3; perhaps you meant --epochs",
        ),
        (["train", "--data", "a", "--out", "b", "--epochs", "x"], 2, "--epochs: invalid literal for int()"),
        (["train", "--data", "a", "--out", "b", "--epochs", "0"], 1, "--epochs must be a number from 1 up, not 0"),
        (["ingest", "--source", "/none", "--format", "idx", "--out", "b"], 1, "hwr ingest: there is no folder /none"),
        (["train", "--data", "/none", "--out", "b"], 1, "/none does not exist or is empty: make it with hwr ingest"),
        (["label", "--images", "/none", "--model", "/none", "--out", "b"], 1, "there is no run or model /none"),
        (["evaluate", "--predictions", "/none", "--out", "b"], 1, "make it with hwr label"),
        (["ingest", "--source", "nowhere://x", "--format", "idx", "--out", "b"], 1, "is not a location that can be"),
    ],
)
def test_each_mistake_is_one_line(capsys, monkeypatch, tmp_path, words, status, message):
    monkeypatch.chdir(tmp_path)
    assert hwr(*words) == status
    out, err = capsys.readouterr()
    assert message in err
    assert err.count("\n") == 1
    assert out == ""
    assert not list(tmp_path.iterdir())


def test_control_characters_in_names_do_not_reach_the_terminal(capsys):
    assert hwr("train", "--data", "x\x1b[31m", "--out", "y") == 1
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_wrong_flags_read_the_same_on_every_terminal(encoding):
    done = hwr_process("ingest", "--source", "x", "--out", "y", PYTHONIOENCODING=encoding)
    start, end = "hwr ingest: Missing from hwr ingest: --format {image-folder,", "} (see hwr ingest --help)\n"
    assert done.stderr.startswith(start)
    assert done.stderr.endswith(end)
    assert done.stderr.count("\n") == 1
    assert done.returncode == 2


def test_a_folder_that_is_taken_away_under_a_command_is_one_line(tmp_path):
    program = Path(sys.executable).parent / "hwr"
    command = f"mkdir gone && cd gone && rmdir ../gone && {program} label --images {tmp_path} --model emnist47 --out x"
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "hwr label: the folder in which this command runs was taken away: give it again, in one that stays\n"
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_keep_a_job_from_its_work(tmp_path, closed):
    """Nor is what would have been said written into files that are opened later."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    words = f"label --images {tmp_path}/in --model emnist47 --out {tmp_path}/out"
    command = f"{sys.executable} -m pipelines {words} {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out" / "manifest.json").exists()
