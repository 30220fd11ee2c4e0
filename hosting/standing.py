"""Where a hosting order stands: the facts its bucket depends on, and what the lists show of it.

A part of `hosting.sync`: it writes work items, and nothing of the mirror.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db import transaction
from django.db.models import Case, JSONField, OuterRef, QuerySet, TextField, Value, When
from django.db.models.functions import Cast, JSONObject, NullIf
from django.utils import timezone

from hosting import buckets, facts, wire
from hosting.models import STEPS, HostingMark, HostingNumber, HostingOrder, Verdict
from portal.operations.models import Operation
from portal.prepared import Prepared
from portal.work import items, standing, verdicts
from portal.work.models import WorkItem


@dataclass
class Row:
    """One number of an order as it is stored."""

    position: int
    payload: Mapping[str, Any]
    since: datetime
    codes: Mapping[str, str] = field(default_factory=dict)
    read_at: datetime | None = None  # when it was read by itself

    @property
    def is_unseen(self) -> bool:
        """Whether it was sent and Sinch has never shown it yet."""
        return self.payload.keys() == {"phoneNumber"}

    @property
    def steps(self) -> wire.StepFacts:
        """Its steps."""
        return wire.read_steps(self.payload)


def rows_of(order: HostingOrder) -> dict[str, Row]:
    """Return the numbers of an order as they are stored, in their order; one statement."""
    rows = order.numbers.order_by("position").values_list(
        "phone_number", "position", "payload", "status_since", "failure_codes", "read_at"
    )
    return {phone: Row(*rest) for phone, *rest in rows}


def moved_rows(order: OuterRef) -> ArraySubquery:
    """Return the numbers of the orders that move numbers of an order over, as JSON."""
    moved = HostingNumber.objects.filter(order__follows=order).order_by()
    how_far = JSONObject(n="phone_number", v="verdict", s="order__state", g="order__gone_at")
    return ArraySubquery(moved.values(json=how_far))


def items_of_orders() -> QuerySet[WorkItem]:
    """Return work items with everything beside the numbers that a bucket depends on."""
    order = OuterRef("target_pk")
    writes = Operation.objects.filter(hosting_drafts__follows=order)
    decided = HostingMark.objects.filter(order=order)
    return (
        WorkItem.objects.filter(kind=WorkItem.Kind.HOSTING)
        .select_related("project")
        .defer("search", "project__key_secret")
        .annotate(
            write_rows=standing.write_rows(writes),
            mark_rows=standing.mark_rows(decided),
            moved_rows=moved_rows(order),
        )
    )


_item = Prepared(lambda pk: items_of_orders().filter(pk=pk))


def item_of(pk: int) -> Any:
    """Return the work item of an order with what `items_of_orders` says; DoesNotExist."""
    return _item.get(pk)


def facts_with(
    item: Any, order: HostingOrder, numbers: Iterable[facts.Number], progress_at: datetime
) -> facts.Facts:
    """Return the facts of an order from what was loaded; `item` has its writes and marks."""
    moved = getattr(item, "moved_rows", [])
    return facts.Facts(
        status=order.state,
        progress_at=progress_at,
        state_since=order.state_since,
        order_type=order.order_type,
        is_toll_free=order.is_toll_free,
        signer=order.signer_name,
        signer_email=order.signer_email,
        scheduled_at=order.scheduled_at,
        needs_signature=order.loa in (HostingOrder.Loa.DIRECT, HostingOrder.Loa.RESELLER),
        manual=int(order.report.get("ongoingManualAction") or 0),
        report_since=order.report_since,
        is_read=order.numbers_read_at is not None,
        default_zone=item.project.default_port_time_zone,
        days_off=frozenset(item.project.extra_days_off),
        gone_at=order.gone_at,
        numbers=tuple(numbers),
        writes=[
            verdicts.Write(**standing.write_values(row)) for row in getattr(item, "write_rows", [])
        ],
        marks=standing.marks_of(getattr(item, "mark_rows", [])),
        migrated=frozenset(
            row["n"] for row in moved if row["s"] == facts.COMPLETED and row["v"] == Verdict.DONE
        ),
        migrating=frozenset(row["n"] for row in moved if _is_moving(row)),
    )


def _is_moving(row: Mapping[str, Any]) -> bool:
    """Tell whether an order is about to move a number; COMPLETED, it need not have yet."""
    is_open = row["s"] == facts.COMPLETED and row["v"] == Verdict.PENDING
    return row["g"] is None and (is_open or row["s"] not in facts.FINISHED)


def number_facts(
    phone: str, payload: Mapping[str, Any], since: datetime, codes: Mapping[str, str]
) -> facts.Number:
    """Return what the verdict needs of a number, from its JSON and the codes of callbacks."""
    steps = wire.read_steps(payload)
    return facts.Number(phone, steps.steps, since, steps.errors, codes)


def numbers_of(order: HostingOrder) -> list[facts.Number]:
    """Return the numbers of an order from their columns; one statement.

    The JSON of a number is read only where it tells of an error.
    """
    found: dict[str, datetime] = {}
    numbers = []
    for phone, since, codes, told, *states in _numbers.all(order.pk):
        if since not in found:
            found[since] = datetime.fromisoformat(since)
        steps = dict(zip(_COLUMNS, states, strict=True))
        errors = wire.read_steps(told).errors if told else {}
        numbers.append(facts.Number(phone, steps, found[since], errors, codes or {}))
    return numbers


_COLUMNS = tuple(STEPS.values())
_numbers = Prepared(
    lambda order: (
        HostingNumber.objects.filter(order=order)
        .order_by("position")
        .alias(said=Cast("payload", TextField()))
        .annotate(
            told=Case(When(said__contains='"error', then="payload")),
            codes=NullIf("failure_codes", Value({}, JSONField())),
            # As text, which is told apart and turned into a moment once for all that share it.
            since=Cast("status_since", TextField()),
        )
        .values_list("phone_number", "since", "codes", "told", *_COLUMNS)
    )
)


def store_item(
    item: Any,
    order: HostingOrder,
    rows: Mapping[str, Row],
    *,
    progress_at: datetime | None = None,
    is_visible: bool = False,
) -> bool:
    """Write what the lists show of an order; `is_visible` when more than that has changed."""
    numbers = [number_facts(phone, r.payload, r.since, r.codes) for phone, r in rows.items()]
    known = facts_with(item, order, numbers, progress_at or item.waiting_since)
    verdict = buckets.work_out(known, timezone.now())
    parts = Counter(
        "done" if n.phone_number in known.migrated else _PARTS[n.verdict] for n in known.numbers
    )
    day = None
    if order.scheduled_at is not None:
        day = order.scheduled_at.astimezone(known.time_zone).date()
    values = {
        "sinch_id": order.sinch_id,
        "reference": order.display_name[:100],
        "end_user": order.business_name,
        "carriers": order.voice_carrier,
        "status": order.state,
        "live_count": parts["done"],
        "counted": len(known.numbers),
        "parts": [[tone, parts[tone]] for tone in ("done", "bad", "wait") if parts[tone]],
        "requested_date": day,
        "foc_date": day,
        "waiting_since": known.progress_at,
    }
    is_saved = items.save_item(item, values | verdict.as_values(), words_of(item, order, values))
    if not is_saved and is_visible:
        items.touch(item.pk)
    return is_saved


_PARTS = {"done": "done", "failed": "bad", "pending": "wait"}


def words_of(item: WorkItem, order: HostingOrder, values: Mapping[str, Any]) -> str | None:
    """Return the text that search looks in; None when it is the same as before."""
    same = all(
        getattr(item, name) == values[name] for name in ("reference", "end_user", "carriers")
    )
    if item.pk is not None and same:
        return None
    found = (
        order.sinch_id,
        order.display_name,
        order.business_name,
        order.signer_name,
        order.voice_carrier,
        order.service_plan_id,
        order.campaign_id,
    )
    return " ".join(filter(None, found))


def facts_of(order: HostingOrder) -> facts.Facts:
    """Return what the bucket of an order depends on, as the rows say now."""
    item = item_of(order.item_id)
    return facts_with(item, order, numbers_of(order), item.waiting_since)


def recompute(order: HostingOrder) -> bool:
    """Work out the bucket again, as time has passed or something was decided; True if it moved."""
    with transaction.atomic(savepoint=False):
        locked = HostingOrder.objects.select_for_update().order_by().get(pk=order.pk)
        return store_item(item_of(locked.item_id), locked, rows_of(locked))


def wake(order_pk: int) -> None:
    """Have the bucket of an order worked out at the next beat; its row is not touched here."""
    standing.wake(WorkItem.Kind.HOSTING, order_pk)


def recompute_due(now: datetime, limit: int = 200) -> int:
    """Work out the buckets that time has moved; return how many were looked at."""
    return standing.recompute_due(WorkItem.Kind.HOSTING, HostingOrder, recompute, now, limit)
