"""Numbers as lists of Sinch show them: hundreds of thousands, of which hardly any has changed."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hosting import moves, sync_numbers
from hosting.models import ImportedNumber, NumberMove, QualifiedNumber

pytestmark = pytest.mark.django_db
IMPORTED = (ImportedNumber, sync_numbers.store_imported_list)
QUALIFIED = (QualifiedNumber, sync_numbers.store_qualified_list)


def entry(place, **more):
    return {
        "phoneNumber": f"+1206555{place:04d}",
        "displayName": "Front desk",
        "smsConfiguration": {"servicePlanId": "plan-a", "campaignId": "C3O8OGA"},
        "globalProcessState": "ELIGIBLE",
        **more,
    }


def in_minutes(minutes):
    return timezone.now() + timedelta(minutes=minutes)


@pytest.mark.parametrize(("model", "store"), [IMPORTED, QUALIFIED])
def test_numbers_that_have_not_changed_cost_no_statement_each(model, store, project):
    counts = []
    for quantity in (3, 60):
        entries = [entry(place) for place in range(100, 100 + quantity)]
        assert store(project, entries, timezone.now()) == quantity
        before = dict(model.objects.values_list("pk", "version"))
        again = in_minutes(1)
        with CaptureQueriesContext(connection) as statements:
            assert store(project, entries, again) == quantity
        counts.append(len(statements))
        assert set(model.objects.values_list("fetched_at", flat=True)) == {again}
        assert dict(model.objects.values_list("pk", "version")) == before
        model.objects.all().delete()
    assert counts[0] == counts[1]


@pytest.mark.parametrize(("model", "store"), [IMPORTED, QUALIFIED])
def test_what_a_list_shows_otherwise_or_anew_is_stored_and_what_is_older_is_not(
    model, store, project
):
    store(project, [entry(place) for place in range(100, 104)], timezone.now())
    model.objects.filter(phone_number="+12065550101").update(gone_at=timezone.now())
    newest = in_minutes(10)
    store(project, [entry(102, regionCode="CA")], newest)
    listed = [entry(place, regionCode="US" if place == 100 else "") for place in range(100, 105)]
    left_at = in_minutes(5)
    assert store(project, listed, left_at) == 5
    rows = {row.phone_number[-3:]: row for row in model.objects.all()}
    assert {place: row.region_code for place, row in rows.items()} == {
        "100": "US",
        "101": "",
        "102": "CA",
        "103": "",
        "104": "",
    }
    assert rows["101"].gone_at is None
    assert rows["102"].fetched_at == newest
    assert {row.fetched_at for place, row in rows.items() if place != "102"} == {left_at}


def test_a_number_that_is_being_moved_goes_on_when_a_list_shows_it(project, agent):
    store = sync_numbers.store_imported_list
    linked = entry(142)
    store(project, [linked], timezone.now())
    row = ImportedNumber.objects.get()
    move = moves.start(row, plan="plan-b", campaign="", by=agent)
    NumberMove.objects.update(state=NumberMove.State.SETTLING, to_plan="plan-a",
                              to_campaign="C3O8OGA")  # fmt: skip
    store(project, [linked], in_minutes(1))
    move.refresh_from_db()
    assert move.state == NumberMove.State.DONE


def test_a_number_that_this_desk_read_otherwise_before_an_update_is_read_anew(project):
    store = sync_numbers.store_imported_list
    store(project, [entry(142)], timezone.now())
    ImportedNumber.objects.update(verdict="pending", display_name="As an older desk understood it")
    store(project, [entry(142)], in_minutes(1))
    assert ImportedNumber.objects.get().display_name == "Front desk"
