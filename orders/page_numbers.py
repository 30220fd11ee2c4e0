"""The numbers of an order as its page shows them: by carrier group, by cause, in runs."""

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.db.models import JSONField, Value
from django.db.models.functions import NullIf
from django.urls import reverse
from django.utils.dateparse import parse_datetime, parse_time
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from orders import wire
from orders.causes import Cause, causes_of, repeated
from orders.models import PortInNumber, PortInOrder
from portal import words
from portal.numbers import is_canadian, sought, why_no_number
from portal.prepared import Prepared
from portal.values import whole

FIRST_ROWS = 100  # as many numbers come with the page; the rest on demand
FIRST_RUNS = 16
MOST_NAMED = 6  # runs of numbers at the beginning of an explanation
# Bad news first, as staff look for it.
STATUS_ORDER = ("REJECTED", "EXCLUDED", "PENDING", "CONFIRMED", "ACTIVATED", "CANCELED")
TROUBLE = ("REJECTED", "EXCLUDED")


@dataclass(frozen=True)
class Look:
    """Which numbers of an order somebody wants to see, and how; it stands in the page's address.

    `rows` is how many rows or runs ("" for the first, "all", or a count), `view` "runs" or "rows"
    ("" for what suits the order), `status` one of Sinch's words, `q` digits to look for, or what
    was typed in their place, which no number fits.
    """

    rows: str = ""
    view: str = ""
    status: str = ""
    q: str = ""

    @classmethod
    def asked(cls, params: Mapping[str, str]) -> "Look":
        """Return what the parameters of a request ask for; what makes no sense is left out."""
        rows, view = params.get("rows", ""), params.get("view", "")
        return cls(
            rows=rows if rows == "all" or whole(rows, 9_999) is not None else "",
            view=view if view in ("runs", "rows") else "",
            status=params.get("status", "").upper()[:32],
            q=sought(params.get("q", "")),
        )

    def most(self, first: int, there: int) -> int:
        """Return how many are shown of as many as there are, `first` when nothing was asked."""
        if self.rows == "all":
            return there
        return max(first, int(self.rows or 0))

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a number is one of those asked for."""
        if self.status and row["status"] != self.status:
            return False
        return not self.problem and self.q in row["phone_number"]

    def address(self, **changes: str) -> str:
        """Return the query of an address with some of it changed: `?view=rows&status=REJECTED`."""
        given = {"view": self.view, "status": self.status, "q": self.q, "rows": ""} | changes
        return "?" + urlencode({name: value for name, value in given.items() if value})

    @property
    def problem(self) -> str:
        """Why no number can fit, "" when some may."""
        return why_no_number(self.q)

    # What templates ask for, which cannot pass arguments.

    @property
    def as_runs(self) -> str:
        """The address of the same numbers as runs."""
        return self.address(view="runs")

    @property
    def as_rows(self) -> str:
        """The address of the same numbers one by one."""
        return self.address(view="rows")

    @property
    def everything(self) -> str:
        """The address of all rows or runs that fit."""
        return self.address(rows="all")

    @property
    def next_rows(self) -> str:
        """The address that shows a hundred more."""
        return self.address(rows=str(self.most(FIRST_ROWS, 0) + FIRST_ROWS))

    @property
    def nothing(self) -> str:
        """The address without anything asked for."""
        return "?view=rows#h-numbers" if self.view == "rows" else "?#h-numbers"

    @property
    def any_status(self) -> str:
        """The address without a status."""
        return self.address(status="")

    @property
    def is_narrow(self) -> bool:
        """Whether some numbers may be missing for what was asked."""
        return bool(self.status or self.q)


EVERYTHING = Look(rows="all")


@dataclass
class Run:
    """Neighbouring numbers of a carrier group that share status, date and what Sinch says."""

    first: dict[str, Any]
    last: dict[str, Any]
    count: int = 1

    @property
    def digits(self) -> str:
        """How a form names it: `12065550117-12065550118`, `12065550144` for a single number."""
        begin, end = (row["phone_number"].lstrip("+") for row in (self.first, self.last))
        return begin if self.count == 1 else f"{begin}-{end}"

    @property
    def until(self) -> str:
        """The end as it is read beside the beginning: `to 0118`; "" for a single number."""
        return f"to {self.last['phone_number'][-4:]}" if self.count > 1 else ""


@dataclass
class Refusal:
    """Numbers of one group that share a trouble and its reason, and what is known of it."""

    status: str
    reason: str
    numbers: list[str] = field(default_factory=list)
    causes: tuple[Cause, ...] = ()
    steps: list["Step"] = field(default_factory=list)
    tip: str = ""
    # The numbers that were refused before, by each cause that is the same again.
    again: dict[Cause, list[str]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """`2 numbers rejected`, `1 number excluded`."""
        done = "rejected" if self.status == "REJECTED" else "excluded"
        return f"{words.count_text(len(self.numbers), 'number')} {done}"

    @property
    def as_runs(self) -> str:
        """The numbers, neighbours drawn together: `+1 206 555 0117 to 0119, +1 …`."""
        return runs_text(self.numbers)

    @property
    def named(self) -> SafeString:
        """The numbers an explanation begins with, a few runs of them; none is broken."""
        return named_runs(self.numbers)

    @property
    def again_text(self) -> SafeString:
        """That its numbers were refused for the same before; "" when none was."""
        return again_text(self.again, self.numbers)

    @property
    def shared(self) -> str:
        """`Same reason for both numbers.`; "" for a single one."""
        count = len(self.numbers)
        if count < 2:
            return ""
        return f"Same reason for {'both' if count == 2 else f'all {count}'} numbers."

    @property
    def is_terminal(self) -> bool:
        """Whether nothing can be mended, by a new order neither."""
        return any(cause.remedy == "terminal" for cause in self.causes)


@dataclass
class Group:
    """The numbers of one carrier group, in the order of the order."""

    name: str
    group: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    shown: list[dict[str, Any]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    when: str = ""

    @property
    def summary(self) -> str:
        """`4 numbers · 2 rejected, 2 pending`."""
        counts = Counter(row["status"] for row in self.rows)
        total = words.count_text(len(self.rows), "number")
        chips = {status: words.chip("number", status) for status in counts}
        said = {s: chip.label if chip.raw else chip.label.lower() for s, chip in chips.items()}
        if len(counts) == 1:
            (only,) = said.values()
            return f"{total} · {'all ' if len(self.rows) > 1 else ''}{only}"
        parts = ", ".join(f"{counts[s]} {said[s]}" for s in sorted(counts, key=_rank))
        return f"{total} · {parts}"


@dataclass
class Numbers:
    """All numbers of an order as the page shows them."""

    groups: list[Group]
    total: int
    shown: int
    tally: list[tuple[str, int]]
    carriers: int
    live: int
    counted: int
    parts: list[tuple[str, int]]
    refusals: list[Refusal]
    fitting: int  # how many numbers fit what was asked for
    runs_total: int  # as how many runs they can be shown
    look: Look

    @property
    def title(self) -> str:
        """`12 numbers, 3 carriers`."""
        carriers = f", {words.count_text(self.carriers, 'carrier')}" if self.carriers else ""
        return f"{words.count_text(self.total, 'number')}{carriers}"

    @property
    def is_long(self) -> bool:
        """Whether causes come first and rows in steps."""
        return self.total > FIRST_ROWS

    @property
    def in_runs(self) -> bool:
        """Whether neighbours are drawn together; a long order begins that way."""
        return self.is_long and self.look.view != "rows"

    @property
    def runs_shown(self) -> int:
        """How many runs are shown."""
        return sum(len(group.runs) for group in self.groups)

    @property
    def runs_hidden(self) -> int:
        """How many runs are not shown."""
        return self.runs_total - self.runs_shown

    @property
    def in_trouble(self) -> int:
        """How many numbers are refused or left out."""
        return sum(len(refusal.numbers) for refusal in self.refusals)

    @property
    def next_count(self) -> int:
        """How many rows the next step adds."""
        return min(FIRST_ROWS, self.fitting - self.shown)

    @property
    def filters(self) -> list[tuple[str, int, str]]:
        """Each status there is with its count and the address that shows only it."""
        return [(status, n, self.look.address(status=status)) for status, n in self.tally]

    @property
    def left_out(self) -> int:
        """How many do not count towards "live"."""
        return self.total - self.counted


def _rank(status: str) -> int:
    return STATUS_ORDER.index(status) if status in STATUS_ORDER else len(STATUS_ORDER)


def runs_text(numbers: Iterable[str]) -> str:
    """Return numbers as they are read, neighbours drawn together to `… to 0119`."""
    told: list[str] = []
    run: list[str] = []

    def close() -> None:
        if run:
            first = words.phone_text(run[0])
            told.append(first if len(run) == 1 else f"{first} to {run[-1][-4:]}")

    for number in sorted(numbers):
        if not run or not _are_neighbours(run[-1], number):
            close()
            run = []
        run.append(number)
    close()
    return ", ".join(told)


def named_runs(numbers: Iterable[str]) -> SafeString:
    """Return numbers as they are read, a few runs of them; none is broken."""
    runs = runs_text(numbers).split(", ")
    shown = ((run,) for run in runs[:MOST_NAMED])
    told = format_html_join(", ", '<span class="phone">{}</span>', shown)
    return told if len(runs) <= MOST_NAMED else format_html("{} and more", told)


def again_text(again: Mapping[Cause, Sequence[str]], numbers: Sequence[str]) -> SafeString:
    """Return the sentence `Refused again for the same cause: PIN.`; "" for none that is the same.

    `again` are the numbers of each cause; they are named where not all of `numbers` are meant.
    """
    told = [
        format_html("{}", cause.name)
        if len(some) == len(numbers)
        else format_html("{}, for {}", cause.name, named_runs(some))
        for cause, some in again.items()
        if some
    ]
    if not told:
        return SafeString()
    said = format_html_join("; ", "{}", ((one,) for one in told))
    which = "cause" if len(told) == 1 else "causes"
    return format_html("<b>Refused again for the same {}:</b> {}.", which, said)


def _are_neighbours(number: str, following: str) -> bool:
    """Tell whether a number comes right after another in the same block of ten thousand."""
    return (
        number[1:].isdigit()
        and following[1:].isdigit()
        and int(following[1:]) == int(number[1:]) + 1
        and following[:-4] == number[:-4]
    )


def _runs(rows: Iterable[dict[str, Any]]) -> list[Run]:
    runs: list[Run] = []
    shown: tuple[Any, ...] = ()
    for row in sorted(rows, key=lambda row: str(row["phone_number"])):
        shows = (row["status"], row["foc_date"], _said(row), live_since(row))
        if (
            runs
            and shows == shown
            and _are_neighbours(runs[-1].last["phone_number"], row["phone_number"])
        ):
            runs[-1].last = row
            runs[-1].count += 1
        else:
            runs.append(Run(row, row))
        shown = shows
    return runs


def _said(row: dict[str, Any]) -> str:
    if not (row["reject_reason"] or row["exclusion_reason"] or row["excluded"]):
        return ""
    reason = row["reject_reason"] if row["status"] == "REJECTED" else ""
    reason = (
        reason
        or row["exclusion_reason"]
        or (row["reject_reason"] if row["status"] in TROUBLE else "")
    )
    return "; ".join(part for part in (reason, *_features(row["excluded"])) if part)


def _features(features: Any) -> list[str]:
    return [
        f"{wire.feature_text(feature.get('featureName'))} left out"
        + (f": {feature['exclusionReason']}" if feature.get("exclusionReason") else "")
        for feature in features or ()
        if isinstance(feature, dict)
    ]


def live_since(row: Mapping[str, Any]) -> str:
    """Return since when a number is live, as it is read; "" when it is not or no day is told."""
    if row["status"] != "ACTIVATED":
        return ""
    at = parse_datetime(row["activated_at"]) if len(row["activated_at"]) > 10 else None
    if at is None:
        return ""
    return words.moment_text(at if at.tzinfo else at.replace(tzinfo=datetime.UTC))


def live_time(row: dict[str, Any], accepted: datetime.datetime) -> str:
    """Return when a number went live where Sinch names no day, only a time in UTC: `14:07`."""
    at = parse_time(row["activated_at"]) if row["status"] == "ACTIVATED" else None
    return words.clock_text(datetime.datetime.combine(accepted, at, datetime.UTC)) if at else ""


_rows = Prepared(
    lambda order: (
        PortInNumber.objects.filter(order=order)
        .order_by("position")
        .values(
            "pk",
            "phone_number",
            "status",
            "group",
            "losing_carrier",
            "foc_date",
            "reject_reason",
            "exclusion_reason",
            "activated_at",
            # Nearly always an empty list: nothing is quicker to read than that.
            excluded=NullIf("excluded_features", Value([], JSONField())),
            before=NullIf("refused_before", Value([], JSONField())),
        )
    )
)


def numbers_of(order: PortInOrder, *, every: bool = False, look: Look | None = None) -> Numbers:
    """Return the numbers by carrier group; one statement.

    Counts and causes are of the whole order; rows and runs are those that `look` asks for, else
    the first hundred, or all of them with `every`.
    """
    look = look or (EVERYTHING if every else Look())
    rows: list[dict[str, Any]] = _rows.all(order.pk)
    groups: dict[tuple[str, str], Group] = {}
    for row in rows:
        key = (row["losing_carrier"], row["group"])
        if key not in groups:
            groups[key] = Group(
                name=row["losing_carrier"] or row["group"] or "Carrier not named yet",
                group=row["group"] if row["losing_carrier"] else "",
            )
        groups[key].rows.append(row)
    fitting = 0
    left = look.most(FIRST_ROWS, len(rows))
    for group in groups.values():
        fits = [row for row in group.rows if look.fits(row)] if look.is_narrow else group.rows
        fitting += len(fits)
        group.shown = fits[: max(0, left)]
        left -= len(group.shown)
        group.refusals = _refusals(order, group.rows, len(rows))
        if group.refusals and len(rows) <= FIRST_ROWS:
            _trouble_first(group)
        group.when = _when(order, group.rows)
    runs_total = 0
    if len(rows) > FIRST_ROWS and look.view != "rows":
        runs_total = _draw_together(groups.values(), look)
        _put_in_words(order, (run.first for group in groups.values() for run in group.runs))
    else:
        _put_in_words(order, (row for group in groups.values() for row in group.shown))
    counts = Counter(row["status"] for row in rows)
    counted = len(rows) - counts["EXCLUDED"] - counts["CANCELED"]
    return Numbers(
        look=look,
        fitting=fitting,
        runs_total=runs_total,
        groups=list(groups.values()),
        total=len(rows),
        shown=sum(len(group.shown) for group in groups.values()),
        tally=[(status, counts[status]) for status in sorted(counts, key=_rank)],
        carriers=len({group.name for group in groups.values() if group.rows[0]["losing_carrier"]}),
        live=counts["ACTIVATED"],
        counted=counted,
        parts=[
            ("done", counts["ACTIVATED"]),
            ("date", counts["CONFIRMED"]),
            ("wait", counts["PENDING"]),
            ("bad", counts["REJECTED"]),
        ],
        refusals=_refusals(order, rows, len(rows)),
    )


def _put_in_words(order: PortInOrder, rows: Iterable[dict[str, Any]]) -> None:
    """Add to the rows that are shown what they show: text, address, day, what Sinch says."""
    before, after = reverse("orders:number", args=[order.pk, "0"]).rsplit("0", 1)
    days: dict[datetime.date | None, str] = {}
    for row in rows:
        row["digits"] = digits = row["phone_number"].lstrip("+")
        row["url"] = f"{before}{digits}{after}"
        row["text"] = words.phone_text(row["phone_number"])
        day = row["foc_date"]
        if day not in days:
            days[day] = words.day_text(day)
        row["day"] = days[day]
        row["said"], row["since"] = _said(row), live_since(row)


def _draw_together(groups: Iterable[Group], look: Look) -> int:
    """Fill in the runs of each group as far as they are shown; return how many there are."""
    every = [(group, _runs(row for row in group.rows if look.fits(row))) for group in groups]
    total = sum(len(runs) for _, runs in every)
    left = look.most(FIRST_RUNS, total)
    if total - left == 1:
        left = total  # a button that shows one more line takes as much room as the line
    for group, runs in every:
        group.runs = runs[: max(0, left)]
        left -= len(group.runs)
    return total


def _refusals(order: PortInOrder, rows: list[dict[str, Any]], total: int) -> list[Refusal]:
    """Return the refused and left out numbers by reason; `total` is how many the order has."""
    found: dict[tuple[str, str], Refusal] = {}
    for row in rows:
        if row["status"] in TROUBLE:
            key = _trouble(row)
            if key not in found:
                found[key] = Refusal(*key, causes=causes_of(key[1]))
            found[key].numbers.append(row["phone_number"])
            if row["before"] and row["status"] == "REJECTED":
                for cause in repeated(key[1], row["before"]):
                    found[key].again.setdefault(cause, []).append(row["phone_number"])
    for refusal in found.values():
        refusal.steps = _steps(order, refusal)
        refusal.tip = _tip(refusal, total)
    return sorted(found.values(), key=lambda one: (_rank(one.status), -len(one.numbers)))


def refusal_of(order: PortInOrder, number: PortInNumber) -> Refusal | None:
    """Return why one number does not move and how that is mended; None when nothing keeps it."""
    row = {
        "phone_number": number.phone_number,
        "status": number.status,
        "reject_reason": number.reject_reason,
        "exclusion_reason": number.exclusion_reason,
        "before": number.refused_before,
    }
    return next(iter(_refusals(order, [row], order.item.counted)), None)


def _trouble(row: dict[str, Any]) -> tuple[str, str]:
    """Return what numbers of one refusal share: their status and its reason."""
    first, other = row["reject_reason"], row["exclusion_reason"]
    reason = first or other if row["status"] == "REJECTED" else other or first
    return row["status"], reason


def _trouble_first(group: Group) -> None:
    """Put the rows of each refusal together before the others; the last of them has it told."""
    places = {(one.status, one.reason): at for at, one in enumerate(group.refusals)}
    last: dict[int, dict[str, Any]] = {}

    def place(row: dict[str, Any]) -> int:
        return places[_trouble(row)] if row["status"] in TROUBLE else len(places)

    group.shown = sorted(group.shown, key=place)
    for row in group.shown:
        if row["status"] in TROUBLE:
            last[place(row)] = row
    for at, row in last.items():
        row["refusal"] = group.refusals[at]


def fix_url(order: PortInOrder, cause: Cause, numbers: Sequence[str] = ()) -> str:
    """Return the edit page opened at the fields of a cause; all its numbers unless some."""
    asked = {"fix": cause.key} | (
        {"n": ".".join(n.lstrip("+") for n in numbers)} if numbers else {}
    )
    return f"{reverse('orders:edit', args=[order.pk])}?{urlencode(asked)}"


def _steps(order: PortInOrder, refusal: Refusal) -> list["Step"]:
    """Return the buttons under a refusal while the order can be changed, one for each place."""
    places = {"upload": "#upload", "composer": "#composer"}
    steps: dict[str, Step] = {}
    for cause in refusal.causes:
        url = places.get(cause.place, "")
        if cause.edits and refusal.status == "REJECTED":
            url = fix_url(order, cause, () if cause.is_of_order else refusal.numbers)
        if url:
            steps.setdefault(url, Step(cause.button(len(refusal.numbers)), url))
    if refusal.again:
        steps.setdefault("#upload", Step("Upload record", "#upload"))
    if not refusal.causes and refusal.status == "REJECTED":
        return [Step("Ask Sinch", "#composer")]
    return list(steps.values()) if refusal.status == "REJECTED" else []


def _tip(refusal: Refusal, total: int) -> str:
    """Return the rule to quote when a single US line is refused over its name or address."""
    named = {cause.key for cause in refusal.causes} & {"name", "address"}
    if total > 1 or not named or is_canadian(refusal.numbers[0]):
        return ""
    return (
        "For a single US line a carrier may ask no more of the customer than the number, the "
        "account number, the ZIP and a passcode if there is one (47 CFR 52.36)."
    )


def _when(order: PortInOrder, rows: list[dict[str, Any]]) -> str:
    dates = {row["foc_date"] for row in rows if row["status"] == "CONFIRMED"}
    if len(dates) != 1 or not (foc := dates.pop()):
        return ""
    if order.on_demand_activation:
        return f"We can activate from {words.day_text(foc)}"
    when = words.port_moment_text(foc, order.desired_port_time, zone_of(order))
    return f"Go live {when}"


def zone_of(order: PortInOrder) -> str:
    """Return the zone of the order's port moment, the project's default when it names none."""
    return order.desired_port_time_zone or order.project.default_port_time_zone


@dataclass
class Step:
    """The one primary button of the page."""

    words: str
    url: str


# --- As a file --------------------------------------------------------------------------------

CSV_TITLES = (
    "Number",
    "Status",
    "Losing carrier",
    "Carrier group",
    "FOC date",
    "Reject reason",
    "Exclusion reason",
    "Excluded features",
    "Confirmed",
    "Activated",
    "Activated by",
    "Country",
)


def csv_rows(order: PortInOrder, look: Look) -> Iterator[tuple[Any, ...]]:
    """Yield the numbers that fit, in the order of the order; one statement."""
    names = (
        *("phone_number", "status", "losing_carrier", "group", "foc_date", "reject_reason"),
        *("exclusion_reason", "excluded_features", "confirmed_at", "activated_at"),
        *("activate_user", "country_code"),
    )
    rows = PortInNumber.objects.filter(order=order).order_by("position")
    for row in rows.values(*names).iterator():
        if look.fits(row):
            row["excluded_features"] = "; ".join(_features(row["excluded_features"]))
            yield tuple(row[name] for name in names)
