"""The clocks of a port-in order: how long something may lie before it is late, in business time.

Pure. "bd" is a business day, "bh" an hour of one. A clock is stored as the moments at which its
units are over, so that whoever shows it needs no calendar and nothing is written as it runs.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from orders.dates import CLOSES, OPENS, add_bd, bd_between, is_bd, moment_plus_bd

Unit = Literal["bd", "bh"]
HOURS_OF_A_DAY: Final = CLOSES.hour - OPENS.hour


@dataclass(frozen=True, slots=True)
class Limit:
    """How long something may last: so many business days or hours."""

    count: int
    unit: Unit


# The desk's own defaults, in one place. A limit of one day is counted in its hours, so that it
# can be seen to run.
A_DAY: Final = Limit(HOURS_OF_A_DAY, "bh")
SIMPLE_ANSWER: Final = Limit(3, "bd")  # PENDING, no number answered: one number in the US
ANSWER: Final = Limit(5, "bd")  # … any other order, and any in Canada
APART: Final = Limit(3, "bd")  # one carrier group confirmed, another still pending
CANCELING: Final = Limit(2, "bd")  # its numbers stay locked
READY: Final = Limit(2, "bh")  # ready to activate and untouched
ASKED: Final = Limit(2, "bd")  # the customer has been asked; then again each time
GIVE_UP_DAYS: Final = 10  # bd since the customer was asked first: propose to cancel
OPEN: Final[dict[str, Limit]] = {  # a reason of ours that nobody has taken up
    "P1": Limit(2, "bh"),
    "P3": A_DAY,
    "P4": A_DAY,
    "P5": A_DAY,
    "P7": A_DAY,
    "P9": A_DAY,
}


@dataclass(frozen=True, slots=True)
class Clock:
    """A running clock: the moments at which its first, second … unit is over."""

    unit: Unit
    ticks: tuple[datetime, ...]

    @property
    def out_at(self) -> datetime:
        """When it has run out."""
        return self.ticks[-1]

    def as_json(self) -> dict[str, Any]:
        """Return it in the form a work item keeps; `portal.work.clocks` reads it."""
        return {"unit": self.unit, "ticks": [tick.isoformat() for tick in self.ticks]}


@dataclass(frozen=True)
class Calendar:
    """The business days of some countries, with the hours of a time zone.

    `extra` are further days off, those of the project.
    """

    zone: ZoneInfo
    countries: tuple[str, ...]
    extra: frozenset[date] = frozenset()

    def is_bd(self, day: date) -> bool:
        """Tell whether a day is a business day."""
        return is_bd(day, self.countries, self.extra)

    def add_bd(self, day: date, count: int) -> date:
        """Return the day so many business days later, or earlier for a negative count."""
        return add_bd(day, count, self.countries, self.extra)

    def bd_between(self, first: date, last: date) -> int:
        """Return the business days after `first` up to and with `last`."""
        return bd_between(first, last, self.countries, self.extra)

    def plus_bd(self, moment: datetime, count: int) -> datetime:
        """Return the same time of day so many business days later."""
        return moment_plus_bd(moment, count, self.zone, self.countries, self.extra)

    def plus_bh(self, moment: datetime, count: int) -> datetime:
        """Return when so many business hours after a moment are over."""
        local, left = moment.astimezone(self.zone), timedelta(hours=count)
        while True:
            day = local.date()
            if self.is_bd(day):
                begins = max(local, datetime.combine(day, OPENS, self.zone))
                there = datetime.combine(day, CLOSES, self.zone) - begins
                if there >= left:
                    return begins + left
                left -= max(there, timedelta())
            local = datetime.combine(day + timedelta(days=1), time.min, self.zone)

    def clock(self, start: datetime, limit: Limit) -> Clock:
        """Return the clock that starts at a moment and runs to a limit."""
        plus = self.plus_bd if limit.unit == "bd" else self.plus_bh
        return Clock(limit.unit, tuple(plus(start, n) for n in range(1, limit.count + 1)))
