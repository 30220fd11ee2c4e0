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

_NOTE = """
INSERT INTO operations_loop (name, ran_at) VALUES (%s, %s)
ON CONFLICT (name) DO UPDATE SET ran_at = GREATEST(operations_loop.ran_at, EXCLUDED.ran_at)
"""


def names() -> dict[str, float]:
    """Return the tasks of the beat schedule and after how many seconds each is overdue."""
    entries: Iterable[Mapping[str, Any]] = settings.CELERY_BEAT_SCHEDULE.values()
    return {e["task"]: max(LEAST, float(e["schedule"]) * ROUNDS_MISSED) for e in entries}


def note(task: str, at: datetime | None = None) -> None:
    """Note that a loop has gone round."""
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, [task, at or timezone.now()])


def last_rounds() -> dict[str, datetime | None]:
    """Return when each loop last went round; None for one that never did."""
    found = dict(Loop.objects.values_list("name", "ran_at"))
    return {name: found.get(name) for name in names()}


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
