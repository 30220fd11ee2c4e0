"""The reading of an order: when it ends, when it comes back, why it was made."""

from datetime import timedelta

import pytest
from django.utils import timezone

from orders import readers, sync
from orders.models import PortInOrder
from portal.accounts.models import SinchProject
from portal.operations import readings
from portal.operations.leases import LEASE_SECONDS
from portal.operations.models import Reading
from portal.sandbox import Sandbox
from portal.work.models import WorkItem
from tests.orders.handlers.tools import Run, count
from tests.tools import port_day

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("porting_client")]


def test_a_reader_that_lost_its_lease_does_not_end_the_readings_of_an_order(
    order: PortInOrder, sandbox: Sandbox
) -> None:
    readings.want_one(order.project, sync.READER, order.sinch_id, "staff")
    (hanging,) = Reading.claim(Reading.objects.all(), limit=1, seconds=LEASE_SECONDS)
    left_at = timezone.now()
    past = timezone.now() - timedelta(seconds=1)
    Reading.objects.update(lease_until=past, next_try_at=past)
    assert readings.run_one()  # another worker
    due = Reading.objects.get().next_try_at
    assert due
    sandbox.control.faults.add("status", "getOrderDetails", status=404)
    readings.finish(hanging, left_at, readers.OrderReader().read(hanging, left_at))
    reading = Reading.objects.get()
    assert PortInOrder.objects.get().gone_at is None
    assert (reading.is_gone, reading.next_try_at) == (False, due)


def test_a_404_that_something_newer_contradicts_is_asked_once_more(
    order: PortInOrder, sandbox: Sandbox
) -> None:
    readings.want_one(order.project, sync.READER, order.sinch_id, "staff")
    (reading,) = Reading.claim(Reading.objects.all(), limit=1, seconds=LEASE_SECONDS)
    left_at = timezone.now()
    PortInOrder.objects.update(fetched_at=timezone.now())  # the answer to a change of ours
    sandbox.control.faults.add("status", "getOrderDetails", status=404)
    readings.finish(reading, left_at, readers.OrderReader().read(reading, left_at))
    reading = Reading.objects.get()
    assert not reading.is_gone
    assert reading.next_try_at is not None


@pytest.mark.parametrize("status", [301, 302, 304])
def test_an_order_that_is_said_to_be_elsewhere_is_tried_later_and_stays_as_it_was_read(
    order: PortInOrder, sandbox: Sandbox, status: int
) -> None:
    row, read_at = PortInOrder.objects.values().get(), Reading.objects.get().read_at
    asked = count(sandbox, "getOrderDetails")
    sandbox.control.faults.add("status", "getOrderDetails", status=status)
    readings.want_one(order.project, sync.READER, order.sinch_id, "staff")
    assert readings.run_one()
    assert not readings.run_one()
    assert count(sandbox, "getOrderDetails") == asked + 1
    reading = Reading.objects.get()
    assert (reading.read_at, reading.is_gone, reading.attempts) == (read_at, False, 1)
    assert "in a way the portal does not understand" in reading.last_error
    assert PortInOrder.objects.values().get() == row


def test_the_reader_comes_back_sooner_the_more_is_expected(
    order: PortInOrder, sandbox: Sandbox, settle: Run
) -> None:
    def next_in() -> timedelta:
        readings.want_one(order.project, "port_in_order", order.sinch_id, "staff")
        settle()
        due = Reading.objects.get().next_try_at
        assert due is not None
        return due - timezone.now()

    assert timedelta(minutes=13) < next_in() < timedelta(minutes=17)
    sandbox.control.confirm(order.sinch_id, port_day(9))
    assert timedelta(minutes=26) < next_in() < timedelta(minutes=34)
    sandbox.control.move_foc_date(order.sinch_id, port_day(-1))
    assert timedelta(minutes=4) < next_in() < timedelta(minutes=6)
    sandbox.control.cancel(order.sinch_id)
    assert timedelta(hours=21) < next_in() < timedelta(hours=27)
    WorkItem.objects.update(waiting_since=timezone.now() - timedelta(days=31))
    readings.want_one(order.project, "port_in_order", order.sinch_id, "staff")
    settle()
    assert Reading.objects.get().next_try_at is None


def test_what_is_offered_may_fail_to_be_read_without_losing_the_reading(
    order: PortInOrder, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.make_ready(order.sinch_id)
    sandbox.control.faults.add("500", "getPortInAvailableActivation", times=None)
    readings.want_one(order.project, "port_in_order", order.sinch_id, "staff")
    settle()
    order.refresh_from_db()
    assert order.status == "CONFIRMED"
    assert order.offered_at is None
    reading = Reading.objects.get()
    assert reading.last_error == ""
    sandbox.control.faults.clear()
    Reading.objects.update(next_try_at=timezone.now())
    settle()
    assert WorkItem.objects.get().bucket == "ready"


def test_a_reading_says_why_it_was_made(project: SinchProject) -> None:
    now = timezone.now()
    reading = Reading(project=project, requested_at=now - timedelta(seconds=1))
    said = readers.OrderReader._in_words
    assert said(reading, "webhook", now) == "webhook, read 1 s later"
    assert said(reading, "sweep", now) == "sweep: no webhook came"
    assert readers.OrderReader.kind == sync.READER
