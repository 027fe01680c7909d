"""Submit: any job on a running Ray cluster, through Ray's Jobs API, followed until its end."""

import re
import secrets
import shlex
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import tyro
from ray.dashboard.modules.job.pydantic_models import JobDetails
from ray.job_submission import JobStatus

from hwr.errors import InputError, ResourceError
from pipelines import _jobs_api, _probe, _sent, cli, console
from pipelines._follow import Follower, come_back
from pipelines._jobs_api import Jobs, brief

# How long a job may take to stop before it is killed: a training saves a checkpoint within a minute.
STOP_S = 75

# How often a job says how far it is while someone looks at it on a terminal, in seconds.
_SAYS_S = 2

_RUN = "python -m pipelines "


@dataclass(frozen=True)
class Config:
    """A job to run on a cluster, or one that runs there to be looked at, followed or stopped."""

    job: Annotated[
        tyro.conf.Positional[tuple[str, ...]],
        tyro.conf.arg(metavar="JOB FLAGS ...", help_behavior_hint="(after --)"),
    ] = ()
    """The job and its flags as without submit: hwr submit -- train --data s3://b/data --out s3://b/run. Paths must be
    the same on all machines of the cluster; those of s3:// and gs:// are."""
    address: cli.Text = None
    """URL of the cluster's dashboard: RAY_API_SERVER_ADDRESS, or http://127.0.0.1:8265, if it is not given."""
    status: Annotated[str | None, tyro.conf.arg(metavar="ID", help_behavior_hint="(optional)")] = None
    """Say how a job is that was submitted."""
    logs: Annotated[str | None, tyro.conf.arg(metavar="ID", help_behavior_hint="(optional)")] = None
    """Show what it has written, and follow it until it ends; the exit status is the job's."""
    stop: Annotated[str | None, tyro.conf.arg(metavar="ID", help_behavior_hint="(optional)")] = None
    """Stop it, and wait until it has: a training saves a checkpoint first."""


def run(config: Config) -> None:
    """Submit a job, or look after one.

    Raises:
        HwrError: The cluster cannot be reached, or cannot run the job.
        WrongFlagsError: The job has no such flags.
        Ended: The job failed or was stopped.
    """
    names = [name for name in (config.status, config.logs, config.stop) if name is not None]
    if len(names) + bool(config.job) != 1:
        raise InputError("give a job and its flags after --, or one of --status, --logs and --stop with an ID")
    address = _jobs_api.address_of(config.address)
    if config.job:
        _submit(address, *config.job)
        return
    name = names[0]
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise InputError(f"{name} is not the ID of a job: hwr submit said it when it sent the job")
    jobs = _jobs_api.connect(address)
    if config.status is not None:
        _show(jobs.get_job_info(name), name)
    elif config.logs is not None:
        jobs.get_job_info(name)  # it says so now if there is none
        _follow(jobs, name)
    else:
        _stop(jobs, name)


def _submit(address: str, job: str, *words: str) -> None:
    if job == "submit":
        raise cli.WrongFlagsError(
            f"submit runs here, not on a cluster: choose one of {', '.join(one for one in cli.JOBS if one != job)}"
        )
    flags, locations = _sent.absolute(cli.parse(job, words), words)
    name = f"hwr-{job}-{datetime.now(UTC):%m%d-%H%M%S}-{secrets.token_hex(2)}"
    with _sent.package() as package:
        jobs = _jobs_api.connect(address)
        _probe.require(jobs, locations)
        console.milestone(f"{name} goes to the cluster at {jobs.get_address()}")
        _say_how(jobs, name)
        jobs.submit_job(
            entrypoint=f"{_RUN}{shlex.join([job, *flags])}",
            submission_id=name,
            runtime_env={"working_dir": str(package), "env_vars": _environment()},
        )
    _follow(jobs, name)


def _environment() -> dict[str, str]:
    """What the job should know of this side; the cluster reads the first one when it stops the job."""
    often = {console.PROGRESS_S: str(_SAYS_S)} if sys.stdout.isatty() else {}
    return {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_S), **often}


def _say_how(jobs: Jobs, name: str) -> None:
    for what, flag in (("see", "status"), ("follow", "logs"), ("stop", "stop")):
        console.milestone(f"  {what}: {come_back(jobs, flag, name)}")


def _follow(jobs: Jobs, name: str) -> None:
    """Show a job's log until it has ended, and end as it did.

    Raises:
        Ended: It failed or was stopped, or the user did not want to wait.
    """
    follower = Follower(jobs, name)
    while True:
        try:
            with console.relay() as show:
                info = follower.follow(show)
            break
        except KeyboardInterrupt:
            if not _is_to_stop():
                console.milestone(f"hwr submit: {name} goes on without this command", sys.stderr)
                _say_how(jobs, name)
                raise cli.Interrupted from None
            jobs.stop_job(name)
            console.milestone(f"stopping {name}: it has {STOP_S} s to save what is done")
    _end(info, name)


def _is_to_stop() -> bool:
    """Ask what an interruption means; where no one can answer, or is in a hurry, the job goes on."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    try:
        while (answer := input("\ndetach or stop? [d/s] ").strip().lower()[:1]) not in {"d", "s"}:
            pass
    except (EOFError, KeyboardInterrupt):
        print()
        return False
    return answer == "s"


def _end(info: JobDetails, name: str) -> None:
    if info.status == JobStatus.SUCCEEDED:
        console.milestone(f"{name} succeeded after {_took(info)}")
        return
    if info.status == JobStatus.STOPPED:
        console.milestone(f"hwr submit: {name} was stopped after {_took(info)}", sys.stderr)
        raise cli.Ended(130)
    code = info.driver_exit_code or 0
    why = f"exit status {code}; what it said stands above" if code > 0 else brief(info)
    console.milestone(f"hwr submit: {name} failed after {_took(info)}: {why}", sys.stderr)
    raise cli.Ended(code if code > 0 else 1)


def _show(info: JobDetails, name: str) -> None:
    started = datetime.fromtimestamp((info.start_time or 0) / 1000).astimezone()
    rows = [
        ("state", info.status.value),
        ("job", info.entrypoint.removeprefix(_RUN)),
        ("started", f"{started:%Y-%m-%d %H:%M:%S %Z}"),
        ("took" if info.status.is_terminal() else "since", _took(info)),
        ("message", brief(info)),
    ]
    console.table(name, rows)


def _took(info: JobDetails) -> str:
    begun = (info.start_time or 0) / 1000
    seconds = round((info.end_time / 1000 if info.end_time else time.time()) - begun)
    minutes, seconds = divmod(max(seconds, 0), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _stop(jobs: Jobs, name: str) -> None:
    """Stop a job, and wait until it has.

    Raises:
        ResourceError: It has not.
    """
    info = jobs.get_job_info(name)
    if info.status.is_terminal():
        console.milestone(f"{name} had ended already: {info.status.value.lower()} after {_took(info)}")
        return
    jobs.stop_job(name)
    console.milestone(f"stopping {name}: it has {STOP_S} s to save what is done")
    info = _jobs_api.wait(jobs, name, STOP_S + 30)
    if not info.status.is_terminal():
        raise ResourceError(f"{name} has not stopped within {STOP_S + 30} s: {brief(info)}; try again")
    console.milestone(f"{name}: {info.status.value.lower()} after {_took(info)}")


if __name__ == "__main__":
    sys.exit(cli.main(["submit", *sys.argv[1:]]))
