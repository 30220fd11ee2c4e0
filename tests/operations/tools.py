"""A Sinch of a few lines for tests of the engine: what was asked of it, and what it holds."""

import threading
from datetime import datetime, timedelta
from typing import Any

from portal.operations import readings, runner
from portal.operations.models import Operation, Reading


class Desk(runner.Handler):
    """Writes into `self.there`; breaks in the way a test asks for."""

    kind = "test.write"
    how_found_out = "looked for in a list"

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.sent: list[int] = []
        self.there: list[int] = []
        self.told: list[tuple[str, str]] = []
        self.before: Any = None  # raised before the work is done
        self.after: Any = None  # raised after the work is done
        self.finding: Any = None  # raised by the look-up
        self.settling: Any = None  # raised while a success is settled
        self.telling: Any = None  # raised while it is told that something went wrong

    def send(self, operation: Operation) -> dict[str, Any]:
        """Do the work, unless told to break."""
        with self.lock:
            self.sent.append(operation.pk)
        if self.before is not None:
            raise self.before
        with self.lock:
            self.there.append(operation.pk)
        if self.after is not None:
            raise self.after
        return {"id": str(operation.payload.get("n", ""))}

    def find_out(self, operation: Operation) -> runner.Found | None:
        """Look whether the work was done."""
        if self.finding is not None:
            raise self.finding
        return runner.Found({"id": "found"}) if operation.pk in self.there else None

    def succeeded(self, operation: Operation, answer: dict[str, Any]) -> None:
        """Note it."""
        if self.settling is not None:
            raise self.settling
        self.told.append(("succeeded", answer.get("id", "")))

    def failed(self, operation: Operation) -> None:
        """Note it."""
        if self.telling is not None:
            raise self.telling
        self.told.append(("failed", operation.state))

    def taken_up(self, operation: Operation) -> None:
        """Note it."""
        self.told.append(("taken up", operation.state))

    def uncertain(self, operation: Operation) -> None:
        """Note it."""
        if self.telling is not None:
            raise self.telling
        self.told.append(("uncertain", ""))


class Library(readings.Reader):
    """Reads nothing; remembers when and why it was asked."""

    kind = "test_thing"

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.asked: list[tuple[str, str]] = []
        self.again: timedelta | None = None
        self.error: Exception | None = None
        self.meanwhile: Any = None

    def read(self, reading: Reading, started_at: datetime) -> timedelta | None:
        """Note the question."""
        with self.lock:
            self.asked.append((reading.resource_id, reading.cause))
        if self.error is not None:
            raise self.error
        if self.meanwhile is not None:
            self.meanwhile(reading)
        return self.again
