"""Reading again: wanted by many, done once, the newest wish fulfilled."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar

from django.db import connection
from django.db.models import F, Q, QuerySet, Sum
from django.utils import timezone

from portal.accounts.models import SinchProject
from portal.operations import doorbell
from portal.operations.leases import LEASE_SECONDS, held
from portal.operations.models import TRIES_UNTIL_SILENT, Reading
from portal.sinch.errors import SinchError
from portal.writing import ONE_MORE, Made, update

log = logging.getLogger(__name__)

# Seconds between two readings of one thing that webhooks ask for: the first leaves at once, and
# the many that come right behind it share the second.
CALM = 0.8
WEBHOOK, SWEEP = "webhook", "sweep"
# How long the readings of a project that is out of use are put off each time.
OUT_OF_USE = timedelta(hours=1)

# A sweep that comes upon a wish not yet fulfilled does not make a sweep of it.
# A wish for something nobody reads at the moment makes it due now; while it is being read the
# end of that reading looks at `requested_at` and makes it due again if the wish came later.
_WISH = """
INSERT INTO operations_reading
    (project_id, kind, resource_id, requested_at, cause, next_try_at, attempts, last_error,
     missed_webhooks, is_gone)
SELECT %s, %s, wanted.resource_id, wanted.requested_at, %s, %s, 0, '', 0, false
FROM unnest(%s::text[], %s::timestamptz[]) AS wanted(resource_id, requested_at)
ORDER BY wanted.resource_id
ON CONFLICT (project_id, kind, resource_id) DO UPDATE SET
    requested_at = GREATEST(operations_reading.requested_at, EXCLUDED.requested_at),
    cause = CASE
        WHEN EXCLUDED.cause = 'sweep'
             AND (operations_reading.read_at IS NULL
                  OR operations_reading.read_at < operations_reading.requested_at)
        THEN operations_reading.cause
        ELSE EXCLUDED.cause END,
    is_gone = false,
    next_try_at = CASE
        WHEN operations_reading.lease_until > %s THEN operations_reading.next_try_at
        WHEN operations_reading.cause = 'webhook' AND EXCLUDED.cause = 'webhook' THEN
            LEAST(operations_reading.next_try_at,
                  GREATEST(EXCLUDED.next_try_at,
                           operations_reading.read_at + %s * interval '1 second'))
        ELSE LEAST(operations_reading.next_try_at, EXCLUDED.next_try_at) END
RETURNING id, resource_id, next_try_at
"""

# Until the next look at what was not found, though something newer is known of it, or it was made
# a moment ago.
CONTRADICTED = timedelta(seconds=30)

# A wish that came while the thing was being read makes it due again. Of a reading whose lease has
# passed to another worker, only the time counts: that one knows better when it is next due.
_ENDED = ("read_at", "requested_at", "cause", "next_try_at", "is_gone")
_END = """
UPDATE operations_reading SET
    read_at = GREATEST(read_at, started.at),
    next_try_at = CASE
        WHEN lease_id IS DISTINCT FROM ours.lease THEN next_try_at
        WHEN requested_at <= GREATEST(read_at, started.at) THEN later.at
        WHEN cause = %s THEN %s + %s * interval '1 second'
        ELSE %s END,
    attempts = CASE WHEN lease_id IS DISTINCT FROM ours.lease THEN attempts ELSE 0 END,
    last_error = CASE WHEN lease_id IS DISTINCT FROM ours.lease THEN last_error ELSE '' END,
    lease_until = CASE WHEN lease_id IS DISTINCT FROM ours.lease THEN lease_until END,
    lease_id = CASE WHEN lease_id IS DISTINCT FROM ours.lease THEN lease_id END
FROM (VALUES (%s::timestamptz)) AS started(at), (VALUES (%s::timestamptz)) AS later(at),
    (VALUES (%s::uuid)) AS ours(lease)
WHERE id = %s
RETURNING read_at, requested_at, cause, next_try_at, is_gone
"""

_IS_WAITED_FOR = ~Q(cause=SWEEP) & (Q(read_at=None) | Q(read_at__lt=F("requested_at")))


class Reader(ABC):
    """How one kind of thing is read and stored. Subclass and `register`."""

    kind: ClassVar[str]

    @abstractmethod
    def read(self, reading: Reading, started_at: datetime) -> timedelta | None:
        """Read the thing and store it; return when to look again, None for never by itself.

        Raises SinchError when it could not be read.
        """


_readers: dict[str, Reader] = {}
_after: list[Callable[[Reading, datetime], None]] = []


def register(reader: Reader) -> None:
    """Make a kind of thing known; called when the app of that kind starts."""
    _readers[reader.kind] = reader


def after_reading(call: Callable[[Reading, datetime], None]) -> None:
    """Have a function called, in the transaction that ends a reading, with the time it left."""
    if call not in _after:
        _after.append(call)


def want(
    project: SinchProject | int, kind: str, wishes: dict[str, datetime], cause: str
) -> dict[str, int]:
    """Ask for readings newer than the given moments; one statement for any number of them.

    `wishes` maps resource ids to the moment a reading must not be older than. Returns the keys of
    the Reading rows by resource id. Rings after commit.
    """
    if not wishes:
        return {}
    now = timezone.now()
    project_pk = project if isinstance(project, int) else project.pk
    with connection.cursor() as cursor:
        cursor.execute(
            _WISH,
            [
                project_pk,
                kind,
                cause,
                now,
                list(wishes),
                list(wishes.values()),
                now,
                CALM,
            ],
        )
        rows = cursor.fetchall()
    doorbell.ring_on_commit(doorbell.READINGS)
    if any(now < due <= now + timedelta(seconds=CALM) for _, _, due in rows):
        doorbell.ring_on_commit(doorbell.READINGS, after=CALM)
    return {resource_id: pk for pk, resource_id, _ in rows}


def want_one(project: SinchProject | int, kind: str, resource_id: str, cause: str) -> int:
    """Ask for one reading from now on; return the key of its row."""
    return want(project, kind, {resource_id: timezone.now()}, cause)[resource_id]


def take_up(project: SinchProject) -> None:
    """Have what is read of a project by itself read now; rings after commit.

    It was out of use, and what Sinch told meanwhile was turned away.
    """
    now = timezone.now()
    Reading.objects.filter(project=project, next_try_at__gt=now, lease_id=None).update(
        next_try_at=now
    )
    doorbell.ring_on_commit(doorbell.READINGS)


@cache
def _queues() -> tuple[QuerySet[Reading], QuerySet[Reading]]:
    rows = Reading.objects.select_related("project").defer("project__key_secret")
    return rows.filter(_IS_WAITED_FOR), rows


def run_one() -> bool:
    """Claim one due reading and do it; False when none was due.

    What a webhook or a person waits for goes before what a sweep has found, however much that is.
    """
    claimed = Reading.claim(*_queues(), limit=1, seconds=LEASE_SECONDS)
    with held(claimed):
        for reading in claimed:
            _read(reading)
    return bool(claimed)


def _read(reading: Reading) -> None:
    started_at = timezone.now()
    if not reading.project.is_active:
        # Nothing is lost: whoever takes the project up again has everything read.
        reading.let_go(next_try_at=started_at + OUT_OF_USE, attempts=0)
        return
    if reading.fulfils(reading.requested_at):
        reading.cause = SWEEP  # nobody asked since the last one: due by itself
    try:
        again = _readers[reading.kind].read(reading, started_at)
        finish(reading, started_at, again)
    except SinchError as error:
        reading.try_later(error.question_message, error.retry_after or None)
    except Exception as error:
        log.exception("Reading %s %s failed here", reading.kind, reading.resource_id)
        reading.try_later(type(error).__name__)


def finish(reading: Reading, started_at: datetime, again: timedelta | None) -> None:
    """End a reading that left at `started_at`; due again at once if a wish came meanwhile."""
    now = timezone.now()
    later = None if again is None else now + again
    with reading.all_or_nothing():
        with connection.cursor() as cursor:
            about = [started_at, later, reading.lease_id, reading.pk]
            cursor.execute(_END, [WEBHOOK, now, CALM, now, *about])
            row = cursor.fetchone()
        if row is None:
            return  # its project was removed meanwhile
        for name, value in zip(_ENDED, row, strict=True):
            setattr(reading, name, value)
        for call in _after:
            call(reading, reading.read_at or started_at)
        if not reading.fulfils(reading.requested_at):
            pause = CALM if reading.cause == WEBHOOK else 0.0
            doorbell.ring_on_commit(doorbell.READINGS, after=pause)


def is_too_early(reading: Reading, mirrored: QuerySet[Any]) -> bool:
    """Tell whether a 404 is no word yet: on the first look at what the mirror holds already.

    It was made a moment ago, and Sinch may take a moment to show it. `mirrored` is its row. What a
    sweep looks for has left a list of Sinch's.
    """
    return reading.read_at is None and reading.cause != SWEEP and mirrored.exists()


def note_gone(reading: Reading) -> None:
    """Note that Sinch does not know the thing; a reader without its lease has no say in it."""
    Reading.objects.filter(pk=reading.pk, lease_id=reading.lease_id).update(is_gone=True)


def count_missed(reading: Reading) -> None:
    """Count a change that a sweep found and no delivery had announced."""
    update(reading, {"missed_webhooks": Made(ONE_MORE)})


def missed_webhooks() -> int:
    """Return how many changes readings have found since the desk began that nothing announced."""
    missed = Reading.objects.filter(missed_webhooks__gt=0).aggregate(sum=Sum("missed_webhooks"))
    return missed["sum"] or 0


def unanswered() -> QuerySet[Reading]:
    """Return the readings that were tried several times in vain; `last_error` says why."""
    tried = Reading.objects.filter(next_try_at__isnull=False, attempts__gte=TRIES_UNTIL_SILENT)
    return tried.exclude(last_error="")


def readers() -> dict[str, Any]:
    """Return all readers by kind."""
    return dict(_readers)
