"""What there is to say about a list: how far it is, what its rows came to, row by row."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Case, Count, Q, QuerySet, Value, When
from django.urls import reverse

from orders.details import DETAIL_FIELDS, SECRET_FIELDS
from orders.list_catalog import COLUMNS
from orders.list_rows import is_under_way
from orders.lists import masked, written_of
from orders.models import ListRow, NumberList
from orders.review import Place, places_of
from portal import words
from portal.values import whole

PAGE: Final = 50
CHUNK: Final = 5_000  # numbers asked about in one statement

State = NumberList.State


@dataclass(frozen=True, slots=True)
class Counts:
    """What the rows of a list came to. `good` ones go into an order."""

    total: int = 0
    good: int = 0
    wrong: int = 0
    repeated: int = 0
    remarked: int = 0
    left_out: int = 0

    @property
    def sentence(self) -> str:
        """The whole in a line: "1,240 rows: 1,214 good, 17 to correct, 9 repeated"."""
        parts = [f"{self.good:,} good"]
        parts += [f"{self.wrong:,} to correct"] if self.wrong else []
        parts += [f"{self.repeated:,} repeated"] if self.repeated else []
        parts += [f"{self.left_out:,} left out"] if self.left_out else []
        return f"{words.count_text(self.total, 'row')}: {', '.join(parts)}"

    @property
    def bar(self) -> list[tuple[str, int]]:
        """The parts of a bar, by tone."""
        return [
            ("done", self.good),
            ("bad", self.wrong),
            ("us", self.repeated),
            ("ended", self.left_out),
        ]


_IN: Final = Q(left_out="")
_RIGHT: Final = Q(problems=[])


def counts_of(number_list: NumberList) -> Counts:
    """Count the rows of a list; one statement."""
    good = _IN & _RIGHT & Q(repeats=0) & ~Q(number="")
    found = number_list.rows.aggregate(
        total=Count("pk"),
        good=Count("pk", filter=good),
        wrong=Count("pk", filter=_IN & ~_RIGHT),
        repeated=Count("pk", filter=_IN & _RIGHT & Q(repeats__gt=0)),
        remarked=Count("pk", filter=good & ~Q(remark="")),
        left_out=Count("pk", filter=~_IN),
    )
    return Counts(**found)


def elsewhere(number_list: NumberList) -> dict[str, Place]:
    """Return where else the good numbers of a list stand, whatever their number: few statements."""
    numbers = list(number_list.rows.going().values_list("number", flat=True))
    found: dict[str, Place] = {}
    for start in range(0, len(numbers), CHUNK):
        found |= places_of(
            number_list.project, numbers[start : start + CHUNK], but=number_list.draft
        )
    return found


def live_token(number_list: NumberList) -> str:
    """Return what changes whenever an open page has something new to show."""
    rows = number_list.corrections.order_by("created_at").values_list("state", "done")
    return "/".join(f"{state}.{done}" for state, done in [_progress(number_list), *rows])


def _progress(number_list: NumberList) -> tuple[str, int]:
    return number_list.state, number_list.done


def box(number_list: NumberList, under_way: bool | None = None, **more: Any) -> dict[str, Any]:
    """Return what the line of a file in a draft's page shows.

    `under_way` is what the rest of the page was made by, so that it asks again if that is over.
    """
    is_ready = number_list.state == State.READY
    counts = counts_of(number_list) if is_ready else None
    return {
        "number_list": number_list,
        "draft": number_list.draft,
        "under_way": is_under_way(number_list) if under_way is None else under_way,
        "counts": counts,
        "token": live_token(number_list),
        "unused": unused(number_list) if is_ready else [],
    } | more


# --- Rows ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fix:
    """A box in which one value of a row is corrected. A secret is never in `value`."""

    name: str
    label: str
    value: str
    errors: list[str] = field(default_factory=list)
    is_secret: bool = False
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A row as the report shows it."""

    position: int
    written: str
    number: str
    remark: str
    left_out: str
    repeats: int
    repeats_url: str
    place: Place | None
    fixes: list[Fix]
    is_wrong: bool
    open_url: str


@dataclass(frozen=True, slots=True)
class Tab:
    """A choice of rows: its word, how many they are, and where it leads."""

    name: str
    title: str
    count: int
    url: str
    is_now: bool


@dataclass(frozen=True, slots=True)
class Report:
    """A page of the report."""

    counts: Counts
    tabs: list[Tab]
    rows: list[Shown]
    text: str
    show: str
    here: str
    back_url: str = ""
    on_url: str = ""
    elsewhere: int = 0

    @property
    def fixable(self) -> bool:
        """Whether there is something to correct on this page."""
        return any(row.fixes for row in self.rows)


_TITLES: Final = {
    "look": "Worth a look",
    "wrong": "To correct",
    "repeated": "Repeated",
    "elsewhere": "In another order",
    "remarked": "With a remark",
    "out": "Left out",
    "all": "All rows",
}


def report(number_list: NumberList, query: Mapping[str, str]) -> Report:
    """Return a page of the report; `query` has show, page, row (to be on it) and open."""
    counts = counts_of(number_list)
    places = elsewhere(number_list)
    blocked = {number for number, place in places.items() if place.blocks}
    rows = number_list.rows.all()
    sets = _sets(rows, places)
    show = query.get("show", "")
    if show not in sets:
        show = "look"
    here = reverse("orders:list", args=[number_list.draft_id])
    chosen = sets[show]
    total = chosen.count()
    page = _page_of(chosen, query, total)
    wanted = chosen[page * PAGE : (page + 1) * PAGE]
    opened = _count(query, "open")
    shown = _shown(number_list, list(wanted), places, opened, _url(here, show=show, page=page + 1))
    known = {
        "look": sets["look"].count() if show != "look" else total,
        "wrong": counts.wrong,
        "repeated": counts.repeated,
        "elsewhere": len(places),
        "remarked": counts.remarked,
        "out": counts.left_out,
        "all": counts.total,
    }
    tabs = [
        Tab(name, title, known[name], _url(here, show=name), name == show)
        for name, title in _TITLES.items()
        if known[name] or name in ("look", "all", show)
    ]
    first, last = page * PAGE + 1, min((page + 1) * PAGE, total)
    return Report(
        counts=counts,
        tabs=tabs,
        rows=shown,
        text=f"{first:,} to {last:,} of {total:,}" if total else "",
        show=show,
        here=_url(here, show=show, page=page + 1),
        back_url=_url(here, show=show, page=page) if page else "",
        on_url=_url(here, show=show, page=page + 2) if last < total else "",
        elsewhere=len(blocked),
    )


def _url(here: str, **query: Any) -> str:
    return f"{here}?{urlencode(query)}#rows"


def _sets(rows: QuerySet[ListRow], places: Mapping[str, Place]) -> dict[str, QuerySet[ListRow]]:
    there = Q(number__in=list(places))
    inside = rows.filter(_IN)
    say = ~_RIGHT | Q(repeats__gt=0) | ~Q(remark="") | there
    order = Case(
        When(~_RIGHT, then=Value(0)),
        When(there, then=Value(1)),
        When(repeats__gt=0, then=Value(2)),
        default=Value(3),
    )
    return {
        "look": inside.filter(say).order_by(order, "position"),
        "wrong": inside.exclude(problems=[]),
        "repeated": inside.filter(repeats__gt=0, problems=[]),
        "elsewhere": inside.filter(there, problems=[], repeats=0),
        "remarked": inside.filter(problems=[], repeats=0).exclude(remark="").exclude(number=""),
        "out": rows.exclude(left_out=""),
        "all": rows,
    }


def _page_of(rows: QuerySet[ListRow], query: Mapping[str, str], total: int) -> int:
    """Return the page, counted from 0: the one asked for, or the one a row stands on."""
    last = max((total - 1) // PAGE, 0)
    if row := _count(query, "row"):
        return min(rows.filter(position__lt=row).count() // PAGE, last)
    return min(max(_count(query, "page") - 1, 0), last)


def _count(query: Mapping[str, str], name: str) -> int:
    """Return a count that one of our pages has put into an address; 0 for anything else."""
    return whole(query.get(name, ""), 9_999_999) or 0


def _shown(
    number_list: NumberList,
    rows: Sequence[ListRow],
    places: Mapping[str, Place],
    opened: int,
    here: str,
) -> list[Shown]:
    columns = {int(i): name for i, name in number_list.columns.items()}
    base, _, _ = here.partition("#")
    all_url = reverse("orders:list", args=[number_list.draft_id])
    return [
        Shown(
            position=row.position,
            written=written_of(row.data, columns, row.number),
            number=row.number,
            remark=row.remark,
            left_out=row.left_out,
            repeats=row.repeats,
            repeats_url=(
                f"{all_url}?show=all&row={row.repeats}#row-{row.repeats}" if row.repeats else ""
            ),
            place=None if row.repeats else places.get(row.number),
            fixes=_fixes(row, columns, is_open=row.position == opened),
            is_wrong=bool(row.problems),
            open_url=""
            if row.position == opened or row.left_out
            else f"{base}&open={row.position}#row-{row.position}",
        )
        for row in rows
    ]


def _fixes(row: ListRow, columns: Mapping[int, str], *, is_open: bool) -> list[Fix]:
    """Return the boxes of a row: for what is wrong, or for everything when it is opened."""
    if row.left_out and not is_open:
        return []
    said: dict[str, list[str]] = {}
    for problem in row.problems:
        said.setdefault(problem["field"], []).append(problem["text"])
    details = row.data.get("details", {})
    names = list(said)
    if is_open:
        names = ["number", *(n for n in DETAIL_FIELDS if n in said or n in details)]
    fixes = []
    for name in names:
        is_secret = name in SECRET_FIELDS
        text = (
            written_of(row.data, columns, row.number) if name == "number" else details.get(name, "")
        )
        fixes.append(
            Fix(
                name=name,
                label=COLUMNS[name].title,
                value="" if is_secret else text,
                errors=said.get(name, []),
                is_secret=is_secret,
                hint=f"{masked(name, text)} is kept unless you type another"
                if is_secret and text
                else "",
            )
        )
    return fixes


# --- Columns ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileColumn:
    """A column of the file, to be told what it is."""

    index: int
    title: str
    held: str
    examples: list[str]


def file_columns(number_list: NumberList) -> list[FileColumn]:
    """Return the columns of the file in which something stands, with their first values."""
    rows = [cells for _, cells in number_list.sample]
    found = []
    for index, title in enumerate(number_list.titles):
        held = number_list.columns.get(str(index), "")
        texts = [cells[index] for cells in rows if index < len(cells) and cells[index]]
        if not texts and not title:
            continue
        examples = [masked(held, text) for text in texts] if held in SECRET_FIELDS else texts
        found.append(FileColumn(index, title or f"Column {_letters(index)}", held, examples[:3]))
    return found


def _letters(index: int) -> str:
    """Return how a spreadsheet names a column: A, …, Z, AA."""
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(65 + rest) + text
    return text


def unused(number_list: NumberList) -> list[str]:
    """Return the titles of the columns that are not used."""
    return [column.title for column in file_columns(number_list) if not column.held]


def choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return what a column can be, by group, for a select."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for column in COLUMNS.values():
        groups.setdefault(column.group, []).append((column.name, column.title))
    return list(groups.items())


# --- Wrong rows as a file -----------------------------------------------------------------------


def wrong_rows(number_list: NumberList) -> Iterable[list[str]]:
    """Yield titles, then each wrong row as it stands, with its place and what is wrong with it.

    Secrets are masked; they are kept when they come back so.
    """
    columns = {int(i): name for i, name in number_list.columns.items()}
    rows = list(number_list.rows.wrong())
    held = [name for name in columns.values() if name in DETAIL_FIELDS]
    plain = {i: name for i, name in columns.items() if name == "number" or name in held}
    used = {name for row in rows for name in (*row.data.get("details", {}), *_wrong_fields(row))}
    more = [n for n in DETAIL_FIELDS if n in used and n not in held]
    # Compound columns were taken apart; what is not read at all stays as it was.
    kept = [i for i in range(len(number_list.titles)) if i in plain or i not in columns]
    titles = [_title(number_list, i, plain) for i in kept]
    yield ["Row", *titles, *(COLUMNS[name].title for name in more), "What is wrong"]
    for row in rows:
        details = row.data.get("details", {})
        cells = row.data.get("cells", [])
        line = [str(row.position)]
        for i in kept:
            if (name := plain.get(i)) == "number":
                line.append(written_of(row.data, columns, row.number))
            elif name:
                line.append(_seen(name, details))
            else:
                line.append(str(cells[i]) if i < len(cells) else "")
        line += [_seen(name, details) for name in more]
        said = [f"{COLUMNS[p['field']].title}: {p['text']}" for p in row.problems]
        yield [*line, " ".join(said)]


def _wrong_fields(row: ListRow) -> list[str]:
    return [problem["field"] for problem in row.problems]


def _title(number_list: NumberList, index: int, held: Mapping[int, str]) -> str:
    title = str(number_list.titles[index])
    if not title and (name := held.get(index)):
        return COLUMNS[name].title
    return title


def _seen(name: str, details: Mapping[str, str]) -> str:
    text = str(details.get(name, ""))
    return masked(name, text) if name in SECRET_FIELDS else text
