"""The clock of a reason as it stands now: "2 of 3 bd", amber near its end, red when it is out.

A reason carries the moments at which its units are over, worked out by the app that the order
belongs to; showing it takes no calendar and nothing is written as it runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.dateparse import parse_datetime

AMBER_FROM: Final = 0.75  # of the whole
UNITS: Final = {"bd": "business days", "bh": "business hours", "h": "hours"}


@dataclass(frozen=True, slots=True)
class Clock:
    """How much of a clock is over; `tone` is "" while there is time, then "us", then "bad"."""

    passed: int
    limit: int
    unit: str
    tone: str

    @property
    def unit_words(self) -> str:
        """What its unit means."""
        return UNITS.get(self.unit, "")

    @property
    def is_out(self) -> bool:
        """Whether it has run out."""
        return self.tone == "bad"


def clock_of(reason: Mapping[str, Any] | None, now: datetime | None = None) -> Clock | None:
    """Return the clock of a work item's reason; None when it has none."""
    kept = (reason or {}).get("clock") or {}
    ticks = [moment for tick in kept.get("ticks") or () if (moment := parse_datetime(tick))]
    if not ticks:
        return None
    now = now or timezone.now()
    passed = sum(tick <= now for tick in ticks)
    limit = len(ticks)
    tone = "bad" if passed == limit else "us" if _is_near(ticks, passed, now) else ""
    return Clock(passed, limit, str(kept.get("unit") or ""), tone)


def worst_of(
    reasons: Sequence[Mapping[str, Any]], now: datetime | None = None
) -> tuple[Clock, str] | None:
    """Return the clock that speaks for an item, with what it is about; None without any.

    It is the first that has run out, else that of the first reason. What the customer was asked
    about counts last.
    """
    now = now or timezone.now()
    found = [(clock, reason) for reason in reasons if (clock := clock_of(reason, now))]
    if not found:
        return None
    out = [pair for pair in found if pair[0].is_out and not pair[1].get("asked")]
    if not out and found[0][1] is not reasons[0]:
        return None
    clock, reason = (out or found)[0]
    return clock, str(reason.get("text") or "")


def _is_near(ticks: list[datetime], passed: int, now: datetime) -> bool:
    """Tell whether three quarters are over; between two ticks the time runs evenly."""
    if not passed:
        return False
    last, coming = ticks[passed - 1], ticks[passed]
    return passed + (now - last) / (coming - last) >= AMBER_FROM * len(ticks)
