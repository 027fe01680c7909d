"""The Jobs API of a running cluster: Ray's own client, with waits that end and errors of one line."""

import http.client
import json
import logging
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ray.dashboard.modules.job.pydantic_models import JobDetails
from ray.exceptions import AuthenticationError
from ray.job_submission import JobStatus, JobSubmissionClient

from hwr.errors import HwrError, InputError, ResourceError, one_line
from pipelines import console

# Ray's client tells of every upload and connection.
for _module in ("dashboard_sdk", "job.sdk"):
    logging.getLogger(f"ray.dashboard.modules.{_module}").setLevel(logging.ERROR)

ADDRESS = "RAY_API_SERVER_ADDRESS"
_LOCAL = "http://127.0.0.1:8265"

# How long a connection, and an answer, may take. A package is handed on before its upload is answered.
_CONNECT_S, _ANSWER_S = 5.0, 60.0

# A job starts within seconds. One that does not is worth a word after so long, and again from time to time.
_PENDING_S = 10.0

# Between two looks at a job.
_LOOK_S = 0.3

# Where Ray has the token of a cluster. One that it generates stands in a file of this name on the head.
_TOKEN = "~/.ray/auth_token"  # noqa: S105 - a path


class UnreachableError(ResourceError):
    """The cluster does not answer, perhaps only for now."""


class Jobs(JobSubmissionClient):
    """Ray's client of one cluster, whose answer each request waits for only so long."""

    def __init__(self, address: str, headers: dict[str, str]) -> None:
        with _ray_address(address):
            super().__init__(address, headers=headers)
        # As the None that stands there means, which aiohttp deprecates.
        self._ssl_context = True  # type: ignore[assignment] # aiohttp takes either

    def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
        address = self.get_address()
        try:
            response = super()._do_request(method, endpoint, timeout=(_CONNECT_S, _ANSWER_S), **options)
        except AuthenticationError as error:
            raise ResourceError(f"{address} does not accept the token any more: {one_line(error)}") from error
        except OSError as error:  # as all are that requests raises
            raise UnreachableError(f"{address} does not answer: {_reason(error)}") from error
        if response.status_code == 404 and endpoint.startswith("/api/jobs/"):
            raise InputError(f"{address} has no job {endpoint.split('/')[3]}: see ray job list, or its dashboard")
        if response.status_code in {502, 503, 504} or (response.status_code >= 500 and method == "GET"):
            raise UnreachableError(f"{address} answers with an error: {_brief(response.text)}")
        return response

    def _raise_error(self, r: Any) -> NoReturn:
        raise HwrError(f"{self.get_address()} refuses: {_brief(r.text)}")


def address_of(given: str | None) -> str:
    """The cluster that a user means: the flag, or Ray's own variable, or this machine's."""
    return (given or os.environ.get(ADDRESS) or _LOCAL).rstrip("/")


def connect(address: str) -> Jobs:
    """Reach a cluster, with the token if it asks for one.

    Raises:
        InputError: The address is not a URL.
        ResourceError: Nothing answers, or no Ray dashboard does, or it wants another token.
    """
    if not _is_url(address):
        raise InputError(f"--address {address} is not the URL of a Ray dashboard: write http://HOST:8265")
    # An empty header keeps Ray's client from looking for a token where no one asks for it.
    headers = {"Authorization": ""}
    status, body = _version(address, headers)
    if status == 401:
        token, place = _token(address)
        headers = {"Authorization": f"Bearer {token}"}
        status, body = _version(address, headers)
        if status in {401, 403}:
            raise ResourceError(
                f"{address} does not accept the token of {place}: copy {_TOKEN} from the cluster's head there"
            )
    try:
        json.loads(body)["ray_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ResourceError(
            f"{address} answers, but is no Ray dashboard (status {status}): that has port 8265 unless told otherwise"
        ) from error
    return Jobs(address, headers)


def wait(jobs: Jobs, name: str, seconds: float = float("inf")) -> JobDetails:
    """Wait until a job has ended, and say now and then why it has not begun.

    Args:
        jobs: The cluster.
        name: The job.
        seconds: How long to wait.

    Returns:
        What is known of it in the end.
    """
    patience, last = Patience(), time.monotonic() + seconds
    while not (info := jobs.get_job_info(name)).status.is_terminal() and time.monotonic() < last:
        patience.say(info)
        time.sleep(_LOOK_S)
    return info


class Patience:
    """Says why a job has not begun."""

    def __init__(self) -> None:
        self.told = time.monotonic()
        self.pause = _PENDING_S

    def say(self, info: JobDetails) -> None:
        """Say it if the job waits, and has waited for long since the last time."""
        if info.status == JobStatus.PENDING and time.monotonic() - self.told > self.pause:
            self.told, self.pause = time.monotonic(), min(2 * self.pause, 60)
            console.milestone(f"{info.submission_id} has not begun: {brief(info)}")


def brief(info: JobDetails) -> str:
    """What the cluster says of a job's state, as one line; the log that it repeats there is left out."""
    return _brief((info.message or "").partition(", last available logs")[0])


def _is_url(address: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(address)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or too large
        return False


@contextmanager
def _ray_address(address: str) -> Iterator[None]:
    """Ray's client lets its variables go before what it is given: here they say the same for a moment."""
    before = os.environ.get(ADDRESS)
    os.environ[ADDRESS] = address
    try:
        yield
    finally:
        del os.environ[ADDRESS]
        if before is not None:
            os.environ[ADDRESS] = before


def _version(address: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Ask for Ray's version: status and body of the answer, which any web server may have given."""
    request = urllib.request.Request(f"{address}/api/version", headers=headers)  # noqa: S310 - http, as connect sees to
    try:
        with urllib.request.urlopen(request, timeout=_CONNECT_S) as answer:  # noqa: S310
            return answer.status, answer.read(1 << 16)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""
    except (http.client.HTTPException, ConnectionResetError, ValueError):
        return 0, b""
    except OSError as error:
        raise ResourceError(
            f"no Ray cluster answers at {address}: {_reason(error)}; is it running, and the way to it open?"
        ) from error


def _token(address: str) -> tuple[str, str]:
    """The token, and where it stands, from the places where Ray itself looks for it, in its order."""
    token, place = os.environ.get("RAY_AUTH_TOKEN", "").strip(), "RAY_AUTH_TOKEN"
    if not token:
        place = os.environ.get("RAY_AUTH_TOKEN_PATH") or _TOKEN
        try:
            token = Path(place).expanduser().read_text().strip()
        except (OSError, UnicodeError):
            token = ""
    if token and not re.fullmatch(r"[!-~]+", token):
        raise ResourceError(
            f"what stands in {place} is no token, which has no spaces, line ends or letters like ä in it"
        )
    if not token:
        raise ResourceError(
            f"{address} asks for a token, and there is none in {place}: copy {_TOKEN} from the cluster's head there"
        )
    return token, place


def _reason(error: OSError) -> str:
    """Why a connection failed, without the objects that the libraries in between name."""
    inner: Exception = error
    while deeper := [one for one in (getattr(inner, "reason", None), *inner.args) if isinstance(one, Exception)]:
        inner = deeper[0]
    said = one_line(inner)
    return re.sub(r"\[Errno -?\d+\] ", "", said).rpartition(": ")[2]


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:150]} … {line[-150:]}"
