"""An order being judged: the reasons found so far, their clocks, and whom was asked about them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from orders import clocks, marks
from orders.clocks import Clock, Limit
from orders.facts import PENDING, Facts
from portal import words

# What a button says that other places look for.
NEW_ORDER: Final = "New order"
ASK_AGAIN: Final = "Ask again"
CANCEL: Final = "Cancel the order"
CHASE: Final = "Ask how it stands"

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an order is where it is, in words; `next` is what its button says.

    `is_asked` while the customer has been asked and may still take time to answer.
    """

    code: str
    text: str
    tone: str
    glyph: str
    next: str = ""
    since: datetime | None = None
    clock: Clock | None = None
    is_asked: bool = False

    def is_late(self, now: datetime) -> bool:
        """Tell whether its clock has run out; numbers that should be live are always late."""
        return self.code == "P2" or (self.clock is not None and self.clock.out_at <= now)

    def as_json(self) -> dict[str, Any]:
        """Return it in the form a work item keeps."""
        return {
            "code": self.code,
            "text": self.text,
            "tone": self.tone,
            "glyph": self.glyph,
            "next": self.next,
            "since": self.since.isoformat() if self.since else None,
            "clock": self.clock.as_json() if self.clock else None,
            "asked": self.is_asked,
        }


@dataclass
class Moments:
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
class Case:
    """One order being judged: its facts, the moment, and the reasons found so far."""

    facts: Facts
    moments: Moments
    reasons: list[Reason] = field(default_factory=list)

    def add(
        self,
        code: str,
        text: str,
        tone: str,
        next_step: str,
        since: datetime | None,
        glyph: str = "",
        clock: Clock | None = None,
        *,
        is_asked: bool = False,
    ) -> None:
        """Add a reason; without a clock of its own it has the one of its code, from `since` on."""
        limit = clocks.OPEN.get(code)
        if clock is None and limit and since:
            clock = self.clock(since, limit)
        self.reasons.append(
            Reason(code, text, tone, glyph or tone, next_step, since, clock, is_asked)
        )

    def clock(self, start: datetime, limit: Limit) -> Clock:
        """Return a clock that our own office counts; its end is a moment to look again."""
        clock = self.facts.office.clock(start, limit)
        self.moments.is_past(clock.out_at)
        return clock


@dataclass
class Asked(Generic[Thing]):
    """Facts about which the customer was asked alike: not yet, in time, or too long ago."""

    things: list[Thing]
    text: str = ""  # goes on after what the reason says
    next: str = ""
    clock: Clock | None = None
    is_waiting: bool = False


def by_asking(
    case: Case, things: Iterable[Thing], fact_of: Callable[[Thing], str]
) -> Iterator[Asked[Thing]]:
    """Sort facts by whether the customer was asked about them: open ones first, asked ones last."""
    fresh: list[Thing] = []
    again: list[tuple[datetime, datetime, Thing]] = []
    waiting: list[tuple[datetime, datetime, Thing]] = []
    is_out: dict[datetime, bool] = {}  # what was asked together has one clock
    for thing in things:
        asked = case.facts.marked(marks.ASKED, fact_of(thing))
        if not asked:
            fresh.append(thing)
            continue
        first, last = asked[0].at, asked[-1].at
        if last not in is_out:
            is_out[last] = case.moments.is_past(case.clock(last, clocks.ASKED).out_at)
        (again if is_out[last] else waiting).append((first, last, thing))
    if fresh:
        yield Asked(fresh)
    today = case.facts.today(case.moments.now)
    if again:
        first, last = min(row[0] for row in again), min(row[1] for row in again)
        day = words.day_text(last.astimezone(case.facts.time_zone).date(), today)
        text, step = f"; customer asked {day}, no answer", ASK_AGAIN
        if case.moments.is_past(case.facts.office.plus_bd(first, clocks.GIVE_UP_DAYS)):
            text = f"; no answer from the customer for {clocks.GIVE_UP_DAYS} business days"
            step = CANCEL if case.facts.status == PENDING else ASK_AGAIN
        yield Asked([row[2] for row in again], text, step, case.clock(last, clocks.ASKED))
    if waiting:
        last = min(row[1] for row in waiting)
        day = words.day_text(last.astimezone(case.facts.time_zone).date(), today)
        clock = case.clock(last, clocks.ASKED)
        text = f"; customer asked {day}"
        yield Asked([row[2] for row in waiting], text, clock=clock, is_waiting=True)


def add_part(
    case: Case,
    part: Asked[Thing],
    code: str,
    text: str,
    tone: str,
    next_step: str,
    since: datetime,
    glyph: str = "",
) -> None:
    """Add what is open about facts of one kind: calm and with a clock of its own once asked."""
    if part.is_waiting:
        tone, glyph = "wait", "wait"
    case.add(
        code,
        text,
        tone,
        part.next or next_step,
        since,
        glyph,
        part.clock,
        is_asked=part.is_waiting,
    )
