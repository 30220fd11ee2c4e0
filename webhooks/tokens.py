"""Which webhook addresses are valid, answered from memory."""

import hashlib
import threading
import time

from django.db.models import Q
from django.utils import timezone

from portal.accounts.models import WebhookToken

VALID_SECONDS = 30.0  # how long a retired token may still be accepted by a process that knew it
UNKNOWN_SECONDS = 5.0  # how long a new token may be refused by a process that was asked too early
MOST_UNKNOWN = 1000  # refused tokens remembered at one time

# Hash of the token → project key, or None for a token nobody knows; and until when that holds.
_known: dict[tuple[str, str], tuple[int, float]] = {}
_unknown: dict[tuple[str, str], float] = {}
_lock = threading.Lock()


def project_of(token: str, kind: str = "porting") -> int | None:
    """Return the key of the project a token admits to, None for an unknown or retired one.

    No statement for a token asked about less than VALID_SECONDS ago. The token itself is never
    compared: it is found by its SHA-256, so that the time it takes tells nothing about it.
    """
    now = time.monotonic()
    key = (kind, hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest())
    found = _known.get(key)
    if found is not None and found[1] > now:
        return found[0]
    if _unknown.get(key, 0.0) > now:
        return None
    project = (
        WebhookToken.objects.filter(kind=kind, token_hash=key[1], project__is_active=True)
        .filter(Q(retired_at=None) | Q(retired_at__gt=timezone.now()))
        .order_by()
        .values_list("project_id", flat=True)
        .first()
    )
    with _lock:
        if project is not None:
            _known[key] = (project, now + VALID_SECONDS)
            _unknown.pop(key, None)
        else:
            _known.pop(key, None)
            if len(_unknown) >= MOST_UNKNOWN:
                _unknown.clear()
            _unknown[key] = now + UNKNOWN_SECONDS
    return project


def forget() -> None:
    """Drop what this process remembers, so that the next question asks the database."""
    with _lock:
        _known.clear()
        _unknown.clear()
