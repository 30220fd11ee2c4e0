"""What comes in late, twice, at the same time, or from before an order was gone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from django.utils import timezone

from orders import sync
from orders.models import PortInOrder
from portal.accounts.models import SinchProject
from portal.sinch.porting import ActivationGroup
from portal.work.models import TimelineEntry
from tests.tools import somebody_waits_for_a_lock, wait_for

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
    assert not sync.mark_gone(project, order.sinch_id, now), "read at that moment, it was there"
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


@pytest.mark.django_db(transaction=True)
def test_an_older_reading_waits_for_a_newer_one_that_is_being_stored(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    sync.store_port_in_order(project, order_json(), now)

    def older() -> None:
        try:
            sync.store_port_in_order(project, order_json(status="CANCELED"), now + MINUTE)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            sync.store_port_in_order(project, order_json(status="CONFIRMED"), now + 2 * MINUTE)
            stored = pool.submit(older)
            wait_for(somebody_waits_for_a_lock, what="the older reading")
        stored.result(20)
    order = PortInOrder.objects.get()
    assert (order.status, order.fetched_at) == ("CONFIRMED", now + 2 * MINUTE)


def test_what_sinch_offered_before_it_was_asked_again_changes_nothing(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    numbers = {"+12065550100": {"status": "CONFIRMED"}}
    there = order_json(numbers, status="CONFIRMED", onDemandActivation=True)
    order = sync.store_port_in_order(project, there, now)
    group = ActivationGroup("GW Lumen Grp1", tuple(numbers), "")
    assert sync.store_offers(order, [group], now + MINUTE).offered_groups
    for asked_at in (now, now + MINUTE):
        assert sync.store_offers(order, [], asked_at).offered_groups
    assert not sync.store_offers(order, [], now + 2 * MINUTE).offered_groups


@pytest.mark.django_db(transaction=True)
def test_older_offers_wait_for_newer_ones_that_are_being_stored(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    numbers = {"+12065550100": {"status": "CONFIRMED"}}
    there = order_json(numbers, status="CONFIRMED", onDemandActivation=True)
    order = sync.store_port_in_order(project, there, now)
    group = ActivationGroup("GW Lumen Grp1", tuple(numbers), "")

    def older() -> None:
        try:
            sync.store_offers(order, [], now + MINUTE)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            sync.store_offers(order, [group], now + 2 * MINUTE)
            stored = pool.submit(older)
            wait_for(somebody_waits_for_a_lock, what="the older offers")
        stored.result(20)
    assert PortInOrder.objects.get().offered_groups


@pytest.mark.django_db(transaction=True)
def test_two_walks_that_expect_the_same_orders_never_wait_for_each_other(
    project: SinchProject, order_json: OrderJson, now: datetime
) -> None:
    first, second = (sync.store_port_in_order(project, order_json(id=n), now) for n in ("1", "2"))
    PortInOrder.objects.filter(pk=first.pk).update(reference="the last on disk")

    def walk() -> None:
        try:
            sync.expect_in_list({second.pk: "b", first.pk: "a"})
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():  # another one, that has come as far as the first order
            PortInOrder.objects.select_for_update().get(pk=first.pk)
            walked = pool.submit(walk)
            wait_for(somebody_waits_for_a_lock, what="the walk")
            PortInOrder.objects.select_for_update(nowait=True).get(pk=second.pk)
        walked.result(20)
    digests = PortInOrder.objects.order_by("pk").values_list("list_digest", flat=True)
    assert list(digests) == ["a", "b"]
