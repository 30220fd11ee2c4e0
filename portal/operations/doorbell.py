"""The doorbell: a word to the workers that something may be due.

Ringing costs a request nothing. A thread of this process sends at most one message for each task
every SPACING seconds, however often it is rung, and leaves a broker that does not answer alone for
a while. A message that is never sent costs the time until the next sweep, and no work.
"""

import logging
import threading
import time
from functools import partial

from django.db import transaction

from portal.celery import app

log = logging.getLogger(__name__)

SPACING = 0.08  # seconds between two messages for one task
PAUSE = 3.0  # seconds without trying after the broker failed

OPERATIONS = "portal.operations.tasks.run_operations"
READINGS = "portal.operations.tasks.run_readings"
DELIVERIES = "webhooks.tasks.process_deliveries"

# Task, and a SPACING of time → the moment in it (monotonic clock) its message is to be sent.
_wanted: dict[tuple[str, int], float] = {}
_wake = threading.Condition()
_ringer: threading.Thread | None = None


def ring(task: str, after: float = 0.0) -> None:
    """Ask the workers to look for due rows of this task, `after` seconds from now; never waits."""
    global _ringer
    due = time.monotonic() + after
    with _wake:
        key = (task, int(due / SPACING))
        _wanted[key] = min(due, _wanted.get(key, due))
        if _ringer is None or not _ringer.is_alive():
            _ringer = threading.Thread(target=_ring_for_ever, name="doorbell", daemon=True)
            _ringer.start()
        _wake.notify()


def ring_on_commit(task: str, after: float = 0.0) -> None:
    """Ring once the present transaction is on disk; at once when there is none."""
    transaction.on_commit(partial(ring, task, after))


def _ring_for_ever() -> None:
    while True:
        with _wake:
            while not (due := _due()):
                _wake.wait(min(_wanted.values()) - time.monotonic() if _wanted else None)
            for key in due:
                del _wanted[key]
        try:
            for task in sorted({task for task, _ in due}):
                app.send_task(task, ignore_result=True, expires=60)
        except Exception as error:  # whatever the broker's client raises, the sweep will do it
            log.warning(
                "The doorbell does not ring (%s); the sweep takes over.",
                type(error).__name__,
            )
            time.sleep(PAUSE)
        else:
            time.sleep(SPACING)


def _due() -> list[tuple[str, int]]:
    now = time.monotonic()
    return [key for key, due in _wanted.items() if due <= now]
