"""How the sandbox misbehaves, in process and over a socket."""

import pytest
import requests

from portal.sandbox import Sandbox, SandboxConfig, create_app
from portal.sandbox.server import SandboxServer

from .conftest import Api, order_body


@pytest.mark.parametrize("kind", ["429", "500", "503", "401", "402"])
def test_a_status_is_answered_as_often_as_asked_and_nothing_is_done(
    kind: str, api: Api, sandbox: Sandbox
) -> None:
    sandbox.control.faults.add(kind, "orderPortIn", times=2)
    assert [api.order().status_code for _ in range(2)] == [int(kind)] * 2
    assert not sandbox.state.orders
    assert api.order().status_code == 201


def test_a_429_may_say_how_long_to_wait(api: Api, sandbox: Sandbox) -> None:
    sandbox.control.faults.add("429", retry_after=7, times=None)
    assert api.call("GET", "/orders/portIns").headers["Retry-After"] == "7"
    sandbox.control.faults.clear()
    assert api.call("GET", "/orders/portIns").status_code == 200


def test_a_500_can_come_after_the_work_was_done(api: Api, sandbox: Sandbox) -> None:
    sandbox.control.faults.add("500", "orderPortIn", after=True)
    assert api.order().status_code == 500
    assert len(sandbox.state.orders) == 1


def test_a_fault_for_one_operation_leaves_the_others_alone(api: Api, sandbox: Sandbox) -> None:
    sandbox.control.faults.add("500", "getOrderDetails")
    assert api.call("GET", "/orders/portIns").status_code == 200
    assert sandbox.control.faults.to_json()["api"]


@pytest.mark.parametrize(("kind", "made"), [("drop_before", 0), ("drop_after", 1)])
def test_a_dropped_connection_is_a_connection_error(
    kind: str, made: int, api: Api, sandbox: Sandbox
) -> None:
    sandbox.control.faults.add(kind, "orderPortIn")
    with pytest.raises(requests.ConnectionError, match="Connection aborted"):
        api.order()
    assert len(sandbox.state.orders) == made
    assert sandbox.state.calls["orderPortIn"] == 1


def test_an_answer_slower_than_the_caller_waits_is_a_read_timeout(
    api: Api, sandbox: Sandbox
) -> None:
    sandbox.control.faults.add("slow", "orderPortIn", seconds=30, times=2)
    with pytest.raises(requests.ReadTimeout):
        api.call("POST", "/orders/portIns", order_body(), timeout=(5, 20))
    assert len(sandbox.state.orders) == 1
    patient = api.call("POST", "/orders/portIns", order_body("+12065550150"), timeout=60)
    assert patient.status_code == 201


def test_garbage_is_no_json(api: Api, sandbox: Sandbox) -> None:
    sandbox.control.faults.add("garbage", "orderPortIn")
    answer = api.order()
    assert answer.status_code == 201
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()
    assert len(sandbox.state.orders) == 1


def test_a_sinch_that_is_down_refuses_the_connection(api: Api, sandbox: Sandbox) -> None:
    api.adapter.down = True
    with pytest.raises(requests.ConnectionError, match="refused"):
        api.order()
    assert not sandbox.state.calls["orderPortIn"]


def test_an_unknown_fault_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="There is no fault"):
        sandbox.control.faults.add("explode")
    with pytest.raises(ValueError, match="There is no webhook fault"):
        sandbox.control.faults.add_webhook("explode")


def test_over_a_socket_a_drop_really_closes_the_connection() -> None:
    sandbox = create_app(SandboxConfig())
    key = (sandbox.config.key_id, sandbox.config.key_secret)
    with SandboxServer(sandbox).running() as server, requests.Session() as session:
        orders = f"{server.url}/v1/projects/sandbox/orders/portIns"
        sandbox.control.faults.add("drop_after", "orderPortIn")
        with pytest.raises(requests.ConnectionError):
            session.post(orders, json=order_body(), auth=key, timeout=5)
        assert len(sandbox.state.orders) == 1
        assert session.get(orders, auth=key, timeout=5).json()["totalItems"] == 1

        sandbox.control.faults.add("slow", "getPortInOrders", seconds=5)
        with pytest.raises(requests.ReadTimeout):
            session.get(orders, auth=key, timeout=0.2)
        sandbox.close()
