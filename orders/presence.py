"""Who else has an edit open. Kept in the cache only: losing it loses a hint and nothing else."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.cache import cache
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from orders.models import PortInOrder
from portal import words
from portal.accounts.models import User

# A page asks every few seconds while somebody looks at it; a hidden one rests for a while.
GONE_AFTER: Final = timedelta(seconds=90)


@dataclass(frozen=True)
class Visitor:
    """A colleague with the edit open: since when, and whether anything was typed."""

    name: str
    since: datetime
    has_typed: bool

    @property
    def said(self) -> str:
        """`Since 14:01, nothing typed yet.`"""
        typed = "has typed something" if self.has_typed else "nothing typed yet"
        return f"Since {words.clock_text(self.since)}, {typed}."


def _key(order_pk: int) -> str:
    return f"orders:editing:{order_pk}"


def note(order: PortInOrder, user: User, *, has_typed: bool = False) -> list[Visitor]:
    """Note that a person has the edit of an order open; return who else has, the first first."""
    now = timezone.now()
    found = _present(order.pk, now)
    mine = found.get(str(user.pk), {"since": now.isoformat(), "typed": False})
    found[str(user.pk)] = mine | {
        "name": user.short_name,
        "seen": now.isoformat(),
        "typed": bool(mine["typed"] or has_typed),
    }
    cache.set(_key(order.pk), found, timeout=GONE_AFTER.total_seconds())
    others = [
        Visitor(entry["name"], since, entry["typed"])
        for pk, entry in found.items()
        if pk != str(user.pk) and (since := parse_datetime(entry["since"]))
    ]
    return sorted(others, key=lambda visitor: visitor.since)


def leave(order: PortInOrder, user: User) -> None:
    """Note that a person is done with the edit."""
    found = _present(order.pk, timezone.now())
    if found.pop(str(user.pk), None):
        cache.set(_key(order.pk), found, timeout=GONE_AFTER.total_seconds())


def _present(order_pk: int, now: datetime) -> dict[str, dict[str, Any]]:
    entries = cache.get(_key(order_pk)) or {}
    limit = (now - GONE_AFTER).isoformat()
    return {pk: entry for pk, entry in entries.items() if entry["seen"] > limit}
