"""Figures 4, 10 and 12: statements, counted inside this process."""

import re
from datetime import timedelta
from html import unescape

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from benchmarks import data
from benchmarks.result import Figure
from orders import sync
from orders.models import PortInNumber, PortInOrder
from portal.accounts.models import SinchProject, User, WebhookToken


def _project(name: str) -> SinchProject:
    return SinchProject.objects.create(name=name, project_id=name, key_id="k", key_secret="s")


def receiving(quick: bool) -> list[Figure]:
    """Statements for one delivery received, the token being known to the process."""
    path = reverse("webhooks:porting", args=[WebhookToken.make(_project("receiving")).token])
    client = Client(SERVER_NAME="127.0.0.1")
    body = data.webhook(1, 1)
    client.post(path, body, content_type="application/json")
    with CaptureQueriesContext(connection) as queries:
        answer = client.post(path, body, content_type="application/json")
    words = [query["sql"].split()[0].upper() for query in queries.captured_queries]
    return [
        Figure(
            4,
            "statements for one delivery received",
            f"{', '.join(words)}; answered {answer.status_code}",
            "1 INSERT, 0 SELECT",
            words == ["INSERT"] and answer.status_code == 200,
        )
    ]


def storing(quick: bool) -> list[Figure]:
    """Statements to store a reading of an order with 500 numbers, changed and unchanged."""
    project, now = _project("storing"), timezone.now()
    payload = data.order(3, 500)
    sync.store_port_in_order(project, payload, fetched_at=now)
    order = PortInOrder.objects.get(project=project)
    for number in payload["phoneNumbers"]:
        number |= {
            "status": "CONFIRMED",
            "focDate": payload["desiredPortSchedule"]["desiredPortDate"],
        }
    payload["status"] = "CONFIRMED"
    with CaptureQueriesContext(connection) as changed:
        sync.store_port_in_order(project, payload, fetched_at=now + timedelta(minutes=1))
    stored = PortInNumber.objects.filter(order=order, status="CONFIRMED").count()
    with CaptureQueriesContext(connection) as unchanged:
        sync.store_port_in_order(project, payload, fetched_at=now + timedelta(minutes=2))
    numbers_written = sum(
        PortInNumber._meta.db_table in query["sql"]
        and query["sql"].split()[0].upper() in {"INSERT", "UPDATE", "DELETE"}
        for query in unchanged.captured_queries
    )
    return [
        Figure(
            12,
            "store a 500-number reading: statements changed / unchanged",
            f"{len(changed)} / {len(unchanged)}; statements writing numbers when unchanged: "
            f"{numbers_written}; {stored} numbers stored",
            "≤ 8 / ≤ 4, 0 written",
            len(changed) <= 8 and len(unchanged) <= 4 and not numbers_written and stored == 500,
        )
    ]


def pages(quick: bool) -> list[Figure]:
    """Statements of home, list, order page and the poll of an unchanged order page.

    Counted with one small order and again with many and a large one: constant means equal.
    """
    project = _project("pages")
    person = User.objects.create_superuser("bench", "bench@desk.example", "not a real password")
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(person)
    counts: dict[str, list[int]] = {"home": [], "list": [], "order": [], "poll": []}
    for first, orders, quantity in ((10, 1, 5), (100, 60, 20), (500, 1, 500)):
        for number in range(first, first + orders):
            order = sync.store_port_in_order(
                project, data.order(number, quantity), fetched_at=timezone.now()
            )
        order_page = reverse("orders:detail", args=[order.pk])
        poll = re.search(
            rf'hx-get="({order_page}live/[^"]*)"', client.get(order_page).content.decode()
        )
        assert poll, "the order page asks for no news"
        pages = {
            "home": reverse("work:home"),
            "list": reverse("work:list"),
            "order": order_page,
            "poll": unescape(poll[1]),
        }
        for name, path in pages.items():
            client.get(path)  # the session and the counts of the frame are in the cache from here
            with CaptureQueriesContext(connection) as queries:
                answer = client.get(path)
            assert answer.status_code == (204 if name == "poll" else 200), (
                path,
                answer,
            )
            counts[name].append(len(queries))
    goals = {"home": 8, "list": 4, "order": 8, "poll": 1}
    return [
        Figure(
            10,
            f"statements, {name}" + (" of an unchanged page" if name == "poll" else ""),
            " / ".join(map(str, counts[name])) + " with 1 / 61 / 62 orders",
            f"≤ {goal}, constant",
            max(counts[name]) <= goal and len(set(counts[name][1:])) == 1,
        )
        for name, goal in goals.items()
    ]
