"""A change of an order: sent once, found out, and never over what somebody else changed."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from orders import edit_work, sync
from orders.models import PortInOrder
from portal.operations import clients, readings, runner
from portal.operations.models import Operation, Reading
from portal.sandbox import Sandbox
from portal.work.models import WorkItem
from tests.orders.handlers.tools import (
    NEW_STREET,
    PIN,
    A,
    B,
    LateAnswers,
    Run,
    State,
    count,
    state_of,
    timeline,
)
from tests.tools import port_day

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("porting_client")]
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


def test_a_lost_new_pin_has_not_arrived_only_because_the_order_was_confirmed_as_it_was(
    order: PortInOrder, update: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.personality(pin_on_read="absent")
    sandbox.control.faults.add("drop_before", "updatePortInOrder")
    operation = update(NEW_PIN)
    assert runner.run_one()
    sandbox.control.confirm(order.sinch_id)
    readings.want_one(order.project, "port_in_order", order.sinch_id, "webhook")
    assert readings.run_one()
    settle()
    assert state_of(operation) == State.REFUSED
    order.refresh_from_db()
    assert order.secrets == {n: {"existingPortOutPin": PIN} for n in (A, B)}


def test_a_lost_new_pin_has_not_arrived_because_its_number_was_refused_in_another_order(
    order: PortInOrder,
    update: Callable[..., Operation],
    order_json: Callable[..., dict[str, Any]],
    sandbox: Sandbox,
    settle: Run,
) -> None:
    before = order_json({A: {"status": "REJECTED"}}, id="9", status="REJECTED")
    sync.store_port_in_order(order.project, before, timezone.now())
    sandbox.control.personality(pin_on_read="absent")
    sandbox.control.faults.add("drop_before", "updatePortInOrder")
    operation = update(NEW_PIN)
    settle()
    assert state_of(operation) == State.SUCCEEDED
    details = sandbox.control.order(order.sinch_id).numbers[0].details
    assert details["portOutInfo"]["existingPortOutPin"] == "775310"


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


def test_a_lost_change_of_an_order_that_was_locked_meanwhile_is_not_sent_again(
    order: PortInOrder, update: Callable[..., Operation], sandbox: Sandbox
) -> None:
    sandbox.control.faults.add("drop_before", "updatePortInOrder")
    operation = update(NEW_STREET)
    assert runner.run_one()
    sandbox.control.confirm(order.sinch_id)
    Operation.objects.filter(pk=operation.pk).update(next_try_at=timezone.now())
    assert runner.run_one()
    assert state_of(operation) == State.REFUSED
    assert operation.staff_message == "The order was locked before our change arrived."


def test_what_was_read_for_a_change_that_failed_is_in_the_mirror_at_once(
    order: PortInOrder, update: Callable[..., Operation], sandbox: Sandbox
) -> None:
    operation = update(NEW_STREET)
    for number in sandbox.control.orders()[0].numbers:
        number.details["endUser"]["streetNum"] = "9"
    assert runner.run_one()
    assert state_of(operation) == State.REFUSED
    order.refresh_from_db()
    assert [n["endUser"]["streetNum"] for n in order.payload["phoneNumbers"]] == ["9", "9"]


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
