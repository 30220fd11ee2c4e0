"""What is finished piles up for years: no page and no round of the workers looks through it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import F, Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from benchmarks import data
from benchmarks.grown import FIRST_KEY, History, grow
from benchmarks.scale import GROWN, grow_numbers, grow_orders
from hosting import overview
from hosting import sync as sync_hosting
from hosting.models import Combination, HostingOrder, QualifiedNumber
from orders import portability, sync
from portal import health
from portal.accounts.models import SinchProject, User
from portal.operations import readings, retention, runner
from portal.operations.models import Reading
from portal.work import context
from portal.work.models import WorkItem
from webhooks import dispatch

ORDERS = 6000
# Counts go up to 1,000, and a day of webhooks, one a minute, is counted whole.
MOST_LOOKED_AT = 1500


@pytest.fixture
def old_desk(project) -> tuple[SinchProject, User]:
    """A desk with thousands of orders and what each of them has left behind."""
    template = sync.store_port_in_order(project, data.order(1, 2), fetched_at=timezone.now())
    person = User.objects.create_superuser("mara", "mara@desk.example", "not a real password")
    history = History(template, person)
    grow_orders(template, 0, ORDERS)
    grow_numbers(template, 0, ORDERS)
    history.grow(0, ORDERS)
    # Most of what needs somebody is somebody else's, and most of what is nobody's is done.
    other = User.objects.create(username="tom")
    half = WorkItem.objects.alias(odd=F("pk") % 2).filter(bucket="done", odd=1)
    half.update(bucket="us", rank=100)
    living = WorkItem.objects.filter(bucket__in=WorkItem.LIVING)
    living.alias(rest=F("pk") % 50).exclude(rest=0).update(assignee=other)
    SinchProject.objects.create(name="Birch", project_id="birch", key_id="k", key_secret="s")
    with connection.cursor() as cursor:
        tidy(cursor)
        for model in GROWN:
            cursor.execute(f"ANALYZE {model._meta.db_table}")
        # With so few rows PostgreSQL would rather read them all than take an index.
        cursor.execute("SET LOCAL enable_seqscan = off")
    return project, person


def tidy(cursor: Any, model: type[Model] = WorkItem) -> None:
    """Leave the versions of before an update out: no vacuum runs within a transaction."""
    table = model._meta.db_table
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    cursor.execute(f"CLUSTER {table} USING {table}_pkey")
    cursor.execute(f"ANALYZE {table}")


class Explained:
    """Has each question explained as it is asked, and keeps how many rows were looked at."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str, str]] = []

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, *more: Any) -> Any:
        """Explain a question, then ask it."""
        if sql.lstrip().startswith("SELECT") and " FOR " not in sql:
            with connection.cursor() as cursor:
                cursor.cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)
                (plan,) = cursor.cursor.fetchone()
            root = (plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]
            self.found += [(_looked_at(n), n.get("Relation Name", ""), sql) for n in _nodes(root)]
        return execute(sql, params, *more)

    def worst(self) -> tuple[int, str, str]:
        """Return how many rows the greediest part of any question looked at, where, and it."""
        return max(self.found)


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)


def _looked_at(node: dict[str, Any]) -> int:
    if "Relation Name" not in node:
        return 0
    thrown = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + thrown) * node["Actual Loops"])


PAGES = {
    "home": ("work:home", "", ()),
    "the list": ("work:list", "", ()),
    "what needs us": ("work:list", "?bucket=us", ()),
    "an order": ("orders:detail", "", (FIRST_KEY + 77,)),
    "a new order": ("orders:create", "", ()),
    "activations": ("orders:activations", "", ()),
    "portability": ("orders:portability", "", ()),
    "a new hosting order": ("hosting:choose", "", ()),
    "imported numbers": ("hosting:imported_numbers", "", ()),
    "imported numbers by name": ("hosting:imported_numbers", "?q=back+office", ()),
    "imported numbers being worked on": ("hosting:imported_numbers", "?show=settling", ()),
    "imported numbers far down": (
        "hosting:imported_numbers",
        f"?after=%2B12000100000.{FIRST_KEY + 2702}",
        (),
    ),
    "qualified numbers": ("hosting:qualified_numbers", "", ()),
    "how complete hosting is": ("hosting:overview", "", ()),
    "webhooks": ("webhooks:log", "", ()),
    "webhooks of hosting": ("webhooks:log", "?kind=hosting", ()),
    "webhooks of an event": ("webhooks:log", "?q=no+such+event", ()),
    "health": ("health", "", ()),
}


@pytest.mark.parametrize("own", [True, False])
def test_home_does_not_look_through_all_that_waits_for_one_person_or_for_anybody(old_desk, own):
    _, person = old_desk
    WorkItem.objects.filter(bucket__in=WorkItem.HOME).update(assignee=person if own else None)
    client, explained = Client(), Explained()
    client.force_login(person)
    with connection.cursor() as cursor:
        tidy(cursor)
    for query in ("", "?who=team"):
        context.forget(person)
        with connection.execute_wrapper(explained):
            assert client.get(reverse("work:home") + query).status_code == 200
    rows, table, sql = explained.worst()
    assert rows <= MOST_LOOKED_AT, f"{rows} rows of {table}: {sql}"


def test_verified_numbers_of_one_project_are_not_looked_through_for_another(old_desk):
    project, person = old_desk
    QualifiedNumber.objects.bulk_create(
        QualifiedNumber(
            project=project,
            phone_number=data.phone(901, n),
            state="VERIFIED",
            fetched_at=timezone.now(),
        )
        for n in range(2 * MOST_LOOKED_AT)
    )
    client, explained = Client(), Explained()
    client.force_login(person)
    with connection.cursor() as cursor:
        tidy(cursor, QualifiedNumber)
    with connection.execute_wrapper(explained):
        assert client.get(reverse("hosting:qualified_numbers")).status_code == 200
    rows, table, sql = explained.worst()
    assert rows <= MOST_LOOKED_AT, f"{rows} rows of {table}: {sql}"


@pytest.mark.parametrize("campaign", ["", "C3O8OGA"])
def test_finished_hosting_orders_are_not_looked_through_for_the_living_ones_of_a_walk(
    old_desk, hosting_client, campaign
):
    project, person = old_desk
    where = {"servicePlanId": "plan-a", "campaignId": campaign}
    finished = {"hostingOrderId": "finished", "state": "COMPLETED", **where}
    one = sync_hosting.store_reading(project, finished, timezone.now()).order
    beside = {"id": f"{2 * FIRST_KEY} + n", "sinch_id": "'finished' || n"}
    grow(one.item, beside | {"target_pk": beside["id"]}, 0, 2 * MOST_LOOKED_AT)
    grow(one, beside | {"item_id": beside["id"]}, 0, 2 * MOST_LOOKED_AT)
    living = {"hostingOrderId": "living", "state": "SUBMITTED", **where}
    sync_hosting.store_reading(project, living, timezone.now())
    client, explained = Client(), Explained()
    client.force_login(person)
    with connection.cursor() as cursor:
        tidy(cursor, HostingOrder)
    with connection.execute_wrapper(explained):
        overview.want_walks(project)
        overview.walk_pair(hosting_client, Combination.objects.get(), timezone.now())
        assert client.get(reverse("hosting:overview")).status_code == 200
    rows, table, sql = explained.worst()
    assert rows <= MOST_LOOKED_AT, f"{rows} rows of {table}: {sql}"
    wanted = Reading.objects.filter(kind=sync_hosting.ORDER_READER)
    assert list(wanted.values_list("resource_id", flat=True)) == ["living"]


@pytest.mark.parametrize("page", PAGES)
def test_no_page_looks_through_what_is_finished(old_desk, page):
    _, person = old_desk
    name, query, args = PAGES[page]
    client, explained = Client(), Explained()
    client.force_login(person)
    context.forget(person)
    with connection.execute_wrapper(explained):
        assert client.get(reverse(name, args=args) + query).status_code == 200
    rows, table, sql = explained.worst()
    assert rows <= MOST_LOOKED_AT, f"{rows} rows of {table}: {sql}"


def test_no_round_of_the_workers_looks_through_what_is_finished(old_desk):
    project, _ = old_desk
    explained = Explained()
    with connection.execute_wrapper(explained):
        assert not readings.run_one()
        assert not runner.run_one()
        assert not portability.run_one()
        assert not dispatch.process_some()
        retention.purge_some()
        health.checked()
        sync.store_port_in_order(project, data.order(2, 2), fetched_at=timezone.now())
    rows, table, sql = explained.worst()
    assert rows <= MOST_LOOKED_AT, f"{rows} rows of {table}: {sql}"
