"""The only writer of mirror rows: stores what was read, tells what changed, works out the bucket.

Everything about one order happens under a lock of its row, in one short transaction without HTTP.
An older reading never replaces a newer one. What is diffed is Sinch's JSON: rows are written for
the numbers that differ and for nothing else.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection, transaction
from django.db.models import CharField, Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat, JSONObject
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from orders import buckets, changes, marks, wire
from orders.models import (
    OrderDocument,
    OrderMark,
    OrderNote,
    PortabilityResult,
    PortInNumber,
    PortInOrder,
)
from portal import words
from portal.accounts import clients
from portal.accounts import configuration as project_configuration
from portal.accounts.models import SinchProject
from portal.operations import readings
from portal.operations.models import Operation, Reading
from portal.sinch.porting import PAGE_SIZE, ActivationGroup
from portal.work import items
from portal.work.items import Event
from portal.work.models import WorkItem

log = logging.getLogger(__name__)

READER = "port_in_order"
CREATE, CANCEL = "port_in.create", "port_in.cancel"
NOTE, ACTIVATE = "port_in.note", "port_in.activate"
# A note of ours is recognised by its text within this time of our sending it.
NOTE_WINDOW = timedelta(minutes=10)
MOST_WRITES = 100  # the newest operations of an order that its bucket looks at
CONFIGURATION_AGE = timedelta(hours=1)
BROKEN_PAUSE = timedelta(hours=1)  # before a bucket that could not be worked out is tried again
_NUMBER_COLUMNS = (
    "status",
    "country_code",
    "group",
    "foc_date",
    "reject_reason",
    "exclusion_reason",
    "excluded_at",
    "excluded_features",
    "confirmed_at",
    "activated_at",
    "activate_user",
)
_ORDER_COLUMNS = (
    "status",
    "reference",
    "desired_port_date",
    "desired_port_time",
    "desired_port_time_zone",
    "on_demand_activation",
    "loa_uploaded_by",
    "loa_attachment_date",
    "reseller_name",
    "sinch_created_at",
)


@dataclass(frozen=True)
class Stored:
    """What became of a reading: the order, whether it was new or changed, and what was told."""

    order: PortInOrder
    is_new: bool = False
    is_changed: bool = False
    told: int = 0


# --- Storing a reading --------------------------------------------------------------------------


def store_port_in_order(
    project: SinchProject,
    payload: Mapping[str, Any],
    fetched_at: datetime,
    cause: str = "",
    secrets: Mapping[str, Mapping[str, str]] | None = None,
) -> PortInOrder:
    """Store an order as it was read at `fetched_at` and return its row; see `store_reading`."""
    return store_reading(project, payload, fetched_at, cause=cause, secrets=secrets).order


def store_reading(
    project: SinchProject,
    payload: Mapping[str, Any],
    fetched_at: datetime,
    *,
    cause: str = "",
    first_cause: str | None = None,
    secrets: Mapping[str, Mapping[str, str]] | None = None,
    sent: Mapping[str, Any] | None = None,
    replaces: bool = False,
) -> Stored:
    """Store an order as it was read, tell its timeline what changed, and update its work item.

    `fetched_at` is when the request left; a reading that is not newer than the stored one changes
    nothing. `cause` is said beside what changed ("webhook, read 1 s later"), `first_cause` in its
    place beside an order seen for the first time. `secrets` are ours for the numbers named and
    replace what we kept for them. `sent` is a body that Sinch accepted: it completes what Sinch
    does not repeat, and with `replaces` (a full replacement) goes over what was stored. Raises
    ValueError for an order without an id.
    """
    sinch_id = wire.text(payload.get("id"), 32)
    if not sinch_id:
        raise ValueError("an order that was read has an id")
    reading = _Reading(project, sinch_id, payload, fetched_at, cause, secrets, sent, replaces)
    # No savepoint: a failure here is a failure of whatever this is part of.
    with transaction.atomic(savepoint=False):
        order = _locked(project, sinch_id)
        if order is None:
            _wait_for_births(project, sinch_id)
            order = _locked(project, sinch_id)
        if order is not None:
            return _store_again(reading, order)
        return _store_new(reading if first_cause is None else replace(reading, cause=first_cause))


@dataclass(frozen=True)
class _Reading:
    project: SinchProject
    sinch_id: str
    payload: Mapping[str, Any]
    fetched_at: datetime
    cause: str
    secrets: Mapping[str, Mapping[str, str]] | None
    sent: Mapping[str, Any] | None
    replaces: bool

    def merged(self, stored: Mapping[str, Any], *, is_newer: bool) -> dict[str, Any]:
        """Return the stored JSON with what was sent and what was read over it."""
        merged = dict(stored)
        if self.sent is not None:
            merged = wire.with_sent(merged, self.sent, replaces=self.replaces)
        if is_newer:
            merged = wire.merge_reading(merged, wire.redact(self.payload))
            merged["id"] = self.sinch_id
        return merged

    def merged_secrets(self, kept: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
        """Return our secrets; an echo of Sinch's only where we hold nothing."""
        found = wire.order_secrets(self.payload)
        for number, values in kept.items():
            found[number] = {**found.get(number, {}), **values}
        for number, values in (self.secrets or {}).items():
            found[number] = dict(values)
        return found


def _locked(project: SinchProject, sinch_id: str) -> PortInOrder | None:
    # Nothing is joined: what is joined to a row that had to be waited for may be out of date.
    return (
        PortInOrder.objects.filter(project=project, sinch_id=sinch_id)
        .select_for_update()
        .order_by()
        .first()
    )


def _wait_for_births(project: SinchProject, sinch_id: str) -> None:
    """Let only one at a time make the row of an order; there is no row to lock yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"port_in_order:{project.pk}:{sinch_id}"],
        )


def _store_again(reading: _Reading, order: PortInOrder) -> Stored:
    is_newer = reading.fetched_at > order.fetched_at
    merged = reading.merged(order.payload, is_newer=is_newer)
    updates: dict[str, Any] = {}
    if is_newer:
        updates["fetched_at"] = reading.fetched_at
    secrets = reading.merged_secrets(order.secrets)
    if secrets != order.secrets:
        updates["secrets"] = secrets
    if merged == order.payload and not (is_newer and order.gone_at):
        _update(order, updates)
        return Stored(order)
    old, new = wire.read_order(order.payload), wire.read_order(merged)
    item = _item_of(order.item_id)
    rows = _Rows.of(item)
    numbers = _store_numbers(order, old, new, rows, reading.fetched_at)
    events = changes.changes_between(
        old, new, rows.carriers, read_at=reading.fetched_at, cause=reading.cause
    )
    if not reading.sent and changes.details_changed(order.payload, merged):
        events.append(
            Event(
                "Order details changed at Sinch",
                ("details", wire.digest(merged), reading.fetched_at),
                cause=reading.cause,
            )
        )
    events += _store_notes(order, new, rows, reading.cause)
    events += _store_documents(order, new, rows, reading.cause)
    moved = changes.notice_of_move(old, new)
    ended = ""
    if old.status != new.status == buckets.CANCELED and not rows.is_cancel_ours:
        ended = "Order canceled, and not by us"
    if is_newer and order.gone_at:
        updates["gone_at"] = order.gone_at = None
    if new.status != buckets.CONFIRMED and order.offered_groups:
        updates |= {"offered_groups": [], "offered_at": None}
    if numbers or old.status != new.status:
        # What the list will show; an unchanged reading leaves what the last walk saw there.
        updates["list_digest"] = wire.expected_list_digest(new)
    updates |= {name: getattr(new, name) for name in _ORDER_COLUMNS}
    updates["payload"] = merged
    _update(order, updates)
    at = reading.fetched_at
    _store_item(
        item,
        order,
        new,
        rows,
        progress_at=timezone.now() if changes.has_progress(old, new) else None,
        moved=buckets.Notice(at, moved) if moved else None,
        ended=buckets.Notice(at, ended) if ended else None,
        old_words=_words(old, rows.carriers_before),
        is_visible=True,
    )
    if order.follows_id and old.status != new.status:
        wake(order.follows_id)
    return Stored(order, is_changed=True, told=items.tell(item, events))


def _update(order: PortInOrder, values: dict[str, Any]) -> None:
    if values:
        PortInOrder.objects.filter(pk=order.pk).update(**values)
        for name, value in values.items():
            setattr(order, name, value)


def _store_new(reading: _Reading) -> Stored:
    payload = reading.merged({"id": reading.sinch_id}, is_newer=True)
    new = wire.read_order(payload)
    with connection.cursor() as cursor:
        table = PortInOrder._meta.db_table
        cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", [table])
        pk = cursor.fetchone()[0]
    # An order that was not made here a moment ago has waited since it was made.
    created = wire.read_instant(new.sinch_created_at) or reading.fetched_at
    item = WorkItem(kind=WorkItem.Kind.PORT_IN, project=reading.project, target_pk=pk)
    item.waiting_since = min(created, reading.fetched_at)
    order = PortInOrder(
        pk=pk,
        project=reading.project,
        sinch_id=reading.sinch_id,
        secrets=reading.merged_secrets({}),
        list_digest=wire.expected_list_digest(new),
        payload=payload,
        fetched_at=reading.fetched_at,
        **{name: getattr(new, name) for name in _ORDER_COLUMNS},
    )
    rows = _Rows()
    rows.since = dict.fromkeys((n.phone_number for n in new.numbers), reading.fetched_at)
    _ask_carriers(reading.project, new, rows)
    _name_carriers(new, rows)
    _store_item(item, order, new, rows, progress_at=item.waiting_since)
    order.item = item
    order.save(force_insert=True)
    _store_numbers(order, None, new, rows, reading.fetched_at)
    events: list[Event] = []
    is_ours = reading.sent is not None or _is_being_made_here(reading.project, new)
    if not is_ours:
        events.append(changes.found_elsewhere(new, reading.cause))
    had_notes = bool(_store_notes(order, new, rows, reading.cause))
    _store_documents(order, new, rows, reading.cause)
    if had_notes or new.documents:
        _store_item(item, order, new, rows)
    return Stored(order, is_new=True, is_changed=True, told=items.tell(item, events))


def _ask_carriers(project: SinchProject, facts: wire.OrderFacts, rows: "_Rows") -> None:
    """Take losing carriers from our portability checks; Sinch's order does not name them."""
    phones = [number.phone_number for number in facts.numbers]
    rows.carriers.update(
        PortabilityResult.objects.filter(project=project, phone_number__in=phones)
        .exclude(carrier="")
        .values_list("phone_number", "carrier")
    )


def _name_carriers(facts: wire.OrderFacts, rows: "_Rows") -> None:
    """Take the losing carriers not known yet from the names of the groups."""
    for number in facts.numbers:
        if not rows.carriers.get(number.phone_number):
            rows.carriers[number.phone_number] = wire.carrier_of_group(number.group)


def _is_being_made_here(project: SinchProject, facts: wire.OrderFacts) -> bool:
    """Tell whether one of our creates is about to hear of this order: its webhook was faster."""
    if not facts.reference:
        return False
    creates = Operation.objects.filter(
        project=project, kind=CREATE, state__in=Operation.UNDER_WAY, sent_at__isnull=False
    )
    return any(
        operation.payload.get("body", {}).get("customerOrderReference") == facts.reference
        for operation in creates
    )


# --- Numbers ------------------------------------------------------------------------------------


def _store_numbers(
    order: PortInOrder,
    old: wire.OrderFacts | None,
    new: wire.OrderFacts,
    rows: "_Rows",
    read_at: datetime,
) -> int:
    """Write the numbers that differ, delete the ones that are gone; return how many."""
    _name_carriers(new, rows)
    before = {number.phone_number: number for number in old.numbers} if old else {}
    changed = []
    for number in new.numbers:
        phone = number.phone_number
        was = before.get(phone)
        if was == number and phone in rows.since:
            continue
        # A new reason is a new refusal: the clocks of the old one are of no use to it.
        is_same = was and (was.status, was.reject_reason) == (number.status, number.reject_reason)
        if not is_same or phone not in rows.since:
            rows.since[phone] = read_at
        changed.append(
            PortInNumber(
                order=order,
                position=number.position,
                phone_number=phone,
                reversed_digits=phone.lstrip("+")[::-1],
                losing_carrier=rows.carriers[phone][:120],
                status_since=rows.since[phone],
                **{name: getattr(number, name) for name in _NUMBER_COLUMNS},
            )
        )
    if changed:
        PortInNumber.objects.bulk_create(
            changed,
            update_conflicts=True,
            unique_fields=["order", "phone_number"],
            update_fields=["position", "losing_carrier", "status_since", *_NUMBER_COLUMNS],
        )
    gone = rows.since.keys() - {number.phone_number for number in new.numbers}
    if gone:
        PortInNumber.objects.filter(order=order, phone_number__in=gone).delete()
        for phone in gone:
            del rows.since[phone]
    return len(changed) + len(gone)


# --- Notes and documents ------------------------------------------------------------------------


def _store_notes(
    order: PortInOrder, new: wire.OrderFacts, rows: "_Rows", cause: str
) -> list[Event]:
    """Store the notes not seen before, ours with the operation that sent them; tell the others."""
    known = {row["fact"] for row in rows.notes}
    fresh = [note for note in new.notes if note.fact not in known]
    if not fresh:
        return []
    ours = _our_notes(order, rows)
    found, events, now = [], [], timezone.now()
    for note in fresh:
        operation = _take_ours(ours, note)
        row = OrderNote(
            order=order,
            fact=note.fact,
            text=note.text,
            created_at=note.created_at,
            created_by=note.created_by,
            operation=operation,
        )
        found.append(row)
        rows.notes.append(
            {
                "fact": note.fact,
                "text": note.text,
                "at": note.created_at,
                "seen": now,
                "by": note.created_by,
                "operation": operation.pk if operation else None,
            }
        )
        if operation is None:
            said = wire.collapsed(note.text)
            said = said if len(said) <= 300 else f"{said[:300].rstrip()}…"
            events.append(
                Event(
                    f"{note.author} wrote: “{said}”",
                    ("note", note.fact),
                    tone="us",
                    glyph="note",
                    cause=cause,
                    at=min(note.created_at or now, now),
                )
            )
    OrderNote.objects.bulk_create(found, ignore_conflicts=True)
    return events


def _our_notes(order: PortInOrder, rows: "_Rows") -> list[Operation]:
    """Return our note operations that no note has been found for yet, oldest first."""
    taken = {row["operation"] for row in rows.notes if row["operation"]}
    # One that is still being sent counts: Sinch's webhook may be faster than its own answer.
    sent = Operation.objects.filter(
        Q(state=Operation.State.SUCCEEDED)
        | Q(state__in=Operation.UNDER_WAY, sent_at__isnull=False),
        target=order.target,
        kind=NOTE,
    ).exclude(pk__in=taken)
    return list(sent.order_by("pk"))


def _take_ours(ours: list[Operation], note: wire.NoteFacts) -> Operation | None:
    """Return and use up the operation that sent a note; None when somebody else wrote it."""
    for operation in ours:
        sent_at = operation.sent_at or operation.created_at
        in_time = note.created_at is None or (
            sent_at - NOTE_WINDOW
            <= note.created_at
            <= (operation.finished_at or timezone.now()) + NOTE_WINDOW
        )
        same = wire.collapsed(operation.payload.get("text", "")) == wire.collapsed(note.text)
        if in_time and same:
            ours.remove(operation)
            return operation
    return None


def _store_documents(
    order: PortInOrder, new: wire.OrderFacts, rows: "_Rows", cause: str
) -> list[Event]:
    """Store the documents not seen before; one we sent gets Sinch's id instead of a second row."""
    known = Counter(_document_key(row["sinch_id"], row["name"]) for row in rows.documents)
    ours = [row for row in rows.documents if not row["sinch_id"] and row["operation"]]
    events = []
    for document in new.documents:
        key = _document_key(document.sinch_id, document.name)
        if known[key]:
            known[key] -= 1
            continue
        row = next((row for row in ours if row["name"] == document.name), None)
        if row:
            ours.remove(row)
            row["sinch_id"] = document.sinch_id
            OrderDocument.objects.filter(pk=row["pk"]).update(sinch_id=document.sinch_id)
            continue
        kind = kind_of_document(f"{document.name} {document.description}")
        made = OrderDocument.objects.create(
            order=order,
            sinch_id=document.sinch_id,
            name=document.name,
            description=document.description,
            kind=kind,
        )
        rows.documents.append(
            {
                "pk": made.pk,
                "sinch_id": document.sinch_id,
                "name": document.name,
                "kind": kind,
                "operation": None,
            }
        )
        events.append(
            Event(
                f"Document “{document.name}” is at Sinch",
                ("document", document.sinch_id or document.name, len(rows.documents)),
                cause=cause,
            )
        )
    return events


def _document_key(sinch_id: str, name: str) -> tuple[str, str]:
    return (sinch_id, "") if sinch_id else ("", name)


def kind_of_document(name: str) -> str:
    """Return the kind of a document that its name speaks of."""
    folded = name.casefold().replace("_", " ").replace("-", " ")
    if buckets.is_loa_name(name):
        return OrderDocument.Kind.LOA
    if "customer service record" in folded or " csr " in f" {folded.replace('.', ' ')} ":
        return OrderDocument.Kind.RECORD
    is_bill = any(word in folded for word in ("bill", "invoice"))
    return OrderDocument.Kind.BILL if is_bill else OrderDocument.Kind.OTHER


# --- Facts, bucket and work item ----------------------------------------------------------------


class _Rows:
    """What hangs on an order beside Sinch's JSON, as far as its bucket and diff need it."""

    def __init__(self) -> None:
        self.since: dict[str, datetime] = {}
        self.carriers: dict[str, str] = {}
        self.carriers_before: dict[str, str] = {}
        self.notes: list[dict[str, Any]] = []
        self.documents: list[dict[str, Any]] = []
        self.writes: list[dict[str, Any]] = []
        self.marks: list[marks.Mark] = []
        self.taken_up: frozenset[str] = frozenset()

    @classmethod
    def of(cls, item: Any) -> "_Rows":
        """Return the rows that `_items` has put on a work item."""
        rows = cls()
        for row in item.number_rows:
            rows.since[row["n"]] = _moment(row["s"]) or datetime.min.replace(tzinfo=UTC)
            rows.carriers[row["n"]] = row["c"]
        rows.carriers_before = dict(rows.carriers)
        rows.notes = [
            row | {"at": _moment(row["at"]), "seen": _moment(row["seen"])} for row in item.note_rows
        ]
        rows.documents = list(item.document_rows)
        rows.writes = list(item.write_rows)
        rows.marks = [
            marks.Mark(row["kind"], row["reason"], row["fact"], at)
            for row in item.mark_rows
            if (at := _moment(row["at"]))
        ]
        rows.taken_up = frozenset(item.taken_up)
        return rows

    @property
    def is_cancel_ours(self) -> bool:
        """Whether somebody here asked for the cancelation."""
        failed = (Operation.State.REFUSED, Operation.State.DEAD)
        return any(row["kind"] == CANCEL and row["state"] not in failed for row in self.writes)

    @property
    def has_activations(self) -> bool:
        """Whether there are activations, the payload of which has to be looked at."""
        return any(row["kind"] == ACTIVATE for row in self.writes)


def _moment(value: str | None) -> datetime | None:
    return parse_datetime(value) if value else None


def _items() -> QuerySet[WorkItem]:
    """Return work items with everything that a bucket depends on, in one statement."""
    order = OuterRef("target_pk")
    numbers = PortInNumber.objects.filter(order=order).order_by("position")
    notes = OrderNote.objects.filter(order=order).order_by("pk")
    documents = OrderDocument.objects.filter(order=order).order_by("pk")
    target = Concat(Value("port_in:"), Cast(OuterRef("target_pk"), CharField()))
    writes = Operation.objects.filter(target=target).order_by("-pk")
    decided = OrderMark.objects.filter(order=order, ended_at=None).order_by("pk")
    return (
        WorkItem.objects.filter(kind=WorkItem.Kind.PORT_IN)
        .select_related("project")
        .defer("search")
        .annotate(
            number_rows=ArraySubquery(
                numbers.values(
                    json=JSONObject(n="phone_number", s="status_since", c="losing_carrier")
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
                    )
                )
            ),
            write_rows=ArraySubquery(
                writes.values(
                    json=JSONObject(
                        pk="pk",
                        kind="kind",
                        state="state",
                        created="created_at",
                        finished="finished_at",
                        uncertain="uncertain_since",
                        seen="seen_at",
                        message="staff_message",
                        answer="answer",
                    )
                )[:MOST_WRITES]
            ),
            mark_rows=ArraySubquery(
                decided.values(json=JSONObject(kind="kind", reason="reason", fact="fact", at="at"))
            ),
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


def _item_of(item_pk: int) -> WorkItem:
    return _items().get(pk=item_pk)


def _activation_payloads(order: PortInOrder, rows: _Rows) -> dict[int, dict[str, Any]]:
    """Return what activations are about; only of an on-demand order that waits for them."""
    if not (rows.has_activations and order.on_demand_activation):
        return {}
    pks = [row["pk"] for row in rows.writes if row["kind"] == ACTIVATE]
    return {op.pk: op.payload for op in Operation.objects.filter(pk__in=pks).only("payload")}


def _facts(
    item: WorkItem,
    order: PortInOrder,
    said: wire.OrderFacts,
    rows: _Rows,
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
        documents=tuple((row["name"], row["kind"]) for row in rows.documents),
        writes=tuple(_write(row, payloads.get(row["pk"], {})) for row in rows.writes),
        offers=tuple(
            buckets.Offer(
                key=str(group.get("key") or ""),
                numbers=tuple(group.get("numbers") or ()),
                foc_date=wire.read_date(group.get("focDate")),
                since=_moment(group.get("since")),
            )
            for group in order.offered_groups
        ),
        offered_at=order.offered_at,
        moved=moved or _kept_notice(item, "P5"),
        ended=ended or _kept_notice(item, "P6"),
        marks=tuple(rows.marks),
        taken_up=rows.taken_up,
    )


def _write(row: dict[str, Any], payload: dict[str, Any]) -> buckets.Write:
    violations = (row["answer"] or {}).get("violations") or [{}]
    groups = payload.get("groups") or []
    return buckets.Write(
        kind=row["kind"],
        state=row["state"],
        created_at=_moment(row["created"]) or timezone.now(),
        finished_at=_moment(row["finished"]),
        uncertain_since=_moment(row["uncertain"]),
        is_seen=row["seen"] is not None,
        message=row["message"],
        field=wire.text(violations[0].get("field")),
        groups=tuple(str(group.get("key")) for group in groups),
        numbers=frozenset(number for group in groups for number in group.get("numbers") or ()),
    )


def _kept_notice(item: WorkItem, code: str) -> buckets.Notice | None:
    """Return what is still being told; a notice lives in the item's reasons while it holds."""
    for reason in item.reasons or []:
        if reason.get("code") == code and (at := _moment(reason.get("since"))):
            return buckets.Notice(at, reason.get("text", ""))
    return None


def _store_item(
    item: WorkItem,
    order: PortInOrder,
    said: wire.OrderFacts,
    rows: _Rows,
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
    new_words = _words(said, rows.carriers)
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
    }


def _words(said: wire.OrderFacts, carriers: Mapping[str, str]) -> str:
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
    item = _item_of(order.item_id)
    said, rows = wire.read_order(order.payload), _Rows.of(item)
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
        return _recompute_locked(locked, moved, ended)


def wake(order_pk: int) -> None:
    """Have the bucket of an order worked out at the next beat; its row is not touched here.

    For what happens to another order that this one is linked with: two rows are never locked.
    """
    WorkItem.objects.filter(kind=WorkItem.Kind.PORT_IN, target_pk=order_pk).update(
        next_change_at=timezone.now()
    )


def _recompute_locked(
    order: PortInOrder,
    moved: buckets.Notice | None = None,
    ended: buckets.Notice | None = None,
) -> bool:
    item = _item_of(order.item_id)
    said, rows = wire.read_order(order.payload), _Rows.of(item)
    return _store_item(item, order, said, rows, moved=moved, ended=ended)


def recompute_due(now: datetime, limit: int = 200) -> int:
    """Work out the buckets that time has moved; return how many were looked at."""
    due = WorkItem.objects.filter(kind=WorkItem.Kind.PORT_IN, next_change_at__lte=now)
    pks = list(due.order_by("next_change_at").values_list("target_pk", flat=True)[:limit])
    for pk in pks:
        try:
            if order := PortInOrder.objects.filter(pk=pk).only("pk").first():
                recompute(order)
        except Exception:
            # One whose key was lost, for instance, must not stop the clocks of all the others.
            log.exception("The bucket of order %s could not be worked out", pk)
            due.filter(target_pk=pk).update(next_change_at=now + BROKEN_PAUSE)
    return len(pks)


# --- What else can be read of an order ----------------------------------------------------------


def store_offers(
    order: PortInOrder, groups: Sequence[ActivationGroup], asked_at: datetime
) -> PortInOrder:
    """Store which groups Sinch offers for activation; an older answer changes nothing.

    Source: Porting API, "Get available activations".
    """
    offered = [
        {
            "key": group.key,
            "shape": group.shape,
            "focDate": group.foc_date,
            "numbers": list(group.numbers),
        }
        for group in groups
    ]
    with transaction.atomic(savepoint=False):
        order = PortInOrder.objects.select_for_update().order_by().get(pk=order.pk)
        if order.offered_at and asked_at <= order.offered_at:
            return order
        before = {(g["key"], g["focDate"]): g.get("since") for g in order.offered_groups}
        for group in offered:
            known = before.get((group["key"], group["focDate"]))
            group["since"] = known or asked_at.isoformat()
        _update(order, {"offered_groups": offered, "offered_at": asked_at})
        item = _item_of(order.item_id)
        said, rows = wire.read_order(order.payload), _Rows.of(item)
        events = [
            Event(
                f"Sinch offers {_offer_in_words(group, rows)} for activation",
                ("offered", group.key, group.foc_date, asked_at),
                tone="ready",
                glyph="ready",
            )
            for group in groups
            if (group.key, group.foc_date) not in before
        ]
        _store_item(item, order, said, rows, is_visible=bool(events))
        items.tell(item, events)
    return order


def _offer_in_words(group: ActivationGroup, rows: _Rows) -> str:
    if not group.numbers:
        return f"the group {group.key}"
    carriers = {rows.carriers.get(number, "") for number in group.numbers}
    carrier = carriers.pop() if len(carriers) == 1 else ""
    count = words.count_text(len(group.numbers), "number")
    return f"{count} at {carrier}" if carrier else count


def mark_gone(project: SinchProject, sinch_id: str, at: datetime, cause: str = "") -> None:
    """Note that Sinch does not know an order any more, as a read that left at `at` was told."""
    with transaction.atomic(savepoint=False):
        order = _locked(project, sinch_id)
        if order is None or order.gone_at or order.fetched_at >= at:
            return
        _update(order, {"gone_at": at, "offered_groups": []})
        text = "Sinch does not know this order any more"
        item = _item_of(order.item_id)
        rows = _Rows.of(item)
        said = wire.read_order(order.payload)
        was_living = said.status not in buckets.FINISHED
        is_news = was_living and not rows.is_cancel_ours
        _store_item(
            item,
            order,
            said,
            rows,
            ended=buckets.Notice(at, text) if is_news else None,
            is_visible=True,
        )
        items.tell(item, [Event(text, ("gone", at), tone="bad", glyph="out", cause=cause)])
        if order.follows_id:
            wake(order.follows_id)


def tell(order: PortInOrder, events: Iterable[Event]) -> None:
    """Add entries to the timeline of an order and let open pages know."""
    items.tell(WorkItem(pk=order.item_id), events)
    items.touch(order.item_id)


# --- Discovering --------------------------------------------------------------------------------


def discover(project: SinchProject, *, everything: bool = False) -> dict[str, int]:
    """Walk the list at Sinch and ask for a reading of each order that is new, differs, or was gone.

    So is one that nobody has ever meant to read, however it came into the mirror: what the list
    does not show, such as notes, would never come. Returns the keys of the readings by order id.
    One request and at most three statements for a thousand orders; `everything` asks for every
    order. Raises SinchError.
    """
    client = clients.porting_client(project)
    wished: dict[str, int] = {}
    for page in client.get_port_in_orders(page_size=PAGE_SIZE):
        said = {item["id"]: wire.list_digest(item) for item in page}
        readings_of = Reading.objects.filter(
            project=project, kind=READER, resource_id=OuterRef("sinch_id")
        )
        orders = PortInOrder.objects.filter(project=project, sinch_id__in=said)
        orders = orders.only("sinch_id", "list_digest", "gone_at")
        known = {
            order.sinch_id: order for order in orders.annotate(is_followed=Exists(readings_of))
        }
        differing = [order for order in known.values() if order.list_digest != said[order.sinch_id]]
        wanted = said.keys() if everything else said.keys() - known.keys()
        # One that Sinch lists is not gone, whatever it once answered.
        wanted |= {o.sinch_id for o in known.values() if o.gone_at or not o.is_followed}
        wishes = dict.fromkeys({*wanted, *(order.sinch_id for order in differing)}, timezone.now())
        with transaction.atomic():
            wished |= readings.want(project, READER, wishes, "sweep")
            for order in differing:
                # Sinch may count in a way of its own: what it said is what the next walk expects.
                order.list_digest = said[order.sinch_id]
            PortInOrder.objects.bulk_update(differing, ["list_digest"])
    SinchProject.objects.filter(pk=project.pk).update(discovered_at=timezone.now())
    return wished


def read_configuration(project: SinchProject, *, older_than: timedelta = timedelta(0)) -> None:
    """Read the project's porting defaults, unless they were read recently. Raises SinchError.

    Source: Porting API, "Get configuration".
    """
    now, read_at = timezone.now(), project.porting_configuration_read_at
    if read_at and now - read_at < older_than:
        return
    store_configuration(project, clients.porting_client(project).get_configuration(), now)


def store_configuration(
    project: SinchProject, configuration: Mapping[str, Any] | None, read_at: datetime
) -> None:
    """Store the porting defaults of a project; None when there are none at Sinch."""
    # The accounts room keeps our own token out of what is stored.
    project_configuration.store(project, configuration, read_at)


# --- Search -------------------------------------------------------------------------------------


def items_with_number(digits: str, suffix: bool) -> QuerySet[Any, Any]:
    """Return the keys of work items with a number that begins, or ends, with these digits."""
    numbers = (
        PortInNumber.objects.filter(reversed_digits__startswith=digits[::-1])
        if suffix
        else PortInNumber.objects.filter(phone_number__startswith=f"+{digits}")
    )
    return numbers.order_by().values("order__item")
