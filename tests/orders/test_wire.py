"""Sinch's JSON read in every variant, and what is sent back: no database."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from orders import bodies, comparing, wire
from portal.sinch.payloads import writable_order

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = json.loads((ROOT / "tests/sinch/porting-examples.json").read_text())
CONTRACT = yaml.safe_load((ROOT / "portal/sandbox/openapi/porting.openapi.yaml").read_text())
A, B, C = "+12065550140", "+12065550141", "+12065550142"
PIN, ACCOUNT = "482193", "9930-114431"
OrderJson = Callable[..., dict[str, Any]]


def example(name: str, operation: str = "getOrderDetails") -> dict[str, Any]:
    """Return the body of an example of the contract."""
    return next(e["body"] for e in EXAMPLES if e["operation"] == operation and e["name"] == name)


def contract_errors(schema: str, body: Any) -> list[str]:
    """Return what the OpenAPI description has against a body."""
    registry = Registry().with_resource("contract:", Resource(CONTRACT, DRAFT202012))
    pointer = {"$ref": f"contract:#/components/schemas/{schema}"}
    found = Draft202012Validator(pointer, registry=registry).iter_errors(body)
    return [f"{'/'.join(map(str, e.path))}: {e.message}" for e in found]


# --- Reading --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(e["body"], id=f"{e['operation']}: {e['name']}")
        for e in EXAMPLES
        if isinstance(e.get("body"), dict) and ("phoneNumbers" in e["body"] or "order" in e["body"])
    ],
)
def test_every_example_of_an_order_is_read(body: dict[str, Any]) -> None:
    order = body.get("order", body)
    facts = wire.read_order(order)
    numbers = [n if isinstance(n, str) else n["phoneNumber"] for n in order["phoneNumbers"]]
    if numbers and not isinstance(order["phoneNumbers"][0], str):
        assert [n.phone_number for n in facts.numbers] == numbers
    assert facts.status == facts.status.upper()
    wire.redact(body)
    comparing.comparable(order)


@pytest.mark.parametrize(
    "said",
    ["2026-05-15", "2026-05-15T12:00:00Z", "2026-05-15T00:00:00Z", "2026-05-15T23:30:00-08:00"],
)
def test_a_foc_date_is_the_day_that_is_written_whatever_the_zone(said: str) -> None:
    assert wire.read_date(said) == date(2026, 5, 15)


@pytest.mark.parametrize("said", [None, "", "soon", 0, [], "2026-13-40"])
def test_what_is_no_date_is_no_date_and_no_error(said: object) -> None:
    assert wire.read_date(said) is None
    assert wire.read_instant(said) is None


def test_an_order_id_is_text_whether_it_came_as_a_number_or_as_text() -> None:
    assert wire.read_order({"id": 40118273}).sinch_id == "40118273"
    assert wire.read_order({"id": "40118273"}).sinch_id == "40118273"


def test_both_names_of_activation_and_exclusion_times_are_read(order_json: OrderJson) -> None:
    facts = wire.read_order(
        order_json(
            {
                A: {"status": "Activated", "activateTime": "14:00"},
                B: {"status": "ACTIVATED", "activatedDate": "2026-05-15T14:00:00Z"},
                C: {"status": "EXCLUDED", "exclusionDate": "2026-05-05"},
            }
        )
    )
    first, second, third = facts.numbers
    assert (first.status, first.activated_at) == ("ACTIVATED", "14:00")
    assert second.activated_at == "2026-05-15T14:00:00Z"
    assert third.excluded_at == "2026-05-05"


def test_a_time_that_ends_in_z_loses_it_as_the_zone_field_rules() -> None:
    facts = wire.read_order({"desiredPortSchedule": {"desiredPortTime": "09:00:00Z"}})
    assert facts.desired_port_time == "09:00:00"


def test_two_notes_alike_are_two_notes_and_read_again_the_same_two() -> None:
    note = {"note": "Please  call", "createdTime": "2026-05-04T16:20:00Z", "createdBy": "Sinch"}
    facts = wire.read_order({"notes": [note, {**note, "note": "Please call"}]})
    again = wire.read_order({"notes": [note, note]})
    assert len({n.fact for n in facts.notes}) == 2
    assert [n.fact for n in again.notes] == [n.fact for n in facts.notes]
    assert facts.notes[0].created_at == datetime(2026, 5, 4, 16, 20, tzinfo=UTC)


def test_a_documents_id_is_read_under_both_names() -> None:
    facts = wire.read_order(
        {"documents": [{"id": 7001, "documentName": "a.pdf"}, {"documentId": "7002"}]}
    )
    assert [(d.sinch_id, d.name) for d in facts.documents] == [
        ("7001", "a.pdf"),
        ("7002", "Document 7002"),
    ]


def test_the_losing_carrier_is_read_from_a_groups_name() -> None:
    assert wire.carrier_of_group("GW Comcast Business Grp12") == "Comcast Business"
    assert wire.carrier_of_group("Group seven") == ""


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["id", "status", "phoneNumbers", "notes", "documents", "desiredPortSchedule", "resellerName"]
)


@given(st.dictionaries(KEYS, JSON_VALUES), st.dictionaries(KEYS, JSON_VALUES))
def test_nothing_that_sinch_could_send_stops_the_reading(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    merged = wire.merge_reading(wire.redact(first), wire.redact(second))
    wire.read_order(merged)
    comparing.comparable(merged)
    bodies.write_body(merged, {})
    json.dumps(merged).encode()


# --- Secrets --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", ["****", "••••", "xxxx", "XXXX", "....", "* * *", "****1234", "••31"]
)
def test_dots_asterisks_and_xs_are_a_mask(said: str) -> None:
    assert wire.is_masked(said)


@pytest.mark.parametrize("said", ["4821", "ACC-99812", "0000", "", None, "12x4"])
def test_a_pin_is_no_mask(said: str | None) -> None:
    assert not wire.is_masked(said)


def test_pins_and_account_numbers_are_masked_however_deep_they_are(order_json: OrderJson) -> None:
    order = order_json(
        {
            A: {
                "newPortOutPin": 775310,
                "portOutInfo": {"existingPortOutPin": PIN, "accountNum": ACCOUNT},
            }
        }
    )
    text = json.dumps(wire.redact({"type": "ORDER_UPDATED", "order": order, "more": [[order]]}))
    assert "775310" not in text
    assert PIN not in text
    assert ACCOUNT not in text
    assert "Harborview Dental LLC" in text


def test_a_webhook_body_of_the_contract_comes_out_without_its_pin() -> None:
    body = example("string orderId, numeric order.id", "webhookOrderUpdated")
    assert "4821" in json.dumps(body)
    assert "4821" not in json.dumps(wire.redact(body))


def test_empty_secrets_stay_empty_and_what_a_database_cannot_hold_is_taken_out() -> None:
    said = {"existingPortOutPin": None, "accountNum": "", "name": "A\x00B\ud800"}
    assert wire.redact(said) == {"existingPortOutPin": None, "accountNum": "", "name": "AB?"}


def test_secrets_are_taken_from_a_body_by_number_but_not_the_masks(order_json: OrderJson) -> None:
    order = order_json(
        {A: {"newPortOutPin": "775310", "portOutInfo": {"accountNum": ACCOUNT}}, B: {}}
    )
    assert wire.order_secrets(order) == {A: {"accountNum": ACCOUNT, "newPortOutPin": "775310"}}


# --- Two readings ---------------------------------------------------------------------------


def test_a_short_answer_leaves_what_we_had(order_json: OrderJson) -> None:
    full = order_json({A: {"status": "CONFIRMED", "focDate": "2026-06-18"}})
    short = {
        "id": "40118273",
        "status": "CONFIRMED",
        "phoneNumbers": [{"phoneNumber": A, "status": "CONFIRMED"}],
    }
    merged = wire.read_order(wire.merge_reading(full, short))
    assert merged.status == "CONFIRMED"
    assert merged.numbers[0].end_user == "Harborview Dental LLC"
    assert merged.numbers[0].group == "GW Lumen Grp1"
    assert merged.numbers[0].foc_date == date(2026, 6, 18)
    assert merged.desired_port_date == date(2099, 6, 16)


def test_null_is_an_answer_about_what_sinch_alone_knows(order_json: OrderJson) -> None:
    merged = wire.merge_reading(order_json({A: {}}), order_json({A: {"phoneNumberGroup": None}}))
    assert wire.read_order(merged).numbers[0].group == ""


@pytest.mark.parametrize(
    "said",
    [
        {"endUser": None, "portOutInfo": None, "voiceConfiguration": None, "features": None},
        {"endUser": {}, "portOutInfo": {}, "voiceConfiguration": {}, "features": {}},
        {
            "endUser": {"name": "Harborview Dental LLC", "city": None},
            "portOutInfo": {"existingPortOutPin": "****"},
            "voiceConfiguration": {"type": "EST"},
            "features": {"e911": {"city": "Seattle"}},
        },
        {"endUser": "Harborview Dental LLC", "portOutInfo": [], "features": {"e911": None}},
    ],
    ids=["null", "empty", "in part", "odd"],
)
def test_nothing_that_was_ordered_is_overwritten_with_nothing(
    order_json: OrderJson, said: dict[str, Any]
) -> None:
    """The next change sends everything back, and Sinch clears what is missing."""
    e911 = {"name": "Harborview", "streetNum": "1420", "city": "Seattle", "postalCode": "98101"}
    full = order_json(
        {
            A: {
                "portOutInfo": {
                    "accountPhoneNumber": "+12065550100",
                    "authorizingName": "Dana Whitfield",
                },
                "voiceConfiguration": {"type": "EST", "trunkId": "01HX"},
                "features": {"e911": e911},
            }
        },
        customerOrderReference="HVD-1",
        onDemandActivation=True,
        resellerName="Alder",
    )
    nulls = dict.fromkeys(
        ("customerOrderReference", "onDemandActivation", "resellerName", "desiredPortSchedule")
    )
    answer = {"id": full["id"], "status": "PENDING", **nulls}
    answer["phoneNumbers"] = [{"phoneNumber": A, "status": "PENDING", **said}]
    before, after = (
        bodies.write_body(order, {}) for order in (full, wire.merge_reading(full, answer))
    )
    assert after == before


def test_a_whole_section_goes_over_what_was_there(order_json: OrderJson) -> None:
    place = {"streetPreDir": "N", "locationType1": "STE", "locationValue1": "7"}
    full = order_json({A: {}})
    entry = full["phoneNumbers"][0]
    full["phoneNumbers"] = [
        {
            **entry,
            "endUser": entry["endUser"] | place,
            "voiceConfiguration": {"type": "EST", "trunkId": "01HX"},
        }
    ]
    answer = order_json({A: {"voiceConfiguration": {"type": "RTC", "appId": "app"}}})
    (merged,) = wire.merge_reading(full, answer)["phoneNumbers"]
    assert merged["endUser"] == entry["endUser"]
    assert merged["voiceConfiguration"] == {"type": "RTC", "appId": "app"}


@pytest.mark.parametrize(
    ("at", "zone", "day", "written"),
    [
        ("09:00", "US/Pacific", "2026-06-16", ("09:00:00", "US/Pacific")),
        ("09:00:00Z", "US/Central", "2026-06-16", ("09:00:00", "US/Central")),
        ("14:00:00", "GMT", "2026-06-16", ("10:00:00", "US/Eastern")),
        ("14:00", "GMT", "2026-12-16", ("09:00:00", "US/Eastern")),
        ("01:00:00", "GMT", "2026-06-16", ("01:00:00", "GMT")),  # the day before in the US
        ("soon", "GMT", "2026-06-16", ("soon", "GMT")),
        ("09:00", "", "", ("09:00:00", "")),
    ],
)
def test_a_time_is_written_as_sinch_takes_it_however_it_was_read(
    at: str, zone: str, day: str, written: tuple[str, str]
) -> None:
    schedule = {"desiredPortDate": day, "desiredPortTime": at, "desiredPortTimeZone": zone}
    body = writable_order({"desiredPortSchedule": schedule, "phoneNumbers": []})
    sent = body["desiredPortSchedule"]
    assert (sent["desiredPortTime"], sent.get("desiredPortTimeZone", "")) == written


def test_an_old_refusal_does_not_stick_to_a_number_that_is_confirmed_now(
    order_json: OrderJson,
) -> None:
    refused = order_json(
        {A: {"status": "REJECTED", "rejectReason": "Invalid passcode/PIN supplied"}}
    )
    merged = wire.merge_reading(
        refused,
        {"phoneNumbers": [{"phoneNumber": A, "status": "CONFIRMED", "focDate": "2026-06-18"}]},
    )
    number = wire.read_order(merged).numbers[0]
    assert (number.status, number.reject_reason) == ("CONFIRMED", "")
    back = wire.merge_reading(merged, {"phoneNumbers": [{"phoneNumber": A, "status": "PENDING"}]})
    assert wire.read_order(back).numbers[0].foc_date is None


def test_an_answer_without_numbers_removes_none(order_json: OrderJson) -> None:
    canceling = example("accepted with the order", "deleteOrder")
    merged = wire.read_order(wire.merge_reading(order_json(2), canceling))
    assert merged.status == "PENDING_CANCELATION"
    assert len(merged.numbers) == 2


def test_numbers_keep_their_places_whatever_order_sinch_sends_them_in(
    order_json: OrderJson,
) -> None:
    order = order_json({A: {}, B: {}, C: {}})
    turned = {**order, "phoneNumbers": order["phoneNumbers"][::-1]}
    assert wire.merge_reading(order, turned) == order


def test_numbers_that_left_the_order_are_gone_and_new_ones_come_last(order_json: OrderJson) -> None:
    merged = wire.merge_reading(order_json({A: {}, B: {}}), order_json({C: {}, B: {}}))
    assert [n.phone_number for n in wire.read_order(merged).numbers] == [B, C]


@pytest.mark.parametrize("said", ["", None, "****"])
def test_a_secret_that_sinch_does_not_show_is_still_asked_for_before_it_would_be_cleared(
    order_json: OrderJson, said: str | None
) -> None:
    info = {"existingPortOutPin": PIN, "accountNum": ACCOUNT, "authorizingName": "Dana Holt"}
    stored = wire.redact(order_json({A: {"portOutInfo": info, "newPortOutPin": "775310"}}))
    hidden = dict.fromkeys(wire.PIN_KEYS, said) | {"authorizingName": ""}
    answer = order_json({A: {"portOutInfo": hidden, "newPortOutPin": said}})
    merged = wire.merge_reading(stored, answer)
    assert bodies.unknown_secrets(merged, None) == {A: [*wire.SECRET_KEYS]}
    assert merged["phoneNumbers"][0]["portOutInfo"]["authorizingName"] == "", "no secret: cleared"


def test_what_was_sent_completes_an_answer_that_does_not_repeat_it(order_json: OrderJson) -> None:
    short = {
        "id": "1",
        "status": "PENDING",
        "phoneNumbers": [{"phoneNumber": A, "status": "PENDING"}],
    }
    sent = bodies.write_body(order_json({A: {}}), {A: {"existingPortOutPin": PIN}})
    merged = wire.with_sent(short, sent, replaces=False)
    assert wire.read_order(merged).end_user == "Harborview Dental LLC"
    assert PIN not in json.dumps(merged)


def test_a_full_replacement_clears_what_it_leaves_out(order_json: OrderJson) -> None:
    stored = order_json({A: {"voiceConfiguration": {"type": "EST", "trunkId": "01HX"}}, B: {}})
    sent = bodies.write_body(
        stored,
        {},
        {"customerOrderReference": "", "phoneNumbers": {A: {"voiceConfiguration": None}, B: None}},
    )
    merged = wire.with_sent(stored, sent, replaces=True)
    assert "voiceConfiguration" not in merged["phoneNumbers"][0]
    assert wire.read_order(merged).reference == ""
    assert [n.phone_number for n in wire.read_order(merged).numbers] == [A]
    assert wire.read_order(merged).numbers[0].group == "GW Lumen Grp1"


# --- Sending --------------------------------------------------------------------------------


@pytest.fixture
def typed() -> dict[str, Any]:
    return {
        "numbers": [A, B],
        "shared": {
            "end_user": {
                "name": "Harborview Dental LLC",
                "streetNum": "1420",
                "streetName": "Alder",
                "city": "Seattle",
                "state": "wa",
                "zipCode": "98101",
                "typeOfService": "B",
            },
            "port_out": {
                "existingPortOutPin": PIN,
                "accountNum": "",
                "authorizingName": "Dana Holt",
                "authorizingDate": date(2026, 6, 2),
            },
            "voice": {"type": "EST", "id": "01HX0TRUNK0000000000007QK2"},
            "sms": {"smsAppId": "harborview-sms"},
            "new_pin": "775310",
        },
        "overrides": {
            B: {"end_user": {"streetNum": "1422"}, "port_out": {"existingPortOutPin": "11"}}
        },
        "schedule": {"date": date(2026, 6, 16), "time": "09:00", "zone": "US/Pacific"},
        "reference": "HVD-2026-014",
        "on_demand": True,
        "reseller": "",
        "loa": {},
    }


def test_a_new_order_fits_the_contract_and_carries_overrides(typed: dict[str, Any]) -> None:
    body = bodies.create_body(**typed)
    assert contract_errors("PortInOrderWrite", body) == []
    first, second = body["phoneNumbers"]
    assert first["endUser"]["streetNum"] == "1420"
    assert second["endUser"] == {**first["endUser"], "streetNum": "1422"}
    assert second["portOutInfo"]["existingPortOutPin"] == "11"
    assert second["portOutInfo"]["authorizingName"] == "Dana Holt"
    assert first["voiceConfiguration"] == {"type": "EST", "trunkId": "01HX0TRUNK0000000000007QK2"}
    assert first["portOutInfo"]["authorizingDate"] == "2026-06-02T00:00:00Z"
    assert body["desiredPortSchedule"]["desiredPortTime"] == "09:00:00"
    assert "resellerName" not in body


def test_a_new_order_without_the_optional_parts_fits_too(typed: dict[str, Any]) -> None:
    typed["shared"] |= {"voice": {"type": "", "id": ""}, "sms": {}, "new_pin": ""}
    body = bodies.create_body(**typed | {"reference": "", "on_demand": False, "overrides": {}})
    assert contract_errors("PortInOrderWrite", body) == []
    assert set(body["phoneNumbers"][0]) == {"phoneNumber", "endUser", "portOutInfo"}


def test_a_replacement_keeps_everything_that_can_be_written_and_nothing_else() -> None:
    read = example("created, full answer with validated E911", "orderPortIn")
    number = read["phoneNumbers"][0]["phoneNumber"]
    stored = wire.redact(read)
    body = bodies.write_body(
        stored,
        {number: {"existingPortOutPin": PIN, "newPortOutPin": "775310", "accountNum": ACCOUNT}},
    )
    assert contract_errors("PortInOrderWrite", body) == []
    entry = body["phoneNumbers"][0]
    assert entry["portOutInfo"]["existingPortOutPin"] == PIN
    assert entry["portOutInfo"]["accountNum"] == ACCOUNT
    assert entry["newPortOutPin"] == "775310"
    assert entry["features"]["e911"]["streetInfo"] == "Harbor Ave"
    assert "enh" not in json.dumps(body)
    assert "countryCode" not in entry
    assert entry["voiceConfiguration"] == read["phoneNumbers"][0]["voiceConfiguration"]


def test_a_replacement_takes_an_echo_only_where_we_hold_nothing(order_json: OrderJson) -> None:
    order = order_json(
        {
            A: {"portOutInfo": {"existingPortOutPin": "1111"}},
            B: {"portOutInfo": {"existingPortOutPin": "2222"}},
            C: {"portOutInfo": {"existingPortOutPin": "****"}},
        }
    )
    body = bodies.write_body(order, {A: {"existingPortOutPin": PIN}})
    pins = [n["portOutInfo"].get("existingPortOutPin") for n in body["phoneNumbers"]]
    assert pins == [PIN, "2222", None]
    assert bodies.unknown_secrets(
        order, {A: {"existingPortOutPin": PIN}, B: {"existingPortOutPin": "2222"}}
    ) == {C: ["existingPortOutPin"]}


def test_a_change_goes_where_it_belongs_and_leaves_the_rest(order_json: OrderJson) -> None:
    body = bodies.write_body(
        order_json({A: {}, B: {}}),
        {},
        {
            "desiredPortSchedule": {"desiredPortDate": "2026-06-22"},
            "phoneNumbers": {
                "*": {"portOutInfo": {"authorizingName": "Lee Fontaine"}},
                B: {"portOutInfo": {"existingPortOutPin": PIN}},
            },
        },
    )
    assert body["desiredPortSchedule"] == {
        "desiredPortDate": "2026-06-22",
        "desiredPortTime": "09:00:00",
        "desiredPortTimeZone": "US/Pacific",
    }
    first, second = body["phoneNumbers"]
    assert first["portOutInfo"]["authorizingName"] == "Lee Fontaine"
    assert first["portOutInfo"]["accountPhoneNumber"] == "+12065550140"
    assert "existingPortOutPin" not in first["portOutInfo"]
    assert second["portOutInfo"]["existingPortOutPin"] == PIN


# --- Comparing ------------------------------------------------------------------------------


def test_spellings_that_mean_the_same_do_not_differ(order_json: OrderJson) -> None:
    order = order_json({A: {"portOutInfo": {"authorizingDate": "2026-05-01"}}})
    other = order_json({A: {"portOutInfo": {"authorizingDate": "2026-05-01T00:00:00Z"}}})
    del other["phoneNumbers"][0]["endUser"]["typeOfService"]
    other["desiredPortSchedule"]["desiredPortTime"] = "09:00"
    other["status"], other["onDemandActivation"] = "CONFIRMED", None
    assert comparing.digest(order) == comparing.digest(other)


def test_a_pin_is_no_part_of_a_digest_but_a_street_is(order_json: OrderJson) -> None:
    plain = comparing.digest(order_json({A: {}}))
    assert (
        comparing.digest(
            order_json(
                {
                    A: {
                        "portOutInfo": {
                            "existingPortOutPin": PIN,
                            "accountPhoneNumber": A,
                            "authorizingName": "Dana Holt",
                        }
                    }
                }
            )
        )
        == plain
    )
    moved = order_json({A: {}})
    moved["phoneNumbers"][0]["endUser"]["streetNum"] = "9"
    assert comparing.digest(moved) != plain


def test_a_short_answer_differs_in_nothing_but_its_numbers(order_json: OrderJson) -> None:
    sent = bodies.write_body(order_json({A: {}, B: {}}), {})
    short = [{"phoneNumber": n, "status": "PENDING"} for n in (A, B)]
    assert comparing.differences(sent, {"id": 1, "phoneNumbers": short}) == []
    assert comparing.differences(sent, {"id": 1, "phoneNumbers": short[:1]}) == [
        ("phoneNumbers", B)
    ]


def test_a_changed_field_and_a_cleared_one_are_found(order_json: OrderJson) -> None:
    sent = bodies.write_body(order_json({A: {}}), {})
    seen = order_json({A: {}}, resellerName="Prairie Telecom Reseller")
    seen["phoneNumbers"][0]["endUser"]["zipCode"] = "98102"
    assert comparing.differences(sent, seen) == [
        ("phoneNumbers", A, "endUser", "zipCode"),
        ("resellerName",),
    ]


def test_the_digest_of_a_list_item_is_the_one_expected_of_its_order(order_json: OrderJson) -> None:
    order = order_json(
        {A: {"status": "ACTIVATED"}, B: {"status": "REJECTED"}, C: {"status": "CONFIRMED"}},
        status="CONFIRMED",
    )
    item = {
        "id": 40118273,
        "status": "CONFIRMED",
        "customerOrderReference": "HVD-2026-014",
        "phoneNumberQuantity": 3,
        "focQuantity": 1,
        "activatedQuantity": "1",
        "rejectedQuantity": 1,
    }
    assert wire.list_digest(item) == wire.expected_list_digest(wire.read_order(order))


def test_what_sinch_does_not_document_is_shown_and_never_sent():
    entry = {
        "phoneNumber": A,
        "status": "PENDING",
        "endUser": {"name": "Bay Books", "crmId": "C-7"},
        "portOutInfo": {"existingPortOutPin": "4821", "oldPin": ""},
        "features": {
            "e911": {"city": "Seattle", "enhCity": "SEATTLE", "quality": "high"},
            "directoryListing": {"listedName": "Bay Books", "isListed": True},
            "A2PLC": None,
            "messaging": ["SMSMMS", "A2PLC"],
        },
        "extras": [{"accountNum": "9930"}],
    }
    assert wire.undocumented(entry) == [
        ("End user · Crm id", "C-7"),
        ("E911 · Quality", "high"),
        ("Directory listing · Listed name", "Bay Books"),
        ("Directory listing · Is listed", "yes"),
        ("Messaging", "SMSMMS, A2PLC"),
        ("Extras · 1 · Account num", wire.MASK),
    ]
    assert wire.undocumented_of_order({"id": "7", "lane": {"speed": 2}, "notes": []}) == [
        ("Lane · Speed", "2")
    ]
    body = bodies.write_body({"phoneNumbers": [entry], "lane": 1}, {})
    for word in ("directory", "A2PLC", "lane", "enhCity", "crmId"):
        assert word not in str(body), word


def test_a_feature_is_called_by_words_where_there_are_some() -> None:
    assert wire.feature_text("SMSMMS") == "SMS and MMS"
    assert wire.feature_text("CNAM") == "CNAM"
    assert wire.feature_text(None) == "A feature"
