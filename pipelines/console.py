"""What a person sees of a running job: milestones, and progress where there is a terminal to draw it on."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table


def milestone(text: str, stream: TextIO | None = None) -> None:
    """Print one line that stays, at once, with terminal control characters made harmless; on standard output."""
    print("".join(c if c.isprintable() else "?" for c in text), file=stream, flush=True)


def heading(text: str) -> None:
    """Print a line with an empty one above it."""
    print()
    milestone(text)


def table(title: str, rows: list[tuple[str, str]]) -> None:
    """Print a short table of names and values."""
    drawn = Table(title=title, title_justify="left", show_header=False)
    for row in rows:
        drawn.add_row(*row)
    Console(soft_wrap=True).print(drawn, markup=False)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """A bar with count and time left on a terminal; elsewhere nothing, since milestones tell the story there.

    Args:
        what: What one step is, in the plural.
        total: How many steps there are.

    Yields:
        A function to call with the number of steps done since the last call and a short note (may be empty).
    """
    if not sys.stdout.isatty():
        yield lambda _steps, _note: None
        return
    columns = (
        BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), TextColumn("left:"),
        TimeRemainingColumn(), TextColumn("{task.fields[note]}", markup=False),
    )  # fmt: skip
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task(what, total=total, note="")

        def advance(steps: int, note: str) -> None:
            bar.update(task, advance=steps, note=note)

        yield advance
