"""In which bucket a port-in order is, why, whose move it is, and when that may change by itself.

One pure function, `work_out`: facts and a moment in, a verdict out. Dates and clocks move an order
without any event, so a verdict says when to ask again. What it judges is in `orders.facts`, why an
order needs us in `orders.reasons`.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final

from orders import reasons
from orders.case import Case, Reason, case_of, is_late
from orders.facts import (
    ACTIVATED,
    CANCELED,
    CANCELING,
    COMPLETED,
    CONFIRMED,
    EXCLUDED,
    FINISHED,
    PENDING,
    REJECTED,
    SETTLED_NUMBERS,
    Facts,
    Note,
    Notice,
    Number,
    Offer,
    Write,
)
from orders.pace import pause_before_reading, wants_offers
from orders.reasons import is_loa_name
from portal import words
from portal.work.office import zone_named
from portal.work.verdicts import RANKS, Verdict, rank_of

__all__ = [
    "ACTIVATED",
    "CANCELED",
    "CONFIRMED",
    "EXCLUDED",
    "FINISHED",
    "PENDING",
    "REJECTED",
    "Facts",
    "Note",
    "Notice",
    "Number",
    "Offer",
    "Reason",
    "Verdict",
    "Write",
    "is_loa_name",
    "pause_before_reading",
    "wants_offers",
    "work_out",
    "zone_named",
]

SOON_DAYS: Final = 5  # bd ahead of a FOC date

# P1 about an activation comes before all.
_ACTIVATION_FAILED_RANK: Final = 10


# --- The verdict --------------------------------------------------------------------------------


def work_out(facts: Facts, now: datetime) -> Verdict:
    """Return bucket, ranked reasons, whose move it is and when to ask again.

    Source: the desk's own rules; the buckets are tried in the order ready, needs us, dated soon,
    waiting, done, ended, and the first that holds wins.
    """
    case = case_of(facts, now)
    is_ending = facts.status in (CANCELED, CANCELING) or facts.gone_at is not None
    reasons.refused_writes(case)
    if not is_ending:
        reasons.late(case)
        reasons.rejected(case)
    reasons.unanswered_note(case)
    if not is_ending:
        reasons.moved(case)
    reasons.ended_by_others(case)
    if not is_ending:
        reasons.left_out(case)
    if facts.status == PENDING and facts.gone_at is None:
        reasons.date_passed(case)
        reasons.loa_missing(case)
    if not any(reason.code in ("P2", "P3") for reason in case.reasons):
        reasons.stalled(case)
    ready = None if is_ending else reasons.ready(case)
    activation_failed = any(r.code == "P1" and r.next == "Activate again" for r in case.reasons)
    # What the customer was asked about comes after what nobody has taken up.
    found = sorted(case.reasons, key=lambda reason: reason.is_asked)
    if ready and not activation_failed:
        return case.verdict("ready", "us", [ready, *found])
    if found:
        rank = rank_of(found, now, is_late)
        if activation_failed:
            rank = _ACTIVATION_FAILED_RANK
            found.sort(key=lambda r: r.next != "Activate again")
        move = "us"
        if all(reason.is_asked for reason in found):
            # An answer on its way is about no fact that anybody could be asked about.
            move = "customer" if any(reason.facts for reason in found) else "sinch"
        return case.verdict("us", move, [*found, ready] if ready else found, rank)
    return _calm(case)


def _calm(case: Case) -> Verdict:
    """Return the verdict on an order that does not need us."""
    facts, moments = case.facts, case.moments
    today = facts.today(moments.now)
    if facts.is_living and facts.status in (PENDING, CONFIRMED):
        for day in facts.open_focs:
            # A day on which nobody works counts as the last one before it on which somebody does.
            last = facts.calendar.add_bd(day + timedelta(days=1), -1)
            moments.is_past(facts.start_of(facts.calendar.add_bd(last, -SOON_DAYS)))
        soon = [
            day for day in facts.open_focs if facts.calendar.bd_between(today, day) <= SOON_DAYS
        ]
        # An activation whose numbers are all live is over, however short a while ago it was.
        accepted = [
            w for w in facts.writes if reasons.is_running(w, case) and not reasons.is_over(w, facts)
        ]
        if accepted:
            waiting = {n.phone_number for w in accepted for n in reasons.not_live(w, facts)}
            text = f"Activation under way, {words.count_text(len(waiting), 'number')} not live yet"
            reason = Reason("WAIT", text, "date", "half", since=accepted[0].created_at)
            return case.verdict("wait", "sinch", [reason])
        if soon:
            moments.is_past(facts.start_of(today + timedelta(days=1)))
            rank = RANKS["date"] + max(0, min(facts.calendar.bd_between(today, soon[0]), 99))
            return case.verdict("date", "date", [_dated(case, soon[0])], rank)
    if facts.is_living or (facts.status == COMPLETED and any(n.is_live for n in facts.numbers)):
        reason, move = _waiting(case)
        if wait := reasons.waits_for(facts):
            reason = replace(reason, clock=case.clock(wait.start, wait.limit), since=wait.start)
        return case.verdict("wait", move, [reason])
    live = any(n.status == ACTIVATED for n in facts.numbers)
    is_done = facts.status == COMPLETED and live and facts.gone_at is None
    return case.verdict("done" if is_done else "ended", "nobody", [])


def _dated(case: Case, day: date) -> Reason:
    facts = case.facts
    today = facts.today(case.moments.now)
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


def _waiting(case: Case) -> tuple[Reason, str]:
    facts, today = case.facts, case.facts.today(case.moments.now)
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
