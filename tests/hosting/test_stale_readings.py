"""What comes in late, twice, at the same time, or from before an order was gone."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.utils import timezone

from hosting import sync, sync_numbers
from hosting.models import HostingNumber, HostingOrder, ImportedNumber
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
    store(now + 2 * SECOND, "IN_PROGRESS")
    store(now + SECOND, "COMPLETED", "DONE")
    assert HostingOrder.objects.get().state == "IN_PROGRESS", "the newest reading still says so"
    store(now + 3 * SECOND, "COMPLETED", "DONE")
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


@pytest.fixture
def apply(project, now):
    """Apply an event about an imported number: `apply("OSR_UPDATE", "OSR_REFUSED")`."""

    def event(event_type, code, at=now):
        return sync.apply_event(
            project.pk,
            resource_type=sync.IMPORTED_NUMBER,
            resource_id=PHONE,
            event_type=event_type,
            status="FAILED",
            failure_code=code,
            at=at,
            event_id="",
        )

    return event


def test_an_event_that_comes_again_is_news_and_an_older_one_is_not(apply, now):
    """Whoever took it up the first time may have died before anything was read."""
    assert apply("OSR_UPDATE", "OSR_REFUSED").is_news
    assert apply("OSR_UPDATE", "OSR_REFUSED").is_news
    assert not apply("OSR_UPDATE", "OSR_REFUSED", now - SECOND).is_news


@pytest.mark.django_db(transaction=True)
def test_two_events_about_a_number_at_the_same_time_both_leave_their_codes(project, apply, now):
    sync_numbers.store_imported(project, {"phoneNumber": PHONE}, now)

    def another():
        try:
            apply("LINK_TO_10DLC_CAMPAIGN", "CAMPAIGN_EXPIRED")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            apply("PROVISIONING_TO_SMS_PLATFORM", "PLATFORM_REFUSED")
            applied = pool.submit(another)
            wait_for(somebody_waits_for_a_lock, what="the other event")
        applied.result(20)
    codes = {"platform": "PLATFORM_REFUSED", "campaign": "CAMPAIGN_EXPIRED"}
    assert ImportedNumber.objects.get().failure_codes == codes
