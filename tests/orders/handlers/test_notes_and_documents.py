"""Notes and documents: each arrives once, and none is taken for another like it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from orders import actions_documents, actions_order, sync
from orders.documents import check
from orders.models import OrderDocument, OrderNote, PortInOrder
from portal.accounts.models import User
from portal.operations import clients, readings, runner
from portal.operations.models import Operation
from portal.sandbox import Sandbox
from tests.orders.handlers.tools import LateAnswers, Run, State, state_of, timeline
from tests.orders.test_documents import a_pdf

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("porting_client")]


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
        assert not runner.take_up(operation)


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


@pytest.mark.parametrize("fault", ["drop_after", "drop_before"])
@pytest.mark.parametrize("whose", ["of Sinch", "about another order"])
def test_a_lost_note_is_told_from_its_likes_that_are_none_of_its_order_or_not_ours(
    order: PortInOrder, agent: User, sandbox: Sandbox, settle: Run, whose: str, fault: str
) -> None:
    if whose == "of Sinch":
        sandbox.control.note(order.sinch_id, "Any news?")
        readings.want_one(order.project, sync.READER, order.sinch_id, "webhook")
        settle()
    else:
        other = str(sandbox.control.create_order(["+12065550177"]).id)
        readings.want_one(order.project, sync.READER, other, "webhook")
        settle()
        there = PortInOrder.objects.get(sinch_id=other)
        actions_order.add_note(there, "Any news?", by=agent, key="first")
        settle()
    before = len(sandbox.control.order(order.sinch_id).notes)
    sandbox.control.faults.add(fault, "addOrderNote")
    operation = actions_order.add_note(order, "Any news?", by=agent, key="second")
    settle()
    assert state_of(operation) == State.SUCCEEDED
    assert len(sandbox.control.order(order.sinch_id).notes) == before + 1


def stop_after_arriving(stopped: Operation, order: PortInOrder, sandbox: Sandbox) -> None:
    """Have a write sent whose answer is lost, read what arrived, and give up looking for it."""
    assert runner.run_one()
    readings.want_one(order.project, sync.READER, order.sinch_id, "webhook")
    assert readings.run_one()
    sandbox.control.faults.add("500", times=None)
    Operation.objects.filter(pk=stopped.pk).update(
        uncertain_since=timezone.now() - runner.PATIENCE * 2, next_try_at=timezone.now()
    )
    assert runner.run_one()
    assert state_of(stopped) == State.DEAD
    sandbox.control.faults.clear()


def test_a_lost_note_is_told_from_its_like_that_stopped_after_it_had_arrived(
    order: PortInOrder, agent: User, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_after", "addOrderNote")
    stopped = actions_order.add_note(order, "Any news?", by=agent, key="first")
    stop_after_arriving(stopped, order, sandbox)
    sandbox.control.faults.add("drop_before", "addOrderNote")
    second = actions_order.add_note(order, "Any news?", by=agent, key="second")
    settle()
    assert state_of(second) == State.SUCCEEDED
    assert len(sandbox.control.order(order.sinch_id).notes) == 2


def test_a_note_that_stopped_without_our_knowing_is_ours_when_it_is_read(
    order: PortInOrder, agent: User, sandbox: Sandbox
) -> None:
    sandbox.control.faults.add("drop_after", "addOrderNote")
    stopped = actions_order.add_note(order, "Any news?", by=agent, key="first")
    assert runner.run_one()
    Operation.objects.filter(pk=stopped.pk).update(state=State.DEAD, next_try_at=None)
    readings.want_one(order.project, sync.READER, order.sinch_id, "webhook")
    assert readings.run_one()
    assert OrderNote.objects.get().operation == stopped
    assert not any("wrote:" in text for text in timeline(order))


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


@pytest.fixture
def upload(order: PortInOrder, agent: User) -> Callable[..., OrderDocument]:
    """Send a document called bill.pdf to Sinch: `upload("first")`."""

    def put(key: str) -> OrderDocument:
        (operation,) = actions_documents.upload_documents(
            order, [check("bill.pdf", a_pdf())], kind="bill", by=agent, key=key
        )
        return OrderDocument.objects.get(operation=operation)

    return put


def put_there(sandbox: Sandbox, order: PortInOrder) -> str:
    """Have somebody else put another bill.pdf there; return its id."""
    there = sandbox.control.order(order.sinch_id)
    return str(sandbox.state.add_document(there, "bill.pdf", "", "")["id"])


def test_a_document_whose_answer_was_lost_is_not_the_older_one_that_somebody_else_put_there(
    order: PortInOrder, upload: Callable[..., OrderDocument], sandbox: Sandbox
) -> None:
    theirs = put_there(sandbox, order)
    sandbox.control.faults.add("drop_after", "addOrderDocuments")
    row = upload("first")
    assert runner.run_one()
    while Operation.objects.latest("pk").state == State.UNCERTAIN:
        Operation.objects.update(next_try_at=timezone.now())
        assert runner.run_one()
    row.refresh_from_db()
    assert row.sinch_id not in ("", theirs)


def test_a_lost_document_is_told_from_its_like_that_stopped_after_it_had_arrived(
    order: PortInOrder, upload: Callable[..., OrderDocument], sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_after", "addOrderDocuments")
    stopped = upload("first").operation
    stop_after_arriving(stopped, order, sandbox)
    sandbox.control.faults.add("drop_before", "addOrderDocuments")
    second = upload("second")
    settle()
    second.refresh_from_db()
    first_id, second_id = (str(d["id"]) for d in sandbox.control.order(order.sinch_id).documents)
    assert second.sinch_id == second_id
    assert OrderDocument.objects.get(operation=stopped).sinch_id == first_id


def test_a_refused_document_gives_back_the_id_of_another_that_was_read_while_it_was_sent(
    order: PortInOrder,
    upload: Callable[..., OrderDocument],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def meanwhile() -> None:
        put_there(sandbox, order)
        readings.want_one(order.project, sync.READER, order.sinch_id, "webhook")
        assert readings.run_one()
        assert OrderDocument.objects.get().sinch_id

    sandbox.control.faults.add("status", "addOrderDocuments", status=422)
    row = upload("first")
    adapter = LateAnswers(sandbox, "POST", meanwhile)
    monkeypatch.setattr(clients, "mount", lambda transport: transport.mount(adapter))
    clients.forget_clients()
    assert runner.run_one()
    row.refresh_from_db()
    assert (state_of(row.operation), row.sinch_id) == (State.REFUSED, "")
