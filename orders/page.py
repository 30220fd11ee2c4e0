"""What the page of an order shows, gathered in few statements whatever the size of the order."""

import datetime
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import (
    F,
    OuterRef,
    QuerySet,
    Subquery,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import JSONObject
from django.http import Http404
from django.urls import reverse
from django.utils import timezone

from orders import actions_order as actions
from orders import dates, page_documents, page_marks, wire
from orders.buckets import zone_named
from orders.case import CANCEL, CHASE, NEW_ORDER
from orders.causes import CAUSES
from orders.models import OrderNote, PortInOrder
from orders.page_numbers import Numbers, Step, fix_url, zone_of
from portal import words
from portal.accounts.models import User
from portal.prepared import Prepared
from portal.values import stored_moment
from portal.work import page as work_page
from portal.work.page import Fact, Freshness

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
    return work_page.with_mark(orders, reader=actions.READER, target="port_in")


def mark_of(pk: int) -> Subquery:
    """Return the mark of one order as an expression, to be asked for with the person."""
    orders = PortInOrder.objects.filter(pk=pk)
    return work_page.mark_of(orders, reader=actions.READER, target="port_in")


# How many different end users, accounts and routings the numbers of an order have.
_KINDS = """(
    SELECT jsonb_build_object(
        'users', count(DISTINCT entry->'endUser'),
        'carrier', count(DISTINCT entry->'portOutInfo'),
        'voice', count(DISTINCT entry->'voiceConfiguration'),
        'sms', count(DISTINCT entry->'smsConfiguration')
    )
    FROM jsonb_array_elements(
        CASE jsonb_typeof(orders_portinorder.payload->'phoneNumbers')
        WHEN 'array' THEN orders_portinorder.payload->'phoneNumbers' ELSE '[]' END
    ) AS entry
)"""


# The order without its long lists: where something undocumented may stand.
_AROUND = "orders_portinorder.payload - 'phoneNumbers' - 'notes' - 'documents'"


def load(pk: int) -> PortInOrder:
    """Return the order with its item, owner, notes, documents and mark in one statement.

    Raises Http404. The payload is not loaded; `first_number` is the first entry of it.
    """
    try:
        return cast(PortInOrder, _page.get(pk))
    except PortInOrder.DoesNotExist:
        raise Http404 from None


def _loaded(pk: int) -> QuerySet[Any]:
    notes = (
        OrderNote.objects.filter(order=OuterRef("pk"))
        .order_by("created_at", "pk")
        .values(
            json=JSONObject(
                text="text",
                fact="fact",
                at="created_at",
                created_by="created_by",
                ours="operation_id",
                arrived="operation__finished_at",
                **_person("operation__by"),
            )
        )
    )
    return with_mark(
        PortInOrder.objects.select_related("item__assignee", "project")
        .defer("payload", "project__key_secret", "item__search")
        .annotate(
            note_rows=ArraySubquery(notes),
            document_rows=ArraySubquery(page_documents.rows()),
            first_number=F("payload__phoneNumbers__0"),
            kinds=RawSQL(_KINDS, ()),  # noqa: S611 - a text of ours, without anybody's words
            around=RawSQL(_AROUND, ()),  # noqa: S611 - the same
            **page_marks.columns(),
        )
    ).filter(pk=pk)


_page = Prepared(_loaded)


# --- Parts ----------------------------------------------------------------------------------


@dataclass
class Note:
    """One note of the conversation; `state` is that of its write while it is under way."""

    text: str
    at: datetime.datetime | None
    ours: bool
    by: str
    arrived: datetime.datetime | None = None
    state: str = ""


def _name(row: dict[str, Any]) -> str:
    full = f"{row.get('first') or ''} {row.get('last') or ''}".strip()
    return full or row.get("login") or ""


def notes_of(order: Any, operations: Iterable[Any] = ()) -> list[Note]:
    """Return the conversation, oldest first; what is not at Sinch yet of `operations` at its end.

    An operation that is a note has what it sends as `said`.
    """
    arrived = {row["ours"] for row in order.note_rows}
    open_ones = [op for op in operations if op.said and op.pk not in arrived]
    return [
        Note(
            text=row["text"],
            at=stored_moment(row["at"]),
            ours=row["ours"] is not None,
            by=(_name(row) or "The desk") if row["ours"] else wire.author_of(row["created_by"]),
            arrived=stored_moment(row["arrived"]),
        )
        for row in order.note_rows
    ] + [
        Note(
            text=str(op.said.get("text", "")),
            at=op.created_at,
            ours=True,
            by=(op.by.get_full_name() or op.by.get_username()) if op.by else "The desk",
            state=op.state,
        )
        for op in sorted(open_ones, key=lambda op: op.pk)
    ]


def reading_of(order: Any) -> Freshness:
    """Return the state of the order's reading."""
    return work_page.reading_of(order.mark, order.fetched_at)


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


def users_of(order: Any) -> int:
    """Return how many different end users the numbers of an order have."""
    return int(kinds_of(order).get("users") or 0)


def kinds_of(order: Any) -> dict[str, Any]:
    """Return how many kinds there are of what a number has: users, carrier, voice, sms."""
    kinds = order.kinds
    return _dict(json.loads(kinds) if isinstance(kinds, str) else kinds)


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
    kinds = {name: int(count or 0) > 1 for name, count in kinds_of(order).items()}
    at_carrier = kinds.get("carrier", False)
    if out.get("accountPhoneNumber"):
        facts.append(Fact("BTN", str(out["accountPhoneNumber"]), is_phone=True, differs=at_carrier))
    if out.get("authorizingName"):
        signed = str(out.get("authorizingDate") or "")[:10]
        try:
            day = words.day_text(datetime.date.fromisoformat(signed))
        except ValueError:
            day = signed
        signer = ", ".join(filter(None, (str(out["authorizingName"]), day)))
        facts.append(Fact("Signer", signer, differs=at_carrier))
    if voice.get("type"):
        label, name = VOICE.get(voice["type"], (str(voice["type"]), ""))
        voice_id, differs = str(voice.get(name) or ""), kinds.get("voice", False)
        facts.append(Fact("Voice", voice_id, hint=label, is_id=True, differs=differs))
    if sms.get("smsAppId"):
        facts.append(Fact("SMS", str(sms["smsAppId"]), differs=kinds.get("sms", False)))
    if order.reseller_name:
        facts.append(Fact("Reseller", order.reseller_name))
    if order.loa_uploaded_by or order.loa_attachment_date:
        attached = wire.read_date(order.loa_attachment_date)
        day = words.day_text(attached) if attached else order.loa_attachment_date
        facts.append(Fact("LOA at Sinch", ", ".join(filter(None, (order.loa_uploaded_by, day)))))
    made = order.sinch_created_at
    # An instant is told in the reader's zone, as the timeline is; a day alone is that day.
    if created := (wire.read_instant(made) if "T" in made else wire.read_date(made)):
        facts.append(Fact("Made at Sinch", words.day_text(created)))
    around = json.loads(order.around) if isinstance(order.around, str) else order.around
    return facts + [Fact(*pair) for pair in wire.undocumented_of_order(_dict(around))]


@dataclass
class Secret:
    """A value that is kept encrypted and shown as dots; `is_legible` False when no key reads it."""

    name: str
    label: str
    what: str
    ending: str
    shown: str | None
    is_legible: bool = True


def secrets_of(order: PortInOrder, revealed: dict[str, str]) -> list[Secret]:
    """Return the secrets there are; the last four of a long account number may be seen."""
    if order.secrets is None:
        return [Secret("", "Account and PIN", "", "", None, is_legible=False)]
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
    """Return how many business days confirmed dates lie after the one asked for: "0 to +2"."""
    countries = dates.countries_of(row["phone_number"] for g in numbers.groups for row in g.rows)
    extra = order.project.extra_days_off
    days = [day for day, _ in dates_of(numbers)]
    first, last = (days[0], days[-1]) if days else (order.item.foc_date,) * 2
    gaps = [dates.gap_text(order.desired_port_date, day, countries, extra) for day in (first, last)]
    if len(set(gaps)) == 1 or not all(gaps):
        return gaps[0]
    return " to ".join("0" if gap == "none" else gap for gap in gaps)


def dates_of(numbers: Numbers) -> list[tuple[datetime.date, int]]:
    """Return the days that numbers are confirmed for, with how many; those that went, if all did.

    The first is the date that the lists show.
    """
    rows = [
        row
        for group in numbers.groups
        for row in group.rows
        if row["foc_date"] and row["status"] not in ("EXCLUDED", "CANCELED")
    ]
    confirmed = [row for row in rows if row["status"] == "CONFIRMED"] or rows
    return sorted(Counter(row["foc_date"] for row in confirmed).items())


def moment_of(order: PortInOrder) -> datetime.datetime | None:
    """Return the port moment of the earliest date that is confirmed, else of the desired one."""
    day = order.item.foc_date or order.desired_port_date
    if day is None:
        return None
    try:
        at = datetime.time.fromisoformat(order.desired_port_time or order.project.default_port_time)
    except ValueError:
        at = datetime.time(9)
    zone = zone_named(order.desired_port_time_zone, order.project.default_port_time_zone)
    return datetime.datetime.combine(day, at, zone)


def freeze_of(order: PortInOrder) -> str:
    """Return the warning for a change in the last 48 hours before the port moment; else ""."""
    moment = moment_of(order)
    return dates.freeze_text([moment], timezone.now()) if moment else ""


# --- What to do next -------------------------------------------------------------------------


def told_first(order: PortInOrder) -> list[dict[str, Any]]:
    """Return the two worst reasons, without what the sentence of the status says already."""
    sentence = "" if order.gone_at else words.chip("order", order.status).sentence
    worst = order.item.reasons[: page_marks.TOLD_FIRST]
    return [r for r in worst if r.get("text", "") not in sentence]


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
    anew = reverse("orders:follow_up", args=[order.pk])
    mended = {
        NEW_ORDER: anew,
        CANCEL: "#cancel",
        CHASE: "?template=d1#composer",
        "Activate again": reverse("orders:activate", args=[order.pk]),
        "Correct it": edit,
        "Ask Sinch": "#composer",
        "Write to Sinch": "#composer",
        "Upload LOA": "#upload",
    }
    step = NEW_ORDER if text.startswith(NEW_ORDER) else text
    place = mended.get(step) or places.get(reason.get("code", ""))
    return Step(text, place) if text and place else None
