"""The cache, patient with a Redis that is away: a miss instead of an error, and no waiting."""

from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

from portal.sinch.shared import Breaker

PAUSE_SECONDS = 5.0


class PatientRedisCache(RedisCache):
    """Django's Redis cache behind a circuit breaker.

    After a failed call Redis is left alone for PAUSE_SECONDS in this process, so that a dead
    server costs one time-out and not one for each request.
    """

    _breaker = Breaker(PAUSE_SECONDS)

    def _guarded(self, method: str, fallback: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._breaker.allows():
            return fallback
        try:
            answer = getattr(super(), method)(*args, **kwargs)
        except (RedisError, OSError):
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

    def set(self, *args: Any, **kwargs: Any) -> Any:
        """Set a value, if Redis is there."""
        return self._guarded("set", None, *args, **kwargs)

    def touch(self, *args: Any, **kwargs: Any) -> Any:
        """Prolong a key, if Redis is there."""
        return self._guarded("touch", False, *args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        """Delete a key, if Redis is there."""
        return self._guarded("delete", False, *args, **kwargs)

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        """Return the values that are there."""
        return self._guarded("get_many", {}, *args, **kwargs)

    def set_many(self, *args: Any, **kwargs: Any) -> Any:
        """Set several values, if Redis is there."""
        return self._guarded("set_many", [], *args, **kwargs)

    def delete_many(self, *args: Any, **kwargs: Any) -> Any:
        """Delete several keys, if Redis is there."""
        return self._guarded("delete_many", None, *args, **kwargs)

    def incr(self, key: Any, delta: int = 1, version: Any = None) -> Any:
        """Count up; the delta itself when Redis is away."""
        return self._guarded("incr", delta, key, delta, version)

    def has_key(self, key: Any, version: Any = None) -> Any:
        """Tell whether the key is there; no when Redis is away."""
        return self._guarded("has_key", False, key, version)
