"""The image: what hadolint takes and refuses, and that it is built of what was tested."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import hwr
from tests.deploy import CLUSTER, ROOT, release

TEXT = (CLUSTER / "Dockerfile").read_text()

# One instruction a line, without comments and line breaks.
LINES = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE)).splitlines()


def told(instruction: str) -> list[str]:
    """What the file says in all lines of one instruction."""
    return [line.removeprefix(f"{instruction} ") for line in LINES if line.startswith(f"{instruction} ")]


def hadolint(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "Dockerfile").write_text(text)
    command = [str(Path(sys.executable).parent / "hadolint"), "--no-color", "Dockerfile"]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=60)


def copied() -> set[str]:
    return {word for line in told("COPY") for word in line.split()[1:-1]}


def test_hadolint_has_nothing_to_say(tmp_path: Path) -> None:
    checked = hadolint(tmp_path, TEXT)
    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.mark.parametrize(
    ("found", "instead", "rule"),
    [
        ("USER 1000:100", "USER root", "DL3002"),
        ("pip install --no-cache-dir", "pip install", "DL3042"),
        ("ray:${RAY_TAG}", "ray:latest", "DL3007"),
        ("WORKDIR /home/ray/project", "WORKDIR project", "DL3000"),
    ],
)
def test_hadolint_refuses_what_is_worse(found: str, instead: str, rule: str, tmp_path: Path) -> None:
    assert found in TEXT
    assert rule in hadolint(tmp_path, TEXT.replace(found, instead)).stdout


def test_the_base_has_the_ray_and_a_python_that_were_tested() -> None:
    (tag,) = told("ARG")
    name, _, default = tag.partition("=")
    assert told("FROM") == [f"rayproject/ray:${{{name}}}"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for one in (default, re.findall(rf"{name}=(\S+)\.$", TEXT, re.MULTILINE)[0]):
        ray, python, _ = re.fullmatch(r"([\d.]+)-py(\d+)-(cpu|cu\d+)", one).groups()  # type: ignore[union-attr]
        assert ray == release("ray")
        assert f"py{python}" == project["tool"]["ruff"]["target-version"]


def test_nobody_is_root_from_the_first_command_on() -> None:
    instructions = [line.split()[0] for line in LINES if line]
    assert told("USER") == ["1000:100"]
    assert instructions.index("USER") < min(instructions.index("RUN"), instructions.index("COPY"))
    assert all(line.startswith("--chown=1000:100 ") for line in told("COPY"))


def test_the_dependencies_are_those_of_the_project_without_its_tools_at_the_tested_releases(tmp_path: Path) -> None:
    (install,) = [line for line in told("RUN") if "--requirement" in line]
    listing, installing = install.split(" && ")
    assert "--constraint constraints.txt --requirement requirements.txt" in installing
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    subprocess.run(["sh", "-c", listing.replace("python", sys.executable, 1)], cwd=tmp_path, check=True, timeout=60)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (tmp_path / "requirements.txt").read_text().splitlines() == project["dependencies"]


def test_the_image_gets_the_files_that_machines_get_and_no_others() -> None:
    mounts = yaml.safe_load((CLUSTER / "launcher" / "ssh.yaml").read_text())["file_mounts"]
    assert copied() == set(mounts.values()) - {"~/.ray/auth_token"}


def test_docker_sees_nothing_but_the_files_that_are_copied() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:].rstrip("/") for rule in rules if rule.startswith("!")} == copied()


def test_the_image_has_the_name_of_this_release() -> None:
    assert f"--tag registry.example.com/hwr:{hwr.__version__} ." in TEXT
