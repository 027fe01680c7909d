"""Whole processes, timed and weighed one after the other; figures are told as ratios within one run."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

EVERY = 0.25  # seconds between two looks at the memory


@dataclass(frozen=True)
class Cost:
    """What one command took.

    Attributes:
        seconds: From its start to its end.
        bytes: The most memory that it and all its children held at one time; what they share counts once.
    """

    seconds: float
    bytes: int


def cost(words: Sequence[object]) -> Cost:
    """Run Python with these words, in the root of the project, and watch it.

    Raises:
        RuntimeError: It failed.
    """
    root = Path(__file__).parents[2]
    start, most = time.perf_counter(), 0
    process = subprocess.Popen([sys.executable, *map(str, words)], cwd=root, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        most = max(most, _memory(process.pid))
        time.sleep(EVERY)
    if process.returncode:
        raise RuntimeError(f"{words} ended with {process.returncode}")
    return Cost(time.perf_counter() - start, most)


def best(runs: Sequence[Cost]) -> Cost:
    """The shortest time and the largest memory of several runs: a busy machine only makes a command slower."""
    return Cost(min(run.seconds for run in runs), max(run.bytes for run in runs))


def _memory(pid: int) -> int:
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for one in family:
        try:
            total += one.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it has just ended
    return total
