"""The page, its forms, the control API, the state file and the command."""

import http.client
import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from portal.sandbox import Personality, Sandbox, SandboxConfig, create_app
from portal.sandbox.__main__ import main
from portal.sandbox.server import SandboxServer

from ..tools import wait_for
from .conftest import Api

HERE = "http://127.0.0.1"
ROOT = Path(__file__).parents[2]
JSON = {"Content-Type": "application/json"}


def post(api: Api, path: str, **options) -> requests.Response:
    """Post to the sandbox's own addresses."""
    return api.session.post(f"{HERE}/sandbox/{path}", allow_redirects=False, **options)


def get(api: Api, path: str) -> requests.Response:
    """Read from the sandbox's own addresses."""
    return api.session.get(f"{HERE}{path}")


def test_the_page_shows_orders_and_needs_no_script(make_sandbox: Callable[..., Sandbox]) -> None:
    api = Api(make_sandbox(demo=True))
    page = get(api, "/")
    assert page.status_code == 200
    assert "Harborview Dental LLC" in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert get(api, "/sandbox/page.css").headers["Content-Type"].startswith("text/css")


def test_a_button_of_the_page_moves_an_order_and_comes_back(api: Api, sandbox: Sandbox) -> None:
    order_id = api.order().json()["id"]
    answer = post(api, f"do/orders/{order_id}/confirm", data={"foc_date": "2026-06-20"})
    assert answer.status_code == 303
    assert answer.headers["Location"].endswith(f"#order-{order_id}")
    assert sandbox.control.order(order_id).numbers[0].foc_date == "2026-06-20"
    refused = post(api, f"do/orders/{order_id}/answer")
    assert "failed" in refused.headers["Location"]


def test_what_staff_type_is_escaped_on_the_page(api: Api, sandbox: Sandbox) -> None:
    order_id = api.order().json()["id"]
    sandbox.control.note(order_id, "<b>bold</b>")
    page = get(api, "/?said=<i>x</i>").text
    assert "<b>bold" not in page
    assert "<i>x" not in page


def test_the_webhook_address_and_pins_are_not_shown(make_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = make_sandbox(webhook_url="http://127.0.0.1:1/hook/very-secret/")
    api = Api(sandbox).sign_in()
    api.order()
    assert sandbox.webhooks.wait_idle()
    shown = [get(api, path).text for path in ("/", *api_reads(sandbox))]
    assert not any("very-secret" in text for text in shown)
    assert not any("1234" in text for text in shown)
    assert "sandbox-secret" not in repr(sandbox.config)


def api_reads(sandbox: Sandbox) -> list[str]:
    """Return the addresses of everything the control API lets one read."""
    names = ["state", "orders", "calls", "violations", "webhooks", "personality"]
    orders = [f"orders/{order_id}" for order_id in sandbox.state.orders]
    return [f"/sandbox/api/{name}" for name in names + orders]


def test_the_control_api_reads_and_moves(api: Api, sandbox: Sandbox) -> None:
    order_id = api.order("+12065550140", "+12065550150").json()["id"]
    assert get(api, "/sandbox/api/orders").json()[0]["id"] == order_id
    moved = post(
        api,
        f"api/orders/{order_id}/confirm",
        json={"foc_date": "2026-06-17", "numbers": ["+12065550140"]},
    ).json()
    assert [n["status"] for n in moved["phoneNumbers"]] == ["CONFIRMED", "PENDING"]
    assert post(api, f"api/orders/{order_id}/activate").status_code == 409
    assert post(api, f"api/orders/{order_id}/fly").status_code == 400
    assert post(api, "api/orders/1/next").status_code == 404
    assert post(api, "api/nothing").status_code == 404
    assert post(api, "api/reset", data="[1]", headers=JSON).status_code == 400
    assert get(api, "/sandbox/api/calls").json()["orderPortIn"] == 1


def test_the_control_api_makes_orders_sets_faults_and_personality(
    api: Api, sandbox: Sandbox
) -> None:
    made = post(api, "api/orders", json={"numbers": ["+12065550142"], "reference": "x-1"})
    assert made.json()["customerOrderReference"] == "x-1"
    assert post(api, "api/orders", json={"numbers": ["+12065550142"]}).status_code == 409
    fault = {"kind": "429", "operation": "getPortInOrders", "times": 1, "retry_after": "2"}
    assert post(api, "api/faults", json=fault).ok
    assert api.call("GET", "/orders/portIns").status_code == 429
    hook = {"webhook": True, "kind": "doubled", "copies": 3, "times": "always"}
    assert post(api, "api/faults", json=hook).json()["webhooks"][0]["times"] is None
    post(api, "api/faults/clear")
    assert sandbox.faults.to_json() == {"api": [], "webhooks": []}
    changed = post(api, "api/personality", json={"preset": "reference", "order_ids": "number"})
    assert changed.json()["activations"] == "list"
    assert sandbox.state.personality.order_ids == "number"
    assert post(api, "api/personality", json={"order_ids": "roman"}).status_code == 400
    assert post(api, "api/webhook-url", json={"url": "ftp://x"}).status_code == 400
    post(api, "api/zero-balance", json={"on": True})
    assert api.order("+12065550150").status_code == 402
    post(api, "api/reset", json={"demo": True})
    assert len(sandbox.state.orders) >= 12


def test_pages_of_other_sites_cannot_reach_the_control(api: Api, sandbox: Sandbox) -> None:
    strange = {"Origin": "https://evil.example"}
    assert post(api, "api/reset", json={}, headers=strange).status_code == 403
    assert post(api, "do/reset", headers={"Host": "evil.example"}).status_code == 403
    own = {"Origin": HERE}
    assert post(api, "api/reset", json={}, headers=own).status_code == 200


def test_what_is_known_survives_a_restart(tmp_path: Path, make_sandbox) -> None:
    file = tmp_path / "state" / "sandbox.json"
    first = make_sandbox(state_file=file, demo=True)
    api = Api(first).sign_in()
    order_id = api.order("+12065550142", "+12065550198").json()["id"]
    first.control.answer(order_id)
    first.control.personality(order_ids="string")
    before = api.read(order_id)
    count = len(first.state.orders)
    first.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    second = make_sandbox(state_file=file, demo=True)
    api = Api(second).sign_in()
    assert len(second.state.orders) == count
    assert api.read(order_id) == before
    assert api.order("+12065550142").status_code == 422
    assert int(api.order("+12065550170").json()["id"]) > int(order_id)


def test_a_state_is_saved_soon_and_not_only_at_the_end(tmp_path: Path, make_sandbox) -> None:
    file = tmp_path / "sandbox.json"
    sandbox = make_sandbox(state_file=file)
    sandbox.control.create_order(["+12065550142"])
    assert wait_for(file.exists, seconds=10)
    assert len(json.loads(file.read_text())["orders"]) == 1


def test_a_state_file_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "sandbox.json"
    file.write_text("{}")
    with pytest.raises(ValueError, match=r"sandbox\.json is not a sandbox state"):
        create_app(SandboxConfig(state_file=file))


def test_a_connection_is_kept_open_between_calls() -> None:
    with SandboxServer(create_app()).running() as server:
        line = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
        sockets = set()
        for _call in range(3):
            line.request("GET", "/sandbox/api/state")
            sockets.add(line.sock)
            answer = line.getresponse()
            assert answer.status == 200
            answer.read()
        assert len(sockets) == 1
        line.request("POST", "/sandbox/api/reset", headers={"Content-Length": "99999999"})
        assert line.getresponse().status == 413
        line.close()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_and_stops_cleanly(stop: int, tmp_path: Path) -> None:
    file = tmp_path / "sandbox.json"
    arguments = ["--port", "0", "--speed", "0", "--state", str(file), "--personality", "reference"]
    process = subprocess.Popen(
        [sys.executable, "-m", "portal.sandbox", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        line = process.stdout.readline()
        address = re.search(r"http://\S+", line)[0]
        state = requests.get(f"{address}/sandbox/api/state", timeout=5).json()
        assert sum(state["orders"].values()) >= 12
        assert state["personality"]["activations"] == "list"
        process.send_signal(stop)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
    assert json.loads(file.read_text())["orders"]


def test_the_command_says_in_a_sentence_why_it_cannot_start(capsys) -> None:
    with SandboxServer(create_app()) as taken:
        assert main(["--port", str(taken.server_port), "--no-demo", "--speed", "0"]) == 2
    assert f"cannot use port {taken.server_port}" in capsys.readouterr().err
    assert main(["--set", "order_ids=roman"]) == 2
    assert "order_ids takes number, string" in capsys.readouterr().err


def test_presets_differ_and_unknown_ones_are_refused() -> None:
    assert Personality.preset("seed") == Personality()
    assert Personality.preset("reference").first_page == "0"
    with pytest.raises(ValueError, match="There is no personality"):
        Personality.preset("mirror")
