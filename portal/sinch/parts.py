"""What a transport works with: where tokens are kept, who sets the pace, how a call is told."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class TokenStore(Protocol):
    """Keeps access tokens, for one process or for many."""

    def get(self, key: str) -> str | None:
        """Return the token, or None when there is none or it has ended."""

    def set(self, key: str, token: str, seconds: float) -> None:
        """Keep a token for that long."""

    def delete(self, key: str) -> None:
        """Forget a token."""

    def seconds_left(self, key: str) -> float | None:
        """Return how long a token is kept yet; None when there is none."""


class RateLimiter(Protocol):
    """Says when the next request may leave."""

    def acquire(self, key: str) -> None:
        """Return when a request may leave; raises RateLimitExceeded when that is too far off."""

    def pause(self, key: str, seconds: float) -> None:
        """Let no request leave for that long."""


class CircuitBreaker(Protocol):
    """Says whether to try at all, from how the last calls went."""

    def allows(self) -> bool:
        """Whether a request may leave now."""

    def failed(self) -> None:
        """Note that no answer came."""

    def worked(self) -> None:
        """Note that an answer came."""

    @property
    def seconds_left(self) -> float:
        """How long nothing is let through."""


class RateLimitExceeded(Exception):
    """The next free place is further away than the limiter waits; `retry_after` in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"no place for another {retry_after:.1f} s")
        self.retry_after = retry_after


class MemoryTokenStore:
    """Tokens of this process only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tokens: dict[str, tuple[str, float]] = {}

    def get(self, key: str) -> str | None:
        """Return the token, or None when there is none or it has ended."""
        token, end = self._tokens.get(key, ("", 0.0))
        return token if token and self._clock() < end else None

    def set(self, key: str, token: str, seconds: float) -> None:
        """Keep a token for that long."""
        self._tokens[key] = (token, self._clock() + seconds)

    def delete(self, key: str) -> None:
        """Forget a token."""
        self._tokens.pop(key, None)

    def seconds_left(self, key: str) -> float | None:
        """Return how long a token is kept yet; None when there is none."""
        token, end = self._tokens.get(key, ("", 0.0))
        left = end - self._clock()
        return left if token and left > 0 else None


class UnlimitedLimiter:
    """Lets every request leave at once; the transport still waits before its own retries."""

    def acquire(self, key: str) -> None:
        """Return at once."""

    def pause(self, key: str, seconds: float) -> None:
        """Do nothing."""


class _Flight(threading.local):
    """Until when a write of this thread may leave, in seconds of the clock on the wall.

    That clock goes on while a machine sleeps, and its process with it.
    """

    ends_at: float = math.inf


_flight = _Flight()


@contextmanager
def flying_until(moment: datetime) -> Iterator[None]:
    """Let no write of this thread leave after a moment: others may have sent it again by then."""
    before, _flight.ends_at = _flight.ends_at, moment.timestamp()
    try:
        yield
    finally:
        _flight.ends_at = before


def flight_is_over() -> bool:
    """Tell whether a write of this thread comes too late to leave."""
    return time.time() > _flight.ends_at


@dataclass(frozen=True)
class CallRecord:
    """One HTTP exchange, for logs: no query, no body, no secret.

    `status` is None when no answer came; `error` says in a few words why it did not count.
    """

    method: str
    path: str
    status: int | None
    seconds: float
    error: str | None
