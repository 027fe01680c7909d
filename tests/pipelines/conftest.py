"""Samples and a run made by the jobs themselves, once, for the tests of the jobs that read them."""

from pathlib import Path

import pytest

from tests.jobs import hwr, write_scans


@pytest.fixture(scope="session", autouse=True)
def _one_ray(cluster) -> None:
    """A job that finds no Ray starts one of its own: here they share one."""


@pytest.fixture(scope="session")
def samples(tmp_path_factory, digits) -> Path:
    """600 digits, ingested from class folders."""
    top = tmp_path_factory.mktemp("samples")
    write_scans(top / "scans", digits[0][:600], digits[1][:600])
    assert hwr("ingest", "--source", top / "scans", "--format", "image-folder", "--out", top / "out") == 0
    return top / "out"


@pytest.fixture(scope="session")
def run(samples) -> Path:
    """A small model of these digits."""
    out = samples.parent / "run"
    assert hwr("train", "--data", samples, "--out", out, "--epochs", 6, "--batch-size", 32) == 0
    return out
