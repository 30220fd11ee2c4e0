"""What the verdict on a port-in order depends on: its numbers, notes, writes, offers and marks.

Plain values, no database; `orders.sync` gathers them and `orders.buckets` judges them.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

from orders import marks
from portal import words
from portal.work import verdicts
from portal.work.marks import Decided, Mark
from portal.work.office import DEFAULT_ZONE, Calendar, countries_of, zone_named

PENDING, CONFIRMED, ACTIVATED = "PENDING", "CONFIRMED", "ACTIVATED"
REJECTED, EXCLUDED, CANCELED = "REJECTED", "EXCLUDED", "CANCELED"
COMPLETED, CANCELING = "COMPLETED", "PENDING_CANCELATION"
SETTLED_NUMBERS: Final = frozenset({ACTIVATED, REJECTED, EXCLUDED, CANCELED})
FINISHED: Final = frozenset({COMPLETED, CANCELED})
CANCEL: Final = "Cancel the order"  # what a button says
LEFT_OUT_ON: Final = " left out on "


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
    features: str = ""  # those that were left out, as text; "" for none

    @property
    def is_live(self) -> bool:
        """Whether it is still on its way; an unknown word counts so."""
        return self.status not in SETTLED_NUMBERS

    @property
    def said(self) -> str:
        """Why it was refused or left out, in the carrier's words."""
        first, other = self.reject_reason, self.exclusion_reason
        return first or other if self.status == REJECTED else other or first

    @property
    def fact(self) -> str:
        """The key under which staff decide about its standing as it does."""
        return marks.number_fact(self.phone_number, self.status, self.said, self.since)

    @property
    def features_fact(self) -> str:
        """The key under which staff decide about the features it goes without."""
        return marks.features_fact(self.phone_number, self.features)


def without_text(numbers: Sequence[Number]) -> str:
    """Return what is left out on these numbers: `Messaging left out on +1 206 555 0195`."""
    names = dict.fromkeys(name for number in numbers for name in _feature_names(number.features))
    what = " and ".join([name for name in names if name] or ["a feature"])
    on = (
        words.phone_text(numbers[0].phone_number)
        if len(numbers) == 1
        else words.count_text(len(numbers), "number")
    )
    return f"{what[:1].upper()}{what[1:]}{LEFT_OUT_ON}{on}"


def is_about_features(text: str) -> bool:
    """Tell whether a reason is about features that were left out; it quotes nobody before that."""
    # Items written before the words changed say "without a feature".
    told = text.partition("“")[0]
    return LEFT_OUT_ON in told or "without a feature" in told


def _feature_names(features: str) -> list[str]:
    try:
        entries = json.loads(features)
    except ValueError:
        return [features]
    names = [str(entry.get("featureName") or "") for entry in entries if isinstance(entry, dict)]
    return ["messaging" if name == "SMSMMS" else name for name in names]


@dataclass(frozen=True, slots=True)
class Write(verdicts.Write):
    """An operation about the order. `groups` are the keys an activation is for, () for all."""

    groups: tuple[str, ...] = ()
    numbers: frozenset[str] = frozenset()

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
    fact: str = ""


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
class Facts(Decided):
    """All that a verdict depends on. `progress_at` is when anything last moved."""

    status: str
    progress_at: datetime
    on_demand: bool = False
    desired_date: date | None = None
    desired_time: str = ""
    zone: str = ""
    default_time: str = "09:00"
    default_zone: str = DEFAULT_ZONE
    days_off: frozenset[date] = frozenset()  # of the project, beside the holidays
    expects_loa: bool = True
    loa_attachment_date: str = ""
    gone_at: datetime | None = None
    numbers: tuple[Number, ...] = ()
    notes: tuple[Note, ...] = ()
    # (name, kind) of each document, kind being ours: "loa", "bill", "other".
    documents: tuple[tuple[str, str], ...] = ()
    arriving: tuple[tuple[str, str], ...] = ()  # the same of those that are on their way to Sinch
    writes: tuple[Write, ...] = ()
    offers: tuple[Offer, ...] = ()
    offered_at: datetime | None = None
    moved: Notice | None = None
    ended: Notice | None = None
    marks: tuple[Mark, ...] = ()
    taken_up: frozenset[str] = frozenset()  # numbers that a later order has taken up again

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

    @property
    def give_up(self) -> str:
        """What the button says when the customer never answers."""
        return CANCEL if self.status == PENDING else verdicts.ASK_AGAIN

    @cached_property
    def countries(self) -> tuple[str, ...]:
        """The countries of its numbers, whose holidays are no business days."""
        return countries_of(number.phone_number for number in self.numbers)

    @cached_property
    def calendar(self) -> Calendar:
        """The business days of its numbers' countries, in the zone of its own dates."""
        return Calendar(self.time_zone, self.countries, self.days_off)

    @cached_property
    def office(self) -> Calendar:
        """The same days in the zone of the project, in which our own clocks run."""
        return Calendar(zone_named(self.default_zone), self.countries, self.days_off)

    def is_cared_for(self, number: Number) -> bool:
        """Tell whether a refused or left out number was settled, or a later order has it."""
        return number.phone_number in self.taken_up or self.is_settled(number.fact)

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

    @property
    def offer_days(self) -> set[date]:
        """The days from which Sinch may offer numbers; a confirmed one need not have a FOC date."""
        days = {n.foc_date or self.desired_date for n in self.numbers if n.status == CONFIRMED}
        return {day for day in days if day}
