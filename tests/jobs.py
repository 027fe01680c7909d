"""Ways for tests to run jobs as a user does, and to look at what they leave."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines import cli


def hwr(*words: object) -> int:
    """One command in this process, on the session's Ray: its exit status."""
    return cli.main([str(word) for word in words])


def hwr_process(*words: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command in a process of its own, with a Ray of its own."""
    command = [sys.executable, "-m", "pipelines", *map(str, words)]
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=850, check=False
    )


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, with a hash of its bytes and its time of change."""
    return {
        str(path.relative_to(folder)): f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mtime_ns}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def scan(digit: np.ndarray) -> np.ndarray:
    """A digit of 8 x 8 pixels as a scan would show it: larger, dark on light, with a margin."""
    return 255 - np.pad(np.kron(digit, np.ones((3, 3), np.uint8)), 6)


def write_scans(top: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Real digits as scans in PNG files, one folder a class."""
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = top / str(label) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scan(image)).save(path)
