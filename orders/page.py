"""What the page of an order shows, gathered in few statements whatever the size of the order."""

import datetime
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib.postgres.expressions import ArraySubquery
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import (
    BooleanField,
    Case,
    CharField,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Cast, Concat, JSONObject
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime, parse_time

from orders import actions_order as actions
from orders import dates
from orders.buckets import zone_named
from orders.causes import CAUSES, Cause, causes_of
from orders.models import OrderDocument, OrderNote, PortInNumber, PortInOrder
from orders.numbers import is_canadian
from portal import words
from portal.accounts.models import User
from portal.operations.models import Operation, Reading
from portal.work.models import TeamNote, TimelineEntry

FIRST_ROWS = 100  # as many numbers come with the page; the rest on demand
FIRST_ENTRIES = 40
MOST_ENTRIES = 1000
MOST_PANELS = 5
# Bad news first, as staff look for it.
STATUS_ORDER = ("REJECTED", "EXCLUDED", "PENDING", "CONFIRMED", "ACTIVATED", "CANCELED")
TROUBLE = ("REJECTED", "EXCLUDED")
VOICE = {"RTC": ("App", "appId"), "EST": ("SIP trunk", "trunkId"), "FAX": ("Fax", "serviceId")}


# --- One statement for the order and most of what hangs on it --------------------------------


def _person(prefix: str) -> dict[str, Any]:
    return {
        "first": f"{prefix}__first_name",
        "last": f"{prefix}__last_name",
        "login": f"{prefix}__username",
    }


def with_mark(orders: QuerySet[PortInOrder]) -> QuerySet[Any]:
    """Add `mark`: everything that makes an open page out of date when it differs."""
    reading = Reading.objects.filter(
        kind=actions.READER, project=OuterRef("project"), resource_id=OuterRef("sinch_id")
    ).values(
        json=JSONObject(
            read_at="read_at",
            trouble="last_error",
            waits=Case(
                When(Q(read_at=None) | Q(requested_at__gt=F("read_at")), then=Value(True)),
                default=Value(False),
                output_field=BooleanField(),
            ),
        )
    )
    unseen = (
        Operation.objects.filter(
            target=Concat(Value("port_in:"), Cast(OuterRef("pk"), CharField())), seen_at=None
        )
        .order_by("pk")
        .values(json=JSONObject(pk="pk", state="state", attempts="attempts"))
    )
    return orders.annotate(
        mark=JSONObject(
            version="item__version", reading=Subquery(reading[:1]), unseen=ArraySubquery(unseen)
        )
    )


def mark_of(pk: int) -> Subquery:
    """Return the mark of one order as an expression, to be asked for with the person."""
    marks = with_mark(PortInOrder.objects.filter(pk=pk)).values_list("mark")
    return Subquery(marks[:1])


def token_of(mark: Any) -> str:
    """Return the short text an open page asks by."""
    text = json.dumps(mark, sort_keys=True, cls=DjangoJSONEncoder)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def load(pk: int) -> PortInOrder:
    """Return the order with its item, owner, notes, documents and mark in one statement.

    Raises Http404. The payload is not loaded; `first_number` is the first entry of it.
    """
    notes = (
        OrderNote.objects.filter(order=OuterRef("pk"))
        .order_by("created_at", "pk")
        .values(
            json=JSONObject(
                text="text",
                at="created_at",
                created_by="created_by",
                ours="operation_id",
                arrived="operation__finished_at",
                **_person("operation__by"),
            )
        )
    )
    documents = (
        OrderDocument.objects.filter(order=OuterRef("pk"))
        .order_by("created_at", "pk")
        .values(
            json=JSONObject(
                pk="pk",
                name="name",
                description="description",
                kind="kind",
                size="size",
                at="created_at",
                sinch_id="sinch_id",
                state="operation__state",
                arrived="operation__finished_at",
                kept=ExpressionWrapper(Q(content__isnull=False), output_field=BooleanField()),
            )
        )
    )
    found = with_mark(
        PortInOrder.objects.select_related("item__assignee", "project")
        .defer("payload", "project__key_secret", "item__search")
        .annotate(
            note_rows=ArraySubquery(notes),
            document_rows=ArraySubquery(documents),
            first_number=F("payload__phoneNumbers__0"),
        )
    )
    return get_object_or_404(found, pk=pk)


# --- Parts ----------------------------------------------------------------------------------


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


def _live_time(row: dict[str, Any], accepted: datetime.datetime) -> str:
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
class Note:
    """One note of the conversation."""

    text: str
    at: datetime.datetime | None
    ours: bool
    by: str
    arrived: datetime.datetime | None


def _moment(value: Any) -> datetime.datetime | None:
    return parse_datetime(value) if isinstance(value, str) else None


def _name(row: dict[str, Any]) -> str:
    full = f"{row.get('first') or ''} {row.get('last') or ''}".strip()
    return full or row.get("login") or ""


def notes_of(order: Any) -> list[Note]:
    """Return the conversation, oldest first."""
    return [
        Note(
            text=row["text"],
            at=_moment(row["at"]),
            ours=row["ours"] is not None,
            by=_name(row) or row["created_by"] or ("The desk" if row["ours"] else ""),
            arrived=_moment(row["arrived"]),
        )
        for row in order.note_rows
    ]


@dataclass
class Document:
    """One document of the order."""

    pk: int
    name: str
    kind: str
    hint: str
    state: str  # of its operation; "" when Sinch has it or nobody here sent it
    url: str


def team_notes_of(order: PortInOrder) -> list[TeamNote]:
    """Return what colleagues wrote for each other, oldest first."""
    return list(order.item.team_notes.select_related("by"))


def documents_of(order: Any) -> list[Document]:
    """Return the documents, oldest first."""
    kinds = dict(OrderDocument.Kind.choices)
    found = []
    for row in order.document_rows:
        state = "" if row["sinch_id"] else row["state"] or ""
        at = _moment(row["arrived"]) or _moment(row["at"])
        where = {
            "refused": "Sinch refused it; our copy is kept",
            "dead": "Not sent; our copy is kept",
            "queued": "Waiting to go",
            "sending": "Sending to Sinch",
            "uncertain": "Sinch did not answer; we are looking it up",
        }.get(state, f"At Sinch since {words.day_text(at)}")
        parts = [where, words.size_text(row["size"]) if row["size"] else "", row["description"]]
        readable = row["kept"] or row["sinch_id"]
        found.append(
            Document(
                pk=row["pk"],
                name=row["name"],
                kind=kinds.get(row["kind"], ""),
                hint=" · ".join(part for part in parts if part),
                state=state,
                url=reverse("orders:document_file", args=[order.pk, row["pk"]]) if readable else "",
            )
        )
    return found


@dataclass
class Freshness:
    """How old the reading is, and whether a newer one is on its way."""

    at: datetime.datetime | None
    waits: bool
    trouble: str


def reading_of(order: Any) -> Freshness:
    """Return the state of the order's reading."""
    reading = order.mark.get("reading") or {}
    read_at = _moment(reading.get("read_at"))
    newest = max(filter(None, (order.fetched_at, read_at)), default=None)
    return Freshness(newest, bool(reading.get("waits")), reading.get("trouble") or "")


def operations_of(order: Any) -> list[Operation]:
    """Return the writes whose outcome nobody has put away yet, newest first; no payloads."""
    keys = [row["pk"] for row in order.mark.get("unseen") or ()]
    if not keys:
        return []
    return list(
        Operation.objects.filter(pk__in=keys)
        .select_related("by")
        .defer("payload")
        .order_by("-pk")[:MOST_PANELS]
    )


def timeline_of(order: PortInOrder, show: str, every: bool) -> tuple[list[TimelineEntry], bool]:
    """Return the newest entries and whether there are earlier ones; one statement.

    `show` is "sinch", "staff" or "" for everything.
    """
    entries = TimelineEntry.objects.filter(item_id=order.item_id).select_related("by")
    if show == "sinch":
        entries = entries.exclude(source=TimelineEntry.Source.STAFF)
    elif show == "staff":
        entries = entries.filter(source=TimelineEntry.Source.STAFF)
    most = MOST_ENTRIES if every else FIRST_ENTRIES
    found = list(entries[: most + 1])
    return found[:most], len(found) > most


@dataclass
class Fact:
    """A line of the end user's address, or any other fact with its label."""

    label: str
    value: str
    hint: str = ""
    is_id: bool = False
    is_phone: bool = False


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def address_of(order: Any) -> list[str]:
    """Return the end user's name and service address, line by line, as Sinch has them."""
    user = _dict(_dict(order.first_number).get("endUser"))

    def joined(*names: str) -> str:
        return " ".join(str(user[name]) for name in names if user.get(name))

    street = joined("streetNum", "streetPreDir", "streetName", "streetType", "streetPostDir")
    place = ", ".join(
        filter(
            None,
            (joined(f"locationType{n}", f"locationValue{n}") for n in (1, 2, 3)),
        )
    )
    town = ", ".join(filter(None, (joined("city"), joined("state", "zipCode"))))
    lines = [joined("name"), ", ".join(filter(None, (street, place))), town]
    return [line for line in lines if line]


def service_of(order: Any) -> str:
    """Return `Business` or `Residential`; "" when Sinch does not say."""
    kind = _dict(_dict(order.first_number).get("endUser")).get("typeOfService")
    return {"B": "Business", "R": "Residential"}.get(kind or "", "")


def facts_of(order: Any) -> list[Fact]:
    """Return what the order is set to at the losing carrier and at Sinch."""
    first = _dict(order.first_number)
    out, voice = _dict(first.get("portOutInfo")), _dict(first.get("voiceConfiguration"))
    sms = _dict(first.get("smsConfiguration"))
    facts = []
    if out.get("accountPhoneNumber"):
        facts.append(Fact("BTN", str(out["accountPhoneNumber"]), is_phone=True))
    if out.get("authorizingName"):
        signed = str(out.get("authorizingDate") or "")[:10]
        try:
            day = words.day_text(datetime.date.fromisoformat(signed))
        except ValueError:
            day = signed
        facts.append(Fact("Signer", ", ".join(filter(None, (str(out["authorizingName"]), day)))))
    if voice.get("type"):
        label, name = VOICE.get(voice["type"], (str(voice["type"]), ""))
        facts.append(Fact("Voice", str(voice.get(name) or ""), hint=label, is_id=True))
    if sms.get("smsAppId"):
        facts.append(Fact("SMS", str(sms["smsAppId"])))
    if order.reseller_name:
        facts.append(Fact("Reseller", order.reseller_name))
    return facts


@dataclass
class Secret:
    """A value that is kept encrypted and shown as dots."""

    name: str
    label: str
    what: str
    ending: str
    shown: str | None


def secrets_of(order: PortInOrder, revealed: dict[str, str]) -> list[Secret]:
    """Return the secrets there are; the last four of a long account number may be seen."""
    labels = {"account": "Account", "pin": "Port-out PIN", "new_pin": "New PIN"}
    found = []
    for name, label in labels.items():
        key, what = actions.SECRETS[name]
        values = {str(kept[key]) for kept in order.secrets.values() if kept.get(key)}
        if not values:
            continue
        only = next(iter(values)) if len(values) == 1 else ""
        ending = only[-4:] if name == "account" and len(only) >= 8 else ""
        found.append(Secret(name, label, what, ending, revealed.get(name)))
    return found


def local_hint(order: PortInOrder, user: User) -> str:
    """Return `12:00 where you are (Eastern)` when the reader's zone is another one; else ""."""
    zone, day = zone_of(order), order.item.foc_date or order.desired_port_date
    at = order.desired_port_time or order.project.default_port_time
    if not day or zone == user.time_zone:
        return ""
    try:
        there = datetime.datetime.combine(
            day, datetime.time.fromisoformat(at), tzinfo=ZoneInfo(zone)
        )
        here = there.astimezone(ZoneInfo(user.time_zone))
    except (ValueError, KeyError, OSError):  # OSError: the name of a folder of zones
        return ""
    if here.utcoffset() == there.utcoffset():
        return ""
    return f"{here:%H:%M} where you are ({words.zone_word(user.time_zone)})"


def gap_of(order: PortInOrder, numbers: Numbers) -> str:
    """Return how many business days the confirmed date lies after the one asked for: "+2"."""
    countries = dates.countries_of(row["phone_number"] for g in numbers.groups for row in g.rows)
    return dates.gap_text(order.desired_port_date, order.item.foc_date, countries)


def freeze_of(order: PortInOrder) -> str:
    """Return the warning for a change in the last 48 hours before the port moment; else ""."""
    day = order.item.foc_date or order.desired_port_date
    if day is None:
        return ""
    try:
        at = datetime.time.fromisoformat(order.desired_port_time or order.project.default_port_time)
    except ValueError:
        at = datetime.time(9)
    zone = zone_named(order.desired_port_time_zone, order.project.default_port_time_zone)
    moment = datetime.datetime.combine(day, at, zone)
    return dates.freeze_text([moment], timezone.now())


# --- What to do next -------------------------------------------------------------------------


@dataclass
class Step:
    """The one primary button of the page."""

    words: str
    url: str


def next_step(order: PortInOrder, offered: int) -> Step | None:
    """Return the step that the worst reason asks for; None when nothing waits for us."""
    item = order.item
    if item.bucket == item.Bucket.READY:
        text = f"Activate {words.count_text(offered, 'number')}" if offered else "Activate"
        return Step(text, reverse("orders:activate", args=[order.pk]))
    reason = item.first_reason
    if not reason or item.bucket != item.Bucket.US:
        return None
    text = reason.get("next") or ""
    edit = reverse("orders:edit", args=[order.pk]) if order.is_editable else "#composer"
    fixes = {cause.next_step: cause for cause in reversed(CAUSES) if cause.edits}
    asked = fixes.get(text) if reason.get("code") == "P3" else None
    if asked and order.is_editable:
        return Step(text, fix_url(order, asked))
    places = {
        "P1": "#operations",
        "P2": "#composer",
        "P3": "#numbers",
        "P4": "#composer",
        "P6": "#timeline",
        "P7": "#numbers",
        "P8": edit,
        "P9": "#upload",
    }
    # The words of a failed write say where it is mended.
    mended = {
        "Activate again": reverse("orders:activate", args=[order.pk]),
        "Correct it": edit,
        "Ask Sinch": "#composer",
        "Write to Sinch": "#composer",
        "Upload LOA": "#upload",
    }
    place = mended.get(text) or places.get(reason.get("code", ""))
    return Step(text, place) if text and place else None


def offered_count(order: PortInOrder) -> int:
    """Return how many numbers Sinch offers for activation and are due."""
    today = actions.today_there(order)
    return sum(
        len(group.get("numbers") or ())
        for group in order.offered_groups
        if (actions.group_date(group) or today) <= today
    )


# --- Activation ------------------------------------------------------------------------------


@dataclass
class Check:
    """One precondition, met or not."""

    met: bool
    text: str
    aside: str = ""
    hint: str = ""
    tone: str = ""


@dataclass
class Choice:
    """A carrier group on the activation page: may it be activated, and why not."""

    key: str
    title: str
    hint: str
    numbers: list[str]
    checks: list[Check]
    ready: bool
    under_way: bool = False

    @property
    def count(self) -> int:
        """How many numbers go live with it."""
        return len(self.numbers)


def choices_of(order: Any, numbers: Numbers, running: list[Operation]) -> list[Choice]:
    """Return each carrier group with its preconditions, ready ones first."""
    today, taken = actions.today_there(order), actions.taken_groups(order, running)
    by_number = {row["phone_number"]: row for group in numbers.groups for row in group.rows}
    carrier = {row["phone_number"]: group.name for group in numbers.groups for row in group.rows}
    confirmed = order.status == PortInOrder.Status.CONFIRMED
    asked = words.age_text(order.offered_at) if order.offered_at else "not asked yet"
    choices, covered = [], set()
    for group in order.offered_groups:
        listed = [str(number) for number in group.get("numbers") or ()]
        covered |= set(listed)
        if listed and all(
            by_number.get(number, {}).get("status") == "ACTIVATED" for number in listed
        ):
            continue
        foc = actions.group_date(group) or next(
            (by_number[n]["foc_date"] for n in listed if n in by_number), None
        )
        due = foc is None or foc <= today
        under_way = str(group["key"]) in taken
        names = sorted({carrier[n] for n in listed if n in carrier}) or [str(group["key"])]
        checks = [
            Check(order.on_demand_activation, "On-demand order"),
            Check(confirmed, "Order confirmed and locked"),
            _date_check(foc, due, today),
            Check(True, "Sinch offers this group", f"asked {asked}"),
            Check(
                not under_way,
                "No activation of it is under way",
                hint="One is; each number counts as live when Sinch says so." if under_way else "",
            ),
        ]
        choices.append(
            Choice(
                key=str(group["key"]),
                title=f"{', '.join(names)}, {words.count_text(len(listed), 'number')}",
                hint=_foc_hint(order, foc, today),
                numbers=listed,
                checks=checks,
                ready=all(check.met for check in checks),
                under_way=under_way,
            )
        )
    for group in numbers.groups:
        waiting = [
            row
            for row in group.rows
            if row["phone_number"] not in covered and row["status"] in ("CONFIRMED", "PENDING")
        ]
        if not waiting:
            continue
        foc = next((row["foc_date"] for row in waiting if row["foc_date"]), None)
        due = foc is not None and foc <= today
        checks = [
            Check(order.on_demand_activation, "On-demand order"),
            Check(confirmed, "Order confirmed and locked"),
            _date_check(foc, due, today),
            Check(False, "Sinch offers this group", "not yet" if order.offered_at else asked),
        ]
        choices.append(
            Choice(
                key="",
                title=f"{group.name}, {words.count_text(len(waiting), 'number')}",
                hint=_foc_hint(order, foc, today),
                numbers=[row["phone_number"] for row in waiting],
                checks=checks,
                ready=False,
            )
        )
    return sorted(choices, key=lambda choice: not choice.ready)


def _date_check(foc: datetime.date | None, due: bool, today: datetime.date) -> Check:
    if foc is None:
        return Check(due, "FOC date is today or earlier", "" if due else "no date yet")
    days = (foc - today).days
    if due:
        return Check(True, "FOC date is today or earlier", words.day_text(foc))
    return Check(
        False,
        "FOC date is today or earlier",
        f"in {words.count_text(days, 'day')}",
        f"Come back on {words.day_text(foc)}.",
    )


def _foc_hint(order: PortInOrder, foc: datetime.date | None, today: datetime.date) -> str:
    if foc is None:
        return "No FOC date yet"
    when = words.port_moment_text(foc, order.desired_port_time, zone_of(order))
    return f"FOC today, {when}" if foc == today else f"FOC {when}"


@dataclass
class Outcome:
    """What became of the newest activation, number by number."""

    operation: Operation
    rows: list[tuple[str, str, str]]  # number, status, since
    live: int
    waits: str


def outcome_of(order: PortInOrder, numbers: Numbers) -> Outcome | None:
    """Return the newest activation that Sinch accepted and its numbers; two statements at most."""
    operation = (
        Operation.objects.filter(
            target=order.target, kind="port_in.activate", state=Operation.State.SUCCEEDED
        )
        .order_by("-pk")
        .first()
    )
    if operation is None:
        return None
    asked = {
        str(number)
        for group in operation.payload.get("groups") or ()
        for number in group.get("numbers") or ()
    }
    accepted = operation.finished_at or timezone.now()
    rows = [
        (row["phone_number"], row["status"], row["since"] or _live_time(row, accepted))
        for group in numbers.groups
        for row in group.rows
        if not asked or row["phone_number"] in asked
    ]
    live = sum(status == "ACTIVATED" for _, status, _ in rows)
    age = timezone.now() - (operation.finished_at or timezone.now())
    minutes = int(age.total_seconds() // 60)
    if minutes < 60:
        waits = f"{minutes} min, up to 1 h is normal"
    else:
        waits = f"{words.count_text(minutes // 60, 'hour')}; ask Sinch by note"
    return Outcome(operation, rows, live, waits)
