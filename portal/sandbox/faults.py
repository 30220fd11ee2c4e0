"""How the sandbox misbehaves when told to: on the API and on the way to the webhook address."""

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

ANY = "*"
STATUS_KINDS = {"429": 429, "500": 500, "503": 503, "401": 401, "402": 402}
API_KINDS = ("status", "slow", "drop_before", "drop_after", "garbage")
WEBHOOK_KINDS = ("lost", "doubled", "shuffled", "delay")


class DroppedConnection(ConnectionError):
    """The connection ends here without an answer; a server closes it, the adapter raises."""


class SlowAnswer(TimeoutError):
    """The caller gave up before the late answer; only the in-process adapter raises it."""


@dataclass(frozen=True)
class ApiFault:
    """One way to misbehave on the API.

    `kind`: "status" (answers `status` without working, or after the work when `after`), "slow"
    (works, answers `seconds` later), "drop_before" (closes without working), "drop_after" (works,
    then closes without an answer), "garbage" (works, answers what is not JSON).
    `times` is how many calls it still holds for; None means until it is cleared.
    """

    operation: str = ANY
    kind: str = "status"
    times: int | None = 1
    status: int = 500
    retry_after: str | None = None
    seconds: float = 0.0
    after: bool = False


@dataclass(frozen=True)
class WebhookFault:
    """One way to misbehave when sending webhooks.

    `kind`: "lost" (never sent), "doubled" (sent `copies` times), "shuffled" (held until `copies`
    events wait or `seconds` have passed, then sent in random order), "delay" (`seconds` late).
    `event` is an event name or "*".
    """

    event: str = ANY
    kind: str = "lost"
    times: int | None = 1
    copies: int = 2
    seconds: float = 0.0


class Faults:
    """The faults in force. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._api: list[ApiFault] = []
        self._webhook: list[WebhookFault] = []
        self.on_clear: Callable[[], None] = lambda: None

    def add(
        self,
        kind: str,
        operation: str = ANY,
        *,
        times: int | None = 1,
        status: int = 500,
        retry_after: str | float | None = None,
        seconds: float = 0.0,
        after: bool = False,
    ) -> None:
        """Misbehave on the next calls of an operation ("*" for any).

        `kind` is one of `API_KINDS` or a status such as "429". Raises ValueError for another.
        """
        if kind in STATUS_KINDS:
            kind, status = "status", STATUS_KINDS[kind]
        if kind not in API_KINDS:
            raise ValueError(f"There is no fault {kind!r}; there are {', '.join(API_KINDS)}.")
        wait = None if retry_after is None else str(retry_after)
        with self._lock:
            self._api.append(ApiFault(operation, kind, times, status, wait, seconds, after))

    def add_webhook(
        self,
        kind: str,
        event: str = ANY,
        *,
        times: int | None = 1,
        copies: int = 2,
        seconds: float = 0.0,
    ) -> None:
        """Misbehave with the next webhooks. Raises ValueError for a kind not in
        `WEBHOOK_KINDS`."""
        if kind not in WEBHOOK_KINDS:
            raise ValueError(
                f"There is no webhook fault {kind!r}; there are {', '.join(WEBHOOK_KINDS)}."
            )
        with self._lock:
            self._webhook.append(WebhookFault(event, kind, times, copies, seconds))

    def clear(self) -> None:
        """Behave again; webhooks held back for shuffling are let go."""
        with self._lock:
            self._api.clear()
            self._webhook.clear()
        self.on_clear()

    def take_api(self, operation: str) -> ApiFault | None:
        """Return the fault for this call, if any, and count it."""
        with self._lock:
            for place, fault in enumerate(self._api):
                if fault.operation in {ANY, operation}:
                    self._count(self._api, place, fault)
                    return fault
        return None

    def take_webhook(self, event: str) -> list[WebhookFault]:
        """Return the faults for this webhook, at most one of each kind, and count them."""
        taken: list[WebhookFault] = []
        with self._lock:
            for fault in list(self._webhook):
                if fault.event in {ANY, event} and fault.kind not in {t.kind for t in taken}:
                    taken.append(fault)
                    self._count(self._webhook, self._webhook.index(fault), fault)
        return taken

    def to_json(self) -> dict[str, Any]:
        """Return the faults in force."""
        with self._lock:
            return {
                "api": [asdict(fault) for fault in self._api],
                "webhooks": [asdict(fault) for fault in self._webhook],
            }

    @staticmethod
    def _count(faults: list[Any], place: int, fault: Any) -> None:
        if fault.times is None:
            return
        if fault.times <= 1:
            del faults[place]
        else:
            faults[place] = replace(fault, times=fault.times - 1)
