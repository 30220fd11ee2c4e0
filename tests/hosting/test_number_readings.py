"""What a reading of a number changes, and what it does not: the newest word stays."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from hosting import sync, sync_numbers
from hosting.models import ImportedNumber
from portal.operations import readings
from portal.operations.models import Reading
from tests.hosting.tools import DONE, PHONE, post

pytestmark = pytest.mark.django_db


def test_a_number_that_comes_without_its_state_keeps_the_one_it_is_known_by(
    project,
):
    """No field of an answer is sure to be there."""
    row = sync_numbers.store_qualified(
        project, {"phoneNumber": PHONE, "globalProcessState": "VERIFIED"}, timezone.now()
    )
    for said in ({}, {"globalProcessState": None}):
        sync_numbers.store_qualified(project, {"phoneNumber": PHONE, **said}, timezone.now())
        row.refresh_from_db()
        assert row.state == "VERIFIED"


def test_a_reading_that_left_before_a_number_was_gone_does_not_bring_it_back(project):
    now, second = timezone.now(), timedelta(seconds=1)
    payload = {"phoneNumber": PHONE}
    for store, gone in (
        (sync_numbers.store_imported, sync_numbers.mark_imported_gone),
        (sync_numbers.store_qualified, sync_numbers.mark_qualified_gone),
    ):
        store(project, payload, now)
        gone(project, PHONE, now + 2 * second)
        assert store(project, payload, now + second).gone_at == now + 2 * second
        assert store(project, payload, now + 3 * second).gone_at is None


def test_a_404_that_something_newer_contradicts_is_asked_once_more(
    project, sandbox, read_imported, read_qualified
):
    sandbox.hosting.add_imported(PHONE, "plan-a", "C3O8OGA")
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    for kind, row in (
        (sync.IMPORTED_READER, read_imported(PHONE)),
        (sync.QUALIFIED_READER, read_qualified(PHONE)),
    ):
        reading = Reading.objects.get(kind=kind)
        left_at = row.fetched_at - timedelta(seconds=1)  # what is known left later
        sandbox.faults.add("status", status=404)
        assert readings.readers()[kind].read(reading, left_at) == readings.CONTRADICTED
        row.refresh_from_db()
        reading.refresh_from_db()
        assert (row.gone_at, reading.is_gone) == (None, False)


@pytest.mark.parametrize("kind", [sync.IMPORTED_READER, sync.QUALIFIED_READER])
def test_a_number_that_was_made_a_moment_ago_is_looked_for_twice_before_it_is_gone(
    project, kind, work_off
):
    stores = {
        sync.IMPORTED_READER: sync_numbers.store_imported,
        sync.QUALIFIED_READER: sync_numbers.store_qualified,
    }
    row = stores[kind](project, {"phoneNumber": PHONE}, timezone.now())
    readings.want_one(project, kind, PHONE, "staff")
    for is_gone in (False, True):
        work_off()
        row.refresh_from_db()
        assert (row.gone_at is not None, Reading.objects.get().is_gone) == (is_gone, is_gone)
        Reading.objects.update(next_try_at=timezone.now())


def test_a_reading_that_left_before_a_change_does_not_undo_what_its_answer_said(project):
    left_at, second = timezone.now(), timedelta(seconds=1)
    before = {
        "phoneNumber": PHONE,
        "displayName": "Front desk",
        "smsConfiguration": {"servicePlanId": "plan-a", "campaignId": "C3O8OGA"},
        "smsProvisioning": DONE,
    }
    after = {
        "phoneNumber": PHONE,
        "displayName": "Back office",
        "smsConfiguration": {"servicePlanId": "plan-b", "campaignId": ""},
    }
    sync_numbers.store_imported(project, before, left_at)
    sync_numbers.store_imported(project, after, left_at + 3 * second, partial=True)
    # What left before the change comes after its answer: a reading, another change, a 404.
    sync_numbers.store_imported(project, before, left_at + second)
    sync_numbers.store_imported(project, before, left_at + 2 * second, partial=True)
    sync_numbers.mark_imported_gone(project, PHONE, left_at + second)
    row = ImportedNumber.objects.get()
    assert (row.display_name, row.service_plan_id, row.campaign_id) == ("Back office", "plan-b", "")
    assert (row.platform, row.gone_at) == ("DONE", None), "the short answer took nothing away"
    assert row.fetched_at == left_at, "the whole number has not been read since"
    row = sync_numbers.store_imported(project, before, left_at + 4 * second)
    assert (row.display_name, row.fetched_at) == ("Front desk", left_at + 4 * second)


def test_the_answer_of_a_change_that_left_before_a_reading_does_nothing(project):
    left_at, second = timezone.now(), timedelta(seconds=1)
    answer = {"phoneNumber": PHONE, "displayName": "Front desk"}
    read = {"phoneNumber": PHONE, "displayName": "Back office"}
    sync_numbers.store_imported(project, read, left_at + second)
    before = ImportedNumber.objects.values().get()
    sync_numbers.store_imported(project, answer, left_at, partial=True)
    assert ImportedNumber.objects.values().get() == before


@pytest.mark.parametrize("kind", ["imported", "qualified"])
def test_a_poll_of_a_page_on_which_nothing_has_changed_is_one_statement(
    kind, agent_client, project, django_assert_num_queries
):
    store = getattr(sync_numbers, f"store_{kind}")
    row = store(project, {"phoneNumber": PHONE}, timezone.now())
    page = agent_client.get(row.get_absolute_url()).content.decode()
    (address,) = re.findall(rf'hx-get="([^"]*/{kind}/[^"]*/live/[^"]*)"', page)
    with django_assert_num_queries(1):
        assert agent_client.get(address).status_code == 204
    assert post(agent_client, f"{kind}_refresh", row).status_code == 302
    assert agent_client.get(address).status_code == 200


def test_a_number_that_no_list_shows_comes_back_after_a_404_that_was_wrong(
    sandbox, read_imported, agent_client, work_off
):
    sandbox.hosting.add_imported(PHONE, "", "")
    row = read_imported(PHONE)
    sandbox.faults.add("status", "ImportNumberService_GetImportedNumber", status=404)
    assert read_imported(PHONE).gone_at is not None
    due_at = Reading.objects.get(kind=sync.IMPORTED_READER).next_try_at
    assert due_at is not None
    assert due_at - timezone.now() < timedelta(minutes=6)
    Reading.objects.filter(kind=sync.IMPORTED_READER).update(next_try_at=timezone.now())
    work_off()
    row.refresh_from_db()
    assert row.gone_at is None
    assert not Reading.objects.get(kind=sync.IMPORTED_READER).is_gone


def test_what_the_answer_of_a_change_leaves_empty_takes_nothing_away(project):
    left_at = timezone.now()
    configuration = {"servicePlanId": "plan-a", "campaignId": "C3O8OGA"}
    read = {"phoneNumber": PHONE, "displayName": "Front desk", "smsConfiguration": configuration}
    answer = {"phoneNumber": PHONE, "displayName": "Back office", "smsConfiguration": None}
    sync_numbers.store_imported(project, read, left_at)
    after = left_at + timedelta(seconds=1)
    row = sync_numbers.store_imported(project, answer, after, partial=True)
    assert (row.display_name, row.service_plan_id) == ("Back office", "plan-a")
