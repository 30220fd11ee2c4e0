"""Figure 13: a full sync of 10,000 orders with ten numbers each, beside one bulk upsert.

The orders are at the sandbox, in this process, so that neither a network nor our own pace is
measured.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, models, transaction
from django.test import override_settings
from django.utils import timezone

from benchmarks import data
from benchmarks.result import Figure
from orders import discovery, sync, wire
from orders.models import PortInNumber, PortInOrder
from portal.accounts.models import SinchProject
from portal.operations import clients, readings
from portal.operations.models import Reading
from portal.sandbox import create_app
from portal.sandbox.adapter import SandboxAdapter
from portal.sandbox.app import Sandbox
from portal.sandbox.config import SandboxConfig
from portal.sandbox.wire import Wire
from portal.work.models import TimelineEntry, WorkItem

NUMBERS = 10
PAGE = 1000  # orders in one list page
FIRST = 1_000_000  # of the numbers of data.py, away from those of other figures
LATER = datetime(2100, 1, 1, tzinfo=timezone.get_default_timezone())


@dataclass
class _Rows:
    """What the product keeps of some orders, ready to be written."""

    items: list[WorkItem] = field(default_factory=list)
    orders: list[PortInOrder] = field(default_factory=list)
    numbers: list[PortInNumber] = field(default_factory=list)
    entries: list[TimelineEntry] = field(default_factory=list)


def whole(quick: bool) -> list[Figure]:
    """Requests and time of a sync that finds some changed; time of a first one, by a sample.

    What is changed is among the orders that one bulk upsert has written before; of the others the
    mirror has only what a walk looks at.
    """
    orders, upserted, changed = (2_000, 500, 25) if quick else (10_000, 2_000, 100)
    stored, naive = (60, 40) if quick else (300, 100)
    sandbox = create_app(SandboxConfig(project_id="full", key_id="full", key_secret="secret"))
    ids = _fill(sandbox, orders)
    said = _said(sandbox, ids)
    project = _project("full")
    rows = _rows(project, said[:upserted])
    bulk = _taken(lambda: _upsert(rows)) * orders / upserted
    _upsert(_rows(project, said[upserted:], is_whole=False))
    _follow(project, ids)
    for order_id in ids[: upserted : upserted // changed]:
        sandbox.control.confirm(order_id)
    synced, calls = _synced(project, sandbox)
    pages, reads = calls["getPortInOrders"], calls["getOrderDetails"]
    others = calls.total() - pages - reads - calls["getAccessToken"]
    right = PortInOrder.objects.filter(project=project, status="CONFIRMED").count()
    first, other = _project("first"), _project("row by row")
    taken = _taken(lambda: _store(first, said[:stored])) * orders / stored
    by_row = _taken(lambda: _update_or_create(other, said[:naive])) * orders / naive
    about = f"{orders:,} orders × {NUMBERS} numbers"
    return [
        Figure(
            13,
            f"full sync of {about}, {changed} changed: requests to Sinch; time ÷ one bulk upsert "
            "of all rows",
            f"{pages} list pages, {reads} reads, {others} others, {right} mirrored; "
            f"{synced / bulk:.2f} ({synced:.1f} ÷ {bulk:.1f} s, the latter by {upserted:,} orders)",
            f"≤ {orders // PAGE}, ≤ {changed}; ≤ 4",
            pages <= orders // PAGE
            and reads == right == changed
            and not others
            and synced / bulk <= 4,
        ),
        Figure(
            13,
            f"first sync of {about}: storing ÷ one bulk upsert of the same rows, ready made",
            f"{taken / bulk:.1f} ({taken:.0f} s, by {stored} orders); "
            f"update_or_create {by_row / bulk:.1f} (by {naive})",
            "≤ 4",
            taken / bulk <= 4,
        ),
    ]


def _project(name: str) -> SinchProject:
    return SinchProject.objects.create(
        name=name, project_id=name, key_id="full", key_secret="secret"
    )


def _taken(work: Callable[[], object]) -> float:
    """Return the seconds some work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _fill(sandbox: Sandbox, orders: int) -> list[int]:
    """Make the orders at the sandbox and return their ids."""
    made = []
    with sandbox.state.lock:
        for number in range(FIRST, FIRST + orders):
            told = data.order(number, NUMBERS)
            body = {
                key: told[key]
                for key in ("customerOrderReference", "desiredPortSchedule", "phoneNumbers")
            }
            made.append(sandbox.api.make_order(body, origin="elsewhere").id)
    return made


def _said(sandbox: Sandbox, ids: Iterable[int]) -> list[dict[str, Any]]:
    """Return what the sandbox would answer to a reading of each."""
    tells = Wire(sandbox.state.personality)
    found = [json.loads(json.dumps(tells.order(sandbox.state.orders[key]))) for key in ids]
    return [order | {"id": str(order["id"])} for order in found]


def _values(model: type[models.Model], facts: object) -> dict[str, Any]:
    """Return what was read of an order or a number, by the columns of its model."""
    names = {field.name for field in model._meta.concrete_fields}
    return {name: getattr(facts, name) for name in names if hasattr(facts, name)}


def _keys(count: int) -> list[int]:
    """Return the next keys of orders: a work item names its order before the order is stored."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)",
            [PortInOrder._meta.db_table, count],
        )
        return [key for (key,) in cursor.fetchall()]


def _rows(project: SinchProject, said: Sequence[dict[str, Any]], *, is_whole: bool = True) -> _Rows:
    """Return the rows of orders as the product would write them; if not whole, no numbers."""
    rows, now = _Rows(), timezone.now()
    for pk, payload in zip(_keys(len(said)), said, strict=True):
        facts = wire.read_order(payload)
        item = WorkItem(kind="port_in", project=project, target_pk=pk, **_values(WorkItem, facts))
        order = PortInOrder(
            pk=pk,
            project=project,
            item=item,
            fetched_at=now,
            list_digest=wire.expected_list_digest(facts),
            **_values(PortInOrder, facts),
        )
        rows.items.append(item)
        rows.orders.append(order)
        if not is_whole:
            continue
        order.secrets = wire.order_secrets(payload)
        order.payload = wire.merge_reading({}, wire.redact(payload))
        rows.entries.append(TimelineEntry(item=item, text="Found", fact=TimelineEntry.fact_of(pk)))
        rows.numbers += [
            PortInNumber(
                order=order,
                reversed_digits=number.phone_number.lstrip("+")[::-1],
                losing_carrier=wire.carrier_of_group(number.group),
                **_values(PortInNumber, number),
            )
            for number in facts.numbers
        ]
    return rows


def _upsert(rows: _Rows) -> None:
    """Write the rows, each table at one go."""
    with transaction.atomic():
        WorkItem.objects.bulk_create(rows.items, PAGE)
        for order in rows.orders:
            order.item_id = order.item.pk
        _bulk(PortInOrder, rows.orders, ["project", "sinch_id"])
        _bulk(PortInNumber, rows.numbers, ["order", "phone_number"])
        TimelineEntry.objects.bulk_create(rows.entries, PAGE)


def _bulk(model: Any, rows: Sequence[Any], unique: list[str]) -> None:
    kept = {*unique, "id", "item"}
    changing = [f.name for f in model._meta.concrete_fields if f.name not in kept]
    model.objects.bulk_create(
        rows, PAGE, update_conflicts=True, unique_fields=unique, update_fields=changing
    )


def _follow(project: SinchProject, ids: Iterable[int]) -> None:
    """Note that all of them have been read, as they would have been."""
    now = timezone.now()
    Reading.objects.bulk_create(
        Reading(
            project=project,
            kind=sync.READER,
            resource_id=str(key),
            requested_at=now,
            read_at=now,
            next_try_at=LATER,
        )
        for key in ids
    )


def _synced(project: SinchProject, sandbox: Sandbox) -> tuple[float, Counter[str]]:
    """Walk the list and do every reading it asks for; return the seconds and the requests."""
    clients.mount = lambda transport: transport.mount(SandboxAdapter(sandbox))
    sandbox.state.calls.clear()
    told = logging.getLogger(clients.__name__)
    level = told.level
    told.setLevel(logging.WARNING)  # one line for each request
    begun = time.perf_counter()
    try:
        with override_settings(SINCH_REQUESTS_PER_SECOND=1000):
            discovery.discover(project)
            while readings.run_one():
                pass
        return time.perf_counter() - begun, Counter(sandbox.state.calls)
    finally:
        told.setLevel(level)
        clients.mount = None
        clients.forget_clients()


def _store(project: SinchProject, said: Iterable[dict[str, Any]]) -> None:
    """Store the orders the way readings do."""
    for payload in said:
        sync.store_reading(project, payload, timezone.now(), first_cause="")


def _update_or_create(project: SinchProject, said: Sequence[dict[str, Any]]) -> None:
    """Store the orders the way it is mostly done, row by row; no timeline, no search words."""
    now = timezone.now()
    for pk, payload in zip(_keys(len(said)), said, strict=True):
        facts = wire.read_order(payload)
        with transaction.atomic():
            item, _ = WorkItem.objects.update_or_create(
                kind="port_in",
                target_pk=pk,
                defaults={"project": project, **_values(WorkItem, facts)},
            )
            order, _ = PortInOrder.objects.update_or_create(
                project=project,
                sinch_id=facts.sinch_id,
                defaults={
                    "item": item,
                    "fetched_at": now,
                    "secrets": wire.order_secrets(payload),
                    "payload": wire.redact(payload),
                    **_values(PortInOrder, facts),
                },
            )
            for number in facts.numbers:
                PortInNumber.objects.update_or_create(
                    order=order,
                    phone_number=number.phone_number,
                    defaults={
                        "reversed_digits": number.phone_number.lstrip("+")[::-1],
                        **_values(PortInNumber, number),
                    },
                )
