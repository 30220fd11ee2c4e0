"""Figure 9: the list with a million orders and five million numbers, beside one of a thousand.

The rows are made by PostgreSQL itself from one real order, which is faster than copying them in.
The first thousand are kept in a schema of their own, so that both lists are looked at in turn: on a
machine that is slower in one minute than in another, one after the other would compare minutes.
"""

import os
import time
from collections.abc import Callable
from functools import partial

from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from benchmarks import data
from benchmarks.result import Figure, medians
from orders import sync
from orders.models import PortInNumber, PortInOrder
from portal.accounts.models import SinchProject, User
from portal.work.filters import SORTS
from portal.work.models import WorkItem

NUMBERS = 5
SMALL = 1_000
FEW = "few"  # the schema of the first thousand
FIRST_KEY = 10_000_000
# Every view has a full page of rows even with a thousand orders: what differs is what lies behind.
BUCKET = """CASE WHEN n % 100 < 6 THEN 'ready' WHEN n % 100 < 12 THEN 'us'
    WHEN n % 100 < 18 THEN 'date' WHEN n % 100 < 26 THEN 'wait' WHEN n % 100 < 90 THEN 'done'
    ELSE 'ended' END"""
# Orders that the searches find: 67 among the first thousand, the same ones however many there are.
FOUND = f"n % 15 = 0 AND n < {SMALL}"


def _grow(table: str, changes: dict[str, str], rows: str) -> None:
    """Insert a changed copy of the one row `t` for each row of `rows`."""
    columns = _columns(table)
    quoted = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(changes.get(name, f't."{name}"') for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({quoted}) SELECT {values} FROM {rows}")  # noqa: S608


def _columns(table: str) -> list[str]:
    """Return the columns of a table that are written."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position",
            [table],
        )
        return [name for (name,) in cursor.fetchall()]


def grow(template: PortInOrder, begin: int, end: int) -> float:
    """Add the orders `begin` to `end` with their numbers; return the seconds it took."""
    begun = time.perf_counter()
    orders, items, numbers = (
        model._meta.db_table for model in (PortInOrder, WorkItem, PortInNumber)
    )
    series = f"generate_series({begin}, {end - 1}) AS s(n)"
    key = f"{FIRST_KEY} + n"
    with connection.cursor() as cursor:
        # As with any bulk load: nothing is lost but a run of the benchmark.
        cursor.execute("SET statement_timeout = 0; SET synchronous_commit = off")
    word = f"CASE WHEN {FOUND} THEN ' harborview' ELSE '' END"
    _grow(
        items,
        {
            "id": key,
            "target_pk": key,
            "sinch_id": "(50000000 + n)::text",
            "reference": "'BENCH-' || lpad(n::text, 8, '0')",
            "end_user": "'Bench Company ' || n || ' LLC'",
            "bucket": BUCKET,
            "rank": f"CASE {BUCKET} WHEN 'us' THEN 100 WHEN 'ready' THEN 50 ELSE 800 END + n % 40",
            "foc_date": "CASE WHEN n % 4 > 0 THEN current_date + n % 90 END",
            "status": "CASE WHEN n % 100 < 20 THEN 'PENDING' ELSE 'COMPLETED' END",
            "changed_at": "t.changed_at - n * interval '1 second'",
            "search": f"to_tsvector('simple', 'bench' || n || {word})",
        },
        f"{items} t, {series} WHERE t.id = {template.item_id}",
    )
    _grow(
        orders,
        {"id": key, "item_id": key, "sinch_id": "(50000000 + n)::text"},
        f"{orders} t, {series} WHERE t.id = {template.pk}",
    )
    other = f"(2000000000 + (n * {NUMBERS}::bigint + t.position) * 797 % 4999999000)::text"
    found = "'777' || lpad(n::text, 3, '0') || '0142'"
    serial = f"CASE WHEN {FOUND} AND t.position = 0 THEN {found} ELSE {other} END"
    _grow(
        numbers,
        {
            "id": f"{FIRST_KEY} + n * {NUMBERS}::bigint + t.position",
            "order_id": key,
            "phone_number": f"'+1' || ({serial})",
            "reversed_digits": f"reverse('1' || ({serial}))",
        },
        f"{numbers} t, {series} WHERE t.order_id = {template.pk}",
    )
    took = time.perf_counter() - begun
    _settle(orders, items, numbers)
    return took


def _settle(*tables: str) -> None:
    """Do what PostgreSQL does by itself after a bulk load, before anything is measured."""
    with connection.cursor() as cursor:
        for statement in ("CHECKPOINT", *(f"VACUUM ANALYZE {table}" for table in tables)):
            cursor.execute(statement)
    os.sync()


def _keep() -> None:
    """Copy the orders there are into the schema FEW, with all indexes."""
    tables = [model._meta.db_table for model in (PortInOrder, WorkItem, PortInNumber)]
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {FEW}")
        for table in tables:
            kept = f"{FEW}.{table}"
            cursor.execute(f"CREATE TABLE {kept} (LIKE {table} INCLUDING ALL)")
            names = ", ".join(f'"{name}"' for name in _columns(table))
            cursor.execute(f"INSERT INTO {kept} ({names}) SELECT {names} FROM {table}")  # noqa: S608
    _settle(*(f"{FEW}.{table}" for table in tables))


def _turn_to(path: str) -> None:
    """Let what follows look into these schemas; whatever it finds in the first hides the rest."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('search_path', %s, false)", [path])


def _ways(client: Client, path: str, count: int) -> dict[tuple[str, str], Callable[[], None]]:
    """Return each way to look at the list of so many orders; the first call turns to it."""
    _turn_to(path)
    assert WorkItem.objects.filter(pk__gte=FIRST_KEY).count() == count
    deep = (
        WorkItem.objects.filter(rank__gte=800)
        .order_by("urgency", "id")[int(count * 0.7) : int(count * 0.7) + 1]
        .get()
    )
    ways = {
        "first page": "",
        "deep page": f"?after={SORTS['worst'].written(deep)}&n=500",
        "needs us": "?bucket=us",
        "ready": "?bucket=ready",
        "done": "?bucket=done",
        "pending": "?status=PENDING",
        "nobody's": "?owner=nobody",
        "newest": "?sort=changed",
        "by date": "?sort=date",
        "number prefix": "?q=%2B1777",
        "last 4": "?q=0142",
        "free text": "?q=harborview",
    }
    there = reverse("work:list")
    looks = {(path, name): partial(_look, client, there + query) for name, query in ways.items()}
    return {(path, ""): partial(_turn_to, path), **looks}


def _look(client: Client, address: str) -> None:
    """Ask for the list; a single hit leads to its page."""
    answer = client.get(address)
    assert answer.status_code in (200, 302), (address, answer)


def lists(quick: bool, orders: int) -> list[Figure]:
    """Median of the list with many orders ÷ with a thousand, for each way to look at it."""
    project = SinchProject.objects.create(
        name="Scale", project_id="scale", key_id="k", key_secret="s"
    )
    template = sync.store_port_in_order(
        project, data.order(900_000, NUMBERS), fetched_at=timezone.now()
    )
    person = User.objects.create_superuser("scale", "scale@desk.example", "not a real password")
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(person)
    rounds = 9 if quick else 21
    grow(template, 0, SMALL)
    _keep()
    seconds = grow(template, SMALL, orders)
    few, many = f"{FEW}, public", "public"
    taken = medians({**_ways(client, few, SMALL), **_ways(client, many, orders)}, rounds)
    with connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        # A new connection in between would have looked at the many in either turn.
        assert cursor.fetchone() == (many,)
    ratios = {
        name: taken[many, name] / seconds_few
        for (path, name), seconds_few in taken.items()
        if path == few and name
    }
    worst = max(ratios, key=lambda name: ratios[name])
    said = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
    return [
        Figure(
            9,
            f"list p50 with {orders:,} orders ÷ with {SMALL:,}",
            f"{said}; {orders * NUMBERS:,} numbers made in {seconds:.0f} s",
            "≤ 1.3 each",
            ratios[worst] <= 1.3,
        )
    ]
