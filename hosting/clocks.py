"""How long something about hosting may lie before it is late, in business time."""

from datetime import datetime
from typing import Final

from portal.work.office import CLOSES, OPENS, Calendar, Clock, Limit

HOURS_OF_A_DAY: Final = CLOSES.hour - OPENS.hour

# The desk's own defaults, in one place.
DRAFT: Final = Limit(1, "bd")  # Sinch holds or checks the order
SIGNATURE: Final = Limit(2, "bd")
UNDER_WAY: Final = Limit(5, "bd")  # IN_PROGRESS and nothing moves
MANUAL: Final = Limit(3, "bd")  # manual actions at Sinch, unchanged
LINK: Final = UNDER_WAY  # a link of a number that Sinch is at work on, and nothing moves
COMPLETED_PENDING: Final = Limit(1, "bd")  # COMPLETED with a number still pending
SCHEDULE_BD: Final = 1  # bd before the scheduled time within which a signature is urgent
SOON_BD: Final = 5
OPEN: Final[dict[str, Limit]] = {  # a reason of ours that nobody has taken up
    "H1": Limit(2, "bh"),
    "H2": Limit(HOURS_OF_A_DAY, "bh"),
    "H3": Limit(HOURS_OF_A_DAY, "bh"),
    "H4": Limit(HOURS_OF_A_DAY, "bh"),
}
QUALIFIED: Final[dict[str, Limit]] = {
    "ELIGIBLE_CHECK_PENDING": Limit(1, "bd"),
    "ELIGIBLE": Limit(2, "bd"),
    "VERIFICATION_PENDING": Limit(2, "bd"),
    "VERIFICATION_FAILED": Limit(2, "bd"),
    "VERIFICATION_BLOCKED": Limit(2, "bd"),
    "HOSTING_IN_PROGRESS": Limit(5, "bd"),
}
INVOICES: Final = Limit(4, "bd")  # the review of mailed invoices


def qualified_clock(
    state: str, since: datetime, invoices_sent_at: datetime | None, office: Calendar
) -> Clock | None:
    """Return the clock of a qualified number; None for a state nobody waits in."""
    if invoices_sent_at and state in (
        "ELIGIBLE",
        "VERIFICATION_PENDING",
        "VERIFICATION_FAILED",
        "VERIFICATION_BLOCKED",
    ):
        return office.clock(invoices_sent_at, INVOICES)
    limit = QUALIFIED.get(state)
    return office.clock(since, limit) if limit else None
