"""The webhook log: filters, pages and the explained detail of a delivery."""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from cryptography.fernet import InvalidToken
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from hosting import sync
from hosting.models import HostingNumber, HostingOrder
from orders import wire
from orders.models import PortInOrder
from portal import words
from portal.accounts.models import SinchProject
from portal.operations import readings
from portal.values import whole
from portal.work import search
from portal.work.models import WorkItem
from webhooks import dispatch, fates, refused
from webhooks.logs import HIDDEN
from webhooks.models import Delivery

PAGE = 50
MOST_COUNTED = 1000
KINDS = {"porting": "Porting", "hosting": "Hosting"}
# How the ids of hosting orders mostly look; no event's name has a digit in so long a word.
_ORDER_ID = re.compile(r"(?=.*\d)[0-9a-zA-Z]{20,40}")

State, Verdict = Delivery.State, Delivery.Verdict


@dataclass(frozen=True)
class Filters:
    """What the address asks for; `link` gives the address of a changed question."""

    look: bool = False
    event: str = ""
    text: str = ""
    kind: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> "Filters":
        """Return the filters of an address; what cannot be meant is left out."""
        return cls(
            look=query.get("look") == "1",
            event=query.get("event", "").strip().upper()[:60].replace("\x00", ""),
            text=query.get("q", "").strip()[:80].replace("\x00", ""),
            kind=query.get("kind", "") if query.get("kind") in KINDS else "",
        )

    def link(self, **changes: Any) -> str:
        """Return the query of these filters with some of them changed, from the first page."""
        values = {
            "q": self.text,
            "kind": self.kind,
            "event": self.event,
            "look": "1" if self.look else "",
        } | changes
        return "?" + urlencode({name: value for name, value in values.items() if value})

    @property
    def is_any(self) -> bool:
        """Whether anything is filtered."""
        return bool(self.look or self.event or self.text or self.kind)

    def rows(self) -> QuerySet[Delivery]:
        """Return the deliveries that match, without their bodies, in no order yet."""
        found = Delivery.objects.select_related("reading").defer("body", "headers")
        if self.look:
            found = found.filter(dispatch.needs_a_look())
        if self.event:
            found = found.filter(event_type=self.event)
        if self.kind:
            found = found.filter(kind=self.kind)
        number = search.understand(self.text).whole_number
        if number:
            found = found.filter(resource_id__in=(f"+{number}", self.text))
        elif self.text.isdigit():
            found = found.filter(resource_id=self.text.lstrip("0") or "0")
        elif _ORDER_ID.fullmatch(self.text):
            found = found.filter(resource_id__in=(self.text, self.text.lower()))
        elif self.text:
            word = self.text.upper().replace(" ", "_")
            found = found.filter(Q(event_type__startswith=word) | Q(resource_id=self.text))
        return found


@dataclass(frozen=True)
class Row:
    """A delivery as the table shows it."""

    delivery: Delivery
    item: WorkItem | None

    @property
    def event(self) -> str:
        """The event's word, as Sinch writes it."""
        if self.delivery.event_type:
            return self.delivery.event_type
        if self.delivery.state == State.RECEIVED:
            return "not looked into yet"
        return "not readable" if self.delivery.verdict == Verdict.NOT_JSON else "not named"

    @property
    def about(self) -> str:
        """What it is about: the order's name, else Sinch's id."""
        if self.item:
            return str(self.item)
        named = self.delivery.resource_id
        return words.phone_text(named) if named.startswith("+") else named or "unknown"

    @property
    def became(self) -> str:
        """What became of it, so far."""
        if self.delivery.outcome and self.delivery.state != State.WAITING:
            return self.delivery.outcome
        return {
            State.RECEIVED: "On disk; next in line",
            State.WAITING: f"The {self._what} is being read again",
            State.DEAD: fates.STOPPED,
        }.get(State(self.delivery.state), "")

    @property
    def _what(self) -> str:
        reading = self.delivery.reading
        return "number" if reading and reading.kind in sync.NUMBER_READERS else "order"

    @property
    def needs_a_look(self) -> bool:
        """Whether somebody should look at it."""
        return self.delivery.seen_at is None and (
            self.delivery.state == State.DEAD
            or self.delivery.verdict in (Verdict.NOT_JSON, Verdict.UNKNOWN_EVENT)
        )


@dataclass(frozen=True)
class Page:
    """One page of the log, newest first; `newer` and `older` are the queries of its neighbours."""

    rows: list[Row]
    newer: str
    older: str
    text: str


def page(filters: Filters, query: QueryDict) -> Page:
    """Return the page that the address asks for by `before` or `after` a delivery's key."""
    before, after = whole(query.get("before", "")), whole(query.get("after", ""))
    matching = filters.rows()
    if after is not None:
        found = list(matching.filter(pk__gt=after).order_by("pk")[: PAGE + 1])
        has_newer, has_older = len(found) > PAGE, True
        found = found[:PAGE][::-1]
    else:
        if before is not None:
            matching = matching.filter(pk__lt=before)
        found = list(matching.order_by("-pk")[: PAGE + 1])
        has_newer, has_older = before is not None, len(found) > PAGE
        found = found[:PAGE]
    items = _items(found)
    rows = [Row(row, items.get(_about(row))) for row in found]
    is_first = not has_newer
    return Page(
        rows,
        filters.link(after=found[0].pk) if found and has_newer else "",
        filters.link(before=found[-1].pk) if found and has_older else "",
        f"{'Newest ' if is_first else ''}{len(rows):,} of {_count(filters)}",
    )


def _count(filters: Filters) -> str:
    count = filters.rows().order_by()[: MOST_COUNTED + 1].count()
    return f"{count:,}" if count <= MOST_COUNTED else f"{MOST_COUNTED:,}+"


def item_of(delivery: Delivery) -> WorkItem | None:
    """Return the work item of the order a delivery is about, if the desk has it."""
    return _items([delivery]).get(_about(delivery))


def _about(delivery: Delivery) -> tuple[str, int, str]:
    return delivery.kind, delivery.project_id, delivery.resource_id


def _items(deliveries: list[Delivery]) -> dict[tuple[str, int, str], WorkItem]:
    """Return the work items deliveries are about; a number stands for its newest order."""
    found: dict[tuple[str, int, str], WorkItem] = {}
    named: dict[str, set[str]] = {"porting": set(), "hosting": set(), "number": set()}
    for row in deliveries:
        if row.resource_id:
            is_number = row.kind == "hosting" and row.resource_id.startswith("+")
            named["number" if is_number else row.kind].add(row.resource_id)
    projects = {row.project_id for row in deliveries}
    for kind, model in (("porting", PortInOrder), ("hosting", HostingOrder)):
        if named[kind]:
            orders: Any = (
                model._default_manager.filter(project_id__in=projects, sinch_id__in=named[kind])
                .select_related("item")
                .only("project_id", "sinch_id", "item")
            )
            found |= {(kind, order.project_id, order.sinch_id): order.item for order in orders}
    if named["number"]:
        numbers = (
            HostingNumber.objects.filter(
                phone_number__in=named["number"], order__project_id__in=projects
            )
            .select_related("order__item")
            .only("phone_number", "order__project_id", "order__item")
            .order_by("order_id")
        )
        found |= {
            ("hosting", number.order.project_id, number.phone_number): number.order.item
            for number in numbers
        }
    return found


@dataclass(frozen=True)
class Figures:
    """The three figures on top of the log."""

    last: Delivery | None
    day: int
    readings: int
    never_came: int
    to_look_at: int
    turned_away: int

    @property
    def applied(self) -> str:
        """How fast the newest delivery was worked on."""
        if self.last is None:
            return "Sinch has not told this desk anything yet."
        if self.last.processed_at is None:
            return "On disk; what it is about is being read again."
        seconds = (self.last.processed_at - self.last.received_at).total_seconds()
        return f"Applied {max(seconds, 0):.1f} s later"


def figures(now: datetime | None = None) -> Figures:
    """Return the figures on top of the log, in five statements."""
    now = now or timezone.now()
    counted = dispatch.counts(now - timedelta(hours=24))
    return Figures(
        last=Delivery.objects.defer("body", "headers").order_by("-pk").first(),
        day=counted["deliveries"],
        readings=counted["readings"],
        never_came=readings.missed_webhooks(),
        to_look_at=Delivery.objects.filter(dispatch.needs_a_look()).count(),
        turned_away=refused.last_day(list(SinchProject.objects.values_list("pk", flat=True))),
    )


# --- The detail -----------------------------------------------------------------------------

_EXPLAINED = {
    Verdict.SIGNED: (
        "Sinch told us of a number, signed with our secret.",
        "What it says is not believed; it makes the desk read the number’s order again.",
    ),
    Verdict.OLDER: (
        "Something newer of its kind was applied already.",
        "Sinch sends these in any order. The older one changes nothing and was not read for.",
    ),
    Verdict.KNOWN: (
        "Sinch told us of an order this desk knows.",
        "What a webhook says is not believed; it makes the desk read the order again.",
    ),
    Verdict.NEW: (
        "Sinch told us of an order this desk had not read before.",
        "The desk read it for the first time and keeps it from now on.",
    ),
    Verdict.UNKNOWN_EVENT: (
        "Sinch used a word this desk does not know.",
        "The order was read all the same, so nothing is missing. "
        "Tell whoever looks after this desk, so that it learns the word.",
    ),
    Verdict.NOT_JSON: (
        "Sinch sent something that is not JSON.",
        "It was kept and answered 200, so that Sinch does not repeat it. "
        "The next sweep reads every open order anyway.",
    ),
    Verdict.REPEAT: (
        "Sinch sent the same event before.",
        "A repetition does no harm: the order is read again and nothing is told twice.",
    ),
}


def explained(delivery: Delivery) -> tuple[str, str]:
    """Return what a delivery means, and why nothing is lost, in a sentence each."""
    if delivery.state == State.DEAD:
        return (
            "The desk stopped trying.",
            f"{delivery.outcome}. Nothing is lost: it is kept here and can be processed again.",
        )
    if delivery.state == State.RECEIVED:
        return ("It is on disk and next in line.", "A worker looks into it within seconds.")
    if delivery.verdict == Verdict.UNKNOWN_EVENT and not delivery.resource_id:
        return (
            "Sinch sent an event that names no order.",
            "It was kept; without an order there is nothing to read again. "
            "The next sweep reads every open order anyway.",
        )
    return _EXPLAINED.get(Verdict(delivery.verdict), ("It was kept.", ""))


def shown(delivery: Delivery) -> str:
    """Return the request as it came, for the eye: no token, no PIN, JSON laid out in lines."""
    lines = [f"POST /webhooks/{delivery.kind}/{HIDDEN}/"]
    lines += [f"{name}: {value}" for name, value in sorted(delivery.headers.items())]
    lines += [f"content-length: {delivery.size}", "", _body(delivery)]
    return "\n".join(lines)


def _body(delivery: Delivery) -> str:
    try:
        raw = delivery.raw
    except InvalidToken:
        return "(cannot be decrypted with the present ENCRYPTION_KEYS)"
    try:
        said = json.loads(raw)
        return json.dumps(wire.redact(said), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return without_secrets(raw.decode("utf-8", "replace"))


# A key that may stand before a secret, up to its value: `"existingPortOutPin": "48`.
_SECRET = re.compile(
    r"""((?:pin|accountnum\w*|account|passcode|password|secret|token)["']?\s*[:=]\s*["']?)"""
    r"""([^"',}\]\s&]+)""",
    re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    """Return a text nobody can parse with whatever follows a PIN-like key replaced by dots."""
    return _SECRET.sub(r"\1••••", text)
