"""What is special about object stores such as S3: how they are opened, and what their errors mean."""

import re

import pyarrow as pa
import pyarrow.fs as pafs

from hwr.errors import InputError, StorageError, one_line

_FLAT = ("s3", "gcs", "abfs")
_BUCKETS = ("s3", "gs", "gcs")
_SECRET = re.compile(r"://[^/?#@]*:[^/?#@]*@")
_FAILURE = re.compile(r"AWS Error (\w+)(?: \(HTTP status (\d+)\))? during \w+ operation: (.*)", re.DOTALL)
# Google's and Azure's words are good enough as they are, up to what only a developer reads.
_OTHER = re.compile(r"google::cloud::Status\((\w+): (.*?)(?: error_info=|\)?$)|Azure Error: \[(\w*)\] (.*)", re.DOTALL)
_DENIED = re.compile(r"ACCESS_DENIED|ACCESS_KEY|SIGNATURE|TOKEN|CREDENTIALS|CLIENT")
_ELSEWHERE = ("301", "400")  # of a bucket in another region; without a body, nothing else is said


def open_uri(location: str) -> tuple[pafs.FileSystem, str]:
    """The file system that a URI names, and the path there.

    Credentials come from the environment, a profile or the machine's role: what is in a URI would be written into
    every ``config.json``, and shown in lists of jobs and processes.

    Raises:
        InputError: The URI has credentials in it, or names no file system that pyarrow knows.
        StorageError: The bucket's region cannot be asked for.
    """
    refuse_secrets(location)
    scheme, _, rest = location.partition("://")
    # A small file is then sent by one request instead of three.
    options = f"{'&' if '?' in rest else '?'}allow_delayed_open=true" if scheme == "s3" else ""
    try:
        return pafs.FileSystem.from_uri(location + options)  # type: ignore[no-any-return] # pyarrow does not type it
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        check(error, location)
        raise InputError(f"{location} is not a location that can be opened: {one_line(error)}") from error


def refuse_secrets(location: str) -> None:
    """Check that a URI has no credentials in it; nothing is opened.

    Raises:
        InputError: It has.
    """
    scheme, _, rest = location.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    has_key = "@" in host and (scheme in _BUCKETS or ":" in host.rpartition("@")[0])
    if has_key or _SECRET.search(location) or (scheme in _BUCKETS and ":" in host):
        raise InputError(
            f"a {scheme}:// URI has credentials in it, which would be written down wherever it is named: set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a profile or a role, and leave them out of the URI"
        )


def has_folders(fs: pafs.FileSystem) -> bool:
    """Whether a folder must be made before files are written into it; object stores know only names."""
    return fs.type_name not in _FLAT


def check(error: BaseException, name: str) -> None:
    """Raise anew, in plain words, what an object store could not or would not do.

    Args:
        error: What pyarrow raised.
        name: What was asked for, as the user would write it.

    Raises:
        StorageError: The store does not answer, does not allow it, or has no such bucket. Other errors are left alone.
    """
    found = _FAILURE.search(str(error))
    if found:
        raise StorageError(f"{name}: {_meaning(*found.groups(''))}") from error
    other = _OTHER.search(str(error))
    if other:
        said = ": ".join(" ".join(part.split()) for part in other.groups() if part)
        raise StorageError(f"{name}: the object store failed ({said}); the same command goes on") from error


def _meaning(code: str, status: str, detail: str) -> str:
    said = " ".join(detail.split())
    if code == "NETWORK_CONNECTION":
        why = said.rpartition("Details: ")[2]
        return (
            f"the object store does not answer ({why}): check AWS_ENDPOINT_URL or ?endpoint_override=, and the network"
        )
    if code == "NO_SUCH_BUCKET":
        return "there is no such bucket: make it first, or mend the name"
    if status in _ELSEWHERE:
        return f"the object store answers {status}: name the bucket's own region with ?region=, or renew a token"
    if _DENIED.search(code):
        return (
            f"access is denied ({code}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role with "
            "leave to list, get, put and delete there, on every machine that works"
        )
    return f"the object store failed ({code}{f', {status}' if status else ''}: {said}); the same command goes on"
