"""The numbers of an order as its page shows them: by carrier group, by cause, in runs."""

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.dateparse import parse_datetime, parse_time

from orders.causes import Cause, causes_of
from orders.models import PortInNumber, PortInOrder
from orders.numbers import is_canadian
from portal import words

FIRST_ROWS = 100  # as many numbers come with the page; the rest on demand


# Bad news first, as staff look for it.
STATUS_ORDER = ("REJECTED", "EXCLUDED", "PENDING", "CONFIRMED", "ACTIVATED", "CANCELED")


TROUBLE = ("REJECTED", "EXCLUDED")


@dataclass
class Refusal:
    """Numbers of one group that share a trouble and its reason, and what is known of it."""

    status: str
    reason: str
    numbers: list[str] = field(default_factory=list)
    causes: tuple[Cause, ...] = ()
    steps: list["Step"] = field(default_factory=list)
    tip: str = ""

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
    refusals: list[Refusal] = field(default_factory=list)
    when: str = ""

    @property
    def summary(self) -> str:
        """`4 numbers · 2 rejected, 2 pending`."""
        counts = Counter(row["status"] for row in self.rows)
        total = words.count_text(len(self.rows), "number")
        said = {s: words.chip("number", s).label.lower() for s in counts}
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
        follows = (
            run
            and number[1:].isdigit()
            and run[-1][1:].isdigit()
            and int(number[1:]) == int(run[-1][1:]) + 1
            and number[:-4] == run[-1][:-4]
        )
        if not follows:
            close()
            run = []
        run.append(number)
    close()
    return ", ".join(told)


def _said(row: dict[str, Any]) -> str:
    reason = row["reject_reason"] if row["status"] == "REJECTED" else ""
    reason = (
        reason
        or row["exclusion_reason"]
        or (row["reject_reason"] if row["status"] in TROUBLE else "")
    )
    features = [
        f"{feature.get('featureName') or 'A feature'} left out"
        + (f": {feature['exclusionReason']}" if feature.get("exclusionReason") else "")
        for feature in row["excluded_features"] or ()
        if isinstance(feature, dict)
    ]
    return "; ".join(part for part in (reason, *features) if part)


def _live_since(row: dict[str, Any]) -> str:
    at = parse_datetime(row["activated_at"]) if len(row["activated_at"]) > 10 else None
    if at is None:
        return ""
    return words.moment_text(at if at.tzinfo else at.replace(tzinfo=datetime.UTC))


def live_time(row: dict[str, Any], accepted: datetime.datetime) -> str:
    """Return when a number went live where Sinch names no day, only a time in UTC: `14:07`."""
    at = parse_time(row["activated_at"]) if row["status"] == "ACTIVATED" else None
    return words.clock_text(datetime.datetime.combine(accepted, at, datetime.UTC)) if at else ""


def numbers_of(order: PortInOrder, *, every: bool = False) -> Numbers:
    """Return the numbers by carrier group; one statement. The first hundred unless `every`."""
    rows: list[dict[str, Any]] = [
        dict(row)
        for row in PortInNumber.objects.filter(order=order)
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
            "excluded_features",
            "activated_at",
        )
    ]
    groups: dict[tuple[str, str], Group] = {}
    for row in rows:
        key = (row["losing_carrier"], row["group"])
        if key not in groups:
            groups[key] = Group(
                name=row["losing_carrier"] or row["group"] or "Carrier not named yet",
                group=row["group"] if row["losing_carrier"] else "",
            )
        row["said"] = _said(row)
        row["since"] = _live_since(row) if row["status"] == "ACTIVATED" else ""
        groups[key].rows.append(row)
    left = len(rows) if every else FIRST_ROWS
    for group in groups.values():
        group.shown = group.rows[: max(0, left)]
        left -= len(group.shown)
        group.refusals = _refusals(order, group.rows, len(rows))
        group.when = _when(order, group.rows)
    counts = Counter(row["status"] for row in rows)
    counted = len(rows) - counts["EXCLUDED"] - counts["CANCELED"]
    return Numbers(
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


def _refusals(order: PortInOrder, rows: list[dict[str, Any]], total: int) -> list[Refusal]:
    """Return the refused and left out numbers by reason; `total` is how many the order has."""
    found: dict[tuple[str, str], Refusal] = {}
    for row in rows:
        if row["status"] in TROUBLE:
            reason = (
                row["reject_reason"] or row["exclusion_reason"]
                if row["status"] == "REJECTED"
                else row["exclusion_reason"] or row["reject_reason"]
            )
            refusal = found.setdefault(
                (row["status"], reason), Refusal(row["status"], reason, causes=causes_of(reason))
            )
            refusal.numbers.append(row["phone_number"])
    for refusal in found.values():
        refusal.steps = _steps(order, refusal)
        refusal.tip = _tip(refusal, total)
    return sorted(found.values(), key=lambda one: (_rank(one.status), -len(one.numbers)))


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
        return f"Ready for us from {words.day_text(foc)} on"
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
