"""Webhooks against the simulated Sinch: what it sends, what is read because of it, what results."""

import itertools
import json
import random
import time

import pytest
from django.utils import timezone

from orders.models import OrderNote, PortInNumber, PortInOrder
from portal.operations import readings
from portal.operations.models import Reading
from portal.work.models import TimelineEntry, WorkItem
from tests.webhooks.tools import work
from webhooks import dispatch
from webhooks.models import Delivery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rung", "porting_client")]
NUMBERS = [f"+1206555010{n}" for n in range(6)]


@pytest.fixture
def sent(sandbox):
    """Every webhook the sandbox has wanted to send so far, oldest first."""
    return lambda: [entry.body for entry in sandbox.webhooks.log]


def settle():
    """Let the calm between two readings pass, and do all the work there is."""
    work()
    for _ in range(5):
        Reading.objects.filter(
            next_try_at__isnull=False, requested_at__gt=timezone.now() - dispatch.REPEAT_WITHIN
        ).update(next_try_at=timezone.now())
        work()
        if not Delivery.objects.filter(state=Delivery.State.WAITING).exists():
            return


def a_life(sandbox):
    """Let an order live at Sinch: confirmed in part, refused in part, a note, another date."""
    order = sandbox.control.create_order(NUMBERS, reference="HVD-2026-014", pin="4829")
    sandbox.control.confirm(order.id, numbers=NUMBERS[:3])
    sandbox.control.reject(order.id, "Invalid passcode/PIN supplied", numbers=NUMBERS[3:4])
    sandbox.control.note(order.id, "Send a recent bill")
    sandbox.control.exclude(order.id, "Number not on account", numbers=NUMBERS[4:5])
    return order


def facts():
    """Return the rows a person would see, without keys and clocks."""
    return {
        "orders": list(PortInOrder.objects.values_list("sinch_id", "status", "reference")),
        "numbers": list(
            PortInNumber.objects.order_by("phone_number").values_list(
                "phone_number", "status", "foc_date", "reject_reason", "exclusion_reason"
            )
        ),
        "notes": list(OrderNote.objects.order_by("pk").values_list("text", "fact")),
        "items": list(WorkItem.objects.values_list("status", "bucket", "counted", "live_count")),
        "told": sorted(TimelineEntry.objects.values_list("fact", flat=True)),
    }


def test_an_order_made_elsewhere_appears_with_its_first_webhook(sandbox, deliver, sent):
    order = sandbox.control.create_order(NUMBERS, reference="HVD-2026-014")
    for body in sent():
        deliver(body)
    settle()
    row = PortInOrder.objects.get()
    assert row.sinch_id == str(order.id)
    assert row.numbers.count() == len(NUMBERS)
    first = Delivery.objects.earliest("pk")
    assert (first.verdict, first.state) == (Delivery.Verdict.NEW, Delivery.State.DONE)
    assert first.outcome == f"Order read for the first time, {len(NUMBERS)} numbers"


def test_five_hundred_deliveries_about_one_order_are_two_readings_at_most(sandbox, deliver, sent):
    order = sandbox.control.create_order(NUMBERS)
    (body, *_) = sent()
    deliver(body)
    work()
    sandbox.control.reset_calls()
    began = time.monotonic()
    for number in range(500):
        deliver(json.loads(body) | {"n": number})
        if number % 100 == 0:
            work()
    settle()
    # Two, and one more for each calm that passed while they came in.
    most = 2 + int((time.monotonic() - began) / readings.CALM)
    assert 1 <= sandbox.control.calls().get("getOrderDetails", 0) <= most
    assert set(Delivery.objects.values_list("state", flat=True)) == {Delivery.State.DONE}
    assert PortInOrder.objects.get().sinch_id == str(order.id)


@pytest.mark.parametrize("seed", range(3))
def test_webhooks_three_times_each_in_any_order_lead_to_the_same_rows(sandbox, deliver, sent, seed):
    a_life(sandbox)
    bodies = sent()
    assert len(bodies) > 4
    for body in bodies:
        deliver(body)
        settle()
    expected = facts()
    assert {n: s for n, s, *_ in expected["numbers"]}[NUMBERS[3]] == "REJECTED"
    again = list(itertools.chain(bodies, bodies, bodies))
    random.Random(seed).shuffle(again)
    for body in again:
        deliver(body)
        if len(body) % 2:
            settle()
    settle()
    assert facts() == expected
    assert set(Delivery.objects.values_list("state", flat=True)) == {Delivery.State.DONE}


def test_deliveries_of_long_ago_processed_again_change_nothing(sandbox, deliver, sent):
    a_life(sandbox)
    for body in sent():
        deliver(body)
    settle()
    expected = facts()
    dispatch.process_again(Delivery.objects.all())
    settle()
    assert facts() == expected


def test_a_webhook_about_an_order_that_sinch_does_not_have_is_done_and_said(deliver):
    deliver({"type": "ORDER_UPDATED", "orderId": 99999999})
    settle()
    row = Delivery.objects.get()
    assert row.state == Delivery.State.DONE
    assert row.outcome == "Sinch answers that there is no such order"
    assert not PortInOrder.objects.exists()


def test_while_sinch_is_down_nothing_is_lost(sandbox, deliver, sent):
    sandbox.control.create_order(NUMBERS)
    (body, *_) = sent()
    sandbox.control.faults.add("drop_before", "getOrderDetails", times=None)
    deliver(body)
    work()
    assert Delivery.objects.get().state == Delivery.State.WAITING
    assert Reading.objects.get().last_error
    sandbox.control.faults.clear()
    settle()
    assert Delivery.objects.get().state == Delivery.State.DONE
    assert PortInOrder.objects.count() == 1


def test_pins_of_a_webhook_reach_no_log_and_no_column_in_clear(
    sandbox, deliver, sent, caplog, project
):
    from django.db import connection

    a_life(sandbox)
    bodies = [body.replace(b'"4829"', b'"482913"') for body in sent()]
    assert any(b'"482913"' in body for body in bodies)
    with caplog.at_level("DEBUG"):
        for body in bodies:
            deliver(body)
        settle()
    assert "482913" not in caplog.text
    with connection.cursor() as cursor:
        for table in ("webhooks_delivery", "orders_portinorder", "work_timelineentry"):
            cursor.execute(f"SELECT t::text FROM {table} t")  # noqa: S608 - our own names
            assert not any("482913" in row for (row,) in cursor.fetchall()), table
