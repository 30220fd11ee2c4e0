"""What Sinch may say of orders and numbers, whatever it is: stored, shown, never fatal."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from hosting import sync, sync_numbers, wire
from hosting.models import HostingOrder, QualifiedNumber
from portal.accounts.models import CallbackSecret, WebhookToken
from tests.webhooks.test_receive_hosting import sign
from webhooks import dispatch
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parents[1]
EXAMPLES = json.loads((ROOT / "sinch" / "hosting-examples.json").read_text())
NEW = "SOMETHING_NEW"
# Words of an answer that are one of a list by the contract.
LISTED = {"state", "status", "type", "loaType", "globalProcessState", "provisioningStatus"}


def answers(*operations: str) -> list[Any]:
    """Return the example answers of operations, as they are and with everything unheard of."""
    found = [
        e
        for e in EXAMPLES
        if e["kind"] == "response" and e["status"] == 200 and e["operation"] in operations
    ]
    assert found
    kept = [pytest.param(e["body"], id=e["name"]) for e in found]
    return kept + [pytest.param(unheard_of(e["body"]), id=f"{e['name']}, new") for e in found]


def unheard_of(body: Any) -> Any:
    """Return a body whose listed words are new ones, with a key more at every level."""
    if isinstance(body, list):
        return [unheard_of(entry) for entry in body]
    if not isinstance(body, dict):
        return body
    new = {
        key: NEW if key in LISTED and isinstance(value, str) else unheard_of(value)
        for key, value in body.items()
    }
    return new | {"inventedKey": {"inside": ["a", 1, None]}}


@pytest.mark.parametrize(
    "body",
    answers(
        "HostingOrderService_GetHostingOrder",
        "HostingOrderService_ImportNumbers",
        "TextEnableNumbers",
        "TextEnableTollFreeNumbers",
    ),
)
def test_any_order_is_stored_and_shown(body, project, agent_client):
    stored = sync.store_reading(project, body, timezone.now(), numbers=[], report={})
    page = agent_client.get(stored.order.get_absolute_url())
    assert page.status_code == 200
    raw = agent_client.get(reverse("hosting:raw", args=[stored.order.pk])).content.decode()
    if "inventedKey" in body:
        assert HostingOrder.objects.get().state == NEW
        assert NEW in page.content.decode() or "Something new" in page.content.decode()
        assert "inventedKey" in raw
    assert agent_client.get(reverse("work:list") + "?kind=hosting").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        *answers("HostingOrderService_GetHostingOrderNumber"),
        *[
            pytest.param(one.values[0]["numbers"], id=one.id)
            for one in answers("HostingOrderService_ListHostingOrderNumbers")
        ],
    ],
)
def test_any_number_of_an_order_is_stored_and_shown(body, project, agent_client):
    numbers = body if isinstance(body, list) else [body]
    order = {"hostingOrderId": "order-1", "state": "IN_PROGRESS", "type": "TYPE_TEXT_ENABLE"}
    stored = sync.store_reading(project, order, timezone.now(), numbers=numbers, report={})
    page = agent_client.get(stored.order.get_absolute_url())
    assert page.status_code == 200
    assert stored.order.numbers.count() == len(numbers)
    for row in stored.order.numbers.all():
        shown = agent_client.get(row.get_absolute_url()).content.decode()
        if "inventedKey" in numbers[0]:
            assert "Invented key" in shown


IMPORTED = answers(
    "ImportNumberService_GetImportedNumber",
    "ImportNumberService_ImportNumber",
    "ImportNumberService_UpdateImportedNumber",
)
QUALIFIED = answers(
    "QualifiedNumberService_GetQualifiedNumber",
    "QualifiedNumberService_SendVoiceChallenge",
    "QualifiedNumberService_VerifyVoiceChallenge",
)


@pytest.mark.parametrize("body", IMPORTED)
def test_any_imported_number_is_stored_and_shown(body, project, agent_client):
    row = sync_numbers.store_imported(project, body, timezone.now())
    assert_shown(row, "imported_numbers", body, agent_client)


@pytest.mark.parametrize("body", QUALIFIED)
def test_any_qualified_number_is_stored_and_shown(body, project, agent_client):
    row = sync_numbers.store_qualified(project, body, timezone.now())
    assert_shown(row, "qualified_numbers", body, agent_client)


def test_words_that_grow_in_capitals_or_small_letters_are_cut_to_fit(project):
    word, now, phone = "ßİ" * 16, timezone.now(), "+12065550142"
    payload = {"hostingOrderId": "order-1", "state": word, "type": word}
    payload["textEnableInfo"] = {"loaType": word}
    numbers = [{"phoneNumber": phone, "smsTmo": {"state": word}}]
    sync.store_reading(project, payload, now, numbers=numbers, report={})
    order = HostingOrder.objects.get()
    assert (order.state, order.order_type) == (word.upper()[:32], word.upper()[:32])
    assert (order.loa, order.numbers.get().sms_tmo) == (word.lower()[:16], word.upper()[:32])
    linked = {"phoneNumber": phone, "smsProvisioning": {"type": word, "state": word}}
    assert sync_numbers.store_imported(project, linked, now).platform == word.upper()[:32]
    qualified = {"phoneNumber": phone, "globalProcessState": word}
    assert sync_numbers.store_qualified(project, qualified, now).state == word.upper()[:32]


def assert_shown(row, listed, body, client):
    """See that a number has a page that tells all of it, and that the list shows it too."""
    page = client.get(row.get_absolute_url())
    assert page.status_code == 200
    if "inventedKey" in body:
        assert "Invented key" in page.content.decode()
    assert row.phone_number[-4:] in client.get(reverse(f"hosting:{listed}")).content.decode()
    assert type(row).objects.count() == 1


EVENTS = [e for e in EXAMPLES if e["kind"] == "webhook"]


@pytest.mark.parametrize(
    "body",
    [
        *[pytest.param(e["body"], id=e["name"]) for e in EVENTS],
        pytest.param(EVENTS[0]["body"] | {"eventType": NEW, "more": {"a": 1}}, id="new event"),
        pytest.param(EVENTS[0]["body"] | {"status": NEW, "resourceType": NEW}, id="new words"),
        pytest.param(
            EVENTS[0]["body"]
            | dict.fromkeys(("eventType", "status", "resourceType", "failureCode"), "ß" * 40),
            id="words that grow in capitals",
        ),
    ],
)
def test_any_callback_is_taken_shown_and_never_stands_in_the_way(
    body, project, client, admin_client
):
    secret = CallbackSecret.make(project)
    address = reverse("webhooks:hosting", args=[WebhookToken.make(project, "hosting").token])
    phone = body["resourceId"] if body["resourceId"].startswith("+") else "+12065550142"
    order = {"hostingOrderId": "order-1", "state": "IN_PROGRESS", "type": "TYPE_TEXT_ENABLE"}
    sync.store_reading(project, order, timezone.now(), numbers=[{"phoneNumber": phone}], report={})
    raw = json.dumps(body).encode()
    answer = client.post(
        address,
        data=raw,
        content_type="application/json",
        headers={"X-Sinch-Signature": sign(raw, secret.secret)},
    )
    assert answer.status_code == 200
    dispatch.process_some()
    delivery = Delivery.objects.get()
    assert delivery.state in (Delivery.State.WAITING, Delivery.State.DONE), delivery.outcome
    assert delivery.attempts <= 1
    row = HostingOrder.objects.get().numbers.get()
    assert admin_client.get(row.get_absolute_url()).status_code == 200
    log = admin_client.get(reverse("webhooks:log")).content.decode()
    assert delivery.event_type in log
    page = reverse("webhooks:delivery", args=[delivery.pk])
    assert admin_client.get(page).status_code == 200


@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_a_state_is_known_with_its_prefix_however_long_the_two_are(case):
    for state in HostingOrder.State.values:
        assert wire.read_order({"state": case(f"HOSTING_ORDER_STATE_{state}")}).state == state
    for state in QualifiedNumber.State.values:
        said = {"globalProcessState": case(f"GLOBAL_PROCESS_STATE_{state}")}
        assert wire.read_qualified(said).state == state
