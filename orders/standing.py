"""Where an order stands: the facts that its bucket depends on, and what the lists show of it.

A part of `orders.sync`: it writes work items, and nothing of the mirror.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db import transaction
from django.db.models import CharField, OuterRef, QuerySet, Value
from django.db.models.functions import Cast, Concat, JSONObject
from django.utils import timezone

from orders import buckets, marks, wire
from orders.models import (
    OrderDocument,
    OrderMark,
    OrderNote,
    PortInNumber,
    PortInOrder,
)
from portal.operations import heard
from portal.operations.models import Operation
from portal.prepared import Prepared
from portal.values import stored_moment
from portal.work import items, standing
from portal.work.models import WorkItem

CANCEL, ACTIVATE = "port_in.cancel", "port_in.activate"


class Rows:
    """What hangs on an order beside Sinch's JSON, as far as its bucket and diff need it."""

    def __init__(self) -> None:
        self.since: dict[str, datetime] = {}
        self.carriers: dict[str, str] = {}
        self.carriers_before: dict[str, str] = {}
        self.refused_before: dict[str, list[str]] = {}
        self.notes: list[dict[str, Any]] = []
        self.documents: list[dict[str, Any]] = []
        self.writes: list[dict[str, Any]] = []
        self.marks: list[marks.Mark] = []
        self.taken_up: frozenset[str] = frozenset()

    @classmethod
    def of(cls, item: Any) -> "Rows":
        """Return the rows that `items_of_orders` has put on a work item."""
        rows = cls()
        for row in item.number_rows:
            rows.since[row["n"]] = stored_moment(row["s"]) or datetime.min.replace(tzinfo=UTC)
            rows.carriers[row["n"]] = row["c"]
            rows.refused_before[row["n"]] = row["r"]
        rows.carriers_before = dict(rows.carriers)
        rows.notes = [
            row | {"at": stored_moment(row["at"]), "seen": stored_moment(row["seen"])}
            for row in item.note_rows
        ]
        rows.documents = list(item.document_rows)
        rows.writes = list(item.write_rows)
        rows.marks = list(standing.marks_of(item.mark_rows))
        rows.taken_up = frozenset(item.taken_up)
        return rows

    @property
    def is_cancel_ours(self) -> bool:
        """Whether somebody here asked for the cancelation.

        One that failed counts as long as nobody has put it away: its first try may have got
        through, and the second been refused for that.
        """
        failed = (Operation.State.REFUSED, Operation.State.DEAD)
        return any(
            row["kind"] == CANCEL and (row["state"] not in failed or row["seen"] is None)
            for row in self.writes
        )

    @property
    def has_activations(self) -> bool:
        """Whether there are activations, the payload of which has to be looked at."""
        return any(row["kind"] == ACTIVATE for row in self.writes)


def _writes() -> QuerySet[Operation]:
    target = Concat(Value("port_in:"), Cast(OuterRef("target_pk"), CharField()))
    return Operation.objects.filter(target=target)


def items_of_orders() -> QuerySet[WorkItem]:
    """Return work items with everything that a bucket depends on, in one statement."""
    order = OuterRef("target_pk")
    numbers = PortInNumber.objects.filter(order=order).order_by("position")
    notes = OrderNote.objects.filter(order=order).order_by("pk")
    documents = OrderDocument.objects.filter(order=order).order_by("pk")
    decided = OrderMark.objects.filter(order=order)
    return (
        WorkItem.objects.filter(kind=WorkItem.Kind.PORT_IN)
        .select_related("project")
        .defer("search", "project__key_secret")
        .annotate(
            number_rows=ArraySubquery(
                numbers.values(
                    json=JSONObject(
                        n="phone_number", s="status_since", c="losing_carrier", r="refused_before"
                    )
                )
            ),
            note_rows=ArraySubquery(
                notes.values(
                    json=JSONObject(
                        fact="fact",
                        text="text",
                        at="created_at",
                        seen="seen_at",
                        by="created_by",
                        operation="operation_id",
                    )
                )
            ),
            document_rows=ArraySubquery(
                documents.values(
                    json=JSONObject(
                        pk="pk",
                        sinch_id="sinch_id",
                        name="name",
                        kind="kind",
                        operation="operation_id",
                        state="operation__state",
                    )
                )
            ),
            write_rows=standing.write_rows(_writes()),
            mark_rows=standing.mark_rows(decided),
            taken_up=ArraySubquery(taken_up(order).values("phone_number")),
        )
        .order_by()
    )


def taken_up(order: Any) -> QuerySet[PortInNumber]:
    """Return the numbers that later orders have taken up from this one, unless they ended."""
    return (
        PortInNumber.objects.filter(order__follows=order, order__gone_at=None)
        .exclude(order__status=buckets.CANCELED)
        .order_by("position")
    )


_item = Prepared(lambda pk: items_of_orders().filter(pk=pk))
_item_of_pace = Prepared(
    lambda pk: (
        WorkItem.objects.filter(pk=pk)
        .select_related("project")
        .defer("search", "project__key_secret")
        .annotate(write_rows=standing.write_rows(_writes()))
    )
)


def item_of(item_pk: int) -> Any:
    """Return the work item of an order with what `items_of_orders` says; DoesNotExist."""
    return _item.get(item_pk)


def _activation_payloads(order: PortInOrder, rows: Rows) -> dict[int, dict[str, Any]]:
    """Return what activations are about; only of an on-demand order that waits for them.

    One that no key reads is as one that names no groups: it must not keep the order from being
    stored.
    """
    if not (rows.has_activations and order.on_demand_activation):
        return {}
    pks = [row["pk"] for row in rows.writes if row["kind"] == ACTIVATE]
    sent = Operation.objects.filter(pk__in=pks).values_list("pk", heard.SENDS)
    return {pk: sends or {} for pk, sends in sent}


def _facts(
    item: WorkItem,
    order: PortInOrder,
    said: wire.OrderFacts,
    rows: Rows,
    *,
    progress_at: datetime,
    moved: buckets.Notice | None = None,
    ended: buckets.Notice | None = None,
) -> buckets.Facts:
    payloads = _activation_payloads(order, rows)
    project = item.project
    return buckets.Facts(
        status=said.status,
        progress_at=progress_at,
        on_demand=said.on_demand_activation,
        desired_date=said.desired_port_date,
        desired_time=said.desired_port_time,
        zone=said.desired_port_time_zone,
        default_time=project.default_port_time,
        default_zone=project.default_port_time_zone,
        days_off=frozenset(project.extra_days_off),
        expects_loa=project.expects_loa,
        loa_attachment_date=said.loa_attachment_date,
        gone_at=order.gone_at,
        numbers=tuple(
            buckets.Number(
                phone_number=number.phone_number,
                status=number.status,
                since=rows.since.get(number.phone_number, progress_at),
                group=number.group,
                carrier=rows.carriers.get(number.phone_number, ""),
                foc_date=number.foc_date,
                reject_reason=number.reject_reason,
                exclusion_reason=number.exclusion_reason,
                features=wire.features_text(number.excluded_features),
            )
            for number in said.numbers
        ),
        notes=tuple(
            buckets.Note(
                at=row["at"] or row["seen"],
                text=row["text"],
                is_ours=row["operation"] is not None,
                author=wire.author_of(row["by"]),
                fact=row["fact"],
            )
            for row in rows.notes
        ),
        documents=tuple(_documents(rows, {"", Operation.State.SUCCEEDED})),
        arriving=tuple(_documents(rows, {*Operation.UNDER_WAY})),
        writes=tuple(_write(row, payloads.get(row["pk"], {})) for row in rows.writes),
        offers=tuple(
            buckets.Offer(
                key=str(group.get("key") or ""),
                numbers=tuple(group.get("numbers") or ()),
                foc_date=wire.read_date(group.get("focDate")),
                since=stored_moment(group.get("since")),
            )
            for group in order.offered_groups
        ),
        offered_at=order.offered_at,
        moved=moved or _kept_notice(item, "P5") or _last_move(order),
        ended=ended or _kept_notice(item, "P6"),
        marks=tuple(rows.marks),
        taken_up=rows.taken_up,
    )


def _documents(rows: Rows, states: set[str]) -> Iterator[tuple[str, str]]:
    """Yield name and kind of the documents of which the upload stands so; "" for those at Sinch."""
    for row in rows.documents:
        state = "" if row["sinch_id"] else row["state"] or ""
        if state in states:
            yield row["name"], row["kind"]


def _write(row: dict[str, Any], payload: dict[str, Any]) -> buckets.Write:
    violations = (row["answer"] or {}).get("violations") or [{}]
    groups = payload.get("groups") or []
    return buckets.Write(
        **standing.write_values(row),
        field=wire.text(violations[0].get("field")),
        groups=tuple(str(group.get("key")) for group in groups),
        numbers=frozenset(number for group in groups for number in group.get("numbers") or ()),
    )


def _kept_notice(item: WorkItem, code: str) -> buckets.Notice | None:
    """Return what is still being told; a notice lives in the item's reasons while it holds."""
    for reason in item.reasons or []:
        if reason.get("code") == code and (at := stored_moment(reason.get("since"))):
            return buckets.Notice(at, reason.get("text", ""))
    return None


def _last_move(order: PortInOrder) -> buckets.Notice | None:
    """Return what was last told of a confirmed date, whatever became of the order since."""
    moved = order.moved or {}
    at = stored_moment(moved.get("at"))
    return buckets.Notice(at, moved["text"]) if at else None


def store_item(
    item: WorkItem,
    order: PortInOrder,
    said: wire.OrderFacts,
    rows: Rows,
    *,
    progress_at: datetime | None = None,
    moved: buckets.Notice | None = None,
    ended: buckets.Notice | None = None,
    old_words: str | None = None,
    is_visible: bool = False,
) -> bool:
    """Write what the lists show of an order; `is_visible` when more than that has changed."""
    facts = _facts(
        item,
        order,
        said,
        rows,
        progress_at=progress_at or item.waiting_since,
        moved=moved,
        ended=ended,
    )
    verdict = buckets.work_out(facts, timezone.now())
    new_words = words_of(said, rows.carriers)
    is_saved = items.save_item(
        item,
        _item_values(said, rows.carriers) | verdict.as_values() | _progress(facts),
        new_words
        if item.pk is None or (old_words is not None and old_words != new_words)
        else None,
    )
    if not is_saved and is_visible:
        items.touch(item.pk)
    return is_saved


def _progress(facts: buckets.Facts) -> dict[str, Any]:
    return {"waiting_since": facts.progress_at}


# The parts of the progress bar by what a number's status means.
_PARTS = {"ACTIVATED": "done", "CONFIRMED": "date", "REJECTED": "bad"}


def _item_values(said: wire.OrderFacts, carriers: Mapping[str, str]) -> dict[str, Any]:
    counted = [n for n in said.numbers if n.status not in (buckets.EXCLUDED, buckets.CANCELED)]
    parts = Counter(_PARTS.get(number.status, "wait") for number in counted)
    confirmed = [n.foc_date for n in counted if n.status == buckets.CONFIRMED and n.foc_date]
    focs = confirmed or [n.foc_date for n in counted if n.foc_date]
    days = Counter(n.foc_date for n in counted if n.foc_date and n.status != buckets.REJECTED)
    named = Counter(
        carrier for number in said.numbers if (carrier := carriers.get(number.phone_number))
    )
    return {
        "sinch_id": said.sinch_id,
        "reference": said.reference,
        "end_user": said.end_user,
        "carriers": ", ".join(name for name, _ in named.most_common())[:300],
        "status": said.status,
        "live_count": parts["done"],
        "counted": len(counted),
        "parts": [[tone, parts[tone]] for tone in ("done", "date", "bad", "wait") if parts[tone]],
        "requested_date": said.desired_port_date,
        "foc_date": min(focs, default=None),
        "foc_dates": [[day.isoformat(), count] for day, count in sorted(days.items())],
    }


def words_of(said: wire.OrderFacts, carriers: Mapping[str, str]) -> str:
    """Return the text that free-text search looks in."""
    found = [
        said.sinch_id,
        said.reference,
        *said.end_users,
        said.reseller_name,
        *sorted({carriers.get(n.phone_number, "") for n in said.numbers}),
        *sorted({n.city for n in said.numbers}),
    ]
    return " ".join(word for word in found if word)


def facts_of(order: PortInOrder) -> buckets.Facts:
    """Return what the bucket of an order depends on, as the rows say now."""
    item = item_of(order.item_id)
    said, rows = wire.read_order(order.payload), Rows.of(item)
    return _facts(item, order, said, rows, progress_at=item.waiting_since)


def facts_of_pace(order: PortInOrder, item: Any = None) -> buckets.Facts:
    """Return the facts that `orders.pace` looks at: without notes, documents and decisions.

    `item` is its work item with its writes, when it has been loaded already.
    """
    item, rows = item or _item_of_pace.get(order.item_id), Rows()
    rows.writes = list(item.write_rows)
    said = wire.read_order(order.payload)
    return _facts(item, order, said, rows, progress_at=item.waiting_since)


def recompute(
    order: PortInOrder,
    moved: buckets.Notice | None = None,
    ended: buckets.Notice | None = None,
) -> bool:
    """Work out the bucket again, as time has passed or an operation has ended; True if it moved.

    `moved` and `ended` are told anew. Inside a transaction it belongs to that one.
    """
    with transaction.atomic(savepoint=False):
        locked = PortInOrder.objects.select_for_update().order_by().get(pk=order.pk)
        return recompute_locked(locked, moved, ended)


def wake(order_pk: int) -> None:
    """Have the bucket of an order worked out at the next beat; its row is not touched here."""
    standing.wake(WorkItem.Kind.PORT_IN, order_pk)


def recompute_locked(
    order: PortInOrder,
    moved: buckets.Notice | None = None,
    ended: buckets.Notice | None = None,
) -> bool:
    item = item_of(order.item_id)
    said, rows = wire.read_order(order.payload), Rows.of(item)
    return store_item(item, order, said, rows, moved=moved, ended=ended)


def recompute_due(now: datetime, limit: int = 200) -> int:
    """Work out the buckets that time has moved; return how many were looked at."""
    return standing.recompute_due(WorkItem.Kind.PORT_IN, PortInOrder, recompute, now, limit)
