"""Whether the machines of a cluster see the same files."""

import itertools
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from pyarrow.fs import FileType

from hwr.errors import ResourceError
from hwr.manifest import CONFIG
from hwr.storage import Folder

# How many names of a folder are looked for.
_SOME = 3


@dataclass(frozen=True)
class Shared:
    """Local paths that every worker must see, whatever machine it is on; made by the command, asked by the workers.

    Without it, images that a machine lacks would come out as unreadable.
    """

    paths: tuple[str, ...]

    @classmethod
    def of(cls, out: Folder, inputs: Iterable[Folder], files: Iterable[str] = ()) -> "Shared":
        """Note some paths that are there now.

        Args:
            out: A folder that the job has claimed.
            inputs: Folders or files that it reads.
            files: Paths in the inputs, or beside them where an input is a file.
        """
        paths = [f"{out.path}/{CONFIG}"] if out.is_local else []
        files = [*itertools.islice(files, 10 * _SOME)]
        for place in (each for each in inputs if each.is_local):
            is_folder = place.kind() == FileType.Directory
            above = place.path if is_folder else os.path.dirname(place.path)
            named = [f"{above}/{file}" for file in files if os.path.lexists(f"{above}/{file}")]
            listed = (f"{above}/{name}" for name, _ in place.look()) if is_folder and not named else named
            paths += [place.path, *itertools.islice(listed, _SOME)]
        return cls(tuple(paths))

    def require(self) -> None:
        """Look for them on the machine that this runs on.

        Raises:
            ResourceError: One is not there.
        """
        for path in self.paths:
            if not os.path.lexists(path):
                raise ResourceError(
                    f"the machine {socket.gethostname()} does not see {path}: put it on a file system that all "
                    "machines have at the same path, or give an s3:// or gs:// URI"
                )
