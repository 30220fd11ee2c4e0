"""Choosing some numbers of an order: by a word for many, by ticks, or typed with ranges.

Pure functions, no database. Nothing outside the order can be chosen.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from portal import words
from portal.numbers import numbers_of, read_numbers

EVERYONE: Final = "all"
MOST_NAMED: Final = 5  # pieces that could not be found and are told one by one
# "+1 206 555 0117 to 0144"; the hyphen of a range has blanks around it or stands between digits
# of the same length, so that 206-555-0117 stays one number.
_RANGE: Final = re.compile(r"(.*\d)\s*(?:\bto\b|\bthrough\b|–|—|…|\.\.\.?|\s-+\s)\s*(\S.*)", re.I)
_URL_RANGE: Final = re.compile(r"(\d{11})-(\d{11})")


@dataclass(frozen=True)
class Row:
    """A number of an order with what it can be chosen by."""

    number: str
    status: str
    carrier: str


@dataclass
class Chosen:
    """The numbers that were chosen, in the order of the order, and what could not be found."""

    numbers: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def groups_of(rows: Sequence[Row]) -> list[tuple[str, str, list[str]]]:
    """Return what many can be chosen by: (value, words with the count, numbers)."""
    found: dict[tuple[str, str], list[str]] = {}
    for kind, name_of in (("c", lambda row: row.carrier), ("s", lambda row: row.status)):
        for row in rows:
            if name := name_of(row):
                found.setdefault((f"{kind}:{name}", _said(kind, name)), []).append(row.number)
    everyone = [row.number for row in rows]
    all_of_them = [(EVERYONE, f"All {words.count_text(len(rows), 'number')}", everyone)]
    return all_of_them + [
        (value, f"{label}: {words.count_text(len(numbers), 'number')}", numbers)
        for (value, label), numbers in found.items()
        if len(numbers) < len(rows)
    ]


def _said(kind: str, name: str) -> str:
    return name if kind == "c" else words.chip("number", name).label


def choose(
    rows: Sequence[Row], *, group: str = "", ticked: Iterable[str] = (), typed: str = ""
) -> Chosen:
    """Return every number that one of the three ways names."""
    everyone = [row.number for row in rows]
    wanted = {f"+{n.lstrip('+')}" for n in ticked}
    wanted |= {n for value, _, numbers in groups_of(rows) if value == group for n in numbers}
    found, problems = _read(typed, everyone)
    wanted |= found
    return Chosen([number for number in everyone if number in wanted], problems)


def from_address(pieces: Iterable[str], everyone: Sequence[str]) -> list[str]:
    """Return the numbers that an address names: `12065550117.12065550120-12065550144`."""
    wanted: set[str] = set()
    for piece in (part for text in pieces for part in re.split(r"[.,\s]+", text)):
        if match := _URL_RANGE.fullmatch(piece):
            wanted |= _between(match[1], match[2], everyone)
        else:
            wanted.add(f"+{piece.lstrip('+')}")
    return [number for number in everyone if number in wanted]


def runs(
    numbers: Iterable[str], everyone: Sequence[str], *, closed: bool = False
) -> list[tuple[str, str]]:
    """Return the numbers as (first, last) of stretches without another of the order between.

    `closed` ones have no gap at all.
    """
    places = {number: place for place, number in enumerate(sorted(everyone))}
    found: list[tuple[str, str]] = []
    before = -2
    for number in sorted(n for n in numbers if n in places):
        place = places[number]
        follows = place == before + 1 and number[:8] == found[-1][0][:8]
        if follows and (not closed or int(number[1:]) == int(found[-1][1][1:]) + 1):
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
        before = place
    return found


def in_words(numbers: Sequence[str]) -> list[str]:
    """Return the numbers as they are read, stretches of neighbours as `… 0117 to 0144`."""
    return [
        words.phone_text(first) if first == last else f"{words.phone_text(first)} to {last[-4:]}"
        for first, last in runs(numbers, numbers, closed=True)
    ]


def _between(first: str, last: str, everyone: Sequence[str]) -> set[str]:
    low, high = sorted((int(first.lstrip("+")), int(last.lstrip("+"))))
    return {number for number in everyone if low <= int(number.lstrip("+")) <= high}


def _read(text: str, everyone: Sequence[str]) -> tuple[set[str], list[str]]:
    found: set[str] = set()
    missing: list[str] = []
    for piece in (part.strip() for part in re.split(r"[\n,;]+", text)):
        if not piece:
            continue
        numbers = _of_piece(piece, everyone)
        if re.fullmatch(r"\D*\d{4}", piece) and len(numbers) > 1:
            count = words.count_text(len(numbers), "number")
            missing.append(f"“{piece[:60]}” is the end of {count}; write it whole.")
            continue
        found |= numbers
        if not numbers:
            missing.append(f"“{piece[:60]}” is no number of this order.")
    if len(missing) > MOST_NAMED:
        more = len(missing) - MOST_NAMED
        missing = [*missing[:MOST_NAMED], f"{words.count_text(more, 'more line')} like it."]
    return found, missing


def _of_piece(piece: str, everyone: Sequence[str]) -> set[str]:
    if match := _RANGE.fullmatch(piece):
        first = next(iter(_numbers(match[1])), "")
        ending = re.sub(r"\D", "", match[2])
        last = next(iter(_numbers(match[2])), "") or (
            first[: -len(ending)] + ending if first and 0 < len(ending) < 10 else ""
        )
        return _between(first, last, everyone) if first and last else set()
    digits = re.sub(r"\D", "", piece)
    if len(digits) == 4:
        return {number for number in everyone if number.endswith(digits)}
    return _numbers(piece) & set(everyone)


def _numbers(text: str) -> set[str]:
    return set(numbers_of(read_numbers(text)))


def rows_of(numbers: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return rows of the database as rows to choose from."""
    return [Row(n["phone_number"], n["status"], n["losing_carrier"] or n["group"]) for n in numbers]
