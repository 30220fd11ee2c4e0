"""Each operation of the Imported Numbers and Hosting Orders API: what is sent, what is taken."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portal.sandbox.contract import HOSTING_FILE, load_contract
from portal.sinch.errors import SinchError, SinchUnexpectedReply
from portal.sinch.hosting import HostingClient
from tests.sinch.conftest import PROJECT, Call, Line, Reply

EXAMPLES = json.loads((Path(__file__).parent / "hosting-examples.json").read_text())
REQUESTS = [e for e in EXAMPLES if e["kind"] == "request"]
ANSWERS = [e for e in EXAMPLES if e["kind"] == "response"]
EVENTS = [e for e in EXAMPLES if e["kind"] == "webhook"]
PHONE, ORDER = "+12065550142", "01hp9v5k6m1q2w3e4r5t6y7u8z"


class HostingContract:
    """The description of the hosting operations as a judge of requests."""

    def __init__(self) -> None:
        self.described = load_contract(HOSTING_FILE)
        prefix = "/v1/projects/{projectId}"
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "([^/:]+)", o.path.removeprefix(prefix)) + "$"), o)
            for o in self.described.operations.values()
        ]

    def violations(self, call: Call) -> list[str]:
        """Return what is wrong with a request as a whole."""
        if call.path == "/oauth2/token":
            return []
        for pattern, operation in self._paths:
            if pattern.match(call.path) and operation.method.upper() == call.method:
                query = {name: [value] for name, value in call.query.items()}
                found = self.described.check_parameters(operation, {"projectId": PROJECT}, query)
                found = [one for one in found if one.where != "path"]
                if operation.body is not None or call.body:
                    found += self.described.check_body(operation, call.json)
                return [f"{operation.id}: {one.field} {one.description}" for one in found]
        return [f"no operation {call.method} {call.path}"]


@pytest.fixture(scope="session")
def contract() -> HostingContract:
    """The judge of these tests; takes the place of the other API's."""
    return HostingContract()


@pytest.fixture
def client(line: Line) -> HostingClient:
    """A hosting client that talks to the fake."""
    return HostingClient(line.transport, PROJECT)


def body_of(operation: str) -> dict[str, Any]:
    """Return the first example body of an operation."""
    return dict(next(e["body"] for e in REQUESTS if e["operation"] == operation and e["body"]))


def one_of(states: Any) -> str:
    """Return one state: the client asks for one at a time, however many one call may take."""
    return str(states[0] if isinstance(states, list) else states)


# How each operation is called: `q` is the query, `b` the body of an example, or None.
CALLS: dict[str, Callable[[HostingClient, dict[str, Any], Any], Any]] = {
    "HostingOrderService_ListHostingOrders": lambda c, q, b: list(
        c.iter_hosting_orders(
            state=one_of(q.get("states", "IN_PROGRESS")),
            order_type=q.get("type", "TYPE_TEXT_ENABLE"),
            service_plan_id=q.get("servicePlanId", "plan-a"),
            campaign_id=q.get("campaignId", "C3O8OGA"),
            region_code=q.get("regionCode"),
        )
    ),
    "HostingOrderService_GetHostingOrder": lambda c, q, b: c.get_hosting_order(q.get("id", ORDER)),
    "GetHostingOrderReport": lambda c, q, b: c.get_hosting_order_report(ORDER),
    "HostingOrderService_ListHostingOrderNumbers": lambda c, q, b: list(
        c.iter_hosting_order_numbers(
            ORDER,
            osr_state=q.get("osrUpdateState"),
            campaign_state=q.get("campaignProvisioningState"),
            platform_state=q.get("platformProvisioningState"),
        )
    ),
    "HostingOrderService_GetHostingOrderNumber": lambda c, q, b: c.get_hosting_order_number(
        ORDER, q.get("phone", PHONE)
    ),
    "HostingOrderService_ImportNumbers": lambda c, q, b: c.import_numbers(b),
    "TextEnableNumbers": lambda c, q, b: c.text_enable_numbers(b),
    "QualifiedNumberService_TextEnableNumbers": lambda c, q, b: c.text_enable_qualified_numbers(b),
    "TextEnableTollFreeNumbers": lambda c, q, b: c.text_enable_toll_free_numbers(b),
    "QualifiedNumbersTextEnableTollFreeNumbers": lambda c, q, b: (
        c.text_enable_qualified_toll_free_numbers(b)
    ),
    "ImportNumberService_ListImportedNumbers": lambda c, q, b: list(
        c.iter_imported_numbers(
            service_plan_id=q.get("servicePlanId", "plan-a"),
            campaign_id=q.get("campaignId", "C3O8OGA"),
            region_code=q.get("regionCode"),
            pattern=q.get("numberPattern.pattern"),
            search_pattern=q.get("numberPattern.searchPattern"),
        )
    ),
    "ImportNumberService_ImportNumber": lambda c, q, b: c.import_number(b),
    "ImportNumberService_GetImportedNumber": lambda c, q, b: c.get_imported_number(
        q.get("phone", PHONE)
    ),
    "ImportNumberService_UpdateImportedNumber": lambda c, q, b: c.update_imported_number(PHONE, b),
    "ImportNumberService_DeleteImportedNumber": lambda c, q, b: c.delete_imported_number(PHONE),
    "QualifiedNumberService_BatchCreateQualifiedNumbers": lambda c, q, b: c.add_qualified_numbers(
        b["phoneNumbers"]
    ),
    "QualifiedNumberService_ListQualifiedNumbers": lambda c, q, b: list(
        c.iter_qualified_numbers(state=q.get("states", "VERIFIED"))
    ),
    "QualifiedNumberService_GetQualifiedNumber": lambda c, q, b: c.get_qualified_number(
        q.get("phone", PHONE)
    ),
    "QualifiedNumberService_DeleteQualifiedNumber": lambda c, q, b: c.delete_qualified_number(
        PHONE
    ),
    "QualifiedNumberService_SendVoiceChallenge": lambda c, q, b: c.send_voice_challenge(PHONE),
    "QualifiedNumberService_VerifyVoiceChallenge": lambda c, q, b: c.verify_voice_challenge(
        PHONE, b["code"]
    ),
    "GetCallbackConfiguration": lambda c, q, b: c.get_callback_configuration(),
    "UpdateCallbackConfiguration": lambda c, q, b: c.update_callback_configuration(b["hmacSecret"]),
}
BODIES = {
    operation: body_of(operation) for operation in {e["operation"] for e in REQUESTS if e["body"]}
}


def named(example: dict[str, Any]) -> str:
    return f"{example['operation']}: {example['name']}"


def test_every_operation_of_the_contract_has_its_method(contract):
    assert CALLS.keys() == contract.described.operations.keys()
    assert len(CALLS) == 23


@pytest.mark.parametrize("example", REQUESTS, ids=named)
def test_every_example_request_is_valid_and_is_what_the_client_sends(
    sinch, client, contract, example
):
    operation, body, query = example["operation"], example["body"], example.get("query") or {}
    described = contract.described.operations[operation]
    if body is not None:
        assert contract.described.check_body(described, body) == []
    sinch.otherwise = lambda call: Reply(200, {})
    CALLS[operation](client, query, body)
    call = sinch.calls[-1]
    assert call.json == (None if body is None else sent_of(operation, body))
    for name, value in query.items():
        if name not in ("pageSize", "pageToken", "orderBy", "states", "regionCode"):
            assert call.query[name] == value


def sent_of(operation: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return what leaves of an example body.

    The project stands in the path; only the toll-free twins are documented to want it twice.
    """
    here = {"projectId": PROJECT} if "TollFree" in operation else {}
    return {name: value for name, value in body.items() if name != "projectId"} | here


@pytest.mark.parametrize("example", ANSWERS, ids=named)
def test_every_example_answer_is_accepted(sinch, client, contract, example):
    operation, body, status = example["operation"], example["body"], example["status"]
    assert contract.described.check_answer(operation, status, body) == []
    sinch.otherwise = lambda call: Reply(
        200 if call.query.get("pageToken") else status,
        {} if call.query.get("pageToken") else body,
    )
    asked = {"id": body.get("hostingOrderId", ORDER), "phone": body.get("phoneNumber", PHONE)}
    call = CALLS[operation]
    if status < 400 or (operation, status) == ("GetCallbackConfiguration", 404):
        call(client, asked, BODIES.get(operation))
        return
    with pytest.raises(SinchError) as caught:
        call(client, {}, BODIES.get(operation))
    assert caught.value.status == status
    told = body.get("error", body)
    assert caught.value.sinch_message == told.get("message", "")


@pytest.mark.parametrize("example", EVENTS, ids=named)
def test_every_example_event_passes_the_contract(contract, example):
    assert contract.described.check_event(example["body"]) == []


WRITES = [
    "HostingOrderService_ImportNumbers",
    "TextEnableNumbers",
    "QualifiedNumberService_TextEnableNumbers",
    "TextEnableTollFreeNumbers",
    "QualifiedNumbersTextEnableTollFreeNumbers",
    "ImportNumberService_ImportNumber",
    "ImportNumberService_UpdateImportedNumber",
    "ImportNumberService_DeleteImportedNumber",
    "QualifiedNumberService_BatchCreateQualifiedNumbers",
    "QualifiedNumberService_DeleteQualifiedNumber",
    "QualifiedNumberService_SendVoiceChallenge",
    "QualifiedNumberService_VerifyVoiceChallenge",
    "UpdateCallbackConfiguration",
]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("operation", WRITES)
def test_any_2xx_without_a_body_is_a_yes_to_a_write(sinch, client, operation, status):
    sinch.otherwise = lambda call: Reply(status)
    assert not CALLS[operation](client, {}, BODIES.get(operation))
    assert sum(call.path != "/oauth2/token" for call in sinch.calls) == 1


@pytest.mark.parametrize("operation", WRITES)
def test_a_write_whose_answer_is_lost_is_sent_once_and_said_to_be_unknown(sinch, client, operation):
    sinch.otherwise = lambda call: Reply(drop=True)
    with pytest.raises(SinchError) as caught:
        CALLS[operation](client, {}, BODIES.get(operation))
    assert caught.value.outcome_unknown is True
    assert sum(call.path != "/oauth2/token" for call in sinch.calls) == 1


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("HostingOrderService_GetHostingOrder", []),
        ("HostingOrderService_GetHostingOrder", {"hostingOrderId": "another"}),
        ("GetHostingOrderReport", []),
        ("HostingOrderService_ListHostingOrders", {"hostingOrders": {"hostingOrderId": ORDER}}),
        ("HostingOrderService_ListHostingOrders", {"hostingOrders": [{"state": "DRAFT"}]}),
        ("HostingOrderService_ListHostingOrderNumbers", []),
        ("HostingOrderService_GetHostingOrderNumber", {"phoneNumber": "+12065550199"}),
        ("ImportNumberService_GetImportedNumber", {"phoneNumber": "+12065550199"}),
        ("QualifiedNumberService_GetQualifiedNumber", []),
        ("GetCallbackConfiguration", []),
    ],
)
def test_an_answer_that_is_no_answer_is_told_and_never_stored(sinch, client, operation, body):
    sinch.otherwise = lambda call: Reply(200, body)
    with pytest.raises(SinchUnexpectedReply):
        CALLS[operation](client, {}, None)


@pytest.mark.parametrize(
    ("order_id", "in_path"),
    [
        ("ho.2026:01hz4Q", "ho.2026%3A01hz4Q"),
        ("4711", "4711"),
        ("a/../b c", "a%2F..%2Fb%20c"),
        ("..%2fqualifiedNumbers", "..%252fqualifiedNumbers"),
        ("é" * 64, "%C3%A9" * 64),
    ],
)
def test_an_order_id_is_opaque_and_never_leaves_its_place_in_the_path(
    sinch, client, order_id, in_path
):
    sinch.otherwise = lambda call: Reply(200, {"hostingOrderId": order_id, "state": "SUBMITTED"})
    assert client.text_enable_qualified_numbers(BODIES["TextEnableNumbers"]) == order_id
    assert client.get_hosting_order(order_id)["hostingOrderId"] == order_id
    assert sinch.calls[-1].path.endswith(f"/hostingOrders/{in_path}")
    client.get_hosting_order_report(order_id)
    assert sinch.calls[-1].path.endswith(f"/hostingOrders/{in_path}/report")


@pytest.mark.parametrize("order_id", ["", ".", "..", "x" * 65])
def test_an_order_id_that_cannot_be_asked_for_is_never_stored(sinch, client, order_id):
    with pytest.raises(ValueError, match="order id"):
        client.get_hosting_order(order_id)
    if order_id:
        sinch.otherwise = lambda call: Reply(
            200, {"hostingOrders": [{"hostingOrderId": order_id}], "hostingOrderId": order_id}
        )
        for operation in ("HostingOrderService_ListHostingOrders", "TextEnableNumbers"):
            with pytest.raises(SinchUnexpectedReply) as caught:
                CALLS[operation](client, {}, BODIES.get(operation))
            assert caught.value.outcome_unknown is (operation == "TextEnableNumbers")


@pytest.mark.parametrize("said", [PHONE, PHONE[1:], "+1 (206) 555-0142", None, ""])
@pytest.mark.parametrize(
    "operation",
    [
        "ImportNumberService_GetImportedNumber",
        "QualifiedNumberService_GetQualifiedNumber",
        "HostingOrderService_GetHostingOrderNumber",
    ],
)
def test_a_number_that_was_asked_for_is_known_however_the_answer_spells_it(
    sinch, client, operation, said
):
    sinch.otherwise = lambda call: Reply(200, {"phoneNumber": said, "regionCode": "US"})
    assert CALLS[operation](client, {}, None) == {"phoneNumber": PHONE, "regionCode": "US"}


def test_pages_are_followed_to_the_last_whatever_ends_them(sinch, client):
    pages = {
        None: {"numbers": [{"phoneNumber": PHONE}], "nextPageToken": "b"},
        "b": {"numbers": [{"phoneNumber": PHONE}, {"phoneNumber": "+12065550143"}]},
    }
    for end in ({}, {"nextPageToken": ""}, {"nextPageToken": None}):
        sinch.otherwise = lambda call, end=end: Reply(
            200, pages[call.query.get("pageToken")] | (end if "pageToken" in call.query else {})
        )
        found = [n["phoneNumber"] for n in client.iter_hosting_order_numbers(ORDER)]
        assert found == [PHONE, "+12065550143"]
    # Only the last page tells the total.
    pages["b"]["totalSize"] = 2
    sinch.otherwise = lambda call: Reply(200, pages[call.query.get("pageToken")])
    assert len(list(client.iter_hosting_order_numbers(ORDER))) == 2
    sinch.otherwise = lambda call: Reply(200, {"numbers": [], "nextPageToken": "round"})
    with pytest.raises(SinchUnexpectedReply):
        list(client.iter_hosting_order_numbers(ORDER))


# What Sinch may count over all pages of a list of three; where it says two, each page has its own.
WRONG_TOTALS: list[Any] = [0, 1, 2, 4, 500, -3, "1", "4", "many", 4.0, True, [3], {"low": 3}]
WRONG_TOTALS += [None, (None, 3), (3, None), (2, 3), (3, 2), ("3", 4)]


@pytest.mark.parametrize("total", WRONG_TOTALS, ids=repr)
@pytest.mark.parametrize(
    ("operation", "wrapper", "key"),
    [
        ("HostingOrderService_ListHostingOrders", "hostingOrders", "hostingOrderId"),
        ("HostingOrderService_ListHostingOrderNumbers", "numbers", "phoneNumber"),
        ("ImportNumberService_ListImportedNumbers", "importedNumbers", "phoneNumber"),
        ("QualifiedNumberService_ListQualifiedNumbers", "qualifiedNumbers", "phoneNumber"),
    ],
)
def test_a_list_is_read_to_its_end_however_many_sinch_says_are_in_it(
    sinch, client, operation, wrapper, key, total
):
    told = total if isinstance(total, tuple) else (total, total)
    names = [PHONE, "+12065550143", "+12065550144"]
    pages = {
        None: {wrapper: [{key: name} for name in names[:2]], "nextPageToken": "b"},
        "b": {wrapper: [{key: names[2]}]},
    }
    for token, said in zip(pages, told, strict=True):
        pages[token] |= {} if said is None else {"totalSize": said}
    sinch.otherwise = lambda call: Reply(200, pages[call.query.get("pageToken")])
    assert [entry[key] for entry in CALLS[operation](client, {}, None)] == names
