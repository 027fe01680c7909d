"""What goes to a cluster with a job: the code, and flags that mean the same there."""

import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_type_hints

import hwr
import pipelines
from hwr import bundle
from hwr.errors import InputError
from hwr.object_store import refuse_secrets
from hwr.storage import Folder
from pipelines import console
from pipelines._probe import Location
from pipelines.cli import Place

# What Ray takes as a package.
LIMIT = 512 * 2**20

# One time for all files: the same code makes the same package, which Ray then has already.
_TIME = (1980, 1, 1, 0, 0, 0)


def absolute(config: Any, words: Sequence[str]) -> tuple[list[str], list[Location]]:
    """The flags of a job as they mean the same from another working folder, and the local paths among them.

    Args:
        config: The job's settings, as the words make them.
        words: Its flags.

    Raises:
        InputError: A location is none.
    """
    places = _places(type(config))
    sent: list[str] = []
    found: list[Location] = []

    def place(flag: str, value: str) -> str:
        if "://" in value:
            refuse_secrets(value)
            if places[flag] is Place.SERVER and value.startswith("sqlite:"):
                raise InputError(
                    f"{flag} {value} is a file of one machine: a job on a cluster needs a server, http://…"
                )
            return value  # shared
        if places[flag] is Place.MODEL and bundle.ships(value):
            return value  # in the package
        path = Folder.open(value).path
        found.append(Location(flag, path, places[flag] is Place.OUTPUT))
        return path

    flag, given = "", set()
    for word in words:
        name, sign, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if name:
            flag = name.replace("_", "-")
            given.add(flag)
        if flag not in places or (name and not sign):
            sent.append(word)
        else:
            sent.append(f"{name}{sign}{place(flag, value)}")
    for field in fields(config):
        flag = _flag(field.name)
        if flag in places and flag not in given and isinstance(field.default, str):
            sent += [flag, place(flag, field.default)]
    return sent, found


def _places(config: type) -> dict[str, Place]:
    """The flags that are marked as locations where they are defined."""
    hints = get_type_hints(config, include_extras=True).items()
    marks = ((name, mark) for name, hint in hints for mark in getattr(hint, "__metadata__", ()))
    return {_flag(name): mark for name, mark in marks if isinstance(mark, Place)}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@contextmanager
def package() -> Iterator[Path]:
    """The code of this very process as one file, and nothing else, wherever the command runs.

    Yields:
        A zip archive of the packages hwr and pipelines, for as long as the context lasts.

    Raises:
        InputError: It is larger than Ray takes.
    """
    files = dict(_files())
    sizes = {name: path.stat().st_size for name, path in files.items()}
    if sum(sizes.values()) > LIMIT:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        named = ", ".join(f"{files[name]} ({_mb(sizes[name])})" for name in largest)
        raise InputError(
            f"the code is {_mb(sum(sizes.values()))}, and Ray takes {_mb(LIMIT)}: move what is no code elsewhere, "
            f"the largest first: {named}"
        )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "hwr.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, file in files.items():
                info = zipfile.ZipInfo(name, _TIME)
                info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(info, file.read_bytes())
        console.milestone(f"the code: {len(files):,} files, {_mb(path.stat().st_size)}")
        yield path


def _files() -> Iterator[tuple[str, Path]]:
    """The files of both packages as they are imported here, by their names in the archive, in one order."""
    for module in (hwr, pipelines):
        top = Path(str(module.__file__)).parent
        for folder, below, names in os.walk(top):
            below[:] = sorted(name for name in below if name != "__pycache__")
            for name in sorted(names):
                path = Path(folder, name)
                yield f"{module.__name__}/{path.relative_to(top).as_posix()}", path


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
