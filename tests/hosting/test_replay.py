"""Recorded callbacks come again, any number of times and in any order: the rows stay the same."""

import hashlib
import hmac
import itertools
import random

import pytest
from django.urls import reverse

from hosting.models import AppliedEvent, HostingNumber, HostingOrder, ImportedNumber
from portal.accounts.models import CallbackSecret, WebhookToken
from portal.work.models import TimelineEntry, WorkItem
from webhooks import dispatch, tokens
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db
PHONES = [f"+1312555{line:04d}" for line in range(140, 146)]
BLOCKED = "+13125550150"


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
