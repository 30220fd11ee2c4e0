"""Business days and hours, and the clocks that run in them.

Pure: the moment is an argument. "bd" is a business day: Monday to Friday without the holidays of
the countries whose numbers are in the order, and without the extra days off of its project, which
are given as `extra` (`SinchProject.extra_days_off`). "bh" is an hour of one, "h" any hour. A clock
is stored as the moments at which its units are over, so that whoever shows it needs no calendar and
nothing is written as it runs; `portal.work.clocks` reads it.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import holidays

from portal.numbers import is_canadian

DEFAULT_ZONE: Final = "US/Eastern"
OPENS, CLOSES = time(8), time(17)  # 47 CFR 52.35(a)
US: Final = ("US",)
_LAST_YEAR: Final = 2100  # the library knows no later one
# Shorter than the law calls them.
_SHORT: Final = {
    "Juneteenth National Independence Day": "Juneteenth",
    "National Day for Truth and Reconciliation": "the Day for Truth and Reconciliation",
}

Unit = Literal["bd", "bh", "h"]


def zone_named(*names: str) -> ZoneInfo:
    """Return the first of these time zones that this machine knows, else US/Eastern."""
    for name in names:
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # not named, unknown, or the name of a folder
            continue
    return ZoneInfo(DEFAULT_ZONE)


def first_open_day(now: datetime) -> date:
    """Return the day it is where it is earliest of all places with numbers of ours: in Samoa.

    A day before it is over wherever an order has its time zone.
    """
    return now.astimezone(ZoneInfo("Pacific/Pago_Pago")).date()


# --- Business days ------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def _holidays(country: str, year: int) -> dict[date, str]:
    """Return the federal holidays of a year by their day, the days they are kept on included.

    Source: 5 U.S.C. 6103 for the US, section 166 of the Canada Labour Code.
    """
    if not 1971 <= year <= _LAST_YEAR:
        return {}
    if country == "CA":
        found = dict(
            holidays.country_holidays(
                "CA", years=year, observed=False, categories=("government",), language="en_CA"
            )
        )
        # One at a weekend is kept on the next working day as well; two push each other on.
        for day, name in sorted(found.items()):
            kept = day
            while kept.weekday() > 4 or (kept != day and kept in found):
                kept += timedelta(days=1)
            found.setdefault(kept, f"{name} (observed)")
        return found
    return dict(holidays.country_holidays(country, years=year, language="en_US"))


def holiday_name(day: date, country: str) -> str:
    """Return the holiday that is kept on a day, "" for none: "Juneteenth"."""
    name = _holidays(country, day.year).get(day, "")
    plain = name.removesuffix(" (observed)")
    short = _SHORT.get(plain, plain)
    return f"{short} (observed)" if name != plain else short


@lru_cache(maxsize=512)
def _lost_days(year: int, countries: tuple[str, ...]) -> list[date]:
    """Return the Mondays to Fridays of a year that are a holiday in some of the countries."""
    found = {day for country in countries for day in _holidays(country, year)}
    return sorted(day for day in found if day.weekday() < 5)


def countries_of(numbers: Iterable[str]) -> tuple[str, ...]:
    """Return the countries of E.164 numbers by their area codes, the US for none."""
    found = {is_canadian(number) for number in {number[:5]: number for number in numbers}.values()}
    return tuple(sorted("CA" if canadian else "US" for canadian in found)) or US


def is_bd(day: date, countries: tuple[str, ...] = US, extra: Collection[date] = ()) -> bool:
    """Tell whether people at the carriers of all these countries work on a day."""
    return day.weekday() < 5 and day not in extra and day not in _lost_days(day.year, countries)


def bd_between(
    first: date, last: date, countries: tuple[str, ...] = US, extra: Collection[date] = ()
) -> int:
    """Return the business days after `first` up to and with `last`; negative the other way."""
    if last < first:
        return -bd_between(last, first, countries, extra)
    weeks, rest = divmod((last - first).days, 7)
    week_days = weeks * 5 + sum((first + timedelta(days=n)).weekday() < 5 for n in _upto(rest))
    lost_too = sum(first < day <= last and is_bd(day, countries) for day in set(extra))
    return (
        week_days
        - lost_too
        - sum(
            bisect_right(lost, last) - bisect_right(lost, first)
            for year in range(first.year, min(last.year, _LAST_YEAR) + 1)
            if (lost := _lost_days(year, countries))
        )
    )


def _upto(count: int) -> range:
    return range(1, count + 1)


def add_bd(
    day: date, count: int, countries: tuple[str, ...] = US, extra: Collection[date] = ()
) -> date:
    """Return the day so many business days later, or earlier for a negative count."""
    step = timedelta(days=1 if count > 0 else -1)
    for _ in range(abs(count)):
        day += step
        while not is_bd(day, countries, extra):
            day += step
    return day


def moment_plus_bd(
    moment: datetime,
    count: int,
    zone: ZoneInfo,
    countries: tuple[str, ...] = US,
    extra: Collection[date] = (),
) -> datetime:
    """Return the same time of day so many business days later."""
    local = moment.astimezone(zone)
    return datetime.combine(add_bd(local.date(), count, countries, extra), local.time(), zone)


# --- Clocks -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limit:
    """How long something may last: so many business days, business hours or hours of the clock."""

    count: int
    unit: Unit


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
        """Return it in the form a work item keeps."""
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

    def plus_h(self, moment: datetime, count: int) -> datetime:
        """Return the moment so many hours later, whether anybody works then or not."""
        return moment + timedelta(hours=count)

    def clock(self, start: datetime, limit: Limit) -> Clock:
        """Return the clock that starts at a moment and runs to a limit."""
        plus = {"bd": self.plus_bd, "bh": self.plus_bh, "h": self.plus_h}[limit.unit]
        return Clock(limit.unit, tuple(plus(start, n) for n in range(1, limit.count + 1)))
