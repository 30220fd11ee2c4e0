"""Writes: once and only once, whatever breaks on the way."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone

from portal.operations import actions, clients, doorbell, leases, runner
from portal.operations.models import Operation
from portal.operations.runner import LOOK_PAUSES, MOST_SENDS, PATIENCE, Refused
from portal.sinch.errors import SinchInvalidRequest, SinchRateLimited, SinchUnavailable, Violation
from portal.work.models import TimelineEntry
from tests.tools import lose, somebody_waits_for_a_lock, wait_for

pytestmark = pytest.mark.django_db
State = Operation.State
LOST = SinchUnavailable("read time-out", outcome_unknown=True)
AWAY = SinchUnavailable("connection refused")


def due_now(operation, **values):
    """Let the time pass after which an operation is taken up again."""
    Operation.objects.filter(pk=operation.pk).update(next_try_at=timezone.now(), **values)


def run(operation, **values):
    """Take an operation one step further, whenever that would be due."""
    due_now(operation, **values)
    assert runner.run_one()
    operation.refresh_from_db()
    return operation


def test_a_write_is_sent_once_and_settled(write, desk, rung):
    operation = write(n=7)
    assert runner.run_one()
    assert not runner.run_one()
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED
    assert operation.answer == {"id": "7"}
    assert operation.finished_at
    assert operation.next_try_at is None
    assert desk.told == [("succeeded", "7")]


def test_the_state_is_on_disk_before_the_request_leaves(write, desk):
    operation = write()
    seen = []
    send = desk.send
    desk.send = lambda op: (
        seen.append((Operation.objects.get().state, connection.in_atomic_block)),
        send(op),
    )[1]
    runner.run_one()
    assert seen[0][0] == State.SENDING
    assert Operation.objects.get().sent_at
    assert operation.sent_at is None


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_sinch_is_asked(write, desk):
    write()
    inside = []
    send, find = desk.send, desk.find_out
    desk.send = lambda op: (inside.append(connection.in_atomic_block), send(op))[1]
    desk.find_out = lambda op: (inside.append(connection.in_atomic_block), find(op))[1]
    desk.after = LOST
    operation = Operation.objects.get()
    run(operation)
    run(operation)
    assert inside == [False, False]
    assert operation.state == State.SUCCEEDED


@pytest.mark.django_db(transaction=True)
def test_a_write_keeps_its_lease_however_long_it_takes(write, desk, monkeypatch):
    monkeypatch.setattr(leases, "RENEWED_EVERY", 0.1)
    operation, send = write(), desk.send

    def slow(op):
        wait_for(lambda: Operation.objects.get().lease_until > op.lease_until)
        return send(op)

    desk.send = slow
    assert runner.run_one()
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED


def test_a_worker_that_slept_for_longer_than_its_write_may_take_sends_nothing_when_it_wakes(
    write, desk, sandbox, porting_client, monkeypatch
):
    order = sandbox.control.create_order(["+12065550140"])

    def send(operation):
        return dict(porting_client.add_order_note(str(order.id), "Hello"))

    monkeypatch.setattr(desk, "send", send)
    # By now others have looked for it, found no trace, and may have sent it.
    monkeypatch.setattr(type(desk), "flight_seconds", 0.0)
    operation = run(write())
    assert operation.state == State.QUEUED
    assert "addOrderNote" not in sandbox.control.calls()
    monkeypatch.setattr(type(desk), "flight_seconds", runner.FLIGHT_SECONDS)
    run(operation)
    assert operation.state == State.SUCCEEDED
    assert sandbox.control.calls()["addOrderNote"] == 1


def test_a_refusal_ends_it_with_what_sinch_said(write, desk):
    desk.before = SinchInvalidRequest(
        status=422,
        sinch_message="Invalid order",
        violations=[Violation("phoneNumbers[0].endUser.state", "must be two letters")],
    )
    operation = run(write())
    assert operation.state == State.REFUSED
    assert operation.answer["status"] == 422
    assert operation.violations == [
        {"field": "phoneNumbers[0].endUser.state", "description": "must be two letters"}
    ]
    assert "Invalid order" in operation.staff_message
    assert desk.told == [("failed", "refused")]
    assert not runner.run_one()


def test_a_handler_may_refuse_before_anything_leaves(write, desk):
    desk.before = Refused("The order is confirmed by now.", status=200, judged="the status")
    operation = run(write())
    assert (operation.state, operation.staff_message) == (
        State.REFUSED,
        "The order is confirmed by now.",
    )
    assert operation.answer == {"status": 200, "judged": "the status"}


def test_while_sinch_is_away_it_waits_and_is_sent_later(write, desk):
    desk.before = AWAY
    operation = run(write())
    assert operation.state == State.QUEUED
    assert operation.next_try_at > timezone.now()
    assert operation.staff_message == AWAY.staff_message
    desk.before = None
    run(operation)
    assert operation.state == State.SUCCEEDED
    assert operation.staff_message == ""
    assert desk.there == [operation.pk]


def test_sinch_naming_a_pause_is_heeded(write, desk):
    desk.before = SinchRateLimited(status=429, retry_after=120.0)
    operation = run(write())
    assert operation.next_try_at > timezone.now() + timedelta(seconds=110)


def test_however_often_sinch_was_away_it_is_asked_again_within_a_minute(write, desk):
    desk.before = AWAY
    operation = run(write(), attempts=MOST_SENDS - 2)
    assert operation.state == State.QUEUED
    assert operation.next_try_at < timezone.now() + timedelta(minutes=1)
    desk.before, desk.finding = LOST, AWAY
    run(operation)
    run(operation, attempts=MOST_SENDS)
    assert operation.state == State.UNCERTAIN
    assert operation.next_try_at < timezone.now() + timedelta(minutes=1)


def test_after_many_tries_that_did_nothing_a_person_is_asked(write, desk):
    desk.before = AWAY
    operation = write()
    Operation.objects.update(attempts=MOST_SENDS - 1)
    run(operation)
    assert operation.state == State.DEAD
    assert operation.next_try_at is None
    assert desk.told == [("failed", "dead")]


# --- Lost answers -----------------------------------------------------------------------------


def test_a_lost_answer_is_looked_up_and_never_sent_again_when_it_was_done(write, desk):
    desk.after = LOST
    operation = run(write())
    assert operation.state == State.UNCERTAIN
    assert operation.uncertain_since
    run(operation)
    assert operation.state == State.SUCCEEDED
    assert operation.answer == {"id": "found"}
    assert desk.sent == [operation.pk]
    assert desk.told == [("uncertain", ""), ("succeeded", "found")]


def test_a_write_that_left_no_trace_is_sent_again_after_several_looks(write, desk):
    desk.before = LOST
    operation = run(write())
    desk.before = None
    looks = 0
    while operation.state == State.UNCERTAIN:
        assert desk.sent == [operation.pk], "not sent again before it was looked for long enough"
        run(operation)
        looks += 1
        assert looks < 20
    assert looks == len(LOOK_PAUSES)
    assert operation.state == State.QUEUED
    assert operation.uncertain_since is None
    run(operation)
    assert operation.state == State.SUCCEEDED
    assert desk.there == [operation.pk]


def test_a_write_whose_answer_is_lost_every_time_stops_and_a_person_is_asked(write, desk):
    desk.before = LOST
    operation = write()
    for _ in range(MOST_SENDS * 3):
        run(operation)
        if operation.state == State.DEAD:
            break
    assert operation.state == State.DEAD
    assert len(desk.sent) <= MOST_SENDS // len(LOOK_PAUSES)
    assert operation.uncertain_since, "tried again it is looked up first"
    assert "no trace" in operation.staff_message.lower()
    assert desk.told[-1] == ("failed", "dead")


def test_a_refusal_of_a_worker_that_lost_its_lease_does_not_end_the_write(write, desk):
    """Somebody else has it in hand by then, and may have had it done."""
    desk.before = SinchInvalidRequest(status=422, sinch_message="Invalid order")
    operation = write()
    (slow,) = Operation.claim(Operation.objects.all(), limit=1, seconds=45)
    send = desk.send

    def while_another_takes_over(op):
        Operation.objects.update(lease_id=uuid.uuid4())
        return send(op)

    desk.send = while_another_takes_over
    runner._step(slow)
    operation.refresh_from_db()
    assert operation.state == State.SENDING
    assert desk.told == []


def test_an_answer_lost_after_another_worker_settled_the_write_changes_nothing(write, desk):
    """The machine stood still, or the database was away for longer than the lease."""
    operation = write()
    send = desk.send

    def while_another_settles_it(op):
        desk.there.append(op.pk)
        due_now(op)
        assert runner.run_one()
        raise LOST

    desk.send = while_another_settles_it
    assert runner.run_one()
    desk.send = send
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED
    assert operation.next_try_at is None
    assert desk.told.count(("succeeded", "found")) == 1
    assert desk.told[-1] == ("succeeded", "found")


def test_a_yes_that_comes_after_another_worker_settled_the_write_is_settled_once(write, desk):
    operation, send = write(), desk.send

    def while_another_settles_it(op):
        answer = send(op)
        due_now(op)
        assert runner.run_one()
        return answer

    desk.send = while_another_settles_it
    assert runner.run_one()
    operation.refresh_from_db()
    assert operation.answer == {"id": "found"}
    assert desk.told == [("uncertain", ""), ("succeeded", "found")]


def test_a_lost_answer_says_nothing_of_a_write_that_another_worker_has_in_hand(write, desk):
    operation = write()
    desk.after, send = LOST, desk.send

    def while_another_takes_over(op):
        Operation.objects.update(lease_id=uuid.uuid4())
        return send(op)

    desk.send = while_another_takes_over
    assert runner.run_one()
    operation.refresh_from_db()
    assert (operation.state, operation.uncertain_since) == (State.SENDING, None)
    assert desk.told == []


@pytest.mark.parametrize("late", [None, LOST, AWAY, Refused("The order is confirmed by now.")])
def test_what_comes_after_another_worker_had_a_refusal_changes_nothing_of_it(write, desk, late):
    operation, send = write(), desk.send
    desk.finding = Refused("Somebody else changed the order.")

    def while_another_looks_for_it(op):
        answer = send(op)
        due_now(op)
        assert runner.run_one()
        if late:
            raise late
        return answer

    desk.send = while_another_looks_for_it
    assert runner.run_one()
    operation.refresh_from_db()
    assert (operation.state, operation.next_try_at) == (State.REFUSED, None)
    assert operation.staff_message == "Somebody else changed the order."
    assert desk.told == [("uncertain", ""), ("failed", "refused")]


def test_what_is_finished_and_due_all_the_same_is_put_away(write, desk):
    operation = run(run(write()))
    assert (operation.state, operation.next_try_at) == (State.SUCCEEDED, None)
    assert desk.sent == [operation.pk]


def test_a_yes_settles_a_write_that_another_worker_has_in_hand_by_now(write, desk):
    operation, send = write(), desk.send

    def while_another_takes_over(op):
        answer = send(op)
        Operation.objects.update(lease_id=uuid.uuid4())
        return answer

    desk.send = while_another_takes_over
    assert runner.run_one()
    operation.refresh_from_db()
    assert (operation.state, operation.lease_id) == (State.SUCCEEDED, None)
    assert desk.told == [("succeeded", "0")]


@pytest.mark.django_db(transaction=True)
def test_a_yes_that_comes_while_another_worker_settles_the_write_waits_for_that(write, desk):
    operation, send, settled = write(), desk.send, threading.Event()

    def settle():
        try:
            with transaction.atomic():
                Operation.objects.update(state=State.SUCCEEDED, lease_id=None, next_try_at=None)
                settled.set()
                wait_for(somebody_waits_for_a_lock, what="who heard the yes")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        desk.send = lambda op: (pool.submit(settle), settled.wait(20), send(op))[2]
        assert runner.run_one()
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED
    assert desk.told == []


def test_a_worker_that_lost_its_write_does_not_look_for_it_either(write, desk):
    operation = write()
    desk.after = LOST
    run(operation)
    due_now(operation, state=State.SENDING)
    (slow,) = Operation.claim(Operation.objects.all(), limit=1, seconds=45)
    due_now(operation)
    assert runner.run_one()
    told = list(desk.told)
    runner._step(slow)
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED
    assert desk.told == told


def test_nothing_is_sent_for_a_project_out_of_use_and_staff_are_told(write, desk, project):
    operation = write()
    project.is_active = False
    project.save()
    run(operation)
    assert operation.state == State.REFUSED
    assert "out of use" in operation.staff_message
    assert desk.sent == []
    assert desk.told == [("failed", State.REFUSED)]


def test_a_write_whose_worker_is_gone_is_looked_for_at_once_and_sent_again_only_later(write, desk):
    """The worker may be cut off and not dead: its request could still be on its way."""
    operation = write()
    now = timezone.now()
    Operation.objects.update(
        state=State.SENDING, sent_at=now, flies_until=now + timedelta(seconds=45), attempts=1
    )
    for _ in range(len(LOOK_PAUSES) * 2):
        run(operation)
    assert operation.state == State.UNCERTAIN
    assert operation.looks == 0
    Operation.objects.update(flies_until=now)
    for _ in LOOK_PAUSES:
        run(operation)
    assert operation.state == State.QUEUED


def test_the_looks_grow_apart(write, desk):
    desk.before = LOST
    operation = run(write())
    pauses = []
    for _ in LOOK_PAUSES[1:]:
        run(operation)
        pauses.append((operation.next_try_at - timezone.now()).total_seconds())
    assert pauses == sorted(pauses)
    assert pauses[-1] > LOOK_PAUSES[-1] * 0.5


def test_a_second_lost_answer_is_given_its_own_patience(write, desk):
    """What was looked for in vain an hour ago says nothing about the write sent just now."""
    desk.before = LOST
    operation = run(write())
    Operation.objects.update(uncertain_since=timezone.now() - PATIENCE * 2)
    while operation.state == State.UNCERTAIN:
        run(operation)
    run(operation)
    assert operation.state == State.UNCERTAIN
    desk.finding = AWAY
    run(operation)
    assert operation.state == State.UNCERTAIN


def test_while_sinch_cannot_be_asked_it_stays_uncertain_and_then_a_person_is_asked(write, desk):
    desk.after = LOST
    operation = run(write())
    desk.finding = AWAY
    for _ in range(10):
        run(operation)
        assert operation.state == State.UNCERTAIN
    Operation.objects.update(uncertain_since=timezone.now() - PATIENCE - timedelta(seconds=1))
    run(operation)
    assert operation.state == State.DEAD
    assert "could not be asked" in operation.staff_message
    assert desk.sent == [operation.pk]


def test_a_look_up_may_forbid_sending_again(write, desk):
    desk.before = LOST
    operation = run(write())
    desk.finding = Refused("Taken, and not as sent.", status=200, judged="the port date")
    run(operation)
    assert operation.state == State.REFUSED
    assert operation.answer == {"status": 200, "judged": "the port date"}


def test_a_worker_that_dies_while_sending_leaves_a_write_that_is_looked_up(write, desk):
    operation = write()
    (claimed,) = Operation.claim(Operation.objects.all(), limit=1, seconds=45)
    Operation.objects.update(state=State.SENDING, sent_at=timezone.now())
    desk.there.append(claimed.pk)
    run(operation)
    assert operation.state == State.SUCCEEDED
    assert desk.sent == []


def test_a_worker_that_dies_before_sending_costs_nothing_but_time(write, desk):
    operation = write()
    Operation.claim(Operation.objects.all(), limit=1, seconds=45)
    assert not runner.run_one()
    run(operation)
    assert operation.state == State.SUCCEEDED


def test_a_worker_that_lost_its_lease_sends_nothing(write, desk):
    write()
    (slow,) = Operation.claim(Operation.objects.all(), limit=1, seconds=45)
    due_now(slow)
    assert runner.run_one()
    runner._step(slow)
    assert desk.sent == [slow.pk]


# --- Faults of ours ---------------------------------------------------------------------------


def test_a_fault_of_ours_while_sending_is_looked_up_before_anything_is_sent_again(write, desk):
    desk.after = ZeroDivisionError("ours")
    operation = run(write())
    assert operation.state == State.SENDING
    assert operation.last_error == "ZeroDivisionError"
    desk.after = None
    run(operation)
    assert (operation.state, operation.last_error) == (State.SUCCEEDED, "")
    assert desk.sent == [operation.pk]


def test_a_fault_while_a_success_is_settled_undoes_the_settling_and_keeps_the_write(write, desk):
    desk.settling = ZeroDivisionError("ours")
    operation = run(write())
    assert operation.state == State.SENDING
    assert operation.last_error == "ZeroDivisionError"
    assert operation.next_try_at < timezone.now() + timedelta(seconds=10)
    desk.settling = None
    run(operation)
    assert operation.state == State.SUCCEEDED
    assert desk.sent == desk.there == [operation.pk]


def test_a_fault_while_settling_is_looked_into_soon_however_many_looks_came_before(write, desk):
    desk.settling = RuntimeError("deadlock")
    operation = write()
    Operation.objects.filter(pk=operation.pk).update(attempts=9)
    runner.run_one()
    operation.refresh_from_db()
    assert operation.state == State.SENDING
    assert operation.next_try_at < timezone.now() + timedelta(seconds=5)


@pytest.mark.parametrize(
    "faults", [{"after": LOST, "telling": RuntimeError("ours")}, {"settling": RuntimeError("ours")}]
)
def test_a_fault_of_ours_again_and_again_is_looked_into_later_and_later(write, desk, faults):
    """Whether the lost answer cannot be noted, or what was found cannot be settled."""
    for name, fault in faults.items():
        setattr(desk, name, fault)
    operation, pauses = run(write()), []
    for minutes, attempts in ((0, 2), (3, 9)):
        sent_at = timezone.now() - timedelta(minutes=minutes)
        now = timezone.now()
        run(operation, sent_at=sent_at, attempts=attempts, flies_until=None)
        assert operation.last_error == "RuntimeError"
        pauses.append(operation.next_try_at - now)
    assert pauses[1] > 4 * pauses[0]


@pytest.mark.django_db(transaction=True)
def test_a_note_may_name_an_operation_that_is_being_settled(write, desk, monkeypatch):
    # As a reading does that found our note before its answer arrived here. It holds the order,
    # which the settling is going to wait for: neither may wait for the other.
    operation, waited = write(), []

    def name_it():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '3s'")
                TimelineEntry.objects.create(
                    operation_id=operation.pk, text="a note", fact="note:1"
                )
        except OperationalError as error:
            waited.append(error)
        finally:
            connections.close_all()

    def settle(*_):
        other = threading.Thread(target=name_it)
        other.start()
        other.join(20)

    monkeypatch.setattr(desk, "succeeded", settle)
    runner.run_one()
    operation.refresh_from_db()
    assert (operation.state, waited) == (State.SUCCEEDED, [])


def test_a_fault_at_the_last_try_is_looked_up_all_the_same(write, desk):
    operation = write()
    Operation.objects.update(attempts=MOST_SENDS + 5)
    desk.after = ZeroDivisionError("ours")
    run(operation)
    assert operation.state == State.SENDING
    run(operation)
    assert operation.state == State.SUCCEEDED


def test_a_write_that_nobody_could_look_for_is_looked_for_when_a_person_tries_again(write, desk):
    # Its answer was lost, and noting that failed as well, again and again.
    desk.after, desk.telling = LOST, ZeroDivisionError("ours")
    operation = write()
    for _ in range(MOST_SENDS + 2):
        run(operation)
    assert operation.state == State.SENDING, "tried for a while, whatever the count"
    run(operation, sent_at=timezone.now() - PATIENCE * 2)
    assert (operation.state, operation.next_try_at) == (State.DEAD, None)
    assert operation.staff_message == "The desk itself failed on it."
    desk.after = desk.telling = None
    assert not runner.take_up(operation)
    run(operation)
    assert operation.state == State.SUCCEEDED
    assert desk.sent == desk.there == [operation.pk]


def test_a_write_whose_worker_died_before_noting_it_is_never_sent_unlooked_for(write, desk):
    operation = write()
    due_now(operation, state=State.SENDING, sent_at=timezone.now() - PATIENCE * 2)
    desk.there.append(operation.pk)
    desk.telling = ZeroDivisionError("ours")
    run(operation)
    desk.telling = None
    assert not runner.take_up(operation)
    run(operation)
    assert operation.state == State.SUCCEEDED
    assert desk.sent == []


def test_a_write_stops_even_when_telling_of_it_fails(write, desk, project):
    project.is_active = False
    project.save()
    desk.telling = ZeroDivisionError("ours")
    operation = run(write())
    assert operation.state == State.QUEUED
    run(operation, attempts=MOST_SENDS - 1)
    assert (operation.state, operation.next_try_at) == (State.DEAD, None)
    assert operation.finished_at
    assert operation.last_error == "ZeroDivisionError"
    project.is_active, desk.telling = True, None
    project.save()
    assert not runner.take_up(operation)
    run(operation)
    assert operation.state == State.SUCCEEDED


def test_no_answer_puts_a_write_out_of_sight_for_longer_than_an_hour(write, desk):
    desk.before = SinchUnavailable("busy", retry_after=999_999_999.0)
    operation = run(write())
    assert operation.state == State.QUEUED
    assert operation.next_try_at <= timezone.now() + timedelta(hours=1)


def test_a_payload_that_no_key_decrypts_stops_nobody_else(write, desk, settings):
    lost = write(n=1)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    fine = write(n=2)
    due_now(lost)
    while runner.run_one():
        pass
    rows = dict(Operation.objects.values_list("pk", "state"))
    assert rows[fine.pk] == State.SUCCEEDED
    assert rows[lost.pk] != State.SUCCEEDED


def test_a_write_that_no_key_decrypts_is_known_not_to_have_left(write, desk):
    lost = write()
    lose(lost, "payload")
    assert runner.run_one()
    lost.refresh_from_db(fields=["state", "sent_at", "next_try_at"])
    assert (lost.state, lost.sent_at) == (State.QUEUED, None)
    assert lost.next_try_at > timezone.now()
    assert desk.sent == desk.told == []


def test_a_write_waits_while_the_key_of_its_project_is_none_of_sinchs(write, desk, project):
    project.key_id = "key:secret"  # both typed into one field
    project.save()
    desk.send = lambda operation: clients.porting_client(operation.project).delete_order("1")
    operation = run(write())
    assert (operation.state, operation.staff_message) == (State.QUEUED, clients.KEY_ODD)


def test_a_kind_nobody_knows_waits_without_stopping_the_others(write, desk):
    unknown = write(kind="test.unheard_of")
    known = write()
    while runner.run_one():
        pass
    unknown.refresh_from_db(fields=["state", "next_try_at"])
    known.refresh_from_db()
    assert (unknown.state, known.state) == (State.QUEUED, State.SUCCEEDED)
    assert unknown.next_try_at > timezone.now()


# --- Markers and second tries -----------------------------------------------------------------


def test_two_clicks_are_one_operation(project, desk, rung):
    def click():
        return actions.submit(
            project, "test.write", target="draft:1", payload={}, by=None, marker="draft:1:create:1"
        )

    first, is_new = click()
    with transaction.atomic():
        second, is_new_again = click()
    assert (is_new, is_new_again) == (True, False)
    assert first == second
    assert Operation.objects.count() == 1


def test_a_second_click_finds_the_first_though_no_key_decrypts_what_it_sends(write):
    first = write(marker="draft:1:create:1")
    lose(first, "payload")
    assert write(marker="draft:1:create:1").pk == first.pk


@pytest.mark.django_db(transaction=True)
def test_many_clicks_at_once_are_one_operation(project, rung):
    barrier, made, errors = threading.Barrier(6), [], []

    def click():
        try:
            barrier.wait(10)
            with transaction.atomic():
                made.append(
                    actions.submit(
                        project, "test.write", target="d", payload={}, by=None, marker="d:create:1"
                    )[1]
                )
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=click) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert errors == []
    assert sorted(made) == [False] * 5 + [True]
    assert Operation.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_workers_send_each_write_once(write, desk):
    operations = [write(n=n, target=f"thing:{n}") for n in range(60)]
    errors = []

    def worker():
        try:
            while runner.run_one():
                pass
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=worker) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert sorted(desk.sent) == sorted(operation.pk for operation in operations)
    assert set(Operation.objects.values_list("state", flat=True)) == {State.SUCCEEDED}


def test_a_stopped_write_is_sent_when_a_person_says_so(
    write, desk, rung, django_capture_on_commit_callbacks
):
    desk.before = AWAY
    operation = write()
    Operation.objects.update(attempts=MOST_SENDS, seen_at=timezone.now())
    run(operation)
    assert operation.state == State.DEAD
    rung.clear()
    with django_capture_on_commit_callbacks(execute=True):
        assert not runner.take_up(operation)
    operation.refresh_from_db()
    assert (operation.state, operation.attempts, operation.seen_at) == (State.QUEUED, 0, None)
    assert (operation.staff_message, operation.finished_at) == ("", None)
    assert rung == [doorbell.OPERATIONS]
    assert desk.told[-1] == ("taken up", "queued")
    desk.before = None
    run(operation)
    assert operation.state == State.SUCCEEDED


def test_a_stopped_write_that_may_have_been_done_is_looked_up_first(write, desk):
    desk.after = LOST
    operation = run(write())
    desk.finding = AWAY
    Operation.objects.update(uncertain_since=timezone.now() - PATIENCE * 2)
    run(operation)
    assert operation.state == State.DEAD
    assert not runner.take_up(operation)
    desk.finding = desk.after = None
    run(operation)
    assert operation.state == State.SUCCEEDED
    assert desk.sent == [operation.pk]


def test_a_stopped_write_is_looked_for_as_patiently_as_at_first_when_it_is_tried_again(write, desk):
    desk.before = LOST
    operation = run(write())
    Operation.objects.update(attempts=MOST_SENDS, uncertain_since=timezone.now() - PATIENCE * 2)
    while operation.state == State.UNCERTAIN:
        run(operation)
    assert operation.state == State.DEAD
    assert not runner.take_up(operation)
    desk.finding = AWAY
    run(operation)
    assert operation.state == State.UNCERTAIN, "Sinch may be away for a moment"
    desk.finding = None
    for _ in LOOK_PAUSES:
        assert operation.state == State.UNCERTAIN, "not sent before it was looked for long enough"
        run(operation)
    assert operation.state == State.QUEUED
    assert desk.sent == [operation.pk]


@pytest.mark.django_db(transaction=True)
def test_a_stopped_write_that_two_try_again_is_taken_up_once(write, desk):
    operation = write()
    Operation.objects.update(state=State.DEAD, next_try_at=None)

    def tries_again():
        try:
            return not runner.take_up(operation)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            # One of them was faster, and a worker as well: it is on its way by now.
            Operation.objects.update(state=State.SENDING)
            other = pool.submit(tries_again)
            wait_for(somebody_waits_for_a_lock, what="the other one")
        assert other.result(20) is False
    operation.refresh_from_db()
    assert operation.state == State.SENDING


def test_only_a_stopped_write_can_be_tried_again(write, desk):
    operation = write()
    assert runner.take_up(operation)
    run(operation)
    assert runner.take_up(operation)


def test_a_stopped_write_that_a_newer_one_replaced_is_not_sent_again(write, desk):
    stopped = write(target="draft:1")
    Operation.objects.update(state=State.DEAD, next_try_at=None)
    newer = write(target="draft:1")
    assert runner.take_up(stopped)
    run(newer)
    assert runner.take_up(stopped)
    Operation.objects.filter(pk=newer.pk).update(state=State.REFUSED)
    assert not runner.take_up(stopped)


def test_a_stopped_write_goes_on_beside_others_about_the_same_thing(write, desk):
    stopped = write(target="port_in:1")
    Operation.objects.update(state=State.DEAD, next_try_at=None)
    write(target="port_in:1", kind="test.other")
    write(target="port_in:2")
    assert not runner.take_up(stopped)


def test_two_stopped_writes_about_one_thing_do_not_go_on_side_by_side(write, desk):
    older, newer = write(target="draft:1"), write(target="draft:1")
    Operation.objects.update(state=State.DEAD, next_try_at=None)
    assert not runner.take_up(older)
    assert runner.take_up(newer)
    run(older)
    assert not runner.take_up(newer)


def test_notes_stand_alone_and_replace_nothing(write, desk, monkeypatch):
    monkeypatch.setattr(type(desk), "stands_alone", True)
    stopped = write(target="port_in:1")
    Operation.objects.update(state=State.DEAD, next_try_at=None)
    write(target="port_in:1")
    assert not runner.take_up(stopped)


def test_only_the_outcome_of_a_write_is_marked_as_seen(write, desk):
    operation = write()
    runner.mark_seen(operation)
    run(operation)
    assert operation.seen_at is None
    runner.mark_seen(operation)
    operation.refresh_from_db()
    assert operation.seen_at


def test_an_outcome_that_is_looked_at_twice_was_seen_the_first_time(write, desk):
    operation, settled = run(write()), []
    desk.seen = settled.append
    runner.mark_seen(operation)
    first = Operation.objects.get().seen_at
    runner.mark_seen(operation)
    assert Operation.objects.get().seen_at == first
    assert settled == [operation]
