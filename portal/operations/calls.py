"""The log of calls to Sinch: kept in memory for a second, then written together.

A call costs its worker nothing but an entry in a list. What is not written when a process dies is
lost; it is a log, and no row of work hangs on it.
"""

import atexit
import logging
import re
import threading
from collections import deque
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Count, Max, Min, Q
from django.utils import timezone

from portal.operations.models import SinchCall
from portal.sinch.parts import CallRecord

log = logging.getLogger(__name__)

EVERY = 1.0  # seconds between two writes
MOST_KEPT = 5000  # calls in memory; while the database is away the oldest are given up
# Ids of things stand behind a slash and have a digit; names of resources have none.
_ID = re.compile(r"(?<=/)[^/:]*[0-9][^/:]*")

_kept: deque[SinchCall] = deque(maxlen=MOST_KEPT)
_wake = threading.Event()
_lock = threading.Lock()
_writer: threading.Thread | None = None


def note(project: int, call: CallRecord) -> None:
    """Take a call into the log; never waits and never fails."""
    global _writer
    if not settings.CALL_LOG_DAYS:
        return
    _kept.append(
        SinchCall(
            project_id=project,
            at=timezone.now(),
            method=call.method[:8],
            path=_ID.sub("…", call.path)[:120],
            status=call.status,
            milliseconds=min(round(call.seconds * 1000), 2_000_000_000),
            error=_in_words(call.error or "")[:200],
        )
    )
    if _writer is None or not _writer.is_alive():
        with _lock:
            if _writer is None or not _writer.is_alive():
                _writer = threading.Thread(target=_write_for_ever, name="call log", daemon=True)
                _writer.start()
                atexit.register(flush)
    _wake.set()


def _in_words(error: str) -> str:
    """Return "Not found" for "SinchNotFound", and "Unavailable, no connection" likewise."""
    kind, _, reason = error.partition(" ")
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.removeprefix("Sinch")).capitalize()
    return ", ".join(filter(None, (words, reason)))


def flush() -> int:
    """Write what is kept; return how many calls. What cannot be written is given up."""
    rows = []
    while _kept:
        rows.append(_kept.popleft())
    if not rows:
        return 0
    try:
        SinchCall.objects.bulk_create(rows, batch_size=1000)
    except DatabaseError as error:
        log.warning("%s calls could not be logged (%s)", len(rows), type(error).__name__)
        return 0
    return len(rows)


def _write_for_ever() -> None:
    pause = threading.Event()
    while True:
        _wake.wait()
        pause.wait(EVERY)
        _wake.clear()
        try:
            flush()
        except Exception:
            log.exception("The log of calls failed here")
        finally:
            connection.close()


_FAILED = Q(status=None) | Q(status__gte=500)


def figures(since: datetime) -> dict[str, Any]:
    """Return how many calls there were since then, how many failed, and how many were 429.

    With the moment of the last one that Sinch answered, None for none.
    """
    return SinchCall.objects.filter(at__gte=since).aggregate(
        calls=Count("pk"),
        failed=Count("pk", filter=_FAILED),
        slowed=Count("pk", filter=Q(status=429)),
        answered_at=Max("at", filter=~_FAILED),
    )


def in_vain(since: datetime) -> dict[str, Any]:
    """Return how many calls have failed after this moment, and when the first of them did."""
    failed = SinchCall.objects.filter(_FAILED, at__gt=since)
    return failed.aggregate(count=Count("pk"), first=Min("at"))


def troubles(limit: int = 20) -> list[Any]:
    """Return the last calls of a day that did not go well, newest first."""
    wrong = Q(status=None) | Q(status__gte=400)
    rows = SinchCall.objects.filter(wrong, at__gte=timezone.now() - timedelta(days=1))
    return list(rows.select_related("project").defer("project__key_secret").order_by("-at")[:limit])
