"""Jobs on a cluster as people start it, with a dashboard and a token: what runs there is what the command line says."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from pipelines import _follow
from tests.head import TOKEN, Head
from tests.jobs import Command, hwr, hwr_process, write_scans

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]

# A training that would go on for an hour.
LONG = ["--epochs", 4000, "--patience", 4000, "--batch-size", 16]


@pytest.fixture(scope="module")
def head():
    one = Head()
    yield one
    one.close()


@pytest.fixture(scope="module")
def scans(tmp_path_factory, digits):
    folder = tmp_path_factory.mktemp("work") / "scans"
    write_scans(folder, digits[0][:200], digits[1][:200])
    return folder


@pytest.fixture(scope="module")
def sent(head, scans):
    """An ingest by someone who is beside the scans, and in a folder of their own: what was said, and its ID."""
    done = hwr_process(
        "submit", "--address", head.url, "--", "ingest", "--source", "scans", "--format", "image-folder",
        "--out", "samples", cwd=scans.parent, HOME=str(head.top / "home"), PYTHONPATH=str(ROOT),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done, done.stdout.splitlines()[1].split()[0]


@pytest.fixture(autouse=True)
def _at_home(head, scans, monkeypatch):
    """A user beside the scans, with the cluster's token at its usual place, and nothing said of it."""
    monkeypatch.setenv("HOME", str(head.top / "home"))
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", head.url)
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(scans.parent)


def listed(head):
    """The cluster's jobs, by their IDs."""
    request = urllib.request.Request(f"{head.url}/api/jobs/", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return {job["submission_id"]: job for job in json.load(answer) if job["type"] == "SUBMISSION"}


def settled(head):
    """The same, without those that only looked: they go some seconds after they have."""
    last = time.monotonic() + 60
    while [name for name in listed(head) if name.startswith("hwr-look")]:
        assert time.monotonic() < last
        time.sleep(0.5)
    return listed(head)


def refused(capsys, *words):
    """The status and the only line of a command that fails at once; milestones go elsewhere."""
    status = hwr("submit", *words)
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return status, err


def test_without_a_token_with_a_wrong_one_and_with_wrong_flags_nothing_is_sent(head, capsys, monkeypatch, tmp_path):
    ingest = ["ingest", "--source", "scans", "--format", "image-folder", "--out", "out"]
    monkeypatch.setenv("HOME", str(tmp_path))
    for mode in ("token", "disabled"):
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
        status, err = refused(capsys, "--", *ingest)
        assert status == 1
        assert f"{head.url} asks for a token, and there is none in ~/.ray/auth_token: copy" in err
    (tmp_path / "wrong").write_text("f" * 64)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "wrong"))
    status, err = refused(capsys, "--", *ingest)
    assert status == 1
    assert f"{head.url} does not accept the token of {tmp_path / 'wrong'}: copy" in err
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    monkeypatch.setenv("HOME", str(head.top / "home"))
    status, err = refused(capsys, "--", *ingest, "--sise", "28")
    assert status == 2
    assert "perhaps you meant --size" in err
    status, err = refused(capsys, "--logs", "hwr-none")
    assert status == 1
    assert f"{head.url} has no job hwr-none" in err
    assert not listed(head)


def test_paths_that_the_cluster_does_not_see_are_refused_before_the_job_is_sent(head, capsys):
    words = ["label", "--images", "scans", "--model", "/laptop/run", "--out", "/proc/1/out"]
    status, err = refused(capsys, "--", *words)
    assert status == 1
    assert f"on the cluster at {head.url}, --model /laptop/run is not there; --out /proc/1/out cannot be made: " in err
    assert not settled(head)


def test_the_jobs_run_there_with_paths_of_here_and_end_as_they_say(head, scans, sent, capsys):
    work, (done, name) = scans.parent, sent
    assert done.stderr == ""
    said = done.stdout.splitlines()
    assert said[0].startswith("the code: ")
    assert name.startswith("hwr-ingest-")
    assert f"{work}/samples: 200 samples of 10 characters" in done.stdout
    assert said[-1].startswith(f"{name} succeeded after ")

    train = ["train", "--data", "samples", "--out", "run", "--epochs", 1, "--batch-size", 64]
    assert hwr("submit", "--", *train) == 0
    assert hwr("submit", "--", "label", "--images", "scans", "--model", "run", "--out", "labels") == 0
    assert len((work / "labels" / "predictions.csv").read_text().splitlines()) == 201
    assert {found["status"] for found in settled(head).values()} == {"SUCCEEDED"}

    capsys.readouterr()
    assert hwr("submit", "--status", name) == 0
    shown = capsys.readouterr().out
    assert name in shown
    assert "SUCCEEDED" in shown
    assert "ingest --source" in shown
    assert hwr("submit", "--stop", name) == 0
    assert "had ended already: succeeded" in capsys.readouterr().out
    code = set((head.top / "ray" / "session_latest" / "runtime_resources" / "working_dir_files").glob("_ray_pkg_*/*"))
    assert {path.name for path in code} == {"hwr", "pipelines"}


def test_a_job_that_fails_there_fails_here_with_its_own_line(scans, capsys):
    (scans.parent / "nothing").mkdir()
    assert hwr("submit", "--", "evaluate", "--predictions", "nothing", "--out", "report") == 1
    out, err = capsys.readouterr()
    assert f"hwr evaluate: {scans.parent}/nothing does not exist or is empty: make it with hwr label" in out
    assert err.count("\n") == 1
    assert "failed after" in err
    assert "exit status 1; what it said stands above" in err


@pytest.mark.usefixtures("sent")
def test_an_interruption_leaves_the_job_and_a_stop_leaves_its_checkpoint(head, scans, monkeypatch):
    monkeypatch.chdir(ROOT)
    out = scans.parent / "long"
    data = scans.parent / "samples"
    sending = Command(["submit", "--", "train", "--data", data, "--out", out, *LONG])
    sending.wait_until((out / "history.jsonl").exists)
    sending.process.send_signal(signal.SIGINT)
    status, said, err = sending.end()
    assert status == 130
    name = next(word for word in said.split() if word.startswith("hwr-train-"))
    assert f"{name} goes on without this command" in err
    assert f"hwr submit --address {head.url} --logs {name}" in said
    assert listed(head)[name]["status"] == "RUNNING"

    following = Command(["submit", "--logs", name])
    stopping = Command(["submit", "--stop", name])
    status, _, err = stopping.end()
    assert (status, err) == (0, "")
    status, said, err = following.end()
    assert status == 130
    assert "hwr train: interrupted; what is done is kept" in said
    assert f"{name} was stopped after" in err
    assert listed(head)[name]["status"] == "STOPPED"
    assert list((out / "checkpoints").iterdir())


def test_the_plain_command_of_ray_sends_code_without_data(head, scans, tmp_path):
    project = tmp_path / "project"
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("hwr", "pipelines"):
        shutil.copytree(ROOT / folder, project / folder, ignore=ignored)
    for file in (".rayignore", ".gitignore", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / file, project)
    # Whatever lies in a project that is worked in, none of which is sent.
    for place in ("data/digits/samples", "runs/a", "raw", "labels", "reports", "demo", "tests", ".git", ".venv/lib"):
        (project / place).mkdir(parents=True)
        (project / place / "large.bin").write_bytes(b"x" * 10_000)
    out = scans.parent / "plain"
    job = ["python", "-m", "pipelines", "ingest", "--source", scans, "--format", "image-folder", "--out", out]
    ray = [Path(sys.executable).parent / "ray", "job", "submit", "--address", head.url, "--working-dir", ".", "--"]
    done = subprocess.run(
        [*ray, *job], cwd=project, env=head.environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (out / "manifest.json").exists()
    sent = (head.top / "ray" / "session_latest" / "runtime_resources" / "working_dir_files").glob("_ray_pkg_*/*")
    found = {path.name for path in sent}
    assert {"hwr", "pipelines", "README.md"} < found
    assert not found & {"data", "runs", "raw", "labels", "reports", "demo", "tests", ".git", ".venv"}


@pytest.mark.usefixtures("sent")
def test_a_head_that_dies_while_a_job_is_followed_is_one_line(head, scans, capsys, monkeypatch):
    monkeypatch.setattr(_follow, "RETRY_S", 2.0)
    out, data = scans.parent / "lost", scans.parent / "samples"
    dying = threading.Thread(target=lambda: (_wait_for(out / "config.json"), head.kill()))
    dying.start()
    status = hwr("submit", "--", "train", "--data", data, "--out", out, *LONG)
    dying.join()
    said, err = capsys.readouterr()
    assert status == 1
    assert err.count("\n") == 1
    assert f"{head.url} does not answer: Connection refused; hwr-train-" in err
    assert f"once that answers, hwr submit --address {head.url} --logs hwr-train-" in err
    assert "trying again for 2 s" in said


def _wait_for(path):
    last = time.monotonic() + 240
    while not path.exists():
        assert time.monotonic() < last
        time.sleep(0.1)
