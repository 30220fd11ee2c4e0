"""How many callbacks were turned away for their signature: a count and nothing else of them."""

from datetime import timedelta

from django.core.cache import cache
from django.utils import timezone

KEPT = timedelta(days=2)


def _key(project: int, hours_ago: int = 0) -> str:
    hour = timezone.now() - timedelta(hours=hours_ago)
    return f"refused-callbacks:{project}:{hour:%Y%m%d%H}"


def count(project: int) -> None:
    """Count one more; a cache that does not answer loses a count and holds nobody up."""
    key = _key(project)
    cache.add(key, 0, KEPT.total_seconds())
    try:
        cache.incr(key)
    except ValueError:
        return  # gone between the two, or there is no cache at the moment


def last_day(projects: list[int]) -> int:
    """Return how many of these projects were turned away in the last 24 hours."""
    keys = [_key(project, hours) for project in projects for hours in range(24)]
    return sum(int(found or 0) for found in cache.get_many(keys).values())
