"""What tests share: real rows, and one Ray cluster for the whole session."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, settings
from sklearn.datasets import load_digits

from pipelines import _ray
from tests.browser import browser, open_page

__all__ = ["browser", "open_page"]

# Tests run on Ray of their own, whatever cluster this terminal is used with.
os.environ.pop("RAY_ADDRESS", None)

# A busy machine must not fail a test: properties are about values, never about time.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets; tests that need it are skipped where HWR_DATA is unset."""
    where = os.environ.get("HWR_DATA")
    if not where:
        pytest.skip("HWR_DATA is not set")
    return Path(where)


@pytest.fixture(scope="session")
def digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Real handwriting that is always at hand: 1,797 digits (N, 8, 8) uint8, white ink on black, and labels (N,)."""
    found = load_digits()
    return (found.images * (255 / 16)).round().astype(np.uint8), found.target


@pytest.fixture
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arithmetic that rounds so little that figures can be compared, whatever this machine has for bf16."""
    monkeypatch.setattr("hwr.device._processor_has_bf16", lambda: False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """One Ray for all tests that need it: jobs find it running and use it."""
    _ray.ray.init(
        "local",
        num_cpus=3,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=300 * 2**20,
    )
    yield
    _ray.ray.shutdown()
