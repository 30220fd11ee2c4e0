"""Old rows that nobody needs any more are deleted, a few at a time and without standing in the way.

Each batch is one statement of its own: it skips rows that somebody holds, and holds no lock for
longer than its own deletes take.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from portal.operations.models import SinchCall

BATCH = 1000


@dataclass(frozen=True)
class Kept:
    """What is kept for a while: its name, which rows are older than a moment, and how long."""

    name: str
    older_than: Callable[[datetime], QuerySet]
    days: Callable[[], int]


_kept: list[Kept] = []


def register(kept: Kept) -> None:
    """Have rows purged by their age; a number of days of 0 keeps them for ever."""
    if all(known.name != kept.name for known in _kept):
        _kept.append(kept)


def purge_some(batch: int = BATCH) -> int:
    """Delete one batch of each kind of old rows; return how many rows."""
    now, deleted = timezone.now(), 0
    for kept in _kept:
        if days := kept.days():
            deleted += _delete(kept.older_than(now - timedelta(days=days)), batch)
    return deleted


def _delete(rows: QuerySet, batch: int) -> int:
    """Delete up to `batch` rows in one statement; nothing refers to them, so nothing follows."""
    chosen = rows.select_for_update(skip_locked=True).values("pk")[:batch]
    meta = rows.model._meta
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        text, params = chosen.query.sql_with_params()
        # An array is chosen once. A list behind IN may be chosen again for each row of the table,
        # each time without those that were locked before, if PostgreSQL thinks that quicker.
        cursor.execute(
            f'DELETE FROM "{meta.db_table}" WHERE "{meta.pk.column}" = ANY(ARRAY({text}))',  # noqa: S608
            params,
        )
        return int(cursor.rowcount)


register(
    Kept(
        "calls to Sinch",
        lambda moment: SinchCall.objects.filter(at__lt=moment).order_by("at"),
        lambda: settings.CALL_LOG_DAYS,
    )
)
