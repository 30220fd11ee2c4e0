"""Each operation of the Porting API: what it sends, and every shape of answer it takes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from portal.sinch.errors import SinchError, SinchNotFound, SinchUnexpectedReply
from portal.sinch.payloads import writable_order
from portal.sinch.porting import ActivationGroup, PhoneGroup, PortingClient
from tests.sinch.conftest import Call, Contract, Reply

EXAMPLES = json.loads((Path(__file__).parent / "porting-examples.json").read_text())
REQUESTS = [e for e in EXAMPLES if e["kind"] == "request"]
ANSWERS = [e for e in EXAMPLES if e["kind"] == "response" and e["operation"] != "getAccessToken"]
ORDER = "/orders/portIns/12345"
SMALLEST: dict[str, Any] = next(e["body"] for e in REQUESTS if e["operation"] == "orderPortIn")
LIST = "GET /orders/portIns"


def named(example: dict[str, Any]) -> str:
    return f"{example['operation']}: {example['name']}"


def configuration() -> dict[str, Any]:
    return {
        "contact": {"email": "ports@acme.example", "name": "Dana Holt", "phone": "+12065550100"},
        "webhookUrl": "https://desk.example/webhooks/porting/abc/",
        "defaultPortTime": "09:00:00",
        "defaultPortTimeZone": "US/Eastern",
    }


# How each operation is called, with a body of the contract's examples where it takes one.
CALLS: dict[str, Callable[[PortingClient, Any], Any]] = {
    "checkPortingAvailability": lambda c, b: c.check_porting_availability(
        b["phoneNumbers"] if b else ["+12065550142"]
    ),
    "orderPortIn": lambda c, b: c.order_port_in(b or SMALLEST),
    "getPortInOrders": lambda c, b: list(c.iter_port_in_orders()),
    "getOrderDetails": lambda c, b: c.get_order_details(b or 12345),
    "updatePortInOrder": lambda c, b: c.update_port_in_order(12345, b or SMALLEST),
    "deleteOrder": lambda c, b: c.delete_order(12345),
    "getPortInPhoneGroups": lambda c, b: c.get_port_in_phone_groups(12345),
    "addOrderNote": lambda c, b: c.add_order_note(12345, b["note"] if b else "Hello"),
    "addOrderDocuments": lambda c, b: c.add_order_documents(
        12345, b["documentName"] if b else "loa.pdf", b["description"] if b else "", b"%PDF-1.7"
    ),
    "getPortInOrderDocument": lambda c, b: c.get_port_in_order_document(12345, 7001),
    "getOrderDocumentContent": lambda c, b: c.get_port_in_order_document(12345, "7001"),
    "getPortInAvailableActivation": lambda c, b: c.get_port_in_available_activation(12345),
    "activatePortIn": lambda c, b: c.activate_port_in(
        12345,
        [ActivationGroup(key, shape=shape) for shape, keys in b.items() for key in keys]
        if b
        else None,
    ),
    "getConfiguration": lambda c, b: c.get_configuration(),
    "createConfiguration": lambda c, b: c.create_configuration(b or configuration()),
    "updateConfiguration": lambda c, b: c.update_configuration(b or configuration()),
}


@pytest.mark.parametrize("example", ANSWERS, ids=named)
def test_every_example_answer_of_the_contract_is_accepted(sinch, client, example):
    operation, body = example["operation"], example["body"]

    def answer(call: Call) -> Reply:
        if operation == "getPortInOrders" and call.query.get("page"):
            return Reply(200, {"orders": []})
        if operation == "getOrderDocumentContent" and "portIns" in call.path:
            return Reply(404)
        return Reply(example["status"], body)

    sinch.otherwise = answer
    argument = body["id"] if operation == "getOrderDetails" and "id" in body else None
    if example["status"] < 400 or (operation, example["status"]) == ("getConfiguration", 404):
        CALLS[operation](client, argument)
        return
    with pytest.raises(SinchError) as caught:
        CALLS[operation](client, None)
    assert caught.value.status == example["status"]
    assert caught.value.sinch_message == body.get("message", "")


@pytest.mark.parametrize("example", REQUESTS, ids=named)
def test_every_example_request_is_valid_and_is_what_the_client_sends(
    sinch, client, contract: Contract, example
):
    operation, body = example["operation"], example["body"]
    assert contract.problems(contract.body_pointer(operation), body) == []
    if operation == "getAccessToken":
        return
    sinch.otherwise = lambda call: (
        Reply(200, {"phoneNumbers": []}) if operation == "checkPortingAvailability" else Reply(200)
    )
    CALLS[operation](client, body)
    sent = sinch.calls[-1].json
    if operation == "addOrderDocuments":
        sent, body = sent | {"fileContent": ""}, body | {"fileContent": ""}
    assert sent == body


WRITES = [
    "orderPortIn",
    "updatePortInOrder",
    "deleteOrder",
    "addOrderNote",
    "addOrderDocuments",
    "activatePortIn",
    "createConfiguration",
    "updateConfiguration",
]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("operation", WRITES)
def test_any_2xx_without_a_body_is_a_yes_to_a_write(sinch, client, operation, status):
    sinch.otherwise = lambda call: Reply(status)
    assert CALLS[operation](client, None) == {}


@pytest.mark.parametrize("operation", ["orderPortIn", "updatePortInOrder"])
def test_a_yes_that_holds_no_order_leaves_the_outcome_unknown(sinch, client, operation):
    sinch.otherwise = lambda call: Reply(200, ["what"])
    with pytest.raises(SinchUnexpectedReply) as caught:
        CALLS[operation](client, None)
    assert caught.value.outcome_unknown is True


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("checkPortingAvailability", {}),
        ("checkPortingAvailability", {"phoneNumbers": [{"phoneNumber": "+12065550142"}]}),
        ("checkPortingAvailability", {"phoneNumbers": [{"phoneNumber": "+1", "portable": "no"}]}),
        ("getPortInOrders", []),
        ("getPortInOrders", {"orders": None}),
        ("getPortInOrders", {"orders": [{"status": "PENDING"}]}),
        ("getOrderDetails", []),
        ("getOrderDetails", None),
        ("getPortInPhoneGroups", {"surprise": 1}),
        ("getPortInPhoneGroups", ["GW Lumen Grp1"]),
        ("getPortInAvailableActivation", {"surprise": []}),
        ("getPortInAvailableActivation", [{"focDate": None}]),
        ("getPortInOrderDocument", {"id": 7001, "fileContent": None}),
        ("getPortInOrderDocument", {"id": 7001, "fileContent": "%%%"}),
        ("getConfiguration", []),
    ],
)
def test_an_answer_of_the_wrong_shape_to_a_read_is_named_as_such(sinch, client, operation, body):
    sinch.otherwise = lambda call: Reply(200, body)
    with pytest.raises(SinchUnexpectedReply) as caught:
        CALLS[operation](client, None)
    assert caught.value.outcome_unknown is False


# Portability


def test_numbers_are_checked_once_each_and_500_at_a_time(sinch, client):
    numbers = [f"+1206555{n:04}" for n in range(1001)]
    sinch.otherwise = lambda call: Reply(
        200,
        {"phoneNumbers": [{"phoneNumber": n, "portable": True} for n in call.json["phoneNumbers"]]},
    )
    results = client.check_porting_availability([*numbers, numbers[0]])
    assert [result["phoneNumber"] for result in results] == numbers
    sizes = [len(call.json["phoneNumbers"]) for call in sinch.called("POST /portabilityChecks")]
    assert sizes == [500, 500, 1]


def test_no_numbers_need_no_check(sinch, client):
    assert client.check_porting_availability([]) == []
    assert sinch.calls == []


# Orders


@pytest.mark.parametrize("given", [12345, "12345"])
def test_ids_come_out_as_text(sinch, client, given):
    sinch.otherwise = lambda call: Reply(
        200,
        {"id": given, "documents": [{"id": 7001}, {"documentId": 7002}], "notes": None, "new": 1},
    )
    order = client.get_order_details(given)
    assert order["id"] == "12345"
    assert [document["id"] for document in order["documents"]] == ["7001", "7002"]
    assert order["new"] == 1


def test_an_order_without_an_id_is_the_one_asked_for(sinch, client):
    sinch.otherwise = lambda call: Reply(200, {"id": None, "status": "PENDING"})
    assert client.get_order_details(12345)["id"] == "12345"


def test_an_answer_about_another_order_is_refused(sinch, client):
    sinch.otherwise = lambda call: Reply(200, {"id": 99, "status": "PENDING"})
    with pytest.raises(SinchUnexpectedReply, match="another order"):
        client.get_order_details(12345)


@pytest.mark.parametrize("order_id", ["", "12/../13", "abc", "1?x=1", "-1", "١٢"])
def test_an_order_id_that_is_not_digits_never_becomes_a_path(sinch, client, order_id):
    with pytest.raises(ValueError, match="digits"):
        client.get_order_details(order_id)
    with pytest.raises(ValueError, match="digits"):
        client.delete_order(order_id)
    assert sinch.calls == []


@pytest.mark.parametrize(
    "example", [e for e in ANSWERS if e["operation"] == "orderPortIn" and e["status"] == 201][1:]
)
def test_an_order_that_was_read_is_sent_back_without_what_can_only_be_read(example):
    order = json.loads(json.dumps(example["body"]))
    order["desiredPortSchedule"] |= {
        "desiredPortDate": "2026-05-15T00:00:00Z",
        "desiredPortTime": "09:00Z",
    }
    order["phoneNumbers"][0]["voiceConfiguration"]["appId"] = None
    body = json.loads(json.dumps(writable_order(order)))
    assert body["desiredPortSchedule"] == {
        "desiredPortDate": "2026-05-15",
        "desiredPortTime": "09:00:00",
        "desiredPortTimeZone": "US/Eastern",
    }
    number = body["phoneNumbers"][0]
    assert not {"status", "countryCode", "exclusionReason"} & set(number)
    assert not any(key.startswith("enh") for key in number["features"]["e911"])
    assert number["voiceConfiguration"] == {
        "type": "EST",
        "trunkId": "01HX0TRUNK0000000000000001",
    }
    assert not {"id", "status", "notes", "documents", "createdDate", "resellerName"} & set(body)
    assert body["onDemandActivation"] is False


def test_what_is_rebuilt_from_a_reading_is_valid(contract: Contract):
    full = next(e["body"] for e in ANSWERS if e["name"].startswith("created, full answer"))
    pointer = contract.body_pointer("updatePortInOrder")
    assert contract.problems(pointer, writable_order(full)) == []


# Lists


def pages_of(total: int, first: int, size: int = 2, totals: bool = True) -> Callable[[Call], Reply]:
    """Answer list calls like a Sinch whose first page has this number."""

    def answer(call: Call) -> Reply:
        page = int(call.query.get("page", first))
        ids = range(1, total + 1)[(page - first) * size : (page - first + 1) * size]
        body: dict[str, Any] = {"orders": [{"id": n} for n in ids], "page": page}
        if totals:
            body |= {"totalItems": total, "totalPages": -(-total // size), "pageSize": size}
        return Reply(200, body)

    return answer


@pytest.mark.parametrize("totals", [True, False])
@pytest.mark.parametrize("total", [0, 1, 2, 3, 6])
@pytest.mark.parametrize("first", [0, 1])
def test_every_order_is_listed_once_whatever_the_number_of_the_first_page(
    sinch, client, first, total, totals
):
    sinch.otherwise = pages_of(total, first, totals=totals)
    assert [item["id"] for item in client.iter_port_in_orders()] == [
        str(n) for n in range(1, total + 1)
    ]
    if totals:
        assert len(sinch.called(LIST)) == max(1, -(-total // 2))


def test_a_page_number_sent_as_text_is_understood(sinch, client):
    sinch.queue(LIST, Reply(200, {"orders": [{"id": 1}], "page": "0"}))
    sinch.queue(LIST, Reply(200, {"orders": [{"id": 2}], "page": "1"}))
    sinch.queue(LIST, Reply(200, {"orders": [], "page": "2"}))
    assert len(list(client.iter_port_in_orders())) == 2
    assert [call.query.get("page") for call in sinch.called(LIST)] == [None, "1", "2"]


@pytest.mark.parametrize("first", [0, 1])
def test_pages_that_do_not_say_their_number_are_walked_all_the_same(sinch, client, first):
    numbered = pages_of(5, first, totals=False)

    def silent(call: Call) -> Reply:
        body = numbered(call).body
        del body["page"]
        return Reply(200, body)

    sinch.otherwise = silent
    assert len(list(client.iter_port_in_orders())) == 5


def test_a_list_that_gives_the_same_page_for_ever_comes_to_an_end(sinch, client):
    sinch.otherwise = lambda call: Reply(
        200, {"orders": [{"id": 1}, {"id": 2}], "page": 1, "totalItems": 40}
    )
    assert len(list(client.iter_port_in_orders())) == 2
    assert len(sinch.called(LIST)) <= 3


def test_an_order_pushed_to_the_next_page_by_a_new_one_comes_once(sinch, client):
    for ids, page in (([5, 4], 0), ([4, 3], 1), ([2, 1], 2), ([], 3)):
        sinch.queue(LIST, Reply(200, {"orders": [{"id": n} for n in ids], "page": page}))
    assert [item["id"] for item in client.iter_port_in_orders()] == ["5", "4", "3", "2", "1"]


def test_pages_are_fetched_only_as_they_are_needed(sinch, client):
    sinch.otherwise = pages_of(6, 1)
    next(client.iter_port_in_orders())
    assert len(sinch.called(LIST)) == 1


def test_filters_are_sent_as_sinch_spells_them(sinch, client):
    sinch.otherwise = pages_of(0, 1)
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    list(
        client.iter_port_in_orders(
            order_id=7,
            order_status="PENDING",
            customer_order_reference="ref 1&2",
            phone_number="+12065550142",
            created_from=noon,
            created_until=noon,
            foc_from=noon,
            foc_until=noon,
        )
    )
    assert sinch.called(LIST)[0].query == {
        "orderId": "7",
        "orderStatus": "PENDING",
        "customerOrderReference": "ref 1&2",
        "phoneNumber": "+12065550142",
        "createdDateStart": "2026-05-01T12:00:00Z",
        "createdDateEnd": "2026-05-01T12:00:00Z",
        "focStartDate": "2026-05-01T12:00:00Z",
        "focEndDate": "2026-05-01T12:00:00Z",
        "pageSize": "1000",
    }


def test_an_instant_without_a_time_zone_is_refused(client):
    with pytest.raises(ValueError, match="time zone"):
        list(client.iter_port_in_orders(created_from=datetime(2026, 5, 1)))


def test_cancelations_under_way_are_sorted_out_on_our_side(sinch, client):
    sinch.otherwise = lambda call: Reply(
        200,
        {
            "orders": [{"id": 1, "status": "PENDING"}, {"id": 2, "status": "PENDING_CANCELATION"}],
            "page": 1,
            "totalItems": 2,
        },
    )
    found = list(client.iter_port_in_orders(order_status="PENDING_CANCELATION"))
    assert [item["id"] for item in found] == ["2"]
    assert "orderStatus" not in sinch.called(LIST)[0].query


def test_an_order_is_found_by_its_exact_reference_even_if_the_filter_is_loose(sinch, client):
    sinch.otherwise = lambda call: Reply(
        200,
        {
            "orders": [
                {"id": 1, "customerOrderReference": "desk-1"},
                {"id": 2, "customerOrderReference": "desk-10"},
                {"id": 3, "customerOrderReference": "Desk-1"},
                {"id": 5, "customerOrderReference": "desk-1"},
            ],
            "page": 0,
            "totalItems": 4,
        },
    )
    assert [item["id"] for item in client.find_orders_by_reference("desk-1")] == ["1", "5"]
    assert sinch.called(LIST)[0].query["customerOrderReference"] == "desk-1"


def test_a_list_item_that_keeps_its_reference_to_itself_is_read_in_full(sinch, client):
    items = [{"id": 1}, {"id": 2, "customerOrderReference": None}]
    sinch.queue(LIST, Reply(200, {"orders": items, "page": 0, "totalItems": 2}))
    sinch.otherwise = lambda call: Reply(
        200, {"id": call.path[-1], "customerOrderReference": f"desk-{call.path[-1]}"}
    )
    assert [item["id"] for item in client.find_orders_by_reference("desk-2")] == ["2"]


# Groups


def test_carrier_groups_come_out_in_one_shape(sinch, client):
    bare, wrapped = (e["body"] for e in ANSWERS if e["operation"] == "getPortInPhoneGroups")
    sinch.queue("GET /orders/portIns/phoneGroups/12345", Reply(200, bare), Reply(200, wrapped))
    assert client.get_port_in_phone_groups(12345) == [
        PhoneGroup("GW Verizon Grp1", ("+12025550111", "+12025550112"), "2026-05-15T12:00:00Z"),
        PhoneGroup("GW Lumen Grp2", ("+12025550113",)),
    ]
    assert client.get_port_in_phone_groups(12345) == [
        PhoneGroup("GW Verizon Grp1", ("+12025550111", "+12025550112"), status="CONFIRMED")
    ]


def test_a_sinch_without_carrier_groups_says_none(client):
    assert client.get_port_in_phone_groups(12345) is None


@pytest.mark.parametrize(
    ("example", "key", "shape", "body"),
    [
        ("reference shape", "GW Verizon Grp1", "phoneNumberGroups", "phoneNumberGroups"),
        ("seed shape", "grp-001", "groupIds", "groupIds"),
    ],
)
def test_a_group_is_activated_in_the_words_in_which_it_was_offered(
    sinch, client, example, key, shape, body
):
    offered = next(
        e["body"]
        for e in ANSWERS
        if e["operation"] == "getPortInAvailableActivation" and e["name"] == example
    )
    sinch.queue(f"GET {ORDER}/availableActivations", Reply(200, offered))
    [group] = client.get_port_in_available_activation(12345)
    assert (group.key, group.shape) == (key, shape)
    assert group.numbers == ("+12025550111", "+12025550112")
    sinch.queue(f"POST {ORDER}/activate", Reply(200, {}))
    client.activate_port_in(12345, [group])
    assert sinch.calls[-1].json == {body: [key]}


@pytest.mark.parametrize(
    "body", [None, [], {}, {"activationGroups": []}, {"activationGroups": None}]
)
def test_no_groups_in_any_shape_means_not_yet(sinch, client, body):
    sinch.otherwise = lambda call: Reply(200, body)
    assert client.get_port_in_available_activation(12345) == []


def test_the_whole_order_is_activated_without_a_body(sinch, client):
    sinch.otherwise = lambda call: Reply(200)
    client.activate_port_in(12345)
    [call] = sinch.called(f"POST {ORDER}/activate")
    assert call.body == b""
    assert "content-type" not in call.headers


def test_any_2xx_is_a_yes_to_an_activation_whatever_stands_in_it(sinch, client):
    """Nothing tells an accepted activation from one not yet begun: a second would be sent."""
    sinch.queue(f"POST {ORDER}/activate", Reply(200, b"OK", {"Content-Type": "text/plain"}))
    assert client.activate_port_in(12345) == {}


def test_an_empty_choice_of_groups_does_not_activate_the_whole_order(sinch, client):
    mixed = [ActivationGroup("a", shape="groupIds"), ActivationGroup("b")]
    for groups in ([], mixed):
        with pytest.raises(ValueError, match="at least one group"):
            client.activate_port_in(12345, groups)
    assert sinch.calls == []


# Notes and documents


def test_a_blank_note_and_an_empty_document_are_not_sent(sinch, client):
    with pytest.raises(ValueError, match="text"):
        client.add_order_note(12345, "  ")
    with pytest.raises(ValueError, match="content"):
        client.add_order_documents(12345, "loa.pdf", "", b"")
    assert sinch.calls == []


@pytest.mark.parametrize("home", ["/orders/portIns/12345/documents", "/orders/12345/documents"])
def test_the_path_that_knows_a_document_is_remembered(sinch, client, home):
    sinch.otherwise = lambda call: (
        Reply(200, {"documentId": 7001, "documentName": "loa.pdf", "fileContent": "JVBERg=="})
        if call.path.startswith(home)
        else Reply(404)
    )
    first = client.get_port_in_order_document(12345, 7001)
    assert (first.id, first.name, first.description) == ("7001", "loa.pdf", "")
    assert (first.content_type, first.content) == (None, b"%PDF")
    assert "%PDF" not in repr(first)
    before = len(sinch.calls)
    client.get_port_in_order_document(12345, 7002)
    assert [call.path for call in sinch.calls[before:]] == [f"{home}/7002"]


def test_a_document_neither_path_knows_is_not_found(sinch, client):
    with pytest.raises(SinchNotFound):
        client.get_port_in_order_document(12345, 7001)
    assert len([call for call in sinch.calls if "documents" in call.path]) == 2


@pytest.mark.parametrize(
    "encoded", ["JVBERg==", "JVBERg", "JVBE\r\nRg==", "data:application/pdf;base64,JVBERg=="]
)
def test_every_way_to_write_base64_is_read(sinch, client, encoded):
    sinch.otherwise = lambda call: Reply(200, {"id": "7001", "fileContent": encoded})
    assert client.get_port_in_order_document(12345, 7001).content == b"%PDF"


def test_a_document_comes_back_as_it_was_sent(sinch, client):
    content = bytes(range(256)) * 40
    sinch.otherwise = lambda call: Reply(200, {"id": 7001} | (call.json or kept))
    kept: dict[str, Any] = {}
    client.add_order_documents(12345, "loa.pdf", "LOA", content)
    kept.update(sinch.calls[-1].json)
    assert client.get_port_in_order_document(12345, 7001).content == content


# Settings


@pytest.mark.parametrize("body", [None, {}, {"contact": None, "webhookUrl": ""}])
def test_nothing_configured_is_none_in_every_shape(sinch, client, body):
    assert client.get_configuration() is None  # 404
    sinch.otherwise = lambda call: Reply(200, body)
    assert client.get_configuration() is None


def test_a_configuration_has_texts_whatever_stands_in_their_place(sinch, client):
    odd = {"email": ["x"], "name": "Mara Quist", "phone": 12065550100}
    whole = {"webhookUrl": {"a": 1}, "defaultPortTime": 9, "defaultPortTimeZone": None, "new": [1]}
    sinch.otherwise = lambda call: Reply(200, {"contact": odd} | whole)
    assert client.get_configuration() == {
        "contact": {"email": None, "name": "Mara Quist", "phone": "12065550100"},
        "webhookUrl": None,
        "defaultPortTime": "9",
        "defaultPortTimeZone": None,
        "new": [1],
    }
    sinch.otherwise = lambda call: Reply(200, {"contact": "Mara", "defaultPortTime": "09:00"})
    assert client.get_configuration() == {"contact": {}, "defaultPortTime": "09:00"}
