"""Recorded callbacks come again, any number of times and in any order: the rows stay the same."""

import hashlib
import hmac
import itertools
import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from hosting import sync
from hosting.models import AppliedEvent, HostingNumber, HostingOrder, ImportedNumber
from portal.accounts.models import CallbackSecret, WebhookToken
from portal.operations import readings
from portal.operations.models import Reading
from portal.sandbox.clock import iso_instant
from portal.work.models import TimelineEntry, WorkItem
from webhooks import dispatch, tokens
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db
PHONES = [f"+1312555{line:04d}" for line in range(140, 146)]
BLOCKED = "+13125550150"
FULL, EXPIRED = "EXCEEDED_10DLC_LIMIT", "CAMPAIGN_EXPIRED"


@pytest.fixture
def call(project, client):
    """Deliver a callback as Sinch does."""
    secret = CallbackSecret.make(project).secret.encode()
    tokens.forget()
    address = reverse("webhooks:hosting", args=[WebhookToken.make(project, "hosting").token])

    def post(body: bytes) -> None:
        signature = hmac.new(secret, body, hashlib.sha1).hexdigest()
        answer = client.post(
            address,
            data=body,
            content_type="application/json",
            headers={"X-Sinch-Signature": signature},
        )
        assert answer.status_code == 200

    yield post
    tokens.forget()


def a_life(sandbox, read_order):
    """Let an order live at Sinch: signed, one failed step that is mended, one that is not."""
    order = sandbox.hosting.make_order(PHONES, service_plan="plan-a", campaign="C3O8OGA")
    read_order(order)
    sandbox.hosting.do(order.id, "ask_signature")
    sandbox.hosting.do(order.id, "sign")
    failed = {"step": "campaignProvisioning", "state": "FAILED"}
    sandbox.hosting.do(order.id, "set", {"numbers": PHONES[:2], **failed})
    sandbox.hosting.do(order.id, "set", {"numbers": PHONES[:1], **failed, "state": "DONE"})
    for _ in range(3):
        sandbox.hosting.do(order.id, "step")
    sandbox.hosting.add_imported(BLOCKED, "plan-a", "C3O8OGA")
    return [entry.body for entry in sandbox.callbacks.log]


def facts():
    """Return the rows a person would see, without keys and clocks."""
    steps = ("osr", "platform", "campaign", "sms_att", "sms_tmo", "mms_att", "mms_tmo")
    return {
        "orders": list(HostingOrder.objects.values_list("sinch_id", "state", "report")),
        "numbers": list(
            HostingNumber.objects.order_by("phone_number").values_list(
                "phone_number", "verdict", "failure_codes", "status_since", *steps
            )
        ),
        "imported": list(
            ImportedNumber.objects.order_by("phone_number").values_list(
                "phone_number", "verdict", "service_plan_id", *steps
            )
        ),
        "items": list(WorkItem.objects.values_list("status", "bucket", "counted", "live_count")),
        "told": sorted(TimelineEntry.objects.values_list("fact", flat=True)),
        "applied": sorted(AppliedEvent.objects.values_list("event_id", flat=True)),
    }


@pytest.mark.parametrize("seed", range(3))
def test_callbacks_three_times_each_in_any_order_lead_to_the_same_rows(
    seed, call, sandbox, work_off, read_order
):
    bodies = a_life(sandbox, read_order)
    assert len(bodies) > 8
    for body in bodies:
        call(body)
        work_off()
    expected = facts()
    failed = {phone: verdict for phone, verdict, *_ in expected["numbers"]}
    assert (failed[PHONES[0]] != "failed", failed[PHONES[1]]) == (True, "failed")
    again = list(itertools.chain(bodies, bodies, bodies))
    random.Random(seed).shuffle(again)
    for at, body in enumerate(again):
        call(body)
        if at % 3 == seed:
            work_off()
    work_off()
    assert facts() == expected


def test_callbacks_that_came_shuffled_lead_to_the_rows_of_those_in_order(
    call, sandbox, work_off, read_order
):
    bodies = a_life(sandbox, read_order)
    random.Random(4).shuffle(bodies)
    for body in bodies:
        call(body)
    work_off()
    before = facts()
    assert {phone: verdict for phone, verdict, *_ in before["numbers"]}[PHONES[1]] == "failed"
    dispatch.process_again(Delivery.objects.order_by("-pk"))
    work_off()
    assert facts() == before


def the_update_of(phone):
    """Return a callback that tells of an order's number, and so of the qualified number too."""
    event = {
        "eventId": f"OSR of {phone}",
        "timestamp": timezone.now().isoformat(),
        "resourceType": "HOSTING_ORDER_NUMBER",
        "resourceId": phone,
        "eventType": "OSR_UPDATE",
        "status": "SUCCEEDED",
    }
    return json.dumps(event).encode()


@pytest.mark.parametrize("read_meanwhile", ["order", "qualified", "both", "none"])
def test_all_that_a_callback_is_about_is_read_whatever_was_read_before_it_was_looked_into(
    read_meanwhile, call, project, sandbox, read_order, read_qualified, work_off
):
    made = sandbox.hosting.make_order(PHONES[:1], service_plan="plan-a")
    sandbox.hosting.add_qualified(PHONES[0], "HOSTING_IN_PROGRESS")
    order, qualified = read_order(made), read_qualified(PHONES[0])
    made.state = "IN_PROGRESS"
    sandbox.hosting.do_qualified(PHONES[0], "set", {"state": "HOSTING_DONE"})
    call(the_update_of(PHONES[0]))
    if read_meanwhile in ("order", "both"):
        readings.want_one(project, sync.ORDER_READER, order.sinch_id, "staff")
    if read_meanwhile in ("qualified", "both"):
        readings.want_one(project, sync.QUALIFIED_READER, PHONES[0], "staff")
    while readings.run_one():
        pass
    assert dispatch.process_some()
    work_off()
    order.refresh_from_db()
    qualified.refresh_from_db()
    assert (order.state, qualified.state) == ("IN_PROGRESS", "HOSTING_DONE")
    delivery = Delivery.objects.get()
    assert delivery.state == Delivery.State.DONE
    assert delivery.outcome.startswith("Covered by a reading") is (read_meanwhile == "both")
    # What was read since it came is not read once more.
    calls = sandbox.state.calls
    asked = calls["HostingOrderService_GetHostingOrder"]
    assert (asked, calls["QualifiedNumberService_GetQualifiedNumber"]) == (2, 2)


def test_what_callbacks_are_about_is_looked_for_at_once_however_many_they_are(
    call, sandbox, read_order, read_qualified
):
    read_order(sandbox.hosting.make_order(PHONES, service_plan="plan-a"))
    for phone in PHONES:
        sandbox.hosting.add_qualified(phone, "HOSTING_IN_PROGRESS")
        read_qualified(phone)

    def statements(phones):
        for phone in phones:
            call(the_update_of(phone))
        with CaptureQueriesContext(connection) as seen:
            assert dispatch.process_some()
        return sum("operations_reading" in query["sql"] for query in seen)

    assert statements(PHONES[:1]) == statements(PHONES[1:])


@pytest.mark.parametrize("spelled", ["+1 (312) 555-0150", "1-312-555-0150", "13125550150"])
def test_an_imported_number_that_is_called_back_about_is_known_however_it_is_spelled(
    spelled, call, sandbox, read_imported, work_off
):
    sandbox.hosting.add_imported(BLOCKED, "plan-a", "C3O8OGA")
    read_imported(BLOCKED)
    sandbox.hosting.imported(BLOCKED).display_name = "Lobby"
    event = {"resourceType": "IMPORTED_NUMBER", "resourceId": spelled, "status": "SUCCEEDED"}
    call(json.dumps(event | {"eventType": "PROVISIONING_TO_SMS_PLATFORM"}).encode())
    work_off()
    assert ImportedNumber.objects.get().display_name == "Lobby"


@pytest.mark.parametrize("named", ["+", "+abc", "+0", ".", ".."])
def test_what_can_be_no_number_and_no_order_is_kept_and_asked_for_nowhere(named, call, work_off):
    event = {"resourceType": "HOSTING_ORDER_NUMBER", "resourceId": named, "status": "SUCCEEDED"}
    call(json.dumps(event | {"eventType": "OSR_UPDATE"}).encode())
    work_off()
    assert Delivery.objects.get().state == Delivery.State.SET_ASIDE
    assert not Reading.objects.exists()


# --- When an event happened ---------------------------------------------------------------------

SECOND = timedelta(seconds=1)


@pytest.fixture
def tell(project, call):
    """Have a link to a campaign told as Sinch does; return the codes kept for its number."""
    payload = {"hostingOrderId": "ho-1", "state": "IN_PROGRESS"}
    sync.store_reading(project, payload, timezone.now(), numbers=[{"phoneNumber": PHONES[0]}])

    def do(at, status, code=None):
        event = {
            "eventId": f"{status} {at}",
            "timestamp": at.isoformat(),
            "resourceType": "HOSTING_ORDER_NUMBER",
            "resourceId": PHONES[0],
            "eventType": "LINK_TO_10DLC_CAMPAIGN",
            "status": status,
            "failureCode": code,
        }
        call(json.dumps(event).encode())
        dispatch.process_some()
        return HostingNumber.objects.get().failure_codes

    return do


@pytest.mark.parametrize("ahead", [120 * SECOND, timedelta(days=1), timedelta(days=365 * 7900)])
def test_an_event_dated_in_the_future_does_not_silence_those_that_come_after_it(ahead, tell):
    tell(timezone.now() + ahead, "SUCCEEDED")
    assert tell(timezone.now(), "FAILED", EXPIRED) == {"campaign": EXPIRED}


def test_an_event_dated_before_there_were_any_is_news_all_the_same(tell):
    assert tell(timezone.now(), "SUCCEEDED") == {}
    assert tell(datetime(1, 1, 2, tzinfo=UTC), "FAILED", EXPIRED) == {"campaign": EXPIRED}


def test_sinchs_clock_may_be_a_little_before_ours(tell):
    now = timezone.now()
    assert tell(now + 30 * SECOND, "FAILED", EXPIRED) == {"campaign": EXPIRED}
    assert tell(now + 29 * SECOND, "SUCCEEDED") == {"campaign": EXPIRED}, "it happened before"
    assert tell(now + 31 * SECOND, "SUCCEEDED") == {}


# --- Codes that were told before there was a row to keep them -----------------------------------


@pytest.fixture
def fails(sandbox, call):
    """Let numbers of an order fail to be linked to their campaign, and have the desk told."""

    def do(order, phones, code=FULL, state="FAILED"):
        heard = len(sandbox.callbacks.log)
        step = {"step": "campaignProvisioning", "state": state, "failureCode": code}
        sandbox.hosting.do(order.id, "set", {"numbers": phones, **step})
        for entry in list(sandbox.callbacks.log)[heard:]:
            call(entry.body)

    return do


def codes_of(order):
    return dict(order.numbers.values_list("phone_number", "failure_codes"))


def test_a_code_that_was_faster_than_its_order_is_kept_for_its_number(
    sandbox, fails, read_order, work_off
):
    made = sandbox.hosting.make_order(PHONES)
    fails(made, PHONES[:2])
    fails(made, PHONES[1:2], state="DONE")
    work_off()
    order = read_order(made)
    assert codes_of(order) == {phone: {} for phone in PHONES} | {PHONES[0]: {"campaign": FULL}}
    assert "the campaign is full" in str(order.item.reasons)
    # What was told of a number is no news about a later order of it.
    later = sandbox.hosting.make_order(PHONES)
    later.created_at = iso_instant(timezone.now() + timedelta(hours=1))
    assert codes_of(read_order(later)) == {phone: {} for phone in PHONES}


@pytest.mark.parametrize("is_read_first", [True, False])
def test_a_code_that_was_told_of_an_order_goes_to_its_numbers_that_failed(
    is_read_first, sandbox, fails, read_order, work_off
):
    sandbox.control.personality(event_resource="order")
    made = sandbox.hosting.make_order(PHONES)
    if is_read_first:
        read_order(made)
    fails(made, PHONES[:2])
    work_off()
    order = read_order(made)
    failed = {phone: {"campaign": FULL} for phone in PHONES[:2]}
    assert codes_of(order) == {phone: {} for phone in PHONES} | failed
    assert "the campaign is full" in str(order.item.reasons)
    # Each keeps what it was told; only what has no cause yet is given one.
    fails(made, PHONES[2:3], EXPIRED)
    work_off()
    failed[PHONES[2]] = {"campaign": EXPIRED}
    assert codes_of(read_order(made)) == {phone: {} for phone in PHONES} | failed


def test_a_code_that_comes_after_the_reading_of_the_failure_is_kept_though_it_names_an_order(
    sandbox, read_order, call, work_off
):
    sandbox.control.personality(event_resource="order")
    made = sandbox.hosting.make_order(PHONES)
    step = {"step": "campaignProvisioning", "state": "FAILED", "failureCode": FULL}
    sandbox.hosting.do(made.id, "set", {"numbers": PHONES[:1], **step})
    order = read_order(made)
    assert codes_of(order)[PHONES[0]] == {}
    for entry in sandbox.callbacks.log:
        call(entry.body)
    work_off()
    order.item.refresh_from_db()
    assert codes_of(order)[PHONES[0]] == {"campaign": FULL}
    assert "the campaign is full" in str(order.item.reasons)


def test_codes_of_500_numbers_are_looked_for_in_one_statement(
    project, django_assert_max_num_queries
):
    phones = [f"+1929555{line:04d}" for line in range(1000, 1500)]
    failed = {"campaignProvisioning": {"state": "FAILED"}}
    now, order = timezone.now(), {"hostingOrderId": "ho-1", "state": "IN_PROGRESS"}
    for phone in phones[:3]:
        sync.apply_event(
            project.pk,
            resource_type="HOSTING_ORDER_NUMBER",
            resource_id=phone,
            event_type="LINK_TO_10DLC_CAMPAIGN",
            status="FAILED",
            failure_code=FULL,
            at=now,
            event_id=phone,
        )
    numbers = [{"phoneNumber": phone} | failed for phone in phones]

    def store(minutes):
        at = now + timedelta(minutes=minutes)
        sync.store_reading(project, order, at, numbers=numbers, report={})

    with django_assert_max_num_queries(10):
        store(1)
    assert HostingNumber.objects.filter(failure_codes__campaign=FULL).count() == 3
    for number in numbers:
        number["smsAtt"] = {"state": "DONE"}
    with django_assert_max_num_queries(8):
        store(2)
    assert HostingNumber.objects.filter(failure_codes__campaign=FULL).count() == 3
    with django_assert_max_num_queries(4):
        store(3)
