"""An order's life, in every reading of Sinch."""

import base64
from datetime import timedelta
from typing import Any

import pytest

from portal.sandbox import Personality, Sandbox
from portal.sandbox.clock import ManualClock
from portal.sandbox.life import NotPossible

from .conftest import Api, fields, order_body

LUMEN = ("+12065550140", "+12065550141")
COMCAST = ("+12065550150",)
READINGS = [
    (preset, name, value)
    for preset in ("seed", "reference")
    for name, (_help, values) in Personality.choices().items()
    for value in values
]


def created_id(api: Api, reference: str) -> Any:
    """Return the id of the order with a reference, as a client without an answer would."""
    page = api.call("GET", "/orders/portIns", params={"customerOrderReference": reference}).json()
    assert len(page["orders"]) == 1
    return page["orders"][0]["id"]


def ready_keys(answer: Any) -> tuple[str, list[str]]:
    """Return the key an activation names groups with, and the groups on offer."""
    if isinstance(answer, dict):
        return "groupIds", [group["groupId"] for group in answer["activationGroups"]]
    return "phoneNumberGroups", [group["phoneNumberGroup"] for group in answer]


@pytest.mark.parametrize("preset", ["seed", "reference"])
def test_an_automatic_order_lives_from_pending_to_completed(
    preset: str, make_sandbox, clock: ManualClock
) -> None:
    sandbox = make_sandbox(preset)
    api = Api(sandbox).sign_in()
    assert api.order(*LUMEN, *COMCAST).ok
    order_id = created_id(api, "acme-1")
    assert api.read(order_id)["status"] == "PENDING"
    assert sandbox.control.next(order_id)
    assert api.statuses(order_id) == {"0140": "CONFIRMED", "0141": "CONFIRMED", "0150": "PENDING"}
    assert sandbox.control.next(order_id)
    assert api.read(order_id)["status"] == "PENDING"
    assert sandbox.control.next(order_id)
    order = api.read(order_id)
    assert order["status"] == "CONFIRMED"
    assert {n["focDate"][:10] for n in order["phoneNumbers"]} == {"2026-06-18"}
    assert not sandbox.control.next(order_id)
    clock.advance(timedelta(days=9))
    api.sign_in()
    while sandbox.control.next(order_id):
        pass
    order = api.read(order_id)
    assert order["status"] == "COMPLETED"
    assert {n["status"] for n in order["phoneNumbers"]} == {"ACTIVATED"}


@pytest.mark.parametrize("preset", ["seed", "reference"])
def test_an_on_demand_order_goes_live_by_groups(
    preset: str, make_sandbox, clock: ManualClock
) -> None:
    sandbox = make_sandbox(preset)
    api = Api(sandbox).sign_in()
    api.order(*LUMEN, *COMCAST, onDemandActivation=True)
    order_id = created_id(api, "acme-1")
    path = f"/orders/portIns/{order_id}"
    assert api.call("POST", f"{path}/activate").status_code == 422
    sandbox.control.answer(order_id)
    sandbox.control.next(order_id)
    assert ready_keys(api.call("GET", f"{path}/availableActivations").json())[1] == []
    assert api.call("POST", f"{path}/activate").status_code == 422

    sandbox.control.make_ready(order_id, LUMEN)
    key, groups = ready_keys(api.call("GET", f"{path}/availableActivations").json())
    assert len(groups) == 1
    # The whole order cannot go: one group's date has not come.
    assert api.call("POST", f"{path}/activate").status_code == 422
    other = {"groupIds": "phoneNumberGroups", "phoneNumberGroups": "groupIds"}[key]
    assert other in fields(api.call("POST", f"{path}/activate", {other: groups}))
    assert api.call("POST", f"{path}/activate", {key: ["GW Nobody Grp9"]}).status_code == 422
    assert api.call("POST", f"{path}/activate", {key: groups}).status_code == 200
    # Accepted is not live, and it cannot be asked twice.
    assert api.statuses(order_id)["0140"] == "CONFIRMED"
    assert ready_keys(api.call("GET", f"{path}/availableActivations").json())[1] == []
    assert api.call("POST", f"{path}/activate", {key: groups}).status_code == 422
    sandbox.control.next(order_id)
    assert api.statuses(order_id) == {
        "0140": "ACTIVATED",
        "0141": "ACTIVATED",
        "0150": "CONFIRMED",
    }

    clock.advance(timedelta(days=9))
    api.sign_in()
    sandbox.control.next(order_id)
    assert api.call("POST", f"{path}/activate").status_code == 200
    sandbox.control.next(order_id)
    assert api.read(order_id)["status"] == "COMPLETED"


@pytest.mark.parametrize(("preset", "name", "value"), READINGS)
def test_every_reading_of_sinch_stays_within_the_contract(
    preset: str, name: str, value: str, make_sandbox
) -> None:
    """The fixture compares all answers and webhooks with the description at the end."""
    sandbox = make_sandbox(preset, {name: value})
    api = Api(sandbox).sign_in()
    api.call("GET", "/configuration")
    settings = {
        "contact": {"email": "ports@acme.example", "name": "Dana Holt", "phone": "+12065550100"},
        "webhookUrl": "https://desk.example/webhooks/porting/token",
        "defaultPortTime": "09:00:00",
        "defaultPortTimeZone": "US/Eastern",
    }
    assert api.call("POST", "/configuration", settings).ok
    assert api.call("PUT", "/configuration", settings).ok
    assert api.call("GET", "/configuration").status_code == 200
    assert not api.order("+12065550199").ok

    numbers = (*LUMEN, "+12065550195", "+12065550196", "+12065550198")
    assert api.order(*numbers, onDemandActivation=True).ok
    order_id = created_id(api, "acme-1")
    path = f"/orders/portIns/{order_id}"
    sandbox.control.answer(order_id)
    api.call("GET", f"{path}/phoneGroups/{order_id}")
    assert set(api.statuses(order_id).values()) == {"CONFIRMED", "EXCLUDED", "REJECTED"}
    assert api.call("POST", f"{path}/notes", {"note": "The new PIN is on its way."}).ok
    paper = base64.b64encode(b"%PDF-1.4 a letter").decode()
    file = {"documentName": "loa.pdf", "description": "LOA", "fileContent": paper}
    assert api.call("POST", f"{path}/documents", file).ok
    document = api.read(order_id)["documents"][0]
    document_id = document.get("id") or document["documentId"]
    found = [
        api.call("GET", f"/orders/{middle}{order_id}/documents/{document_id}")
        for middle in ("portIns/", "")
    ]
    assert {a.json()["fileContent"] for a in found if a.ok} == {paper}

    body = order_body(*numbers, onDemandActivation=True)
    body["phoneNumbers"][-1]["portOutInfo"]["existingPortOutPin"] = "9999"
    assert api.call("PUT", path, body).ok
    sandbox.control.make_ready(order_id)
    assert api.call("PUT", path, body).status_code in {400, 409, 422}
    key, groups = ready_keys(api.call("GET", f"{path}/availableActivations").json())
    assert api.call("POST", f"{path}/activate", {key: groups}).ok
    sandbox.control.next(order_id)
    assert api.read(order_id)["status"] == "COMPLETED"

    api.order("+12065550160", customerOrderReference="acme-2")
    second = created_id(api, "acme-2")
    assert api.call("DELETE", f"/orders/portIns/{second}").ok
    api.call("GET", "/orders/portIns", params={"orderStatus": "CANCELED"})
    assert list(sandbox.violations) == []


def test_a_refused_pin_is_refused_again_until_an_update_brings_another(
    api: Api, sandbox: Sandbox
) -> None:
    order_id = api.order("+12065550198", "+12065550140").json()["id"]
    sandbox.control.answer(order_id)
    number = api.read(order_id)["phoneNumbers"][0]
    assert number["status"] == "REJECTED"
    assert number["rejectReason"] == "Invalid passcode/PIN supplied"
    body = order_body("+12065550198", "+12065550140")
    api.call("PUT", f"/orders/portIns/{order_id}", body)
    assert api.statuses(order_id) == {"0198": "PENDING", "0140": "CONFIRMED"}
    sandbox.control.answer(order_id)
    assert api.statuses(order_id)["0198"] == "REJECTED"
    body["phoneNumbers"][0]["portOutInfo"]["existingPortOutPin"] = "8765"
    api.call("PUT", f"/orders/portIns/{order_id}", body)
    sandbox.control.answer(order_id)
    assert api.statuses(order_id)["0198"] == "CONFIRMED"


def test_an_order_with_refused_numbers_waits_for_us_and_then_goes_on_without_them(
    make_sandbox,
) -> None:
    sandbox = make_sandbox(reject_patience=2)
    api = Api(sandbox).sign_in()
    order_id = api.order("+12065550197", "+12065550140").json()["id"]
    sandbox.control.answer(order_id)
    for _step in range(2):
        assert not sandbox.control.next(order_id)
        assert api.read(order_id)["status"] == "PENDING"
    sandbox.control.next(order_id)
    assert api.read(order_id)["status"] == "CONFIRMED"
    assert api.statuses(order_id)["0197"] == "REJECTED"
    # The refused number is free to be ordered anew, the confirmed one is not.
    assert api.order("+12065550197").status_code == 201
    assert api.order("+12065550140").status_code == 422


def test_an_order_of_which_everything_was_left_out_is_ended(api: Api, sandbox: Sandbox) -> None:
    order_id = api.order("+12065550196").json()["id"]
    sandbox.control.answer(order_id)
    sandbox.control.next(order_id)
    order = api.read(order_id)
    assert order["status"] == "CANCELED"
    assert order["phoneNumbers"][0]["exclusionReason"] == "Number not on account"


def test_canceling_passes_through_pending_cancelation(api: Api, sandbox: Sandbox) -> None:
    order_id = api.order().json()["id"]
    assert api.call("DELETE", f"/orders/portIns/{order_id}").status_code == 200
    assert api.read(order_id)["status"] == "PENDING_CANCELATION"
    assert api.order().status_code == 422
    assert api.call("DELETE", f"/orders/portIns/{order_id}").status_code == 422
    sandbox.control.next(order_id)
    assert api.read(order_id)["status"] == "CANCELED"
    assert api.statuses(order_id) == {"0142": "CANCELED"}


def test_the_newest_reading_knows_no_pending_cancelation(make_sandbox) -> None:
    api = Api(make_sandbox("reference")).sign_in()
    order_id = api.order().json()["id"]
    assert api.call("DELETE", f"/orders/portIns/{order_id}").status_code == 204
    assert api.read(order_id)["status"] == "CANCELED"
    answer = api.call("GET", "/orders/portIns", params={"orderStatus": "PENDING_CANCELATION"})
    assert answer.status_code == 422


def test_an_update_replaces_everything_and_may_add_and_drop_numbers(
    api: Api, sandbox: Sandbox
) -> None:
    order_id = api.order("+12065550140", "+12065550141", loaUploadedBy="Dana Holt").json()["id"]
    api.call("PUT", f"/orders/portIns/{order_id}", order_body("+12065550141", "+12065550150"))
    order = api.read(order_id)
    assert [n["phoneNumber"] for n in order["phoneNumbers"]] == ["+12065550141", "+12065550150"]
    assert order["loaUploadedBy"] == ""
    assert sandbox.control.order(order_id).groups == ["GW Lumen Grp1", "GW Comcast Business Grp2"]
    assert api.order("+12065550140").status_code == 201


def test_missing_time_and_zone_come_from_the_configuration(api: Api) -> None:
    schedule = {"desiredPortDate": "2026-06-18"}
    first = api.order("+12065550140", desiredPortSchedule=schedule).json()
    assert first["desiredPortSchedule"]["desiredPortTimeZone"] == "US/Eastern"
    api.call(
        "POST",
        "/configuration",
        {"defaultPortTime": "08:30:00", "defaultPortTimeZone": "US/Pacific"},
    )
    second = api.order("+12065550141", desiredPortSchedule=schedule).json()
    assert second["desiredPortSchedule"] == {
        "desiredPortDate": "2026-06-18",
        "desiredPortTime": "08:30:00",
        "desiredPortTimeZone": "US/Pacific",
    }


def test_the_list_filters_counts_and_pages(api: Api, sandbox: Sandbox) -> None:
    ids = [
        api.order(f"+1206555{n:04d}", customerOrderReference=f"ref-{n}").json()["id"]
        for n in range(140, 145)
    ]
    sandbox.control.confirm(ids[0], "2026-06-20")

    def listed(**params: Any) -> list[int]:
        answer = api.call("GET", "/orders/portIns", params=params).json()
        return [item["id"] for item in answer["orders"]]

    assert listed(orderId=ids[2]) == [ids[2]]
    assert listed(phoneNumber="+12065550144") == [ids[4]]
    assert listed(customerOrderReference="ref-141") == [ids[1]]
    assert listed(orderStatus="CONFIRMED") == [ids[0]]
    assert listed(focStartDate="2026-06-20T00:00:00Z") == [ids[0]]
    assert listed(focEndDate="2026-06-19T00:00:00Z") == []
    assert listed(createdDateStart="2026-06-10T00:00:00Z") == []
    first = api.call("GET", "/orders/portIns", params={"pageSize": 2}).json()
    assert (first["page"], first["totalPages"], first["totalItems"]) == (1, 3, 5)
    assert listed(pageSize=2, page=3) == [ids[0]]
    assert listed(pageSize=2, page=4) == []
    item = api.call("GET", "/orders/portIns", params={"orderId": ids[0]}).json()["orders"][0]
    assert (item["phoneNumberQuantity"], item["focQuantity"]) == (1, 1)


@pytest.mark.parametrize(
    ("reading", "pin"), [("echo", "1234"), ("masked", "****"), ("absent", None)]
)
def test_a_pin_comes_back_whole_masked_or_not_at_all(
    reading: str, pin: str | None, api: Api, sandbox: Sandbox
) -> None:
    sandbox.control.personality(pin_on_read=reading)
    order_id = api.order().json()["id"]
    info = api.read(order_id)["phoneNumbers"][0]["portOutInfo"]
    assert info.get("existingPortOutPin") == pin


def test_with_days_compressed_an_order_goes_live_within_minutes(
    make_sandbox, clock: ManualClock
) -> None:
    sandbox = make_sandbox(days_compressed=True)
    api = Api(sandbox).sign_in()
    order_id = api.order().json()["id"]
    while sandbox.control.next(order_id):
        clock.advance(timedelta(seconds=45))
    assert api.read(order_id)["status"] == "COMPLETED"


def test_time_moves_orders_of_the_api_at_the_given_speed(make_sandbox, clock: ManualClock) -> None:
    # The clock stands still, so that only our own calls of `tick` move anything.
    sandbox = make_sandbox(speed=10.0, activation_seconds=3.0)
    api = Api(sandbox).sign_in()
    order_id = api.order(onDemandActivation=True).json()["id"]
    clock.advance(timedelta(seconds=11))
    sandbox.life.tick()
    assert api.statuses(order_id) == {"0142": "CONFIRMED"}
    clock.advance(timedelta(seconds=11))
    sandbox.life.tick()
    assert api.read(order_id)["status"] == "CONFIRMED"
    sandbox.control.make_ready(order_id)
    assert api.call("POST", f"/orders/portIns/{order_id}/activate").ok
    sandbox.life.tick()
    assert api.statuses(order_id) == {"0142": "CONFIRMED"}
    clock.advance(timedelta(seconds=4))
    sandbox.life.tick()
    assert api.read(order_id)["status"] == "COMPLETED"


def test_what_a_hand_cannot_do_is_said(api: Api, sandbox: Sandbox) -> None:
    order_id = api.order().json()["id"]
    with pytest.raises(NotPossible, match="PENDING"):
        sandbox.control.activate(order_id)
    with pytest.raises(NotPossible, match="not in this order"):
        sandbox.control.confirm(order_id, numbers=["+12065550100"])
    sandbox.control.complete(order_id)
    with pytest.raises(NotPossible, match="COMPLETED"):
        sandbox.control.cancel(order_id)


def test_a_hand_can_confirm_reject_exclude_and_move_dates_by_number_or_group(
    api: Api, sandbox: Sandbox
) -> None:
    order_id = api.order(*LUMEN, *COMCAST, "+12065550151").json()["id"]
    control = sandbox.control
    control.confirm(order_id, "2026-06-17", ["GW Lumen Grp1"])
    control.reject(order_id, "Account number not on file", ["+12065550150"])
    control.exclude(order_id, numbers=["+12065550151"])
    assert api.statuses(order_id) == {
        "0140": "CONFIRMED",
        "0141": "CONFIRMED",
        "0150": "REJECTED",
        "0151": "EXCLUDED",
    }
    control.move_foc_date(order_id, "2026-06-19")
    assert api.read(order_id)["phoneNumbers"][0]["focDate"].startswith("2026-06-19")
    control.confirm(order_id, "2026-06-17", ["+12065550150"])
    assert api.read(order_id)["status"] == "CONFIRMED"


def test_the_demo_shows_every_state_of_life_and_holds_to_the_contract(make_sandbox) -> None:
    sandbox = make_sandbox(demo=True)
    api = Api(sandbox).sign_in()
    orders = api.call("GET", "/orders/portIns").json()["orders"]
    assert len(orders) >= 12
    assert {o["status"] for o in orders} == {
        "PENDING",
        "CONFIRMED",
        "COMPLETED",
        "PENDING_CANCELATION",
        "CANCELED",
    }
    numbers = [n for o in orders for n in api.read(o["id"])["phoneNumbers"]]
    assert all("55501" in n["phoneNumber"] for n in numbers)
    assert {n["status"] for n in numbers} >= {"PENDING", "CONFIRMED", "REJECTED", "EXCLUDED"}
    assert len(sandbox.webhooks.log) == 0


def test_the_demo_goes_on_for_an_hour_without_running_dry(make_sandbox, clock: ManualClock) -> None:
    sandbox = make_sandbox(demo=True, speed=45.0)
    before = len(sandbox.state.orders)
    moved_late = 0
    for minute in range(60):
        clock.advance(timedelta(seconds=60))
        told = len(sandbox.webhooks.log)
        sandbox.life.tick()
        moved_late += minute >= 30 and len(sandbox.webhooks.log) > told
    living = [o for o in sandbox.state.orders.values() if o.status not in {"COMPLETED", "CANCELED"}]
    assert len(sandbox.state.orders) > before
    assert len(living) >= 6
    assert moved_late >= 5
