"""How soon to read an order again although nobody asks."""

from datetime import datetime, timedelta
from typing import Final

from orders.facts import CANCELING, COMPLETED, CONFIRMED, FINISHED, Facts

READ_WHILE_WRITING: Final = timedelta(minutes=1)
READ_ON_FOC_DAY: Final = timedelta(minutes=1)
READ_NEAR_PORT: Final = timedelta(minutes=5)
READ_CANCELING: Final = timedelta(minutes=5)
READ_PENDING: Final = timedelta(minutes=15)
READ_CONFIRMED: Final = timedelta(minutes=30)
READ_FINISHED: Final = timedelta(hours=24)
NEAR_PORT: Final = timedelta(days=1)
# Then a finished order is only read when the list differs or somebody asks. Notes are in no list,
# and Sinch may write one about an order that is over.
FINISHED_FOR: Final = timedelta(days=30)


def pause_before_reading(facts: Facts, now: datetime) -> timedelta | None:
    """Return when to read an order again although nobody asks; None for never.

    Webhooks may get lost, so the pace follows what is expected: a minute while something of ours
    or the port itself is under way, a day for an order that is over.
    """
    today = facts.today(now)
    if facts.gone_at:
        return None
    if any(write.is_under_way for write in facts.writes):
        return READ_WHILE_WRITING
    if facts.status in FINISHED:
        if facts.status == COMPLETED and any(n.is_live for n in facts.numbers):
            return READ_CONFIRMED
        return READ_FINISHED if now - facts.progress_at < FINISHED_FOR else None
    if facts.status == CANCELING:
        return READ_CANCELING
    focs = facts.open_focs
    if today in focs:
        return READ_ON_FOC_DAY
    if focs and focs[0] < today:
        return READ_NEAR_PORT
    if any(facts.moment(day) - now < NEAR_PORT for day in focs):
        return READ_NEAR_PORT
    return READ_CONFIRMED if facts.status == CONFIRMED else READ_PENDING


def wants_offers(facts: Facts, now: datetime) -> bool:
    """Tell whether to ask Sinch which groups can be activated: on-demand, confirmed, FOC come.

    Also while some are known to be offered: their date may have moved away since.
    """
    has_come = any(day <= facts.today(now) for day in facts.offer_days)
    return (
        facts.on_demand
        and facts.status == CONFIRMED
        and facts.gone_at is None
        and (has_come or bool(facts.offers))
    )
