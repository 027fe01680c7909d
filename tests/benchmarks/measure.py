"""Whole processes, timed and weighed one after the other; figures are told as ratios within one run."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
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
    """Run Python with these words, in the root of the project, and watch its time and memory.

    Raises:
        RuntimeError: It failed.
    """
    sizes = [0]
    seconds = watch(words, lambda pid: sizes.append(_memory(pid)))
    return Cost(seconds, max(sizes))


def watch(words: Sequence[object], look: Callable[[int], object] = lambda pid: pid) -> float:
    """Run Python with these words, in the root of the project; look at the process now and then.

    Returns:
        Seconds from its start to its end.

    Raises:
        RuntimeError: It failed.
    """
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *map(str, words)], cwd=ROOT, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        look(process.pid)
        time.sleep(EVERY)
    if process.returncode:
        raise RuntimeError(f"{words} ended with {process.returncode}")
    return time.perf_counter() - start


def said(words: Sequence[object], python: str = sys.executable) -> Any:
    """Run an interpreter with these words, in the root of the project, and take the first line that it prints, as JSON.

    Raises:
        RuntimeError: It failed.
    """
    done = subprocess.run([python, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{words} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[0])


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
