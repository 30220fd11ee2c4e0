"""Token and pace shared by all processes through Redis, with this process alone as the fallback."""

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import redis
from cryptography.fernet import InvalidToken

from portal.sinch.parts import MemoryTokenStore, RateLimitExceeded

log = logging.getLogger(__name__)
_jitter = random.SystemRandom().uniform

OPEN_SECONDS = 5.0
MAX_WAIT = 10.0  # seconds a request waits for its place before it is turned away


class Cipher(Protocol):
    """Encrypts what lies in Redis; `cryptography.fernet.MultiFernet` is one."""

    def encrypt(self, msg: bytes, /) -> bytes:
        """Return the bytes encrypted."""

    def decrypt(self, msg: bytes, /) -> bytes:
        """Return the bytes decrypted; raises Fernet's InvalidToken for bytes of another key."""


class Breaker:
    """Leaves what does not answer alone for a while, so that it costs one time-out and not many.

    It opens after `patience` failures in a row; after a pause one caller tries and the others
    keep away until that one was answered. `who` is for the log.
    """

    def __init__(
        self,
        open_seconds: float = OPEN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        patience: int = 1,
        who: str = "Redis",
    ) -> None:
        self._open_seconds = open_seconds
        self._clock = clock
        self._patience = patience
        self._who = who
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until = 0.0
        self._is_open = False

    def allows(self) -> bool:
        """Whether to ask now."""
        if not self._is_open:
            return True
        with self._lock:
            now = self._clock()
            if now < self._open_until:
                return False
            self._open_until = now + self._open_seconds
            return True

    @property
    def seconds_left(self) -> float:
        """How long nothing is let through; 0.0 when something is."""
        return max(0.0, self._open_until - self._clock()) if self._is_open else 0.0

    def failed(self) -> None:
        """Note that no answer came."""
        with self._lock:
            self._failures += 1
            if self._failures < self._patience:
                return
            if not self._is_open:
                log.warning("%s does not answer; this process leaves it alone for now", self._who)
            self._is_open = True
            self._open_until = self._clock() + self._open_seconds

    def worked(self) -> None:
        """Note that an answer came."""
        self._failures = 0
        self._is_open = False


def _answer(breaker: Breaker, question: Callable[[], Any]) -> Any:
    """Return what Redis answers; None while it is away."""
    if not breaker.allows():
        return None
    try:
        answer = question()
    except (redis.RedisError, OSError):
        breaker.failed()
        return None
    breaker.worked()
    return answer


class RedisTokenStore:
    """Access tokens all processes share, encrypted in Redis.

    Without a cipher, and while Redis is away, tokens stay in this process.
    """

    def __init__(
        self,
        client: Any,
        cipher: Cipher | None = None,
        prefix: str = "sinch:token:",
        breaker: Breaker | None = None,
    ) -> None:
        self._client = client
        self._cipher = cipher
        self._prefix = prefix
        self._breaker = breaker or Breaker()
        self._own = MemoryTokenStore()

    def get(self, key: str) -> str | None:
        """Return the token, or None when there is none or it has ended."""
        stored = self._ask(lambda: self._client.get(self._prefix + key))
        return self._decrypted(stored) or self._own.get(key)

    def set(self, key: str, token: str, seconds: float) -> None:
        """Keep a token for that long."""
        if self._cipher is not None:
            sealed = self._cipher.encrypt(token.encode())
            milliseconds = max(1, int(seconds * 1000))
            if self._ask(lambda: self._client.set(self._prefix + key, sealed, px=milliseconds)):
                self._own.delete(key)
                return
        self._own.set(key, token, seconds)

    def delete(self, key: str) -> None:
        """Forget a token."""
        self._own.delete(key)
        self._ask(lambda: self._client.delete(self._prefix + key))

    def seconds_left(self, key: str) -> float | None:
        """Return how long a token is kept yet; None when there is none."""
        left = self._ask(lambda: self._client.pttl(self._prefix + key))
        return left / 1000 if left and left > 0 else self._own.seconds_left(key)

    def _ask(self, question: Callable[[], Any]) -> Any:
        return None if self._cipher is None else _answer(self._breaker, question)

    def _decrypted(self, stored: bytes | str | None) -> str | None:
        if stored is None or self._cipher is None:
            return None
        try:
            sealed = stored.encode() if isinstance(stored, str) else stored
            return self._cipher.decrypt(sealed).decode()
        except (InvalidToken, ValueError):
            # Encrypted with a key we do not have (any more), or not by us: a new token is cheap.
            return None


# Reserves one place in the bucket and returns the milliseconds until it may be used, or the
# negative of them when that is beyond what the caller waits (nothing is reserved then). Time is
# Redis's own, so that machines need not agree on it. `next` is when the bucket would be full
# again; a pause empties it, so that the workers it held back do not all leave together. Nobody
# reserves a place further ahead than he waits: one that is was noted by a clock set back since.
_RESERVE = """
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local spacing, burst, patience = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local start = now
local filled = tonumber(redis.call('GET', KEYS[1]) or '0')
if filled > now + patience + burst * spacing + 1000 then filled = 0 end
local paused = redis.call('PTTL', KEYS[2])
if paused > 0 then
  start = now + paused
  filled = math.max(filled, start + (burst - 1) * spacing)
end
filled = math.max(filled, start) + spacing
local wait = math.max(start, filled - burst * spacing) - now
if wait > patience then return -math.ceil(wait) end
redis.call('SET', KEYS[1], tostring(filled), 'PX', math.ceil(filled - now) + 1000)
return math.ceil(wait)
"""

# Never shortens a pause that is already longer.
_PAUSE = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
end
return 1
"""


class LocalTokenBucket:
    """The pace of this process alone: `rate` requests a second, `burst` of them at once."""

    def __init__(
        self,
        rate: float,
        burst: float | None = None,
        max_wait: float = MAX_WAIT,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._spacing, self._burst = _checked(rate, burst)
        self._max_wait = max_wait
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._filled: dict[str, float] = {}
        self._paused_until: dict[str, float] = {}

    def acquire(self, key: str) -> None:
        """Return when a request may leave; raises RateLimitExceeded when that is too far off."""
        wait, waited = self._reserve(key), 0.0
        while wait > 0:
            # A pause that begins meanwhile may be an hour long.
            if waited + wait > self._max_wait:
                raise RateLimitExceeded(wait)
            self._sleep(wait)
            waited += wait
            wait = self.paused_for(key)

    def pause(self, key: str, seconds: float) -> None:
        """Let no request leave for that long."""
        with self._lock:
            until = self._clock() + seconds
            self._paused_until[key] = max(self._paused_until.get(key, 0.0), until)

    def paused_for(self, key: str) -> float:
        """Return the seconds until the pause ends, 0 when there is none."""
        return max(0.0, self._paused_until.get(key, 0.0) - self._clock())

    def _reserve(self, key: str) -> float:
        with self._lock:
            now = self._clock()
            filled = self._filled.get(key, 0.0)
            start = max(now, self._paused_until.get(key, 0.0))
            if start > now:
                filled = max(filled, start + (self._burst - 1) * self._spacing)
            filled = max(filled, start) + self._spacing
            wait = max(start, filled - self._burst * self._spacing) - now
            if wait > self._max_wait:
                raise RateLimitExceeded(wait)
            self._filled[key] = filled
            return wait


class RedisTokenBucket:
    """One pace for all processes: `rate` requests a second for each key, `burst` at once.

    A pause set by one worker is kept by all. While Redis is away each process keeps the pace by
    itself. Waits are seconds; one longer than `max_wait` is refused rather than slept through.
    """

    def __init__(
        self,
        client: Any,
        rate: float,
        burst: float | None = None,
        max_wait: float = MAX_WAIT,
        prefix: str = "sinch:pace:",
        breaker: Breaker | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._spacing, self._burst = _checked(rate, burst)
        self._client = client
        self._max_wait = max_wait
        self._prefix = prefix
        self._breaker = breaker or Breaker()
        self._sleep = sleep
        self._own = LocalTokenBucket(rate, burst, max_wait, sleep=sleep)
        self._reserve_script = client.register_script(_RESERVE)
        self._pause_script = client.register_script(_PAUSE)

    def acquire(self, key: str) -> None:
        """Return when a request may leave; raises RateLimitExceeded when that is too far off."""
        answer = self._ask(
            lambda: self._reserve_script(
                keys=[self._bucket(key), self._pause_key(key)],
                args=[
                    self._spacing * 1000,
                    self._burst,
                    math.floor(self._max_wait * 1000),
                ],
            )
        )
        if answer is None:
            self._own.acquire(key)
            return
        if answer < 0:
            raise RateLimitExceeded(-answer / 1000)
        # A pause noted while Redis was away holds for this process all the same.
        wait = max(answer / 1000, self._own.paused_for(key))
        waited = 0.0
        while wait > 0:
            if waited + wait > self._max_wait:
                raise RateLimitExceeded(wait)
            self._sleep(wait)
            waited += wait
            # A pause may have begun meanwhile; those it held back come out one by one.
            if wait := self._paused_for(key):
                wait += _jitter(0, self._spacing)

    def pause(self, key: str, seconds: float) -> None:
        """Let no request of any process leave for that long."""
        self._own.pause(key, seconds)
        milliseconds = math.ceil(seconds * 1000)
        if milliseconds > 0:
            self._ask(lambda: self._pause_script(keys=[self._pause_key(key)], args=[milliseconds]))

    def _paused_for(self, key: str) -> float:
        left = self._ask(lambda: self._client.pttl(self._pause_key(key)))
        return max(0.0, (left or 0) / 1000, self._own.paused_for(key))

    # The braces keep both keys of a project on one node of a Redis cluster.
    def _bucket(self, key: str) -> str:
        return f"{self._prefix}{{{key}}}"

    def _pause_key(self, key: str) -> str:
        return f"{self._prefix}{{{key}}}:pause"

    def _ask(self, question: Callable[[], Any]) -> Any:
        return _answer(self._breaker, question)


def _checked(rate: float, burst: float | None) -> tuple[float, float]:
    """Return seconds between requests, and the burst (one second's worth unless stated)."""
    if rate <= 0 or (burst is not None and burst < 1):
        raise ValueError("rate must be above 0 and burst at least 1")
    return 1 / rate, max(1.0, rate if burst is None else burst)
