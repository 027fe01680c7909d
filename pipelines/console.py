"""What a person sees of a running job: milestones, and how far it is."""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from hwr.errors import InputError

# Where there is no terminal, such as in the log of a job on a cluster, a line says so often how far it is: once a
# minute, unless this variable has another number of seconds.
PROGRESS_S = "HWR_PROGRESS_S"
_LOG_S = 60.0
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_PROGRESS = re.compile(r"[\d,]+ of [\d,]+ \S+, [\d,.]+/s")


class Advance(Protocol):
    """Takes what was done since it was last told."""

    def __call__(self, steps: int, note: str, *, is_work: bool = True) -> None:
        """Show it.

        Args:
            steps: How many steps.
            note: How it goes; may be empty.
            is_work: False if they were done before, by a run that this one goes on from: the speed is that of the
                steps from here on.
        """


def milestone(text: str, stream: TextIO | None = None) -> None:
    """Print one line that stays, at once, with terminal control characters made harmless; on standard output."""
    # The end goes with it: another thread may say something in between.
    print(f"{_harmless(text)}\n", end="", file=stream, flush=True)


def _harmless(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in _COLOUR.sub("", text))


def heading(text: str) -> None:
    """Print a line with an empty one above it."""
    print()
    milestone(text)


def table(title: str, rows: list[tuple[str, str]]) -> None:
    """Print a short table of names and values."""
    drawn = Table(title=title, title_justify="left", show_header=False)
    for row in rows:
        drawn.add_row(*row)
    _terminal().print(drawn, markup=False)


@contextmanager
def progress(what: str, total: int) -> Iterator[Advance]:
    """On a terminal a bar with count, rate and time left; elsewhere a line of the same about once a minute.

    Args:
        what: What one step is, in the plural.
        total: How many steps there are.

    Yields:
        A function to call with the number of steps done since the last call.
    """
    if not sys.stdout.isatty():
        yield _Log(what, total)
        return
    columns = (
        BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), _Rate(), TimeElapsedColumn(),
        TextColumn("left:"), TimeRemainingColumn(), TextColumn("{task.fields[note]}", markup=False),
    )  # fmt: skip
    with Progress(*columns, transient=True, console=_terminal()) as bar:
        task = bar.add_task(what, total=total, note="")

        def advance(steps: int, note: str, *, is_work: bool = True) -> None:
            bar.update(task, advance=steps, note=note)
            if not is_work:
                bar.reset(task, completed=int(bar.tasks[task].completed))

        yield advance


@contextmanager
def relay() -> Iterator[Callable[[str], None]]:
    """Pass on what a job elsewhere writes: as it comes, but on a terminal its progress is one last line that changes.

    Yields:
        A function to call with each line.
    """
    if not sys.stdout.isatty():
        yield milestone
        return
    with Live(transient=True, auto_refresh=False, console=_terminal()) as last:

        def show(line: str) -> None:
            if _PROGRESS.match(line):
                last.update(Text(_harmless(line), no_wrap=True, overflow="ellipsis"), refresh=True)
            else:
                milestone(line)

        yield show


def _terminal() -> Console:
    """One that leaves it to the terminal where long lines break, so that they can be copied whole."""
    return Console(soft_wrap=True)


class _Rate(ProgressColumn):
    """Steps a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{_short(task.speed)}/s" if task.speed else "")


def _pause() -> float:
    """How many seconds to leave between two lines of progress.

    Raises:
        InputError: The variable for it holds no such number.
    """
    said = os.environ.get(PROGRESS_S) or _LOG_S
    with suppress(ValueError):
        if (seconds := float(said)) >= 0:
            return seconds
    raise InputError(f"{PROGRESS_S}={said} is not a number of seconds")


class _Log:
    """Progress as lines."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.done, self.worked = what, total, 0, 0
        self.begun = self.told = time.monotonic()
        self.pause = _pause()

    def __call__(self, steps: int, note: str, *, is_work: bool = True) -> None:
        now = time.monotonic()
        self.done += steps
        if not is_work:
            self.begun, self.told, self.worked = now, now, 0
            return
        self.worked += steps
        if now - self.told < self.pause:
            return
        self.told = now
        rate = self.worked / (now - self.begun) if self.worked else 0
        left = f", {(self.total - self.done) / rate:,.0f} s left" if rate else ""
        noted = f": {note}" if note else ""
        milestone(f"{self.done:,} of {self.total:,} {self.what}, {_short(rate)}/s{left}{noted}")


def _short(rate: float) -> str:
    """A rate in as many digits as mean something: less than one a second is not nothing."""
    return f"{rate:,.0f}" if rate >= 9.5 else f"{rate:.1f}"
