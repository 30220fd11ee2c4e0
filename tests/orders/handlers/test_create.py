"""A new order: made once, found again after a lost answer, its draft kept in step."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from orders import bodies, comparing, handlers_create, sync, wire
from orders.models import OrderNote, PortInDraft, PortInOrder
from portal.accounts.models import SinchProject, User
from portal.operations import readings, runner
from portal.operations.models import Operation, Reading
from portal.sandbox import Sandbox
from portal.work.models import TimelineEntry, WorkItem
from tests.orders.handlers.tools import PIN, A, B, Run, State, count, state_of, timeline

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("porting_client")]


def test_a_created_order_is_stored_told_and_handed_to_who_sent_it(
    create: Operation, draft: PortInDraft, agent: User, settle: Run, sandbox: Sandbox
) -> None:
    settle()
    order = PortInOrder.objects.get()
    item = WorkItem.objects.get()
    assert state_of(create) == State.SUCCEEDED
    assert create.answer == {"id": order.sinch_id}
    assert item.assignee == agent
    assert order.secrets == {n: {"existingPortOutPin": PIN} for n in (A, B)}
    draft.refresh_from_db()
    assert (draft.state, draft.order) == (PortInDraft.State.SENT, order)
    assert f"Order accepted by Sinch as {order.sinch_id}" in timeline(order)
    assert not any(text.startswith("Found at Sinch") for text in timeline(order))
    assert Reading.objects.get().read_at is not None
    assert list(sandbox.violations) == []


@pytest.mark.parametrize(
    ("fault", "made"), [("drop_after", 1), ("drop_before", 0), ("garbage", 1), ("500", 0)]
)
def test_a_create_whose_answer_was_lost_never_makes_a_second_order(
    create: Operation, sandbox: Sandbox, settle: Run, fault: str, made: int
) -> None:
    sandbox.control.faults.add(fault, "orderPortIn")
    runner.run_one()
    assert state_of(create) == State.UNCERTAIN
    assert len(sandbox.control.orders()) == made
    settle()
    assert state_of(create) == State.SUCCEEDED
    assert len(sandbox.control.orders()) == 1
    assert PortInOrder.objects.count() == 1
    texts = timeline(PortInOrder.objects.get())
    assert sum("did not answer our order" in text for text in texts) == 1
    assert sum("accepted by Sinch" in text for text in texts) == 1


def test_an_order_that_came_to_be_after_it_was_looked_for_is_ours_and_no_refusal(
    create: Operation, sandbox: Sandbox, settle: Run
) -> None:
    """Sinch may need longer than our looks; the second try then meets its own numbers there."""
    sandbox.control.faults.add("drop_before", "orderPortIn")
    runner.run_one()
    while state_of(create) == State.UNCERTAIN:
        Operation.objects.update(next_try_at=timezone.now())
        runner.run_one()
    assert state_of(create) == State.QUEUED
    late = sandbox.control.create_order([A, B], reference="HVD-2026-014")
    settle()
    assert state_of(create) == State.SUCCEEDED
    assert create.answer == {"id": str(late.id)}
    assert len(sandbox.control.orders()) == 1


def test_an_order_of_somebody_who_has_left_the_desk_meanwhile_is_nobodys(
    create: Operation, agent: User, settle: Run
) -> None:
    User.objects.filter(pk=agent.pk).update(is_active=False)
    settle()
    assert WorkItem.objects.get().assignee is None


def test_an_answer_without_a_body_is_looked_up(
    create: Operation, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.personality(write_bodies="none")
    settle()
    assert state_of(create) == State.SUCCEEDED
    assert len(sandbox.control.orders()) == 1
    assert create.answer["id"] == str(sandbox.control.orders()[0].id)


def test_an_order_taken_without_an_id_is_made_once_though_it_cannot_be_looked_up_at_first(
    create: Operation, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.personality(write_bodies="none")
    sandbox.control.faults.add("503", "getPortInOrders", times=None)
    assert runner.run_one()
    assert state_of(create) == State.UNCERTAIN
    sandbox.control.faults.clear()
    settle()
    assert state_of(create) == State.SUCCEEDED
    assert count(sandbox, "orderPortIn") == 1


def look_for(operation: Operation, times: int) -> None:
    """Send a write and look for it so many times, without waiting for the pauses."""
    for _ in range(times + 1):
        Operation.objects.filter(pk=operation.pk).update(next_try_at=timezone.now())
        assert runner.run_one()


def test_an_order_taken_without_an_id_that_sinch_shows_minutes_later_is_ours(
    create: Operation, draft: PortInDraft, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("status", "orderPortIn", status=200)
    look_for(create, 6)
    assert state_of(create) == State.UNCERTAIN
    made = sandbox.control.create_order([A, B], reference="HVD-2026-014")
    settle()
    assert state_of(create) == State.SUCCEEDED
    assert create.answer["id"] == str(made.id)
    draft.refresh_from_db()
    assert draft.state == PortInDraft.State.SENT
    assert count(sandbox, "orderPortIn") == 1


def test_an_order_taken_without_an_id_that_sinch_does_not_show_is_not_sent_again_by_itself(
    create: Operation, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("status", "orderPortIn", status=200)
    look_for(create, 6)
    assert state_of(create) == State.UNCERTAIN
    long_ago = timezone.now() - handlers_create.SHOWN_WITHIN
    Operation.objects.filter(pk=create.pk).update(uncertain_since=long_ago)
    settle()
    assert state_of(create) == State.REFUSED
    assert "took this order without saying its id" in create.staff_message
    assert "HVD-2026-014" in create.staff_message
    assert count(sandbox, "orderPortIn") == 1


@pytest.mark.parametrize("on_read", ["full", "short"])
@pytest.mark.parametrize("shown", [0, 1])
def test_an_order_that_sinch_is_still_making_is_ours_however_little_it_shows(
    create: Operation, sandbox: Sandbox, settle: Run, shown: int, on_read: str
) -> None:
    sandbox.control.personality(numbers_on_read=on_read)
    sandbox.control.faults.add("drop_after", "orderPortIn")
    runner.run_one()
    (made,) = sandbox.control.orders()
    numbers, made.numbers[:] = list(made.numbers), made.numbers[:shown]
    settle()
    assert state_of(create) == State.SUCCEEDED
    assert create.answer == {"id": str(made.id)}
    made.numbers[:] = numbers
    readings.want_one(create.project, "port_in_order", str(made.id), "staff")
    settle()
    assert count(sandbox, "orderPortIn") == 1
    order = PortInOrder.objects.get()
    assert set(order.numbers.values_list("phone_number", flat=True)) == {A, B}
    again = bodies.write_body(order, order.secrets)
    assert comparing.digest(again) == comparing.digest(create.payload["body"])
    assert wire.order_secrets(again) == wire.order_secrets(create.payload["body"])


def test_an_order_with_our_reference_some_of_our_numbers_and_others_is_left_to_a_person(
    create: Operation, sandbox: Sandbox, settle: Run
) -> None:
    theirs = sandbox.control.create_order([A, "+12065550177"], reference="HVD-2026-014")
    sandbox.control.faults.add("drop_before", "orderPortIn")
    settle()
    assert state_of(create) == State.REFUSED
    assert f"Order {theirs.id} at Sinch has this reference" in create.staff_message
    assert count(sandbox, "orderPortIn") == 1


def test_of_two_orders_with_our_reference_the_one_with_all_our_numbers_is_ours(
    create: Operation, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_after", "orderPortIn")
    assert runner.run_one()
    (ours,) = sandbox.control.orders()
    sandbox.control.cancel(ours.id)
    sandbox.control.create_order([A], reference="HVD-2026-014")  # by somebody else, in its place
    settle()
    assert state_of(create) == State.SUCCEEDED
    assert create.answer == {"id": str(ours.id)}


def test_a_lost_order_that_went_without_a_reference_is_left_to_a_person(
    create: Operation, body: dict[str, Any], sandbox: Sandbox, settle: Run
) -> None:
    create.payload = create.payload | {"body": body | {"customerOrderReference": ""}}
    create.save(update_fields=["payload"])
    sandbox.control.faults.add("drop_after", "orderPortIn")
    settle()
    assert state_of(create) == State.REFUSED
    assert "went without a reference" in create.staff_message
    assert count(sandbox, "orderPortIn") == 1


def test_an_order_with_our_reference_but_other_numbers_is_not_ours(
    create: Operation, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.create_order(["+12065550177"], reference="HVD-2026-014")
    sandbox.control.faults.add("drop_before", "orderPortIn")
    settle()
    assert state_of(create) == State.SUCCEEDED
    assert len(sandbox.control.orders()) == 2
    order = PortInOrder.objects.get(sinch_id=create.answer["id"])
    assert set(order.numbers.values_list("phone_number", flat=True)) == {A, B}


def test_a_webhook_that_is_faster_than_the_answer_does_not_make_the_order_a_strangers(
    create: Operation, project: SinchProject, sandbox: Sandbox, agent: User, settle: Run
) -> None:
    sandbox.control.faults.add("drop_after", "orderPortIn")
    runner.run_one()
    sinch_id = str(sandbox.control.orders()[0].id)
    readings.want_one(project, "port_in_order", sinch_id, "webhook")
    readings.run_one()
    assert timeline(PortInOrder.objects.get()) == []
    settle()
    item = WorkItem.objects.get()
    assert item.assignee == agent
    assert PortInOrder.objects.get().secrets[A] == {"existingPortOutPin": PIN}


def test_a_short_answer_leaves_the_order_with_what_was_sent(
    create: Operation, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.personality(
        numbers_on_read="short", numbers_in_answers="short", pin_on_read="absent"
    )
    settle()
    order = PortInOrder.objects.get()
    assert WorkItem.objects.get().end_user == "Harborview Dental LLC"
    again = bodies.write_body(order, order.secrets)
    assert again["phoneNumbers"] == create.payload["body"]["phoneNumbers"]


def test_a_refused_create_opens_the_draft_again(
    create: Operation, draft: PortInDraft, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.zero_balance()
    settle()
    assert state_of(create) == State.REFUSED
    draft.refresh_from_db()
    assert draft.state == PortInDraft.State.OPEN
    assert PortInOrder.objects.count() == 0
    entry = TimelineEntry.objects.get(operation=create)
    assert entry.text.startswith("Order refused by Sinch")


def test_a_create_that_may_have_arrived_keeps_its_draft_locked_until_it_is_looked_up(
    create: Operation, draft: PortInDraft, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_after", "orderPortIn")
    runner.run_one()
    sandbox.control.faults.add("500", "getPortInOrders", times=None)
    # An outage may be longer than somebody's patience: each stop is told, and nothing else twice.
    for _ in range(2):
        long_ago = timezone.now() - timedelta(hours=1)
        Operation.objects.update(uncertain_since=long_ago, next_try_at=timezone.now())
        runner.run_one()
        assert state_of(create) == State.DEAD
        draft.refresh_from_db()
        assert draft.state == PortInDraft.State.SENDING
        assert not runner.take_up(create)
    sandbox.control.faults.clear()
    settle()
    assert state_of(create) == State.SUCCEEDED
    assert len(sandbox.control.orders()) == 1
    texts = timeline(PortInOrder.objects.get())
    others = [text for text in texts if not text.startswith("Order stopped:")]
    assert len(texts) - len(others) == 2
    assert len(others) == len(set(others))


def test_a_stopped_create_that_is_taken_up_again_locks_its_draft(
    create: Operation, draft: PortInDraft, settle: Run
) -> None:
    Operation.objects.filter(pk=create.pk).update(state=State.DEAD, next_try_at=None)
    PortInDraft.objects.filter(pk=draft.pk).update(state=PortInDraft.State.OPEN)
    assert not runner.take_up(create)
    draft.refresh_from_db()
    assert draft.state == PortInDraft.State.SENDING
    settle()
    draft.refresh_from_db()
    assert draft.state == PortInDraft.State.SENT


def test_a_write_that_no_key_decrypts_keeps_nothing_of_sinchs_from_being_stored(
    order: PortInOrder,
    create: Operation,
    send: Callable[..., Operation],
    order_json: Callable[..., dict[str, Any]],
    settings: Any,
) -> None:
    note = send("note", {"text": "The bill is attached.", "alike_of_others": 0})
    under_way = {"state": State.SENDING, "sent_at": timezone.now(), "next_try_at": None}
    Operation.objects.filter(pk__in=[create.pk, note.pk]).update(**under_way)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    now = timezone.now()
    said = {"note": "The bill is attached.", "createdTime": now.isoformat(), "createdBy": "Sinch"}
    PortInOrder.objects.update(secrets={})  # as this key encrypts it
    stored = sync.store_port_in_order(order.project, order_json(2, notes=[said]), now)
    assert OrderNote.objects.get(order=stored).text == said["note"]
    assert any("Found at Sinch" in text for text in timeline(stored))
    sync.store_port_in_order(order.project, {"id": order.sinch_id, "notes": [said]}, now)
    assert OrderNote.objects.get(order=order).operation is None
