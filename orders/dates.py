"""Business days, and what there is to say about a port date before Sinch does.

Pure: the moment is an argument. Nothing here blocks anything; every rule is a warning with its
reason, and Sinch decides. "bd" is a business day: Monday to Friday without the holidays of the
countries whose numbers are in the order, and without the extra days off of its project, which are
given as `extra` (`SinchProject.extra_days_off`).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

from portal import words
from portal.numbers import TOLL_FREE, area_code
from portal.work.office import (
    CLOSES,
    DEFAULT_ZONE,
    OPENS,
    US,
    add_bd,
    bd_between,
    countries_of,
    holiday_name,
    is_bd,
)

# The zones Sinch takes. Source: Porting API, desiredPortTimeZone.
ZONES: Final = ("US/Pacific", "US/Mountain", "US/Central", "US/Eastern")

CUT_OFF: Final = time(13)  # 47 CFR 52.35(a); a later request counts from the next business day
SIMPLE_BD: Final = 2  # 47 CFR 52.35(a) has 1, and 1 for Sinch
NON_SIMPLE_BD: Final = 5  # 47 CFR 52.35(d) has 4, and 1 for Sinch
SAFE_BD: Final = 7  # 7 to 10 leave room for one refusal
CANADIAN_BD: Final = 5  # Telecom Decision CRTC 2005-72 has 2 for simple ports; practice is longer
CANADIAN_SAFE_BD: Final = 10
FAR_DAYS: Final = 30
FROZEN: Final = timedelta(hours=48)

_IN: Final = {"US": "in the US", "CA": "in Canada"}


# --- How far apart ---


def gap_text(
    asked: date | None,
    confirmed: date | None,
    countries: tuple[str, ...] = US,
    extra: Collection[date] = (),
) -> str:
    """Return how far two dates are apart in business days: "+2", "none"; "" without both."""
    if asked is None or confirmed is None:
        return ""
    gap = bd_between(asked, confirmed, countries, extra)
    if gap:
        return f"{'+' if gap > 0 else '−'}{abs(gap)}"
    return "none" if asked == confirmed else "0"


# --- Where the numbers are ----------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _zones_of_prefix(prefix: str) -> tuple[str, ...]:
    number = phonenumbers.PhoneNumber(country_code=1, national_number=int(f"{prefix}0142"))
    found = [zone for zone in time_zones_for_number(number) if zone != UNKNOWN_TIMEZONE]
    # 907 is Anchorage but for the westernmost islands.
    return tuple(sorted(found, key=lambda zone: zone == "America/Adak"))


def zones_of(number: str) -> tuple[str, ...]:
    """Return the time zones of a number's area code, the likeliest first; () when it has none."""
    prefix = number[2:8]
    if area_code(number) in TOLL_FREE or len(prefix) != 6 or not prefix.isdecimal():
        return ()
    return _zones_of_prefix(prefix)


def _commonest_zones(numbers: Iterable[str], moment: datetime) -> tuple[str, ...]:
    """Return the zones of the numbers that show the same hour as most do at a moment."""
    counts = Counter(zones for number in numbers if (zones := zones_of(number)))
    hours: Counter[timedelta | None] = Counter()
    for zones, count in counts.items():
        hours[moment.astimezone(ZoneInfo(zones[0])).utcoffset()] += count
    for zones, _ in counts.most_common():
        if moment.astimezone(ZoneInfo(zones[0])).utcoffset() == hours.most_common(1)[0][0]:
            return zones
    return ()


def _easternmost(numbers: Iterable[str], now: datetime) -> ZoneInfo:
    """Return the zone of the numbers in which it is latest; US/Eastern when none has one."""
    names = {zones[0] for number in numbers if (zones := zones_of(number))}
    known = [ZoneInfo(name) for name in sorted(names)] or [ZoneInfo(DEFAULT_ZONE)]
    return max(known, key=lambda zone: now.astimezone(zone).utcoffset() or timedelta())


# --- The coach ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Advice:
    """What to know about a port date: a title, reasons, and perhaps a date that is safer.

    Without a title it is no warning: the lines are good to know and that is all.
    """

    title: str
    lines: tuple[str, ...]
    suggestion: date | None = None

    @property
    def button(self) -> str:
        """What the button says that takes the suggestion: "Take Tue 23 June"."""
        return f"Take {long_day(self.suggestion)}" if self.suggestion else ""


def long_day(day: date, today: date | None = None) -> str:
    """Return `Thu 18 June`, with the year when it is not the one of `today`, if that is given."""
    year = "" if today is None or day.year == today.year else f" {day.year}"
    return f"{day:%a} {day.day} {day:%B}{year}"


def coach(
    *,
    numbers: Sequence[str],
    carriers: Iterable[str],
    wanted: date | None,
    at: time | None,
    zone: str,
    on_demand: bool,
    now: datetime,
    extra: Mapping[date, str] | None = None,
    papers: Sequence[str] = (),
) -> Advice | None:
    """Return what to know about a wanted port date; None when there is nothing to say.

    `zone` is one of Sinch's, "" for the default; without a time 09:00 is meant. Without numbers
    only what holds for any order is said. `extra` are further days off with their names, `papers`
    sentences about papers that are too old on that date.
    """
    if wanted is None:
        return None
    case = _Case(
        numbers=tuple(numbers),
        carriers=len(set(carriers)),
        wanted=wanted,
        at=at or time(9),
        zone=zone if zone in ZONES else DEFAULT_ZONE,
        on_demand=on_demand,
        now=now,
        extra=extra or {},
        papers=tuple(papers),
    )
    return case.advice()


class _Case:
    """One date with everything it is judged by."""

    def __init__(
        self,
        *,
        numbers: tuple[str, ...],
        carriers: int,
        wanted: date,
        at: time,
        zone: str,
        on_demand: bool,
        now: datetime,
        extra: Mapping[date, str],
        papers: tuple[str, ...],
    ) -> None:
        self.numbers, self.wanted, self.at = numbers, wanted, at
        self.extra, self.papers = extra, papers
        self.zone, self.on_demand = zone, on_demand
        self.countries = countries_of(numbers)
        self.local = now.astimezone(_easternmost(numbers, now))
        self.today = self.local.date()
        self.is_late = self.local.time() > CUT_OFF
        counts_today = is_bd(self.today, self.countries, self.extra) and not self.is_late
        self.day_0 = (
            self.today if counts_today else add_bd(self.today, 1, self.countries, self.extra)
        )
        self.ahead = bd_between(self.day_0, wanted, self.countries, self.extra)
        self.has_canadian = "CA" in self.countries
        # Nobody here can see remaining services; one US number of one carrier counts as simple.
        self.is_simple = len(numbers) <= 1 and carriers <= 1 and not self.has_canadian

    # Which dates are good.

    @property
    def least(self) -> int:
        """The fewest business days that raise no warning by themselves."""
        return SIMPLE_BD if self.is_simple else NON_SIMPLE_BD

    @property
    def safe(self) -> int:
        """The business days a suggestion leaves."""
        if self.is_simple:
            return SIMPLE_BD
        return CANADIAN_SAFE_BD if self.has_canadian else SAFE_BD

    def is_workable(self, day: date) -> bool:
        """Tell whether a day and the one after it are business days."""
        return all(is_bd(one, self.countries, self.extra) for one in (day, day + timedelta(days=1)))

    def suggestion(self) -> date:
        """Return the nearest date that raises no warning."""
        first = add_bd(self.day_0, self.safe, self.countries, self.extra)
        last = self.today + timedelta(days=FAR_DAYS)
        day, step = max(first, min(self.wanted, last)), timedelta(days=1)
        while not self.is_workable(day):
            day += step
        if day > last:  # over a holiday and out of reach: the last good one before it
            day = last
            while not self.is_workable(day):
                day -= step
        return day

    # What there is to say.

    def advice(self) -> Advice | None:
        day = long_day(self.wanted, self.today)
        dated = [*self._interval(), *self._closed(), *self._far()]
        counted = self._counted_from()
        zoned = [*self.papers, *self._zone()]
        if not dated and not zoned and not counted:
            return None
        if not dated:
            title = zoned[0].rstrip(".") if zoned else ""
            return Advice(title, (*zoned[1:], *counted))
        better = self.suggestion()
        verdict = self._verdict()
        comparison = f"{long_day(better, self.today)} is {'nearer' if self._far() else 'safer'}"
        return Advice(
            f"{day} {verdict}; {comparison}",
            _spelled_out([*self._closed(), *self._interval(), *self._far(), *counted, *zoned]),
            better,
        )

    def _verdict(self) -> str:
        if self.is_hopeless:
            return "will be refused"
        if not is_bd(self.wanted, self.countries, self.extra):
            return "is no business day"
        if self._far():
            return "is far ahead"
        if self.ahead < self.least:
            return "is early and may be refused"
        return "is possible"

    @property
    def is_hopeless(self) -> bool:
        """Whether no carrier takes the date: it has passed, is today, or less than 1 bd ahead."""
        return self.wanted <= self.today or self.ahead < 1

    def _interval(self) -> list[str]:
        """Simple, non-simple and Canadian numbers: how many business days are left."""
        if self.wanted < self.today:
            return [f"{long_day(self.wanted, self.today)} has passed."]
        if self.wanted == self.today:
            return ["It is today; carriers need a business day at the least."]
        if self.ahead < 1:
            return ["Carriers need a business day at the least."]
        left = f"{self.ahead} bd from {self._when_counted}."
        if self.is_simple:
            return [f"{left} A single number needs {SIMPLE_BD}."] if self.ahead < SIMPLE_BD else []
        said = []
        if self.has_canadian and self.ahead < CANADIAN_BD:
            said.append(f"{left} In Canada a move mostly takes about 2 weeks.")
        elif self.ahead < NON_SIMPLE_BD:
            said.append(f"{left} {self._why_more} need {NON_SIMPLE_BD} or more.")
        elif self.ahead < SAFE_BD:
            said.append(
                f"{left} {self._why_more} need {NON_SIMPLE_BD} or more; {SAFE_BD} to 10 are safer."
            )
        return said

    @property
    def _why_more(self) -> str:
        return "Several lines on one account" if len(self.numbers) > 1 else "Such moves"

    @property
    def _when_counted(self) -> str:
        return "now" if self.day_0 == self.today else long_day(self.day_0, self.today)

    def _closed(self) -> list[str]:
        """Weekends and holidays, on the date and on the day after it."""
        if self.wanted < self.today:
            return []
        if why := self._why_closed(self.wanted):
            return [f"{long_day(self.wanted, self.today)} is {why}: carriers do not work then."]
        if self.wanted == date.max:
            return []
        after = self.wanted + timedelta(days=1)
        if why := self._why_closed(after):
            return [
                f"The day after, {long_day(after, self.today)}, is {why}: "
                "nobody is there to repair it."
            ]
        return []

    def _why_closed(self, day: date) -> str:
        """Return which holiday or that it is a weekend; "" for a business day."""
        for country in self.countries:
            if name := holiday_name(day, country):
                where = f" {_IN[country]}" if len(self.countries) > 1 else ""
                return f"{name}{where}"
        if day.weekday() > 4:
            return "at the weekend"
        return f"{self.extra[day]} (an extra day off)" if day in self.extra else ""

    def _far(self) -> list[str]:
        days = (self.wanted - self.today).days
        if days <= FAR_DAYS:
            return []
        return [
            f"{days:,} days from now; carriers seldom hold a date more than {FAR_DAYS} days ahead."
        ]

    def _counted_from(self) -> list[str]:
        """Say when the carrier's count begins, where that is not today."""
        if self.day_0 == self.today or self.wanted <= self.today:
            return []
        tomorrow = self.day_0 == self.today + timedelta(days=1)
        day = "tomorrow" if tomorrow else long_day(self.day_0, self.today)
        if not is_bd(self.today, self.countries, self.extra):
            why = self._why_closed(self.today)
            return [f"Today is {why}: the carrier counts from {day}."]
        where = _city(_zone_name(self.local))
        return [f"It is past 13:00 in {where}’s zone: the carrier counts from {day}."]

    def _zone(self) -> list[str]:
        """Compare the chosen zone with the one most numbers are in, at the port moment."""
        moment = datetime.combine(self.wanted, self.at, ZoneInfo(self.zone))
        try:
            names = _commonest_zones(self.numbers, moment)
            there = [moment.astimezone(ZoneInfo(name)) for name in names]
            fits = [at for at in there if at.utcoffset() == moment.utcoffset()]
            local = (fits or there or [moment])[0]
            better = self._sinch_zone(local)
        except OverflowError:  # the first or last day of all time
            return []
        said = []
        chosen = words.zone_word(self.zone)
        city = _city(_zone_name(local))
        if there and not fits:
            said.append(f"{self.at:%H:%M} {chosen} is {local:%H:%M} in {city}.")
            if better:
                said.append(f"Most of these numbers are in the zone {better}.")
            else:
                said.append(f"None of Sinch’s four zones is that of {city}.")
        if not self.on_demand and not OPENS <= local.time() <= CLOSES:
            where = f"{local:%H:%M} in {city}" if there else f"{local:%H:%M} {chosen}"
            said.append(
                f"The numbers go live by themselves at {where}; carriers work 08:00 to 17:00."
            )
        return said

    @staticmethod
    def _sinch_zone(local: datetime) -> str:
        """Return the zone of Sinch's that shows the same hour at a moment, "" for none."""
        for zone in ZONES:
            if local.astimezone(ZoneInfo(zone)).utcoffset() == local.utcoffset():
                return zone
        return ""


def _zone_name(local: datetime) -> str:
    zone: Any = local.tzinfo
    return str(zone.key)


def _city(zone: str) -> str:
    return words.zone_word(zone) if zone in ZONES else zone.rsplit("/", 1)[-1].replace("_", " ")


def _spelled_out(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the lines with "bd" spelled out where it comes first."""
    found, is_said = [], False
    for line in lines:
        if not is_said and " bd " in line:
            count = line.partition(" bd ")[0].rsplit(" ", 1)[-1]
            noun = "business day" if count == "1" else "business days"
            line, is_said = line.replace(" bd ", f" {noun} (bd) ", 1), True
        found.append(line)
    return tuple(found)


# --- The last 48 hours --------------------------------------------------------------------------


def freeze_text(moments: Iterable[datetime], now: datetime) -> str:
    """Return the warning for a change or a cancelation shortly before a port moment, else "".

    A moment that has come is no longer ahead and says nothing.
    """
    near = sorted(moment for moment in moments if now < moment < now + FROZEN)
    if not near:
        return ""
    moment = near[0]
    hours = max(1, int((moment - now).total_seconds() // 3600))
    when = f"{long_day(moment.date())}, {moment:%H:%M} {words.zone_word(_zone_name(moment))}"
    return (
        f"{words.count_text(hours, 'hour')} to the port moment, {when}. In the last 48 hours a "
        "change or a cancelation is best effort: the old date may still fire."
    )
