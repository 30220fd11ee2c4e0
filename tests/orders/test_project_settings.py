"""What is set for a project reaches its orders: defaults, days off, whether an LOA is expected."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orders import discovery, standing, wire
from orders.models import PortInOrder
from portal.accounts.models import SinchProject
from portal.operations import readings, runner
from portal.operations.models import Reading
from portal.projects import configuration
from portal.sandbox import Sandbox
from portal.work.models import WorkItem

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("porting_client")]
Read = Callable[..., PortInOrder]


@pytest.fixture
def order(project: SinchProject, sandbox: Sandbox) -> PortInOrder:
    """A pending order of one number."""
    made = sandbox.control.create_order(["+12065550140"])
    readings.want_one(project, "port_in_order", str(made.id), "staff")
    while runner.run_one() or readings.run_one():
        pass
    return PortInOrder.objects.select_related("item", "project").get()


def test_a_new_order_starts_with_the_time_and_zone_that_are_set_at_sinch(
    agent_client: Client, project: SinchProject
) -> None:
    before = agent_client.get(reverse("orders:create")).content.decode()
    assert re.search(r'name="port_time"[^>]*value="09:00"', before)
    assert re.search(r'value="US/Eastern"[^>]* selected', before)
    there = {"defaultPortTime": "10:30:00", "defaultPortTimeZone": "US/Mountain"}
    configuration.store(project, there, timezone.now())
    html = agent_client.get(reverse("orders:create")).content.decode()
    assert re.search(r'name="port_time"[^>]*value="10:30"', html)
    assert re.search(r'value="US/Mountain"[^>]* selected', html)


def test_days_off_are_told_while_a_date_is_chosen(
    agent_client: Client, project: SinchProject
) -> None:
    wanted = timezone.localdate() + timedelta(days=20)
    while wanted.weekday() != 2:
        wanted += timedelta(days=1)
    project.days_off = [{"day": wanted.isoformat(), "name": "Stocktaking"}]
    project.save()
    fields = {"numbers": "206 555 0142", "port_date": wanted.isoformat(), "action": "check"}
    answer = agent_client.post(reverse("orders:create"), fields, follow=True)
    assert "Stocktaking (an extra day off)" in answer.content.decode()


def test_the_gap_between_asked_and_confirmed_leaves_days_off_out(
    agent_client: Client, project: SinchProject, order: PortInOrder
) -> None:
    PortInOrder.objects.update(desired_port_date=date(2026, 11, 24))
    WorkItem.objects.update(foc_date=date(2026, 11, 30))
    gap = re.compile(r"<dt>Gap</dt><dd>(\S+)")
    page: Any = agent_client.get(order.get_absolute_url()).content.decode()
    assert gap.findall(page) == ["+3"]
    project.days_off = [{"day": "2026-11-27", "name": "Day after Thanksgiving"}]
    project.save()
    page = agent_client.get(order.get_absolute_url()).content.decode()
    assert gap.findall(page) == ["+2"]


def test_the_buckets_of_waiting_orders_are_worked_out_anew_when_a_day_off_is_added(
    project: SinchProject, order: PortInOrder, make_agent: Any
) -> None:
    WorkItem.objects.update(next_change_at=None)
    day = timezone.localdate() + timedelta(days=7)
    while day.weekday() > 4:
        day += timedelta(days=1)
    client = Client()
    client.force_login(
        make_agent("mara", "manage_project"),
        backend="portal.accounts.backends.EmailOrUsernameBackend",
    )
    typed = {"day": day.isoformat(), "day_name": "Stocktaking"}
    client.post(reverse("projects:add_day_off", args=[project.pk]), typed)
    assert standing.recompute_due(timezone.now()) == 1


def test_an_order_that_is_being_stored_while_it_is_woken_is_worked_out_anew_all_the_same(
    project: SinchProject, order: PortInOrder
) -> None:
    """A reading that was begun before a setting changed knows nothing of it."""
    WorkItem.objects.update(next_change_at=timezone.now() + timedelta(days=300))
    item = standing.item_of(order.item_id)
    standing.wake(order.pk)
    said, rows = wire.read_order(order.payload), standing.Rows.of(item)
    assert standing.store_item(item, order, said, rows)
    assert timezone.now() < item.next_change_at < timezone.now() + timedelta(days=300)
    assert standing.recompute_due(timezone.now()) == 1
    assert standing.recompute_due(timezone.now()) == 0


def test_the_buckets_are_worked_out_anew_when_the_defaults_at_sinch_change(
    project: SinchProject, order: PortInOrder
) -> None:
    WorkItem.objects.update(next_change_at=None)
    there = {"defaultPortTime": "10:30:00", "defaultPortTimeZone": "US/Mountain"}
    configuration.store(project, there, timezone.now())
    assert standing.recompute_due(timezone.now()) == 1
    WorkItem.objects.update(next_change_at=None)
    configuration.store(project, there, timezone.now())
    assert standing.recompute_due(timezone.now()) == 0


def test_the_buckets_are_worked_out_anew_when_the_admin_changes_what_is_expected(
    project: SinchProject, order: PortInOrder, admin_client: Client
) -> None:
    WorkItem.objects.update(next_change_at=None)
    fields = {"name": project.name, "project_id": project.project_id, "key_id": project.key_id}
    address = reverse("admin:accounts_sinchproject_change", args=[project.pk])
    assert admin_client.post(address, fields | {"is_active": "on"}).status_code == 302
    assert standing.recompute_due(timezone.now()) == 1
    order.item.refresh_from_db()
    assert "P9" not in [reason["code"] for reason in order.item.reasons]


def test_a_project_that_is_back_in_use_has_its_orders_read_at_once(
    project: SinchProject, order: PortInOrder, sandbox: Sandbox, admin_client: Client
) -> None:
    address = reverse("admin:accounts_sinchproject_change", args=[project.pk])
    fields = {"name": project.name, "project_id": project.project_id, "key_id": project.key_id}
    admin_client.post(address, fields)
    Reading.objects.update(next_try_at=timezone.now())
    while readings.run_one():  # a worker comes by while it is out of use
        pass
    sandbox.control.confirm(order.sinch_id)  # its webhook is turned away
    admin_client.post(address, fields | {"is_active": "on"})
    while readings.run_one():
        pass
    order.refresh_from_db()
    assert order.status == "CONFIRMED"


def test_an_order_long_over_that_changed_while_its_project_was_out_of_use_is_read_again(
    project: SinchProject, order: PortInOrder, sandbox: Sandbox, work_off: Callable[[], None]
) -> None:
    """Nothing is due of it by itself; the list at Sinch tells."""
    sandbox.control.cancel(order.sinch_id)
    sandbox.control.next(order.sinch_id)
    readings.want_one(project, "port_in_order", order.sinch_id, "staff")
    work_off()
    Reading.objects.update(next_try_at=None)
    assert discovery.discover(project) == {}
    sandbox.control.order(order.sinch_id).status = "COMPLETED"
    readings.take_up(project)
    work_off()
    assert discovery.discover(project).keys() == {order.sinch_id}
    work_off()
    order.refresh_from_db()
    assert order.status == "COMPLETED"


def test_an_order_follows_whether_an_loa_is_expected(
    project: SinchProject, order: PortInOrder, make_agent: Any
) -> None:
    def reasons() -> list[str]:
        order.item.refresh_from_db()
        return [reason["code"] for reason in order.item.reasons]

    assert "P9" in reasons()
    client = Client()
    client.force_login(
        make_agent("mara", "manage_project"),
        backend="portal.accounts.backends.EmailOrUsernameBackend",
    )
    address = reverse("projects:expect_loa", args=[project.pk])
    for typed, expected in (({}, False), ({"expects_loa": "yes"}, True)):
        client.post(address, typed)
        assert standing.recompute_due(timezone.now()) == 1
        assert ("P9" in reasons()) is expected
