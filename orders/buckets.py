"""In which bucket a port-in order is, why, whose move it is, and when that may change by itself.

One pure function, `work_out`: facts and a moment in, a verdict out. Every threshold is a constant
at the top. Dates and clocks move an order without any event, so a verdict says when to ask again.

Settling a reason does not exist yet. Until it does, a reason holds as long as the facts do, with
these limits: P1 is settled by marking the outcome as seen; P5 is told for one business day; P6
for five, and only for orders that were seen living; P7 while the order lives.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

from orders.causes import MOST_CAUSES, Cause, causes_of, names_of
from orders.dates import DEFAULT_ZONE, add_bd, bd_between, countries_of, moment_plus_bd
from portal import words

UNCERTAIN_PATIENCE: Final = timedelta(minutes=15)  # then a lost answer is ours to look into
AUTOMATIC_GRACE: Final = timedelta(hours=4)  # after the port moment
ACTIVATION_GRACE: Final = timedelta(hours=1)  # after an accepted activation
ANSWER_DAYS: Final = 2  # bd after an update until an unanswered rejection is ours again
MOVED_DAYS: Final = 1  # bd for which a moved date is told
ENDED_DAYS: Final = 5  # bd for which an order ended by others is told
SOON_DAYS: Final = 5  # bd ahead of a FOC date
COMPLETED_LIVE_DAYS: Final = 1  # bd a completed order may have numbers that are not live

PENDING, CONFIRMED, ACTIVATED = "PENDING", "CONFIRMED", "ACTIVATED"
REJECTED, EXCLUDED, CANCELED = "REJECTED", "EXCLUDED", "CANCELED"
COMPLETED, CANCELING = "COMPLETED", "PENDING_CANCELATION"
SETTLED_NUMBERS: Final = frozenset({ACTIVATED, REJECTED, EXCLUDED, CANCELED})
FINISHED: Final = frozenset({COMPLETED, CANCELED})
UNDER_WAY: Final = frozenset({"queued", "sending", "uncertain"})

_LOA_WORDS: Final = (
    "loa",
    "letter of authorization",
    "letter of authorisation",
    "letter of agency",
)
# "Worst first": the bucket, then the first reason. P1 about an activation comes before all.
_RANKS: Final = {"ready": 50, "us": 100, "date": 300, "wait": 500, "done": 700, "ended": 800}
_ACTIVATION_FAILED_RANK: Final = 10


def zone_named(*names: str) -> ZoneInfo:
    """Return the first of these time zones that this machine knows, else US/Eastern."""
    for name in names:
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # not named, unknown, or the name of a folder
            continue
    return ZoneInfo(DEFAULT_ZONE)


# --- Facts --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number:
    """What the verdict needs of a number. `since` is when this desk first saw it so."""

    phone_number: str
    status: str
    since: datetime
    group: str = ""
    carrier: str = ""
    foc_date: date | None = None
    reject_reason: str = ""
    exclusion_reason: str = ""
    has_excluded_features: bool = False

    @property
    def is_live(self) -> bool:
        """Whether it is still on its way; an unknown word counts so."""
        return self.status not in SETTLED_NUMBERS


@dataclass(frozen=True, slots=True)
class Write:
    """An operation about the order. `groups` are the keys an activation is for, () for all."""

    kind: str
    state: str
    created_at: datetime
    finished_at: datetime | None = None
    uncertain_since: datetime | None = None
    is_seen: bool = False
    message: str = ""
    field: str = ""
    groups: tuple[str, ...] = ()
    numbers: frozenset[str] = frozenset()

    @property
    def is_under_way(self) -> bool:
        """Whether its outcome is still open."""
        return self.state in UNDER_WAY

    def covers(self, key: str, numbers: Iterable[str]) -> bool:
        """Tell whether an activation is about this group or one of its numbers."""
        if not self.groups and not self.numbers:
            return True
        return key in self.groups or not self.numbers.isdisjoint(numbers)


@dataclass(frozen=True, slots=True)
class Note:
    """A note of the conversation; `is_ours` when an operation of ours sent it."""

    at: datetime
    text: str
    is_ours: bool
    author: str = "Sinch"


@dataclass(frozen=True, slots=True)
class Offer:
    """A group that Sinch offers for activation; without a date the numbers' own counts."""

    key: str
    numbers: tuple[str, ...]
    foc_date: date | None = None
    since: datetime | None = None  # when this desk first heard of it


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened and is told for a while."""

    at: datetime
    text: str


@dataclass(frozen=True)
class Facts:
    """All that a verdict depends on. `progress_at` is when anything last moved."""

    status: str
    progress_at: datetime
    on_demand: bool = False
    desired_date: date | None = None
    desired_time: str = ""
    zone: str = ""
    default_time: str = "09:00"
    default_zone: str = DEFAULT_ZONE
    expects_loa: bool = True
    loa_attachment_date: str = ""
    gone_at: datetime | None = None
    numbers: tuple[Number, ...] = ()
    notes: tuple[Note, ...] = ()
    # (name, kind) of each document, kind being ours: "loa", "bill", "other".
    documents: tuple[tuple[str, str], ...] = ()
    writes: tuple[Write, ...] = ()
    offers: tuple[Offer, ...] = ()
    offered_at: datetime | None = None
    moved: Notice | None = None
    ended: Notice | None = None

    @property
    def time_zone(self) -> ZoneInfo:
        """The zone of its dates: the order's, else the project's, else US/Eastern."""
        return zone_named(self.zone, self.default_zone)

    @property
    def port_time(self) -> time:
        """The time of day at which numbers move."""
        for said in (self.desired_time, self.default_time):
            try:
                return time.fromisoformat(said)
            except ValueError:
                continue
        return time(9)

    @cached_property
    def countries(self) -> tuple[str, ...]:
        """The countries of its numbers, whose holidays are no business days."""
        return countries_of(number.phone_number for number in self.numbers)

    def today(self, now: datetime) -> date:
        """The calendar day in its zone."""
        return now.astimezone(self.time_zone).date()

    def moment(self, day: date) -> datetime:
        """The port moment of a day."""
        return datetime.combine(day, self.port_time, self.time_zone)

    def start_of(self, day: date) -> datetime:
        """The midnight with which a day begins in its zone."""
        return datetime.combine(day, time.min, self.time_zone)

    @property
    def is_living(self) -> bool:
        """Whether anything can still become of it."""
        return self.status not in FINISHED and self.gone_at is None

    @property
    def open_focs(self) -> list[date]:
        """The FOC dates of the numbers that are confirmed and not live yet, earliest first."""
        return sorted({n.foc_date for n in self.numbers if n.status == CONFIRMED and n.foc_date})


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an order is where it is, in words; `next` is what its button says."""

    code: str
    text: str
    tone: str
    glyph: str
    next: str = ""
    since: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it in the form a work item keeps."""
        return {
            "code": self.code,
            "text": self.text,
            "tone": self.tone,
            "glyph": self.glyph,
            "next": self.next,
            "since": self.since.isoformat() if self.since else None,
        }


@dataclass(frozen=True)
class Verdict:
    """Where the order is; `rank` is smaller the worse it is, `move` a key of `words.MOVES`."""

    bucket: str
    rank: int
    move: str
    reasons: tuple[Reason, ...] = ()
    next_change_at: datetime | None = None


# --- The verdict --------------------------------------------------------------------------------


@dataclass
class _Clock:
    """Collects the moments at which a verdict may change by itself."""

    now: datetime
    next: datetime | None = None

    def is_past(self, moment: datetime) -> bool:
        """Tell whether a moment has come; one that has not is remembered."""
        if moment <= self.now:
            return True
        if self.next is None or moment < self.next:
            self.next = moment
        return False


@dataclass
class _Case:
    facts: Facts
    clock: _Clock
    reasons: list[Reason] = field(default_factory=list)

    def add(
        self,
        code: str,
        text: str,
        tone: str,
        next_step: str,
        since: datetime | None,
        glyph: str = "",
    ) -> None:
        self.reasons.append(Reason(code, text, tone, glyph or tone, next_step, since))


def work_out(facts: Facts, now: datetime) -> Verdict:
    """Return bucket, ranked reasons, whose move it is and when to ask again.

    Source: the desk's own rules; the buckets are tried in the order ready, needs us, dated soon,
    waiting, done, ended, and the first that holds wins.
    """
    case = _Case(facts, _Clock(now))
    is_ending = facts.status in (CANCELED, CANCELING) or facts.gone_at is not None
    _refused_writes(case)
    if not is_ending:
        _late(case)
        _rejected(case)
    _unanswered_note(case)
    if not is_ending:
        _moved(case)
    _ended_by_others(case)
    if facts.is_living and not is_ending:
        _left_out(case)
    if facts.status == PENDING and facts.gone_at is None:
        _date_passed(case)
        _loa_missing(case)
    ready = None if is_ending else _ready(case)
    activation_failed = any(r.code == "P1" and r.next == "Activate again" for r in case.reasons)
    if ready and not activation_failed:
        return _verdict(case, "ready", "us", [ready, *case.reasons])
    if case.reasons:
        reasons = [*case.reasons, ready] if ready else case.reasons
        rank = _RANKS["us"] + 10 * int(reasons[0].code[1:])
        if activation_failed:
            rank = _ACTIVATION_FAILED_RANK
            reasons.sort(key=lambda r: r.next != "Activate again")
        return _verdict(case, "us", "us", reasons, rank)
    return _calm(case)


def _verdict(
    case: _Case, bucket: str, move: str, reasons: list[Reason], rank: int | None = None
) -> Verdict:
    return Verdict(
        bucket=bucket,
        rank=_RANKS[bucket] if rank is None else rank,
        move=move,
        reasons=tuple(reasons),
        next_change_at=case.clock.next,
    )


def _calm(case: _Case) -> Verdict:
    """Return the verdict on an order that does not need us."""
    facts, clock = case.facts, case.clock
    today = facts.today(clock.now)
    if facts.is_living and facts.status in (PENDING, CONFIRMED):
        for day in facts.open_focs:
            clock.is_past(facts.start_of(add_bd(day, -SOON_DAYS, facts.countries)))
        soon = [
            day for day in facts.open_focs if bd_between(today, day, facts.countries) <= SOON_DAYS
        ]
        # An activation whose numbers are all live is over, however short a while ago it was.
        accepted = [w for w in facts.writes if _is_running(w, case) and not _is_over(w, facts)]
        if accepted:
            waiting = {n.phone_number for w in accepted for n in _not_live(w, facts)}
            text = f"Activation under way, {words.count_text(len(waiting), 'number')} not live yet"
            reason = Reason("WAIT", text, "date", "half", since=accepted[0].created_at)
            return _verdict(case, "wait", "sinch", [reason])
        if soon:
            clock.is_past(facts.start_of(today + timedelta(days=1)))
            rank = _RANKS["date"] + max(0, min(bd_between(today, soon[0], facts.countries), 99))
            return _verdict(case, "date", "date", [_dated(case, soon[0])], rank)
    if facts.is_living or (facts.status == COMPLETED and any(n.is_live for n in facts.numbers)):
        reason, move = _waiting(case)
        return _verdict(case, "wait", move, [reason])
    live = any(n.status == ACTIVATED for n in facts.numbers)
    is_done = facts.status == COMPLETED and live and facts.gone_at is None
    return _verdict(case, "done" if is_done else "ended", "nobody", [])


def _dated(case: _Case, day: date) -> Reason:
    facts = case.facts
    today = facts.today(case.clock.now)
    zone = str(facts.time_zone)
    if facts.on_demand:
        if day > today:
            text = f"Can be activated from {words.day_text(day, today)}"
        elif facts.offered_at and facts.offered_at >= facts.start_of(today):
            text = "FOC date reached; Sinch offers nothing to activate yet"
        else:
            text = "FOC date reached; checking what Sinch offers"
    else:
        at = f"{facts.port_time:%H:%M}"
        text = f"Goes live {words.day_text(day, today)}, {words.clock_text(at, zone)}"
    return Reason("DATE", text, "date", "date", since=None)


def _waiting(case: _Case) -> tuple[Reason, str]:
    facts, today = case.facts, case.facts.today(case.clock.now)
    since = facts.progress_at
    if facts.status == CANCELING:
        return Reason("WAIT", "Canceling is under way", "ended", "half", since=since), "sinch"
    if facts.status == COMPLETED:
        count = words.count_text(sum(n.is_live for n in facts.numbers), "number")
        text = f"Completed, {count} not live yet"
        return Reason("WAIT", text, "wait", "wait", since=since), "sinch"
    if facts.status not in (PENDING, CONFIRMED):
        text = f"Sinch reports {facts.status or 'no status'}"
        return Reason("WAIT", text, "wait", "unknown", since=since), "sinch"
    open_numbers = [n for n in facts.numbers if n.status not in {*SETTLED_NUMBERS, CONFIRMED}]
    if open_numbers:
        carriers = sorted({n.carrier for n in open_numbers if n.carrier})
        at = f" at {carriers[0]}" if len(carriers) == 1 else ""
        text = f"{words.count_text(len(open_numbers), 'number')}{at} not answered yet"
        return Reason("WAIT", text, "wait", "wait", since=since), "carrier"
    if facts.open_focs:
        text = f"Confirmed for {words.day_text(facts.open_focs[0], today)}"
        return Reason("WAIT", text, "wait", "wait", since=since), "date"
    return Reason("WAIT", "Sinch has the next word", "wait", "wait", since=since), "sinch"


# --- The reasons --------------------------------------------------------------------------------

_WRITE_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "port_in.update": ("our change", "Correct it"),
    "port_in.cancel": ("our cancelation", "Look at it"),
    "port_in.note": ("our note", "Look at it"),
    "port_in.document": ("our document", "Look at it"),
    "port_in.activate": ("our activation", "Activate again"),
    "port_in.create": ("our order", "Look at it"),
}
_FIELD_WORDS: Final = {
    "existingPortOutPin": "PIN",
    "accountNum": "account number",
    "accountPhoneNumber": "BTN",
    "authorizingName": "signer",
    "authorizingDate": "day it was signed",
    "name": "name",
    "streetNum": "street number",
    "streetName": "street",
    "city": "city",
    "state": "state",
    "zipCode": "ZIP code",
    "desiredPortDate": "port date",
    "desiredPortTime": "port time",
    "desiredPortTimeZone": "time zone",
    "resellerName": "reseller name",
    "customerOrderReference": "reference",
    "phoneNumber": "phone number",
}


def _refused_writes(case: _Case) -> None:
    """P1: a write that failed, and that no later success of its kind has replaced."""
    writes = case.facts.writes
    for kind, (what, next_step) in _WRITE_WORDS.items():
        own = [w for w in writes if w.kind == kind]
        good = max((w.created_at for w in own if w.state == "succeeded"), default=None)
        open_ones = [w for w in own if not w.is_seen and (good is None or w.created_at > good)]
        for write in sorted(open_ones, key=lambda w: w.created_at, reverse=True):
            since = write.finished_at or write.uncertain_since or write.created_at
            if write.state == "refused":
                about = _FIELD_WORDS.get(write.field.rsplit(".", 1)[-1], "")
                text = f"Sinch refused {what}" + (f": {about}" if about else "")
                case.add("P1", text, "bad", next_step, since)
            elif write.state == "dead":
                text = f"{what.capitalize()} stopped and needs a look"
                case.add("P1", text, "bad", next_step, since, "out")
            elif write.state == "uncertain" and write.uncertain_since:
                if not case.clock.is_past(write.uncertain_since + UNCERTAIN_PATIENCE):
                    continue
                text = f"No trace of {what} at Sinch yet"
                case.add("P1", text, "us", next_step, since, "unknown")
            else:
                continue
            break


def _late(case: _Case) -> None:
    """P2: numbers that should be live and are not."""
    facts, clock = case.facts, case.clock
    today = facts.today(clock.now)
    late: list[tuple[datetime, str]] = []
    if facts.status == COMPLETED:
        count = sum(n.is_live for n in facts.numbers)
        due = moment_plus_bd(
            facts.progress_at, COMPLETED_LIVE_DAYS, facts.time_zone, facts.countries
        )
        if count and clock.is_past(due):
            are = "is" if count == 1 else "are"
            text = f"Completed, but {words.count_text(count, 'number')} {are} not live"
            case.add("P2", text, "bad", "Ask Sinch", due)
        return
    confirmed = [n for n in facts.numbers if n.status == CONFIRMED and n.foc_date]
    for day, count in sorted(Counter(n.foc_date for n in confirmed if n.foc_date).items()):
        said = f"{words.count_text(count, 'number')} confirmed for {words.day_text(day, today)}"
        text = f"{said} {'is' if count == 1 else 'are'} not live"
        if not facts.on_demand:
            due = facts.moment(day) + AUTOMATIC_GRACE
            if clock.is_past(due):
                late.append((due, text))
        elif not facts.offers and not any(_is_running(w, case) for w in facts.writes):
            due = facts.start_of(day + timedelta(days=1))
            # An old answer about what is on offer says nothing about today.
            asked_today = facts.offered_at and facts.offered_at >= facts.start_of(today)
            if clock.is_past(due) and asked_today:
                late.append((due, f"{text}, and Sinch does not offer them"))
    for write in facts.writes:
        if write.kind == "port_in.activate" and write.state == "succeeded" and write.finished_at:
            covered = _not_live(write, facts)
            due = write.finished_at + ACTIVATION_GRACE
            if covered and clock.is_past(due):
                count_words = words.count_text(len(covered), "number")
                late.append((due, f"Activated over 1 h ago, {count_words} not live"))
    if late:
        since, text = min(late)
        case.add("P2", text, "bad", "Ask Sinch", since)


def _rejected(case: _Case) -> None:
    """P3: a refused number that no update has answered yet."""
    facts = case.facts
    updates = [
        w.finished_at
        for w in facts.writes
        if w.kind == "port_in.update" and w.state == "succeeded" and w.finished_at
    ]
    open_numbers = []
    for number in facts.numbers:
        if number.status != REJECTED:
            continue
        answered = max((at for at in updates if at > number.since), default=None)
        if answered is None or case.clock.is_past(
            moment_plus_bd(answered, ANSWER_DAYS, facts.time_zone, facts.countries)
        ):
            open_numbers.append(number)
    if not open_numbers:
        return
    reasons = Counter(n.reject_reason for n in open_numbers)
    text = f"{words.count_text(len(open_numbers), 'number')} rejected{_why(reasons)}"
    since = min(n.since for n in open_numbers)
    case.add("P3", text, "bad", _remedy(facts, reasons), since)


def _why(reasons: Mapping[str, int]) -> str:
    """Return `: PIN, address` for what the refusals speak of, `: “…”` where nobody knows."""
    known = {cause.number: cause for said in reasons for cause in causes_of(said)}
    if known and all(causes_of(said) for said in reasons) and len(known) <= MOST_CAUSES:
        return f": {names_of([known[number] for number in sorted(known)])}"
    if len(reasons) > 1:
        return f" in {len(reasons)} causes"
    said = next(iter(reasons))
    return f": “{_short(said)}”" if said else ""


def _remedy(facts: Facts, reasons: Mapping[str, int]) -> str:
    """Return what to do first: the step that the cause of most of the numbers asks for."""
    found = Counter[Cause]()
    for said, count in reasons.items():
        found.update(dict.fromkeys(causes_of(said), count))
    # The table's order decides among causes of equally many numbers.
    first = min(found, key=lambda cause: (-found[cause], cause.number), default=None)
    if first and first.remedy == "terminal":
        return first.next_step
    if facts.status != PENDING:
        return "Order them anew"
    return first.next_step if first else "Ask Sinch"


def _unanswered_note(case: _Case) -> None:
    """P4: Sinch had the last word."""
    facts = case.facts
    incoming = max((n for n in facts.notes if not n.is_ours), key=lambda n: n.at, default=None)
    if incoming is None:
        return
    # What counts is when somebody decided to write: a note that came after that was not seen.
    answers = [note.at for note in facts.notes if note.is_ours]
    answers += [
        w.created_at
        for w in facts.writes
        if w.kind in ("port_in.note", "port_in.document", "port_in.update")
        and (w.state == "succeeded" or w.is_under_way)
    ]
    if any(at > incoming.at for at in answers):
        return
    verb = "asks" if incoming.text.rstrip().endswith("?") else "wrote"
    text = f"{incoming.author} {verb}: “{_short(incoming.text)}”"
    case.add("P4", text, "us", "Answer", incoming.at)


def _moved(case: _Case) -> None:
    """P5: a confirmed date changed or fell away, and the customer should know."""
    facts = case.facts
    if facts.moved and facts.is_living:
        until = moment_plus_bd(facts.moved.at, MOVED_DAYS, facts.time_zone, facts.countries)
        if not case.clock.is_past(until):
            case.add("P5", facts.moved.text, "us", "Tell customer", facts.moved.at)


def _ended_by_others(case: _Case) -> None:
    """P6: the order ended without our asking."""
    facts = case.facts
    # An order that came back has not ended after all.
    if facts.ended and (facts.status == CANCELED or facts.gone_at):
        until = moment_plus_bd(facts.ended.at, ENDED_DAYS, facts.time_zone, facts.countries)
        if not case.clock.is_past(until):
            case.add("P6", facts.ended.text, "bad", "Look at it", facts.ended.at)


def _left_out(case: _Case) -> None:
    """P7: a number or a feature that will not move with the order."""
    numbers = case.facts.numbers
    out = [n for n in numbers if n.status in (EXCLUDED, CANCELED)]
    if out:
        causes = {n.exclusion_reason for n in out}
        cause = causes.pop() if len(causes) == 1 else ""
        text = f"{words.count_text(len(out), 'number')} left out"
        text += f": “{_short(cause)}”" if cause else ""
        case.add("P7", text, "us", "Look at it", min(n.since for n in out), "out")
    without = [n for n in numbers if n.has_excluded_features and n.status not in SETTLED_NUMBERS]
    if without:
        text = f"{words.count_text(len(without), 'number')} without a feature that was left out"
        case.add("P7", text, "us", "Look at it", min(n.since for n in without), "out")


def _date_passed(case: _Case) -> None:
    """P8: the requested date is over and nothing is confirmed."""
    facts = case.facts
    if facts.desired_date and not any(n.status in (CONFIRMED, ACTIVATED) for n in facts.numbers):
        due = facts.moment(facts.desired_date)
        if case.clock.is_past(due):
            day = words.day_text(facts.desired_date, facts.today(case.clock.now))
            case.add("P8", f"Requested date {day} has passed", "us", "Choose a date", due)


def _loa_missing(case: _Case) -> None:
    """P9: the project wants an LOA and there is none."""
    facts = case.facts
    has_loa = facts.loa_attachment_date or any(
        kind == "loa" or is_loa_name(name) for name, kind in facts.documents
    )
    if facts.expects_loa and not has_loa:
        case.add("P9", "LOA missing", "us", "Upload LOA", facts.progress_at)


def is_loa_name(name: str) -> bool:
    """Tell whether a document's name says that it is a letter of authorization."""
    bare = "".join(c if c.isalnum() else " " for c in name.casefold())
    spaced = f" {' '.join(bare.split())} "
    return any(f" {word} " in spaced for word in _LOA_WORDS)


def _not_live(activation: Write, facts: Facts) -> list[Number]:
    """Return the confirmed numbers that an activation was asked for; without any, all of them."""
    return [
        n
        for n in facts.numbers
        if n.status == CONFIRMED
        and (not activation.numbers or n.phone_number in activation.numbers)
        and (activation.numbers or not activation.groups or n.group in activation.groups)
    ]


def _is_over(activation: Write, facts: Facts) -> bool:
    """Tell whether every number is live that an activation was asked for, where it names them."""
    names_them = activation.numbers or not activation.groups
    return bool(names_them) and not _not_live(activation, facts)


def _is_running(write: Write, case: _Case) -> bool:
    """Tell whether an activation is on its way or was accepted within the hour."""
    if write.kind != "port_in.activate":
        return False
    if write.is_under_way:
        return True
    accepted = write.finished_at if write.state == "succeeded" else None
    return accepted is not None and not case.clock.is_past(accepted + ACTIVATION_GRACE)


def _ready(case: _Case) -> Reason | None:
    facts = case.facts
    if not (facts.on_demand and facts.status == CONFIRMED and facts.is_living):
        return None
    today = facts.today(case.clock.now)
    by_number = {n.phone_number: n for n in facts.numbers}
    waiting: set[str] = set()
    heard: list[datetime | None] = []
    for offer in facts.offers:
        numbers = [by_number[p] for p in offer.numbers if p in by_number]
        if not offer.numbers:
            numbers = [n for n in facts.numbers if n.group == offer.key]
        dates = [n.foc_date for n in numbers if n.foc_date]
        day = offer.foc_date or (min(dates) if dates else None)
        if day and day > today:
            case.clock.is_past(facts.start_of(day))
            continue
        running = [w for w in facts.writes if _is_running(w, case)]
        if any(w.covers(offer.key, [n.phone_number for n in numbers]) for w in running):
            continue
        there = {n.phone_number for n in numbers if n.status == CONFIRMED or n.is_live}
        waiting |= there
        if there:
            heard.append(offer.since or facts.offered_at)
    if not waiting:
        return None
    text = f"Activate {words.count_text(len(waiting), 'number')}"
    since = min((moment for moment in heard if moment), default=None)
    return Reason("READY", text, "ready", "ready", "Activate", since)


def _short(said: str, most: int = 80) -> str:
    said = " ".join(said.split())
    return said if len(said) <= most else f"{said[:most].rstrip(' .,;:')}…"


# --- How soon to read again ---------------------------------------------------------------------

READ_WHILE_WRITING: Final = timedelta(minutes=1)
READ_ON_FOC_DAY: Final = timedelta(minutes=1)
READ_NEAR_PORT: Final = timedelta(minutes=5)
READ_CANCELING: Final = timedelta(minutes=5)
READ_PENDING: Final = timedelta(minutes=15)
READ_CONFIRMED: Final = timedelta(minutes=30)
READ_FINISHED: Final = timedelta(hours=24)
NEAR_PORT: Final = timedelta(days=1)
FINISHED_FOR: Final = timedelta(days=3)  # then a finished order is only read when asked for


def pause_before_reading(facts: Facts, now: datetime) -> timedelta | None:
    """Return when to read an order again although nobody asks; None for never.

    Webhooks may get lost, so the pace follows what is expected: a minute while something of ours
    or the port itself is under way, a day for an order that is over.
    """
    today = facts.today(now)
    if facts.gone_at:
        return None
    if any(write.is_under_way for write in facts.writes):
        return READ_WHILE_WRITING
    if facts.status in FINISHED:
        if facts.status == COMPLETED and any(n.is_live for n in facts.numbers):
            return READ_CONFIRMED
        return READ_FINISHED if now - facts.progress_at < FINISHED_FOR else None
    if facts.status == CANCELING:
        return READ_CANCELING
    focs = facts.open_focs
    if today in focs:
        return READ_ON_FOC_DAY
    if focs and focs[0] < today:
        return READ_NEAR_PORT
    if any(facts.moment(day) - now < NEAR_PORT for day in focs):
        return READ_NEAR_PORT
    return READ_CONFIRMED if facts.status == CONFIRMED else READ_PENDING


def wants_offers(facts: Facts, now: datetime) -> bool:
    """Tell whether to ask Sinch which groups can be activated: on-demand, confirmed, FOC come."""
    return (
        facts.on_demand
        and facts.status == CONFIRMED
        and facts.gone_at is None
        and any(day <= facts.today(now) for day in facts.open_focs)
    )
