"""What holds for every write about an order."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from orders import actions_activation, actions_documents, actions_order, bodies, comparing
from orders.documents import check
from orders.models import OrderDocument, PortInOrder
from portal.accounts.models import User
from portal.operations import runner
from portal.operations.models import Operation
from portal.sandbox import Sandbox
from portal.work.models import WorkItem
from portal.work.verdicts import UNCERTAIN_PATIENCE
from tests.orders.handlers.tools import NEW_STREET, Run, State, count, state_of, timeline
from tests.orders.test_documents import a_pdf
from tests.tools import lose

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("porting_client")]


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


@pytest.mark.parametrize("fault", ["garbage", "status"])
@pytest.mark.parametrize("asked", ["getOrderDetails", "getAccessToken"])
def test_what_is_no_answer_to_a_question_before_a_write_is_no_refusal(
    order: PortInOrder,
    update: Callable[..., Operation],
    sandbox: Sandbox,
    settle: Run,
    asked: str,
    fault: str,
) -> None:
    """A page in the place of JSON, or a word that it is elsewhere now."""
    if asked == "getAccessToken":
        sandbox.control.expire_tokens()
    sandbox.control.faults.add(fault, asked, status=302)
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


def codes() -> list[str]:
    """Return what somebody is asked for, by its codes."""
    return [reason["code"] for reason in WorkItem.objects.get().reasons]


def test_a_lost_answer_asks_for_somebody_once_it_was_looked_for_long_enough(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox
) -> None:
    sandbox.control.faults.add("drop_after", "addOrderNote")
    operation = send("note", {"text": "Any news?"})
    assert runner.run_one()
    assert state_of(operation) == State.UNCERTAIN
    assert WorkItem.objects.get().next_change_at <= operation.uncertain_since + UNCERTAIN_PATIENCE


def test_a_refusal_asks_for_somebody_until_it_was_looked_at(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox
) -> None:
    sandbox.control.faults.add("status", "addOrderNote", status=422)
    operation = send("note", {"text": "Any news?"})
    assert runner.run_one()
    assert "P1" in codes()
    runner.mark_seen(operation)
    assert "P1" not in codes()


def test_a_stopped_write_asks_for_somebody_until_it_is_taken_up(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox
) -> None:
    sandbox.control.faults.add("429", "addOrderNote")
    operation = send("note", {"text": "Any news?"})
    Operation.objects.filter(pk=operation.pk).update(attempts=runner.MOST_SENDS)
    assert runner.run_one()
    assert state_of(operation) == State.DEAD
    assert "P1" in codes()
    assert not runner.take_up(operation)
    assert "P1" not in codes()
