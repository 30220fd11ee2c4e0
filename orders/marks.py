"""What a mark of staff is about: keys of facts, so that a new fact is not covered by an old mark.

Pure; `OrderMark.fact` holds one of these keys. Nothing here says what a mark does: the reasons
in `orders.reasons` ask whether there is one for the facts as they are now.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

SETTLED, ASKED = "settled", "asked"
NO_REPLY, NEEDS_REPLY, NO_LOA = "no_reply", "needs_reply", "no_loa"

# The reasons that somebody may settle with words, and those with which a customer can help.
SETTLEABLE: Final = ("P3", "P5", "P6", "P7")
ASKABLE: Final = ("P3", "P4", "P7", "P8", "P9")
CHASE: Final = "P11"  # asked is Sinch, not the customer: the clock starts anew
NO_LOA_FACT: Final = "LOA"


@dataclass(frozen=True, slots=True)
class Mark:
    """A decision that nobody has taken back: what it is, about which fact, since when."""

    kind: str
    reason: str
    fact: str
    at: datetime


def _key(*parts: object) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:32]


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def number_fact(phone_number: str, status: str, said: str, since: datetime) -> str:
    """Return the key of a number's being refused, left out or canceled.

    `said` is Sinch's text, `since` when this desk first saw it so: a number that is refused anew,
    or for another reason, is a new fact.
    """
    return _key("number", phone_number, status, said, _instant(since))


def features_fact(phone_number: str, features: str) -> str:
    """Return the key of a number's having lost these features."""
    return _key("features", phone_number, features)


def notice_fact(code: str, at: datetime) -> str:
    """Return the key of something that happened at a moment, which can be read from it again."""
    return f"{code} {_instant(at)}"


def notice_moment(fact: str) -> datetime | None:
    """Return the moment that the key of a notice names; None for any other key."""
    try:
        return datetime.fromisoformat(fact.partition(" ")[2])
    except ValueError:
        return None


def date_fact(day: object) -> str:
    """Return the key of a requested date's having passed."""
    return f"date {day}"


def digest(facts: Iterable[str]) -> str:
    """Return the short key of several facts together: what somebody saw when they decided."""
    return _key("together", *sorted(facts))[:16]
