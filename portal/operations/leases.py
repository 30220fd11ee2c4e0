"""Rows that are a queue: claimed with a lease, worked on outside any transaction, then let go.

Operations, readings and deliveries are such rows. Redis and Celery only say that something may
be due; what is due is told by `next_try_at`, so a lost message costs the time until the sweep.
A lease is short, so that a dead worker's rows are soon taken up by another, and renewed for as
long as its worker lives, so that slow work is not begun twice.
"""

import logging
import random
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Self
from weakref import WeakKeyDictionary

from django.db import DatabaseError, connection, models, transaction
from django.utils import timezone

from portal.prepared import A_MOMENT, Prepared

log = logging.getLogger(__name__)

LEASE_SECONDS = 12.0  # how long a dead worker's rows lie still
RENEWED_EVERY = 4.0  # seconds
FIRST_PAUSE = 2.0  # seconds
LONGEST_PAUSE = 300.0  # seconds
# Whatever a server asks for: coming back sooner costs one request, and one that says "in a year"
# must not take a row out of everybody's sight.
LONGEST_WAIT = 3600.0  # seconds
# What the column holds. A row that fails for months must not stop the queue by growing beyond.
MOST_ATTEMPTS = 32767


# Found, locked and leased in one statement, which is a transaction by itself.
_CLAIM = """
WITH due ({{columns}}) AS MATERIALIZED ({{text}}), leased AS (
    UPDATE {table} SET lease_id = %s, lease_until = %s, next_try_at = %s,
        attempts = LEAST(attempts, %s) + 1
    FROM due WHERE {table}.id = due.{{key}}
)
SELECT * FROM due
"""
# By the first query set of a claim: its limit and the others → the statement.
_statements: "WeakKeyDictionary[models.QuerySet[Any], dict[Any, Prepared]]" = WeakKeyDictionary()


def _claim_of(queues: "tuple[models.QuerySet[Any], ...]", limit: int) -> Prepared:
    """Return the statement that leases the oldest due rows, kept as long as its query set.

    It gives them as they were before.
    """
    kept, key = _statements.setdefault(queues[0], {}), (limit, *queues[1:])
    if key not in kept:
        bare = [rows.all() for rows in queues]  # the statement must not keep its own key alive
        kept[key] = Prepared(
            lambda moment: tuple(
                rows.filter(next_try_at__lte=moment)
                .order_by("next_try_at")
                .select_for_update(skip_locked=True, of=("self",), no_key=True)[:limit]
                for rows in bare
            ),
            A_MOMENT,
            within=_CLAIM.format(table=queues[0].model._meta.db_table),
        )
    return kept[key]


def pause_after(attempts: int) -> float:
    """Return the seconds to wait after so many attempts: doubling, capped, with jitter."""
    pause = min(FIRST_PAUSE * 2 ** max(attempts - 1, 0), LONGEST_PAUSE)
    return pause * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret


class LeasedRow(models.Model):
    """A row with work to be done on it.

    `next_try_at` is when somebody may next claim it; None means that nothing is left to do.
    A claim moves it to the end of the lease, so a worker that dies gives the row back by itself.
    """

    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    next_try_at = models.DateTimeField(null=True, blank=True, default=timezone.now, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    lease_id = models.UUIDField(null=True, blank=True, editable=False)
    last_error = models.CharField(max_length=500, blank=True, editable=False)

    class Meta:
        abstract = True

    @classmethod
    def claim(cls, *queues: models.QuerySet[Self], limit: int, seconds: float) -> list[Self]:
        """Claim up to `limit` due rows of the query set for `seconds`; nobody else gets them.

        Returns them oldest first, each with its new `lease_id` and `attempts`. Of several query
        sets the first that has a due row gives one (`limit` must be 1). Who claims again and
        again passes the same query sets: their SQL is put together once.
        """
        assert limit == 1 or len(queues) == 1
        now = timezone.now()
        lease, until = uuid.uuid4(), now + timedelta(seconds=seconds)
        more = (lease, until, until, MOST_ATTEMPTS - 1)
        due: list[Self] = _claim_of(queues, limit).all(now, more=more)
        due.sort(key=lambda row: row.next_try_at or now)
        for row in due:
            row.lease_id, row.lease_until, row.next_try_at = lease, until, until
            row.attempts = min(row.attempts + 1, MOST_ATTEMPTS)
        return due

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """A transaction. When it fails the row in memory is again as on disk, and still ours.

        What is done next depends on it: a write that may have left is looked up before anything
        else.
        """
        before = vars(self).copy()
        try:
            with transaction.atomic():
                yield
        except Exception:
            vars(self).update(before)
            raise

    def let_go(self, *, next_try_at: Any = None, **values: Any) -> bool:
        """End the lease and set further columns; False when the lease has passed to another.

        `next_try_at` None means that the work is finished.
        """
        values |= {"lease_id": None, "lease_until": None, "next_try_at": next_try_at}
        mine = type(self)._base_manager.filter(pk=self.pk, lease_id=self.lease_id).update(**values)
        if mine:
            for name, value in values.items():
                setattr(self, name, value)
        return bool(mine)

    def try_later(self, error: str, seconds: float | None = None, **values: Any) -> bool:
        """End the lease and come back after `seconds`, else after a pause that grows."""
        pause = pause_after(self.attempts) if seconds is None else min(seconds, LONGEST_WAIT)
        when = timezone.now() + timedelta(seconds=pause)
        return self.let_go(next_try_at=when, last_error=error[:500], **values)


# --- Keeping leases -----------------------------------------------------------------------------

# The kind of a row, its key and its lease: all rows of one claim share a lease.
Held = tuple[type[LeasedRow], Any, uuid.UUID]
_held: set[Held] = set()
_changed = threading.Condition()
_keeper: threading.Thread | None = None


@contextmanager
def held(rows: Sequence[LeasedRow]) -> Iterator[None]:
    """Keep the leases of claimed rows for as long as the block runs, from a thread beside it."""
    mine = {(type(row), row.pk, row.lease_id) for row in rows if row.lease_id is not None}
    if not mine:
        yield
        return
    global _keeper
    with _changed:
        _held.update(mine)
        if _keeper is None or not _keeper.is_alive():
            _keeper = threading.Thread(target=_keep_for_ever, name="leases", daemon=True)
            _keeper.start()
        _changed.notify()
    try:
        yield
    finally:
        with _changed:
            _held.difference_update(mine)


def _keep_for_ever() -> None:
    while True:
        with _changed:
            while not _held:
                _changed.wait()
            since = set(_held)
        time.sleep(RENEWED_EVERY)
        with _changed:
            # Those that are over, mostly all of them, cost nothing.
            due = _held & since
        if due:
            _renew(due)


def _renew(due: set[Held]) -> None:
    until = timezone.now() + timedelta(seconds=LEASE_SECONDS)
    try:
        for kind in {kind for kind, _, _ in due}:
            mine = [(pk, lease) for its_kind, pk, lease in due if its_kind is kind]
            # By their keys as well: leases have no index, and the tables may be large.
            rows = kind._base_manager.filter(
                pk__in=[pk for pk, _ in mine], lease_id__in={lease for _, lease in mine}
            )
            rows.filter(lease_until__lt=until).update(lease_until=until, next_try_at=until)
    except DatabaseError as error:
        # Without its lease a row is looked up before anything is sent again.
        log.warning("%s leases could not be renewed (%s)", len(due), type(error).__name__)
    finally:
        connection.close()
