"""What the page of a hosting order shows, in few statements whatever the size of the order."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject
from django.http import Http404
from django.utils import timezone

from hosting import buckets, facts, standing, sync, wire
from hosting.failures import STEP_WORDS
from hosting.models import (
    AppliedEvent,
    HostingMark,
    HostingNumber,
    HostingOrder,
    ImportedNumber,
    QualifiedNumber,
)
from portal import words
from portal.prepared import Prepared
from portal.values import read_date, stored_moment
from portal.work import clocks as shown_clocks
from portal.work import marks
from portal.work import page as work_page
from portal.work.page import Fact

KIND_WORDS: Final = {"IMPORT": "Import", "TYPE_TEXT_ENABLE": "Text-enable"}
LOA_WORDS: Final = {"direct": "direct LOA", "reseller": "reseller LOA", "blanket": "blanket LOA"}
HIDDEN_PERSON: Final = "kept for the agent role"
# Where the step for a reason is on the page.
ANCHORS: Final = {
    buckets.MOVE_HELD: "#move",
    buckets.LOOK: "#failures",
    buckets.PHONE_SIGNER: "#open",
    buckets.ASK_SUPPORT: "#open",
    buckets.LOOK_AT_WRITE: "#move",
    buckets.READ_AGAIN: "#refresh",
}


def load(pk: int) -> Any:
    """Return the order with its item, owner, marks and mark in one statement. Raises Http404."""
    try:
        return _page.get(pk)
    except HostingOrder.DoesNotExist:
        raise Http404 from None


def _loaded(pk: int) -> QuerySet[Any]:
    decided = (
        HostingMark.objects.filter(order=OuterRef("pk"))
        .order_by("pk")
        .values(
            json=JSONObject(
                pk="pk",
                kind="kind",
                reason="reason",
                fact="fact",
                text="text",
                at="at",
                ended="ended_at",
                first="by__first_name",
                last="by__last_name",
                login="by__username",
            )
        )
    )
    later = HostingOrder.objects.filter(follows=OuterRef("pk")).order_by("pk")
    return with_mark(
        HostingOrder.objects.select_related("item__assignee", "project", "follows__item")
        .defer(
            "project__key_secret",
            "item__search",
            "follows__payload",
            "follows__item__search",
        )
        .annotate(
            decided=ArraySubquery(decided),
            moved_rows=standing.moved_rows(OuterRef("pk")),
            later=ArraySubquery(
                later.values(json=JSONObject(pk="pk", name="display_name", state="state"))
            ),
        )
    ).filter(pk=pk)


_page = Prepared(_loaded)


def with_mark(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Add `mark`: everything that makes an open page out of date when it differs."""
    return work_page.with_mark(rows, reader=sync.ORDER_READER, target="hosting_order")


def mark_of(pk: int) -> Subquery:
    """Return the mark of one order as an expression, to be asked for with the person."""
    orders = HostingOrder.objects.filter(pk=pk)
    return work_page.mark_of(orders, reader=sync.ORDER_READER, target="hosting_order")


def facts_of(order: Any) -> facts.Facts:
    """Return what is known of a loaded order; one statement, for its numbers."""
    item = order.item
    item.project = order.project
    item.moved_rows = order.moved_rows
    item.mark_rows = [row for row in order.decided if row["ended"] is None]
    return standing.facts_with(item, order, standing.numbers_of(order), item.waiting_since)


# --- What is open, and what was decided ---------------------------------------------------------


@dataclass(frozen=True)
class Open:
    """A reason with what can be decided about it; `seen` names the facts it is about."""

    code: str
    text: str
    tone: str
    glyph: str
    seen: str
    clock: Any = None
    is_asked: bool = False
    can_ask: bool = False
    can_settle: bool = True
    settle_words: str = "Nothing more is to be done"
    ask_words: str = "Mark “asked the customer”"
    hint: str = ""


@dataclass(frozen=True)
class Decided:
    """Something that staff decided and that can be taken back."""

    pk: int
    text: str
    by: str
    at: datetime | None


@dataclass
class Care:
    """What waits for us and what was decided."""

    open: list[Open] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    clock: Any = None
    is_stalled: bool = False


_SETTLED_WORDS: Final = {
    "H2": "The refusal is settled",
    "H3": "Failures are settled",
    "H4": "Held numbers are settled",
    "H5": "The signature is settled",
    "H6": "Unfinished numbers are settled",
}


def care_of(order: Any, known: facts.Facts) -> Care:
    """Return the open reasons of an order with their verbs, and the decisions that stand."""
    care = Care()
    now = timezone.now()
    found = shown_clocks.worst_of(order.item.reasons, now)
    care.clock = found[0] if found else None
    care.is_stalled = (order.item.first_reason or {}).get("code") == "H7"
    for reason in buckets.work_out(known, now).reasons:
        if not reason.facts:
            continue
        code = reason.code
        care.open.append(
            Open(
                code=code,
                text=reason.text,
                tone=reason.tone,
                glyph=reason.glyph,
                seen=marks.digest(reason.facts),
                clock=shown_clocks.clock_of(reason.as_json(), now),
                is_asked=reason.is_asked,
                can_ask=code in ("H2", "H3", "H4", "H5", "H7"),
                can_settle=code != "H7",
                ask_words={
                    "H2": "Mark “asked Sinch support”",
                    "H5": "Mark “phoned the signer”",
                    "H7": "Mark “asked Sinch support”",
                }.get(code, Open.ask_words),
                hint=_HINTS.get(code, ""),
            )
        )
    names = {row["fact"] for row in order.decided if row["ended"] is None}
    for row in order.decided:
        if row["ended"] is None and row["kind"] == marks.SETTLED and row["fact"] in names:
            names.discard(row["fact"])
            what = _SETTLED_WORDS.get(row["reason"], "Settled")
            text = f"{what}: “{row['text']}”" if row["text"] else what
            if not any(d.text == text for d in care.decided):
                by = f"{row['first'] or ''} {row['last'] or ''}".strip() or row["login"] or ""
                care.decided.append(Decided(row["pk"], text, by, stored_moment(row["at"])))
    return care


_HINTS: Final = {
    "H2": "Sinch gives no reason here. Ask support with the order id; then order anew what can be.",
    "H5": "Check the e-mail address with the signer. Sinch cannot send the LOA again: with a wrong "
    "address the order has to be made anew.",
    "H6": "Ask Sinch support with the order id and the numbers.",
    "H7": "Ask Sinch support with the order id; the clock starts anew once you have.",
}


# --- The guided step for numbers held at T-Mobile -----------------------------------------------


@dataclass
class Held:
    """Numbers held at T-Mobile, and how far moving them over is."""

    numbers: list[facts.Number]
    confirmed_by: str = ""
    confirmed_on: str = ""
    is_under_way: bool = False
    imported: dict[str, int] = field(default_factory=dict)  # number → key of its imported row

    @property
    def step(self) -> int:
        """Which of the three steps is next: 2 the customer's word, 3 the order."""
        return 3 if self.confirmed_by else 2

    @property
    def said(self) -> str:
        """T-Mobile's words."""
        for number in self.numbers:
            for step in wire.TMO:
                if error := number.errors.get(step):
                    return " ".join(filter(None, error))
        return ""


def held_of(order: Any, known: facts.Facts) -> Held | None:
    """Return the numbers held at T-Mobile; None for none. One statement when there are some."""
    numbers = known.held
    if not numbers:
        return None
    confirmed = [
        row
        for row in order.decided
        if row["kind"] == facts.CONFIRMED
        and row["ended"] is None
        and row["fact"] in {number.held_fact for number in numbers}
    ]
    newest = confirmed[-1] if confirmed else None
    by, _, on = (newest["text"] if newest else "").rpartition("|")
    phones = [number.phone_number for number in numbers]
    rows = ImportedNumber.objects.filter(
        project=order.project, phone_number__in=phones, gone_at=None
    ).exclude(service_plan_id="", campaign_id="")
    return Held(
        numbers=numbers,
        confirmed_by=by,
        confirmed_on=words.day_text(read_date(on)),
        is_under_way=any(phone in known.migrating for phone in phones),
        imported=dict(rows.values_list("phone_number", "pk")),
    )


# --- Key facts ----------------------------------------------------------------------------------


def facts_beside(order: Any, known: facts.Facts, *, shows_people: bool, zone: str) -> list[Fact]:
    """Return the lines of the key facts."""
    kind = KIND_WORDS.get(order.order_type, order.order_type or "not said")
    if order.is_toll_free:
        kind = "Toll-free text-enable"
    loa = LOA_WORDS.get(order.loa, f"{order.loa} LOA" if order.loa else "")
    found = [Fact("Kind", ", ".join(filter(None, (kind, loa))))]
    if order.display_name:
        found.append(Fact("Name", order.display_name))
    found.append(
        Fact("Service plan", order.service_plan_id or "none", is_id=bool(order.service_plan_id))
    )
    if order.campaign_id:
        linked = sum(number.steps.get("campaign") == wire.DONE for number in known.numbers)
        hint = f"{linked} of {len(known.numbers)} numbers linked; most campaigns take about 50"
        found.append(Fact("Campaign", order.campaign_id, hint=hint, is_id=True))
    elif not order.is_toll_free:
        found.append(Fact("Campaign", "none"))
    if order.signer_name or order.signer_email:
        hint = order.signer_email if shows_people else ""
        found.append(
            Fact("Signer", order.signer_name if shows_people else HIDDEN_PERSON, hint=hint)
        )
    if order.loa and order.loa != "blanket":
        found.append(Fact("LOA", loa_text(order)))
    if order.business_name:
        found.append(Fact("End user", order.business_name))
    if shows_people and (address := address_of(order)):
        found.append(Fact("Address", address))
    if order.voice_carrier:
        found.append(Fact("Voice carrier", order.voice_carrier))
    if order.nnid:
        found.append(Fact("NNID", order.nnid, is_id=True))
    if order.scheduled_at:
        utc = order.scheduled_at.astimezone(ZoneInfo("UTC"))
        label = "Provisioning at" if order.is_toll_free else "Routing at"
        here = words.moment_text(order.scheduled_at, zone)
        found.append(Fact(label, here, hint=f"sent to Sinch as {utc:%H:%M} UTC"))
    if order.migrates_tmo:
        found.append(Fact("At T-Mobile", "moved to Sinch"))
    if order.sinch_created_at:
        found.append(Fact("Made at Sinch", words.day_text(order.sinch_created_at)))
    told = "Sinch tells this desk of every step" if order.callback_url else "asked about only"
    found.append(Fact("Callbacks", told))
    found += [Fact(*pair) for pair in wire.undocumented_of_order(order.payload)]
    return found


def loa_text(order: HostingOrder) -> str:
    """Return where the signature stands."""
    if order.state == facts.SIGNATURE:
        return "waiting for the signature"
    if order.signed_seen_at:
        return f"signed, seen {words.day_text(order.signed_seen_at)}"
    if order.state in (facts.IN_PROGRESS, facts.COMPLETED):
        return "signed"
    return "not mailed yet" if order.state in (facts.DRAFT, facts.SUBMITTED) else "not signed"


def address_of(order: HostingOrder) -> str:
    """Return the service address on the LOA, in one line."""
    address = wire.mapping(wire.mapping(order.payload.get("textEnableInfo")).get("address"))
    street = " ".join(
        filter(None, (wire.text(address.get(k)) for k in ("buildingNumber", "street")))
    )
    town = " ".join(filter(None, (wire.text(address.get(k)) for k in ("state", "postalCode"))))
    return ", ".join(filter(None, (street, wire.text(address.get("city")), town)))


@dataclass(frozen=True)
class Step:
    """The step that the worst reason asks for."""

    words: str
    url: str


def next_step(order: Any, held: Held | None, sends: bool) -> Step | None:
    """Return what to do next; None when nothing waits for us."""
    reason = order.item.first_reason
    if not reason or order.item.bucket != order.item.Bucket.US:
        return None
    text = str(reason.get("next") or "")
    if text == buckets.MOVE_HELD and held is not None:
        text = f"Move {words.count_text(len(held.numbers), 'number')} to Sinch at T-Mobile"
        return Step(text, "#move")
    place = ANCHORS.get(text, "#open")
    return Step(text, place) if text and sends else None


def sentence_of(order: HostingOrder, *, shows_people: bool) -> str:
    """Return what the state means; the signature is waited for from somebody with a name."""
    if order.state == facts.SIGNATURE and shows_people and order.signer_name:
        at = f" at {order.signer_email}" if order.signer_email else ""
        return f"Sinch mailed the LOA to {order.signer_name}{at}; nothing moves until it is signed."
    return words.chip("hosting_order", order.state).sentence


def untold_of(order: Any) -> list[dict[str, Any]]:
    """Return the first two reasons without those that the sentence of the state has told."""
    told = {"H2", "WAIT"} if order.state in (facts.DRAFT, facts.SUBMITTED) else {"H2"}
    return [reason for reason in order.item.reasons[:2] if reason.get("code") not in told]


# --- One number ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class StepLine:
    """One step of a number with its time and error."""

    label: str
    state: str
    at: datetime | None
    said: str
    told: str


def steps_of(row: HostingNumber) -> list[StepLine]:
    """Return the steps of a number, in their order."""
    steps, times = wire.read_steps(row.payload), wire.times_of(row.payload)
    return [
        StepLine(
            STEP_WORDS[column],
            state,
            times.get(column),
            " ".join(filter(None, steps.errors.get(column, ()))),
            row.failure_codes.get(column, ""),
        )
        for column, state in steps.steps.items()
    ]


def events_of(project: int, phone: str) -> list[AppliedEvent]:
    """Return the newest callbacks about a number, newest first."""
    return list(
        AppliedEvent.objects.filter(project=project, resource_id=phone).order_by("-at")[:20]
    )


def also_at(project: int, phone: str, *, but: int = 0) -> dict[str, Any]:
    """Return the other pages of a number: imported, qualified, and its orders `but` the one."""
    return {
        "imported": ImportedNumber.objects.filter(
            project=project, phone_number=phone, gone_at=None
        ).first(),
        "qualified": QualifiedNumber.objects.filter(
            project=project, phone_number=phone, gone_at=None
        ).first(),
        "orders": list(
            HostingOrder.objects.filter(project=project, numbers__phone_number=phone)
            .exclude(pk=but)
            .select_related("item")
            .defer("payload", "item__search")
            .order_by("-pk")[:10]
        ),
    }
