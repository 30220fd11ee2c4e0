"""What deliveries lead to: few readings, one fate each, and nothing lost on the way."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal.accounts.models import SinchProject
from portal.operations import doorbell, leases, readings
from portal.operations.models import Reading
from portal.sinch.errors import SinchNotFound, SinchUnavailable
from tests.tools import somebody_waits_for_a_lock, wait_for
from tests.webhooks.tools import work
from webhooks import dispatch, fates
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db
State, Verdict = Delivery.State, Delivery.Verdict
EVENT = {"type": "ORDER_UPDATED", "orderId": 40118273}


@pytest.fixture(autouse=True)
def _unheard(rung):
    """Nobody hears the doorbell; the tests do the work themselves."""


def due_now(*rows):
    """Let the time pass after which these rows are looked at again."""
    for row in rows:
        type(row).objects.filter(pk=row.pk).update(next_try_at=timezone.now(), lease_until=None)


def test_a_delivery_makes_the_order_read_again_and_is_done_with_it(deliver, reader, project):
    deliver(EVENT)
    assert dispatch.process_some()
    row = Delivery.objects.get()
    assert row.state == State.WAITING
    assert row.event_type == "ORDER_UPDATED"
    assert (row.reading.project, row.reading.resource_id) == (project, "40118273")
    assert row.processed_at is None
    work()
    row.refresh_from_db()
    assert reader.asked == ["40118273"]
    assert row.state == State.DONE
    assert row.processed_at
    assert row.next_try_at is None


def test_an_order_nobody_knows_here_is_new_and_a_known_one_known(deliver, reader, make_order):
    make_order("40118273")
    deliver(EVENT)
    deliver(EVENT | {"orderId": "555"})
    work()
    known, new = Delivery.objects.order_by("pk")
    assert (known.verdict, new.verdict) == (Verdict.KNOWN, Verdict.NEW)
    assert known.outcome.startswith("Read again 0.")
    assert new.outcome == "Order read for the first time, 0 numbers"


@pytest.mark.parametrize(
    ("body", "verdict", "outcome"),
    [
        (b"{broken", Verdict.NOT_JSON, dispatch.NOT_JSON),
        (b"", Verdict.NOT_JSON, dispatch.NOT_JSON),
        (b"[1, 2]", Verdict.UNKNOWN_EVENT, dispatch.NO_ORDER),
        (b'{"type": "ORDER_UPDATED"}', Verdict.UNKNOWN_EVENT, dispatch.NO_ORDER),
    ],
)
def test_what_names_no_order_is_set_aside_and_kept(deliver, reader, body, verdict, outcome):
    deliver(body)
    work()
    row = Delivery.objects.get()
    assert (row.state, row.verdict, row.outcome) == (State.SET_ASIDE, verdict, outcome)
    assert row.raw == body
    assert row.next_try_at is None
    assert row.processed_at
    assert Delivery.objects.filter(dispatch.needs_a_look()).exists()
    assert reader.asked == []


def test_an_unknown_event_has_its_order_read_all_the_same(deliver, reader):
    deliver({"type": "ORDER_SPLIT", "orderId": 17})
    work()
    row = Delivery.objects.get()
    assert reader.asked == ["17"]
    assert (row.state, row.verdict) == (State.DONE, Verdict.UNKNOWN_EVENT)
    assert row.outcome == "Order read all the same; this desk does not know the word"


def test_an_event_whose_word_grows_in_capitals_has_its_order_read(deliver, reader):
    deliver({"type": "ß" * 40, "orderId": 17})
    work()
    row = Delivery.objects.get()
    assert reader.asked == ["17"]
    assert (row.state, row.event_type) == (State.DONE, "S" * 60)


def test_a_repeat_is_told_as_one_and_loses_no_news(deliver, reader, make_order):
    make_order("40118273")
    deliver(EVENT)
    work()
    deliver(EVENT)
    work()
    first, repeat = Delivery.objects.order_by("pk")
    assert (first.verdict, repeat.verdict) == (Verdict.KNOWN, Verdict.REPEAT)
    assert repeat.outcome.startswith("Same event as one 0.")
    assert repeat.state == State.WAITING
    due_now(Reading.objects.get())
    work()
    repeat.refresh_from_db()
    # The order may have gone and come back: the same words can tell something new.
    assert repeat.state == State.DONE
    assert repeat.outcome.endswith("; read again all the same")
    assert len(reader.asked) == 2


def test_the_same_words_a_day_later_or_about_another_order_are_no_repeat(deliver, reader):
    deliver(EVENT)
    deliver(EVENT | {"orderId": 18})
    Delivery.objects.update(received_at=timezone.now() - timedelta(hours=25))
    work()
    deliver(EVENT)
    work()
    verdicts = list(Delivery.objects.order_by("pk").values_list("verdict", flat=True))
    assert verdicts == [Verdict.NEW, Verdict.NEW, Verdict.NEW]


def test_words_that_came_days_ago_as_well_are_a_repeat_of_those_of_the_last_hour(deliver, reader):
    for age in (timedelta(days=3), timedelta(hours=1)):
        deliver(EVENT)
        newest = Delivery.objects.latest("pk")
        Delivery.objects.filter(pk=newest.pk).update(received_at=timezone.now() - age)
        work()
    deliver(EVENT)
    work()
    assert Delivery.objects.latest("pk").outcome.startswith("Same event as one 60 min before")


def test_a_later_reading_changes_nothing_of_what_became_of_those_before(deliver, reader, project):
    deliver(EVENT)
    work()
    before = Delivery.objects.values().get()
    readings.want_one(project, dispatch.READER, "40118273", "staff")
    deliver(EVENT | {"type": "ORDER_CONFIRMED"})
    work()
    assert Delivery.objects.values().get(pk=before["id"]) == before


def test_a_reading_that_left_after_the_delivery_covers_it(deliver, reader, project):
    deliver(EVENT)
    readings.want_one(project, dispatch.READER, "40118273", "staff")
    readings.run_one()
    work()
    row = Delivery.objects.get()
    assert reader.asked == ["40118273"]
    assert row.state == State.DONE
    assert row.outcome.startswith("Covered by a reading 0.")


def test_a_reading_that_left_before_the_delivery_does_not_cover_it(deliver, reader, project):
    readings.want_one(project, dispatch.READER, "40118273", "staff")
    readings.run_one()
    deliver(EVENT)
    work()
    assert reader.asked == ["40118273", "40118273"]


def test_five_hundred_deliveries_about_one_order_are_one_reading(deliver, reader):
    for number in range(500):
        deliver(EVENT | {"number": number})
    work()
    assert reader.asked == ["40118273"]
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.DONE}
    newest = Delivery.objects.latest("pk")
    assert newest.verdict == Verdict.NEW
    assert Delivery.objects.count() == 500


def test_five_hundred_that_come_while_it_is_read_are_a_second_reading(deliver, reader, make_order):
    make_order("40118273")

    def more():
        if len(reader.asked) == 1:
            for number in range(499):
                deliver(EVENT | {"number": number})
                dispatch.process_some()

    reader.meanwhile = more
    deliver(EVENT)
    work()
    assert Delivery.objects.filter(state=State.WAITING).count() == 499
    due_now(Reading.objects.get())
    work()
    assert len(reader.asked) == 2
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.DONE}
    said = list(Delivery.objects.order_by("-pk").values_list("outcome", flat=True)[:2])
    assert said[0].startswith("Read again 0.")
    assert said[1] == "Covered by the same reading"


def test_a_reading_that_left_between_two_deliveries_of_a_batch_is_followed_by_another(
    deliver, reader, project
):
    deliver(EVENT)

    def another_comes():
        if len(reader.asked) == 1:
            deliver(EVENT | {"number": 2})
            dispatch.process_some()

    reader.meanwhile = another_comes
    readings.want_one(project, dispatch.READER, "40118273", "staff")
    readings.run_one()
    states = list(Delivery.objects.order_by("pk").values_list("state", flat=True))
    assert states == [State.DONE, State.WAITING]
    assert Reading.objects.get().next_try_at <= timezone.now() + timedelta(seconds=readings.CALM)


def test_a_stream_of_webhooks_is_read_a_little_apart(deliver, reader):
    """The first is read at once; what comes right behind it shares one reading a moment later."""
    deliver(EVENT)
    work()
    deliver(EVENT | {"n": 2})
    work()
    reading = Reading.objects.get()
    assert len(reader.asked) == 1
    assert (
        timezone.now() < reading.next_try_at <= reading.read_at + timedelta(seconds=readings.CALM)
    )


def test_a_batch_costs_the_same_statements_however_many_are_in_it(deliver, reader):
    def statements(count):
        for number in range(count):
            deliver(EVENT | {"number": number, "orderId": 1000 + number})
        with CaptureQueriesContext(connection) as seen:
            assert dispatch.process_some()
        return len(seen)

    assert statements(2) == statements(150)


@pytest.mark.django_db(transaction=True)
def test_who_hears_that_there_is_something_to_read_finds_the_deliveries_that_wait_for_it(
    deliver, reader, monkeypatch
):
    """A reading that ended before they wait for it would leave them to the next sweep."""
    deliver(EVENT)
    found = []
    monkeypatch.setattr(
        doorbell, "ring", lambda task, after=0.0: found.append(Delivery.objects.get().state)
    )
    dispatch.process_some()
    assert found == [State.WAITING]


def test_nothing_due_is_no_work(reader):
    assert not dispatch.process_some()


# --- What can break ---------------------------------------------------------------------------


def test_a_worker_that_dies_after_the_claim_leaves_the_row_to_the_next(deliver, reader):
    deliver(EVENT)
    (claimed,) = Delivery.claim(Delivery.objects.all(), limit=5, seconds=60)
    assert not dispatch.process_some()
    due_now(claimed)
    work()
    assert Delivery.objects.get().state == State.DONE


@pytest.mark.django_db(transaction=True)
def test_a_batch_keeps_its_leases_however_long_it_takes(deliver, reader, monkeypatch):
    monkeypatch.setattr(leases, "RENEWED_EVERY", 0.1)
    deliver(EVENT)
    judge = dispatch._judge

    def slow(fate, round_):
        wait_for(lambda: Delivery.objects.get().lease_until > fate.delivery.lease_until)
        judge(fate, round_)

    monkeypatch.setattr(dispatch, "_judge", slow)
    work()
    assert Delivery.objects.get().state == State.DONE


def test_a_worker_that_lost_its_lease_writes_nothing(deliver, reader):
    deliver(EVENT)
    (slow,) = Delivery.claim(Delivery.objects.all(), limit=5, seconds=60)
    due_now(slow)
    work()
    done = Delivery.objects.get()
    dispatch._settle([slow])
    again = Delivery.objects.get()
    assert (again.state, again.processed_at) == (State.DONE, done.processed_at)


def test_a_waiting_delivery_whose_reading_was_done_unheard_is_finished_by_the_sweep(
    deliver, reader
):
    deliver(EVENT)
    dispatch.process_some()
    row = Delivery.objects.get()
    Reading.objects.update(read_at=timezone.now(), next_try_at=None)
    due_now(row)
    work()
    row.refresh_from_db()
    assert row.state == State.DONE
    assert row.outcome.startswith("Covered by a reading")
    assert reader.asked == []


def test_a_waiting_delivery_whose_reading_is_gone_asks_again(deliver, reader):
    deliver(EVENT)
    dispatch.process_some()
    Reading.objects.all().delete()
    due_now(Delivery.objects.get())
    work()
    assert reader.asked == ["40118273"]
    assert Delivery.objects.get().state == State.DONE


def test_while_sinch_is_away_a_delivery_waits_and_then_a_person_is_asked(deliver, reader):
    reader.error = SinchUnavailable("no answer")
    deliver(EVENT)
    work()
    row = Delivery.objects.get()
    for _ in range(fates.MOST_TRIES - 1):
        assert row.state == State.WAITING
        assert row.next_try_at > timezone.now() + timedelta(seconds=40)
        due_now(row)
        work()
        row.refresh_from_db()
    assert (row.state, row.outcome) == (State.DEAD, fates.STOPPED)
    assert row.next_try_at is None
    assert Delivery.objects.filter(dispatch.needs_a_look()).exists()


def test_deliveries_that_wait_in_vain_are_looked_at_later_and_later_and_not_all_at_once(
    deliver, reader
):
    reader.error = SinchUnavailable("no answer")
    for number in range(8):
        deliver(EVENT | {"orderId": 100 + number})
    work()
    pauses = []
    for _ in range(fates.MOST_TRIES - 2):
        due_now(*Delivery.objects.all())
        now = timezone.now()
        dispatch.process_some()
        waits = Delivery.objects.values_list("next_try_at", flat=True)
        pauses.append([(due - now).total_seconds() for due in waits])
    assert min(pauses[-1]) > 3 * max(pauses[0])
    assert max(pauses[-1]) <= 1.5 * leases.LONGEST_PAUSE
    assert max(pauses[-1]) - min(pauses[-1]) > 5


def test_a_delivery_that_is_understood_at_the_last_try_is_read(deliver, reader):
    deliver(EVENT)
    Delivery.objects.update(attempts=fates.MOST_TRIES - 1)
    dispatch.process_some()
    soon = timezone.now() + timedelta(seconds=fates.WAIT_SECONDS)
    assert Delivery.objects.get().next_try_at < soon
    work()
    assert Delivery.objects.get().state == State.DONE
    assert reader.asked == ["40118273"]


def test_a_delivery_given_up_is_done_all_the_same_when_sinch_is_back(deliver, reader):
    reader.error = SinchUnavailable("no answer")
    deliver(EVENT)
    work()
    Delivery.objects.update(state=State.DEAD, next_try_at=None)
    reader.error = None
    due_now(Reading.objects.get())
    work()
    assert Delivery.objects.get().state == State.DONE


def test_one_odd_delivery_does_not_hold_up_the_others(deliver, reader, monkeypatch):
    for number in range(5):
        deliver(EVENT | {"orderId": 100 + number})
    judge = dispatch._judge

    def odd(fate, round_):
        if fate.resource_id == "102":
            raise OperationalError("odd")
        judge(fate, round_)

    monkeypatch.setattr(dispatch, "_judge", odd)
    work()
    states = dict(Delivery.objects.order_by("pk").values_list("pk", "state"))
    assert list(states.values()).count(State.DONE) == 4
    left = Delivery.objects.get(state=State.RECEIVED)
    assert left.last_error == "OperationalError"
    assert left.next_try_at > timezone.now()
    for _ in range(fates.MOST_TRIES - 1):
        assert left.state == State.RECEIVED
        due_now(left)
        work()
        left.refresh_from_db()
    assert left.state == State.DEAD


def test_a_body_no_key_decrypts_is_told_and_holds_up_nobody(deliver, reader, settings):
    deliver(EVENT)
    old = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    deliver(EVENT | {"orderId": 5})
    work()
    lost, fine = Delivery.objects.defer("body").order_by("pk")
    assert (lost.state, lost.outcome) == (State.DEAD, dispatch.UNDECIPHERABLE)
    assert fine.state == State.DONE
    settings.ENCRYPTION_KEYS = old
    dispatch.process_again(Delivery.objects.filter(pk=lost.pk))
    work()
    assert Delivery.objects.get(pk=lost.pk).state == State.DONE


def test_a_body_that_is_damaged_is_told_at_once(deliver, reader):
    deliver(EVENT)
    Delivery.objects.update(is_compressed=True)
    work()
    row = Delivery.objects.get()
    assert (row.state, row.outcome) == (State.DEAD, dispatch.UNDECIPHERABLE)


def test_an_order_sinch_does_not_know_is_told(deliver, reader):
    def gone():
        Reading.objects.update(is_gone=True)

    reader.meanwhile = gone
    deliver(EVENT)
    work()
    row = Delivery.objects.get()
    assert row.state == State.DONE
    assert row.outcome == "Sinch answers that there is no such order"


def test_a_reader_that_lets_a_404_through_is_tried_again(deliver, reader):
    reader.error = SinchNotFound("not there", status=404)
    deliver(EVENT)
    work()
    assert Delivery.objects.get().state == State.WAITING


def test_processing_again_reads_the_order_anew(
    deliver, reader, rung, django_capture_on_commit_callbacks
):
    deliver(EVENT)
    work()
    before = Delivery.objects.get()
    rung.clear()
    with django_capture_on_commit_callbacks(execute=True):
        assert dispatch.process_again(Delivery.objects.all()) == 1
    assert {doorbell.DELIVERIES, doorbell.READINGS} == set(rung)
    work()
    row = Delivery.objects.get()
    assert reader.asked == ["40118273", "40118273"]
    assert row.state == State.DONE
    assert row.processed_at > before.processed_at
    assert row.verdict == before.verdict


def test_one_that_was_given_up_is_waited_for_as_long_as_at_first_when_processed_again(
    deliver, reader
):
    deliver(EVENT)
    Delivery.objects.update(state=State.DEAD, next_try_at=None, attempts=fates.MOST_TRIES)
    reader.error = SinchUnavailable("no answer")
    dispatch.process_again(Delivery.objects.all())
    for _ in range(2):
        work()
        row = Delivery.objects.get()
        assert row.state == State.WAITING
        due_now(row)


def test_one_that_fails_once_more_is_to_be_looked_at_though_the_first_time_was(deliver, reader):
    deliver(EVENT)
    deliver(b"{")
    work()
    Delivery.objects.filter(resource_id="40118273").update(state=State.DEAD, next_try_at=None)
    dispatch.mark_seen(Delivery.objects.values_list("pk", flat=True))
    looked_at = Delivery.objects.filter(dispatch.needs_a_look())
    assert not looked_at.exists()
    dispatch.process_again(Delivery.objects.all())
    work()
    assert not looked_at.exists(), "what is odd is no odder than it was"
    Delivery.objects.filter(resource_id="40118273").update(state=State.DEAD, next_try_at=None)
    assert looked_at.get().resource_id == "40118273"


def test_a_body_that_was_not_readable_stays_so_when_processed_again(deliver, reader):
    deliver(b"{")
    work()
    dispatch.process_again(Delivery.objects.all())
    work()
    assert Delivery.objects.get().state == State.SET_ASIDE


def test_no_delivery_is_looked_into_inside_a_reading(deliver, reader, project):
    """What another app reads is none of the deliveries' business."""
    other = Reading.objects.create(project=project, kind="configuration", resource_id="1")
    deliver(EVENT)
    dispatch.process_some()
    dispatch.finish_waiting(other, timezone.now())
    assert Delivery.objects.get().state == State.WAITING


@pytest.mark.django_db(transaction=True)
def test_many_workers_share_the_deliveries_and_the_readings(deliver, reader, make_order):
    make_order("40118273")
    for number in range(300):
        deliver(EVENT | {"number": number, "orderId": 40118273 + number % 3})
    errors = []

    def worker():
        try:
            work()
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    due_now(*Reading.objects.filter(next_try_at__isnull=False))
    work()
    assert errors == []
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.DONE}
    assert 3 <= len(reader.asked) <= 6


@pytest.mark.django_db(transaction=True)
def test_batches_about_several_projects_never_wait_for_each_other(deliver, reader, project):
    other = SinchProject.objects.create(name="A", project_id="other", key_id="k", key_secret="s")
    for number, owner in ((1, other), (2, project)):
        deliver(EVENT | {"orderId": number})
        Delivery.objects.filter(pk=Delivery.objects.latest("pk").pk).update(project=owner)
        readings.want_one(owner, dispatch.READER, str(number), "sweep")

    def process():
        try:
            return dispatch.process_some()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():  # another one, that has come as far as the first project
            Reading.objects.select_for_update().get(project=project)
            processed = pool.submit(process)
            wait_for(somebody_waits_for_a_lock, what="the batch")
            Reading.objects.select_for_update(nowait=True).get(project=other)
        assert processed.result(20)
    work()
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.DONE}


def test_this_room_speaks_to_sinch_only_through_readings():
    for path in Path(dispatch.__file__).parent.glob("*.py"):
        assert "porting_client" not in path.read_text(), path.name
