"""Readings, events and writes about the same numbers at the same time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from hosting import moves, overview, sync, sync_numbers, tasks
from hosting.models import HostingOrder, ImportedNumber, NumberMove
from portal.accounts.models import SinchProject
from portal.operations.models import Reading
from tests.hosting.tools import PHONE, failed, told
from tests.tools import somebody_waits_for_a_lock, wait_for

pytestmark = pytest.mark.django_db


def meanwhile(pool, work):
    """Begin something that another transaction keeps waiting; return its future."""

    def do():
        try:
            with transaction.atomic():
                work()
        finally:
            connections.close_all()

    found = pool.submit(do)
    wait_for(somebody_waits_for_a_lock, what="the other transaction")
    return found


@pytest.mark.django_db(transaction=True)
def test_the_codes_of_two_events_at_the_same_time_are_both_kept_and_open_pages_told(project):
    """No reading repeats the code of a callback."""
    row = sync_numbers.store_imported(project, {"phoneNumber": PHONE}, timezone.now())
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            failed(project, "PROVISIONING_TO_SMS_PLATFORM", "NUMBER_PROVISIONING_FAILED")
            other = meanwhile(
                pool,
                lambda: failed(project, "LINK_TO_10DLC_CAMPAIGN", "EXCEEDED_10DLC_LIMIT"),
            )
        other.result()
    after = ImportedNumber.objects.get()
    assert after.failure_codes == {
        "platform": "NUMBER_PROVISIONING_FAILED",
        "campaign": "EXCEEDED_10DLC_LIMIT",
    }
    assert after.version > row.version + 1


@pytest.mark.django_db(transaction=True)
def test_a_number_that_is_gone_and_a_write_of_its_move_never_wait_for_each_other(project, agent):
    payload = {"phoneNumber": PHONE, "smsConfiguration": {"servicePlanId": "plan-a"}}
    row = sync_numbers.store_imported(project, payload, timezone.now())
    move = moves.start(row, plan="plan-b", campaign="", by=agent)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            number = moves.locked(row.pk)  # as a reading begins
            write = meanwhile(pool, lambda: moves.stopped(move.unlink_operation))
            moves.number_is_gone(number)  # as it ends when Sinch answers 404
        write.result()
    move.refresh_from_db()
    assert (move.state, move.problem) == (NumberMove.State.STOPPED, moves.GONE)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("follows_already", [True, False])
def test_an_event_about_two_orders_and_a_reading_of_one_never_wait_for_each_other(
    follows_already, project
):
    read_at, step = timezone.now() - timedelta(minutes=5), {"state": "FAILED"}
    numbers = [{"phoneNumber": PHONE, "campaignProvisioning": step}]

    def read(sinch_id, at, state="IN_PROGRESS", **more):
        payload = {"hostingOrderId": sinch_id, "state": state}
        return sync.store_reading(project, payload, at, numbers=numbers, **more).order

    first = read("first", read_at)
    second = read("second", read_at, follows=first if follows_already else None)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            HostingOrder.objects.select_for_update().get(pk=second.pk)  # as a reading begins
            event = meanwhile(
                pool,
                lambda: told(
                    project,
                    "LINK_TO_10DLC_CAMPAIGN",
                    "FAILED",
                    "CAMPAIGN_EXPIRED",
                    about="HOSTING_ORDER_NUMBER",
                ),
            )
            read("second", timezone.now(), "COMPLETED", follows=first)
        event.result()
    second.refresh_from_db()
    assert (second.state, second.follows_id) == ("COMPLETED", first.pk)
    for order in (first, second):
        assert order.numbers.get().failure_codes == {"campaign": "CAMPAIGN_EXPIRED"}


@pytest.mark.django_db(transaction=True)
def test_a_project_that_somebody_holds_keeps_none_behind_it_from_being_walked(project):
    behind = SinchProject.objects.create(name="Z", project_id="z", key_id="k", key_secret="s")

    def walk():
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '200ms'")
            return tasks.walk()
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")
            connections.close_all()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        SinchProject.objects.select_for_update().get(pk=project.pk)
        assert pool.submit(walk).result() == 1
    assert Reading.objects.filter(project=behind, kind=overview.WALK_READER).exists()
