"""Readings: wanted by many, done once, the newest wish fulfilled."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.utils import timezone

from portal.accounts.models import SinchProject
from portal.operations import doorbell, leases, readings, tasks
from portal.operations.models import TRIES_UNTIL_SILENT, Reading
from portal.sinch.errors import SinchRateLimited, SinchUnavailable
from tests.tools import somebody_waits_for_a_lock, wait_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rung")]
KIND = "test_thing"


def due_now():
    """Let the time pass after which something is read again."""
    Reading.objects.filter(next_try_at__isnull=False).update(next_try_at=timezone.now())


def test_what_many_want_is_read_once(project, library, django_assert_num_queries):
    now = timezone.now()
    with django_assert_num_queries(1):
        keys = readings.want(project, KIND, {str(n): now for n in range(200)}, "sweep")
    again = readings.want(project, KIND, {str(n): now for n in range(200)}, "sweep")
    assert keys == again
    assert len(keys) == 200
    while readings.run_one():
        pass
    assert len(library.asked) == 200


def test_wanting_nothing_asks_nothing(project, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert readings.want(project, KIND, {}, "sweep") == {}


def test_a_project_out_of_use_is_not_read_until_somebody_takes_it_up_again(project, library):
    readings.want_one(project, KIND, "1", "sweep")
    project.is_active = False
    project.save()
    assert readings.run_one()
    assert not readings.run_one()
    assert library.asked == []
    assert Reading.objects.get().attempts == 0
    project.is_active = True
    project.save()
    due_now()
    assert readings.run_one()
    assert len(library.asked) == 1


def test_what_is_being_read_while_its_project_is_taken_up_is_not_read_by_another(project, library):
    library.again = timedelta(hours=1)
    readings.want_one(project, KIND, "1", "staff")
    readings.run_one()
    readings.want_one(project, KIND, "2", "staff")

    def taken_up(reading):
        library.meanwhile = None
        readings.take_up(project)
        while readings.run_one():
            pass

    library.meanwhile = taken_up
    readings.run_one()
    assert [thing for thing, _ in library.asked] == ["1", "2", "1"]


def test_taking_up_a_project_reads_what_is_read_of_it_by_itself_and_nothing_else(project, library):
    other = SinchProject.objects.create(name="A", project_id="other", key_id="k", key_secret="s")
    readings.want_one(project, KIND, "has ended", "staff")
    readings.run_one()
    library.again = timedelta(hours=1)
    readings.want_one(project, KIND, "goes on", "staff")
    readings.want_one(other, KIND, "of another project", "staff")
    while readings.run_one():
        pass
    library.asked.clear()
    readings.take_up(project)
    while readings.run_one():
        pass
    assert library.asked == [("goes on", "sweep")]


def test_a_reading_remembers_when_it_left_not_when_it_came_back(project, library):
    moments = []
    library.meanwhile = lambda reading: moments.append(timezone.now())
    readings.want_one(project, KIND, "1", "staff")
    readings.run_one()
    row = Reading.objects.get()
    assert row.read_at <= moments[0]
    assert row.next_try_at is None
    assert row.lease_id is None


def test_a_wish_that_comes_while_it_is_read_is_fulfilled_by_another_reading(project, library):
    def wish(reading):
        if len(library.asked) == 1:
            readings.want_one(project, KIND, "1", "staff")

    library.meanwhile = wish
    readings.want_one(project, KIND, "1", "staff")
    while readings.run_one():
        pass
    assert len(library.asked) == 2
    assert Reading.objects.get().fulfils(Reading.objects.get().requested_at)


def test_a_wish_for_what_is_being_read_takes_no_lease_away(project, library):
    readings.want_one(project, KIND, "1", "staff")
    Reading.claim(Reading.objects.all(), limit=1, seconds=60)
    readings.want_one(project, KIND, "1", "staff")
    assert not readings.run_one()


@pytest.mark.parametrize("cause", ["webhook", "staff"])
def test_what_somebody_waits_for_is_read_before_a_heap_of_sweep(project, library, cause):
    now = timezone.now()
    readings.want(project, KIND, {str(n): now for n in range(20)}, "sweep")
    readings.want_one(project, KIND, "7", cause)
    readings.want_one(project, KIND, "new", cause)
    readings.run_one()
    readings.run_one()
    assert sorted(library.asked) == [("7", cause), ("new", cause)]


def test_what_somebody_waits_for_is_read_before_what_is_due_by_itself(project, library):
    library.again = timedelta(hours=1)
    readings.want_one(project, KIND, "1", "webhook")
    readings.run_one()
    Reading.objects.update(next_try_at=timezone.now() - timedelta(minutes=1))
    readings.want_one(project, KIND, "2", "staff")
    readings.run_one()
    assert library.asked[1:] == [("2", "staff")]


@pytest.mark.parametrize("again", [None, timedelta(hours=1)])
def test_a_sweep_does_not_take_a_wish_of_a_webhook_for_its_own(project, library, again):
    library.again = again
    readings.want_one(project, KIND, "1", "webhook")
    readings.want_one(project, KIND, "1", "sweep")
    readings.run_one()
    readings.want_one(project, KIND, "1", "sweep")
    readings.run_one()
    assert library.asked == [("1", "webhook"), ("1", "sweep")]


def test_a_heap_of_readings_leaves_threads_for_webhooks(project, library, monkeypatch):
    readings.want(project, KIND, {str(n): timezone.now() for n in range(4)}, "sweep")
    monkeypatch.setattr(tasks, "_readers", threading.BoundedSemaphore(1))
    found = []
    library.meanwhile = lambda reading: found.append(tasks.run_readings())
    assert tasks.run_readings() == 4
    assert found == [0, 0, 0, 0]


def test_a_reading_that_ends_its_task_leaves_its_place_to_another(project, library, monkeypatch):
    monkeypatch.setattr(tasks, "_readers", threading.BoundedSemaphore(1))
    readings.want_one(project, KIND, "1", "staff")
    library.error = SystemExit()
    with pytest.raises(SystemExit):
        tasks.run_readings()
    library.error = None
    due_now()
    assert tasks.run_readings() == 1


@pytest.mark.parametrize(("threads", "readers"), [(16, 8), (8, 4), (3, 1), (1, 1)])
def test_no_more_than_half_of_a_workers_threads_read(monkeypatch, threads, readers):
    class Worker:
        concurrency = threads

    monkeypatch.setattr(tasks, "_readers", None)
    tasks.read_with_half(Worker())
    taken = [tasks._readers.acquire(blocking=False) for _ in range(threads)]
    assert taken.count(True) == readers


@pytest.mark.django_db(transaction=True)
def test_a_reading_keeps_its_lease_however_long_it_takes(project, library, monkeypatch):
    monkeypatch.setattr(leases, "RENEWED_EVERY", 0.1)
    library.meanwhile = lambda reading: wait_for(
        lambda: Reading.objects.get().lease_until > reading.lease_until
    )
    readings.want_one(project, KIND, "1", "staff")
    assert readings.run_one()
    assert Reading.objects.get().read_at


def test_a_worker_that_died_while_reading_gives_the_reading_back(project, library):
    readings.want_one(project, KIND, "1", "staff")
    Reading.claim(Reading.objects.all(), limit=1, seconds=60)
    Reading.objects.update(lease_until=timezone.now(), next_try_at=timezone.now())
    assert readings.run_one()
    assert len(library.asked) == 1


def test_a_poll_comes_again_by_itself_and_says_that_nobody_asked(project, library):
    library.again = timedelta(minutes=15)
    readings.want_one(project, KIND, "1", "webhook")
    readings.run_one()
    row = Reading.objects.get()
    wait = row.next_try_at - timezone.now()
    assert timedelta(minutes=14) < wait <= timedelta(minutes=15)
    due_now()
    readings.run_one()
    assert library.asked == [("1", "webhook"), ("1", "sweep")]


def test_a_wish_shortens_the_wait_for_a_poll(project, library):
    library.again = timedelta(hours=1)
    readings.want_one(project, KIND, "1", "staff")
    readings.run_one()
    readings.want_one(project, KIND, "1", "staff")
    assert readings.run_one()
    assert len(library.asked) == 2


def test_an_older_wish_does_not_hide_a_newer_one(project, library):
    now = timezone.now()
    readings.want(project, KIND, {"1": now}, "webhook")
    readings.want(project, KIND, {"1": now - timedelta(hours=1)}, "webhook")
    assert Reading.objects.get().requested_at == now


def test_a_reading_that_fails_is_tried_later_and_later(project, library):
    library.error = SinchUnavailable("no answer")
    readings.want_one(project, KIND, "1", "staff")
    pauses = []
    for _ in range(5):
        due_now()
        readings.run_one()
        row = Reading.objects.get()
        pauses.append((row.next_try_at - timezone.now()).total_seconds())
        assert row.read_at is None
        assert row.last_error
    assert pauses[-1] > pauses[0] * 4
    library.error = None
    due_now()
    readings.run_one()
    row = Reading.objects.get()
    assert (row.attempts, row.last_error) == (0, "")


def test_what_sinch_left_without_an_answer_several_times_is_told_from_what_nobody_could_ask(
    project, library
):
    library.error = SinchUnavailable("no answer")
    readings.want_one(project, KIND, "1", "staff")
    counts = []
    for _ in range(TRIES_UNTIL_SILENT):
        due_now()
        readings.run_one()
        counts.append(readings.unanswered().count())
    assert counts == [0] * (TRIES_UNTIL_SILENT - 1) + [1]
    Reading.objects.update(last_error="")  # its workers died, as far as anybody knows
    assert not readings.unanswered().exists()


def test_a_pause_that_sinch_names_is_heeded(project, library):
    library.error = SinchRateLimited(status=429, retry_after=90.0)
    readings.want_one(project, KIND, "1", "staff")
    readings.run_one()
    assert Reading.objects.get().next_try_at > timezone.now() + timedelta(seconds=80)


def test_a_fault_of_ours_and_an_unknown_kind_are_tried_later(project, library):
    library.error = ZeroDivisionError("ours")
    readings.want_one(project, KIND, "1", "staff")
    readings.want_one(project, "unheard_of", "1", "staff")
    while readings.run_one():
        pass
    said = set(Reading.objects.values_list("last_error", flat=True))
    assert said == {"ZeroDivisionError", "KeyError"}
    assert not Reading.objects.filter(next_try_at__lte=timezone.now()).exists()


def test_webhooks_right_behind_a_reading_share_the_next_one(project, library):
    readings.want_one(project, KIND, "1", "webhook")
    readings.run_one()
    readings.want_one(project, KIND, "1", "webhook")
    readings.want_one(project, KIND, "1", "webhook")
    assert not readings.run_one()
    row = Reading.objects.get()
    assert row.next_try_at <= row.read_at + timedelta(seconds=readings.CALM)
    due_now()
    assert readings.run_one()
    assert not readings.run_one()


def test_a_person_never_waits_for_the_calm(project, library):
    readings.want_one(project, KIND, "1", "webhook")
    readings.run_one()
    readings.want_one(project, KIND, "1", "staff")
    assert readings.run_one()
    readings.want_one(project, KIND, "1", "webhook")
    assert readings.run_one()


def test_a_webhook_long_after_a_reading_is_read_at_once(project, library):
    readings.want_one(project, KIND, "1", "webhook")
    readings.run_one()
    Reading.objects.update(read_at=timezone.now() - timedelta(seconds=readings.CALM + 0.1))
    readings.want_one(project, KIND, "1", "webhook")
    assert readings.run_one()


def test_who_asked_to_be_told_is_told_in_the_same_transaction(project, library, monkeypatch):
    told = []
    monkeypatch.setattr(readings, "_after", [lambda row, at: told.append((row.resource_id, at))])
    readings.want_one(project, KIND, "1", "staff")
    readings.run_one()
    assert told == [("1", Reading.objects.get().read_at)]


def test_a_reading_that_could_not_be_ended_is_told_and_tried_later(project, library, monkeypatch):
    def broken(row, at):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(readings, "_after", [broken])
    readings.want_one(project, KIND, "1", "staff")
    assert readings.run_one()
    stored = Reading.objects.get()
    assert (stored.last_error, stored.lease_id) == ("ZeroDivisionError", None)
    assert stored.read_at is None, "what follows from it did not happen"
    monkeypatch.setattr(readings, "_after", [])
    due_now()
    readings.run_one()
    assert Reading.objects.get().read_at


def test_a_late_answer_does_not_set_the_clock_back(project, library):
    readings.want_one(project, KIND, "1", "staff")
    (slow,) = Reading.claim(Reading.objects.all(), limit=1, seconds=60)
    began = timezone.now()
    newer = began + timedelta(seconds=5)
    readings.finish(slow, newer, None)
    readings.finish(slow, began, None)
    assert Reading.objects.get().read_at == newer


def test_whoever_lost_a_reading_changes_nothing_of_it_but_when_it_was_read(project, library):
    readings.want_one(project, KIND, "1", "staff")
    (slow,) = Reading.claim(Reading.objects.all(), limit=1, seconds=60)
    began = timezone.now()
    Reading.objects.update(next_try_at=began)
    (other,) = Reading.claim(Reading.objects.all(), limit=1, seconds=60)
    Reading.objects.update(last_error="Sinch cannot be reached.")
    readings.finish(slow, began, timedelta(hours=1))
    readings.note_gone(slow)
    stored = Reading.objects.get()
    assert stored.read_at == began
    assert (stored.lease_id, stored.lease_until) == (other.lease_id, other.lease_until)
    assert stored.next_try_at == other.next_try_at
    assert (stored.attempts, stored.last_error) == (2, "Sinch cannot be reached.")
    assert not stored.is_gone


def test_what_is_wanted_again_is_not_gone_any_more(project, library):
    library.meanwhile = readings.note_gone
    readings.want_one(project, KIND, "1", "webhook")
    readings.run_one()
    assert Reading.objects.get().is_gone
    library.meanwhile = None
    readings.want_one(project, KIND, "1", "staff")
    readings.run_one()
    assert not Reading.objects.get().is_gone


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("cause", "pause"), [("staff", 0.0), ("webhook", readings.CALM)])
def test_a_wish_that_comes_while_it_is_read_rings_again_for_when_it_is_due(
    project, library, monkeypatch, cause, pause
):
    """Whoever heard the bell of the wish found the thing being read, and nothing to do."""
    heard = []

    def wish(reading):
        readings.want_one(project, KIND, "1", cause)
        monkeypatch.setattr(doorbell, "ring", lambda task, after=0.0: heard.append((task, after)))

    readings.want_one(project, KIND, "1", "staff")
    library.meanwhile = wish
    readings.run_one()
    assert heard == [(doorbell.READINGS, pause)]


@pytest.mark.django_db(transaction=True)
def test_webhooks_right_behind_a_reading_ring_for_when_they_are_due(project, library, monkeypatch):
    readings.want_one(project, KIND, "1", "webhook")
    readings.run_one()
    heard = []
    monkeypatch.setattr(doorbell, "ring", lambda task, after=0.0: heard.append((task, after)))
    readings.want_one(project, KIND, "1", "webhook")
    assert (doorbell.READINGS, readings.CALM) in heard


def test_a_missed_webhook_is_counted(project, library):
    pk = readings.want_one(project, KIND, "1", "sweep")
    readings.count_missed(Reading.objects.get(pk=pk))
    readings.count_missed(Reading.objects.get(pk=pk))
    assert Reading.objects.get().missed_webhooks == 2


def test_a_wish_rings_after_the_commit(project, rung, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        readings.want_one(project, KIND, "1", "staff")
        assert rung == []
    assert rung == [doorbell.READINGS]


@pytest.mark.django_db(transaction=True)
def test_many_workers_and_many_wishes_lose_nothing(project, library):
    errors = []

    def worker(work):
        try:
            work()
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    def wish():
        for _ in range(10):
            readings.want(project, KIND, {str(n): timezone.now() for n in (3, 1, 2)}, "staff")

    def read():
        for _ in range(40):
            readings.run_one()

    threads = [threading.Thread(target=worker, args=(job,)) for job in (wish, wish, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    while readings.run_one():
        pass
    assert errors == []
    rows = Reading.objects.all()
    assert len(rows) == 3
    assert all(row.fulfils(row.requested_at) and row.next_try_at is None for row in rows)


@pytest.mark.django_db(transaction=True)
def test_two_things_of_a_project_are_claimed_side_by_side_and_one_thing_by_one_only(project):
    for kind in (KIND, "test_list"):
        readings.want_one(project, kind, "1", "staff")

    def claim():
        try:
            return Reading.claim(*readings._queues(), limit=1, seconds=60)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        (first,) = Reading.claim(*readings._queues(), limit=1, seconds=60)
        (second,) = pool.submit(claim).result(20)  # while the first claim is not on disk yet
        assert pool.submit(claim).result(20) == []
    assert {first.kind, second.kind} == {KIND, "test_list"}


@pytest.mark.django_db(transaction=True)
def test_who_wishes_for_several_at_once_never_waits_for_another_who_does(project):
    readings.want(project, KIND, {str(n): timezone.now() for n in (1, 2)}, "sweep")

    def wish():
        try:
            readings.want(project, KIND, {str(n): timezone.now() for n in (2, 1)}, "staff")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():  # another one, who has come as far as the first
            Reading.objects.select_for_update().get(resource_id="1")
            wished = pool.submit(wish)
            wait_for(somebody_waits_for_a_lock, what="the wish")
            Reading.objects.select_for_update(nowait=True).get(resource_id="2")
        wished.result(20)
    assert set(Reading.objects.values_list("cause", flat=True)) == {"staff"}
