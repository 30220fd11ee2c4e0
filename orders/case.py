"""A port-in order being judged, and what its buttons say that other places look for."""

from datetime import datetime
from typing import Final

from orders import clocks
from orders.facts import CANCEL, Facts
from portal import words
from portal.work import verdicts
from portal.work.verdicts import ASK_AGAIN, Moments, Reason

__all__ = ["ASK_AGAIN", "CANCEL", "CHASE", "NEW_ORDER", "Case", "Moments", "Reason"]

NEW_ORDER: Final = "New order"  # and for how many numbers: `new_order_for`
CHASE: Final = "Ask how it stands"

Case = verdicts.Case[Facts]


def new_order_for(count: int) -> str:
    """Return what the button says that takes refused numbers into an order of their own."""
    return f"{NEW_ORDER} for {words.count_text(count, 'number')}" if count else NEW_ORDER


def case_of(facts: Facts, now: datetime) -> Case:
    """Return the case of an order at a moment, with nothing found yet."""
    return Case(facts, Moments(now), clocks.OPEN)


def is_late(reason: Reason, now: datetime) -> bool:
    """Tell whether a clock has run out; numbers that should be live are always late."""
    return reason.code == "P2" or reason.is_late(now)
