"""A look at a cluster from within, before a job goes there: its folders, and what is installed."""

import inspect
import json
import re
import shlex
import sys
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from hwr.errors import HwrError, ResourceError
from pipelines import console
from pipelines._jobs_api import Jobs, UnreachableError, brief, wait

# The oldest Python that runs hwr.
_PYTHON = (3, 11)

# Ray watches a job for some seconds after its end, and would list one anew, as failed, that is taken away meanwhile.
_SETTLED_S = 4.0

_ASKED, _MARK = "HWR_ASKED", "hwr found: "


@dataclass(frozen=True)
class Location:
    """One value of a flag that is a path.

    Attributes:
        flag: The flag, with its dashes.
        path: An absolute path.
        is_output: Whether the job writes there.
    """

    flag: str
    path: str
    is_output: bool


def wrong(location: dict[str, Any]) -> str | None:
    """What keeps a job from reading, or making, what a flag names on the machine that this runs on.

    Args:
        location: `Location` in JSON.
    """
    import os  # noqa: PLC0415 - what it needs goes with it

    path = above = location["path"]
    if not location["is_output"]:
        if not os.path.exists(path):
            return f"{path} is not there"
        return None if os.access(path, os.R_OK) else f"{path} may not be read"
    if os.path.isfile(path):
        above = os.path.dirname(path)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        return f"{path} cannot be made: {above} is not a folder"
    return None if os.access(above, os.W_OK | os.X_OK) else f"{path} cannot be made: {above} may not be written"


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """Look at the machine that this runs on; it is sent there as text, where neither hwr nor Ray need be.

    Args:
        asked: ``locations``, as `Location` in JSON, and ``needed``, names of distributions.

    Returns:
        ``wrong``, a pair of flag and what is wrong with its path, for each that is not usable; ``missing``, which
        distributions are not there; ``python``, the two numbers of its version.
    """
    import sys  # noqa: PLC0415
    from importlib import metadata  # noqa: PLC0415

    missing = []
    for name in asked["needed"]:
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    found = [(location["flag"], wrong(location)) for location in asked["locations"]]
    return {"wrong": [one for one in found if one[1]], "missing": missing, "python": sys.version_info[:2]}


def require(jobs: Jobs, locations: list[Location]) -> None:
    """Check that a cluster has what a job needs.

    Raises:
        ResourceError: It does not see a path, or lacks a package.
    """
    found = _asked(jobs, {"locations": [asdict(one) for one in locations], "needed": needed()})
    address = jobs.get_address()
    if found["wrong"]:
        what = "; ".join(f"{flag} {what}" for flag, what in found["wrong"])
        raise ResourceError(
            f"on the cluster at {address}, {what}: name a place that all its machines share, or an s3:// or gs:// one"
        )
    if found["missing"]:
        raise ResourceError(
            f"the cluster at {address} lacks {', '.join(found['missing'])}: use an image, or an environment, in which "
            "hwr is installed"
        )
    there, here = tuple(found["python"]), sys.version_info[:2]
    if there < _PYTHON:
        raise ResourceError(
            f"the cluster at {address} runs Python {_dotted(there)}, and hwr needs {_dotted(_PYTHON)} or newer"
        )
    if there != here:
        console.milestone(f"the cluster runs Python {_dotted(there)}, this machine {_dotted(here)}")


def needed() -> list[str]:
    """The distributions that hwr cannot do without; none where it is not installed as one itself."""
    try:
        required = metadata.requires("hwr") or []
    except metadata.PackageNotFoundError:
        return []
    return [re.match(r"[\w.-]+", one).group() for one in required if "extra ==" not in one]  # type: ignore[union-attr] # each begins with a name


def program() -> str:
    """`look` as a program of its own."""
    parts = (inspect.getsource(part) for part in (wrong, look))
    answer = f"print({_MARK!r} + json.dumps(look(json.loads(os.environ[{_ASKED!r}]))))"
    return "\n\n".join(["from __future__ import annotations", "import json, os", *parts, answer])


def _asked(jobs: Jobs, asked: dict[str, Any]) -> dict[str, Any]:
    """Send the look as a job of its own, and take its entry out of the cluster's list again."""
    name = f"hwr-look-{uuid.uuid4().hex[:8]}"
    jobs.submit_job(
        entrypoint=f"python -c {shlex.quote(program())}",
        submission_id=name,
        runtime_env={"env_vars": {_ASKED: json.dumps(asked)}},
    )
    try:
        info = wait(jobs, name)
        log = jobs.get_job_logs(name)
        found = [line.removeprefix(_MARK) for line in log.splitlines() if line.startswith(_MARK)]
        if not found:
            said = (log.split("\n") if info.driver_exit_code else [])[-2:]
            raise HwrError(f"the cluster at {jobs.get_address()} ran no look at itself: {brief(info)} {' '.join(said)}")
        return json.loads(found[-1])  # type: ignore[no-any-return] # as look returns it
    finally:
        _forget(jobs, name)


def _forget(jobs: Jobs, name: str) -> None:
    """Take a job out of the cluster's list, beside whatever else is done: Ray is not ready for it at once."""

    def work() -> None:
        try:
            if not jobs.get_job_info(name).status.is_terminal():
                jobs.stop_job(name)
                wait(jobs, name, 10)
            time.sleep(_SETTLED_S)
            jobs.delete_job(name)
        except UnreachableError:
            return  # whoever follows the job hears of it; an entry that stays is no trouble
        except HwrError as error:
            console.milestone(f"{name}, which only looked, stays in the cluster's list: {error}")

    threading.Thread(target=work).start()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
