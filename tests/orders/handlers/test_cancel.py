"""A cancelation: ours however it is heard of, and never a success where it came too late."""

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
import requests
from django.utils import timezone
from urllib3 import HTTPResponse

from orders import actions_order
from orders.models import PortInOrder
from portal.accounts.models import User
from portal.operations import clients, readings, runner
from portal.operations.models import Operation
from portal.sandbox import Sandbox
from portal.sandbox.adapter import SandboxAdapter
from portal.work.models import WorkItem
from tests.orders.handlers.tools import LateAnswers, Run, State, count, state_of, timeline
from tests.tools import lose

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("porting_client")]


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


class OddAnswers(SandboxAdapter):
    """Says something else in the answer to a cancelation than Sinch does."""

    def __init__(self, app: Sandbox, **odd: Any) -> None:
        super().__init__(app)
        self.odd = odd

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        answer = super().send(request, *args, **more)
        if request.method == "DELETE":
            said = json.loads(answer.raw.read()) | self.odd
            answer.raw = HTTPResponse(BytesIO(json.dumps(said).encode()), preload_content=False)
        return answer


@pytest.mark.parametrize("odd", [{"id": "40999999"}, {"status": ""}])
def test_an_answer_about_another_order_or_without_a_status_changes_no_order(
    order: PortInOrder,
    send: Callable[..., Operation],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    odd: dict[str, str],
) -> None:
    sandbox.control.personality(cancel_answer="order")
    operation = send("cancel", {"why": "The customer stays."})
    adapter = OddAnswers(sandbox, **odd)
    monkeypatch.setattr(clients, "mount", lambda transport: transport.mount(adapter))
    clients.forget_clients()
    assert runner.run_one()
    assert state_of(operation) == State.SUCCEEDED
    before = order.fetched_at
    order.refresh_from_db()
    assert (order.status, order.fetched_at) == ("PENDING", before)
    assert PortInOrder.objects.count() == 1


def test_a_cancelation_whose_answer_was_lost_is_told_by_the_status(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_after", "deleteOrder")
    operation = send("cancel", {"why": "The customer stays."})
    settle()
    assert state_of(operation) == State.SUCCEEDED
    assert count(sandbox, "deleteOrder") == 1


def test_a_cancelation_whose_answer_was_lost_is_done_when_sinch_does_not_know_the_order_any_more(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox
) -> None:
    sandbox.control.faults.add("drop_after", "deleteOrder")
    operation = send("cancel", {"why": "The customer stays."})
    assert runner.run_one()
    assert state_of(operation) == State.UNCERTAIN
    sandbox.control.faults.add("status", "getOrderDetails", status=404)
    Operation.objects.update(next_try_at=timezone.now())
    assert runner.run_one()
    assert state_of(operation) == State.SUCCEEDED
    assert count(sandbox, "deleteOrder") == 1


def test_a_refused_cancelation_has_the_order_read_at_once(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox
) -> None:
    """Sinch may know more of it than the mirror."""
    sandbox.control.faults.add("status", "deleteOrder", status=422)
    operation = send("cancel", {"why": "The customer stays."})
    assert runner.run_one()
    assert state_of(operation) == State.REFUSED
    asked = count(sandbox, "getOrderDetails")
    assert readings.run_one()
    assert count(sandbox, "getOrderDetails") == asked + 1


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


@pytest.mark.parametrize("way", ["two_steps", "straight"])
def test_a_second_cancelation_of_an_order_that_a_stopped_one_had_reached_is_done(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, agent: User, way: str
) -> None:
    sandbox.control.personality(cancelation=way)
    sandbox.control.faults.add("drop_after", "deleteOrder")
    first = send("cancel", {"why": "The customer stays."})
    assert runner.run_one()
    Operation.objects.filter(pk=first.pk).update(state=State.DEAD, next_try_at=None)
    second = actions_order.cancel_order(order, why="The customer stays.", by=agent)
    assert second != first
    assert runner.run_one()
    assert state_of(second) == State.SUCCEEDED
    order.refresh_from_db()
    assert order.status == ("PENDING_CANCELATION" if way == "two_steps" else "CANCELED")
    assert not any("refused" in text for text in timeline(order))


@pytest.mark.parametrize("says", ["confirmed", "nothing"])
def test_a_cancelation_that_sinch_refuses_stays_refused_unless_the_order_is_canceled(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, says: str
) -> None:
    operation = send("cancel", {"why": "The customer stays."})
    if says == "confirmed":
        sandbox.control.confirm(order.sinch_id)
    else:  # nobody can be asked what became of the order
        sandbox.control.faults.add("status", "deleteOrder", status=422)
        sandbox.control.faults.add("status", "getOrderDetails", status=503, times=None)
    assert runner.run_one()
    assert state_of(operation) == State.REFUSED
    assert operation.answer["status"]


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


@pytest.mark.parametrize("status", ["confirmed", "completed"])
def test_a_cancelation_that_came_too_late_says_so(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, settle: Run, status: str
) -> None:
    sandbox.control.faults.add("drop_before", "deleteOrder")
    operation = send("cancel", {"why": "The customer stays."})
    runner.run_one()
    sandbox.control.confirm(order.sinch_id)
    if status == "completed":
        sandbox.control.complete(order.sinch_id)
    settle()
    assert state_of(operation) == State.REFUSED
    assert operation.staff_message == (
        f"The order is {status} by now and cannot be canceled any more."
    )
