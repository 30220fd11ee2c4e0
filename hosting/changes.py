"""What happened to a hosting order between two readings, in sentences for its timeline."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from hosting import failures, wire
from hosting.facts import SIGNATURE
from hosting.wire import OrderFacts, StepFacts
from portal import words
from portal.work.items import Event
from portal.work.models import TimelineEntry

_STATE_WORDS = {
    "DRAFT": ("Sinch holds this order as a draft", "wait", "unknown"),
    "SUBMITTED": ("Sinch is checking the order", "wait", "wait"),
    SIGNATURE: ("Sinch mailed the LOA for signature", "wait", "sign"),
    "IN_PROGRESS": ("Sinch is setting the numbers up", "wait", "half"),
    "COMPLETED": ("Order completed", "done", "done"),
    "REJECTED": ("Sinch refused the order", "bad", "bad"),
}
# The order in which Sinch documents the states; a step back is stored as well, and marked.
_COURSE = ("DRAFT", "SUBMITTED", SIGNATURE, "IN_PROGRESS", "COMPLETED")

Steps = Mapping[str, StepFacts]


def found_elsewhere(facts: OrderFacts, count: int, cause: str) -> Event:
    """Return the one entry for an order this desk sees for the first time."""
    parts = [words.count_text(count, "number")] if count else []
    parts += filter(None, (facts.business_name or facts.display_name,))
    parts.append(words.chip("hosting_order", facts.state).label.lower())
    return Event(
        text=f"{TimelineEntry.FOUND}: {', '.join(parts)}",
        fact=("found", facts.sinch_id),
        tone="date",
        glyph="date",
        cause=cause,
    )


def changes_between(
    old: OrderFacts,
    new: OrderFacts,
    before: Steps,
    now: Steps,
    *,
    read_at: datetime,
    cause: str,
) -> list[Event]:
    """Return what the newer reading tells: the state, then one entry for each step and outcome.

    `before` and `now` are the steps by number. An entry's fact holds the moment of the reading,
    since the same thing may happen again later.
    """
    events = _state_events(old, new, read_at, cause)
    told: dict[tuple[str, str], list[str]] = defaultdict(list)
    for phone, facts in now.items():
        was = before.get(phone)
        for step, state in facts.steps.items():
            if state in (wire.DONE, wire.FAILED) and (not was or was.steps.get(step) != state):
                told[step, state].append(phone)
    for (step, state), phones in told.items():
        if not before:
            continue  # the first sight of the numbers is no news about each of them
        text = _step_text(step, state, phones, now)
        tone, glyph = ("bad", "bad") if state == wire.FAILED else ("done", "done")
        fact = ("step", step, state, read_at, *sorted(phones)[:1], len(phones))
        events.append(Event(text, fact, tone=tone, glyph=glyph, cause=cause))
    added, gone = [p for p in now if p not in before], [p for p in before if p not in now]
    if before and added:
        text = f"{words.count_text(len(added), 'number')} added at Sinch"
        events.append(Event(text, ("added", read_at, len(added)), cause=cause))
    if now and gone:
        text = f"{words.count_text(len(gone), 'number')} taken out at Sinch"
        events.append(
            Event(text, ("gone", read_at, len(gone)), tone="us", glyph="out", cause=cause)
        )
    return events


def _state_events(old: OrderFacts, new: OrderFacts, read_at: datetime, cause: str) -> list[Event]:
    if old.state == new.state:
        return []
    events = []
    if old.state == SIGNATURE and new.state in ("IN_PROGRESS", "COMPLETED"):
        who = new.signer_name or "The signer"
        events.append(
            Event(f"{who} signed the LOA", ("signed", read_at), "done", "sign", cause=cause)
        )
    text, tone, glyph = _STATE_WORDS.get(
        new.state, (f"Sinch reports {new.state or 'no state'}", "wait", "unknown")
    )
    both_known = old.state in _COURSE and new.state in _COURSE
    if both_known and _COURSE.index(new.state) < _COURSE.index(old.state):
        label = words.chip("hosting_order", old.state).label.lower()
        text, tone, glyph = f"{text}; it was {label} before", "us", "us"
    events.append(Event(text, ("state", new.state, read_at), tone=tone, glyph=glyph, cause=cause))
    return events


def _step_text(step: str, state: str, phones: list[str], now: Steps) -> str:
    name = failures.STEP_WORDS[step]
    if len(phones) == 1:
        who = words.phone_text(phones[0])
        if state == wire.DONE:
            return f"{name} finished for {who}"
        error = now[phones[0]].errors.get(step)
        said = f": {' '.join(filter(None, error))}" if error else ""
        return f"{name} failed for {who}{said}"
    what = "finished for" if state == wire.DONE else "failed on"
    return f"{name} {what} {words.count_text(len(phones), 'number')}"
