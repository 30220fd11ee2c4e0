"""Rows written with a statement that is put together once are as Django itself would write them."""

from datetime import UTC, date, datetime

import pytest
from django.utils import timezone

from orders.models import OrderDocument, PortInNumber, PortInOrder
from portal.accounts.models import SinchProject
from portal.work.models import TimelineEntry, WorkItem
from portal.writing import ONE_MORE, Made, insert, update, upsert

NOON = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
ODD = 'O\'Hara & "Søn" \\ %s {column}\n\t\u2028 ☎'


@pytest.fixture
def project(db):
    return SinchProject.objects.create(name="P", project_id="p", key_id="k", key_secret="s")


@pytest.fixture
def order(project):
    """An order that Django itself has written."""
    item = WorkItem.objects.create(kind="port_in", project=project, target_pk=1, sinch_id="1")
    return PortInOrder.objects.create(
        project=project, item=item, sinch_id="1", fetched_at=NOON, status="PENDING"
    )


def number(order, phone, **values):
    return PortInNumber(
        order=order,
        position=0,
        phone_number=phone,
        reversed_digits=phone[:0:-1],
        status="PENDING",
        status_since=NOON,
        **values,
    )


def as_stored(row, *but):
    """Every column of a row as the database has it."""
    kept = type(row).objects.get(pk=row.pk)
    names = (field.attname for field in row._meta.concrete_fields if field.name not in but)
    return {name: getattr(kept, name) for name in names}


def test_a_new_row_is_as_django_writes_it(project, order):
    values = {
        "project": project,
        "fetched_at": NOON,
        "status": "CONFIRMED",
        "reference": ODD,
        "desired_port_date": date(2026, 12, 1),
        "payload": {"deep": [1, None, True, ODD, {"more": 1.5}]},
        "secrets": {"+12065550142": {"pin": "0000"}},
        "offered_at": None,
        "first_seen_at": NOON,
    }
    made = []
    for sinch_id in ("2", "3"):
        item = WorkItem(kind="port_in", project=project, target_pk=sinch_id, sinch_id=sinch_id)
        item.save()
        made.append(PortInOrder(item=item, sinch_id=sinch_id, **values))
    insert(made[0])
    made[1].save(force_insert=True)
    ours, other = (as_stored(row, "id", "item", "sinch_id") for row in made)
    assert ours == other
    assert ours["secrets"] == values["secrets"]
    # It is a row like any other from now on.
    made[0].status = "ACTIVATED"
    made[0].save()
    assert as_stored(made[0])["status"] == "ACTIVATED"


def test_a_new_row_takes_the_next_key_or_the_one_it_has(project):
    for key in (None, 4711):
        row = WorkItem(pk=key, kind="port_in", project=project, target_pk=key or 1, sinch_id="1")
        insert(row, {"search": Made("to_tsvector('simple', %s)", ("lake dental",))})
        assert row.pk == key or (key is None and row.pk)
        kept = WorkItem.objects.get(pk=row.pk)
        assert kept.search == "'dental':2 'lake':1"
        # What the database works out itself is there for the asking.
        assert row.urgency == kept.urgency


def test_some_columns_of_a_row_are_written_and_no_others(order):
    other = PortInOrder.objects.get(pk=order.pk)
    PortInOrder.objects.filter(pk=order.pk).update(reference="meanwhile")
    update(other, {"status": "REJECTED", "payload": {"a": ODD}, "gone_at": NOON})
    assert (other.status, other.gone_at) == ("REJECTED", NOON)
    kept = as_stored(order)
    assert (kept["status"], kept["payload"], kept["gone_at"]) == ("REJECTED", {"a": ODD}, NOON)
    assert kept["reference"] == "meanwhile"


def test_what_the_database_makes_goes_by_what_it_holds(order):
    item = order.item
    for _ in range(2):
        update(item, {"version": Made(ONE_MORE), "reference": ODD})
    assert WorkItem.objects.get(pk=item.pk).version == 3
    assert (item.version, item.reference) == (1, ODD)


def test_nothing_to_write_asks_the_database_nothing(order, django_assert_num_queries):
    with django_assert_num_queries(0):
        update(order, {})
        upsert([])


def test_many_rows_are_as_django_writes_them(order):
    values = {
        "group": ODD,
        "foc_date": date(2026, 12, 2),
        "excluded_features": [{"name": ODD, "n": None}],
        "reject_reason": "100% wrong PIN",
    }
    upsert([number(order, "+12065550100", **values), number(order, "+12065550101")])
    for phone, given in (("+12065550110", values), ("+12065550111", {})):
        number(order, phone, **given).save(force_insert=True)
    stored = list(PortInNumber.objects.order_by("phone_number"))
    assert len(stored) == 4
    names = ("id", "phone_number", "reversed_digits")
    for ours, other in zip(stored[:2], stored[2:], strict=True):
        assert as_stored(ours, *names) == as_stored(other, *names)
    assert stored[0].status_since == NOON


def test_rows_that_are_there_get_the_columns_named_and_keep_the_others(order):
    number(order, "+12065550100", losing_carrier="Cascade").save()
    keys = ("order", "phone_number")
    changed = number(order, "+12065550100", losing_carrier="other", foc_date=date(2026, 12, 2))
    changed.status = "CONFIRMED"
    upsert([changed, number(order, "+12065550101")], unique=keys, update=("status", "foc_date"))
    first, second = PortInNumber.objects.order_by("phone_number")
    assert (first.status, first.foc_date) == ("CONFIRMED", date(2026, 12, 2))
    assert first.losing_carrier == "Cascade"
    assert second.status == "PENDING"


def test_without_columns_to_change_a_row_that_is_there_stays(order):
    def told(text):
        return TimelineEntry(
            item=order.item, at=timezone.now(), source="sinch", text=text, fact="the same"
        )

    upsert([told("first")])
    upsert([told("second"), told("third")])
    assert [entry.text for entry in TimelineEntry.objects.all()] == ["first"]


def test_encrypted_columns_do_not_go_as_json(order):
    with pytest.raises(TypeError, match="OrderDocument"):
        upsert([OrderDocument(order=order, name="loa.pdf")])
