"""What the page of an order shows of staff's decisions: asked, settled, taken up elsewhere."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef, Q
from django.db.models.functions import JSONObject
from django.urls import reverse

from orders import facts, marks, standing, wire
from orders.causes import Cause
from orders.models import OrderMark, PortInDraft, PortInNumber, PortInOrder
from orders.page_numbers import runs_text
from orders.reasons import ANSWERING, LOA_ARRIVING
from portal import words
from portal.numbers import numbers_of, read_numbers
from portal.values import stored_moment
from portal.work.clocks import Clock, clock_of, worst_of

TROUBLE: Final = (facts.REJECTED, facts.EXCLUDED, facts.CANCELED)
# What may be said instead of typing it.
SETTLE_WORDS: Final = ("Customer keeps these numbers", "Moved to a new order")
ASKED_WORDS: Final = "Mark “asked the customer”"
FEATURES: Final = "features"  # all that were left out, together
FEATURES_WORDS: Final = "Customer told"
TOLD_FIRST: Final = 2  # reasons that the head of the page tells in full
MOST_SHOWN: Final = 20  # numbers that are named beside their order
LOCKED: Final = "Canceling is under way; until it has ended they cannot be ordered again."


def columns() -> dict[str, Any]:
    """Return what `page.load` asks for beside the order; no statement of its own."""
    order = OuterRef("pk")
    decided = OrderMark.objects.filter(order=order, ended_at=None).order_by("at", "pk")
    in_trouble = PortInNumber.objects.filter(order=order).filter(
        Q(status__in=TROUBLE) | ~Q(excluded_features=[])
    )
    later = PortInOrder.objects.filter(follows=order).order_by("pk")
    drafts = PortInDraft.objects.filter(
        follows=order, state__in=[PortInDraft.State.OPEN, PortInDraft.State.SENDING]
    )
    return {
        "decided": ArraySubquery(
            decided.values(
                json=JSONObject(
                    kind="kind",
                    reason="reason",
                    fact="fact",
                    text="text",
                    at="at",
                    first="by__first_name",
                    last="by__last_name",
                    login="by__username",
                )
            )
        ),
        "in_trouble": ArraySubquery(
            in_trouble.order_by("position").values(
                json=JSONObject(
                    n="phone_number",
                    status="status",
                    since="status_since",
                    rejected="reject_reason",
                    excluded="exclusion_reason",
                    features="excluded_features",
                )
            )
        ),
        "later": ArraySubquery(
            later.values(json=JSONObject(pk="pk", sinch_id="sinch_id", status="status"))
        ),
        "taken_up": ArraySubquery(
            standing.taken_up(order).values(json=JSONObject(n="phone_number", order="order_id"))
        ),
        "draft_keys": ArraySubquery(drafts.order_by("pk").values("pk")),
        "earlier_id": F("follows__sinch_id"),
    }


@dataclass(frozen=True)
class Said:
    """A decision as the page tells it: `Mara Lindqvist, Tue 9 Jun`, and the words."""

    by: str
    at: datetime
    text: str
    reason: str = ""

    @property
    def day(self) -> str:
        """The day it was made."""
        return words.day_text(self.at)


@dataclass
class Elsewhere:
    """A later order, or a draft, that takes up numbers of this one."""

    url: str
    name: str  # "Order 40118299", "A draft"
    numbers: list[str] = field(default_factory=list)
    is_over: bool = False  # it was canceled: its numbers are open again

    @property
    def as_runs(self) -> str:
        """Its numbers as they are read, a few of them."""
        return runs_text(self.numbers) if len(self.numbers) <= MOST_SHOWN else ""

    @property
    def text(self) -> str:
        """What it does: `takes up 7 numbers`."""
        if self.is_over:
            return "took up numbers of this order and was canceled"
        return f"takes up {words.count_text(len(self.numbers), 'number')}"


@dataclass
class RefusalCare:
    """What was decided about the numbers of one refusal, and what can be done with the rest."""

    code: str
    open: list[str]  # numbers that are neither settled nor taken up
    seen: str  # names their facts; a decision about others is not taken
    settled: list[Said]
    settled_seen: str
    settled_numbers: list[str]
    asked: Said | None
    clock: Clock | None
    elsewhere: list[Elsewhere]
    offers_new_order: bool
    why_no_new_order: str
    can_resubmit: bool
    needs_us: bool  # whether anything can be asked or settled about them

    @property
    def digits(self) -> str:
        """Its open numbers as a form sends them."""
        return ".".join(number.lstrip("+") for number in self.open)

    @property
    def settled_digits(self) -> str:
        """Its settled numbers as a form sends them."""
        return ".".join(number.lstrip("+") for number in self.settled_numbers)


class Care:
    """Everything decided about an order; `order` comes from `page.load`."""

    def __init__(self, order: Any) -> None:
        self.order, self.item = order, order.item
        self.numbers = {row["n"]: _number(row) for row in order.in_trouble}
        self._marks: dict[tuple[str, str], list[Said]] = {}
        for row in order.decided:
            if at := stored_moment(row["at"]):
                said = Said(_name(row), at, row["text"], row["reason"])
                self._marks.setdefault((row["kind"], row["fact"]), []).append(said)
        self._taken: dict[str, int] = {row["n"]: row["order"] for row in order.taken_up}
        self.elsewhere = _orders(order, self._taken) + _drafts(order)

    def said(self, kind: str, fact: str) -> Said | None:
        """Return the newest decision about a fact."""
        found = self._marks.get((kind, fact))
        return found[-1] if found else None

    @property
    def needs_us(self) -> bool:
        """Whether refused and left out numbers are ours to see to: not once the order is ending."""
        is_ending = self.order.status in (facts.CANCELED, facts.CANCELING)
        return not is_ending and self.order.gone_at is None

    def of(self, status: str, numbers: Iterable[str], causes: Iterable[Cause]) -> RefusalCare:
        """Return what is to say about the numbers of one refusal."""
        there = [self.numbers[n] for n in numbers if n in self.numbers]
        settled = [n for n in there if self.said(marks.SETTLED, n.fact)]
        done = {n.phone_number for n in settled} | self._taken.keys()
        rest = [n for n in there if n.phone_number not in done]
        asked = [s for n in rest if (s := self.said(marks.ASKED, n.fact))]
        code, remedies = _code_of(status), {cause.remedy for cause in causes}
        is_editable = self.order.is_editable and not self.order.gone_at
        can_go_on = bool(rest) and "terminal" not in remedies
        is_locked = self.order.status == facts.CANCELING
        is_asked = bool(rest) and len(asked) == len(rest)
        return RefusalCare(
            code=code,
            open=[n.phone_number for n in rest],
            seen=marks.digest(n.fact for n in rest),
            settled=list(dict.fromkeys(s for n in settled if (s := self._settled(n)))),
            settled_seen=marks.digest(n.fact for n in settled),
            settled_numbers=[n.phone_number for n in settled],
            asked=min(asked, key=lambda said: said.at) if is_asked else None,
            clock=clock_of(self._reason(code, is_asked=is_asked)) if rest else None,
            elsewhere=[e for e in self.elsewhere if {n.phone_number for n in there} & {*e.numbers}],
            offers_new_order=can_go_on
            and status in (facts.REJECTED, facts.EXCLUDED)
            and (status == facts.EXCLUDED or not is_editable),
            why_no_new_order=LOCKED if is_locked else "",
            can_resubmit=can_go_on
            and is_editable
            and status == facts.REJECTED
            and "first outside" in remedies,
            needs_us=self.needs_us,
        )

    def _settled(self, number: facts.Number) -> Said | None:
        return self.said(marks.SETTLED, number.fact)

    def _reason(self, code: str, *, is_asked: bool) -> dict[str, Any] | None:
        """Return the order's reason of a code for what was asked, or for what was not."""
        for reason in self.item.reasons or []:
            if reason.get("code") == code and bool(reason.get("asked")) == is_asked:
                return dict(reason)
        return None

    # What the list of reasons shows.

    settle_words = SETTLE_WORDS

    @property
    def has_lines(self) -> bool:
        """Whether there is anything to list."""
        linked = self.elsewhere or self.order.follows_id
        return bool(linked or self.settled_here or any(line.verbs for line in self.lines))

    @property
    def lines(self) -> list["Line"]:
        """The order's reasons, each with its clock and what can be said about it.

        What the head of the page tells in full is only named here.
        """
        told = self.item.reasons or []
        return [_line(reason, is_told=at < TOLD_FIRST) for at, reason in enumerate(told)]

    @property
    def heading(self) -> str:
        """What the list is called: there may be nothing in it beyond what the head tells."""
        more = any(line.verbs and not line.is_told for line in self.lines)
        if more or self.settled_here or self.elsewhere or self.order.follows_id:
            return "Open, settled or linked"
        return "Say what was done about it"

    @property
    def is_stalled(self) -> bool:
        """Whether somebody has to be chased."""
        return any(reason.get("code") == "P11" for reason in self.item.reasons or [])

    @property
    def clock(self) -> Clock | None:
        """The clock of what is worst."""
        found = worst_of(self.item.reasons or [])
        return found[0] if found else None

    @property
    def settled_here(self) -> list["Settled"]:
        """What was settled and is no refusal; each can be taken back."""
        found = []
        for (kind, fact), said in self._marks.items():
            what = NOTICES.get(said[-1].reason)
            if kind == marks.SETTLED and what:
                found.append(Settled(what, f"unsettle:{said[-1].reason}:{fact}", said[-1]))
            elif kind == marks.NO_LOA and self.order.is_editable:
                found.append(Settled("This order needs no LOA", "needs_loa:P9:", said[-1]))
        return found

    @property
    def awaits_since(self) -> datetime | None:
        """Since when Sinch waits for our answer."""
        return stored_moment((self.awaits_answer or {}).get("since"))

    @property
    def answer_clock(self) -> Clock | None:
        """The clock of our answer."""
        return clock_of(self.awaits_answer)

    @property
    def newest_note(self) -> dict[str, Any] | None:
        """The last note that is not ours."""
        return next((n for n in reversed(self.order.note_rows) if n["ours"] is None), None)

    @property
    def no_reply(self) -> Said | None:
        """Who said that the newest note needs no reply; None when nobody did, or took it back."""
        note = self.newest_note
        if note is None or self.awaits_answer:
            return None
        no, yes = (self.said(kind, note["fact"]) for kind in (marks.NO_REPLY, marks.NEEDS_REPLY))
        return no if no and (yes is None or yes.at < no.at) else None

    @property
    def is_answering(self) -> bool:
        """Whether an answer of ours is on its way, or nobody knows yet what became of it."""
        return _is_answering(self.awaits_answer or {})

    @property
    def awaits_answer(self) -> dict[str, Any] | None:
        """The reason that says so when Sinch has the last word."""
        return next((r for r in self.item.reasons or [] if r.get("code") == "P4"), None)


@dataclass(frozen=True)
class Settled:
    """Something settled: what, the value of the button that takes it back, and who said it."""

    what: str
    value: str
    said: Said


@dataclass(frozen=True)
class Verb:
    """Something that can be said about a reason: the value of its button, and its words."""

    value: str
    words: str


@dataclass(frozen=True)
class Line:
    """One reason as the page tells it; `is_told` when its full text stands in the head."""

    text: str
    is_told: bool
    tone: str
    glyph: str
    clock: Clock | None
    is_stalled: bool
    verbs: list[Verb]


# Reasons about something that happened: what it is called once settled, and what settles it.
NOTICES: Final = {"P5": "The customer knows the new date", "P6": "Nothing more to do"}


# What a reason is about, where its text stands above.
_ABOUT: Final = {
    "P4": "Sinch’s note",
    "P5": "The date that changed",
    "P6": "The end of the order",
    "P7": "Features left out",
    "P8": "The requested date",
    "P9": "The LOA",
    "P11": "How it stands",
}


def _line(reason: dict[str, Any], *, is_told: bool) -> Line:
    code, since = reason.get("code", ""), stored_moment(reason.get("since"))
    verbs = []
    if code in NOTICES and since:
        verbs.append(Verb(f"settle:{code}:{marks.notice_fact(code, since)}", NOTICES[code]))
    if code == "P7" and facts.is_about_features(reason.get("text", "")):
        verbs.append(Verb(f"settle:P7:{FEATURES}", FEATURES_WORDS))
    if code == "P9":
        verbs.append(Verb("no_loa:P9:", "This order needs no LOA"))
    if code in ("P4", "P8", "P9") and not _is_answering(reason):
        is_again = reason.get("asked") or "customer" in reason.get("text", "").rpartition(";")[2]
        verbs.append(Verb(f"ask:{code}:", "Asked again" if is_again else ASKED_WORDS))
    if code == marks.CHASE:
        verbs.append(Verb(f"ask:{code}:", "Asked Sinch by phone"))
    text = reason.get("text", "")
    return Line(
        text=_ABOUT.get(code, text) if is_told else text,
        is_told=is_told,
        tone=reason.get("tone") or "wait",
        glyph=reason.get("glyph") or "wait",
        clock=clock_of(reason),
        is_stalled=code == marks.CHASE,
        verbs=verbs,
    )


def _is_answering(reason: dict[str, Any]) -> bool:
    code, text = reason.get("code"), reason.get("text", "")
    return (code == "P4" and text.endswith(f"; {ANSWERING}")) or text == LOA_ARRIVING


def _code_of(status: str) -> str:
    return "P3" if status == facts.REJECTED else "P7"


def _number(row: dict[str, Any]) -> facts.Number:
    return facts.Number(
        phone_number=row["n"],
        status=row["status"],
        since=stored_moment(row["since"]) or datetime.min.replace(tzinfo=UTC),
        reject_reason=row["rejected"],
        exclusion_reason=row["excluded"],
        features=wire.features_text(row["features"]),
    )


def _name(row: dict[str, Any]) -> str:
    full = f"{row.get('first') or ''} {row.get('last') or ''}".strip()
    return full or row.get("login") or "Somebody"


def _orders(order: Any, taken: dict[str, int]) -> list[Elsewhere]:
    return [
        Elsewhere(
            url=reverse("orders:detail", args=[row["pk"]]),
            name=f"Order {row['sinch_id']}",
            numbers=[number for number, pk in taken.items() if pk == row["pk"]],
            is_over=row["status"] == facts.CANCELED,
        )
        for row in order.later
    ]


def _drafts(order: Any) -> list[Elsewhere]:
    """Return the drafts that take up numbers; their fields are encrypted and read only if any."""
    if not order.draft_keys:
        return []
    return [
        Elsewhere(
            url=draft.get_absolute_url(),
            name="A draft",
            numbers=numbers_of(read_numbers(str(draft.field("numbers")))),
        )
        for draft in PortInDraft.objects.filter(pk__in=order.draft_keys).order_by("created_at")
        if draft.field("follows_kind") == "refused"
    ]
