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

    Texts become `safe`. None becomes an empty cell. A row with a cell that begins with a space is quoted, since many
    readers drop such a space otherwise.
    """
    text = io.TextIOWrapper(out, "utf-8", newline="")
    try:
        plain, quoted = (
            csv.writer(text, quoting=how, lineterminator="\r\n") for how in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
        )
        plain.writerow(header)
        for row in rows:
            texts = [cell for cell in row if isinstance(cell, str)]
            writer = quoted if any(cell[:1] == " " for cell in texts) else plain
            writer.writerow([safe(cell) if isinstance(cell, str) else cell for cell in row])
    finally:
        text.detach()  # or it would close the file, which is not its own


def safe(cell: str) -> str:
    """A text that no spreadsheet takes for a formula, and that `restore` takes back to what it was.

    Where the first character that is no apostrophe begins a formula, one more apostrophe goes in front, which
    spreadsheets hide (https://owasp.org/www-community/attacks/CSV_Injection). So ``=A1`` becomes ``'=A1``, and a text
    that is ``'=A1`` itself becomes another, ``''=A1``.
    """
    return f"'{cell}" if _is_formula(cell) else cell


def restore(cell: str) -> str:
    """The text that `safe` made a cell of."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell) else cell


def _is_formula(cell: str) -> bool:
    return cell.lstrip("'").startswith(_FORMULA)
