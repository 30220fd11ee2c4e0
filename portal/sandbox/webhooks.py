"""Sends the webhooks, one after another, from a thread of its own, and remembers them."""

import json
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests

from portal.sandbox.clock import Clock, iso_instant
from portal.sandbox.faults import Faults

LOG_LENGTH = 5000
# Bodies are kept for sending again; those of 500-number orders are big.
LOG_BODY_BYTES = 20 * 1024 * 1024


@dataclass
class Sent:
    """One webhook and what became of it.

    `outcome` is "waiting", "held", "sent" (any HTTP answer, see `statuses`), "failed" (no answer),
    "lost" (a fault swallowed it) or "no address".
    """

    id: int
    event: str
    order_id: int | str
    at: str
    body: bytes = field(repr=False)
    address: str = field(default="", repr=False)  # of its own, as hosting callbacks have
    outcome: str = "waiting"
    statuses: list[int] = field(default_factory=list)
    answered_at: str = ""  # when the last answer came, ISO 8601 in UTC
    error: str = ""

    @property
    def payload(self) -> dict[str, Any]:
        """The body as JSON, or an empty object once it was let go to save memory."""
        return json.loads(self.body) if self.body else {}

    def to_json(self) -> dict[str, Any]:
        """Return the entry without its body, which may hold PINs."""
        return {
            "id": self.id,
            "event": self.event,
            "orderId": self.order_id,
            "at": self.at,
            "outcome": self.outcome,
            "statuses": list(self.statuses),
            "answeredAt": self.answered_at,
            "error": self.error,
        }


class WebhookSender:
    """Takes events from the sandbox and posts them to the address in force, in order.

    Nothing is sent again when it fails: Sinch promises no repetition.
    Source: Porting API, "Webhooks".
    """

    def __init__(
        self,
        address: Callable[[], str | None],
        faults: Faults,
        clock: Clock,
        *,
        timeout: float = 5.0,
        random_seed: int | None = None,
    ) -> None:
        self.log: deque[Sent] = deque(maxlen=LOG_LENGTH)
        self._address = address
        self._faults = faults
        self._clock = clock
        self._timeout = timeout
        self._random = random.Random(random_seed)  # noqa: S311 - nothing secret
        self._queue: queue.SimpleQueue[Sent | None] = queue.SimpleQueue()
        self._lock = threading.Condition()
        self._unfinished = 0
        self._last_id = 0
        self._body_bytes = 0
        self._held: list[Sent] = []
        self._held_until = 0.0
        self._hold_size = 0
        self._release = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def emit(
        self, name: str, order_id: int | str, body: dict[str, Any], at: datetime, to: str = ""
    ) -> Sent:
        """Queue one event; without an address it is only remembered."""
        with self._lock:
            self._last_id += 1
            raw = json.dumps(body).encode()
            entry = Sent(self._last_id, name, order_id, iso_instant(at), raw, address=to)
            self.log.append(entry)
            self._forget_old_bodies(len(raw))
        if self._address():
            self._enqueue(entry)
        else:
            entry.outcome = "no address"
        return entry

    def resend(self, *, ids: list[int] | None = None, times: int = 1, shuffle: bool = False) -> int:
        """Send remembered webhooks once more, for replay tests; return how many were queued."""
        with self._lock:
            again = [e for e in self.log if e.body and (ids is None or e.id in ids)] * times
        if shuffle:
            self._random.shuffle(again)
        for entry in again:
            self._enqueue(entry)
        return len(again)

    def release(self) -> None:
        """Let go of events held back for shuffling."""
        self._release.set()
        self._queue.put(None)

    def wait_idle(self, seconds: float = 10.0) -> bool:
        """Wait until every queued event was dealt with; return whether that came about."""
        with self._lock:
            return self._lock.wait_for(lambda: self._unfinished == 0, timeout=seconds)

    def forget(self) -> None:
        """Empty the log."""
        with self._lock:
            self.log.clear()
            self._body_bytes = 0

    def stop(self) -> None:
        """End the thread; what is still queued stays unsent."""
        self._stop.set()
        self._queue.put(None)
        if self._thread:
            self._thread.join(timeout=self._timeout + 1)

    def _enqueue(self, entry: Sent) -> None:
        with self._lock:
            self._unfinished += 1
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="sandbox-webhooks", daemon=True
                )
                self._thread.start()
        self._queue.put(entry)

    def _forget_old_bodies(self, added: int) -> None:
        self._body_bytes += added
        for entry in self.log:
            if self._body_bytes <= LOG_BODY_BYTES:
                return
            # Only what is finished may be forgotten: the rest is still to be sent.
            if entry.outcome not in {"waiting", "held"}:
                self._body_bytes -= len(entry.body)
                entry.body = b""

    def _run(self) -> None:
        while not self._stop.is_set():
            wait = max(0.0, self._held_until - time.monotonic()) if self._held else None
            try:
                entry = self._queue.get(timeout=wait)
            except queue.Empty:
                entry = None
            if entry is not None:
                self._handle(entry)
            if self._held and self._hold_is_over():
                self._send_held()

    def _handle(self, entry: Sent) -> None:
        faults = {fault.kind: fault for fault in self._faults.take_webhook(entry.event)}
        if "lost" in faults:
            entry.outcome = "lost"
            self._finish()
            return
        copies = faults["doubled"].copies if "doubled" in faults else 1
        if shuffled := faults.get("shuffled"):
            if not self._held:
                self._release.clear()
                # Without a time given, five seconds: nothing is held for ever.
                self._held_until = time.monotonic() + (shuffled.seconds or 5.0)
                self._hold_size = shuffled.copies
            entry.outcome = "held"
            self._held += [entry] * copies
            with self._lock:
                self._unfinished += copies - 1
            return
        if "delay" in faults:
            self._stop.wait(faults["delay"].seconds)
        for _copy in range(copies):
            self._send(entry)
        self._finish()

    def _hold_is_over(self) -> bool:
        return (
            len(self._held) >= self._hold_size
            or self._release.is_set()
            or time.monotonic() >= self._held_until
        )

    def _send_held(self) -> None:
        held, self._held = self._held, []
        self._random.shuffle(held)
        for entry in held:
            self._send(entry)
            self._finish()

    def _send(self, entry: Sent) -> None:
        address = self._address()
        if not address:
            entry.outcome = "no address"
            return
        # A connection for each: a kept one may be dead after the desk was restarted, and the
        # event would be lost for no reason that a real Sinch has.
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.post(
                    address,
                    data=entry.body,
                    headers={"Content-Type": "application/json", "Connection": "close"},
                    timeout=self._timeout,
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                entry.outcome = "failed"
                # Only the kind of failure: the address holds a secret token.
                entry.error = type(error).__name__
            else:
                entry.outcome = "sent"
                entry.statuses.append(answer.status_code)
                entry.answered_at = datetime.now(UTC).isoformat()

    def _finish(self) -> None:
        with self._lock:
            self._unfinished -= 1
            self._lock.notify_all()
