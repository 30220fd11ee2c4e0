"""Figure 9: the lists with a million orders and five million numbers, beside those of a thousand.

The first thousand are kept in a schema of their own, so that both are looked at in turn: on a
machine that is slower in one minute than in another, one after the other would compare minutes.
The other pages are looked at likewise, with everything that so many orders leave behind.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count

from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from benchmarks import data
from benchmarks.grown import FIRST_KEY, History, columns_of, grow, settle
from benchmarks.result import Figure, medians
from orders import sync
from orders.models import PortInNumber, PortInOrder
from portal.accounts.models import SinchProject, User
from portal.work import context
from portal.work.filters import SORTS
from portal.work.models import WorkItem

NUMBERS = 5
SMALL = 1_000
FEW = "few"  # the schema of the first thousand
# Every view has a full page of rows even with a thousand orders: what differs is what lies behind.
BUCKET = """CASE WHEN n % 100 < 6 THEN 'ready' WHEN n % 100 < 12 THEN 'us'
    WHEN n % 100 < 18 THEN 'date' WHEN n % 100 < 26 THEN 'wait' WHEN n % 100 < 90 THEN 'done'
    ELSE 'ended' END"""
# Orders that the searches find: 67 among the first thousand, the same ones however many there are.
FOUND = f"n % 15 = 0 AND n < {SMALL}"
ORDERS = (WorkItem, PortInOrder, PortInNumber)
GROWN = (*ORDERS, *History.models)


def grow_orders(template: PortInOrder, begin: int, end: int) -> None:
    """Add the orders `begin` to before `end`, without their numbers."""
    key = f"{FIRST_KEY} + n"
    word = f"CASE WHEN {FOUND} THEN ' harborview' ELSE '' END"
    grow(
        template.item,
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
        begin,
        end,
    )
    grow(
        template,
        {"id": key, "item_id": key, "sinch_id": "(50000000 + n)::text"},
        begin,
        end,
    )


def grow_numbers(template: PortInOrder, begin: int, end: int) -> None:
    """Add the numbers of the orders `begin` to before `end`."""
    other = f"(2000000000 + (n * {NUMBERS}::bigint + t.position) * 797 % 4999999000)::text"
    found = "'777' || lpad(n::text, 3, '0') || '0142'"
    serial = f"CASE WHEN {FOUND} AND t.position = 0 THEN {found} ELSE {other} END"
    grow(
        template.numbers.all()[0],
        {
            "id": f"{FIRST_KEY} + n * {NUMBERS}::bigint + t.position",
            "order_id": f"{FIRST_KEY} + n",
            "phone_number": f"'+1' || ({serial})",
            "reversed_digits": f"reverse('1' || ({serial}))",
        },
        begin,
        end,
        which=f"t.order_id = {template.pk}",
    )


def _tables() -> list[str]:
    return [model._meta.db_table for model in GROWN]


def _keep() -> None:
    """Copy what there is into the schema FEW, with all indexes."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {FEW}")
        for table in _tables():
            kept = f"{FEW}.{table}"
            cursor.execute(f"CREATE TABLE {kept} (LIKE {table} INCLUDING ALL)")
            names = ", ".join(f'"{name}"' for name in columns_of(table))
            cursor.execute(f"INSERT INTO {kept} ({names}) SELECT {names} FROM {table}")  # noqa: S608
            # What is added there later takes keys that are free.
            cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [kept])
            if sequence := cursor.fetchone()[0]:
                cursor.execute("SELECT setval(%s, %s)", [sequence, FIRST_KEY // 2])
    settle(f"{FEW}.{table}" for table in _tables())


def _turn_to(path: str) -> None:
    """Let what follows look into these schemas; whatever it finds in the first hides the rest."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('search_path', %s, false)", [path])


Ways = Mapping[str, Callable[[], object]]


def _lists(client: Client, count_of: int) -> Ways:
    """Return each way to look at the list of so many orders."""
    assert WorkItem.objects.filter(pk__gte=FIRST_KEY).count() == count_of
    place = int(count_of * 0.7)
    deep = WorkItem.objects.filter(rank__gte=800).order_by("urgency", "id")[place : place + 1].get()
    queries = {
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
    return {name: partial(_look, client, there + query) for name, query in queries.items()}


def _pages(client: Client, person: User, project: SinchProject) -> Ways:
    """Return the other pages, each with its frame counted anew, and a new order being stored."""
    addresses = {
        "home": reverse("work:home"),
        "order": reverse("orders:detail", args=[FIRST_KEY + 77]),
        "new order": reverse("orders:create"),
        "portability": reverse("orders:portability"),
        "imported numbers": reverse("hosting:imported_numbers"),
        "qualified numbers": f"{reverse('hosting:qualified_numbers')}?state=us",
        "webhooks": reverse("webhooks:log"),
        "health": reverse("health"),
    }
    numbers = count(1)

    def look(address: str) -> None:
        context.forget(person)
        _look(client, address)

    def store() -> None:
        order = data.order(950_000 + next(numbers), NUMBERS)
        sync.store_port_in_order(project, order, fetched_at=timezone.now())

    return {name: partial(look, url) for name, url in addresses.items()} | {"storing one": store}


def _look(client: Client, address: str) -> None:
    """Ask for a page; a single hit leads to its page."""
    answer = client.get(address)
    assert answer.status_code in (200, 302), (address, answer)


def _load_in_bulk() -> None:
    """Let this session load as one does in bulk: nothing is lost but a run of the benchmark."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0; SET synchronous_commit = off")


def _seconds_to_leave(history: History, begin: int, end: int) -> float:
    """Add what some orders leave behind, in a session of its own; return how long it took."""
    begun = time.perf_counter()
    _load_in_bulk()
    history.grow(begin, end)
    connection.close()
    return time.perf_counter() - begun


def lists(quick: bool, orders: int) -> list[Figure]:
    """Median with many orders ÷ with a thousand: of each way to look at the list, of pages."""
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
    _load_in_bulk()
    history = History(template, person, one_in=5)
    for some in (grow_orders, grow_numbers):
        some(template, 0, SMALL)
    history.grow(0, SMALL)
    _keep()
    begun = time.perf_counter()
    grow_orders(template, SMALL, orders)
    with ThreadPoolExecutor(1) as beside:
        left = beside.submit(_seconds_to_leave, history, SMALL, orders)
        grow_numbers(template, SMALL, orders)
        made = time.perf_counter() - begun
    settle(_tables())
    few, many = f"{FEW}, public", "public"
    listed: dict[tuple[str, str], Callable[[], object]] = {}
    paged: dict[tuple[str, str], Callable[[], object]] = {}
    for path, how_many in ((few, SMALL), (many, orders)):
        _turn_to(path)
        listed[path, ""] = paged[path, ""] = partial(_turn_to, path)
        listed |= {(path, name): look for name, look in _lists(client, how_many).items()}
        paged |= {(path, name): look for name, look in _pages(client, person, project).items()}
    by_list = _ratios(medians(listed, rounds), few, many)
    by_page = _ratios(medians(paged, rounds), few, many)
    with connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        # A new connection in between would have looked at the many in either turn.
        assert cursor.fetchone() == (many,)
    return [
        Figure(
            9,
            f"list p50 with {orders:,} orders ÷ with {SMALL:,}",
            f"{_said(by_list)}; {orders * NUMBERS:,} numbers made in {made:.0f} s",
            "≤ 1.3 each",
            max(by_list.values()) <= 1.3,
        ),
        Figure(
            9,
            f"other pages, with all that {orders:,} orders leave behind ÷ with {SMALL:,}",
            f"{_said(by_page)}; made in {left.result():.0f} s beside the numbers",
            "≤ 2 each: counts go up to 1,000",
            max(by_page.values()) <= 2,
        ),
    ]


def _ratios(taken: Mapping[tuple[str, str], float], few: str, many: str) -> dict[str, float]:
    return {
        name: taken[many, name] / seconds
        for (path, name), seconds in taken.items()
        if path == few and name
    }


def _said(ratios: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
