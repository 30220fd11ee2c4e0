"""What the sandbox lets through and what it refuses, and in which words."""

import json
from pathlib import Path

import pytest

from portal.sandbox import Sandbox
from portal.sandbox.clock import ManualClock
from portal.sandbox.contract import load_contract

from .conftest import HOST, TUESDAY, Api, basic, fields, order_body

EXAMPLES = json.loads(
    (Path(__file__).parents[1] / "sinch" / "porting-examples.json").read_text(encoding="utf-8")
)
REQUESTS = [e for e in EXAMPLES if e["kind"] == "request" and e["operation"] != "getAccessToken"]


def example_names(example: dict) -> str:
    """Return a name for a test of one example."""
    return f"{example['operation']}: {example['name']}"


@pytest.mark.parametrize("example", REQUESTS, ids=example_names)
def test_every_example_request_is_accepted(example: dict, make_sandbox) -> None:
    wrapped = "phoneNumberGroups" not in example["body"]
    sandbox = make_sandbox(switches={"activations": "wrapped" if wrapped else "list"})
    api = Api(sandbox).sign_in()
    operation = sandbox.contract.operations[example["operation"]]
    path = operation.path
    if "{orderId}" in path:
        # The examples speak of groups at Verizon; these numbers are there by the carrier rule.
        order = api.order("+12025550111", "+12025550112", onDemandActivation=True).json()
        path = path.replace("{orderId}", str(order["id"]))
    if example["operation"] == "updateConfiguration":
        api.call("POST", "/configuration", example["body"])
    if example["operation"] == "activatePortIn":
        sandbox.control.make_ready(order["id"])
        if not wrapped:
            example["body"]["phoneNumberGroups"] = sandbox.control.order(order["id"]).groups
    answer = api.call(operation.method, path, example["body"])
    assert answer.ok, answer.text
    assert list(sandbox.violations) == []


@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if e["kind"] != "request"], ids=example_names
)
def test_every_example_answer_and_webhook_passes_the_check(example: dict) -> None:
    contract = load_contract()
    if example["kind"] == "webhook":
        assert contract.check_event(example["body"]) == []
    else:
        assert contract.check_answer(example["operation"], example["status"], example["body"]) == []


def test_a_token_is_given_for_the_right_key_only(sandbox: Sandbox) -> None:
    api = Api(sandbox)
    answer = api.token()
    assert answer.status_code == 200
    assert answer.json()["expires_in"] == 3600
    wrong = api.session.post(
        "https://auth.sinch.com/oauth2/token",
        data={"grant_type": "client_credentials"},
        headers=basic("sandbox-key:guessed"),
    )
    assert wrong.status_code == 401
    assert api.token(grant_type="password").status_code == 400


def test_without_a_good_token_the_answer_is_an_empty_401(
    api: Api, clock: ManualClock, sandbox: Sandbox
) -> None:
    assert api.call("GET", "/orders/portIns").status_code == 200
    sandbox.control.expire_tokens()
    answer = api.call("GET", "/orders/portIns")
    assert answer.status_code == 401
    assert answer.content == b""
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_runs_out(make_sandbox, clock: ManualClock) -> None:
    api = Api(make_sandbox(token_seconds=60)).sign_in()
    assert api.call("GET", "/orders/portIns").status_code == 200
    clock.advance(TUESDAY.replace(minute=1) - TUESDAY)
    assert api.call("GET", "/orders/portIns").status_code == 401


def test_the_key_itself_is_good_on_the_api_too(sandbox: Sandbox) -> None:
    api = Api(sandbox)
    good = api.call("GET", "/orders/portIns", headers=basic("sandbox-key:sandbox-secret"))
    assert good.status_code == 200
    bad = api.call("GET", "/orders/portIns", headers=basic("sandbox-key:no"))
    assert bad.status_code == 401


def test_another_project_is_forbidden(api: Api) -> None:
    answer = api.session.get(f"{HOST}/v1/projects/someone-else/orders/portIns")
    assert answer.status_code == 403


def test_an_unknown_order_is_answered_with_the_documented_body(api: Api) -> None:
    answer = api.call("GET", "/orders/portIns/1")
    assert answer.status_code == 404
    assert answer.json() == {
        "code": "404",
        "error": "Not found",
        "message": "The resource is not found.",
    }


@pytest.mark.parametrize("body", [b"", b"{", b"no json"])
def test_a_body_that_is_missing_or_no_json_is_a_400(api: Api, sandbox: Sandbox, body) -> None:
    answer = api.call(
        "POST", "/orders/portIns", data=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert sandbox.violations


def test_wrong_values_are_named_by_their_path(api: Api, sandbox: Sandbox) -> None:
    body = order_body("+12065550142", "+12065550143")
    body["phoneNumbers"][0]["endUser"]["state"] = "Maryland"
    del body["phoneNumbers"][1]["endUser"]["zipCode"]
    body["phoneNumbers"][1]["voiceConfiguration"] = {"type": "EST"}
    body["customerOrderReference"] = "x" * 101
    body["colour"] = "red"
    answer = api.call("POST", "/orders/portIns", body)
    assert answer.status_code == 422
    assert fields(answer) == {
        "phoneNumbers[0].endUser.state": "Use the two letter abbreviation",
        "phoneNumbers[1].endUser.zipCode": "This field is required",
        "phoneNumbers[1].voiceConfiguration.trunkId": "This field is required",
        "customerOrderReference": "At most 100 characters",
        "colour": "Unknown field",
    }
    assert {v.field for v in sandbox.violations} == set(fields(answer))


def test_an_order_takes_at_most_500_numbers(api: Api) -> None:
    numbers = [f"+1206{n:07d}" for n in range(5550000, 5550501)]
    answer = api.call("POST", "/orders/portIns", order_body(*numbers))
    assert fields(answer) == {"phoneNumbers": "At most 500 entries"}


def test_one_number_that_cannot_be_ported_fails_the_whole_order(api: Api) -> None:
    answer = api.order("+12065550142", "+12065550199")
    assert answer.status_code == 422
    assert fields(answer) == {"phoneNumbers[1].phoneNumber": "Number is not portable"}
    assert api.call("GET", "/orders/portIns").json()["totalItems"] == 0


def test_a_number_in_a_living_order_cannot_be_ordered_again(api: Api, sandbox: Sandbox) -> None:
    first = api.order("+12065550142").json()
    assert "phoneNumbers[0].phoneNumber" in fields(api.order("+12065550142"))
    sandbox.control.cancel(first["id"])
    assert api.order("+12065550142").status_code == 201


def test_a_number_cannot_stand_twice_in_an_order(api: Api) -> None:
    answer = api.order("+12065550142", "+12065550142")
    assert fields(answer) == {"phoneNumbers[1].phoneNumber": "The number appears twice"}


@pytest.mark.parametrize(
    ("authorized", "accepted"),
    [
        ("2026-06-09", True),
        ("2026-06-10", False),
        ("2026-06-09T13:59:00Z", True),
        ("2026-06-09T14:01:00Z", False),
    ],
)
def test_nobody_signs_in_the_future(api: Api, authorized: str, accepted: bool) -> None:
    body = order_body()
    body["phoneNumbers"][0]["portOutInfo"]["authorizingDate"] = authorized
    answer = api.call("POST", "/orders/portIns", body)
    assert answer.ok is accepted
    if not accepted:
        assert list(fields(answer)) == ["phoneNumbers[0].portOutInfo.authorizingDate"]


def test_a_canadian_number_needs_the_reseller_name(api: Api) -> None:
    assert list(fields(api.order("+12045550103"))) == ["resellerName"]
    assert api.order("+12045550103", resellerName="Prairie Telecom Reseller").status_code == 201


def test_an_empty_balance_answers_402_to_what_costs_money(api: Api, sandbox: Sandbox) -> None:
    sandbox.control.zero_balance()
    assert api.order().status_code == 402
    assert api.call("GET", "/orders/portIns").status_code == 200
    sandbox.control.zero_balance(False)
    assert api.order().status_code == 201


def test_the_portability_check_tells_carriers_and_reasons(api: Api) -> None:
    body = {"phoneNumbers": ["+12065550142", "+12065550199", "+12045550103", "+18885550142"]}
    results = api.call("POST", "/portabilityChecks", body).json()["phoneNumbers"]
    assert [(r["portable"], r.get("carrier"), r["reason"]) for r in results] == [
        (True, "Lumen", ""),
        (False, "Lumen", "Number is not portable"),
        (True, "Bell MTS", ""),
        (False, None, "Number is not portable"),
    ]
    odd = api.call("POST", "/portabilityChecks", {"phoneNumbers": ["+15551"]})
    assert fields(odd) == {"phoneNumbers[0]": "The (+15551) is not a valid phone number"}


def test_an_update_with_read_only_keys_is_ignored_or_refused_and_always_noted(
    api: Api, sandbox: Sandbox
) -> None:
    order = api.order().json()
    body = {**order_body(customerOrderReference="acme-2"), "id": order["id"], "status": "PENDING"}
    body["phoneNumbers"][0]["status"] = "PENDING"
    path = f"/orders/portIns/{order['id']}"
    assert api.call("PUT", path, body).status_code == 200
    assert api.read(order["id"])["customerOrderReference"] == "acme-2"
    assert {v.field for v in sandbox.violations} == {"id", "status", "phoneNumbers[0].status"}
    sandbox.control.personality(put_read_only="refuse")
    assert api.call("PUT", path, body).status_code == 422


def test_an_unknown_filter_is_noted_and_an_impossible_one_refused(
    api: Api, sandbox: Sandbox
) -> None:
    assert api.call("GET", "/orders/portIns", params={"view": "short"}).status_code == 200
    assert [v.field for v in sandbox.violations] == ["view"]
    answer = api.call("GET", "/orders/portIns", params={"orderStatus": "LOST", "pageSize": "1001"})
    assert set(fields(answer)) == {"orderStatus", "pageSize"}


def test_calls_are_counted_by_operation(api: Api, sandbox: Sandbox) -> None:
    order = api.order().json()
    api.read(order["id"])
    api.read(order["id"])
    assert sandbox.state.calls["getOrderDetails"] == 2
    assert sandbox.state.calls["orderPortIn"] == 1
