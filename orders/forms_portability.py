"""The form of a portability check: numbers pasted or in a file, turned into E.164."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from orders import list_files
from portal import words
from portal.numbers import MAX_LINES, Line, read_numbers

MOST_NUMBERS: Final = list_files.MOST_ROWS
LOOKED_AT: Final = 200  # rows of a file that tell which column holds the numbers
NAMED: Final = 20  # unreadable lines that are named one by one


@dataclass
class Found:
    """What a text or a file holds: distinct numbers (E.164), and what could not be read."""

    numbers: list[str] = field(default_factory=list)
    # (line or row, counted from 1; what stands there; what is wrong with it)
    unread: list[tuple[int, str, str]] = field(default_factory=list)
    repeats: int = 0

    @property
    def text(self) -> str:
        """All of it as text to correct: what could not be read first."""
        return "\n".join(
            [*(text for _, text, _ in self.unread), *map(words.phone_text, self.numbers)]
        )


def numbers_in(rows: Iterable[tuple[int, str]]) -> Found:
    """Return what stands in rows of text, each with its own number in the file or the paste."""
    found, seen = Found(), set[str]()
    pending = iter(rows)
    while part := list(itertools.islice(pending, MAX_LINES)):
        # One line of text for each row, whatever the row holds, so that places stay right.
        for line in read_numbers("\n".join(" ".join(text.split()) for _, text in part)):
            _take(found, seen, line, part[line.position - 1][0])
    return found


def _take(found: Found, seen: set[str], line: Line, place: int) -> None:
    if line.problem or not line.number:
        found.unread.append((place, line.text, line.problem))
    elif line.number in seen or line.repeats:
        found.repeats += 1
    else:
        seen.add(line.number)
        found.numbers.append(line.number)


def numbers_of_text(text: str) -> Found:
    """Return what stands in a pasted text of any length."""
    return numbers_in(enumerate(text.splitlines(), 1))


def numbers_of_file(content: bytes) -> Found:
    """Return the numbers of the first column that holds some. Raises `list_files.NotReadable`."""
    rows = list_files.rows_of(content)
    first = list(itertools.islice(rows, LOOKED_AT))
    column = _column_of(first)
    return numbers_in(_cells(itertools.chain(first, rows), column))


def _column_of(rows: list[list_files.Numbered]) -> int:
    """Return the column in which most cells are numbers; the first of several."""
    counts: dict[int, int] = {}
    for _, cells in rows:
        for column, cell in enumerate(cells):
            if _is_number(cell):
                counts[column] = counts.get(column, 0) + 1
    if not counts:
        raise list_files.NotReadable(
            "No column of this file holds phone numbers. Choose another file, or paste them."
        )
    return max(sorted(counts), key=lambda column: counts[column])


def _is_number(cell: str) -> bool:
    lines = read_numbers(cell) if sum(map(str.isdigit, cell)) >= 10 else []
    return len(lines) == 1 and bool(lines[0].number)


def _cells(rows: Iterator[list_files.Numbered], column: int) -> Iterator[tuple[int, str]]:
    for index, (place, cells) in enumerate(rows):
        cell = cells[column] if column < len(cells) else ""
        # The title above the numbers is no number that could not be read.
        if cell and not (index == 0 and not any(map(str.isdigit, cell))):
            yield place, cell


class PortabilityForm(forms.Form):
    """Numbers to ask Sinch about. `found` holds what was read, also when the form is refused."""

    numbers = forms.CharField(
        label="Numbers",
        required=False,
        strip=False,
        help_text="One to a line or with commas; any spelling of a US or Canadian number",
        widget=forms.Textarea,
    )
    file = forms.FileField(
        label="Or a file",
        required=False,
        help_text=f"CSV or XLSX, at most {MOST_NUMBERS:,} rows; the column with the numbers is "
        "found by itself",
        widget=forms.ClearableFileInput(attrs={"accept": list_files.ACCEPTED}),
        error_messages={"empty": "The file is empty. Choose it again."},
    )
    title = forms.CharField(
        label="Name of this check", help_text="Such as the customer", max_length=100, required=False
    )
    anyway = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("auto_id", "check_%s")
        super().__init__(*args, **options)
        self.found = Found()

    def clean(self) -> dict[str, Any]:
        """Read the numbers, and name what could not be read unless it is to be left out."""
        given = super().clean() or {}
        upload = given.get("file")
        if upload and upload.size > list_files.MOST_BYTES:
            self.add_error("file", "The file is larger than 20 MB. Split it.")
        elif upload:
            try:
                self.found = numbers_of_file(upload.read())
            except list_files.NotReadable as wrong:
                self.add_error("file", str(wrong))
            else:
                given["title"] = given.get("title") or upload.name[:100]
        else:
            self.found = numbers_of_text(given.get("numbers") or "")
        if not self.errors:
            self._judge(bool(given.get("anyway")))
        return given

    def _judge(self, anyway: bool) -> None:
        count, unread = len(self.found.numbers), self.found.unread
        if count > MOST_NUMBERS:
            self.add_error(
                "numbers", f"At most {MOST_NUMBERS:,} at a time; these are {count:,}. Split them."
            )
        elif unread and not (anyway and count):
            named = [
                f"Line {place}, “{text}”: {problem}" for place, text, problem in unread[:NAMED]
            ]
            if len(unread) > NAMED:
                named.append(f"And {len(unread) - NAMED:,} more like these.")
            self.add_error("numbers", ValidationError(named))
        elif not count:
            self.add_error("numbers", "Paste at least one number, or choose a file.")

    @property
    def can_go_on(self) -> int:
        """How many numbers would be asked about without the lines that could not be read."""
        return len(self.found.numbers) if self.found.unread else 0
