"""The one place that starts and quiets Ray, and that puts its errors into one line."""

import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, redirect_stderr, suppress
from typing import Any

# Ray reads these when it is imported. Its own progress bars and logs would bury a job's milestones; the poll decides
# how soon it is seen that training workers have ended (two seconds by default), and takes time from them.
os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("RAY_DATA_LOG_LEVEL", "CRITICAL")
os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# A machine that is busy with something else takes more than half a minute, Ray's own limit, to start it.
os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")
# Threads of a worker that wait for each other sleep instead of spinning: on a machine with other work beside it, Ray's
# own included, training is up to ten times as fast that way.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# glibc gives each thread an arena, and workers have many threads: what they have freed would add up to half a gigabyte.
os.environ.setdefault("MALLOC_ARENA_MAX", "2")

import psutil
import ray

from hwr.errors import HwrError, ResourceError

# Workers on other machines do not inherit these from this process.
_FOR_WORKERS = ("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "OMP_WAIT_POLICY", "MALLOC_ARENA_MAX")

# The process's own standard error, whatever Python calls so.
_STDERR = 2

# Ray takes seconds to start: a command does its own work meanwhile.
_BESIDE = ThreadPoolExecutor(1, "ray")


class _Own:
    """What this process has of a Ray that it started, or joined, itself: nothing where one ran before."""

    commands = 0  # that need it, one within another
    start: Future[None] | None = None


@contextmanager
def session() -> Iterator[None]:
    """Join the cluster at ``RAY_ADDRESS``, or start Ray on this machine, while the command begins; leave it at its end.

    A command within a command shares the Ray of the outer one.
    """
    _Own.commands += 1
    try:
        if _Own.commands > 1 or ray.is_initialized():
            yield
            return
        with _stderr_kept_open():
            _Own.start = _BESIDE.submit(_start)
            yield
    finally:
        _Own.commands -= 1
        if not _Own.commands and _Own.start:
            wait([_Own.start])
            _Own.start = None
            ray.shutdown()


def end_process(status: int) -> None:
    """End this process together with the Ray that it has started, or is starting, on this machine.

    A start cannot be broken off, and a stop takes seconds in which nothing is left to be saved. Returns where there is
    no such Ray: a cluster is left as it should be.
    """
    if _Own.start and not os.environ.get("RAY_ADDRESS"):
        sys.stdout.flush()
        sys.stderr.flush()
        # The raylet last: this process might end by itself, with another status, once it misses that.
        for process in reversed(psutil.Process().children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        os._exit(status)


def wait_until_started() -> None:
    """Wait until Ray is there.

    Raises:
        ResourceError: There is no cluster at the address, or Ray cannot start here.
    """
    if _Own.start:
        _Own.start.result()
        if threading.current_thread() is threading.main_thread():
            # Ray's own handler prints a stack trace; a stop should end like Ctrl-C, with one line.
            signal.signal(signal.SIGTERM, signal.default_int_handler)


def _start() -> None:
    import ray.data  # noqa: PLC0415 - a second's work that can be done here, beside the command's own

    address = os.environ.get("RAY_ADDRESS")
    if address:
        _answers(address)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        with _core_kept_quiet():
            if address:
                ray.init(address, runtime_env={"env_vars": {name: os.environ[name] for name in _FOR_WORKERS}}, **quiet)
            else:
                # No one takes this machine away with a warning; to watch for that would be one more process.
                os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
                ray.init("local", include_dashboard=False, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        hint = "; if it asks for a token, set RAY_AUTH_MODE=token and bring its ~/.ray/auth_token" if address else ""
        raise ResourceError(f"cannot start or join Ray at {address or 'this machine'}: {cause(error)}{hint}") from error


def _answers(address: str) -> None:
    """Check that something listens at HOST:PORT, since Ray itself would try for minutes.

    Raises:
        ResourceError: Nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return  # "auto" and its like, which Ray resolves at once
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise ResourceError(f"no Ray cluster answers at RAY_ADDRESS={address}: {error}") from error


@contextmanager
def _stderr_kept_open() -> Iterator[None]:
    """Let Python's standard error reach the user's screen also while `_core_kept_quiet` turns the process's off."""
    if sys.stderr is not sys.__stderr__:
        yield  # it goes elsewhere
        return
    with open(os.dup(_STDERR), "w", buffering=1, errors="backslashreplace") as screen, redirect_stderr(screen):
        yield


@contextmanager
def _core_kept_quiet() -> Iterator[None]:
    """Keep what Ray's C++ core writes past Python's streams off the user's screen.

    The core of this process reads its log level once, as it starts, and greets on standard error when the level is
    set; so both are arranged around that moment only. Errors still arrive as exceptions, and in Ray's own log files.
    """
    screen = os.dup(_STDERR)
    os.environ["RAY_BACKEND_LOG_LEVEL"] = "fatal"
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), _STDERR)
        yield
    finally:
        os.dup2(screen, _STDERR)
        os.close(screen)
        del os.environ["RAY_BACKEND_LOG_LEVEL"]


def cause(error: BaseException) -> str:
    """What went wrong on a worker, as one line, out of the tracebacks that Ray nests into its own errors' text.

    Python prints the innermost error of a chain first. Of ours the message is enough; others keep their type.
    """
    raised = re.findall(r"^\s*((?:\w+\.)+[A-Z]\w+|\w+(?:Error|Exception)): (.+)$", str(error), re.MULTILINE)
    ours = [text for name, text in raised if name.startswith(HwrError.__module__)]
    text = next(iter([*ours, *(f"{name}: {text}" for name, text in raised)]), " ".join(str(error).split()))
    return text if len(text) <= 300 else f"{text[:300]}…"
