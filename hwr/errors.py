"""What can go wrong, as one tree: every message is one line that says what, what was found, and what to do."""

from dataclasses import dataclass


def one_line(error: BaseException) -> str:
    """What an error says, as one line; its type, where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


class HwrError(Exception):
    """Anything a user can mend. The command line prints its message and exits with status 1."""


class InputError(HwrError):
    """What was handed in is missing, unfinished or not what the flags say it is."""


class OutputError(HwrError):
    """The output folder belongs to something else or cannot be written."""


class StorageError(HwrError):
    """An object store does not answer, or does not allow what is asked of it; nothing is known of what lies there."""


class ResourceError(HwrError):
    """The machine or cluster has too little of something that the job needs."""


@dataclass(frozen=True)
class Reject:
    """Why one input could not become a glyph; it becomes a row, never an exception that ends a job.

    Attributes:
        reason: A short, stable name that can be counted, such as ``corrupt`` or ``blank``.
        detail: What was found, for a person; may be empty.
    """

    reason: str
    detail: str = ""


class RejectError(HwrError):
    """Raised inside the reading of one input; carries its `Reject`.

    It takes the `Reject` as its only argument so that it survives pickling between processes.
    """

    def __init__(self, reject: Reject) -> None:
        super().__init__(reject)
        self.reject = reject
