"""When each loop of the background work last went round, for the health page and for monitors."""

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from celery.signals import task_postrun
from django.conf import settings
from django.db import connection
from django.utils import timezone

from portal.operations.models import Loop

log = logging.getLogger(__name__)

SPACING = 2.0  # seconds between two notes of one loop by one process
# A loop may miss a few rounds; a doorbell that rings in between counts as one.
ROUNDS_MISSED = 4
LEAST = 30.0  # seconds a loop may be silent at least

_noted: dict[str, float] = {}
_lock = threading.Lock()

# No round was later than now: one noted by a clock that is ahead would hide for as long as that
# that nothing goes round any more.
_NOTE = """
INSERT INTO operations_loop (name, ran_at, ahead)
VALUES (%s, LEAST(%s, clock_timestamp()), extract(epoch FROM %s - clock_timestamp()))
ON CONFLICT (name) DO UPDATE
SET ran_at = GREATEST(LEAST(operations_loop.ran_at, clock_timestamp()), EXCLUDED.ran_at),
    ahead = EXCLUDED.ahead
"""


def names() -> dict[str, float]:
    """Return the tasks of the beat schedule and after how many seconds each is overdue."""
    entries: Iterable[Mapping[str, Any]] = settings.CELERY_BEAT_SCHEDULE.values()
    return {e["task"]: max(LEAST, float(e["schedule"]) * ROUNDS_MISSED) for e in entries}


def note(task: str, at: datetime | None = None) -> None:
    """Note that a loop has gone round, and what this machine's clock says beside the database's."""
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, [task, at or now, now])


def last_rounds() -> dict[str, datetime | None]:
    """Return when each loop last went round; None for one that never did."""
    found = dict(Loop.objects.values_list("name", "ran_at"))
    return {name: found.get(name) for name in names()}


def clocks(since: datetime) -> list[float]:
    """Return by how many seconds clocks are ahead of the database's: this machine's, workers'.

    Of the workers the one that is furthest away counts, of those that went round since a moment.
    """
    with connection.cursor() as cursor:
        asked_at = timezone.now()
        cursor.execute("SELECT clock_timestamp()")
        (there,) = cursor.fetchone()
        here = asked_at + (timezone.now() - asked_at) / 2
    rounds = Loop.objects.filter(ran_at__gte=since).values_list("ahead", flat=True)
    return [(here - there).total_seconds(), max(rounds, key=abs, default=0.0)]


@task_postrun.connect
def _after_a_task(task: Any = None, state: str = "", **_: Any) -> None:
    name = getattr(task, "name", "")
    if state != "SUCCESS" or name not in names():
        return
    now = time.monotonic()
    with _lock:
        if now - _noted.get(name, float("-inf")) < SPACING:
            return
        _noted[name] = now
    try:
        note(name)
    except Exception as error:  # a note that fails must not fail the work
        log.warning("The round of %s could not be noted (%s)", name, type(error).__name__)
