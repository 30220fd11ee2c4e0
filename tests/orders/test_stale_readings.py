"""What comes in late, twice or from before an order was gone changes nothing."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from orders import sync
from orders.models import PortInOrder
from portal.accounts.models import SinchProject
from portal.work.models import TimelineEntry

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
OrderJson = Callable[..., dict[str, Any]]


@pytest.fixture
def now() -> datetime:
    return timezone.now() - timedelta(hours=1)


def test_that_an_order_is_gone_is_told_once_however_often_sinch_says_so(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    order = sync.store_port_in_order(project, order_json(), now)
    assert sync.mark_gone(project, order.sinch_id, now + MINUTE)
    assert sync.mark_gone(project, order.sinch_id, now + 2 * MINUTE)
    assert PortInOrder.objects.get().gone_at == now + MINUTE
    told = TimelineEntry.objects.filter(text="Sinch does not know this order any more")
    assert told.count() == 1


def test_what_was_sent_before_an_order_was_gone_does_not_bring_it_back(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    order = sync.store_port_in_order(project, order_json(), now)
    sync.mark_gone(project, order.sinch_id, now + 2 * MINUTE)
    sent = order_json(customerOrderReference="HVD-2026-015")
    stored = sync.store_reading(project, sent, now + MINUTE, sent=sent, replaces=True)
    assert stored.order.reference == "HVD-2026-015"
    assert PortInOrder.objects.get().gone_at == now + 2 * MINUTE
