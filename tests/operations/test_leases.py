"""Rows that are a queue."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from portal.operations import leases
from portal.operations.leases import FIRST_PAUSE, LONGEST_PAUSE, pause_after
from portal.operations.models import Reading
from tests.tools import somebody_waits_for_a_lock, wait_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows(project):
    """Make due rows, the first the longest due."""

    def make(count):
        now = timezone.now()
        return Reading.objects.bulk_create(
            Reading(
                project=project,
                kind="test_thing",
                resource_id=str(n),
                next_try_at=now - timedelta(seconds=count - n),
            )
            for n in range(count)
        )

    return make


def test_a_claim_takes_the_longest_due_first_and_no_more_than_asked(rows):
    rows(5)
    claimed = Reading.claim(Reading.objects.all(), limit=3, seconds=60)
    assert [row.resource_id for row in claimed] == ["0", "1", "2"]
    assert len({row.lease_id for row in claimed}) == 1
    assert {row.attempts for row in claimed} == {1}
    stored = Reading.objects.get(pk=claimed[0].pk)
    assert (stored.lease_id, stored.attempts) == (claimed[0].lease_id, 1)
    assert stored.next_try_at == stored.lease_until == claimed[0].lease_until


def test_a_claim_is_one_statement_and_whole_without_a_transaction(rows, django_assert_num_queries):
    rows(3)
    queue = Reading.objects.select_related("project")
    Reading.claim(queue, limit=1, seconds=60)
    with django_assert_num_queries(1):
        (claimed,) = Reading.claim(queue, limit=1, seconds=60)
    assert claimed.resource_id == "1"
    assert claimed.project.project_id
    assert Reading.objects.get(pk=claimed.pk).lease_id == claimed.lease_id


def test_the_first_queue_goes_before_the_second_however_long_that_one_waits(rows):
    rows(4)
    Reading.objects.filter(resource_id__in="23").update(cause="staff")
    first, second = Reading.objects.filter(cause="staff"), Reading.objects.all()
    claims = [Reading.claim(first, second, limit=1, seconds=60) for _ in range(5)]
    assert [[row.resource_id for row in claimed] for claimed in claims] == [
        ["2"],
        ["3"],
        ["0"],
        ["1"],
        [],
    ]
    assert {row.attempts for row in Reading.objects.all()} == {1}, "each was leased once"


def test_what_is_claimed_is_not_claimed_again_before_its_lease_ends(rows):
    rows(1)
    assert Reading.claim(Reading.objects.all(), limit=5, seconds=60)
    assert not Reading.claim(Reading.objects.all(), limit=5, seconds=60)
    Reading.objects.update(next_try_at=timezone.now())
    (again,) = Reading.claim(Reading.objects.all(), limit=5, seconds=60)
    assert again.attempts == 2


def test_what_is_finished_or_not_due_is_not_claimed(rows):
    rows(2)
    Reading.objects.filter(resource_id="0").update(next_try_at=None)
    Reading.objects.filter(resource_id="1").update(
        next_try_at=timezone.now() + timedelta(minutes=1)
    )
    assert Reading.claim(Reading.objects.all(), limit=5, seconds=60) == []


def test_letting_go_ends_the_lease_and_sets_what_is_given(rows):
    rows(1)
    (row,) = Reading.claim(Reading.objects.all(), limit=1, seconds=60)
    assert row.let_go(cause="done")
    stored = Reading.objects.get()
    assert (stored.lease_id, stored.lease_until, stored.next_try_at) == (None, None, None)
    assert (stored.cause, row.cause) == ("done", "done")


def test_whoever_lost_the_lease_changes_nothing(rows):
    rows(1)
    (slow,) = Reading.claim(Reading.objects.all(), limit=1, seconds=60)
    other = uuid.uuid4()
    Reading.objects.update(lease_id=other)
    assert not slow.let_go(cause="late")
    assert not slow.try_later("late")
    stored = Reading.objects.get()
    assert (stored.lease_id, stored.cause, stored.last_error) == (other, "", "")
    Reading.objects.update(lease_id=None)
    assert not slow.let_go(cause="late"), "nor when nobody has it any more"


def test_trying_later_keeps_the_reason_and_waits(rows):
    rows(1)
    (row,) = Reading.claim(Reading.objects.all(), limit=1, seconds=60)
    row.try_later("x" * 600, 30)
    stored = Reading.objects.get()
    assert stored.last_error == "x" * 500
    wait = (stored.next_try_at - timezone.now()).total_seconds()
    assert 25 < wait <= 30


def test_a_row_that_was_tried_for_months_can_still_be_claimed(rows):
    rows(1)
    Reading.objects.update(attempts=32767)
    (row,) = Reading.claim(Reading.objects.all(), limit=1, seconds=60)
    assert row.lease_id
    assert Reading.objects.get().attempts == 32767


def test_pauses_double_with_jitter_and_end_growing():
    assert FIRST_PAUSE * 0.75 <= pause_after(1) <= FIRST_PAUSE * 1.25
    assert FIRST_PAUSE * 0.75 <= pause_after(0) <= FIRST_PAUSE * 1.25
    assert LONGEST_PAUSE * 0.75 <= pause_after(60) <= LONGEST_PAUSE * 1.25
    assert len({pause_after(4) for _ in range(20)}) > 10


@pytest.mark.django_db(transaction=True)
def test_a_lease_is_renewed_for_as_long_as_its_worker_is_at_it(rows):
    rows(3)
    row, second, other = Reading.claim(Reading.objects.all(), limit=3, seconds=0.5)
    Reading.objects.filter(pk=other.pk).update(lease_id=uuid.uuid4())
    first = row.lease_until

    def until(pk):
        return Reading.objects.get(pk=pk).lease_until

    with leases.held([row, second, other]):
        wait_for(lambda: until(row.pk) > first, 15, "a longer lease")
    assert until(second.pk) == until(row.pk), "all that were claimed together"
    assert until(row.pk) > timezone.now() + timedelta(seconds=leases.LEASE_SECONDS / 2)
    assert until(other.pk) == first
    assert Reading.objects.get(pk=row.pk).next_try_at == until(row.pk)
    # Let go, it is renewed no more, and nobody brings it back.
    row.let_go()
    assert Reading.objects.get(pk=row.pk).lease_until is None


@pytest.mark.django_db(transaction=True)
def test_a_lease_whose_work_is_over_is_renewed_no_more_however_it_ended(rows, monkeypatch):
    """Else a row whose worker failed is kept from everybody for as long as the process lives."""
    monkeypatch.setattr(leases, "RENEWED_EVERY", 0.1)
    rows(2)
    (failed,) = Reading.claim(Reading.objects.all(), limit=1, seconds=0.5)
    with pytest.raises(ZeroDivisionError), leases.held([failed]):
        raise ZeroDivisionError
    (other,) = Reading.claim(Reading.objects.all(), limit=1, seconds=0.5)
    with leases.held([other]):
        # What was held before is renewed in the same round as this, or not at all.
        wait_for(lambda: Reading.objects.get(pk=other.pk).lease_until > other.lease_until)
    assert Reading.objects.get(pk=failed.pk).lease_until == failed.lease_until


@pytest.mark.django_db(transaction=True)
def test_a_lease_that_could_not_be_renewed_once_is_renewed_the_next_time(rows, monkeypatch, caplog):
    monkeypatch.setattr(leases, "RENEWED_EVERY", 0.1)
    rows(1)
    (row,) = Reading.claim(Reading.objects.all(), limit=1, seconds=0.5)
    with leases.held([row]):
        with transaction.atomic():
            Reading.objects.select_for_update().get(pk=row.pk)
            wait_for(somebody_waits_for_a_lock, what="the renewal")
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
            wait_for(lambda: "could not be renewed" in caplog.text, what="the warning")
        wait_for(lambda: Reading.objects.get(pk=row.pk).lease_until > row.lease_until)


@pytest.mark.django_db(transaction=True)
def test_a_row_that_somebody_has_locked_holds_up_no_claim(rows):
    rows(2)

    def claim():
        try:
            return Reading.claim(Reading.objects.all(), limit=1, seconds=60)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Reading.objects.select_for_update().get(resource_id="0")
        (claimed,) = pool.submit(claim).result(20)
    assert claimed.resource_id == "1"


@pytest.mark.django_db(transaction=True)
def test_many_claimers_get_each_row_once(rows):
    rows(400)
    taken, errors, lock = [], [], threading.Lock()

    def claimer():
        try:
            while claimed := Reading.claim(Reading.objects.all(), limit=7, seconds=60):
                with lock:
                    taken.extend(row.pk for row in claimed)
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=claimer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert len(taken) == len(set(taken)) == 400
