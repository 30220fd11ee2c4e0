"""Figure 11: the page of an order with 500 numbers, beside a plain template of the same columns."""

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from benchmarks import data
from benchmarks.result import Figure, medians
from hosting import sync as hosting_sync
from hosting.models import HostingNumber, HostingOrder
from orders import sync
from orders.models import PortInNumber, PortInOrder
from portal.accounts.models import SinchProject, User

NUMBERS, FIRST = 500, 100


def plain(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """Show the numbers of an order as a plain template does: one query, one row each."""
    rows = (PortInNumber if kind == "port_in" else HostingNumber).objects.filter(order=pk)
    return render(request, f"benchmarks/{kind}.html", {"numbers": rows.order_by("pk")})


def _hosting_numbers() -> list[dict[str, object]]:
    """Return 500 numbers as Sinch describes them: most done, some failed, some under way."""
    found = []
    for place in range(NUMBERS):
        state = "FAILED" if place % 50 == 0 else "IN_PROGRESS" if place % 10 == 0 else "DONE"
        block = {"state": state, "errorCode": "60135", "errorMessage": "Held elsewhere"}
        done = {"state": "DONE"}
        found.append(
            {
                "phoneNumber": data.phone(900, place),
                "osrUpdate": done,
                "platformProvisioning": done,
                "campaignProvisioning": {"state": state},
                "smsAtt": done,
                "smsTmo": block if state == "FAILED" else {"state": state},
                "mmsAtt": done,
                "mmsTmo": {"state": state},
            }
        )
    return found


def large(quick: bool) -> list[Figure]:
    """Time of the whole page ÷ of the plain one; of the first rows ÷ of all; size; statements."""
    project = SinchProject.objects.create(
        name="Large", project_id="large", key_id="k", key_secret="s"
    )
    now = timezone.now()
    port_in = sync.store_port_in_order(project, data.order(11, NUMBERS), fetched_at=now)
    # The same pages of orders that have no more than the first rows, and of one number: what a
    # page cannot get below that neither reads nor reckons with what it does not show.
    few = sync.store_port_in_order(project, data.order(13, FIRST), fetched_at=now)
    small = sync.store_port_in_order(project, data.order(12, 1), fetched_at=now)
    order = {
        "displayName": "Bench",
        "state": "IN_PROGRESS",
        "type": "TYPE_TEXT_ENABLE",
        "servicePlanId": "plan",
        "campaignId": "CBENCH1",
    }
    numbers = _hosting_numbers()
    hosting, few_hosting, small_hosting = (
        hosting_sync.store_reading(
            project,
            {**order, "hostingOrderId": f"bench-{len(some)}"},
            now,
            numbers=some,
            report={"total": len(some)},
        ).order
        for some in (numbers, numbers[:FIRST], numbers[-1:])
    )
    person = User.objects.create_superuser("pages", "pages@desk.example", "not a real password")
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(person)
    rounds = 9 if quick else 31
    return [
        _compared(client, rounds, "port-in", "port_in", port_in, few, small),
        _compared(client, rounds, "hosting", "hosting", hosting, few_hosting, small_hosting),
    ]


def _compared(
    client: Client,
    rounds: int,
    name: str,
    kind: str,
    order: PortInOrder | HostingOrder,
    few: PortInOrder | HostingOrder,
    small: PortInOrder | HostingOrder,
) -> Figure:
    path, view = order.get_absolute_url(), "view=rows" if kind == "port_in" else ""
    every, first = f"{path}?rows=all&{view}", f"{path}?{view}"
    pages = {
        "whole": every,
        "first": first,
        # Digits that no number has: the page without a row.
        "none": f"{first}&{'q' if kind == 'port_in' else 'n'}=987654321",
        "few": f"{few.get_absolute_url()}?{view}",
        "one": f"{small.get_absolute_url()}?{view}",
        "plain": reverse("bench-plain", args=[kind, order.pk]),
        # An order that is not there: what signing in and the frame cost any page.
        "frame": reverse("bench-plain", args=[kind, 0]),
    }
    taken = medians({key: lambda url=url: client.get(url) for key, url in pages.items()}, rounds)
    with CaptureQueriesContext(connection) as queries:
        whole = len(client.get(every).content)
        statements = len(queries)
    begun = len(client.get(first).content)
    ratio, share = taken["whole"] / taken["plain"], taken["first"] / taken["whole"]
    rest = ", ".join(
        f"{words} {taken[key] / taken['whole']:.2f}"
        for key, words in (
            ("none", "no row shown"),
            ("few", f"an order of {FIRST} numbers"),
            ("one", "an order of one number"),
            ("frame", "an empty page"),
        )
    )
    rows = (taken["first"] - taken["none"]) / (taken["whole"] - taken["none"])
    return Figure(
        11,
        f"{name} order page, {NUMBERS} numbers: whole ÷ plain; first rows ÷ whole",
        f"{ratio:.2f} ({taken['whole'] * 1000:.0f} ms, {whole / 1024:.0f} kB, "
        f"{statements} statements); {share:.2f} ({taken['first'] * 1000:.0f} ms, "
        f"{begun / 1024:.0f} kB; {rest}; the rows alone {rows:.2f})",
        "≤ 1.3; ≤ 0.35",
        ratio <= 1.3 and share <= 0.35,
    )
