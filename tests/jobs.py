"""Ways for tests to run jobs as a user does, and to look at what they leave."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from pipelines import cli


def hwr(*words: object) -> int:
    """One command in this process, on the session's Ray: its exit status."""
    return cli.main([str(word) for word in words])


def hwr_process(*words: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command in a process of its own, with a Ray of its own."""
    command = [sys.executable, "-m", "pipelines", *map(str, words)]
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=1700, check=False
    )


class Command:
    """A command in a process of its own that goes on while a test looks at what it writes.

    It starts a Ray of its own, unless ``RAY_ADDRESS`` is among the environment's additions.
    """

    def __init__(self, words: Sequence[object], **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipelines", *map(str, words)], env={**os.environ, **environment},
            start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            # Tests that run in the background of a script ignore Ctrl-C, and what they start would too.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads in it
        )  # fmt: skip

    def wait_until(self, happened: Callable[[], bool]) -> None:
        """Look again and again; the command must not end before."""
        last = time.monotonic() + 500
        while True:
            begun = time.monotonic()
            if happened():
                return
            assert self.process.poll() is None
            assert begun < last
            time.sleep(max(0.05, 4 * (time.monotonic() - begun)))  # what is slow to look at takes time from the command

    def workers(self, name: str) -> list[psutil.Process]:
        """Processes of its Ray with a name such as ``TrainWorker``."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in family if name in " ".join(process.cmdline())]

    def end(self) -> tuple[int, str, str]:
        """Wait for its end: exit status, standard output and standard error."""
        out, err = self.process.communicate(timeout=500)
        return self.process.returncode, out, err

    def kill(self) -> tuple[int, str, str]:
        """Kill it, and all that it started: its workers would go on for some seconds."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        return self.end()


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
