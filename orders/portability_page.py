"""What the pages of portability checks show: one statement for the sums, one for a page of rows.

The numbers of a run stand in one column of it; the database unfolds them and puts Sinch's answers
beside them, so that 20,000 numbers are never brought here to show 100.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from django.db import connection
from django.db.models import CharField, F, QuerySet, Value
from django.db.models.functions import Cast, Concat, Left
from django.utils import timezone

from orders.models import PortabilityRun
from orders.review import CHECK_HOLDS
from portal import words
from portal.values import whole

PAGE: Final = 100
AT_ONCE: Final = 2_000  # rows of a file that are held at a time
LAST_RUNS: Final = 30
NOT_SAID: Final = "-"  # the carrier filter for numbers whose carrier Sinch does not name

VERDICTS: Final = {
    "yes": ("Can move", "answer.portable"),
    "no": ("Cannot move", "NOT answer.portable"),
    "none": ("No answer", "answer.portable IS NULL"),
    "old": ("Older than a day", "answer.checked_at < %(since)s"),
}

_FROM: Final = """
FROM orders_portabilityrun run
CROSS JOIN LATERAL jsonb_array_elements_text(run.numbers) AS asked(number)
LEFT JOIN orders_portabilityresult answer
    ON answer.project_id = run.project_id AND answer.phone_number = asked.number
WHERE run.id = %(run)s
"""

# What changes while a run is under way, as a short text an open page asks by.
LIVE: Final = Concat(
    Cast("done", CharField()),
    Value("."),
    Cast("total", CharField()),
    Value("."),
    Cast(F("finished_at"), CharField()),
    Value("."),
    Left("problem", 40),
    output_field=CharField(),
)


@dataclass(frozen=True)
class Carrier:
    """A losing carrier and what Sinch says about its numbers; "" is one it does not name."""

    name: str
    yes: int
    no: int
    url: str = ""
    is_chosen: bool = False

    @property
    def total(self) -> int:
        """How many of the numbers it holds."""
        return self.yes + self.no


@dataclass(frozen=True)
class Sums:
    """The answers about all numbers of a run, counted."""

    yes: int = 0
    no: int = 0
    none: int = 0
    old: int = 0
    oldest: datetime | None = None
    carriers: tuple[Carrier, ...] = ()

    @property
    def total(self) -> int:
        """How many numbers there are."""
        return self.yes + self.no + self.none

    @property
    def stale(self) -> int:
        """How many numbers are worth asking about again."""
        return self.old + self.none


@dataclass(frozen=True)
class Row:
    """A number and what Sinch last said about it; `portable` None without an answer."""

    number: str
    portable: bool | None
    carrier: str
    reason: str
    checked_at: datetime | None

    @property
    def is_old(self) -> bool:
        """Whether the answer is too old to send an order on."""
        return self.checked_at is not None and self.checked_at < timezone.now() - CHECK_HOLDS


@dataclass(frozen=True)
class Filters:
    """What of a run is looked at; all of it stands in the address."""

    verdict: str = ""
    carrier: str = ""  # NOT_SAID for numbers without one
    q: str = ""  # digits of the number
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> "Filters":
        """Read them from an address; what is no filter counts as none."""
        verdict, page = query.get("verdict", ""), query.get("page", "")
        return cls(
            verdict=verdict if verdict in VERDICTS else "",
            carrier=query.get("carrier", "").replace("\0", "")[:120],
            q="".join(c for c in query.get("q", "") if c in "0123456789")[:15],
            page=whole(page, 99_999) or 1,
        )

    @property
    def url(self) -> str:
        """The address of the same view, from "?" on."""
        given = {name: value for name, value in vars(self).items() if value and value != 1}
        return f"?{urlencode(given)}"

    def but(self, **changed: Any) -> str:
        """Return the address with other filters, from its first page."""
        return replace(self, **{"page": 1} | changed).url

    @property
    def is_narrowed(self) -> bool:
        """Whether anything is left out."""
        return bool(self.verdict or self.carrier or self.q)

    def sql(self, run: PortabilityRun) -> tuple[str, dict[str, Any]]:
        """Return the FROM and WHERE of the numbers looked at, with their values."""
        parts: list[str] = []
        values: dict[str, Any] = {"run": run.pk, "since": timezone.now() - CHECK_HOLDS}
        if self.verdict:
            parts.append(VERDICTS[self.verdict][1])
        if self.carrier == NOT_SAID:
            parts.append("answer.carrier = ''")
        elif self.carrier:
            parts.append("answer.carrier = %(carrier)s")
            values["carrier"] = self.carrier
        if self.q:
            parts.append("asked.number LIKE %(digits)s")
            values["digits"] = f"%{self.q}%"
        return _FROM + "".join(f" AND {part}" for part in parts), values


@dataclass(frozen=True)
class Rows:
    """A page of rows."""

    rows: list[Row]
    count: int
    text: str = ""
    back_url: str = ""
    on_url: str = ""


@dataclass(frozen=True)
class Choice:
    """A verdict to filter by, with how many numbers have it."""

    label: str
    count: int
    url: str
    is_chosen: bool


@dataclass(frozen=True)
class Answers:
    """Everything a page says about a run."""

    run: PortabilityRun
    filters: Filters
    sums: Sums
    page: Rows = field(default_factory=lambda: Rows([], 0))

    @property
    def verdicts(self) -> list[Choice]:
        """The verdicts there are, as filters."""
        counts = {name: getattr(self.sums, name) for name in VERDICTS}
        return [
            Choice("All", self.sums.total, self.filters.but(verdict=""), not self.filters.verdict),
            *(
                Choice(
                    label,
                    counts[name],
                    self.filters.but(verdict=name),
                    self.filters.verdict == name,
                )
                for name, (label, _) in VERDICTS.items()
                if counts[name] or self.filters.verdict == name
            ),
        ]

    @property
    def carriers(self) -> list[Carrier]:
        """The losing carriers as filters; a second click takes the filter away."""
        found = []
        for carrier in self.sums.carriers:
            key = carrier.name or NOT_SAID
            chosen = self.filters.carrier == key
            url = self.filters.but(carrier="" if chosen else key)
            found.append(replace(carrier, url=url, is_chosen=chosen))
        return found

    @property
    def carrier_name(self) -> str:
        """The chosen carrier as a sentence names it; "" for all."""
        chosen = self.filters.carrier
        return "no carrier named" if chosen == NOT_SAID else chosen

    @property
    def without_carrier(self) -> str:
        """The address without the carrier filter."""
        return self.filters.but(carrier="")

    @property
    def first_page(self) -> str:
        """The address of the first page of the same view."""
        return self.filters.but()

    @property
    def everything(self) -> str:
        """The address without any filter."""
        return Filters().url

    @property
    def looked_for(self) -> str:
        """What was looked for, for a page on which nothing matches."""
        asked = self.filters
        said = [VERDICTS[asked.verdict][0]] if asked.verdict else []
        said += [self.carrier_name] if asked.carrier else []
        said += [f"with {asked.q} in the number"] if asked.q else []
        return f"We looked for: {', '.join(said)}." if said else ""

    @property
    def to_order(self) -> int:
        """How many numbers an order made from here would have: portable, of the carrier chosen."""
        if not self.filters.carrier:
            return self.sums.yes
        return sum(carrier.yes for carrier in self.carriers if carrier.is_chosen)


def sums_of(run: PortabilityRun) -> Sums:
    """Return the answers of a run, counted in one statement."""
    frm, values = Filters().sql(run)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT answer.portable, coalesce(answer.carrier, ''), count(*), "
            "count(*) FILTER (WHERE answer.checked_at < %(since)s), min(answer.checked_at)"
            f"{frm} GROUP BY 1, 2",
            values,
        )
        groups = cursor.fetchall()
    carriers: dict[str, Carrier] = {}
    for portable, name, count, _, _ in groups:
        if portable is not None:
            was = carriers.get(name, Carrier(name, 0, 0))
            carriers[name] = replace(
                was, yes=was.yes + count * portable, no=was.no + count * (not portable)
            )
    return Sums(
        yes=sum(group[2] for group in groups if group[0]),
        no=sum(group[2] for group in groups if group[0] is False),
        none=sum(group[2] for group in groups if group[0] is None),
        old=sum(group[3] for group in groups),
        oldest=min((group[4] for group in groups if group[4]), default=None),
        carriers=tuple(sorted(carriers.values(), key=lambda one: (-one.total, one.name))),
    )


_COLUMNS: Final = (
    "asked.number, answer.portable, coalesce(answer.carrier, ''), coalesce(answer.reason, ''), "
    "answer.checked_at"
)


def page_of(run: PortabilityRun, filters: Filters) -> Rows:
    """Return a page of the numbers looked at, by number."""
    frm, values = filters.sql(run)
    start = (filters.page - 1) * PAGE
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS}, count(*) OVER () {frm} "
            "ORDER BY asked.number LIMIT %(limit)s OFFSET %(start)s",
            values | {"limit": PAGE, "start": start},
        )
        found = cursor.fetchall()
    count = found[0][5] if found else 0
    return Rows(
        rows=[Row(*row[:5]) for row in found],
        count=count,
        text=f"{start + 1:,} to {start + len(found):,} of {count:,}",
        back_url=replace(filters, page=filters.page - 1).url if filters.page > 1 else "",
        on_url=replace(filters, page=filters.page + 1).url if start + PAGE < count else "",
    )


def every_row(run: PortabilityRun, filters: Filters) -> Iterator[Row]:
    """Yield all the numbers looked at, by number, without holding more than a part of them."""
    frm, values = filters.sql(run)
    last = ""
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {_COLUMNS} {frm} AND asked.number > %(last)s "
                "ORDER BY asked.number LIMIT %(limit)s",
                values | {"last": last, "limit": AT_ONCE},
            )
            found = cursor.fetchall()
        yield from (Row(*row) for row in found)
        if len(found) < AT_ONCE:
            return
        last = found[-1][0]


def portable_numbers(run: PortabilityRun, carrier: str) -> list[str]:
    """Return the numbers that can move, of one carrier or of all, by number."""
    filters = Filters(verdict="yes", carrier=carrier)
    return [row.number for row in every_row(run, filters)]


def answers_of(run: PortabilityRun, filters: Filters) -> Answers:
    """Return what the page of a run shows: two statements, whatever its size."""
    return Answers(run, filters, sums_of(run), page_of(run, filters))


def last_runs() -> QuerySet[PortabilityRun]:
    """Return the latest checks of everybody, without their numbers."""
    return (
        PortabilityRun.objects.select_related("by", "draft")
        .defer("numbers", "draft__data")
        .order_by("-created_at")[:LAST_RUNS]
    )


def lede_of(sums: Sums) -> str:
    """Return what a run says, in a sentence."""
    if not sums.yes and not sums.no:
        return "Sinch has said nothing about these numbers yet."
    said = f"{words.count_text(sums.yes, 'number')} can move"
    said += f", {sums.no:,} cannot" if sums.no else ""
    return f"{said}; {sums.none:,} without an answer." if sums.none else f"{said}."
