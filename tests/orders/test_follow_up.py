"""Refused numbers in an order of their own, and sending an order once more unchanged."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from orders import follow_up, standing
from orders.models import PortInDraft, PortInOrder
from portal.operations import clients, readings, runner
from portal.operations.models import Operation
from portal.work.models import TimelineEntry, WorkItem
from tests.orders.handlers.tools import LateAnswers
from tests.orders.test_drafts import ACCOUNT, PIN, Desk, in_days
from tests.orders.test_edit import EditPage, order
from tests.orders.test_marks import codes, item_of, page_of, press, told
from tests.tools import lose

__all__ = ["order"]  # a fixture: a pending order of three numbers, made through the intake

pytestmark = pytest.mark.django_db
FIRST, SECOND, THIRD = "+12065550142", "+12065550143", "+12065550144"

Read = Callable[[], PortInOrder]


@pytest.fixture
def read(order: PortInOrder, work_off: Callable[[], None]) -> Read:
    """Read the order again from Sinch and return its row."""

    def again() -> PortInOrder:
        readings.want_one(order.project, "port_in_order", order.sinch_id, "staff")
        work_off()
        return PortInOrder.objects.get(pk=order.pk)

    return again


@pytest.fixture
def locked(order: PortInOrder, sandbox: Any, read: Read) -> PortInOrder:
    """The order confirmed for one number; two were refused, each for a reason of its own."""
    sandbox.control.reject(order.sinch_id, "Invalid passcode/PIN supplied", [SECOND])
    sandbox.control.reject(order.sinch_id, "Account number does not match", [THIRD])
    sandbox.control.confirm(order.sinch_id, in_days(20), [FIRST])
    found = read()
    assert found.status == "CONFIRMED"
    return found


# --- A new order ------------------------------------------------------------------------------


def test_refused_numbers_of_a_locked_order_become_a_draft_with_all_that_is_theirs(
    agent_client: Client, locked: PortInOrder
) -> None:
    assert codes(locked)[0] == "P3"
    assert item_of(locked).reasons[0]["next"] == "New order for 2 numbers"
    url = reverse("orders:follow_up", args=[locked.pk])
    button = f'<a class="btn btn-primary" href="{url}">New order for 2 numbers</a>'
    assert button in page_of(agent_client, locked)
    html = agent_client.get(url).content.decode()
    chosen = re.findall(r'name="n" value="([\d.]+)" checked', html)
    assert sorted(chosen) == [SECOND[1:], THIRD[1:]]
    assert PIN not in html
    answer = agent_client.post(url, {"n": chosen})
    draft = PortInDraft.objects.get(state="open")
    assert answer["Location"] == draft.get_absolute_url()
    assert draft.follows == locked
    assert draft.data["follows_kind"] == "refused"
    assert sorted(draft.data["numbers"].split()) == [SECOND, THIRD]
    assert draft.data["reference"] == "PSB-2026-003-2"
    assert draft.data["name"] == "Pike Street Books LLC"
    own = {entry["number"]: entry for entry in draft.data["overrides"]}
    pins = {
        number: own.get(number, {}).get("pin") or draft.data["pin"] for number in (SECOND, THIRD)
    }
    assert pins == {SECOND: PIN, THIRD: "771248"}, "each with its own PIN"
    assert draft.data["account"] == ACCOUNT
    assert "Draft of a new order for 2 numbers made" in told(locked)
    page = page_of(agent_client, locked)
    assert f'<a href="{draft.get_absolute_url()}">A draft</a> takes up 2 numbers' in page
    assert codes(locked)[0] == "P3", "a draft settles nothing yet"


def test_only_the_numbers_of_a_cause_are_chosen(agent_client: Client, locked: PortInOrder) -> None:
    url = reverse("orders:follow_up", args=[locked.pk])
    html = agent_client.get(url, {"cause": "pin"}).content.decode()
    assert re.findall(r'name="n" value="([\d.]+)" checked', html) == [SECOND[1:]]
    answer = agent_client.post(url, {})
    assert answer.status_code == 422
    assert "Choose at least one number" in answer.content.decode()
    stranger = agent_client.post(url, {"n": FIRST[1:]})
    assert stranger.status_code == 409
    assert not PortInDraft.objects.filter(follows=locked).exists()


def test_the_same_numbers_twice_are_one_draft(agent_client: Client, locked: PortInOrder) -> None:
    html = page_of(agent_client, locked)
    for _ in range(2):
        answer = press(agent_client, locked, "follow_up:P3", html)
        assert answer.status_code == 302
    assert PortInDraft.objects.filter(follows=locked).count() == 1


def test_the_new_order_settles_the_numbers_it_took_up_and_both_are_linked(
    agent_client: Client, locked: PortInOrder, sandbox: Any, work_off: Callable[[], None]
) -> None:
    url = reverse("orders:follow_up", args=[locked.pk])
    agent_client.post(url, {"n": [SECOND[1:], THIRD[1:]]})
    draft = PortInDraft.objects.get(follows=locked)
    desk = Desk(agent_client)
    desk.open(draft.get_absolute_url())
    desk.post({"port_date": in_days(20)}, "check")
    assert runner.run_one()
    desk.open(draft.get_absolute_url())
    desk.post({"port_date": in_days(20)}, "send")
    work_off()
    later = PortInOrder.objects.exclude(pk=locked.pk).get()
    assert sorted(later.numbers.values_list("phone_number", flat=True)) == [SECOND, THIRD]
    sent = {
        entry["phoneNumber"]: entry["portOutInfo"]["existingPortOutPin"]
        for entry in Operation.objects.get(kind="port_in.create", target=draft.target).payload[
            "body"
        ]["phoneNumbers"]
    }
    assert sent == {SECOND: PIN, THIRD: "771248"}
    assert "P3" not in codes(locked)
    html = page_of(agent_client, locked)
    assert f'<a href="{later.get_absolute_url()}">Order {later.sinch_id}</a>' in html
    back = page_of(agent_client, later)
    assert "takes up refused numbers of" in back
    assert f"order {locked.sinch_id}</a>" in back
    # When the new order ends, its numbers wait for us again.
    sandbox.control.cancel(later.sinch_id)
    readings.want_one(later.project, "port_in_order", later.sinch_id, "staff")
    work_off()
    assert WorkItem.objects.get(pk=locked.item_id).next_change_at is not None
    standing.recompute_due(WorkItem.objects.get(pk=locked.item_id).next_change_at)
    assert codes(locked)[0] == "P3"
    assert "was canceled" in page_of(agent_client, locked)


def test_a_left_out_number_goes_on_in_a_new_order_while_the_old_one_is_pending(
    agent_client: Client, order: PortInOrder, sandbox: Any, read: Read
) -> None:
    sandbox.control.exclude(order.sinch_id, "Number not on account", [THIRD])
    found = read()
    assert found.status == "PENDING"
    press(agent_client, found, "follow_up:P7")
    draft = PortInDraft.objects.get(follows=found)
    assert draft.data["numbers"] == THIRD
    assert draft.data["pin"] == "771248"


def test_a_refused_number_of_a_pending_order_is_mended_there(
    agent_client: Client, order: PortInOrder, sandbox: Any, read: Read
) -> None:
    sandbox.control.reject(order.sinch_id, "Invalid passcode/PIN supplied", [SECOND])
    found = read()
    assert "follow_up:" not in page_of(agent_client, found)
    url = reverse("orders:follow_up", args=[found.pk])
    assert "No number waits for a new order" in agent_client.get(url).content.decode()
    assert agent_client.post(url, {"n": SECOND[1:]}).status_code == 409


# --- Refused for the same cause again -----------------------------------------------------------

AGAIN = "<b>Refused again for the same cause:</b> PIN."
WRONG_PIN = "Invalid passcode/PIN supplied"


def panel_of_fix(client: Client, order: PortInOrder, number: str) -> str:
    html = EditPage(client, order, f"?fix=pin&n={number[1:]}").html
    return html[html.index('id="fix"') : html.index('id="s1"')]


def test_a_number_refused_again_after_a_fix_asks_for_the_record_wherever_it_is_explained(
    agent_client: Client, order: PortInOrder, sandbox: Any, read: Read, work_off: Callable[[], None]
) -> None:
    sandbox.control.reject(order.sinch_id, WRONG_PIN, [SECOND])
    found = read()
    assert AGAIN not in page_of(agent_client, found)
    assert AGAIN not in panel_of_fix(agent_client, found, SECOND)
    edit = EditPage(agent_client, found, f"?fix=pin&n={SECOND[1:]}")
    edit.post("check", **{"fix-pin": "556617"})
    edit.post("send")
    work_off()
    assert read().numbers.get(phone_number=SECOND).status == "PENDING"
    assert AGAIN not in page_of(agent_client, found)
    sandbox.control.reject(order.sinch_id, WRONG_PIN, [SECOND])
    sandbox.control.reject(order.sinch_id, "PIN is not valid", [THIRD])
    found = read()
    page = page_of(agent_client, found)
    assert page.count(AGAIN) == 1, "of the second number, not of the third"
    assert "customer service record (CSR)" in page
    fix = panel_of_fix(agent_client, found, SECOND)
    assert AGAIN in fix
    assert "customer service record (CSR)" in fix
    assert AGAIN not in panel_of_fix(agent_client, found, THIRD)
    url = reverse("orders:number", args=[found.pk, SECOND[1:]])
    line = "<dt>Refused before for</dt><dd>PIN</dd>"
    assert line in agent_client.get(url).content.decode()
    assert line not in agent_client.get(url.replace(SECOND[1:], THIRD[1:])).content.decode()


def test_a_number_refused_again_in_the_order_that_took_it_up_asks_for_the_record(
    agent_client: Client, locked: PortInOrder, sandbox: Any, work_off: Callable[[], None]
) -> None:
    url = reverse("orders:follow_up", args=[locked.pk])
    agent_client.post(url, {"n": [SECOND[1:], THIRD[1:]]})
    desk = Desk(agent_client)
    for action in ("check", "send"):
        desk.open(PortInDraft.objects.get(follows=locked).get_absolute_url())
        desk.post({"port_date": in_days(20)}, action)
        work_off()
    later = PortInOrder.objects.exclude(pk=locked.pk).get()
    known = dict(later.numbers.values_list("phone_number", "refused_before"))
    assert known == {SECOND: ["pin"], THIRD: ["account"]}
    sandbox.control.reject(later.sinch_id, WRONG_PIN)
    readings.want_one(later.project, "port_in_order", later.sinch_id, "staff")
    work_off()
    told = page_of(agent_client, later)
    shown = '<span class="phone">+1 206 555 0143</span>'
    assert f"{AGAIN.rstrip('.')}, for {shown}." in told


def test_a_free_reference_counts_on(order: PortInOrder) -> None:
    assert follow_up.free_reference(order) == "PSB-2026-003-2"
    WorkItem.objects.filter(pk=order.item_id).update(reference="PSB-2026-003-2")
    assert follow_up.free_reference(order) == "PSB-2026-003-3"
    order.reference, order.follows = "PSB-2026-003-3", order
    assert follow_up.free_reference(order) == "PSB-2026-003-4", "not …-3-2"
    order.reference = ""
    assert follow_up.free_reference(order) == ""
    order.follows, order.reference = None, "R" * 100
    assert len(follow_up.free_reference(order)) == 100


# --- Once more --------------------------------------------------------------------------------


def test_an_order_is_sent_once_more_unchanged_when_the_trouble_was_outside(
    agent_client: Client, order: PortInOrder, sandbox: Any, read: Read, work_off: Callable[[], None]
) -> None:
    sandbox.control.reject(order.sinch_id, "Number lock active on line", [SECOND])
    found = read()
    html = page_of(agent_client, found)
    assert "Resubmit 1…" in html
    assert "Send this order to Sinch once more?" in html
    for _ in range(2):
        press(agent_client, found, "resubmit:P3", html)
    sent = Operation.objects.get(kind="port_in.update")
    before = sandbox.control.order(order.sinch_id)
    body = sent.payload["body"]
    assert [entry["phoneNumber"] for entry in body["phoneNumbers"]] == [FIRST, SECOND, THIRD]
    pins = [entry["portOutInfo"]["existingPortOutPin"] for entry in body["phoneNumbers"]]
    assert pins == [PIN, PIN, "771248"]
    details = [dict(number.details) for number in before.numbers]
    work_off()
    sent.refresh_from_db()
    assert sent.state == "succeeded"
    after = sandbox.control.order(order.sinch_id)
    assert [dict(number.details) for number in after.numbers] == details, "nothing has changed"
    assert "P3" not in codes(found)
    assert press(agent_client, found, "resubmit:P3", html).status_code == 409, "an old page"
    assert TimelineEntry.objects.filter(text__startswith="Order sent once more").count() == 1


def test_an_order_sent_once_more_does_not_go_over_what_was_read_after_it_had_left(
    agent_client: Client,
    order: PortInOrder,
    sandbox: Any,
    read: Read,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sandbox.control.reject(order.sinch_id, "Number lock active on line", [SECOND])
    press(agent_client, read(), "resubmit:P3")

    def meanwhile() -> None:
        sandbox.control.orders()[0].numbers[0].details["endUser"]["city"] = "Tukwila"
        readings.want_one(order.project, "port_in_order", order.sinch_id, "webhook")
        assert readings.run_one()

    adapter = LateAnswers(sandbox, "PUT", meanwhile)
    monkeypatch.setattr(clients, "mount", lambda transport: transport.mount(adapter))
    clients.forget_clients()
    assert runner.run_one()
    assert Operation.objects.get(kind="port_in.update").state == "succeeded"
    order.refresh_from_db()
    assert order.payload["phoneNumbers"][0]["endUser"]["city"] == "Tukwila"


def test_an_order_is_sent_once_more_though_no_key_decrypts_the_last_time_it_was(
    agent_client: Client, order: PortInOrder, sandbox: Any, read: Read, work_off: Callable[[], None]
) -> None:
    for _ in range(2):
        sandbox.control.reject(order.sinch_id, "Number lock active on line", [SECOND])
        assert press(agent_client, read(), "resubmit:P3").status_code == 302
        work_off()
        lose(Operation.objects.filter(kind="port_in.update").latest("pk"), "payload")
    assert Operation.objects.filter(kind="port_in.update", state="succeeded").count() == 2


def test_an_order_of_which_nobody_shows_the_pin_is_not_sent_once_more(
    agent_client: Client, order: PortInOrder, sandbox: Any, read: Read
) -> None:
    """Made elsewhere, say: sent as it is seen here, its PIN would be cleared at Sinch."""
    sandbox.control.personality(pin_on_read="absent")
    sandbox.control.reject(order.sinch_id, "Number lock active on line", [SECOND])
    found = read()
    found.portindraft_set.update(order=None)
    for entry in found.payload["phoneNumbers"]:
        entry["portOutInfo"].pop("existingPortOutPin")
        entry["portOutInfo"].pop("accountNum", None)
    found.secrets = {}
    found.save(update_fields=["payload", "secrets"])
    answer = press(agent_client, found, "resubmit:P3")
    assert answer.status_code == 409
    assert "would be cleared" in answer.content.decode()
    assert not Operation.objects.filter(kind="port_in.update").exists()


def test_what_has_to_be_corrected_is_not_sent_once_more(
    agent_client: Client, order: PortInOrder, sandbox: Any, read: Read
) -> None:
    sandbox.control.reject(order.sinch_id, "Invalid passcode/PIN supplied", [SECOND])
    found = read()
    html = page_of(agent_client, found)
    assert "Resubmit" not in html
    answer = press(
        agent_client, found, "resubmit:P3", html.replace('value="ask:P3', 'value="resubmit:P3')
    )
    assert answer.status_code == 409
    assert "has to be corrected first" in answer.content.decode()
    assert not Operation.objects.filter(kind="port_in.update").exists()
