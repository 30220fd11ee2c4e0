"""Editing a pending order: what is shown, what is sent, and what is never lost."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from orders import actions, edits, wire
from orders.models import PortInOrder
from portal.operations import readings, runner
from portal.operations.models import Operation
from portal.work.models import TimelineEntry
from tests.orders.test_drafts import ACCOUNT, PIN, Desk, details

pytestmark = pytest.mark.django_db


class EditPage:
    """A person editing: posts what the page would post, with its hidden fields."""

    def __init__(self, client: Client, order: PortInOrder) -> None:
        self.client = client
        self.url = f"/orders/{order.pk}/edit/"
        self.html = client.get(self.url).content.decode()

    def fields(self) -> dict[str, str]:
        found = dict(re.findall(r'<input[^>]*name="([\w-]+)"[^>]*value="([^"]*)"', self.html))
        for name, inner in re.findall(r'<select name="([\w-]+)"(.*?)</select>', self.html, re.S):
            chosen = re.search(r'value="([^"]*)" selected', inner)
            found[name] = chosen[1] if chosen else ""
        boxes = re.findall(r'type="checkbox" name="([\w-]+)"[^>]*?( checked)?>', self.html)
        for name, checked in boxes:
            if not checked:
                found.pop(name, None)
        return found

    def post(self, action: str, **changed: str) -> Any:
        answer = self.client.post(self.url, self.fields() | {"action": action} | changed)
        if answer.content:
            self.html = answer.content.decode()
        return answer


@pytest.fixture
def order(agent_client: Client, porting_client: Any) -> PortInOrder:
    """A pending order of three numbers, made through the intake; one has a PIN of its own."""
    desk = Desk(agent_client)
    desk.open()
    desk.post({"numbers": "206 555 0142\n206 555 0143\n206 555 0144"} | details(), "check")
    runner.run_one()
    desk.post({}, "add_override")
    key = re.search(r'name="override" value="([^"]+)"', desk.html)
    assert key
    own = {
        "has_overrides": "1",
        "override": key[1],
        f"{key[1]}-number": "+12065550144",
        f"{key[1]}-pin": "7712",
    }
    desk.post(own, "send")
    assert runner.run_one()
    while readings.run_one():
        pass
    return PortInOrder.objects.get()


@pytest.fixture
def page(agent_client: Client, order: PortInOrder) -> EditPage:
    return EditPage(agent_client, order)


def update() -> Operation:
    return Operation.objects.get(kind="port_in.update")


def test_the_fields_are_those_of_the_order_and_secrets_are_dots(page):
    fields = page.fields()
    wanted = details(state="WA", btn="+12065550142", pin="", account="")
    for name in ("name", "street", "unit", "city", "zip", "signer", "reference", "port_date"):
        assert fields[name] == wanted[name], name
    assert fields["voice"] == "EST"
    assert "A PIN is saved" in page.html
    for secret in (PIN, ACCOUNT, "7712"):
        assert secret not in page.html
    assert 'value="+12065550144" selected' in page.html, "its PIN is its own"


def test_an_edit_lists_what_changes_before_anything_is_sent(page):
    page.post("check", zip="98102", pin="5566")
    assert "What this edit will change" in page.html
    assert "<del>98101</del>" in page.html
    assert "<ins>98102</ins>" in page.html
    assert "5566" not in page.html
    assert "Send this change to Sinch" in page.html
    assert not Operation.objects.filter(kind="port_in.update").exists()


def test_a_change_is_sent_whole_and_arrives(page, order, sandbox):
    page.post("check", zip="98102", pin="5566")
    answer = page.post("send")
    assert answer["Location"] == order.get_absolute_url()
    body = update().payload["body"]
    by_number = {entry["phoneNumber"]: entry for entry in body["phoneNumbers"]}
    assert len(by_number) == 3
    assert {entry["endUser"]["zipCode"] for entry in by_number.values()} == {"98102"}
    assert by_number["+12065550142"]["portOutInfo"]["existingPortOutPin"] == "5566"
    assert by_number["+12065550144"]["portOutInfo"]["existingPortOutPin"] == "7712"
    assert by_number["+12065550142"]["portOutInfo"]["accountNum"] == ACCOUNT
    assert by_number["+12065550142"]["voiceConfiguration"]["type"] == "EST"
    assert body["customerOrderReference"] == "PSB-2026-003"
    assert runner.run_one()
    assert update().state == Operation.State.SUCCEEDED
    while readings.run_one():
        pass
    order.refresh_from_db()
    assert edits.fields_of(order, order.secrets)["zip"] == "98102"
    assert order.secrets["+12065550142"]["existingPortOutPin"] == "5566"
    assert not sandbox.violations
    told = " ".join(TimelineEntry.objects.values_list("text", flat=True))
    assert "Change sent on its way to Sinch" in told
    assert "ZIP" in told
    assert "5566" not in told


def test_sent_twice_it_changes_once(page):
    page.post("check", zip="98102")
    first = page.fields() | {"action": "send"}
    for _ in range(2):
        page.client.post(page.url, first)
    assert Operation.objects.filter(kind="port_in.update").count() == 1


def test_a_number_gets_details_of_its_own(page, order):
    page.post("add_override")
    keys = re.findall(r'name="override" value="([^"]+)"', page.html)
    assert len(keys) == 2
    fields = page.fields()
    fields.pop("override")
    own = {
        f"{keys[1]}-number": "+12065550143",
        f"{keys[1]}-signer": "Ben Renner",
        "override": keys,
        "action": "check",
    }
    answer = page.client.post(page.url, fields | own)
    assert "Ben Renner" in answer.content.decode()
    page.html = answer.content.decode()
    page.post("send")
    entries = update().payload["body"]["phoneNumbers"]
    assert [entry["portOutInfo"]["authorizingName"] for entry in entries] == [
        "Ada Renner",
        "Ben Renner",
        "Ada Renner",
    ]


def test_going_on_editing_keeps_everything_typed_even_the_pin(page):
    page.post("check", zip="98102", pin="5566")
    page.post("edit")
    assert page.fields()["zip"] == "98102"
    page.post("check")
    page.post("send")
    numbers = update().payload["body"]["phoneNumbers"]
    assert numbers[0]["portOutInfo"]["existingPortOutPin"] == "5566"


def test_an_edit_that_changes_nothing_is_not_sent(page):
    page.post("check")
    assert "Nothing has been changed." in page.html
    assert 'aria-disabled="true"' in page.html
    assert page.post("send").status_code == 422
    assert not Operation.objects.filter(kind="port_in.update").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"zip": "9810"}, "5 digits, such as 98101"),
        ({"name": ""}, "Write the name as it stands on the bill."),
        ({"reference": "R" * 101}, "101 characters, at most 100"),
        ({"port_date": "2020-01-01"}, "This day has passed"),
    ],
)
def test_a_wrong_field_is_named_and_everything_typed_stays(page, changed, said):
    answer = page.post("check", city="Tukwila", **changed)
    assert answer.status_code == 422
    assert said in page.html
    assert page.fields()["city"] == "Tukwila"


def test_sinchs_refusal_comes_back_beside_the_field_with_what_was_typed(page, order):
    page.post("check", zip="98102", city="Tukwila")
    page.post("send")
    Operation.objects.filter(pk=update().pk).update(
        state=Operation.State.REFUSED,
        next_try_at=None,
        finished_at=timezone.now(),
        answer={
            "status": 422,
            "message": "Invalid parameters",
            "violations": [
                {"field": "phoneNumbers[0].endUser.zipCode", "description": "does not match WA"}
            ],
        },
    )
    again = EditPage(page.client, order)
    assert "Sinch: does not match WA" in again.html
    assert again.fields()["zip"] == "98102"
    assert again.fields()["city"] == "Tukwila"
    assert 'id="error-summary"' in again.html
    again.post("check", zip="98188")
    again.post("send")
    assert Operation.objects.filter(kind="port_in.update").count() == 2


def test_a_change_at_sinch_meanwhile_is_shown_before_it_is_overwritten(page, order):
    page.post("check", zip="98102")
    payload = dict(order.payload)
    payload["resellerName"] = "Alder Voice Inc"
    PortInOrder.objects.filter(pk=order.pk).update(payload=payload)
    answer = page.post("send")
    assert answer.status_code == 409
    assert "Sinch’s copy changed while you were typing" in page.html
    assert not Operation.objects.filter(kind="port_in.update").exists()


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("CONFIRMED", "Locked: the losing carrier confirmed it."),
        ("COMPLETED", "The port is finished."),
        ("PENDING_CANCELATION", "Canceling is under way."),
        ("CANCELED", "This order has ended."),
        ("ORDER_BUILDING", "Sinch reports ORDER_BUILDING"),
    ],
)
def test_an_order_that_is_not_pending_says_why_it_cannot_be_edited(page, order, status, why):
    PortInOrder.objects.filter(pk=order.pk).update(status=status)
    answer = page.client.get(page.url)
    assert answer.status_code == 200
    assert why in answer.content.decode()
    assert page.post("check", zip="98102").status_code == 409
    with pytest.raises(actions.NotEditable):
        actions.submit_update(
            order, edits.fields_of(order, {}), base="", key="k", by=order.item.assignee
        )


def test_a_second_change_waits_for_the_first(page, order):
    page.post("check", zip="98102")
    page.post("send")
    assert "A change of this order is on its way" in page.client.get(page.url).content.decode()


def test_a_pin_only_sinch_knows_is_asked_for_before_it_would_be_cleared(page, order):
    payload = dict(order.payload)
    PortInOrder.objects.filter(pk=order.pk).update(secrets={})
    assert wire.unknown_secrets(payload, {})
    again = EditPage(page.client, order)
    answer = again.post("check", zip="98102")
    assert answer.status_code == 422
    assert "that this desk does not know" in again.html
    answer = again.post("check", zip="98102", pin="5566", account=ACCOUNT)
    assert "What this edit will change" in again.html


def test_a_page_older_than_a_working_day_starts_anew(page, monkeypatch):
    page.post("check", zip="98102")
    monkeypatch.setattr(actions, "SEAL_HOLDS_SECONDS", -1)
    answer = page.post("send")
    assert answer.status_code == 409
    assert "This page is too old" in page.html


def test_who_may_edit(client, make_agent, order):
    url = f"/orders/{order.pk}/edit/"
    assert "/sign-in/" in client.get(url)["Location"]
    reader = Client()
    reader.force_login(make_agent("rea"), backend="portal.accounts.backends.EmailOrUsernameBackend")
    assert reader.get(url).status_code == 403


def test_other_methods_and_unknown_orders(agent_client, order):
    assert agent_client.delete(f"/orders/{order.pk}/edit/").status_code == 405
    assert agent_client.get(f"/orders/{order.pk + 1}/edit/").status_code == 404


def test_a_date_that_sinch_has_and_that_has_passed_may_stay(page, order):
    payload = dict(order.payload)
    passed = (timezone.localdate() - timedelta(days=3)).isoformat()
    payload["desiredPortSchedule"] = payload["desiredPortSchedule"] | {"desiredPortDate": passed}
    PortInOrder.objects.filter(pk=order.pk).update(payload=payload)
    again = EditPage(page.client, order)
    assert again.post("check", zip="98102").status_code == 200


# --- Fields and changes, without a page ---------------------------------------------------------


class Order:
    """Just enough of an order."""

    def __init__(self, *numbers: dict[str, Any], **fields: Any) -> None:
        self.payload = {"phoneNumbers": list(numbers), **fields}


def number(last: str, **end_user: str) -> dict[str, Any]:
    return {
        "phoneNumber": f"+1206555{last}",
        "endUser": {"name": "Pike Street Books LLC", "streetNum": "88"} | end_user,
    }


def test_what_most_numbers_have_is_shared_and_the_rest_are_exceptions():
    order = Order(
        number("0142", city="Seattle"),
        number("0143", city="Seattle"),
        number("0144", city="Tacoma"),
    )
    fields = edits.fields_of(order, {})
    assert fields["city"] == "Seattle"
    assert [entry["number"] for entry in fields["overrides"]] == ["+12065550144"]
    assert fields["overrides"][0]["city"] == "Tacoma"
    assert "name" not in fields["overrides"][0]


def test_a_street_in_four_parts_is_shown_in_one_and_unchanged_it_stays_in_four():
    parts = {
        "streetPreDir": "N",
        "streetName": "Main",
        "streetType": "Court",
        "streetPostDir": "SW",
    }
    order = Order(number("0142", **parts))
    fields = edits.fields_of(order, {})
    assert fields["street"] == "N Main Court SW"


def test_an_order_of_numbers_and_statuses_only_has_empty_fields():
    fields = edits.fields_of(Order({"phoneNumber": "+12065550142", "status": "PENDING"}), {})
    assert fields["name"] == ""
    assert fields["overrides"] == []


def test_an_order_without_numbers_is_no_error():
    assert edits.fields_of(Order(), {})["name"] == ""
