"""The time the sandbox lives by: the machine's own, or one that a test moves by hand."""

import threading
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

# Sinch speaks of four zones under their old names; these are the places they stand for.
PORT_ZONES = {
    "US/Eastern": ZoneInfo("America/New_York"),
    "US/Central": ZoneInfo("America/Chicago"),
    "US/Mountain": ZoneInfo("America/Denver"),
    "US/Pacific": ZoneInfo("America/Los_Angeles"),
    "GMT": ZoneInfo("Etc/GMT"),
}
DEFAULT_PORT_ZONE = "US/Eastern"


class Clock(Protocol):
    """What the sandbox asks of time."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait until `seconds` have passed or `stop` is set; return whether it was set."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """Return the present instant in UTC."""
        return datetime.now(UTC)

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait in real seconds; return early, and true, when `stop` is set."""
        return stop.wait(seconds)


class ManualClock:
    """A time that stands still until `advance` moves it."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("The clock needs an aware datetime.")
        self._now = start.astimezone(UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the instant the clock was last moved to, in UTC."""
        with self._lock:
            return self._now

    def advance(self, delta: timedelta) -> None:
        """Move the clock on by `delta`."""
        with self._lock:
            self._now += delta

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait until the clock was moved on by `seconds`, or `stop` is set."""
        until = self.now() + timedelta(seconds=seconds)
        while self.now() < until:
            # A short real wait: nobody wakes us when a test moves the hands.
            if stop.wait(0.01):
                return True
        return stop.is_set()


def iso_instant(moment: datetime) -> str:
    """Return an instant as Sinch writes it: UTC, whole seconds, ending in Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant(text: str) -> datetime:
    """Return the instant of an ISO date or date-time; without a zone it is taken as UTC.

    Raises ValueError for anything else.
    """
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def today_in(zone_name: str | None, now: datetime) -> date:
    """Return the calendar day in a port zone; an unknown or missing zone counts as US/Eastern."""
    zone = PORT_ZONES.get(zone_name or "", PORT_ZONES[DEFAULT_PORT_ZONE])
    return now.astimezone(zone).date()


def add_business_days(day: date, count: int) -> date:
    """Return the day `count` working days on; Saturdays and Sundays are skipped."""
    while count:
        day += timedelta(days=1)
        if day.weekday() < 5:
            count -= 1
    return day
