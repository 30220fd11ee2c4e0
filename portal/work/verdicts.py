"""An order being judged: the reasons found so far, their clocks, and whom was asked about them.

Pure. What an order is judged by belongs to its own app; how a reason is told, how its clock runs
and what it means that the customer was asked is the same for both kinds.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final, Generic, Protocol, TypeVar
from zoneinfo import ZoneInfo

from portal import words
from portal.work import marks
from portal.work.marks import Mark
from portal.work.office import Calendar, Clock, Limit

ASK_AGAIN: Final = "Ask again"
ASKED: Final = Limit(2, "bd")  # the customer has been asked; then again each time
GIVE_UP_DAYS: Final = 10  # bd since the customer was asked first: propose to give up

UNCERTAIN_PATIENCE: Final = timedelta(minutes=15)  # then a lost answer is ours to look into

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Write:
    """An operation about the order. `field` is the first one that Sinch named in a refusal."""

    kind: str
    state: str
    created_at: datetime
    finished_at: datetime | None = None
    uncertain_since: datetime | None = None
    is_seen: bool = False
    message: str = ""
    field: str = ""
    by_sinch: bool = True  # a refusal: whether Sinch said no; else we found that it cannot be done

    @property
    def is_under_way(self) -> bool:
        """Whether its outcome is still open."""
        return self.state in ("queued", "sending", "uncertain")


class Judged(Protocol):
    """What every kind of order's facts can say."""

    @property
    def writes(self) -> Sequence[Write]:
        """The newest operations about the order."""

    @property
    def office(self) -> Calendar:
        """The calendar in which our own clocks run."""

    @property
    def time_zone(self) -> ZoneInfo:
        """The zone in which the order's days are told."""

    @property
    def give_up(self) -> str:
        """What the button says when the customer never answers."""

    def marked(self, kind: str, fact: str) -> list[Mark]:
        """Return what staff decided about a fact, oldest first."""

    def today(self, now: datetime) -> date:
        """The calendar day in its zone."""


Facts = TypeVar("Facts", bound=Judged)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an order is where it is, in words; `next` is what its button says.

    `is_asked` while the customer has been asked, or another order sees to it, and that may still
    take time. `facts` are the keys of what it is about, for decisions; they are worked out anew
    each time and never kept.
    """

    code: str
    text: str
    tone: str
    glyph: str
    next: str = ""
    since: datetime | None = None
    clock: Clock | None = None
    is_asked: bool = False
    facts: tuple[str, ...] = ()

    def is_late(self, now: datetime) -> bool:
        """Tell whether its clock has run out."""
        return self.clock is not None and self.clock.out_at <= now

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


@dataclass(frozen=True)
class Verdict:
    """Where the order is; `rank` is smaller the worse it is, `move` a key of `words.MOVES`."""

    bucket: str
    rank: int
    move: str
    reasons: tuple[Reason, ...] = ()
    next_change_at: datetime | None = None

    def as_values(self) -> dict[str, Any]:
        """Return the columns of a work item that hold it."""
        return {
            "bucket": self.bucket,
            "rank": self.rank,
            "move": self.move,
            "reasons": [reason.as_json() for reason in self.reasons],
            "next_change_at": self.next_change_at,
        }


# "Worst first": the bucket, then the first reason.
RANKS: Final = {"ready": 50, "us": 100, "date": 300, "wait": 500, "done": 700, "ended": 800}
_LATE_RANK: Final = 60  # and the reason's number: before everything whose clock still runs
_ASKED_RANK: Final = 220  # and the reason's number: after everything that is ours to do


def rank_of(
    found: Sequence[Reason],
    now: datetime,
    is_late: Callable[[Reason, datetime], bool] = Reason.is_late,
) -> int:
    """Return how bad it is: a clock that ran out, what nobody took up, what the customer has.

    `found` are the reasons, what the customer was asked about last.
    """
    late = [reason for reason in found if not reason.is_asked and is_late(reason, now)]
    if late:
        return _LATE_RANK + int(late[0].code[1:])
    first = found[0]
    if first.is_asked:
        return _ASKED_RANK + int(first.code[1:])
    return RANKS["us"] + 10 * int(first.code[1:])


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
class Case(Generic[Facts]):
    """One order being judged: its facts, the moment, and the reasons found so far.

    `limits` says how long a reason of ours may lie that nobody has taken up, by its code.
    """

    facts: Facts
    moments: Moments
    limits: Mapping[str, Limit] = field(default_factory=dict)
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
        facts: Iterable[str] = (),
    ) -> None:
        """Add a reason; without a clock of its own it has the one of its code, from `since` on."""
        limit = self.limits.get(code)
        if clock is None and limit and since:
            clock = self.clock(since, limit)
        self.reasons.append(
            Reason(code, text, tone, glyph or tone, next_step, since, clock, is_asked, tuple(facts))
        )

    def verdict(
        self, bucket: str, move: str, found: Iterable[Reason], rank: int | None = None
    ) -> Verdict:
        """Return the verdict; without a rank of its own it has that of its bucket."""
        rank = RANKS[bucket] if rank is None else rank
        return Verdict(bucket, rank, move, tuple(found), self.moments.next)

    def clock(self, start: datetime, limit: Limit) -> Clock:
        """Return a clock that our own office counts; its end is a moment to look again."""
        clock = self.facts.office.clock(start, limit)
        self.moments.is_past(clock.out_at)
        return clock


@dataclass
class Asked(Generic[Thing]):
    """Facts about which the customer was asked alike: not yet, in time, or too long ago."""

    things: list[Thing]
    facts: list[str]
    text: str = ""  # goes on after what the reason says
    next: str = ""
    clock: Clock | None = None
    is_waiting: bool = False


def by_asking(
    case: Case[Facts],
    things: Iterable[Thing],
    fact_of: Callable[[Thing], str],
    whom: str = "customer",
) -> Iterator[Asked[Thing]]:
    """Sort facts by whether somebody was asked about them: open ones first, asked ones last.

    `whom` is who is asked about facts of this kind; a name begins with a capital.
    """
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
            is_out[last] = case.moments.is_past(case.clock(last, ASKED).out_at)
        (again if is_out[last] else waiting).append((first, last, thing))
    if fresh:
        yield Asked(fresh, [*map(fact_of, fresh)])
    today = case.facts.today(case.moments.now)
    if again:
        first, last = min(row[0] for row in again), min(row[1] for row in again)
        day = words.day_text(last.astimezone(case.facts.time_zone).date(), today)
        text, step = f"; {whom} asked {day}, no answer", ASK_AGAIN
        if case.moments.is_past(case.facts.office.plus_bd(first, GIVE_UP_DAYS)):
            them = f"the {whom}" if whom.islower() else whom
            text = f"; no answer from {them} for {GIVE_UP_DAYS} business days"
            step = case.facts.give_up
        things = [row[2] for row in again]
        yield Asked(things, [*map(fact_of, things)], text, step, case.clock(last, ASKED))
    if waiting:
        last = min(row[1] for row in waiting)
        day = words.day_text(last.astimezone(case.facts.time_zone).date(), today)
        clock = case.clock(last, ASKED)
        text = f"; {whom} asked {day}"
        things = [row[2] for row in waiting]
        yield Asked(things, [*map(fact_of, things)], text, clock=clock, is_waiting=True)


def add_part(
    case: Case[Facts],
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
        facts=part.facts,
    )


def refused_writes(
    case: Case[Facts],
    code: str,
    kinds: Mapping[str, tuple[str, str]],
    fields: Mapping[str, str],
    is_reached: Callable[[Any], bool] = lambda write: False,
) -> None:
    """Add a write that failed, and that no later success of its kind has replaced.

    `kinds` says what each kind of write is called and what its button says, `fields` what the
    fields are called that Sinch may name. `is_reached` tells of a write whether what it was to
    bring about has come about all the same: nothing is left to do about that.
    """
    writes = [write for write in case.facts.writes if not is_reached(write)]
    for kind, (what, next_step) in kinds.items():
        own = [w for w in writes if w.kind == kind]
        good = max((w.created_at for w in own if w.state == "succeeded"), default=None)
        open_ones = [w for w in own if not w.is_seen and (good is None or w.created_at > good)]
        for write in sorted(open_ones, key=lambda w: w.created_at, reverse=True):
            since = write.finished_at or write.uncertain_since or write.created_at
            if write.state == "uncertain" and write.uncertain_since:
                if not case.moments.is_past(write.uncertain_since + UNCERTAIN_PATIENCE):
                    continue
            elif write.state not in ("refused", "dead"):
                continue
            about = fields.get(write.field.rsplit(".", 1)[-1], "")
            text, tone, glyph = told_of_write(write.state, what, about, by_sinch=write.by_sinch)
            case.add(code, text, tone, next_step, since, glyph)
            break


def told_of_write(
    state: str, what: str, about: str = "", *, by_sinch: bool = True
) -> tuple[str, str, str]:
    """Return how a write is told that failed, or that left no trace: text, tone and glyph.

    `about` is the field that Sinch named in a refusal, `by_sinch` whether the refusal is its own.
    """
    if state == "refused" and not by_sinch:
        return f"{what.capitalize()} did not go through", "bad", "bad"
    if state == "refused":
        return f"Sinch refused {what}" + (f": {about}" if about else ""), "bad", "bad"
    if state == "dead":
        return f"{what.capitalize()} stopped and needs a look", "bad", "out"
    return f"No trace of {what} at Sinch yet", "us", "unknown"
