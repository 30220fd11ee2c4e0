"""CSV files that staff take away: written row by row, and harmless in a spreadsheet."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class _Echo:
    """A file that hands each line on instead of keeping it."""

    def write(self, line: str) -> str:
        """Return the line."""
        return line


def safe(value: Any) -> str:
    """Return a cell that a spreadsheet shows and never computes.

    A number in E.164 begins with a plus and is digits only; it stays as it is.
    """
    text = "" if value is None else str(value)
    if text.startswith(_FORMULA_STARTS) and not (text[0] == "+" and text[1:].isdecimal()):
        return f"'{text}"
    return text


def lines(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield the lines of the file, the titles first; a mark at the start says it is UTF-8."""
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow(titles)
    for row in rows:
        yield writer.writerow([safe(cell) for cell in row])


def download(
    name: str, titles: Sequence[str], rows: Iterable[Sequence[Any]]
) -> StreamingHttpResponse:
    """Return the answer that makes a browser save the rows as a file."""
    answer = StreamingHttpResponse(lines(titles, rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    answer["Cache-Control"] = "private, no-store"
    return answer
