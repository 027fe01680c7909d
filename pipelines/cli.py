"""The command line. One job is one module with a ``Config`` and a ``run(Config)``; only the chosen one is imported."""

import contextlib
import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Annotated, Any

import tyro

import hwr
from hwr.errors import HwrError
from pipelines import console

JOBS = {
    "demo": "all four jobs on handwriting that ships with scikit-learn",
    "fetch": "the official MNIST or EMNIST files from the network to a folder",
    "ingest": "raw files to a samples folder: Parquet shards, split, rejects kept",
    "train": "samples to a run: a trained model with its card and history",
    "label": "images and a run to predictions: exactly one row an image",
    "evaluate": "predictions to a report: report.html, report.json, pictures",
    "export": "a model to one file for other programs: ONNX, torch.export, HDF5",
    "submit": "any job, with its flags, on a running Ray cluster",
}

# Ray starts while these are read and checked.
ON_RAY = ("demo", "ingest", "train", "label")


class Place(Enum):
    """Marks a flag as a location, for whoever runs a job on other machines than the one where its flags are given."""

    INPUT = "read"
    MODEL = "read, or the name of a model that ships"
    OUTPUT = "written"
    SERVER = "asked by the job, from where it runs"


Input = Annotated[str, Place.INPUT]
Output = Annotated[str, Place.OUTPUT]

# Flags that may be left out: help shows what they take, not Python's None.
Text = Annotated[str | None, tyro.conf.arg(metavar="TEXT", help_behavior_hint="(optional)")]
Count = Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="(optional)")]
Share = Annotated[float | None, tyro.conf.arg(metavar="SHARE", help_behavior_hint="(optional)")]

INTERRUPTED = "interrupted; what is done is kept, and the same command goes on from there"

USAGE = (
    "usage: hwr JOB [flags]     (python -m pipelines is the same)\n\n"
    + "\n".join(f"  {name:<9} {text}" for name, text in JOBS.items())
    + "\n\nhwr JOB --help lists the flags of a job; hwr --version prints the version."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after ``hwr``; those of this process by default.

    Returns:
        The exit status: 0 done, 1 a mistake or failure (one line on stderr), 2 wrong flags, 130 interrupted.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stop ends like Ctrl-C, with one line
    _open_streams()
    job, *words = [*(sys.argv[1:] if argv is None else argv)] or ["--help"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show must not end a job
    try:
        with _beside_ray(job, words) as end_process:
            status = _said(job, *_outcome(job, words))
            if argv is None:
                end_process(status)
            return status
    except KeyboardInterrupt:  # while Ray was starting or stopping
        return _said(job, 130, INTERRUPTED)


def _open_streams() -> None:
    """Stand in for an output stream that was closed before this process began: Python has none for it then.

    Its number is taken too, so that no file that is opened later gets what is written past Python's streams.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere < number:
                os.dup2(nowhere, number)
            setattr(sys, name, open(nowhere, "w"))  # noqa: SIM115 - for as long as the process lives


def _said(job: str, status: int, line: str) -> int:
    if line:
        console.milestone(f"hwr {job}: {line}", sys.stderr)
    return status


@contextlib.contextmanager
def _beside_ray(job: str, words: Sequence[str]) -> Iterator[Callable[[int], None]]:
    """Start Ray where it will be needed; help needs none. Gives a way to end the process without waiting for Ray."""
    if job not in ON_RAY or {"-h", "--help"} & set(words):
        yield lambda _: None
        return
    from pipelines import _ray  # noqa: PLC0415 - only the chosen job is imported, and Ray is large

    with _ray.session():
        yield _ray.end_process


def _outcome(job: str, words: Sequence[str]) -> tuple[int, str]:
    """Run a command: its exit status, and what to say of it."""
    try:
        os.getcwd()  # raises where it is gone; libraries would say so less clearly, or end the process
        _run(job, words)
    except WrongFlagsError as error:
        return 2, str(error)
    except KeyboardInterrupt:
        return 130, INTERRUPTED
    except Ended as end:
        return end.status, ""
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our output has gone
        return 1, ""
    except (HwrError, OSError, UnicodeError) as error:  # a disk, a network or a name that fails needs no traceback
        return 1, _reason(error)
    return 0, ""


def _reason(error: Exception) -> str:
    try:
        os.getcwd()
    except FileNotFoundError:
        return "the folder in which this command runs was taken away: give it again, in one that stays"
    return str(error)


def _run(job: str, words: Sequence[str]) -> None:
    if job in ("-h", "--help", "--version"):
        print(hwr.__version__ if job == "--version" else USAGE, flush=True)
        return
    config = parse(job, words)
    importlib.import_module(f"pipelines.{job}").run(config)


class Ended(Exception):  # noqa: N818 - not always an error
    """A command has ended and has said all there is to say; ``status`` is its exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Interrupted(Ended):
    """A command within this one was interrupted and has said so."""

    def __init__(self) -> None:
        super().__init__(130)


class WrongFlagsError(Exception):
    """What is wrong with the words of a command, as one line."""


def parse(job: str, words: Sequence[str]) -> Any:
    """Check the words of a command: the job's ``Config`` that they make.

    Raises:
        WrongFlagsError: There is no such job, or it has no such flags.
    """
    if job not in JOBS:
        raise WrongFlagsError(f"there is no such job: choose one of {', '.join(JOBS)}")
    config = importlib.import_module(f"pipelines.{job}").Config
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(config, prog=f"hwr {job}", args=list(words), description=JOBS[job])
    except SystemExit as stop:
        if stop.code != 2:
            raise
        raise WrongFlagsError(f"{_one_line(said.getvalue())} (see hwr {job} --help)") from None


def _one_line(box: str) -> str:
    """What the box says that tyro draws around its errors, with its suggestion but without the help texts."""
    sections: list[list[str]] = [[]]
    for line in box.splitlines():
        inside = line[2:].rstrip(" │")
        if line[:1] in ("╭", "╰", "") or set(inside) <= {"─", "-"}:
            sections.append([])
        elif not inside.startswith(" " * 8):  # help texts are indented twice
            sections[-1].append(inside.strip())
    sections = [lines for lines in sections if lines]
    # On a terminal without box characters the title is a section of its own instead of a part of the frame.
    message = " ".join(sections[0 if box.startswith("╭") else 1])
    meant = next((lines[1:] for lines in sections if lines[:1] == ["Perhaps you meant:"]), [])
    return "; perhaps you meant ".join([message, *(flag.split()[0] for flag in meant[:1])])
