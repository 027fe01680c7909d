"""Fetch: the official files of MNIST or of one EMNIST set, from the network to a folder that ingest reads."""

import contextlib
import errno
import shlex
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as pafs

from hwr import official
from hwr.errors import InputError, OutputError
from hwr.storage import Folder
from pipelines import cli, console

_LOOK = 0.5  # seconds between two looks at what has arrived


@dataclass(frozen=True)
class Config:
    """What to fetch, and where to put it."""

    name: official.Name
    """Which set: MNIST, or one of the six of EMNIST."""
    out: cli.Output
    """Folder for its files; it must be new, or the same set's."""


def run(config: Config) -> None:
    """Fetch one set.

    Raises:
        HwrError: The files cannot be had, or the output folder holds something else or cannot be written.
    """
    out = Folder.open(config.out)
    names = official.files(config.name)
    if all(out.has(name) for name in names):
        console.milestone(f"{config.out} is already complete: {_sentence(config, out)}")
        return
    _require_free(out, names)
    console.milestone(f"{config.name}: downloading {official.megabytes(config.name)} MB")
    try:
        with tempfile.TemporaryDirectory(prefix=".hwr-fetch-", dir=_beside(out)) as beside:
            with _watched(Path(beside), official.megabytes(config.name)):
                official.download(config.name, Path(beside))
            _put(Path(beside), out, names)
    except InputError as error:
        raise InputError(f"{error}; nothing was written, and the same command tries again") from error
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        why = "the disk is full" if full else error.strerror or error
        raise OutputError(f"cannot write {config.out}: {why}") from error
    except KeyboardInterrupt:
        console.milestone("hwr fetch: interrupted; the same command starts the download anew", sys.stderr)
        raise cli.Interrupted from None
    console.milestone(f"{config.out}: {_sentence(config, out)}")


def _require_free(out: Folder, names: tuple[str, ...]) -> None:
    """Refuse a folder with anything else in it: ingest would read that too."""
    if out.kind() is pafs.FileType.File:
        raise OutputError(f"{out.name} is a file: choose another --out")
    found = out.fs.get_file_info(pafs.FileSelector(out.path, allow_not_found=True))
    others = sorted(info.base_name for info in found if info.base_name not in names and info.base_name[0] != ".")
    if others:
        raise OutputError(f"{out.name} holds something else, such as {others[0]}: choose another --out")


def _beside(out: Folder) -> Path | None:
    """Where to download: on the disk of the output, in the nearest folder that exists, so that a failure leaves none.

    The output itself counts where it exists, since it may be a disk of its own. It is the system's place for temporary
    files where the output is not of this machine.
    """
    if not out.is_local:
        return None
    path = Path(out.path)
    return next(place for place in (path, *path.parents) if place.exists())


@contextlib.contextmanager
def _watched(folder: Path, total: int) -> Iterator[None]:
    """Show how many MB have arrived. torchvision tells nobody but its own bar, so a thread looks at the folder."""
    done = threading.Event()

    def look() -> None:
        seen = 0
        while not done.wait(_LOOK):
            with contextlib.suppress(FileNotFoundError):  # a file may go while it is looked at
                now = min(sum(path.stat().st_size for path in folder.iterdir()) // 10**6, total)
                advance(max(now - seen, 0), "")
                seen = max(now, seen)

    with console.progress("MB", total) as advance:
        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _put(source: Path, out: Folder, names: tuple[str, ...]) -> None:
    """Put the files into place, when all of them are there: by renaming, which needs no room on the disk."""
    for name in names:
        if out.is_local:
            Path(out.path).mkdir(parents=True, exist_ok=True)
            (source / name).replace(Path(out.path) / name)
        else:
            out.write_bytes(name, (source / name).read_bytes())


def _sentence(config: Config, out: Folder) -> str:
    names = official.files(config.name)
    size = sum(out.bytes(name) for name in names) / 1e6
    layout = "idx" if config.name == "mnist" else "emnist-idx"
    ingest = f"hwr ingest --source {shlex.quote(config.out)} --format {layout} --out data/{config.name}"
    return f"{len(names)} files, {size:,.1f} MB; next: {ingest}"


if __name__ == "__main__":
    sys.exit(cli.main(["fetch", *sys.argv[1:]]))
