"""Sends hosting callbacks, signed and repeated until they are taken, and remembers them."""

import base64
import hashlib
import hmac
import random
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import requests

from portal.sandbox.clock import Clock
from portal.sandbox.faults import Faults
from portal.sandbox.webhooks import Sent, WebhookSender

HEADER = "X-Sinch-Signature"
PAUSES = (0.5, 1.0, 2.0)  # seconds before a failed callback is sent again


class CallbackSender(WebhookSender):
    """A sender whose events each have an address of their own, and a signature.

    `secret` returns the project's signing secret at the moment, `base64_` whether it is written
    in base64. Failed ones are repeated. Source: Imported Numbers and Hosting Orders API,
    "Callbacks".
    """

    def __init__(
        self,
        faults: Faults,
        clock: Clock,
        *,
        secret: Callable[[], str],
        base64_: Callable[[], bool],
        sends: bool,
        timeout: float = 5.0,
        random_seed: int | None = None,
    ) -> None:
        super().__init__(
            lambda: "each has its own" if sends else None,
            faults,
            clock,
            timeout=timeout,
            random_seed=random_seed,
        )
        self._secret = secret
        self._base64 = base64_
        self._shuffler = random.Random(random_seed)  # noqa: S311 - nothing secret
        self._pausing = threading.Event()

    def tell(self, name: str, thing: str, body: dict[str, Any], at: datetime, address: str) -> Sent:
        """Queue one event for an address; without one it is only remembered."""
        return self.emit(name, thing, body, at, to=address)

    def stop(self) -> None:
        """End the thread; what is still queued stays unsent."""
        self._pausing.set()
        super().stop()

    def _send(self, entry: Sent) -> None:
        for pause in (*PAUSES, None):
            self._post(entry)
            taken = entry.outcome == "sent" and 200 <= entry.statuses[-1] < 300
            if taken or entry.outcome == "no address" or pause is None:
                return
            if self._pausing.wait(pause):
                return

    def _post(self, entry: Sent, *, wrong: bool = False) -> None:
        if not entry.address:
            entry.outcome = "no address"
            return
        headers = {"Content-Type": "application/json", "Connection": "close"}
        if signature := self.sign(entry.body, wrong=wrong):
            headers[HEADER] = signature
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.post(
                    entry.address,
                    data=entry.body,
                    headers=headers,
                    timeout=self._timeout,
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                entry.outcome = "failed"
                entry.error = type(error).__name__
            else:
                entry.outcome = "sent"
                entry.statuses.append(answer.status_code)

    def sign(self, body: bytes, *, wrong: bool = False) -> str:
        """Return the signature of a body; "" without a secret."""
        secret = self._secret()
        if not secret:
            return ""
        key = f"not {secret}" if wrong else secret
        digest = hmac.new(key.encode(), body, hashlib.sha1).digest()
        return base64.b64encode(digest).decode() if self._base64() else digest.hex()

    def storm(
        self,
        *,
        times: int = 1,
        wrong: float = 0.0,
        threads: int = 8,
        entries: Iterable[Sent] | None = None,
    ) -> dict[str, int]:
        """Send remembered callbacks again, all of them shuffled, from several threads at once.

        `wrong` is the share of further copies with a signature that does not fit. A failed one is
        tried again until it is taken. Returns how many were sent of each kind and taken.
        """
        again = [entry for entry in (self.log if entries is None else entries) if entry.body]
        right = again * times
        bad = self._shuffler.choices(again, k=round(len(right) * wrong)) if wrong else []
        work = [(entry, False) for entry in right] + [(entry, True) for entry in bad]
        self._shuffler.shuffle(work)
        counts = {"sent": len(right), "wrong": len(bad), "taken": 0, "refused": 0}
        lock = threading.Lock()

        def send(job: tuple[Sent, bool]) -> None:
            entry, is_wrong = job
            copy = Sent(
                entry.id, entry.event, entry.order_id, entry.at, entry.body, address=entry.address
            )
            for pause in (*[0.5] * 60, None):
                self._post(copy, wrong=is_wrong)
                status = copy.statuses[-1] if copy.statuses and copy.outcome == "sent" else 0
                if is_wrong and status == 401:
                    break
                if 200 <= status < 300 or pause is None:
                    break
                if self._pausing.wait(pause):
                    break
            with lock:
                if copy.outcome == "sent" and 200 <= copy.statuses[-1] < 300:
                    counts["taken"] += 1
                elif copy.outcome == "sent" and copy.statuses[-1] == 401:
                    counts["refused"] += 1

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(send, work))
        return counts
