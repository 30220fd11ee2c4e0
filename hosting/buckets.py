"""In which bucket a hosting order is, why, whose move it is, and when that may change by itself.

One pure function, `work_out`: facts and a moment in, a verdict out. Source: the desk's own rules,
H1 to H7; the buckets are tried in the order needs us, dated soon, waiting, done, ended.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from hosting import clocks, failures
from hosting.facts import (
    COMPLETED,
    DRAFT,
    IN_PROGRESS,
    REJECTED,
    SIGNATURE,
    SUBMITTED,
    Facts,
    Number,
)
from hosting.failures import WAIT, Failure
from portal import words
from portal.work import marks, verdicts
from portal.work.office import Limit
from portal.work.verdicts import Moments, Reason, Verdict, add_part, by_asking

# What buttons say; the page maps them to places.
MOVE_HELD: Final = "Move to Sinch at T-Mobile"
LOOK: Final = "Look at the failures"
PHONE_SIGNER: Final = "Phone the signer"
ASK_SUPPORT: Final = "Ask Sinch support"
LOOK_AT_WRITE: Final = "Look at it"
READ_AGAIN: Final = "Check with Sinch now"

# Who is asked about a reason and then has the move; the customer about all others.
_WHOM: Final = {"H2": ("Sinch support", "sinch"), "H5": ("signer", "signer")}
# Sinch takes no change of an order; the write about one is the order that moves its held numbers.
_WRITES: Final = {"hosting.import": ("the import order for its held numbers", LOOK_AT_WRITE)}

Case = verdicts.Case[Facts]


def work_out(facts: Facts, now: datetime) -> Verdict:
    """Return bucket, ranked reasons, whose move it is and when to ask again."""
    case = Case(facts, Moments(now), clocks.OPEN)
    if facts.gone_at is None:
        if facts.held:
            verdicts.refused_writes(case, "H1", _WRITES, {})
        _rejected(case)
        waiting = _failed(case)
        _held(case)
        _unsigned(case)
        _left_pending(case)
        _stalled(case)
    else:
        waiting = []
    found = sorted(case.reasons, key=lambda reason: reason.is_asked)
    if found:
        move = "us"
        if all(reason.is_asked for reason in found):
            # A move under way is about no fact that anybody could be asked about.
            has_asked = bool(found[0].facts)
            move = _WHOM.get(found[0].code, ("", "customer"))[1] if has_asked else "sinch"
        return case.verdict("us", move, found, verdicts.rank_of(found, now))
    return _calm(case, waiting)


# --- Needs us -----------------------------------------------------------------------------------


def _rejected(case: Case) -> None:
    """H2: Sinch refused the order and does not say why."""
    facts = case.facts
    if facts.status != REJECTED or facts.is_settled(facts.state_fact):
        return
    for part in by_asking(case, [facts.state_fact], str, _WHOM["H2"][0]):
        text = f"Sinch refused this order{part.text}"
        add_part(case, part, "H2", text, "bad", ASK_SUPPORT, facts.state_since)


def _failed(case: Case) -> list[Failure]:
    """H3: failed numbers that are ours to mend; return those that only wait."""
    facts = case.facts
    ours: dict[str, list[tuple[datetime, Number]]] = {}  # with the moment they became ours
    causes: dict[str, failures.Cause] = {}
    waiting: list[Failure] = []
    for number in facts.numbers:
        found = [f for f in failures.failures_of(number) if f.cause.key != failures.HELD.key]
        if not found or number.phone_number in facts.migrated or facts.is_settled(number.fact):
            continue
        open_ones = [f for f in found if not _still_waits(case, number, f)]
        waiting += [f for f in found if f not in open_ones]
        if open_ones:
            worst = min(open_ones, key=lambda f: failures.rank_of(f.cause))
            since = number.since
            if worst.cause.patience is not None:
                since = facts.office.clock(since, worst.cause.patience).out_at
            ours.setdefault(worst.cause.key, []).append((since, number))
            causes[worst.cause.key] = worst.cause
    worst_first = sorted(ours, key=lambda key: (failures.rank_of(causes[key]), -len(ours[key])))
    for key in worst_first:
        for part in by_asking(case, ours[key], lambda pair: pair[1].fact):
            count = words.count_text(len(part.things), "number")
            text = f"{count}: {causes[key].short}{part.text}"
            since = min(since for since, _ in part.things)
            add_part(case, part, "H3", text, "bad", LOOK, since)
    return waiting


def _still_waits(case: Case, number: Number, failure: Failure) -> bool:
    """Tell whether a failure may pass by itself and has had less than its time."""
    if failure.cause.kind != WAIT or failure.cause.patience is None:
        return False
    clock = case.facts.office.clock(number.since, failure.cause.patience)
    return not case.moments.is_past(clock.out_at)


def _held(case: Case) -> None:
    """H4: numbers that another provider holds at T-Mobile, until they have been moved."""
    facts = case.facts
    open_ones = [
        number
        for number in facts.held
        if number.phone_number not in facts.migrating and not facts.is_settled(number.held_fact)
    ]
    for part in by_asking(case, open_ones, lambda number: number.held_fact):
        count = len(part.things)
        are = "is" if count == 1 else "are"
        text = f"{words.count_text(count, 'number')} {are} held by another provider at T-Mobile"
        since = min(number.since for number in part.things)
        add_part(case, part, "H4", text + part.text, "bad", MOVE_HELD, since)
    if facts.moving:
        # Nobody has to do anything, so it sinks as what somebody was asked about does.
        count_words = words.count_text(len(facts.moving), "number")
        text = f"{count_words} being moved to Sinch at T-Mobile by another order"
        case.add("H4", text, "wait", "", None, "half", is_asked=True)


def _unsigned(case: Case) -> None:
    """H5: the LOA is not signed after 2 bd, or its time is near."""
    facts = case.facts
    if facts.status != SIGNATURE:
        return
    fact = facts.state_fact
    if facts.is_settled(fact):
        return
    clock = facts.office.clock(facts.state_since, clocks.SIGNATURE)
    out = case.moments.is_past(clock.out_at)
    near = False
    if facts.scheduled_at is not None:
        near = case.moments.is_past(facts.office.plus_bd(facts.scheduled_at, -clocks.SCHEDULE_BD))
    if not out and not near:
        return
    for part in by_asking(case, [fact], str, _WHOM["H5"][0]):
        who = f" by {facts.signer}" if facts.signer else ""
        text = f"LOA not signed{who}"
        if near and not out:
            text += ", and its time is near"
        add_part(
            case,
            replace(part, clock=part.clock or clock),
            "H5",
            text + part.text,
            "us",
            PHONE_SIGNER,
            facts.state_since,
            "sign",
        )


def _left_pending(case: Case) -> None:
    """H6: finished for 1 bd, with numbers that are not, or that could not be read yet."""
    facts = case.facts
    is_unread = not facts.is_read and not facts.numbers
    if facts.status != COMPLETED or facts.is_settled(facts.state_fact):
        return
    if not facts.pending and not is_unread:
        return
    clock = facts.office.clock(facts.state_since, clocks.COMPLETED_PENDING)
    if case.moments.is_past(clock.out_at):
        if is_unread:
            text = "Completed, but its numbers could not be read yet"
            about = [facts.state_fact]
            case.add("H6", text, "us", READ_AGAIN, facts.state_since, clock=clock, facts=about)
            return
        count = words.count_text(len(facts.pending), "number")
        are = "is" if len(facts.pending) == 1 else "are"
        text = f"Completed, but {count} {are} not done"
        about = [facts.state_fact]
        case.add("H6", text, "us", ASK_SUPPORT, facts.state_since, clock=clock, facts=about)


def _stalled(case: Case) -> None:
    """H7: a clock of somebody else's ran out; recorded chases start it anew."""
    wait = _waits_for(case.facts)
    if wait is None or not all(reason.is_asked for reason in case.reasons):
        return  # what waits for us says more than that nothing moves
    start, limit, text = wait
    clock = case.facts.office.clock(start, limit)
    if case.moments.is_past(clock.out_at):
        about = [chase_fact(case.facts)]
        case.add("H7", text, "us", ASK_SUPPORT, start, clock=clock, facts=about)


def _waits_for(facts: Facts) -> tuple[datetime, Limit, str] | None:
    """Return since when, how long and what is waited for at Sinch; None for nothing."""
    chased = [mark.at for mark in facts.marked(marks.ASKED, chase_fact(facts))]
    if facts.manual and facts.report_since and facts.status == IN_PROGRESS:
        count = words.count_text(facts.manual, "number")
        start = max([facts.report_since, *chased])
        return start, clocks.MANUAL, f"{count} by hand at Sinch, and nothing moves"
    if facts.status in (DRAFT, SUBMITTED):
        start = max([facts.state_since, *chased])
        return start, clocks.DRAFT, "Sinch has not begun with this order"
    if facts.status == IN_PROGRESS:
        start = max([facts.progress_at, *chased])
        return start, clocks.UNDER_WAY, "Nothing has moved at Sinch"
    return None


def chase_fact(facts: Facts) -> str:
    """Return the key under which staff say that they asked Sinch support about an order."""
    return marks.key("chase", facts.status)


# --- Everything else ----------------------------------------------------------------------------


def _calm(case: Case, waiting: list[Failure]) -> Verdict:
    facts = case.facts
    if facts.gone_at is not None:
        return case.verdict("ended", "nobody", [])
    if facts.is_living and facts.scheduled_at is not None and not facts.is_unsigned:
        day = facts.scheduled_at.astimezone(facts.time_zone).date()
        today = facts.today(case.moments.now)
        ahead = facts.office.bd_between(today, day)
        starts = facts.office.add_bd(day, -clocks.SOON_BD)
        case.moments.is_past(_midnight(facts, starts))
        case.moments.is_past(_midnight(facts, today + timedelta(days=1)))
        if 0 <= ahead <= clocks.SOON_BD and day >= today:
            what = "Provisioning" if facts.is_toll_free else "Routing"
            at = words.moment_text(facts.scheduled_at, str(facts.time_zone), today)
            text = f"{what} runs {at}"
            reason = Reason("DATE", text, "date", "date")
            return case.verdict("date", "date", [reason], verdicts.RANKS["date"] + min(ahead, 99))
    if facts.status == COMPLETED and not facts.pending and facts.numbers and not waiting:
        done = any(
            number.verdict == "done" or number.phone_number in facts.migrated
            for number in facts.numbers
        )
        return case.verdict("done" if done else "ended", "nobody", [])
    if facts.status == COMPLETED and facts.is_read and not facts.numbers:
        return case.verdict("done", "nobody", [])
    if facts.status == COMPLETED and facts.is_settled(facts.state_fact) and not waiting:
        done = any(number.verdict == "done" for number in facts.numbers)
        return case.verdict("done" if done else "ended", "nobody", [])
    if facts.status == REJECTED:
        return case.verdict("ended", "nobody", [])
    reason, move = _waiting(case, waiting)
    if wait := _waits_for(facts):
        start, limit, _ = wait
        reason = replace(reason, clock=case.clock(start, limit), since=start)
    return case.verdict("wait", move, [reason])


def _midnight(facts: Facts, day: object) -> datetime:
    return datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=facts.time_zone)


def _waiting(case: Case, waiting: list[Failure]) -> tuple[Reason, str]:
    facts, since = case.facts, case.facts.progress_at
    if facts.status == SIGNATURE:
        who = f" by {facts.signer}" if facts.signer else ""
        clock = case.clock(facts.state_since, clocks.SIGNATURE)
        text = f"LOA to be signed{who}"
        reason = Reason("WAIT", text, "wait", "sign", since=facts.state_since, clock=clock)
        return reason, "signer"
    if waiting:
        count = words.count_text(len({f.phone_number for f in waiting}), "number")
        text = f"{count}: {waiting[0].cause.short}; it may pass by itself"
        return Reason("WAIT", text, "wait", "wait", since=since), "sinch"
    if facts.status == COMPLETED:
        what = words.count_text(len(facts.pending), "number") if facts.is_read else "the numbers"
        text = f"Completed; {what} not done yet" if facts.is_read else "Completed; being read"
        return Reason("WAIT", text, "wait", "half", since=since), "sinch"
    if facts.status == IN_PROGRESS:
        done = sum(number.verdict == "done" for number in facts.numbers)
        text = f"{done} of {words.count_text(len(facts.numbers), 'number')} done at every step"
        return Reason("WAIT", text, "wait", "half", since=since), "sinch"
    if facts.status in (DRAFT, SUBMITTED):
        text = "Sinch has not begun" if facts.status == DRAFT else "Sinch is checking the order"
        return Reason("WAIT", text, "wait", "wait", since=since), "sinch"
    text = f"Sinch reports {facts.status or 'no state'}"
    return Reason("WAIT", text, "wait", "unknown", since=since), "sinch"


def _may_pass(facts: Facts) -> bool:
    """Tell whether a number failed for a cause that may pass by itself, and is not settled."""
    return any(
        failure.cause.kind == WAIT
        for number in facts.numbers
        if number.verdict == "failed"
        and number.phone_number not in facts.migrated
        and not facts.is_settled(number.fact)
        for failure in failures.failures_of(number)
    )


def pause_before_reading(facts: Facts, now: datetime) -> timedelta | None:
    """Return how long to wait before reading an order again by ourselves; None for never.

    No event announces an order's own state, so open ones are asked about.
    """
    if facts.gone_at is not None:
        return None
    if facts.status == REJECTED:
        return timedelta(days=1) if not facts.is_settled(facts.state_fact) else None
    if facts.status == COMPLETED:
        if not facts.pending and facts.is_read and not _may_pass(facts):
            return None
        return (
            timedelta(hours=1) if now - facts.state_since < timedelta(days=7) else timedelta(days=1)
        )
    if now - facts.progress_at < timedelta(minutes=10):
        return timedelta(minutes=2)
    return timedelta(hours=1) if facts.status == SIGNATURE else timedelta(minutes=15)
