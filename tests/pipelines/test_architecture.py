"""The rule that the library knows no Ray is checked by a tool, and the tool does see a breach."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "hwr").rglob("*.py"))


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    return subprocess.run([sys.executable, "-c", command], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    for name in ("hwr", "pipelines"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_the_house_as_it_stands_keeps_its_contracts(copy):
    found = lint(copy)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("name", FILES)
def test_ray_in_any_file_of_the_library_is_noticed(copy, name):
    path = copy / name
    before = path.read_text()
    path.write_text(before + "\n\ndef hidden():\n    import ray\n\n    return ray\n")
    found = lint(copy)
    path.write_text(before)
    assert found.returncode == 1
    assert "BROKEN" in found.stdout


def test_a_new_module_has_to_choose_its_floor(copy):
    (copy / "hwr" / "attic.py").touch()
    found = lint(copy)
    (copy / "hwr" / "attic.py").unlink()
    assert found.returncode == 1
    assert "attic" in found.stdout
