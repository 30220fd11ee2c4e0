"""Each write about an order: sent once, found again after a lost answer, settled once."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests
from cryptography.fernet import Fernet
from django.db import connection, transaction
from django.utils import timezone

from orders import (
    actions_activation,
    actions_documents,
    actions_order,
    bodies,
    comparing,
    edit_work,
    handlers_create,
    page_activation,
    readers,
    sync,
    wire,
)
from orders.documents import check
from orders.models import (
    OrderDocument,
    OrderNote,
    PortabilityResult,
    PortInDraft,
    PortInOrder,
)
from portal.accounts.models import SinchProject, User
from portal.operations import clients, heard, readings, runner
from portal.operations.actions import submit
from portal.operations.leases import LEASE_SECONDS
from portal.operations.models import Operation, Reading
from portal.projects import configuration as project_configuration
from portal.sandbox import Sandbox
from portal.sandbox.adapter import SandboxAdapter
from portal.sinch.porting import ActivationGroup
from portal.values import phone_of
from portal.work import items
from portal.work.models import TimelineEntry, WorkItem
from tests.orders.test_documents import a_pdf
from tests.tools import END_USER, lose, port_day, somebody_waits_for_a_lock, wait_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("porting_client")]
A, B = "+12065550140", "+12065550141"
PIN = "482193"
Run = Callable[[], None]
State = Operation.State


@pytest.fixture
def body(sandbox: Sandbox) -> dict[str, Any]:
    """A body of a new order of two numbers."""
    return dict(
        bodies.create_body(
            numbers=[A, B],
            shared={
                "end_user": END_USER,
                "port_out": {"existingPortOutPin": PIN},
                "voice": {"type": "EST", "id": "01HX0TRUNK0000000000007QK2"},
            },
            overrides={},
            schedule={"date": port_day(14), "time": "09:00", "zone": "US/Pacific"},
            reference="HVD-2026-014",
            on_demand=True,
            reseller="",
            loa={},
        )
    )


@pytest.fixture
def draft(project: SinchProject, agent: User) -> PortInDraft:
    return PortInDraft.objects.create(project=project, by=agent, state=PortInDraft.State.SENDING)


@pytest.fixture
def create(
    project: SinchProject, agent: User, draft: PortInDraft, body: dict[str, Any]
) -> Operation:
    """A create that waits to be sent."""
    operation, _ = submit(
        project,
        "port_in.create",
        target=draft.target,
        payload={"body": body, "draft": str(draft.pk)},
        by=agent,
        subject="Order HVD-2026-014",
        marker=f"{draft.target}:create:1",
    )
    PortInDraft.objects.filter(pk=draft.pk).update(operation=operation)
    return operation


@pytest.fixture
def order(create: Operation, settle: Run) -> PortInOrder:
    """An order that was created here and read back."""
    settle()
    return PortInOrder.objects.get()


@pytest.fixture
def send(order: PortInOrder, agent: User) -> Callable[..., Operation]:
    """Put a write about the order into the queue: `send("note", {"text": …})`."""

    def put(kind: str, payload: dict[str, Any]) -> Operation:
        operation, _ = submit(
            order.project, f"port_in.{kind}", target=order.target, payload=payload, by=agent
        )
        return operation

    return put


def state_of(operation: Operation) -> str:
    operation.refresh_from_db()
    return str(operation.state)


def timeline(order: PortInOrder) -> list[str]:
    """Return what was told, oldest first."""
    entries = TimelineEntry.objects.filter(item=order.item_id).order_by("pk")
    return list(entries.values_list("text", flat=True))


def count(sandbox: Sandbox, operation: str) -> int:
    return sandbox.control.calls().get(operation, 0)


# --- Create ---------------------------------------------------------------------------------


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
        assert runner.try_again(create)
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
    assert runner.try_again(create)
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


# --- Portability check ----------------------------------------------------------------------


def test_a_check_stores_what_sinch_says_of_each_number(
    project: SinchProject, agent: User, settle: Run
) -> None:
    for numbers in ([A, "+12065550199"], [A]):
        operation, _ = submit(
            project, "port_in.check", target="draft:x", payload={"numbers": numbers}, by=agent
        )
        settle()
        assert state_of(operation) == State.SUCCEEDED
    assert operation.answer == {"checked": 1}
    good = PortabilityResult.objects.get(phone_number=A)
    bad = PortabilityResult.objects.get(phone_number="+12065550199")
    assert (good.portable, bool(good.carrier)) == (True, True)
    assert (bad.portable, bad.reason) == (False, "Number is not portable")
    assert good.checked_at > bad.checked_at


def test_verdicts_in_another_spelling_or_said_twice_are_one_for_each_number(
    project: SinchProject, agent: User, settle: Run
) -> None:
    operation, _ = submit(
        project, "port_in.check", target="draft:x", payload={"numbers": [A, B]}, by=agent
    )
    handler = handlers_create.CheckHandler()
    verdicts = [
        {"phoneNumber": "+1 (206) 555-0140", "portable": False},
        {"phoneNumber": A.lstrip("+"), "portable": True},
        {"phoneNumber": B, "portable": True},
        {"phoneNumber": "", "portable": True},
    ]
    heard.remember(operation, {"verdicts": verdicts}, timezone.now())
    handler.succeeded(operation, {})
    found = PortabilityResult.objects.values_list("phone_number", "portable")
    assert sorted(found) == [(A, True), (B, True)]


def test_a_check_whose_worker_died_is_asked_again_at_once(
    project: SinchProject, agent: User, settle: Run
) -> None:
    operation, _ = submit(
        project, "port_in.check", target="draft:x", payload={"numbers": [A]}, by=agent
    )
    Operation.objects.filter(pk=operation.pk).update(state=State.SENDING)
    runner.run_one()
    assert state_of(operation) == State.SUCCEEDED
    assert PortabilityResult.objects.count() == 1


# --- Update ---------------------------------------------------------------------------------


@pytest.fixture
def update(order: PortInOrder, send: Callable[..., Operation]) -> Callable[..., Operation]:
    """Queue a change of the order as it is in the mirror now."""

    def put(changes: dict[str, Any]) -> Operation:
        order.refresh_from_db()
        new = bodies.write_body(order, order.secrets, changes)
        return send("update", {"body": new, "base": comparing.digest(order)})

    return put


NEW_STREET = {"phoneNumbers": {"*": {"endUser": {"streetNum": "1422"}}}}
NEW_PIN = {"phoneNumbers": {"*": {"portOutInfo": {"existingPortOutPin": "775310"}}}}


def test_an_accepted_change_is_in_the_mirror_at_once_with_its_pin(
    order: PortInOrder, update: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    operation = update({**NEW_STREET, "customerOrderReference": "HVD-2"})
    runner.run_one()
    assert state_of(operation) == State.SUCCEEDED
    order.refresh_from_db()
    assert order.payload["phoneNumbers"][0]["endUser"]["streetNum"] == "1422"
    assert WorkItem.objects.get().reference == "HVD-2"
    second = update(NEW_PIN)
    settle()
    order.refresh_from_db()
    assert state_of(second) == State.SUCCEEDED
    assert order.secrets == {n: {"existingPortOutPin": "775310"} for n in (A, B)}
    texts = timeline(order)
    assert texts.count("Changes accepted by Sinch") == 2
    assert "Order details changed at Sinch" not in texts
    assert list(sandbox.violations) == []


def test_a_field_that_was_cleared_stays_cleared_where_sinch_leaves_empty_ones_out(
    order: PortInOrder, update: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.personality(blanks="absent", pin_on_read="absent")
    update({"customerOrderReference": "", "phoneNumbers": {"*": {"voiceConfiguration": None}}})
    settle()
    order.refresh_from_db()
    assert order.reference == ""
    assert "voiceConfiguration" not in order.payload["phoneNumbers"][0]


def test_a_port_time_that_was_cleared_is_not_kept_where_sinch_does_not_say_its_default(
    order: PortInOrder, update: Callable[..., Operation]
) -> None:
    operation = update({"desiredPortSchedule": {"desiredPortTime": "", "desiredPortTimeZone": ""}})
    sent = operation.payload["body"]
    assert set(sent["desiredPortSchedule"]) == {"desiredPortDate"}
    said = {"id": order.sinch_id, "status": "PENDING", "desiredPortSchedule": None}
    sync.store_reading(order.project, said, timezone.now(), sent=sent, replaces=True)
    order.refresh_from_db()
    assert (order.desired_port_time, order.desired_port_time_zone) == ("", "")
    assert not any(text.startswith("Requested time") for text in timeline(order))


@pytest.mark.parametrize("change", [NEW_STREET, NEW_PIN], ids=["street", "PIN"])
@pytest.mark.parametrize("pins", ["echo", "masked", "absent"])
def test_a_change_whose_answer_was_lost_is_found_or_sent_again_and_arrives(
    order: PortInOrder,
    update: Callable[..., Operation],
    sandbox: Sandbox,
    settle: Run,
    change: dict[str, Any],
    pins: str,
) -> None:
    for fault in ("drop_after", "drop_before"):
        sandbox.control.personality(pin_on_read=pins)
        street = {"phoneNumbers": {"*": {"endUser": {"streetNum": "1"}}}}
        update(street)
        settle()
        sandbox.control.faults.add(fault, "updatePortInOrder")
        operation = update(change)
        settle()
        assert state_of(operation) == State.SUCCEEDED
    details = sandbox.control.orders()[0].numbers[0].details
    expected = "1422" if change is NEW_STREET else "1"
    assert details["endUser"]["streetNum"] == expected
    expected = "775310" if change is NEW_PIN else PIN
    assert details["portOutInfo"]["existingPortOutPin"] == expected


def test_a_lost_change_of_a_field_that_did_arrive_is_not_sent_again(
    order: PortInOrder, update: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_after", "updatePortInOrder")
    operation = update(NEW_STREET)
    settle()
    assert state_of(operation) == State.SUCCEEDED
    assert count(sandbox, "updatePortInOrder") == 1


@pytest.mark.parametrize("is_locked", [True, False])
def test_a_change_that_got_through_after_it_was_looked_for_is_no_refusal(
    order: PortInOrder,
    update: Callable[..., Operation],
    sandbox: Sandbox,
    settle: Run,
    is_locked: bool,
) -> None:
    sandbox.control.faults.add("drop_before", "updatePortInOrder")
    operation = update(NEW_STREET)
    runner.run_one()
    while state_of(operation) == State.UNCERTAIN:
        Operation.objects.update(next_try_at=timezone.now())
        runner.run_one()
    for number in sandbox.control.order(order.sinch_id).numbers:
        number.details["endUser"]["streetNum"] = "1422"
    if is_locked:
        sandbox.control.confirm(order.sinch_id)
    else:
        sandbox.control.faults.add("status", "updatePortInOrder", status=409)
    settle()
    assert state_of(operation) == State.SUCCEEDED
    assert "Changes accepted by Sinch" in timeline(order)


def test_a_change_refused_at_a_later_try_is_told_with_the_words_of_that_refusal(
    order: PortInOrder, update: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("429", "updatePortInOrder")
    operation = update(NEW_STREET)
    assert runner.run_one()
    assert state_of(operation) == State.QUEUED
    sandbox.control.orders()[0].numbers[0].details["endUser"]["city"] = "Tukwila"
    settle()
    assert state_of(operation) == State.REFUSED
    assert "at Sinch since you looked" in operation.staff_message


class LateAnswers(SandboxAdapter):
    """Lets something happen after a write has been done and before its answer arrives."""

    def __init__(self, app: Sandbox, method: str, meanwhile: Run) -> None:
        super().__init__(app)
        self.method, self.meanwhile = method, meanwhile

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        answer = super().send(request, *args, **more)
        if request.method == self.method:
            self.meanwhile()
        return answer


@pytest.mark.parametrize("numbers", ["full", "short"])
def test_an_answer_to_a_change_does_not_go_over_what_was_read_after_the_change_had_left(
    order: PortInOrder,
    update: Callable[..., Operation],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    numbers: str,
) -> None:
    """Somebody at Sinch changes the date and one number anew, and a webhook tells it at once."""
    sandbox.control.personality(numbers_on_read=numbers)
    later = {"desiredPortDate": port_day(30).isoformat()}

    def meanwhile() -> None:
        there = sandbox.control.orders()[0]
        there.schedule |= later
        there.numbers[0].details["endUser"]["streetNum"] = "9"
        readings.want_one(order.project, "port_in_order", order.sinch_id, "webhook")
        assert readings.run_one()

    operation = update({**NEW_STREET, "desiredPortSchedule": {"desiredPortDate": port_day(20)}})
    payload = operation.payload | {"against": edit_work.packed(edit_work.copy_of(order))}
    Operation.objects.filter(pk=operation.pk).update(payload=payload)
    adapter = LateAnswers(sandbox, "PUT", meanwhile)
    monkeypatch.setattr(clients, "mount", lambda transport: transport.mount(adapter))
    clients.forget_clients()
    assert runner.run_one()
    assert state_of(operation) == State.SUCCEEDED
    order.refresh_from_db()
    assert order.desired_port_date == port_day(30)
    # What the reading does not speak of is as it was sent.
    streets = [number["endUser"]["streetNum"] for number in order.payload["phoneNumbers"]]
    assert streets == (["9", "1422"] if numbers == "full" else ["1422", "1422"])
    assert Reading.objects.get(resource_id=order.sinch_id).next_try_at <= timezone.now()


@pytest.mark.parametrize("others", [False, True])
def test_a_reading_that_is_faster_than_the_answer_does_not_make_our_change_a_strangers(
    order: PortInOrder,
    update: Callable[..., Operation],
    sandbox: Sandbox,
    settle: Run,
    others: bool,
) -> None:
    sandbox.control.faults.add("drop_after", "updatePortInOrder")
    operation = update(NEW_STREET)
    assert runner.run_one()
    assert state_of(operation) == State.UNCERTAIN
    if others:
        sandbox.control.orders()[0].numbers[0].details["endUser"]["city"] = "Tukwila"
    readings.want_one(order.project, "port_in_order", order.sinch_id, "webhook")
    assert readings.run_one()
    assert ("Order details changed at Sinch" in timeline(order)) is others
    settle()
    assert ("Order details changed at Sinch" in timeline(order)) is others
    assert state_of(operation) == (State.REFUSED if others else State.SUCCEEDED)


@pytest.mark.parametrize("fault", ["drop_after", "drop_before"])
def test_a_lost_change_is_sent_again_where_sinch_does_not_show_what_was_changed(
    order: PortInOrder,
    update: Callable[..., Operation],
    sandbox: Sandbox,
    settle: Run,
    fault: str,
) -> None:
    """A short answer looks the same before and after."""
    sandbox.control.personality(numbers_on_read="short")
    sandbox.control.faults.add(fault, "updatePortInOrder")
    operation = update(NEW_STREET)
    settle()
    assert state_of(operation) == State.SUCCEEDED
    assert count(sandbox, "updatePortInOrder") == 2
    for number in sandbox.control.orders()[0].numbers:
        assert number.details["endUser"]["streetNum"] == "1422"


@pytest.fixture
def lost_new_pin(
    order: PortInOrder, update: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> Operation:
    """A new PIN for a refused order, whose answer is lost, at a Sinch that shows no PINs."""
    sandbox.control.personality(pin_on_read="absent")
    sandbox.control.reject(order.sinch_id)
    readings.want_one(order.project, "port_in_order", order.sinch_id, "staff")
    settle()
    sandbox.control.faults.add("drop_after", "updatePortInOrder")
    return update(NEW_PIN)


def test_a_lost_new_pin_is_known_to_have_arrived_when_the_carrier_looks_again(
    lost_new_pin: Operation, sandbox: Sandbox, settle: Run
) -> None:
    settle()
    assert state_of(lost_new_pin) == State.SUCCEEDED
    assert count(sandbox, "updatePortInOrder") == 1


@pytest.mark.parametrize("is_read", [False, True])
def test_a_lost_new_pin_is_known_to_have_arrived_though_the_order_is_confirmed_by_now(
    order: PortInOrder, lost_new_pin: Operation, sandbox: Sandbox, settle: Run, is_read: bool
) -> None:
    assert runner.run_one()
    sandbox.control.confirm(order.sinch_id)
    if is_read:
        readings.want_one(order.project, "port_in_order", order.sinch_id, "webhook")
        assert readings.run_one()
    settle()
    assert state_of(lost_new_pin) == State.SUCCEEDED
    order.refresh_from_db()
    assert order.secrets == {n: {"existingPortOutPin": "775310"} for n in (A, B)}


def test_a_change_by_somebody_else_is_never_overwritten(
    order: PortInOrder, update: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    operation = update(NEW_STREET)
    sandbox.control.faults.add("drop_before", "updatePortInOrder")
    runner.run_one()
    assert state_of(operation) == State.UNCERTAIN
    for number in sandbox.control.orders()[0].numbers:
        number.details["endUser"]["streetNum"] = "9"
    settle()
    assert state_of(operation) == State.REFUSED
    assert "somebody else" in operation.staff_message
    order.refresh_from_db()
    assert order.payload["phoneNumbers"][0]["endUser"]["streetNum"] == "9"
    later = update(NEW_STREET)
    payload = later.payload | {"base": "what it was before"}
    Operation.objects.filter(pk=later.pk).update(payload=payload)
    settle()
    assert state_of(later) == State.REFUSED
    assert count(sandbox, "updatePortInOrder") == 1


def test_a_refused_change_is_told_and_needs_us(
    order: PortInOrder, update: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    operation = update({"phoneNumbers": {"*": {"endUser": {"state": "Washington"}}}})
    settle()
    assert state_of(operation) == State.REFUSED
    assert operation.violations[0]["field"] == "phoneNumbers[0].endUser.state"
    assert any(text.startswith("Changes refused by Sinch: “") for text in timeline(order))
    reason = WorkItem.objects.get().reasons[0]
    assert (reason["code"], reason["text"]) == ("P1", "Sinch refused our change: state")


# --- Cancel ---------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["object", "order", "no_content"])
@pytest.mark.parametrize("way", ["two_steps", "straight"])
def test_a_cancelation_is_ours_and_ends_the_order(
    order: PortInOrder,
    send: Callable[..., Operation],
    sandbox: Sandbox,
    settle: Run,
    answer: str,
    way: str,
) -> None:
    sandbox.control.personality(cancel_answer=answer, cancelation=way)
    operation = send("cancel", {"why": "The customer stays."})
    settle()
    assert state_of(operation) == State.SUCCEEDED
    sandbox.control.next(order.sinch_id)
    readings.want_one(order.project, "port_in_order", order.sinch_id, "staff")
    settle()
    order.refresh_from_db()
    assert order.status == "CANCELED"
    assert WorkItem.objects.get().bucket == "ended"
    assert order.numbers.count() == 2


@pytest.mark.parametrize("what", ["groups", "whole", "document"])
def test_a_second_click_finds_the_first_write_though_no_key_decrypts_it(
    offered: PortInOrder, agent: User, what: str
) -> None:
    keys = [group["key"] for group in offered.offered_groups]

    def click() -> Operation:
        if what == "groups":
            return actions_activation.activate_groups(offered, keys, by=agent, key="one page")
        if what == "whole":
            return actions_activation.activate_whole(offered, by=agent, key="one page")
        documents = [check("bill.pdf", a_pdf())]
        (operation,) = actions_documents.upload_documents(
            offered, documents, kind="bill", by=agent, key="one page"
        )
        return operation

    first = click()
    lose(first, "payload")
    assert click() == first


def test_a_cancelation_that_no_key_decrypts_is_under_way_all_the_same(
    order: PortInOrder, agent: User
) -> None:
    first = actions_order.cancel_order(order, why="The customer stays.", by=agent)
    lose(first, "payload")
    assert actions_order.cancel_order(order, why="The customer stays.", by=agent) == first


def test_an_answer_to_a_cancelation_does_not_go_over_what_was_read_after_it_had_left(
    order: PortInOrder,
    send: Callable[..., Operation],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sandbox.control.personality(cancel_answer="order")

    def meanwhile() -> None:
        sandbox.control.next(order.sinch_id)
        readings.want_one(order.project, "port_in_order", order.sinch_id, "webhook")
        assert readings.run_one()

    operation = send("cancel", {"why": "The customer stays."})
    adapter = LateAnswers(sandbox, "DELETE", meanwhile)
    monkeypatch.setattr(clients, "mount", lambda transport: transport.mount(adapter))
    clients.forget_clients()
    assert runner.run_one()
    assert state_of(operation) == State.SUCCEEDED
    order.refresh_from_db()
    assert order.status == "CANCELED"


def test_a_cancelation_whose_answer_was_lost_is_told_by_the_status(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_after", "deleteOrder")
    operation = send("cancel", {"why": "The customer stays."})
    settle()
    assert state_of(operation) == State.SUCCEEDED
    assert count(sandbox, "deleteOrder") == 1


def test_a_cancelation_that_got_through_after_it_was_looked_for_is_ours_and_no_refusal(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_before", "deleteOrder")
    operation = send("cancel", {"why": "The customer stays."})
    runner.run_one()
    while state_of(operation) == State.UNCERTAIN:
        Operation.objects.update(next_try_at=timezone.now())
        runner.run_one()
    sandbox.control.cancel(order.sinch_id)
    settle()
    assert state_of(operation) == State.SUCCEEDED
    assert not any("refused" in text for text in timeline(order))


def test_a_refused_cancelation_asks_nothing_more_once_the_order_is_canceled(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    """An earlier try may have got through, and a later one been refused for that."""
    sandbox.control.faults.add("status", "deleteOrder", status=422)
    operation = send("cancel", {"why": "The customer stays."})
    settle()
    assert state_of(operation) == State.REFUSED
    assert WorkItem.objects.get().reasons[0]["code"] == "P1"
    sandbox.control.cancel(order.sinch_id)
    sandbox.control.next(order.sinch_id)
    readings.want_one(order.project, "port_in_order", order.sinch_id, "staff")
    settle()
    item = WorkItem.objects.get()
    assert (item.status, item.bucket, item.reasons) == ("CANCELED", "ended", [])


def test_a_cancelation_that_came_too_late_says_so(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_before", "deleteOrder")
    operation = send("cancel", {"why": "The customer stays."})
    runner.run_one()
    sandbox.control.confirm(order.sinch_id)
    settle()
    assert state_of(operation) == State.REFUSED
    assert operation.staff_message == (
        "The order is confirmed by now and cannot be canceled any more."
    )


# --- Note and document ----------------------------------------------------------------------


@pytest.mark.parametrize("fault", [None, "drop_after", "drop_before", "garbage"])
def test_a_note_arrives_once_whatever_becomes_of_the_answer(
    order: PortInOrder,
    send: Callable[..., Operation],
    sandbox: Sandbox,
    settle: Run,
    fault: str | None,
) -> None:
    before = send("note", {"text": "The bill is attached.", "alike_of_others": 0})
    settle()
    if fault:
        sandbox.control.faults.add(fault, "addOrderNote")
    operation = send("note", {"text": "The bill is  attached.", "alike_of_others": 0})
    settle()
    assert state_of(operation) == State.SUCCEEDED
    assert len(sandbox.control.order(order.sinch_id).notes) == 2
    assert set(OrderNote.objects.values_list("operation", flat=True)) == {
        before.pk,
        operation.pk,
    }
    assert timeline(order).count("Our note arrived at Sinch") == 2
    assert not any("wrote:" in text for text in timeline(order))


def test_a_write_that_stops_again_is_told_again(
    send: Callable[..., Operation], order: PortInOrder, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_before", "addOrderNote")
    operation = send("note", {"text": "Any news?"})
    assert runner.run_one()
    sandbox.control.faults.add("500", times=None)
    for stops in (1, 2):
        Operation.objects.filter(pk=operation.pk).update(
            uncertain_since=timezone.now() - runner.PATIENCE * 2, next_try_at=timezone.now()
        )
        assert runner.run_one()
        assert state_of(operation) == State.DEAD
        assert sum(text.startswith("Our note stopped:") for text in timeline(order)) == stops
        assert runner.try_again(operation)


@pytest.mark.parametrize("fault", [None, "drop_after", "drop_before"])
@pytest.mark.parametrize("key", ["id", "documentId"])
def test_a_document_arrives_once_and_its_row_knows_sinchs_id(
    order: PortInOrder,
    send: Callable[..., Operation],
    sandbox: Sandbox,
    settle: Run,
    fault: str | None,
    key: str,
) -> None:
    sandbox.control.personality(document_id=key)
    row = OrderDocument.objects.create(
        order=order, name="loa-signed.pdf", kind="loa", content=b"%PDF-1.7 invented"
    )
    if fault:
        sandbox.control.faults.add(fault, "addOrderDocuments")
    operation = send("document", {"document_pk": row.pk, "alike_of_others": 0})
    OrderDocument.objects.filter(pk=row.pk).update(operation=operation)
    settle()
    assert state_of(operation) == State.SUCCEEDED
    stored = sandbox.control.order(order.sinch_id).documents
    assert len(stored) == 1
    only = OrderDocument.objects.get(order=order)
    assert (only.pk, only.sinch_id) == (row.pk, str(stored[0]["id"]))
    assert "Document “loa-signed.pdf” arrived at Sinch" in timeline(order)


def test_a_document_that_is_not_here_any_more_is_not_sent(
    send: Callable[..., Operation], settle: Run
) -> None:
    operation = send("document", {"document_pk": 0, "alike_of_others": 0})
    settle()
    assert state_of(operation) == State.REFUSED
    assert operation.staff_message == "The document is not in the desk any more."


def test_a_note_that_was_dropped_is_not_taken_for_its_like_just_sent(
    order: PortInOrder, agent: User, sandbox: Sandbox, settle: Run
) -> None:
    actions_order.add_note(order, "Any news?", by=agent, key="first")
    assert runner.run_one()  # accepted; the order has not been read since
    sandbox.control.faults.add("drop_before", "addOrderNote")
    second = actions_order.add_note(order, "Any news?", by=agent, key="second")
    settle()
    assert state_of(second) == State.SUCCEEDED
    assert len(sandbox.control.order(order.sinch_id).notes) == 2


def test_two_notes_alike_are_two_though_both_answers_were_lost(
    order: PortInOrder, agent: User, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_after", "addOrderNote")
    first = actions_order.add_note(order, "Any news?", by=agent, key="first")
    assert runner.run_one()
    readings.want_one(order.project, sync.READER, order.sinch_id, "webhook")
    assert readings.run_one()  # the webhook was faster than the look-up
    second = actions_order.add_note(order, "Any news?", by=agent, key="second")
    Operation.objects.filter(pk=first.pk).update(next_try_at=timezone.now() - timedelta(seconds=5))
    assert runner.run_one()
    assert state_of(first) == State.SUCCEEDED
    sandbox.control.faults.add("drop_after", "addOrderNote")
    settle()
    assert state_of(second) == State.SUCCEEDED
    assert len(sandbox.control.order(order.sinch_id).notes) == 2


def test_a_refused_document_does_not_become_its_like_that_arrived(
    order: PortInOrder, agent: User, sandbox: Sandbox, settle: Run
) -> None:
    def upload(content: bytes) -> OrderDocument:
        document = check("bill.pdf", content)
        (operation,) = actions_documents.upload_documents(
            order, [document], kind="bill", by=agent, key=str(len(content))
        )
        return OrderDocument.objects.get(operation=operation)

    sandbox.control.faults.add("status", "addOrderDocuments", status=422)
    refused = upload(a_pdf())
    settle()
    sandbox.control.faults.add("drop_after", "addOrderDocuments")
    sent = upload(a_pdf() + b"\n")
    assert runner.run_one()
    readings.want_one(order.project, sync.READER, order.sinch_id, "webhook")
    assert readings.run_one()  # the webhook was faster than the look-up
    settle()
    for row in (refused, sent):
        row.refresh_from_db()
    (at_sinch,) = sandbox.control.order(order.sinch_id).documents
    assert (refused.sinch_id, sent.sinch_id) == ("", str(at_sinch["id"]))
    assert Operation.objects.get(pk=sent.operation_id).state == State.SUCCEEDED
    assert OrderDocument.objects.count() == 2


# --- Activate -------------------------------------------------------------------------------


@pytest.fixture
def ready(order: PortInOrder, sandbox: Sandbox, settle: Run) -> PortInOrder:
    """The order, with its group offered for activation."""
    sandbox.control.make_ready(order.sinch_id)
    readings.want_one(order.project, "port_in_order", order.sinch_id, "staff")
    settle()
    order.refresh_from_db()
    assert WorkItem.objects.get().bucket == "ready"
    return order


@pytest.mark.parametrize("shape", ["wrapped", "list"])
@pytest.mark.parametrize("fault", [None, "drop_after", "drop_before"])
@pytest.mark.parametrize("whole", [True, False])
def test_an_activation_is_accepted_once_and_numbers_are_live_only_when_sinch_says_so(
    ready: PortInOrder,
    send: Callable[..., Operation],
    sandbox: Sandbox,
    settle: Run,
    shape: str,
    fault: str | None,
    whole: bool,
) -> None:
    sandbox.control.personality(activations=shape)
    readings.want_one(ready.project, "port_in_order", ready.sinch_id, "staff")
    settle()
    ready.refresh_from_db()
    if fault:
        sandbox.control.faults.add(fault, "activatePortIn")
    operation = send("activate", {"groups": [] if whole else ready.offered_groups})
    settle()
    assert state_of(operation) == State.SUCCEEDED
    assert count(sandbox, "activatePortIn") == (2 if fault == "drop_before" else 1)
    item = WorkItem.objects.get()
    assert (item.bucket, item.live_count, item.move) == ("wait", 0, "sinch")
    sandbox.control.next(ready.sinch_id)
    readings.want_one(ready.project, "port_in_order", ready.sinch_id, "staff")
    settle()
    assert WorkItem.objects.get().live_count == 2


def test_an_activation_that_got_through_after_it_was_looked_for_is_no_refusal(
    ready: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_before", "activatePortIn")
    operation = send("activate", {"groups": ready.offered_groups})
    runner.run_one()
    while state_of(operation) == State.UNCERTAIN:
        Operation.objects.update(next_try_at=timezone.now())
        runner.run_one()
    # Sinch has it by now, and says to a second try that it has begun.
    sandbox.control.faults.add("status", "activatePortIn", status=422, after=True)
    settle()
    assert state_of(operation) == State.SUCCEEDED
    assert not any("refused" in text for text in timeline(ready))


def test_a_refused_activation_asks_nothing_more_once_its_numbers_are_live(
    ready: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("status", "activatePortIn", status=422, after=True)
    operation = send("activate", {"groups": ready.offered_groups})
    settle()
    assert state_of(operation) == State.REFUSED
    assert WorkItem.objects.get().reasons[0]["code"] == "P1"
    sandbox.control.next(ready.sinch_id)
    readings.want_one(ready.project, "port_in_order", ready.sinch_id, "staff")
    settle()
    item = WorkItem.objects.get()
    assert item.live_count == 2
    assert "P1" not in [reason["code"] for reason in item.reasons]


@pytest.mark.parametrize("spelling", ["+{}", "{}", ""])
def test_a_group_is_offered_in_whatever_way_its_numbers_are_named(
    ready: PortInOrder, project: SinchProject, spelling: str
) -> None:
    """A group need have nothing but its key; a key need not be what the numbers call it."""
    named = tuple(phone_of({"phoneNumber": spelling.format(n[1:])}) for n in (A, B) if spelling)
    group = ActivationGroup("grp-001", named, None, "groupIds")
    sync.store_offers(ready, [group], timezone.now())
    item = WorkItem.objects.get()
    assert (item.bucket, item.reasons[0]["text"]) == ("ready", "Activate 2 numbers")
    ready.refresh_from_db()
    assert sorted(ready.offered_groups[0]["numbers"]) == [A, B]


def test_a_refused_activation_comes_before_everything_else(
    ready: PortInOrder, send: Callable[..., Operation], settle: Run
) -> None:
    send("activate", {"groups": [{"key": "no such group", "shape": "groupIds", "numbers": [A]}]})
    settle()
    item = WorkItem.objects.get()
    assert (item.bucket, item.reasons[0]["code"]) == ("us", "P1")
    assert item.rank < 50


@pytest.fixture
def offered(order: PortInOrder, sandbox: Sandbox, settle: Run) -> PortInOrder:
    """An order whose group can be activated."""
    sandbox.control.make_ready(order.sinch_id)
    readings.want_one(order.project, sync.READER, order.sinch_id, "staff")
    settle()
    order.refresh_from_db()
    return order


def test_an_activation_that_never_left_is_refused_when_its_date_has_moved(
    offered: PortInOrder, agent: User, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_before", "activatePortIn")
    operation = actions_activation.activate_whole(offered, by=agent, key="one page")
    assert runner.run_one()
    assert state_of(operation) == State.UNCERTAIN
    sandbox.control.move_foc_date(offered.sinch_id, port_day(5))
    settle()
    assert state_of(operation) == State.REFUSED
    operation.refresh_from_db()
    assert "nothing can be activated before that day" in operation.staff_message


@pytest.mark.parametrize("status", ["PENDING", "REJECTED", "CANCELED"])
@pytest.mark.parametrize("whole", [True, False])
def test_an_activation_that_never_left_is_no_success_because_its_numbers_fell_back(
    offered: PortInOrder,
    send: Callable[..., Operation],
    sandbox: Sandbox,
    settle: Run,
    status: str,
    whole: bool,
) -> None:
    sandbox.control.faults.add("drop_before", "activatePortIn")
    operation = send("activate", {"groups": [] if whole else offered.offered_groups})
    assert runner.run_one()
    assert state_of(operation) == State.UNCERTAIN
    for number in sandbox.control.order(offered.sinch_id).numbers:
        number.status = status
    settle()
    assert state_of(operation) == State.REFUSED
    assert "none went live" in operation.staff_message
    assert not any("accepted" in text for text in timeline(offered) if "Activation" in text)
    assert count(sandbox, "activatePortIn") == 1


def test_an_activation_that_got_through_stays_a_success_though_a_number_fell_back_since(
    offered: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_after", "activatePortIn")
    operation = send("activate", {"groups": offered.offered_groups})
    assert runner.run_one()
    first, second = sandbox.control.order(offered.sinch_id).numbers
    first.status, second.status = "ACTIVATED", "REJECTED"
    settle()
    assert state_of(operation) == State.SUCCEEDED


@pytest.mark.parametrize("shape", ["wrapped", "list"])
@pytest.mark.parametrize("offers", [True, False])
def test_an_activation_of_a_group_that_has_another_name_by_now_is_left_to_a_person(
    offered: PortInOrder,
    send: Callable[..., Operation],
    sandbox: Sandbox,
    settle: Run,
    shape: str,
    offers: bool,
) -> None:
    sandbox.control.personality(activations=shape)
    readings.want_one(offered.project, sync.READER, offered.sinch_id, "staff")
    settle()
    offered.refresh_from_db()
    sandbox.control.faults.add("drop_before", "activatePortIn")
    operation = send("activate", {"groups": offered.offered_groups})
    assert runner.run_one()
    theirs = sandbox.control.order(offered.sinch_id)
    theirs.groups.append("GW Lumen Grp9")
    for number in theirs.numbers:
        number.group = "GW Lumen Grp9"
        number.ready_at = number.ready_at if offers or shape == "wrapped" else None
    settle()
    assert state_of(operation) == State.REFUSED
    assert "in another group by now" in operation.staff_message
    assert count(sandbox, "activatePortIn") == 1


def test_an_activation_is_not_sent_again_for_numbers_that_joined_its_group_meanwhile(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    first, second = sandbox.control.order(order.sinch_id).numbers
    second.group = "GW Lumen Grp9"
    sandbox.control.order(order.sinch_id).groups.append(second.group)
    sandbox.control.make_ready(order.sinch_id)
    readings.want_one(order.project, sync.READER, order.sinch_id, "staff")
    settle()
    order.refresh_from_db()
    (group,) = [g for g in order.offered_groups if g["numbers"] == [first.phone_number]]
    sandbox.control.faults.add("drop_before", "activatePortIn")
    operation = send("activate", {"groups": [group]})
    assert runner.run_one()
    second.group = first.group
    settle()
    assert state_of(operation) == State.REFUSED
    assert count(sandbox, "activatePortIn") == 1


def test_a_group_that_may_have_been_activated_is_not_activated_beside_it(
    offered: PortInOrder, agent: User, sandbox: Sandbox, settle: Run
) -> None:
    key = offered.offered_groups[0]["key"]
    sandbox.control.faults.add("drop_after", "activatePortIn")
    stopped = actions_activation.activate_groups(offered, [key], by=agent, key="one page")
    assert runner.run_one()
    sandbox.control.faults.add("500", times=None)  # nobody can be asked what became of it
    Operation.objects.filter(pk=stopped.pk).update(
        uncertain_since=timezone.now() - runner.PATIENCE * 2, next_try_at=timezone.now()
    )
    assert runner.run_one()
    assert state_of(stopped) == State.DEAD
    sandbox.control.faults.clear()
    with pytest.raises(actions_order.NotPossible, match="Press “Try again” on it"):
        actions_activation.activate_groups(offered, [key], by=agent, key="another page")
    (choice,) = page_activation.choices_of(
        offered, [], actions_activation.activations([offered.target])[offered.target]
    )
    assert (choice.ready, choice.under_way) == (False, False)
    assert choice.why_not == "An earlier activation may have been done; try that one again."
    runner.mark_seen(stopped)  # somebody has looked, and knows
    assert not actions_activation.activations([offered.target])[offered.target]
    assert runner.try_again(stopped)
    settle()
    assert state_of(stopped) == State.SUCCEEDED
    assert sandbox.control.calls()["activatePortIn"] == 1


def test_numbers_that_may_have_been_activated_are_not_activated_in_another_group(
    offered: PortInOrder, agent: User, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_before", "activatePortIn")
    key = offered.offered_groups[0]["key"]
    actions_activation.activate_groups(offered, [key], by=agent, key="one page")
    assert runner.run_one()
    theirs = sandbox.control.order(offered.sinch_id)
    theirs.groups.append("GW Lumen Grp9")
    for number in theirs.numbers:
        number.group = "GW Lumen Grp9"
    readings.want_one(offered.project, sync.READER, offered.sinch_id, "staff")
    assert readings.run_one()
    offered.refresh_from_db()
    (group,) = offered.offered_groups
    assert group["key"] != key
    with pytest.raises(actions_order.NotPossible, match="under way already"):
        actions_activation.activate_groups(offered, [group["key"]], by=agent, key="another page")
    settle()  # the first one is left to a person, who may activate what there is now
    again = actions_activation.activate_groups(offered, [group["key"]], by=agent, key="third")
    settle()
    assert state_of(again) == State.SUCCEEDED


# --- Settings -------------------------------------------------------------------------------

SETTINGS = {
    "contact": {"email": "ports@desk.example", "name": "Dana Whitfield", "phone": "+12065550100"},
    "webhookUrl": "https://desk.example/webhooks/porting/abc/",
    "defaultPortTime": "08:30:00",
    "defaultPortTimeZone": "US/Pacific",
}


@pytest.mark.parametrize("absent", ["not_found", "empty"])
@pytest.mark.parametrize("fault", [None, "drop_after", "drop_before"])
def test_settings_are_created_then_replaced(
    project: SinchProject,
    agent: User,
    sandbox: Sandbox,
    settle: Run,
    absent: str,
    fault: str | None,
) -> None:
    sandbox.control.personality(configuration_absent=absent, webhook_url_read="bare_host")
    for zone in ("US/Pacific", "US/Central"):
        if fault:
            sandbox.control.faults.add(fault, "createConfiguration")
            sandbox.control.faults.add(fault, "updateConfiguration")
        operation, _ = submit(
            project,
            "porting.configure",
            target=f"project:{project.pk}",
            payload={"configuration": {**SETTINGS, "defaultPortTimeZone": zone}},
            by=agent,
        )
        settle()
        sandbox.control.faults.clear()
        assert state_of(operation) == State.SUCCEEDED
        project.refresh_from_db()
        assert project.default_port_time_zone == zone
        assert sandbox.state.configuration["defaultPortTimeZone"] == zone


@pytest.mark.parametrize("fault", ["drop_after", "drop_before"])
def test_an_address_of_which_sinch_shows_only_the_host_is_sent_again_when_the_answer_was_lost(
    project: SinchProject, agent: User, sandbox: Sandbox, settle: Run, fault: str
) -> None:
    """Taken for registered, the old token would be retired and every webhook lost."""
    sandbox.control.personality(webhook_url_read="bare_host")
    for token in ("abc", "def"):
        payload = {"configuration": {"webhookUrl": SETTINGS["webhookUrl"].replace("abc", token)}}
        if token == "abc":
            payload = {"configuration": SETTINGS}
        else:
            sandbox.control.faults.add(fault, "updateConfiguration")
            shown = clients.porting_client(project).get_configuration()
            payload["base"] = project_configuration.digest(shown)
        operation, _ = submit(
            project,
            "porting.configure",
            target=f"project:{project.pk}",
            payload=payload,
            by=agent,
        )
        settle()
        assert state_of(operation) == State.SUCCEEDED
        assert sandbox.state.configuration["webhookUrl"].endswith(f"/{token}/")


# --- All kinds ------------------------------------------------------------------------------


def test_every_kind_says_how_a_lost_answer_is_found_out() -> None:
    kinds = {k: h for k, h in runner.handlers().items() if k.startswith("port")}
    assert set(kinds) == {
        "port_in.check",
        "port_in.create",
        "port_in.update",
        "port_in.cancel",
        "port_in.note",
        "port_in.document",
        "port_in.activate",
        "porting.configure",
    }
    assert all(handler.how_found_out.endswith(".") for handler in kinds.values())


@pytest.mark.parametrize("kind", ["update", "cancel", "note", "document", "activate"])
def test_sinch_being_down_leaves_a_write_waiting_and_tells_nothing_wrong(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, kind: str
) -> None:
    row = OrderDocument.objects.create(order=order, name="bill.pdf", content=b"%PDF-1.7")
    payload = {
        "update": {
            "body": bodies.write_body(order, order.secrets),
            "base": comparing.digest(order),
        },
        "cancel": {"why": "x"},
        "note": {"text": "Hello", "alike_of_others": 0},
        "document": {"document_pk": row.pk, "alike_of_others": 0},
        "activate": {"groups": []},
    }[kind]
    sandbox.control.faults.add("429", times=None)
    operation = send(kind, payload)
    runner.run_one()
    assert state_of(operation) == State.QUEUED
    assert operation.next_try_at > timezone.now()
    assert "slow down" in operation.staff_message


@pytest.mark.parametrize("asked", ["getOrderDetails", "getAccessToken"])
def test_what_is_no_answer_to_a_question_before_a_write_is_no_refusal(
    order: PortInOrder, update: Callable[..., Operation], sandbox: Sandbox, settle: Run, asked: str
) -> None:
    if asked == "getAccessToken":
        sandbox.control.expire_tokens()
    sandbox.control.faults.add("garbage", asked)
    operation = update(NEW_STREET)
    assert runner.run_one()
    assert state_of(operation) == State.QUEUED
    settle()
    assert state_of(operation) == State.SUCCEEDED
    assert count(sandbox, "updatePortInOrder") == 1
    assert not any("refused" in text for text in timeline(order))


def test_what_nobody_could_ask_about_is_not_told_as_undone(
    order: PortInOrder, agent: User, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_after", "deleteOrder")
    operation = actions_order.cancel_order(order, why="The customer stays.", by=agent)
    assert runner.run_one()
    sandbox.control.faults.add("500", times=None)
    Operation.objects.filter(pk=operation.pk).update(
        uncertain_since=timezone.now() - runner.PATIENCE * 2, next_try_at=timezone.now()
    )
    assert runner.run_one()
    assert state_of(operation) == State.DEAD
    assert sandbox.control.order(order.sinch_id).status == "PENDING_CANCELATION"
    operation.refresh_from_db()
    assert operation.staff_message == (
        "Sinch could not be asked what became of it. Sinch cannot be reached at the moment."
    )
    assert not any("Nothing was changed" in text for text in timeline(order))


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


# --- Side by side ---------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fault", [None, "402", "drop_after"])
def test_settling_a_write_and_storing_a_reading_never_wait_for_each_other(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, fault: str | None
) -> None:
    """Sinch's webhook about our own note has the order read in the moment the note is settled."""
    operation = send("note", {"text": "The PIN is on its way.", "alike_of_others": 0})
    if fault:
        sandbox.control.faults.add(fault, "addOrderNote")

    def worker() -> None:
        try:
            runner.run_one()
        finally:
            connection.close()

    settling = threading.Thread(target=worker)
    with transaction.atomic():
        PortInOrder.objects.select_for_update().get(pk=order.pk)  # as a reading begins
        settling.start()
        wait_for(somebody_waits_for_a_lock, what="the settling")
        items.touch(order.item_id)  # as a reading ends
    settling.join(20)
    ends = {None: State.SUCCEEDED, "402": State.REFUSED, "drop_after": State.UNCERTAIN}
    assert state_of(operation) == ends[fault]
    assert "Error" not in operation.last_error
