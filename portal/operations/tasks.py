"""Doorbells for operations and readings: each looks for due rows until there are none.

Rung after a commit and by beat every few seconds. Any number of them may run side by side; the
lease keeps two workers off one row.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from celery import shared_task
from celery.signals import celeryd_after_setup, worker_shutting_down

from portal.database.base import soon_on_disk
from portal.operations import doorbell, readings, retention, runner

LONGEST_RUN = 20.0  # seconds; then another message goes on, so that no task runs for ever
_stopping = threading.Event()
# A sweep of thousands of orders must leave threads for webhooks, and no long line of readings
# before our own speed limit.
_readers = threading.BoundedSemaphore(8)


@celeryd_after_setup.connect
def read_with_half(instance: Any, **_: Any) -> None:
    """Let no more than half of a worker's threads read at the same time."""
    global _readers
    _readers = threading.BoundedSemaphore(readers_of(instance.concurrency))


def readers_of(threads: int) -> int:
    """Return how many threads of a worker with so many may read at the same time."""
    return max(1, threads // 2)


@worker_shutting_down.connect
def stop_soon(**_: Any) -> None:
    """Finish the row in hand and begin no other: who is told to stop leaves the rest to others."""
    _stopping.set()


def work_through(run_one: Callable[[], bool], task: str) -> int:
    """Call `run_one` until it finds nothing; return how often it found something.

    With the first row found one more message is sent, so that a heap of rows wakes as many
    threads as there are and a single row wakes one too many.
    """
    done, until = 0, time.monotonic() + LONGEST_RUN
    while not _stopping.is_set() and run_one():
        done += 1
        if done == 1:
            doorbell.ring(task)
        if time.monotonic() > until:
            doorbell.ring(task)
            break
    return done


def until_nothing(some: Callable[[], int]) -> int:
    """Call `some` until it has nothing to do or time is up; return how much it did in all."""
    done, until = 0, time.monotonic() + LONGEST_RUN
    while found := some():
        done += found
        if time.monotonic() > until:
            break
    return done


@shared_task
def run_operations() -> int:
    """Carry out due operations. Safe to run twice; nothing due is no error."""
    return work_through(runner.run_one, doorbell.OPERATIONS)


@shared_task
def run_readings() -> int:
    """Do due readings. Safe to run twice; nothing due is no error."""
    places = _readers
    if not places.acquire(blocking=False):
        return 0  # those at it go on until nothing is due
    try:
        with soon_on_disk():
            return work_through(readings.run_one, doorbell.READINGS)
    finally:
        places.release()


@shared_task
def beat() -> None:
    """Do nothing: that it ran tells that beat and a worker are alive."""


@shared_task
def purge() -> int:
    """Delete old rows in batches; return how many. What is left is due at the next beat."""
    with soon_on_disk():
        return until_nothing(retention.purge_some)
