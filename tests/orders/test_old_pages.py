"""Old pages and stopped writes of an order: nothing goes twice, over others, or unsaid nowhere."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from orders import actions_order
from orders.models import PortInOrder
from portal.accounts.models import User
from portal.operations import runner
from portal.operations.models import Operation
from portal.sandbox import Sandbox
from tests.orders.test_documents import a_pdf
from tests.orders.test_edit import EditPage, order, page

__all__ = ["order", "page"]  # fixtures

pytestmark = pytest.mark.django_db
Run = Callable[[], None]


def post(client: Client, name: str, order: PortInOrder, **fields: Any) -> Any:
    return client.post(reverse(f"orders:{name}", args=[order.pk]), fields)


def stop(kind: str, *, may_have_arrived: bool = True) -> Operation:
    """Have the last write of a kind stop, as one that nobody could ask about."""
    operation = Operation.objects.filter(kind=kind).latest("pk")
    since = timezone.now() if may_have_arrived else None
    stopped = {"state": "dead", "uncertain_since": since, "finished_at": timezone.now()}
    Operation.objects.filter(pk=operation.pk).update(**stopped, next_try_at=None)
    return operation


# --- A used page --------------------------------------------------------------------------------


def test_another_note_of_a_page_that_has_sent_one_is_sent_too(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox, settle: Run
) -> None:
    for text in ("The bill is attached.", "The bill is attached.", "The LOA is attached too."):
        post(agent_client, "note", order, note=text, key="k1", sure="yes")
        settle()
    assert sandbox.state.calls["addOrderNote"] == 2


@pytest.mark.parametrize("place", ["", "list"])
def test_other_documents_of_a_page_that_has_sent_some_are_sent_too(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox, settle: Run, place: str
) -> None:
    bill, letter = a_pdf(), a_pdf()
    for files in ([("bill.pdf", bill)], [("bill.pdf", bill), ("loa.pdf", letter)]):
        chosen = [SimpleUploadedFile(name, content) for name, content in files]
        told = {"document": chosen, "kind": "other", "key": "k1", "place": place}
        assert post(agent_client, "document", order, **told).status_code == 302
        settle()
    assert list(order.documents.order_by("pk").values_list("name", flat=True)) == [
        "bill.pdf",
        "loa.pdf",
    ]
    assert sandbox.state.calls["addOrderDocuments"] == 2


def test_another_change_of_a_page_that_has_sent_one_is_sent_too(
    page: EditPage, order: PortInOrder, sandbox: Sandbox, settle: Run
) -> None:
    page.post("check", zip="98102")
    checked = page.fields()
    page.post("send")
    settle()
    # Back, and the browser posts what it had posted: the page comes again with its key.
    page.html = page.client.post(page.url, checked | {"action": "edit"}).content.decode()
    page.post("check", zip="98103")
    page.post("check")  # looked at beside what Sinch has by now
    page.post("send")
    settle()
    assert sandbox.state.calls["updatePortInOrder"] == 2
    order.refresh_from_db()
    assert {n["endUser"]["zipCode"] for n in order.payload["phoneNumbers"]} == {"98103"}


def test_a_page_that_has_copied_the_details_of_an_order_can_copy_its_numbers_too(
    agent_client: Client, order: PortInOrder
) -> None:
    key = str(uuid.uuid4())
    first, second, third = (
        post(agent_client, "clone", order, key=key, what=what)["Location"]
        for what in ("details", "numbers", "numbers")
    )
    assert first != second
    assert second == third


def test_an_order_is_canceled_once_though_it_was_not_read_since(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox, settle: Run
) -> None:
    for _ in range(2):
        post(agent_client, "cancel", order, why="The customer stays.")
        while runner.run_one():
            pass
    assert sandbox.state.calls["deleteOrder"] == 1


# --- Taken up after others ----------------------------------------------------------------------


@pytest.mark.parametrize("state", ["succeeded", "queued", "refused"])
def test_a_stopped_cancelation_is_not_sent_after_the_order_was_changed(
    page: EditPage,
    order: PortInOrder,
    agent: User,
    sandbox: Sandbox,
    settle: Run,
    state: str,
) -> None:
    actions_order.cancel_order(order, why="The customer stays.", by=agent)
    stopped = stop("port_in.cancel")
    page.post("check", zip="98102")
    page.post("send")
    if state != "queued":
        settle()
    Operation.objects.filter(kind="port_in.update").update(state=state)
    again = reverse("operations:again", args=[stopped.key])
    is_overtaken = state != "refused"
    why = "The order has been changed since. Cancel it anew, if it is still to end."
    for shows in (order.get_absolute_url(), stopped.get_absolute_url()):
        html = page.client.get(shows).content.decode()
        assert (f'action="{again}"' in html) != is_overtaken, shows
        assert (why in html) == is_overtaken, shows
    answer = page.client.post(again, follow=True)
    assert ("It cannot be tried again" in answer.content.decode()) == is_overtaken
    assert (why in answer.content.decode()) == is_overtaken
    for _ in range(6):
        Operation.objects.filter(next_try_at__isnull=False).update(next_try_at=timezone.now())
        settle()
    assert sandbox.state.calls["deleteOrder"] == (not is_overtaken)


def test_what_is_told_of_stopped_writes_costs_the_order_page_no_statement(
    agent_client: Client, order: PortInOrder, agent: User
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            agent_client.get(order.get_absolute_url())
        return len(queries)

    actions_order.add_note(order, "Any news?", by=agent)
    statements()  # what the desk keeps in its cache is asked for once
    before = statements()
    stop("port_in.note")
    actions_order.cancel_order(order, why="The customer stays.", by=agent)
    stop("port_in.cancel")
    assert statements() == before


def page_of(client: Client, operation: Operation) -> str:
    return client.get(operation.get_absolute_url()).content.decode()


@pytest.mark.parametrize("kind", ["note", "document"])
def test_what_was_sent_anew_is_not_sent_once_more_when_the_stopped_one_is_tried_again(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox, settle: Run, kind: str
) -> None:
    content = a_pdf()
    for key in ("k1", "k2"):
        if kind == "note":
            post(agent_client, "note", order, note="Any news?", key=key, sure="yes")
        else:
            file = SimpleUploadedFile("bill.pdf", content)
            post(agent_client, "document", order, document=[file], kind="bill", key=key)
        if key == "k1":
            stopped = stop(f"port_in.{kind}")
    settle()
    assert runner.take_up(stopped) == f"This {kind} has been sent anew since. Close this one."
    assert "has been sent anew since" in page_of(agent_client, stopped)
    settle()
    assert sandbox.state.calls["addOrderNote"] + sandbox.state.calls["addOrderDocuments"] == 1


def test_an_order_whose_cancelation_is_under_way_is_not_changed_beside_it(
    page: EditPage, order: PortInOrder, agent: User
) -> None:
    page.post("check", zip="98102")
    actions_order.cancel_order(order, why="The customer stays.", by=agent)
    answer = page.post("send")
    assert answer.status_code == 409
    assert "Canceling is under way" in answer.content.decode()
    assert not Operation.objects.filter(kind="port_in.update").exists()
