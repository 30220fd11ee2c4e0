"""CSV files that staff take away: written row by row, and harmless in a spreadsheet."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
CONTENT_TYPE: Final = "text/csv; charset=utf-8"


class _Echo:
    """A file that hands each line on instead of keeping it."""

    def write(self, line: str) -> str:
        """Return the line."""
        return line


def safe(value: Any) -> str:
    """Return a cell that no spreadsheet takes for a formula: with ' before = + - and @.

    A number in E.164 is a plus and digits; it and a lone dash stay as they are.
    """
    text = _CONTROL.sub(" ", "" if value is None else str(value)).strip()
    is_number = text[:1] == "+" and text[1:].isdecimal()
    return f"'{text}" if len(text) > 1 and text[0] in "=+-@" and not is_number else text


def lines(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield the lines of the file, the titles first; a mark at the start says it is UTF-8."""
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow([safe(title) for title in titles])
    for row in rows:
        yield writer.writerow([safe(cell) for cell in row])


def download(
    name: str, titles: Sequence[str], rows: Iterable[Sequence[Any]]
) -> StreamingHttpResponse:
    """Return the answer that makes a browser save the rows as a file."""
    answer = StreamingHttpResponse(lines(titles, rows), content_type=CONTENT_TYPE)
    answer["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    answer["Cache-Control"] = "private, no-store"
    return answer
