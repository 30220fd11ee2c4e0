"""Columns of a list: guessed from their titles and from what stands in them. Pure, no database."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from orders.details import ADDRESS_FIELDS, NEEDED_ADDRESS
from orders.list_catalog import COLUMNS, NUMBER, OF_CORRECTIONS, column_of, squeezed
from orders.list_files import Numbered
from orders.lists import read_number
from portal.addresses import CA_PROVINCES, US_STATES

# --- The first rows ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Survey:
    """What the first rows tell about a file.

    `titles` has one entry for each column, "" for one without; `first` is the row data begins on;
    `columns` maps a column's index to its name in COLUMNS; `sample` are the first rows of data;
    `is_certain` tells that nobody has to look at it before the rows are read.
    """

    titles: list[str]
    first: int
    columns: dict[int, str]
    sample: list[Numbered] = field(default_factory=list)
    is_certain: bool = False


LOOKED_AT: Final = 200  # rows the guess is made from
SHOWN: Final = 6  # rows kept to confirm the columns by


def survey(rows: Sequence[Numbered], *, corrects: bool = False) -> Survey:
    """Return what the first rows of a file tell; `corrects` also knows "Row"."""
    width = max((len(cells) for _, cells in rows), default=0)
    at = _header(rows)
    titles = [""] * width
    if at is not None:
        titles = _joined_titles(rows, at, width)
    data = list(rows[at + 1 if at is not None else 0 :])
    texts = [[cells[i] for _, cells in data if i < len(cells) and cells[i]] for i in range(width)]
    columns, doubtful = _by_title(titles, texts, corrects)
    if NUMBER not in columns.values() and (found := _by_content(texts, columns)) is not None:
        doubtful = doubtful or bool(titles[found])
        columns[found] = NUMBER
    if at is None:
        columns |= _by_shape(texts, columns)
    used = {i for i in range(width) if texts[i]}
    unknown = {i for i in used if i not in columns}
    right = NUMBER in columns.values() and _share(texts[_index(columns, NUMBER)]) >= 0.5
    plain = used == {_index(columns, NUMBER)} if right else False  # numbers and nothing else
    certain = right and not doubtful and not unknown and (at is not None or plain)
    return Survey(
        titles=titles,
        first=data[0][0] if data else 0,
        columns={i: name for i, name in columns.items() if i in used or titles[i]},
        sample=[(position, [cell[:120] for cell in cells]) for position, cells in data[:SHOWN]],
        is_certain=certain and not any(cautions(columns)),
    )


def _index(columns: Mapping[int, str], name: str) -> int:
    return next((i for i, held in columns.items() if held == name), -1)


def _header(rows: Sequence[Numbered]) -> int | None:
    """Return the index of the row of titles; None when the first row is data already."""
    best, most = None, 0
    for index, (_, cells) in enumerate(rows[:20]):
        if any(sum(c.isdigit() for c in cell) >= 7 for cell in cells):
            break
        known = sum(bool(column_of(cell)) for cell in cells if cell)
        filled = sum(bool(cell) for cell in cells)
        # Titles nobody knows are titles still, when nothing better stands above the numbers.
        score = known * 100 + min(filled, 99)
        if filled and score >= most:
            best, most = index, score
    return best


def _joined_titles(rows: Sequence[Numbered], at: int, width: int) -> list[str]:
    """Return the titles; one that is empty takes what stands above it in a row of titles."""
    titles = [""] * width
    for _, cells in reversed(rows[max(at - 2, 0) : at + 1]):
        if sum(bool(cell) for cell in cells) < 2 and cells is not rows[at][1]:
            continue  # the heading of the whole sheet
        for i, cell in enumerate(cells):
            titles[i] = titles[i] or cell[:80]
    return titles


def _share(texts: Sequence[str]) -> float:
    """Return which part of the cells reads as numbers."""
    looked = texts[:LOOKED_AT]
    return sum(read_number(text)[0] != "" for text in looked) / len(looked) if looked else 0.0


def _by_title(
    titles: Sequence[str], texts: Sequence[Sequence[str]], corrects: bool
) -> tuple[dict[int, str], bool]:
    """Return what the titles say, and whether two of them say the same."""
    named: dict[str, list[int]] = {}
    for i, title in enumerate(titles):
        known = OF_CORRECTIONS.get(squeezed(title), "") if corrects else ""
        if name := known or column_of(title):
            named.setdefault(name, []).append(i)
    columns: dict[int, str] = {}
    doubtful = False
    for name, found in named.items():
        best = found[0]
        if len(found) > 1:
            with_text = [i for i in found if texts[i]]
            doubtful = doubtful or len(with_text) > 1
            best = (
                max(with_text or found, key=lambda i: (_share(texts[i]), -i))
                if (name == NUMBER)
                else (with_text or found)[0]
            )
        columns[best] = name
    if NUMBER in columns.values() and not _share(texts[_index(columns, NUMBER)]):
        # "Number" above house numbers, or above nothing at all.
        other = _by_content(texts, columns)
        if other is not None:
            del columns[_index(columns, NUMBER)]
            columns[other] = NUMBER
            doubtful = True
    return columns, doubtful


def _by_content(texts: Sequence[Sequence[str]], columns: Mapping[int, str]) -> int | None:
    """Return the column in which mostly numbers stand."""
    shares = [(0.0 if i in columns else _share(cells), -i) for i, cells in enumerate(texts)]
    best = max(shares, default=(0.0, 0))
    return -best[1] if best[0] >= 0.6 else None


_ZIP_SHAPE: Final = re.compile(r"\d{5}(?:-\d{4})?|[A-Z]\d[A-Z] ?\d[A-Z]\d")


def _by_shape(texts: Sequence[Sequence[str]], columns: Mapping[int, str]) -> dict[int, str]:
    """Return the state and the ZIP of a file without titles, told by their shape."""
    found: dict[int, str] = {}
    for i, cells in enumerate(texts):
        looked = cells[:LOOKED_AT]
        if i in columns or not looked:
            continue
        states = sum(cell in US_STATES | CA_PROVINCES for cell in looked) / len(looked)
        codes = sum(bool(_ZIP_SHAPE.fullmatch(cell)) for cell in looked) / len(looked)
        if states >= 0.9:
            found.setdefault(i, "state")
        elif codes >= 0.9:
            found.setdefault(i, "zip")
    kept: dict[int, str] = {}
    for i, name in found.items():
        if name not in kept.values():
            kept[i] = name
    return kept


# --- What a person says about the columns -----------------------------------------------------

_COVERS: Final = {"address": ("street_num", "street"), "unit_type": ("unit",)}


def objections(columns: Mapping[int, str]) -> Iterator[str]:
    """Yield what makes a choice of columns impossible, in words."""
    names = list(columns.values())
    if NUMBER not in names:
        yield "No column is the number. Say which one it is."
    for name in dict.fromkeys(names):
        if (count := names.count(name)) > 1:
            many = "Two" if count == 2 else str(count)
            yield f"{many} columns are “{COLUMNS[name].title}”. One of them can be."
    if "address" in names:
        for name in ("street_num", "street"):
            if name in names:
                yield (
                    f"“{COLUMNS['address'].title}” and “{COLUMNS[name].title}” say the same. "
                    "Keep one of them."
                )
    ways = [name for name in dict.fromkeys(names) if name in ("est", "rtc", "fax", "voice_id")]
    if len(ways) > 1 and "voice_id" in ways:
        yield "The id for voice stands in two columns. Keep one of them."


def cautions(columns: Mapping[int, str]) -> Iterator[str]:
    """Yield what is worth a look in a choice of columns; it blocks nothing."""
    names = set(columns.values())
    covered = names | {part for name in names for part in _COVERS.get(name, ())}
    if covered & set(ADDRESS_FIELDS):
        missing = [COLUMNS[n].title.lower() for n in NEEDED_ADDRESS if n not in covered]
        if missing:
            yield (
                f"A number’s own address has to be whole, and there is no column for "
                f"{', '.join(missing)}. Where the address is the same for all numbers, set its "
                "columns to “Not used” and write it once, below the numbers."
            )
