"""CSV that is safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import IO

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def to_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as CSV, as `write_csv` has it."""
    out = io.BytesIO()
    write_csv(out, header, rows)
    return out.getvalue()


def write_csv(out: IO[bytes], header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows as CSV in UTF-8 (RFC 4180), one after the other.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, which spreadsheets hide
    (https://owasp.org/www-community/attacks/CSV_Injection). None becomes an empty cell.
    """
    text = io.TextIOWrapper(out, "utf-8", newline="")
    try:
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(header)
        writer.writerows([_safe(cell) for cell in row] for row in rows)
    finally:
        text.detach()  # or it would close the file, which is not its own


def _safe(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return cell
