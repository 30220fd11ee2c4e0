"""What a mark of staff is about: keys of facts, so that a new fact is not covered by an old mark.

Pure; `OrderMark.fact` holds one of these keys. Nothing here says what a mark does: the reasons
in `orders.reasons` ask whether there is one for the facts as they are now.
"""

from datetime import datetime
from typing import Final

from portal.work.marks import ASKED, SETTLED, Mark, digest, instant, key

__all__ = ["ASKED", "SETTLED", "Mark", "digest"]

NO_REPLY, NEEDS_REPLY, NO_LOA = "no_reply", "needs_reply", "no_loa"

# The reasons with which a customer can help.
ASKABLE: Final = ("P3", "P4", "P7", "P8", "P9")
CHASE: Final = "P11"  # asked is Sinch, not the customer: the clock starts anew
NO_LOA_FACT: Final = "LOA"


def number_fact(phone_number: str, status: str, said: str, since: datetime) -> str:
    """Return the key of a number's being refused, left out or canceled.

    `said` is Sinch's text, `since` when this desk first saw it so: a number that is refused anew,
    or for another reason, is a new fact.
    """
    return key("number", phone_number, status, said, instant(since))


def features_fact(phone_number: str, features: str) -> str:
    """Return the key of a number's having lost these features."""
    return key("features", phone_number, features)


def notice_fact(code: str, at: datetime) -> str:
    """Return the key of something that happened at a moment, which can be read from it again."""
    return f"{code} {instant(at)}"


def notice_moment(fact: str) -> datetime | None:
    """Return the moment that the key of a notice names; None for any other key."""
    try:
        return datetime.fromisoformat(fact.partition(" ")[2])
    except ValueError:
        return None


def date_fact(day: object) -> str:
    """Return the key of a requested date's having passed."""
    return f"date {day}"
