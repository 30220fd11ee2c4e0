"""Causes that only callbacks tell: which step of a number each is kept for, and how long."""

from datetime import timedelta

import pytest
from django.utils import timezone

from hosting import sync, sync_numbers
from hosting.models import ImportedNumber
from tests.hosting.tools import CAMPAIGN_EVENT, PHONE, failed, told

pytestmark = pytest.mark.django_db


def test_a_code_that_was_faster_than_its_number_is_kept_for_it(project):
    failed(project, "PROVISIONING_TO_SMS_PLATFORM", "NUMBER_PROVISIONING_FAILED")
    failed(project, "LINK_TO_10DLC_CAMPAIGN", "EXCEEDED_10DLC_LIMIT")
    failed(project, "DEPROVISIONING_TO_SMS_PLATFORM", "")
    row = sync_numbers.store_imported(project, {"phoneNumber": PHONE}, timezone.now())
    assert row.failure_codes == {"campaign": "EXCEEDED_10DLC_LIMIT"}
    assert ImportedNumber.objects.get().failure_codes == row.failure_codes


def test_the_newest_event_about_a_step_tells_its_code_whatever_comes_first(project):
    """Making a link and taking it away are events of two kinds about one step."""
    sync_numbers.store_imported(project, {"phoneNumber": PHONE}, timezone.now())
    now = timezone.now()
    told(project, CAMPAIGN_EVENT, "FAILED", "PARTNER_SERVICE_UNAVAILABLE", at=now)
    earlier = now - timedelta(hours=1)
    told(project, "LINK_TO_10DLC_CAMPAIGN", "FAILED", "EXCEEDED_10DLC_LIMIT", at=earlier)
    row = ImportedNumber.objects.get()
    assert row.failure_codes == {"campaign": "PARTNER_SERVICE_UNAVAILABLE"}


@pytest.mark.parametrize("is_late", [False, True])
def test_the_end_of_the_whole_process_leaves_the_cause_of_its_step_alone(
    is_late, project, sandbox, read_order, agent_client
):
    """The failure of the process has no cause of its own; that of the routing had one."""
    made = sandbox.hosting.make_order([PHONE])
    sandbox.hosting.do(made.id, "set", {"step": "osrUpdate", "state": "FAILED"})
    order = read_order(made)
    now = timezone.now()
    events = [("OSR_UPDATE", "INVALID_NNID", now), ("HOSTING_PROCESS", "", now + timedelta(0, 1))]
    for event_type, code, at in reversed(events) if is_late else events:
        told(project, event_type, "FAILED", code, at=at, about="HOSTING_ORDER_NUMBER")
    assert order.numbers.get().failure_codes == {"osr": "INVALID_NNID"}
    # The same is known when the order is read for the first time only after its callbacks.
    assert sync.codes_told(project.pk, [PHONE], of_order=True) == {PHONE: {"osr": "INVALID_NNID"}}


@pytest.fixture(params=["HOSTING_ORDER_NUMBER", "IMPORTED_NUMBER"])
def campaign_step(request, project, sandbox, read_order, read_imported):
    """Read the link to a campaign in a state; return the codes kept for the number."""
    if request.param == "HOSTING_ORDER_NUMBER":
        made = sandbox.hosting.make_order([PHONE])

        def read(state):
            sandbox.hosting.do(made.id, "set", {"step": "campaignProvisioning", "state": state})
            return read_order(made).numbers.get().failure_codes

    else:
        sandbox.hosting.add_imported(PHONE, "plan-a", "C3O8OGA")

        def read(state):
            sandbox.hosting.link(PHONE)[1].state = state
            return read_imported(PHONE).failure_codes

    def tell(code, ago):
        at = timezone.now() - timedelta(minutes=ago)
        told(project, "LINK_TO_10DLC_CAMPAIGN", "FAILED", code, at=at, about=request.param)

    return read, tell


def test_a_step_that_failed_went_well_and_failed_anew_is_not_told_with_its_first_cause(
    campaign_step,
):
    read, tell = campaign_step
    read("IN_PROGRESS")
    tell("EXCEEDED_10DLC_LIMIT", 20)
    assert read("FAILED") == {"campaign": "EXCEEDED_10DLC_LIMIT"}
    assert read("DONE") == {}
    assert read("FAILED") == {}
    tell("CAMPAIGN_EXPIRED", 10)
    assert read("FAILED") == {"campaign": "CAMPAIGN_EXPIRED"}


def test_a_step_that_failed_and_fails_anew_is_not_told_with_its_first_cause(campaign_step):
    read, tell = campaign_step
    read("IN_PROGRESS")
    tell("EXCEEDED_10DLC_LIMIT", 20)
    assert read("FAILED") == {"campaign": "EXCEEDED_10DLC_LIMIT"}
    assert read("FAILED") == {"campaign": "EXCEEDED_10DLC_LIMIT"}
    assert read("IN_PROGRESS") == {}
    assert read("FAILED") == {}
    read("WAITING")
    tell("CAMPAIGN_EXPIRED", 0)
    assert read("IN_PROGRESS") == {"campaign": "CAMPAIGN_EXPIRED"}, "faster than the reading"
    assert read("FAILED") == {"campaign": "CAMPAIGN_EXPIRED"}


@pytest.mark.parametrize("between", ["IN_PROGRESS", "DONE"])
def test_a_step_that_fails_anew_is_not_told_with_a_cause_that_its_order_had_before(
    between, project, sandbox, read_order
):
    made = sandbox.hosting.make_order([PHONE, "+12065550143"])

    def read(state):
        sandbox.hosting.do(made.id, "set", {"step": "campaignProvisioning", "state": state})
        return [number.failure_codes for number in read_order(made).numbers.all()]

    assert read("FAILED") == [{}] * 2
    event, at = "LINK_TO_10DLC_CAMPAIGN", timezone.now() - timedelta(minutes=20)
    told(project, event, "FAILED", "CAMPAIGN_EXPIRED", at, "HOSTING_ORDER_NUMBER", made.id)
    assert read("FAILED") == [{"campaign": "CAMPAIGN_EXPIRED"}] * 2
    read(between)
    assert read("FAILED") == [{}] * 2


def test_a_cause_that_was_told_before_a_reading_without_it_came_in_is_kept(campaign_step):
    read, tell = campaign_step
    read("IN_PROGRESS")
    tell("EXCEEDED_10DLC_LIMIT", 0)
    read("DONE")
    assert read("FAILED") == {"campaign": "EXCEEDED_10DLC_LIMIT"}


def test_a_number_imported_anew_has_no_cause_of_the_one_that_was_deleted(project):
    def fails(at):
        link = {"serviceType": "CAMPAIGN", "type": "PROVISIONING", "state": "FAILED"}
        payload = {"phoneNumber": PHONE, "campaignProvisioning": link}
        return sync_numbers.store_imported(project, payload, at).failure_codes

    now = timezone.now()
    told(project, "LINK_TO_10DLC_CAMPAIGN", "FAILED", "EXCEEDED_10DLC_LIMIT", at=now)
    assert fails(now) == {"campaign": "EXCEEDED_10DLC_LIMIT"}
    sync_numbers.mark_imported_gone(project, PHONE, now + timedelta(minutes=5))
    assert fails(now + timedelta(minutes=10)) == {}


def test_a_cause_that_comes_late_is_not_kept_for_a_step_that_went_well_since(campaign_step):
    read, tell = campaign_step
    assert read("DONE") == {}
    tell("EXCEEDED_10DLC_LIMIT", 10)
    assert read("FAILED") == {}
