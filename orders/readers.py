"""How a port-in order is read again, and how soon after that the next time."""

import logging
import random
from datetime import datetime, timedelta

from django.utils import timezone

from orders import buckets, standing, sync
from orders.models import PortInOrder
from portal.operations import clients, readings
from portal.operations.models import Reading
from portal.sinch.errors import SinchError, SinchNotFound
from portal.sinch.porting import PortingClient

log = logging.getLogger(__name__)

JITTER = 0.1  # of the pause between two readings, so that they spread


class OrderReader(readings.Reader):
    """Reads one port-in order, and what it offers for activation when its day has come."""

    kind = sync.READER

    def read(self, reading: Reading, started_at: datetime) -> timedelta | None:
        """Read the order and store it; return when to look again. Raises SinchError."""
        client = clients.porting_client(reading.project)
        cause = reading.cause or readings.SWEEP
        said = self._in_words(reading, cause, started_at)
        try:
            payload = client.get_order_details(reading.resource_id)
        except SinchNotFound:
            known = PortInOrder.objects.filter(sinch_id=reading.resource_id, gone_at=None)
            if readings.is_too_early(reading, known.filter(project=reading.project_id)):
                return readings.CONTRADICTED
            if not sync.mark_gone(reading.project, reading.resource_id, started_at, said):
                return readings.CONTRADICTED
            readings.note_gone(reading)
            return None
        stored = sync.store_reading(
            reading.project,
            payload,
            started_at,
            cause=said,
            first_cause="" if cause == readings.SWEEP else said,
        )
        if cause == readings.SWEEP and stored.told and not stored.is_new:
            readings.count_missed(reading)
        facts = standing.facts_of_pace(stored.order, stored.item)
        pause = buckets.pause_before_reading(facts, timezone.now())
        if buckets.wants_offers(facts, timezone.now()):
            pause = self._read_offers(client, stored.order) or pause
        return None if pause is None else pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311

    @staticmethod
    def _in_words(reading: Reading, cause: str, started_at: datetime) -> str:
        if cause == readings.WEBHOOK:
            seconds = max(0, round((started_at - reading.requested_at).total_seconds()))
            return f"webhook, read {seconds} s later"
        return "sweep: no webhook came" if cause == readings.SWEEP else "read on request"

    @staticmethod
    def _read_offers(client: PortingClient, order: PortInOrder) -> timedelta | None:
        """Read what can be activated; a failure costs a minute, not the reading of the order."""
        asked_at = timezone.now()
        try:
            groups = client.get_port_in_available_activation(order.sinch_id)
        except SinchNotFound:
            groups = []
        except SinchError as error:
            log.warning("What order %s offers could not be read: %s", order.pk, error)
            return timedelta(seconds=max(60.0, error.retry_after or 0.0))
        sync.store_offers(order, groups, asked_at)
        return None


def register() -> None:
    """Make the reading of orders known to the engine."""
    readings.register(OrderReader())
