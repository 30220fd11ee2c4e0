"""Webhooks, really sent to a server that really listens."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from portal.sandbox import Sandbox

from .conftest import Api


class Receiver:
    """An address that takes webhooks and remembers them."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status = 200
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                assert self.headers["Content-Type"] == "application/json"
                receiver.bodies.append(json.loads(self.rfile.read(length)))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook/secret-token/"

    @property
    def names(self) -> list[str]:
        """The events that came, in order."""
        return [body.get("type") or body["event"] for body in self.bodies]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An address to send webhooks to."""
    listening = Receiver()
    yield listening
    listening.close()


@pytest.fixture
def told(make_sandbox: Callable[..., Sandbox], receiver: Receiver) -> Sandbox:
    """A sandbox that sends its webhooks to the receiver."""
    return make_sandbox(webhook_url=receiver.url)


def test_each_change_is_told_in_order(told: Sandbox, receiver: Receiver) -> None:
    api = Api(told).sign_in()
    order_id = api.order("+12065550140", "+12065550198").json()["id"]
    told.control.answer(order_id)
    told.control.answer(order_id := api.order("+12065550150").json()["id"])
    told.control.complete(order_id)
    assert told.webhooks.wait_idle()
    assert receiver.names == [
        "ORDER_UPDATED",
        "NUMBERS_CONFIRMED",
        "NUMBERS_REJECTED",
        "ORDER_UPDATED",
        "ORDER_UPDATED",
        "NUMBERS_CONFIRMED",
        "ORDER_UPDATED",
        "ORDER_UPDATED",
        "NUMBERS_ACTIVATED",
        "ORDER_UPDATED",
        "ORDER_UPDATED",
    ]
    created, _confirmed, rejected, *_rest, last = receiver.bodies
    assert created["order"]["status"] == "PENDING"
    # As the seed documents have it: text here, a number there.
    assert isinstance(created["orderId"], str)
    assert isinstance(rejected["orderId"], int)
    assert rejected["phoneNumbers"][0]["rejectReason"] == "Invalid passcode/PIN supplied"
    assert last["order"]["status"] == "COMPLETED"


def test_our_own_note_is_told_too(told: Sandbox, receiver: Receiver) -> None:
    api = Api(told).sign_in()
    order_id = api.order().json()["id"]
    api.call("POST", f"/orders/portIns/{order_id}/notes", {"note": "The bill is attached."})
    told.control.note(order_id, "Thank you.")
    assert told.webhooks.wait_idle()
    notes = [b["note"] for b in receiver.bodies if b.get("type") == "NEW_ORDER_NOTE"]
    assert notes == ["The bill is attached.", "Thank you."]
    assert [n["createdBy"] for n in api.read(order_id)["notes"]] == ["sandbox-key", "Sinch"]


def test_an_order_made_elsewhere_is_told(told: Sandbox, receiver: Receiver) -> None:
    order = told.control.create_order(["+12065550142"], reference="by-hand")
    assert told.webhooks.wait_idle()
    assert receiver.bodies[0]["order"]["customerOrderReference"] == "by-hand"
    assert receiver.bodies[0]["orderId"] == str(order.id)


def test_the_configured_address_is_used_unless_another_is_set(
    make_sandbox: Callable[..., Sandbox], receiver: Receiver
) -> None:
    sandbox = make_sandbox(send_to_configured=True)
    sandbox.state.configuration = {"webhookUrl": receiver.url}
    sandbox.control.create_order(["+12065550142"])
    assert sandbox.webhooks.wait_idle()
    assert len(receiver.bodies) == 1
    sandbox.control.webhook_url("http://127.0.0.1:1/nobody/")
    sandbox.control.create_order(["+12065550143"])
    assert sandbox.webhooks.wait_idle()
    assert len(receiver.bodies) == 1
    assert [e.outcome for e in sandbox.webhooks.log] == ["sent", "failed"]


def test_without_an_address_events_are_only_written_down(api: Api, sandbox: Sandbox) -> None:
    api.order()
    (entry,) = sandbox.webhooks.log
    assert entry.outcome == "no address"
    assert entry.payload["type"] == "ORDER_UPDATED"


def test_a_refused_webhook_is_not_sent_again(told: Sandbox, receiver: Receiver) -> None:
    receiver.status = 500
    told.control.create_order(["+12065550142"])
    assert told.webhooks.wait_idle()
    (entry,) = told.webhooks.log
    assert entry.statuses == [500]
    assert len(receiver.bodies) == 1


def test_webhooks_can_be_lost_and_doubled(told: Sandbox, receiver: Receiver) -> None:
    told.control.faults.add_webhook("lost", "ORDER_UPDATED")
    told.control.faults.add_webhook("doubled", "NEW_ORDER_NOTE", copies=3)
    order = told.control.create_order(["+12065550142"])
    told.control.note(order.id, "Three times.")
    assert told.webhooks.wait_idle()
    assert receiver.names == ["NEW_ORDER_NOTE"] * 3


def test_webhooks_can_arrive_out_of_order(told: Sandbox, receiver: Receiver) -> None:
    told.control.faults.add_webhook("shuffled", times=None, copies=8, seconds=60)
    order = told.control.create_order(["+12065550142"])
    for n in range(7):
        told.control.note(order.id, f"note {n}")
    assert told.webhooks.wait_idle()
    notes = [b.get("note", "") for b in receiver.bodies]
    assert len(notes) == 8
    assert notes != sorted(notes)


def test_held_webhooks_are_let_go_when_faults_are_cleared(
    told: Sandbox, receiver: Receiver
) -> None:
    told.control.faults.add_webhook("shuffled", times=None, copies=100, seconds=60)
    told.control.create_order(["+12065550142"])
    assert not told.webhooks.wait_idle(0.05)
    told.control.faults.clear()
    assert told.webhooks.wait_idle()
    assert receiver.names == ["ORDER_UPDATED"]


def test_everything_can_be_sent_again(told: Sandbox, receiver: Receiver) -> None:
    order = told.control.create_order(["+12065550142"])
    told.control.note(order.id, "Once.")
    assert told.webhooks.wait_idle()
    assert told.webhooks.resend(times=3, shuffle=True) == 6
    assert told.webhooks.wait_idle()
    assert sorted(receiver.names) == ["NEW_ORDER_NOTE"] * 4 + ["ORDER_UPDATED"] * 4
