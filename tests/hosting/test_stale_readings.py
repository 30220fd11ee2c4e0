"""What comes in late, twice or from before an order was gone changes nothing."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.utils import timezone

from hosting import sync
from hosting.models import HostingNumber, HostingOrder
from portal.work.models import TimelineEntry
from tests.tools import somebody_waits_for_a_lock, wait_for

pytestmark = pytest.mark.django_db
PHONE, SECOND = "+12065550142", timedelta(seconds=1)


@pytest.fixture
def now():
    return timezone.now() - timedelta(minutes=1)


@pytest.fixture
def store(project):
    """Store an order with one number as it was read: `store(at, "IN_PROGRESS", osr="DONE")`."""

    def read(at, state, osr="IN_PROGRESS"):
        payload = {"hostingOrderId": "order-1", "state": state, "type": "TYPE_TEXT_ENABLE"}
        numbers = [number(osr)]
        return sync.store_reading(project, payload, at, numbers=numbers, report={}).order

    return read


def number(osr):
    """Return a number of an order as Sinch tells it."""
    return {"phoneNumber": PHONE, "osrUpdate": {"state": osr}}


def test_a_reading_that_is_not_newer_changes_nothing(store, now):
    store(now, "IN_PROGRESS")
    for at in (now, now - SECOND):
        store(at, "COMPLETED", "DONE")
    assert HostingOrder.objects.get().state == "IN_PROGRESS"
    assert HostingNumber.objects.get().osr == "IN_PROGRESS"
    store(now + SECOND, "COMPLETED", "DONE")
    assert HostingOrder.objects.get().state == "COMPLETED"
    assert HostingNumber.objects.get().osr == "DONE"


def test_an_order_is_gone_once_until_a_reading_that_left_later_finds_it(store, project, now):
    store(now, "IN_PROGRESS")
    assert not sync.mark_gone(project, "order-1", now), "read at that moment, it was there"
    assert sync.mark_gone(project, "order-1", now + 2 * SECOND)
    assert sync.mark_gone(project, "order-1", now + 3 * SECOND)
    for state in ("IN_PROGRESS", "COMPLETED"):
        store(now + SECOND, state)
        assert HostingOrder.objects.get().gone_at == now + 2 * SECOND
    told = TimelineEntry.objects.filter(text="Sinch does not know this order any more")
    assert told.count() == 1
    store(now + 4 * SECOND, "IN_PROGRESS")
    assert HostingOrder.objects.get().gone_at is None


def test_a_number_read_alone_is_not_newer_than_its_order_read_at_the_same_moment(store, now):
    order = store(now, "IN_PROGRESS")
    assert not sync.store_number(order.pk, number("DONE"), now, "")
    assert sync.store_number(order.pk, number("DONE"), now + SECOND, "")
    assert not sync.store_number(order.pk, number("FAILED"), now + SECOND, "")
    assert HostingNumber.objects.get().osr == "DONE"


@pytest.mark.django_db(transaction=True)
def test_a_number_read_alone_waits_for_a_reading_of_its_order_that_is_being_stored(store, now):
    order = store(now, "IN_PROGRESS")

    def late():
        try:
            return sync.store_number(order.pk, number("FAILED"), now + SECOND, "")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            store(now + 2 * SECOND, "IN_PROGRESS", "DONE")
            stored = pool.submit(late)
            wait_for(somebody_waits_for_a_lock, what="the number read alone")
        assert stored.result(20) is False
    assert HostingNumber.objects.get().osr == "DONE"
