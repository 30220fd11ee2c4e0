"""What becomes of claimed deliveries in one round: decided by kind, written for all at once."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from portal.operations import readings
from portal.operations.leases import pause_after
from webhooks.models import Delivery

MOST_TRIES = 20  # looks at one delivery (about an hour and a half) before a person is asked
WAIT_SECONDS = 60.0  # until a waiting delivery is looked at again, should its reading be lost
STOPPED = "Sinch could not be read for a long time"

State = Delivery.State

# One statement settles a whole batch; a row whose lease has passed to somebody else is left alone.
_SETTLE = """
UPDATE webhooks_delivery AS delivery SET
    event_type = fate.event_type, resource_id = fate.resource_id, verdict = fate.verdict,
    state = fate.state, outcome = fate.outcome, reading_id = fate.reading_id,
    next_try_at = fate.next_try_at, processed_at = fate.processed_at,
    last_error = '', lease_id = NULL, lease_until = NULL
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::bigint[], %s::timestamptz[], %s::timestamptz[])
    AS fate(id, event_type, resource_id, verdict, state, outcome, reading_id, next_try_at,
            processed_at)
WHERE delivery.id = fate.id AND delivery.lease_id = %s
"""

# A kind of reading, and the id of the thing that is read.
Thing = tuple[str, str]


@dataclass
class Fate:
    """What becomes of one claimed delivery in this round.

    `thing` is what has to be read again because of it, `also` is read too; the delivery is done
    when the first has been.
    """

    delivery: Delivery
    event: str = ""
    resource_id: str = ""
    verdict: str = ""
    state: str = State.SET_ASIDE
    outcome: str = ""
    thing: Thing | None = None
    also: frozenset[Thing] = frozenset()
    reading: int | None = None
    next_try_at: datetime | None = None

    def wait_for(self, read_at: datetime | None) -> None:
        """Have it wait for its reading, unless the thing was read since it came, at `read_at`."""
        delivery = self.delivery
        if read_at is not None and read_at >= delivery.received_at:
            self.state = State.DONE
            covered = f"overed by a reading {age_text(read_at - delivery.received_at)} later"
            self.outcome = f"{self.outcome}; c{covered}" if self.outcome else f"C{covered}"
        elif delivery.state != State.RECEIVED and delivery.attempts >= MOST_TRIES:
            self.state, self.outcome, self.reading = State.DEAD, STOPPED, delivery.reading_id
        else:
            self.state = State.WAITING
            tries = delivery.attempts if delivery.state != State.RECEIVED else 0
            pause = max(WAIT_SECONDS, pause_after(tries))
            self.next_try_at = timezone.now() + timedelta(seconds=pause)


@dataclass
class _Wishes:
    """The newest moment each thing of a project must have been read after."""

    at: dict[str, datetime] = field(default_factory=dict)

    def add(self, resource_id: str, moment: datetime) -> None:
        self.at[resource_id] = max(moment, self.at.get(resource_id, moment))


def want_readings(fates: list[Fate]) -> None:
    """Ask for one reading of each thing, newer than its newest delivery."""
    wishes: dict[tuple[int, str], _Wishes] = defaultdict(_Wishes)
    for fate in fates:
        for kind, resource_id in {*fate.also, *([fate.thing] if fate.thing else [])}:
            of_kind = wishes[fate.delivery.project_id, kind]
            of_kind.add(resource_id, fate.delivery.received_at)
    # In one order, so that two batches never wait for each other.
    rows = {
        (project, kind): readings.want(project, kind, wishes[project, kind].at, "webhook")
        for project, kind in sorted(wishes)
    }
    for fate in fates:
        if fate.thing:
            kind, resource_id = fate.thing
            fate.reading = rows[fate.delivery.project_id, kind][resource_id]


def write(fates: list[Fate]) -> None:
    """Put on disk what becomes of a batch; one statement."""
    now = timezone.now()
    columns: list[list[Any]] = [
        [fate.delivery.pk for fate in fates],
        [fate.event for fate in fates],
        [fate.resource_id for fate in fates],
        [str(fate.verdict) for fate in fates],
        [str(fate.state) for fate in fates],
        [fate.outcome[:200] for fate in fates],
        [fate.reading for fate in fates],
        [fate.next_try_at for fate in fates],
        [None if fate.next_try_at else now for fate in fates],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_SETTLE, [*columns, fates[0].delivery.lease_id])


def age_text(age: timedelta) -> str:
    """Return `1.2 s`, `40 s`, `12 min` or `3 h`."""
    seconds = age.total_seconds()
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
