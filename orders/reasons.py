"""The reasons for which an order needs us, P1 to P11, and how each is told.

Each function looks at one `Case` and adds what holds. Every threshold is a constant at the top;
how long a reason may lie is in `orders.clocks`. What staff decided counts only for the facts it
was decided about: `Facts.marked` asks by the key of a fact.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from orders import clocks, marks
from orders.case import CHASE, Case, Reason, new_order_for
from orders.causes import MOST_CAUSES, Cause, causes_of, names_of
from orders.facts import (
    ACTIVATED,
    CANCELED,
    CANCELING,
    COMPLETED,
    CONFIRMED,
    EXCLUDED,
    PENDING,
    REJECTED,
    Facts,
    Number,
    Offer,
    Write,
    without_text,
)
from portal import words
from portal.work import verdicts
from portal.work.office import Limit
from portal.work.verdicts import add_part, by_asking

AUTOMATIC_GRACE: Final = timedelta(hours=4)  # after the port moment
ACTIVATION_GRACE: Final = timedelta(hours=1)  # after an accepted activation
ANSWER_DAYS: Final = 2  # bd after an update until an unanswered rejection is ours again
COMPLETED_LIVE_DAYS: Final = 1  # bd a completed order may have numbers that are not live
ANSWERING: Final = "no sign yet that our answer arrived"
LOA_ARRIVING: Final = "LOA on its way; no sign yet that it arrived"

_LOA_WORDS: Final = (
    "loa",
    "letter of authorization",
    "letter of authorisation",
    "letter of agency",
)

_WRITE_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "port_in.update": ("our change", "Correct it"),
    "port_in.cancel": ("our cancelation", "Look at it"),
    "port_in.note": ("our note", "Look at it"),
    "port_in.document": ("our document", "Look at it"),
    "port_in.activate": ("our activation", "Activate again"),
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


def refused_writes(case: Case) -> None:
    """P1: a write that failed, and that no later success of its kind has replaced."""
    verdicts.refused_writes(
        case, "P1", _WRITE_WORDS, _FIELD_WORDS, lambda write: is_reached(write, case.facts)
    )


def is_reached(write: Write, facts: Facts) -> bool:
    """Tell whether a cancelation or an activation has come about, whatever became of the write.

    Its answer may have been lost, and a second try refused because the first had got through.
    """
    if write.kind == "port_in.cancel":
        return facts.status in (CANCELING, CANCELED)
    return (
        write.kind == "port_in.activate"
        and any(
            number.status == ACTIVATED
            and (not write.numbers or number.phone_number in write.numbers)
            for number in facts.numbers
        )
        and is_over(write, facts)
    )


def late(case: Case) -> None:
    """P2: numbers that should be live and are not."""
    facts, moments = case.facts, case.moments
    today = facts.today(moments.now)
    late: list[tuple[datetime, str]] = []
    if facts.status == COMPLETED:
        count = sum(n.is_live for n in facts.numbers)
        due = facts.calendar.plus_bd(facts.progress_at, COMPLETED_LIVE_DAYS)
        if count and moments.is_past(due):
            are = "is" if count == 1 else "are"
            text = f"Completed, but {words.count_text(count, 'number')} {are} not live"
            case.add("P2", text, "bad", "Ask Sinch", due)
        return
    confirmed = [n for n in facts.numbers if n.status == CONFIRMED and n.foc_date]
    if facts.on_demand:
        confirmed = _without_offer(confirmed, case)
    for day, count in sorted(Counter(n.foc_date for n in confirmed if n.foc_date).items()):
        said = f"{words.count_text(count, 'number')} confirmed for {words.day_text(day, today)}"
        text = f"{said} {'is' if count == 1 else 'are'} not live"
        if not facts.on_demand:
            due = facts.moment(day) + AUTOMATIC_GRACE
            if moments.is_past(due):
                late.append((due, text))
        else:
            due = facts.start_of(day + timedelta(days=1))
            # An old answer about what is on offer says nothing about today.
            asked_today = facts.offered_at and facts.offered_at >= facts.start_of(today)
            if moments.is_past(due) and asked_today:
                moments.is_past(facts.start_of(today + timedelta(days=1)))
                late.append((due, f"{text}, and Sinch does not offer them"))
    for write in facts.writes:
        if write.kind == "port_in.activate" and write.state == "succeeded" and write.finished_at:
            covered = not_live(write, facts)
            due = write.finished_at + ACTIVATION_GRACE
            if covered and moments.is_past(due):
                count_words = words.count_text(len(covered), "number")
                late.append((due, f"Activated over 1 h ago, {count_words} not live"))
    if late:
        since, text = min(late)
        case.add("P2", text, "bad", "Ask Sinch", since)


def _without_offer(numbers: Sequence[Number], case: Case) -> list[Number]:
    """Return the numbers that Sinch does not offer and that are not being activated."""
    facts = case.facts
    groups = [numbers_of(offer, facts) for offer in facts.offers]
    running = [w for w in facts.writes if is_running(w, case)]
    # What names no number of the order may be about any of them.
    if not all(groups) or not all(w.numbers for w in running):
        return []
    cared_for = {n.phone_number for group in groups for n in group}
    cared_for.update(phone for w in running for phone in w.numbers)
    return [n for n in numbers if n.phone_number not in cared_for]


def rejected(case: Case) -> None:
    """P3: a refused number that is not settled, and that no update has answered yet."""
    facts = case.facts
    # What counts is when somebody decided to write: what was refused after that was not seen.
    updates = [
        (w.created_at, w.finished_at)
        for w in facts.writes
        if w.kind == "port_in.update" and w.state == "succeeded" and w.finished_at
    ]
    open_since: dict[Number, datetime] = {}
    for number in facts.numbers:
        if number.status != REJECTED or facts.is_cared_for(number):
            continue
        answered = max((done for decided, done in updates if decided > number.since), default=None)
        if answered is None:
            open_since[number] = number.since
            continue
        again = facts.calendar.plus_bd(answered, ANSWER_DAYS)
        if case.moments.is_past(again):
            open_since[number] = again
    for part in by_asking(case, open_since, lambda number: number.fact):
        reasons = Counter(n.reject_reason for n in part.things)
        text = f"{words.count_text(len(part.things), 'number')} rejected{_why(reasons)}{part.text}"
        since = min(open_since[number] for number in part.things)
        add_part(case, part, "P3", text, "bad", _remedy(facts, reasons), since)


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
        return new_order_for(sum(n for said, n in reasons.items() if _may_go_on(said)))
    return first.next_step if first else "Ask Sinch"


def _may_go_on(said: str) -> bool:
    """Tell whether a new order may help, after what Sinch said of a number."""
    return all(cause.remedy != "terminal" for cause in causes_of(said))


def unanswered_note(case: Case) -> None:
    """P4: Sinch had the last word, and nobody said that it needs no reply."""
    facts = case.facts
    incoming = max((n for n in facts.notes if not n.is_ours), key=lambda n: n.at, default=None)
    if incoming is None:
        return
    # What counts is when somebody decided to write: a note that came after that was not seen.
    answers = [note.at for note in facts.notes if note.is_ours]
    writes = [
        w for w in facts.writes if w.kind in ("port_in.note", "port_in.document", "port_in.update")
    ]
    answers += [w.created_at for w in writes if w.state == "succeeded"]
    said = facts.marked(marks.NO_REPLY, incoming.fact) + facts.marked(
        marks.NEEDS_REPLY, incoming.fact
    )
    last = max(said, key=lambda mark: mark.at, default=None)
    if last and last.kind == marks.NO_REPLY:
        return
    since = last.at if last else incoming.at
    if any(at > since for at in answers):
        return
    verb = "asks" if incoming.text.rstrip().endswith("?") else "wrote"
    told = f"{incoming.author} {verb}: “{_short(incoming.text)}”"
    if any(w.is_under_way and w.created_at > since for w in writes):
        # It may never arrive, so the note is not answered; nobody has to write a second time, so
        # it sinks as what somebody was asked about does.
        case.add("P4", f"{told}; {ANSWERING}", "wait", "", None, "half", is_asked=True)
        return
    for part in by_asking(case, [incoming], lambda note: note.fact):
        add_part(case, part, "P4", f"{told}{part.text}", "us", "Answer", since)


def moved(case: Case) -> None:
    """P5: a confirmed date changed or fell away, and the customer does not know yet."""
    facts = case.facts
    notice = facts.moved
    if notice and not facts.is_settled(marks.notice_fact("P5", notice.at)):
        case.add("P5", notice.text, "us", "Tell customer", notice.at)


def ended_by_others(case: Case) -> None:
    """P6: the order ended without our asking."""
    facts = case.facts
    notice = facts.ended
    # An order that came back has not ended after all.
    has_ended = facts.status == CANCELED or facts.gone_at is not None
    if notice and has_ended and not facts.is_settled(marks.notice_fact("P6", notice.at)):
        case.add("P6", notice.text, "bad", "Look at it", notice.at)


def left_out(case: Case) -> None:
    """P7: a number or a feature that will not move with the order."""
    facts = case.facts
    statuses = {EXCLUDED, CANCELED} if facts.is_living else {EXCLUDED}
    out = [n for n in facts.numbers if n.status in statuses and not facts.is_cared_for(n)]
    for part in by_asking(case, out, lambda number: number.fact):
        texts = {n.exclusion_reason for n in part.things}
        cause = texts.pop() if len(texts) == 1 else ""
        text = f"{words.count_text(len(part.things), 'number')} left out"
        text += f": “{_short(cause)}”" if cause else ""
        since = min(n.since for n in part.things)
        step = _way_on(part.things)
        add_part(case, part, "P7", f"{text}{part.text}", "us", step, since, "out")
    # What does not move at all goes without everything, and is told above or as refused.
    without = [
        n
        for n in facts.numbers
        if n.features
        and (n.is_live or n.status == ACTIVATED)
        and not facts.is_settled(n.features_fact)
    ]
    for part in by_asking(case, without, lambda number: number.features_fact):
        text = f"{without_text(part.things)}{part.text}"
        since = min(n.since for n in part.things)
        add_part(case, part, "P7", text, "us", "Look at it", since, "out")


def _way_on(numbers: Sequence[Number]) -> str:
    """Return what can be done for numbers left out: a new order, unless nothing can take them."""
    count = sum(n.status == EXCLUDED and _may_go_on(n.said) for n in numbers)
    return new_order_for(count) if count else "Look at it"


def date_passed(case: Case) -> None:
    """P8: the requested date is over and nothing is confirmed."""
    facts = case.facts
    if facts.desired_date and not any(n.status in (CONFIRMED, ACTIVATED) for n in facts.numbers):
        due = facts.moment(facts.desired_date)
        if case.moments.is_past(due):
            day = words.day_text(facts.desired_date, facts.today(case.moments.now))
            for part in by_asking(case, [facts.desired_date], marks.date_fact):
                text = f"Requested date {day} has passed{part.text}"
                add_part(case, part, "P8", text, "us", "Choose a date", due)


def loa_missing(case: Case) -> None:
    """P9: the project wants an LOA, nobody said that this order needs none, and there is none."""
    facts = case.facts
    has_loa = facts.loa_attachment_date or _has_loa(facts.documents)
    if facts.expects_loa and not has_loa and not facts.marked(marks.NO_LOA, marks.NO_LOA_FACT):
        if _has_loa(facts.arriving):
            # Nobody has to add a second one, and this one may never arrive.
            case.add("P9", LOA_ARRIVING, "wait", "", None, "half", is_asked=True)
            return
        for part in by_asking(case, [marks.NO_LOA_FACT], str):
            text = f"LOA missing{part.text}"
            add_part(case, part, "P9", text, "us", "Upload LOA", facts.progress_at)


def _has_loa(documents: Sequence[tuple[str, str]]) -> bool:
    return any(kind == "loa" or is_loa_name(name) for name, kind in documents)


@dataclass(frozen=True, slots=True)
class Wait:
    """What an order waits for that has a clock: its start, its limit, and what to say when out."""

    start: datetime
    limit: Limit
    told: str


def waits_for(facts: Facts) -> Wait | None:
    """Return the clock of a living order on which others have the next word; None without one."""
    answers = [note.at for note in facts.notes if note.is_ours]
    answers += [
        w.created_at
        for w in facts.writes
        if w.kind in ("port_in.note", "port_in.update")
        and (w.state == "succeeded" or w.is_under_way)
    ]
    answers += [mark.at for mark in facts.marked(marks.ASKED, marks.CHASE)]
    start = max([facts.progress_at, *answers])
    if facts.gone_at is not None:
        return None
    if facts.status == CANCELING:
        return Wait(start, clocks.CANCELING, "Canceling takes longer than {limit}")
    pending = [n for n in facts.numbers if n.status == PENDING]
    if facts.status not in (PENDING, CONFIRMED) or not pending:
        return None
    carriers = sorted({n.carrier for n in pending if n.carrier})
    who = words.count_text(len(pending), "number")
    who += f" at {carriers[0]}" if len(carriers) == 1 else ""
    if any(n.status in (CONFIRMED, ACTIVATED) for n in facts.numbers):
        return Wait(start, clocks.APART, f"Others have their date, {who} unanswered for {{limit}}")
    is_simple = len(facts.numbers) == 1 and "CA" not in facts.countries
    limit = clocks.SIMPLE_ANSWER if is_simple else clocks.ANSWER
    return Wait(start, limit, f"{who} unanswered for {{limit}}")


def stalled(case: Case) -> None:
    """P11: a clock of others ran out; somebody has to ask."""
    wait = waits_for(case.facts)
    if wait is None:
        return
    clock = case.clock(wait.start, wait.limit)
    if clock.out_at <= case.moments.now:
        limit = words.count_text(wait.limit.count, "business day")
        text = wait.told.format(limit=limit)
        case.add("P11", text, "us", CHASE, clock.out_at, clock=clock)


def is_loa_name(name: str) -> bool:
    """Tell whether a document's name says that it is a letter of authorization."""
    bare = "".join(c if c.isalnum() else " " for c in name.casefold())
    spaced = f" {' '.join(bare.split())} "
    return any(f" {word} " in spaced for word in _LOA_WORDS)


def numbers_of(offer: Offer, facts: Facts) -> list[Number]:
    """Return the numbers of a group on offer; where it names none, those of the group's name."""
    named = set(offer.numbers)
    return [
        n for n in facts.numbers if (n.phone_number in named if named else n.group == offer.key)
    ]


def not_live(activation: Write, facts: Facts) -> list[Number]:
    """Return the confirmed numbers that an activation was asked for; without any, all of them."""
    return [
        n
        for n in facts.numbers
        if n.status == CONFIRMED
        and (not activation.numbers or n.phone_number in activation.numbers)
        and (activation.numbers or not activation.groups or n.group in activation.groups)
    ]


def is_over(activation: Write, facts: Facts) -> bool:
    """Tell whether every number is live that an activation was asked for, where it names them."""
    names_them = activation.numbers or not activation.groups
    return bool(names_them) and not not_live(activation, facts)


def is_running(write: Write, case: Case) -> bool:
    """Tell whether an activation is on its way or was accepted within the hour."""
    if write.kind != "port_in.activate":
        return False
    if write.is_under_way:
        return True
    accepted = write.finished_at if write.state == "succeeded" else None
    return accepted is not None and not case.moments.is_past(accepted + ACTIVATION_GRACE)


def ready(case: Case) -> Reason | None:
    facts = case.facts
    if not (facts.on_demand and facts.status == CONFIRMED and facts.is_living):
        return None
    today = facts.today(case.moments.now)
    waiting: set[str] = set()
    heard: list[datetime | None] = []
    for offer in facts.offers:
        numbers = numbers_of(offer, facts)
        dates = [n.foc_date for n in numbers if n.foc_date]
        day = offer.foc_date or (min(dates) if dates else None)
        if day and day > today:
            case.moments.is_past(facts.start_of(day))
            continue
        running = [w for w in facts.writes if is_running(w, case)]
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
    clock = case.clock(since, clocks.READY) if since else None
    return Reason("READY", text, "ready", "ready", "Activate", since, clock)


def _short(said: str, most: int = 80) -> str:
    said = " ".join(said.split())
    return said if len(said) <= most else f"{said[:most].rstrip(' .,;:')}…"
