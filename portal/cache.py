"""The cache, patient with a Redis that is away: a miss instead of an error, and no waiting."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

from portal.sinch.shared import Breaker

PAUSE_SECONDS = 5.0


class PatientRedisCache(RedisCache):
    """Django's Redis cache behind a circuit breaker.

    After a failed call Redis is left alone for PAUSE_SECONDS in this process, so that a dead
    server costs one time-out and not one for each request. What was to be changed meanwhile is
    deleted when it is back: it may hold what was before, such as the session of somebody who has
    signed out.
    """

    _breaker = Breaker(PAUSE_SECONDS)
    _outdated: ClassVar[set[Any]] = set()

    def _guarded(
        self, method: str, fallback: Any, *args: Any, changes: Iterable[Any] = (), **kwargs: Any
    ) -> Any:
        if not self._breaker.allows():
            self._outdated.update(changes)
            return fallback
        outdated = list(self._outdated)
        self._outdated.difference_update(outdated)
        try:
            if outdated:
                super().delete_many(outdated)
            answer = getattr(super(), method)(*args, **kwargs)
        except (RedisError, OSError):
            self._outdated.update(outdated, changes)
            self._breaker.failed()
            return fallback
        self._breaker.worked()
        return answer

    def add(self, *args: Any, **kwargs: Any) -> Any:
        """Add a value; True when Redis is away, as a lock that cannot be asked is not held."""
        return self._guarded("add", True, *args, **kwargs)

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        """Return the value, or the default when it is not there or Redis is away."""
        return self._guarded("get", default, key, default, version)

    def set(self, key: Any, *args: Any, **kwargs: Any) -> Any:
        """Set a value, if Redis is there."""
        return self._guarded("set", None, key, *args, changes=[key], **kwargs)

    def touch(self, *args: Any, **kwargs: Any) -> Any:
        """Prolong a key, if Redis is there."""
        return self._guarded("touch", False, *args, **kwargs)

    def delete(self, key: Any, *args: Any, **kwargs: Any) -> Any:
        """Delete a key, if Redis is there."""
        return self._guarded("delete", False, key, *args, changes=[key], **kwargs)

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        """Return the values that are there."""
        return self._guarded("get_many", {}, *args, **kwargs)

    def set_many(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        """Set several values, if Redis is there."""
        return self._guarded("set_many", [], data, *args, changes=list(data), **kwargs)

    def delete_many(self, keys: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        """Delete several keys, if Redis is there."""
        keys = list(keys)
        return self._guarded("delete_many", None, keys, *args, changes=keys, **kwargs)

    def incr(self, key: Any, delta: int = 1, version: Any = None) -> Any:
        """Count up; the delta itself when Redis is away."""
        return self._guarded("incr", delta, key, delta, version)

    def has_key(self, key: Any, version: Any = None) -> Any:
        """Tell whether the key is there; no when Redis is away."""
        return self._guarded("has_key", False, key, version)
