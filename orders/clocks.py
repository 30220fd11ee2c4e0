"""How long something about a port-in order may lie before it is late, in business time."""

from typing import Final

from portal.work.office import CLOSES, OPENS, Limit

HOURS_OF_A_DAY: Final = CLOSES.hour - OPENS.hour

# The desk's own defaults, in one place. A limit of one day is counted in its hours, so that it
# can be seen to run.
A_DAY: Final = Limit(HOURS_OF_A_DAY, "bh")
SIMPLE_ANSWER: Final = Limit(3, "bd")  # PENDING, no number answered: one number in the US
ANSWER: Final = Limit(5, "bd")  # … any other order, and any in Canada
APART: Final = Limit(3, "bd")  # one carrier group confirmed, another still pending
CANCELING: Final = Limit(2, "bd")  # its numbers stay locked
READY: Final = Limit(2, "bh")  # ready to activate and untouched
OPEN: Final[dict[str, Limit]] = {  # a reason of ours that nobody has taken up
    "P1": Limit(2, "bh"),
    "P3": A_DAY,
    "P4": A_DAY,
    "P5": A_DAY,
    "P7": A_DAY,
    "P9": A_DAY,
}
