"""Editing a pending order: what is shown, what is sent, and what is never lost."""

import copy
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from orders import actions, actions_edit, bodies, edit_work, edits
from orders.models import PortInOrder
from portal.operations import readings, runner
from portal.operations.models import Operation
from portal.work.drafts import NotEditable
from portal.work.models import TimelineEntry, WorkItem
from tests.orders.test_drafts import ACCOUNT, PIN, Desk, details, in_days
from tests.tools import lose

pytestmark = pytest.mark.django_db


class EditPage:
    """A person editing: posts what the page would post, with its hidden fields."""

    def __init__(self, client: Client, order: PortInOrder, query: str = "") -> None:
        self.client = client
        self.url = f"/orders/{order.pk}/edit/"
        self.html = client.get(f"{self.url}{query}").content.decode()
        # Sinch's copy is read anew for whoever opens an edit.
        while readings.run_one():
            pass

    def fields(self) -> dict[str, Any]:
        inputs = re.findall(r'<input[^>]*name="([\w-]+)"[^>]*value="([^"]*)"', self.html)
        found: dict[str, Any] = dict(inputs)
        for name, inner in re.findall(r'<select name="([\w-]+)"(.*?)</select>', self.html, re.S):
            chosen = re.search(r'value="([^"]*)" selected', inner)
            found[name] = chosen[1] if chosen else ""
        boxes = re.findall(r'type="checkbox" name="([\w-]+)"[^>]*?( checked)?>', self.html)
        for name, checked in boxes:
            if not checked:
                found.pop(name, None)
        if own := re.findall(r'name="override" value="([^"]+)"', self.html):
            found["override"] = own
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
        f"{key[1]}-pin": "771248",
    }
    desk.post(own, "send")
    assert runner.run_one()
    while readings.run_one():
        pass
    return PortInOrder.objects.get(reference="PSB-2026-003")


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
    for secret in (PIN, ACCOUNT, "771248"):
        assert secret not in page.html
    assert 'value="+12065550144" selected' in page.html, "its PIN is its own"


def test_an_edit_lists_what_changes_before_anything_is_sent(page):
    page.post("check", zip="98102", pin="556617")
    assert "What this edit will change" in page.html
    assert "<del>98101</del>" in page.html
    assert "<ins>98102</ins>" in page.html
    assert "556617" not in page.html
    assert "Send this change to Sinch" in page.html
    assert not Operation.objects.filter(kind="port_in.update").exists()


def test_a_change_is_sent_whole_and_arrives(page, order, sandbox):
    page.post("check", zip="98102", pin="556617")
    answer = page.post("send")
    assert answer["Location"] == order.get_absolute_url()
    body = update().payload["body"]
    by_number = {entry["phoneNumber"]: entry for entry in body["phoneNumbers"]}
    assert len(by_number) == 3
    assert {entry["endUser"]["zipCode"] for entry in by_number.values()} == {"98102"}
    assert by_number["+12065550142"]["portOutInfo"]["existingPortOutPin"] == "556617"
    assert by_number["+12065550144"]["portOutInfo"]["existingPortOutPin"] == "771248"
    assert by_number["+12065550142"]["portOutInfo"]["accountNum"] == ACCOUNT
    assert by_number["+12065550142"]["voiceConfiguration"]["type"] == "EST"
    assert body["customerOrderReference"] == "PSB-2026-003"
    assert runner.run_one()
    assert update().state == Operation.State.SUCCEEDED
    while readings.run_one():
        pass
    order.refresh_from_db()
    assert edits.fields_of(order, order.secrets)["zip"] == "98102"
    assert order.secrets["+12065550142"]["existingPortOutPin"] == "556617"
    assert not sandbox.violations
    told = " ".join(TimelineEntry.objects.values_list("text", flat=True))
    assert "Change sent on its way to Sinch" in told
    assert "ZIP" in told
    assert "556617" not in told


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
    page.post("check", zip="98102", pin="556617")
    page.post("edit")
    assert page.fields()["zip"] == "98102"
    page.post("check")
    page.post("send")
    numbers = update().payload["body"]["phoneNumbers"]
    assert numbers[0]["portOutInfo"]["existingPortOutPin"] == "556617"


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
    ],
)
def test_a_wrong_field_is_named_and_everything_typed_stays(page, changed, said):
    answer = page.post("check", city="Tukwila", **changed)
    assert answer.status_code == 422
    assert said in page.html
    assert page.fields()["city"] == "Tukwila"


def test_the_date_of_an_edit_is_coached_on_both_pages_and_blocks_nothing(page):
    early = in_days(1)
    page.post("check", port_date=early)
    assert "What this edit will change" in page.html
    button = re.search(r'name="action" value="take_date:([\d-]+)"', page.html)
    assert button
    page.post(button[0].partition('value="')[2].rstrip('"'))
    assert page.fields()["port_date"] == button[1]
    assert "Edit this order" in page.html
    page.post("check", port_date=early)
    page.post("send")
    assert update().payload["body"]["desiredPortSchedule"]["desiredPortDate"] == early


def test_an_edit_and_a_cancelation_shortly_before_the_port_moment_are_warned_of(page, order):
    warning = "the old date may still fire"
    assert warning not in page.html
    assert warning not in page.client.get(order.get_absolute_url()).content.decode()
    tomorrow = timezone.localdate() + timedelta(days=1)
    WorkItem.objects.filter(pk=order.item_id).update(foc_date=tomorrow)
    close = EditPage(page.client, order)
    assert warning in close.html
    close.post("check", zip="98102")
    assert warning in close.html
    assert warning in page.client.get(order.get_absolute_url()).content.decode()


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
    with pytest.raises(NotEditable):
        actions_edit.submit_update(
            order, edit_work.opened(order), seen="", key="k", by=order.item.assignee
        )


def test_a_second_change_waits_for_the_first(page, order):
    page.post("check", zip="98102")
    page.post("send")
    assert "the change is on its way to Sinch" in page.client.get(page.url).content.decode()


@pytest.mark.parametrize("on_read", ["masked", "absent"])
@pytest.mark.parametrize("is_lost", [True, False])
def test_a_pin_only_sinch_knows_is_asked_for_before_it_would_be_cleared(
    is_lost, on_read, page, order, sandbox, settle
):
    sandbox.control.personality(pin_on_read=on_read)
    payload = dict(order.payload)
    if is_lost:
        lose(order, "secrets")
    else:
        PortInOrder.objects.filter(pk=order.pk).update(secrets={})
    assert bodies.unknown_secrets(payload, {})
    again = EditPage(page.client, order)
    answer = again.post("check", zip="98102")
    assert answer.status_code == 422
    assert "that this desk does not know" in again.html
    answer = again.post("check", zip="98102", pin="556617", account=ACCOUNT)
    assert "What this edit will change" in again.html
    assert again.post("send").status_code == 302
    settle()
    order = PortInOrder.objects.get(pk=order.pk)
    assert {kept["existingPortOutPin"] for kept in order.secrets.values()} == {"556617"}
    assert Operation.objects.latest("pk").state == "succeeded"


@pytest.mark.parametrize("on_read", ["echo", "masked", "absent"])
def test_a_pin_that_nobody_shows_is_warned_of_before_a_change_clears_it(
    on_read, agent_client, project, porting_client, sandbox, settle
):
    sandbox.control.personality(pin_on_read=on_read)
    made = sandbox.control.create_order([FIRST], pin="4821")
    readings.want_one(project, "port_in_order", str(made.id), "staff")
    settle()
    page = EditPage(agent_client, PortInOrder.objects.get())
    answer = page.post("check", zip="98102")
    assert answer.status_code == (422 if on_read == "masked" else 200)
    assert ("one that Sinch has and does not show would be cleared" in page.html) == (
        on_read == "absent"
    )
    assert ("nothing may be missing; nothing is" in page.html) == (on_read == "echo")
    page.post("check", zip="98102", pin="4821")
    assert "nothing may be missing; nothing is" in page.html


@pytest.mark.parametrize("typed", [True, False])
def test_a_pin_that_nobody_shows_is_typed_or_ticked_away_before_a_change_is_sent(
    typed, agent_client, project, porting_client, sandbox, settle
):
    sandbox.control.personality(pin_on_read="absent")
    made = sandbox.control.create_order([FIRST, SECOND], pin="4821")
    readings.want_one(project, "port_in_order", str(made.id), "staff")
    settle()
    page = EditPage(agent_client, PortInOrder.objects.get())
    page.post("check", zip="98102")
    answer = page.post("send")
    assert answer.status_code == 422
    assert not Operation.objects.filter(kind="port_in.update").exists()
    assert "Tick that Sinch may clear it" in page.html
    assert "of +1 206 555 0142 and +1 206 555 0143" in page.html
    assert "<ins>98102</ins>" in page.html, "what was typed is kept"
    if typed:
        page.post("check", pin="4821")
        assert 'name="clears"' not in page.html
        assert page.post("send").status_code == 302
    else:
        assert page.post("send", clears="yes").status_code == 302
    settle()
    assert update().state == "succeeded"
    pins = {n.details["portOutInfo"].get("existingPortOutPin") for n in made.numbers}
    assert pins == ({"4821"} if typed else {None})


def test_a_pin_of_a_number_that_joined_an_order_of_ours_elsewhere_is_not_cleared_unseen(
    agent_client, order, sandbox
):
    sandbox.control.personality(pin_on_read="absent")
    there = sandbox.control.order(order.sinch_id)
    joined = copy.deepcopy(there.numbers[0])
    joined.phone_number = "+12065550149"
    joined.details["portOutInfo"] = {"existingPortOutPin": "4821"}
    there.numbers.append(joined)
    readings.want_one(order.project, "port_in_order", order.sinch_id, "webhook")
    assert readings.run_one()
    page = EditPage(agent_client, order)
    page.post("check", zip="98102")
    assert "of +1 206 555 0149, and Sinch shows none" in page.html
    assert page.post("send").status_code == 422
    assert not Operation.objects.filter(kind="port_in.update").exists()


def test_nobody_is_warned_of_a_pin_when_the_order_was_changed_here_without_one(
    agent_client, project, porting_client, sandbox, settle
):
    sandbox.control.personality(pin_on_read="absent")
    made = sandbox.control.create_order([FIRST])
    readings.want_one(project, "port_in_order", str(made.id), "staff")
    settle()
    page = EditPage(agent_client, PortInOrder.objects.get())
    page.post("check", zip="98102")
    assert "would be cleared" in page.html
    page.post("send", clears="yes")
    settle()
    page = EditPage(agent_client, PortInOrder.objects.get())
    page.post("check", zip="98103")
    assert "nothing may be missing; nothing is" in page.html


@pytest.mark.parametrize("arrives", [True, False])
def test_an_order_can_be_edited_though_no_key_decrypts_the_last_change_of_it(
    arrives, page, order, sandbox
):
    if not arrives:
        sandbox.control.faults.add("status", "updatePortInOrder", status=422)
    page.post("check", zip="98102")
    page.post("send")
    assert runner.run_one()
    while readings.run_one():
        pass
    assert update().state == ("succeeded" if arrives else "refused")
    lose(update(), "payload")
    again = EditPage(page.client, order)
    answer = again.post("check", zip="98103")
    assert answer.status_code == 200
    assert again.post("send").status_code == 302


def test_a_second_click_finds_the_first_change_though_no_key_decrypts_it(page):
    page.post("check", zip="98102")
    fields = page.fields() | {"action": "send"}
    assert page.client.post(page.url, fields).status_code == 302
    assert runner.run_one()
    lose(update(), "payload")
    assert page.client.post(page.url, fields).status_code == 302
    assert Operation.objects.filter(kind="port_in.update").count() == 1


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


def test_a_street_in_four_parts_is_shown_in_four():
    parts = {
        "streetPreDir": "N",
        "streetName": "Main",
        "streetType": "Court",
        "streetPostDir": "SW",
    }
    fields = edits.fields_of(Order(number("0142", **parts)), {})
    names = ("street_pre", "street", "street_type", "street_post")
    assert [fields[name] for name in names] == ["N", "Main", "Court", "SW"]


def test_an_order_of_numbers_and_statuses_only_has_empty_fields():
    fields = edits.fields_of(Order({"phoneNumber": "+12065550142", "status": "PENDING"}), {})
    assert fields["name"] == ""
    assert fields["overrides"] == []


def test_an_order_without_numbers_is_no_error():
    assert edits.fields_of(Order(), {})["name"] == ""


# --- Opened at what a refusal is about -----------------------------------------------------------


def refuse(order: PortInOrder, reason: str, *numbers: str) -> None:
    """Have the mirror say that numbers are rejected."""
    for entry in order.payload["phoneNumbers"]:
        if entry["phoneNumber"] in numbers:
            entry |= {"status": "REJECTED", "rejectReason": reason}
    order.save(update_fields=["payload"])


FIRST, SECOND, THIRD = "+12065550142", "+12065550143", "+12065550144"


def test_a_fix_opens_its_fields_alone_with_what_was_sent_beside_them(agent_client, order):
    page = EditPage(agent_client, order, f"?fix=account&n={FIRST[1:]}.{SECOND[1:]}")
    panel = page.html[page.html.index('id="fix"') : page.html.index('id="s1"')]
    assert "Fix account number on 2 numbers" in panel
    assert re.search(r'<input[^>]*name="fix-account"[^>]*autofocus', panel)
    assert "Ask the customer:" in panel
    assert "Sent so far: ••••" in panel
    assert 'name="fix-name"' not in panel
    assert ACCOUNT not in page.html


def test_a_fixed_pin_is_sent_for_the_refused_numbers_only(agent_client, order):
    page = EditPage(agent_client, order, f"?fix=pin&n={FIRST[1:]}.{THIRD[1:]}")
    assert page.post("check", **{"fix-pin": "556617"}).status_code == 200
    assert "What this edit will change" in page.html
    assert "556617" not in page.html
    page.post("send")
    sent = {
        entry["phoneNumber"]: entry["portOutInfo"]["existingPortOutPin"]
        for entry in update().payload["body"]["phoneNumbers"]
    }
    assert sent == {FIRST: "556617", SECOND: PIN, THIRD: "556617"}


@pytest.fixture
def without_pin(order, sandbox):
    """The order; its third number has no PIN, neither here nor at Sinch."""
    for number in sandbox.control.orders()[0].numbers:
        if number.phone_number == THIRD:
            del number.details["portOutInfo"]["existingPortOutPin"]
    for entry in order.payload["phoneNumbers"]:
        if entry["phoneNumber"] == THIRD:
            del entry["portOutInfo"]["existingPortOutPin"]
    order.secrets = {n: kept for n, kept in order.secrets.items() if n != THIRD}
    order.save(update_fields=["payload", "secrets"])
    return order


def pins(operation: Operation) -> dict[str, Any]:
    entries = operation.payload["body"]["phoneNumbers"]
    return {e["phoneNumber"]: e["portOutInfo"].get("existingPortOutPin") for e in entries}


def test_a_refused_fix_comes_back_for_the_same_numbers_and_for_no_other(agent_client, without_pin):
    page = EditPage(agent_client, without_pin, f"?fix=pin&n={FIRST[1:]}.{SECOND[1:]}")
    page.post("check", **{"fix-pin": "556617"})
    page.post("send")
    wanted = {FIRST: "556617", SECOND: "556617", THIRD: None}
    assert pins(update()) == wanted
    Operation.objects.filter(pk=update().pk).update(
        state=Operation.State.REFUSED,
        next_try_at=None,
        finished_at=timezone.now(),
        answer={"status": 422, "message": "Invalid parameters", "violations": []},
    )
    again = EditPage(agent_client, without_pin)
    assert again.post("check").status_code == 200
    again.post("send")
    assert pins(Operation.objects.filter(kind="port_in.update").latest("pk")) == wanted


def test_a_line_taken_back_gives_the_others_to_no_other_number(agent_client, without_pin):
    page = EditPage(agent_client, without_pin, f"?fix=pin&n={FIRST[1:]}.{SECOND[1:]}")
    page.post("check", **{"fix-pin": "556617", "reference": "PSB-2026-004"})
    undo = re.search(r'value="(undo:\w+)" aria-label="Undo the change of the reference"', page.html)
    assert undo
    page.post(undo[1])
    page.post("send")
    body = update().payload["body"]
    assert body["customerOrderReference"] == "PSB-2026-003"
    assert pins(update()) == {FIRST: "556617", SECOND: "556617", THIRD: None}


def test_a_fix_without_numbers_is_for_all_that_were_refused_for_it(agent_client, order):
    refuse(order, "End user name does not match CSR", SECOND)
    page = EditPage(agent_client, order, "?fix=name")
    assert "Fix name on 1 number" in page.html
    page.post("check", **{"fix-name": "Pike Street Books, LLC"})
    page.post("send")
    names = {
        e["phoneNumber"]: e["endUser"]["name"] for e in update().payload["body"]["phoneNumbers"]
    }
    assert names[SECOND] == "Pike Street Books, LLC"
    assert names[FIRST] == names[THIRD] == details()["name"]


def test_a_fix_of_the_date_is_for_the_whole_order(agent_client, order):
    refuse(order, "FOC expired, please supplement", FIRST)
    page = EditPage(agent_client, order, "?fix=date")
    day = (timezone.localdate() + timedelta(days=40)).isoformat()
    page.post("check", **{"fix-port_date": day})
    page.post("send")
    assert update().payload["body"]["desiredPortSchedule"]["desiredPortDate"] == day


def test_a_fix_that_cannot_be_read_is_told_beside_its_field_and_sends_nothing(agent_client, order):
    page = EditPage(agent_client, order, f"?fix=address&n={SECOND[1:]}")
    answer = page.post("check", **{"fix-zip": "98"})
    assert answer.status_code == 422
    assert "5 digits, such as 98101" in page.html
    assert page.fields()["fix-zip"] == "98"
    page.post("check", **{"fix-zip": "98104"})
    assert "<ins>98104</ins>" in page.html


@pytest.mark.parametrize(
    "query", ["?fix=nothing", "?fix=lock&n=12065550142", "?fix=pin", "?fix=pin&n=1.2.%00"]
)
def test_a_fix_of_nothing_here_opens_the_plain_edit(agent_client, order, query):
    page = EditPage(agent_client, order, query)
    assert "Edit this order" in page.html
    assert 'id="fix"' not in page.html


def test_a_fix_left_as_it_was_changes_nothing(agent_client, order):
    page = EditPage(agent_client, order, f"?fix=address&n={FIRST[1:]}")
    page.post("check")
    assert "Nothing changes." in page.html
