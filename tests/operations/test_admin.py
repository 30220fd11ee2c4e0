"""The admin pages of the engine, the mirror and the deliveries: to look at, and to start again."""

import json

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from hosting.models import (
    Combination,
    HostingDraft,
    HostingOrder,
    ImportedNumber,
    NumberMove,
    QualifiedNumber,
)
from orders.models import (
    OrderDocument,
    OrderNote,
    PortabilityResult,
    PortInDraft,
    PortInNumber,
    PortInOrder,
)
from portal.operations import runner
from portal.operations.admin import ReadOnlyAdmin
from portal.operations.models import Operation, Reading
from portal.work.models import WorkItem
from webhooks.models import Delivery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rung")]
OURS = [model for model, page in admin.site._registry.items() if isinstance(page, ReadOnlyAdmin)]
PIN, ACCOUNT = "482913", "77120045"


@pytest.fixture
def admin_client(make_agent):
    """A signed-in administrator."""
    client = Client()
    client.force_login(
        make_agent("root", is_staff=True, is_superuser=True),
        backend="portal.accounts.backends.EmailOrUsernameBackend",
    )
    return client


@pytest.fixture
def rows(project, agent, write):
    """One row of everything, each with a secret in it."""
    secret = {"existingPortOutPin": PIN, "accountNum": ACCOUNT}
    operation = write(subject="Order HVD-2026-014", by=agent)
    operation.payload = secret
    operation.save()
    item = WorkItem.objects.create(
        kind="port_in", project=project, target_pk=1, sinch_id="40118273", status="PENDING"
    )
    order = PortInOrder.objects.create(
        project=project,
        item=item,
        sinch_id="40118273",
        status="PENDING",
        secrets={"+12065550142": secret},
        payload={"phoneNumbers": [{"portOutInfo": secret}]},
        fetched_at=timezone.now(),
    )
    PortInNumber.objects.bulk_create(
        PortInNumber(order=order, position=n, phone_number=f"+1206555{n:04}", status="PENDING")
        for n in range(120)
    )
    about = {"project": project, "fetched_at": timezone.now(), "payload": {"code": secret}}
    imported = ImportedNumber.objects.create(phone_number="+12065550142", **about)
    hosted = WorkItem.objects.create(
        kind="hosting", project=project, target_pk=2, sinch_id="01hosting", status="COMPLETED"
    )
    body = json.dumps({"type": "ORDER_UPDATED", "orderId": 40118273, "order": secret}).encode()
    return [
        operation,
        order,
        OrderNote.objects.create(order=order, text="Send a bill, <b>now</b>"),
        OrderDocument.objects.create(
            order=order, name="bill.pdf", content=PIN.encode(), sinch_content=PIN.encode()
        ),
        PortInDraft.objects.create(project=project, by=agent, data=secret, title="A draft"),
        PortabilityResult.objects.create(
            project=project, phone_number="+12065550142", portable=True, checked_at=timezone.now()
        ),
        Reading.objects.create(project=project, kind="port_in_order", resource_id="40118273"),
        HostingOrder.objects.create(
            project=project,
            item=hosted,
            sinch_id="01hosting",
            state="COMPLETED",
            fetched_at=timezone.now(),
        ),
        imported,
        QualifiedNumber.objects.create(phone_number="+12065550142", state="VERIFIED", **about),
        NumberMove.objects.create(number=imported, to_plan="plan-b"),
        HostingDraft.objects.create(project=project, by=agent, data=secret, title="A draft"),
        Combination.objects.create(project=project, service_plan_id="plan-a"),
        Delivery.objects.create(
            project=project, body=body, size=len(body), digest="0" * 64, next_try_at=None
        ),
    ]


def page_of(row, name="change"):
    meta = row._meta
    args = [] if name in ("changelist", "add") else [row.pk]
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{name}", args=args)


def run_action(client, row, action, *more):
    chosen = [one.pk for one in (row, *more)]
    return client.post(
        page_of(row, "changelist"), {"action": action, "_selected_action": chosen}, follow=True
    )


def test_every_row_can_be_looked_at_and_none_shows_a_secret(admin_client, rows):
    assert {type(row) for row in rows} == set(OURS)
    for row in rows:
        for name in ("changelist", "change"):
            answer = admin_client.get(page_of(row, name))
            text = answer.content.decode()
            assert answer.status_code == 200, row
            assert PIN not in text, row
            assert ACCOUNT not in text, row


def test_no_row_can_be_added_changed_or_deleted(admin_client, rows):
    for row in rows:
        assert admin_client.get(page_of(row, "add")).status_code == 403
        assert admin_client.post(page_of(row), {"kind": "x"}).status_code == 403
        assert admin_client.post(page_of(row, "delete"), {"post": "yes"}).status_code == 403
        assert 'name="_save"' not in admin_client.get(page_of(row)).content.decode()
        assert type(row).objects.filter(pk=row.pk).exists()


def test_rows_can_be_searched(admin_client, rows):
    for row in rows:
        assert admin_client.get(page_of(row, "changelist") + "?q=40118273").status_code == 200


def test_an_order_shows_its_first_numbers_and_says_how_many_more(admin_client, rows):
    text = admin_client.get(page_of(rows[1])).content.decode()
    assert "+12065550099" in text
    assert "+12065550100" not in text
    assert "and 20 more" in text
    assert "&lt;b&gt;now&lt;/b&gt;" in text
    assert "bill.pdf" in text


def test_an_order_is_read_again(admin_client, rows):
    Reading.objects.update(next_try_at=None, read_at=timezone.now())
    answer = run_action(admin_client, rows[1], "read_again")
    assert "1 being read again." in answer.content.decode()
    reading = Reading.objects.get()
    assert (reading.resource_id, reading.cause) == ("40118273", "staff")
    assert reading.next_try_at
    assert not reading.fulfils(reading.requested_at)


def test_hosting_is_read_again(admin_client, rows):
    for row, key in ((rows[7], "01hosting"), (rows[8], "+12065550142"), (rows[9], "+12065550142")):
        assert "1 being read again." in run_action(admin_client, row, "read_again").content.decode()
        assert Reading.objects.latest("pk").resource_id == key


def test_a_reading_is_done_again(admin_client, rows):
    Reading.objects.update(next_try_at=None, read_at=timezone.now())
    answer = run_action(admin_client, rows[6], "read_again")
    assert "1 being read again." in answer.content.decode()
    assert Reading.objects.get().next_try_at


def test_a_stopped_write_is_tried_again_and_another_left_alone(admin_client, rows):
    operation = rows[0]
    answer = run_action(admin_client, operation, "try_again")
    assert "1 left alone" in answer.content.decode()
    Operation.objects.update(state=Operation.State.DEAD, next_try_at=None)
    answer = run_action(admin_client, operation, "try_again")
    assert "1 taken up again." in answer.content.decode()
    operation.refresh_from_db()
    assert operation.state == Operation.State.QUEUED


def test_of_stopped_writes_about_one_thing_the_newest_is_tried_again(admin_client, write):
    older, newer = write(), write()
    Operation.objects.update(state=Operation.State.DEAD, next_try_at=None)
    answer = run_action(admin_client, older, "try_again", newer)
    assert "1 taken up again." in answer.content.decode()
    states = dict(Operation.objects.values_list("pk", "state"))
    assert states == {older.pk: Operation.State.DEAD, newer.pk: Operation.State.QUEUED}


def test_a_delivery_is_processed_again(admin_client, rows):
    delivery = rows[-1]
    Delivery.objects.update(state=Delivery.State.DONE)
    answer = run_action(admin_client, delivery, "process_again")
    assert "1 being processed again." in answer.content.decode()
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.RECEIVED
    assert delivery.next_try_at


def test_who_may_only_look_can_start_nothing(make_agent, rows):
    from django.contrib.auth.models import Permission

    viewer = make_agent("vera", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(viewer, backend="portal.accounts.backends.EmailOrUsernameBackend")
    Delivery.objects.update(state=Delivery.State.DONE)
    for row, action in ((rows[-1], "process_again"), (rows[1], "read_again")):
        assert client.get(page_of(row, "changelist")).status_code == 200
        assert action not in client.get(page_of(row, "changelist")).content.decode()
        run_action(client, row, action)
    assert Delivery.objects.get().state == Delivery.State.DONE
    assert runner.handlers() is not None
