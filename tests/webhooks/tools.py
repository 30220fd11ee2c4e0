"""What tests of webhooks share: a reader that counts, and a worker of our own."""

from datetime import datetime, timedelta

from portal.operations import readings
from portal.operations.models import Reading
from webhooks import dispatch


class CountingReader(readings.Reader):
    """Reads nothing; remembers what it was asked for."""

    kind = dispatch.READER

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.meanwhile = lambda: None

    def read(self, reading: Reading, started_at: datetime) -> timedelta | None:
        """Note the question."""
        self.asked.append(reading.resource_id)
        if self.error is not None:
            raise self.error
        self.meanwhile()
        return None


def work() -> None:
    """Do what the workers would do now: deliveries and readings until nothing is due."""
    while dispatch.process_some() or readings.run_one():
        pass
