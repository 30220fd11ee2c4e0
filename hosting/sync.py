"""The only writer of hosting orders: stores what was read, tells what changed, judges anew.

Everything about one order happens under a lock of its row, in one short transaction without HTTP.
An older reading never replaces a newer one. What is diffed is Sinch's JSON: rows are written for
the numbers that differ and for nothing else. Imported and qualified numbers are stored by
`hosting.sync_numbers`.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection, transaction
from django.db.models import Case, JSONField, OuterRef, QuerySet, TextField, Value, When
from django.db.models.functions import Cast, JSONObject, NullIf
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from hosting import buckets, changes, facts, wire
from hosting.models import (
    STEPS,
    Combination,
    HostingMark,
    HostingNumber,
    HostingOrder,
    ImportedNumber,
    QualifiedNumber,
    Verdict,
)
from portal import words
from portal.accounts.models import SinchProject
from portal.operations import readings
from portal.operations.models import Operation
from portal.work import items, verdicts
from portal.work.items import Event
from portal.work.marks import Mark
from portal.work.models import WorkItem

log = logging.getLogger(__name__)

ORDER_READER, ORDER_NUMBER_READER, IMPORTED_READER, QUALIFIED_READER = (
    "hosting_order",
    "hosting_order_number",
    "imported_number",
    "qualified_number",
)
NUMBER_READERS = (IMPORTED_READER, QUALIFIED_READER)
CREATES = (
    "hosting.import",
    "hosting.text_enable",
    "hosting.toll_free",
    "hosting.text_enable_qualified",
    "hosting.toll_free_qualified",
)
ORDER_NUMBER, IMPORTED_NUMBER = "HOSTING_ORDER_NUMBER", "IMPORTED_NUMBER"
# The step that an event is about. Source: hosting.md, "Callbacks".
STEP_OF_EVENT = {
    "OSR_UPDATE": "osr",
    "HOSTING_PROCESS": "osr",
    "PROVISIONING_TO_SMS_PLATFORM": "platform",
    "DEPROVISIONING_TO_SMS_PLATFORM": "platform",
    "LINK_TO_10DLC_CAMPAIGN": "campaign",
    "UNLINK_TO_10DLC_CAMPAIGN": "campaign",
}
MOST_WRITES = 50
BROKEN_PAUSE = timedelta(hours=1)  # before a bucket that could not be worked out is tried again
_STEP_COLUMNS = (*STEPS.values(), "verdict", "payload", "status_since")


@dataclass(frozen=True)
class Stored:
    """What became of a reading: the order, whether it was new or changed, and what was told."""

    order: HostingOrder
    is_new: bool = False
    is_changed: bool = False
    told: int = 0


# --- Storing a reading --------------------------------------------------------------------------


def store_reading(
    project: SinchProject,
    payload: Mapping[str, Any],
    fetched_at: datetime,
    *,
    numbers: Sequence[Mapping[str, Any]] | None = None,
    report: Mapping[str, Any] | None = None,
    cause: str = "",
    first_cause: str | None = None,
    sent: Mapping[str, Any] | None = None,
    follows: HostingOrder | None = None,
) -> Stored:
    """Store an order as it was read, tell its timeline what changed, and update its work item.

    `fetched_at` is when the request left; a reading that is not newer than the stored one changes
    nothing. `numbers` and `report` are what was read with it, None for not read. `sent` is a body
    that Sinch accepted: it completes what Sinch does not repeat. `follows` is the order whose held
    numbers this one moves over. Raises ValueError for an order without an id.
    """
    sinch_id = wire.text(payload.get("hostingOrderId"), 64)
    if not sinch_id:
        raise ValueError("an order that was read has an id")
    reading = _Reading(project, sinch_id, payload, fetched_at, numbers, report, cause, sent)
    with transaction.atomic(savepoint=False):
        order = _locked(project, sinch_id)
        if order is None:
            _wait_for_births(project, sinch_id)
            order = _locked(project, sinch_id)
        if order is not None:
            return _store_again(reading, order, follows)
        return _store_new(reading, follows, cause if first_cause is None else first_cause)


@dataclass(frozen=True)
class _Reading:
    project: SinchProject
    sinch_id: str
    payload: Mapping[str, Any]
    fetched_at: datetime
    numbers: Sequence[Mapping[str, Any]] | None
    report: Mapping[str, Any] | None
    cause: str
    sent: Mapping[str, Any] | None

    def merged(self, stored: Mapping[str, Any], *, is_newer: bool) -> dict[str, Any]:
        """Return the stored JSON with what was sent and what was read over it."""
        merged = dict(stored)
        if self.sent is not None:
            # What Sinch has said goes over what we sent.
            merged = wire.merge(wire.as_read(self.sent), merged)
        if is_newer:
            merged = wire.merge(merged, self.payload)
        merged["hostingOrderId"] = self.sinch_id
        return merged

    @property
    def entries(self) -> list[Mapping[str, Any]] | None:
        """The numbers as read, else those that were sent, with nothing known of them yet."""
        if self.numbers is not None:
            return [entry for entry in self.numbers if wire.phone_of(entry)]
        if self.sent is not None:
            return [{"phoneNumber": number} for number in self.sent.get("numbers") or ()]
        return None


def _locked(project: SinchProject, sinch_id: str) -> HostingOrder | None:
    # Nothing is joined: what is joined to a row that had to be waited for may be out of date.
    return (
        HostingOrder.objects.filter(project=project, sinch_id=sinch_id)
        .select_for_update()
        .order_by()
        .first()
    )


def _wait_for_births(project: SinchProject, sinch_id: str) -> None:
    """Let only one at a time make the row of an order; there is no row to lock yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"hosting_order:{project.pk}:{sinch_id}"],
        )


@dataclass
class Row:
    """One number of an order as it is stored."""

    position: int
    payload: Mapping[str, Any]
    since: datetime
    codes: Mapping[str, str] = field(default_factory=dict)
    read_at: datetime | None = None  # when it was read by itself

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


def _store_again(reading: _Reading, order: HostingOrder, follows: HostingOrder | None) -> Stored:
    is_newer = reading.fetched_at > order.fetched_at
    merged = reading.merged(order.payload, is_newer=is_newer)
    updates: dict[str, Any] = {"fetched_at": reading.fetched_at} if is_newer else {}
    if follows is not None and order.follows_id is None:
        updates["follows"] = follows
    rows = rows_of(order)
    entries = reading.entries if is_newer or not rows else None
    if reading.numbers is None and rows:
        entries = None  # what was sent is known long since
    now = _next_rows(rows, entries, reading.fetched_at)
    report = wire.read_report(reading.report) if reading.report is not None and is_newer else None
    report_changed = report is not None and report != order.report
    if is_newer and reading.numbers is not None:
        updates["numbers_read_at"] = reading.fetched_at
    returned = is_newer and order.gone_at is not None
    if merged == order.payload and now is None and not report_changed and not returned:
        _update(order, updates)
        return Stored(order)
    old, new = wire.read_order(order.payload), wire.read_order(merged)
    item = _item_of(order.item_id)
    if report_changed:
        updates |= {"report": report, "report_since": reading.fetched_at}
    if returned:
        updates["gone_at"] = None
    if old.state != new.state:
        updates["state_since"] = reading.fetched_at
        if old.state == facts.SIGNATURE and new.state in (facts.IN_PROGRESS, facts.COMPLETED):
            updates["signed_seen_at"] = reading.fetched_at
    updates |= {name: getattr(new, name) for name in wire.ORDER_COLUMNS}
    updates["payload"] = merged
    if now is not None:
        updates["is_toll_free"] = wire.is_toll_free(now)
    _update(order, updates)
    before = {phone: row.steps for phone, row in rows.items()}
    after = before if now is None else {phone: row.steps for phone, row in now.items()}
    if now is not None:
        _store_numbers(order, rows, now)
    events = changes.changes_between(
        old, new, before, after, read_at=reading.fetched_at, cause=reading.cause
    )
    if (old.service_plan_id, old.campaign_id) != (new.service_plan_id, new.campaign_id):
        remember_pair(order.project_id, new.service_plan_id, new.campaign_id)
    moved = old.state != new.state or now is not None or report_changed
    _store_item(
        item,
        order,
        rows if now is None else now,
        progress_at=timezone.now() if moved else None,
        is_visible=True,
    )
    if order.follows_id:
        wake(order.follows_id)
    return Stored(order, is_changed=True, told=items.tell(item, events))


def _store_new(reading: _Reading, follows: HostingOrder | None, cause: str) -> Stored:
    payload = reading.merged({}, is_newer=True)
    new = wire.read_order(payload)
    with connection.cursor() as cursor:
        table = HostingOrder._meta.db_table
        cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", [table])
        pk = cursor.fetchone()[0]
    created = new.sinch_created_at or reading.fetched_at
    item = WorkItem(kind=WorkItem.Kind.HOSTING, project=reading.project, target_pk=pk)
    item.waiting_since = min(created, reading.fetched_at)
    rows = _next_rows({}, reading.entries, reading.fetched_at) or {}
    since = min(new.sinch_updated_at or created, reading.fetched_at)
    order = HostingOrder(
        pk=pk,
        project=reading.project,
        sinch_id=reading.sinch_id,
        payload=payload,
        fetched_at=reading.fetched_at,
        report=wire.read_report(reading.report) if reading.report is not None else {},
        report_since=reading.fetched_at if reading.report is not None else None,
        state_since=since,
        numbers_read_at=reading.fetched_at if reading.numbers is not None else None,
        is_toll_free=wire.is_toll_free(rows),
        follows=follows,
        **{name: getattr(new, name) for name in wire.ORDER_COLUMNS},
    )
    _store_item(item, order, rows, progress_at=item.waiting_since)
    order.item = item
    order.save(force_insert=True)
    _store_numbers(order, {}, rows)
    remember_pair(reading.project.pk, new.service_plan_id, new.campaign_id)
    events = []
    if reading.sent is None and not _is_being_made_here(reading.project, new):
        events.append(changes.found_elsewhere(new, len(rows), cause))
    if follows is not None:
        wake(follows.pk)
    return Stored(order, is_new=True, is_changed=True, told=items.tell(item, events))


def _is_being_made_here(project: SinchProject, new: wire.OrderFacts) -> bool:
    """Tell whether one of our creates is about to hear of this order: its callback was faster."""
    if not new.display_name:
        return False
    creates = Operation.objects.filter(
        project=project, kind__in=CREATES, state__in=Operation.UNDER_WAY, sent_at__isnull=False
    )
    return any(
        operation.payload.get("body", {}).get("displayName") == new.display_name
        for operation in creates
    )


def _update(order: HostingOrder, values: dict[str, Any]) -> None:
    if values:
        HostingOrder.objects.filter(pk=order.pk).update(**values)
        for name, value in values.items():
            setattr(order, name, value)


def _next_rows(
    rows: Mapping[str, Row], entries: Sequence[Mapping[str, Any]] | None, read_at: datetime
) -> dict[str, Row] | None:
    """Return the numbers as they are to be stored; None when nothing differs."""
    if entries is None:
        return None
    found: dict[str, Row] = {}
    top = max((row.position for row in rows.values()), default=-1)
    for entry in entries:
        phone = wire.phone_of(entry)
        was = rows.get(phone)
        if was is None:
            top += 1
            found[phone] = Row(top, dict(entry), read_at)
        elif was.payload == entry or (was.read_at and was.read_at >= read_at):
            found[phone] = was
        else:
            found[phone] = _read_again(was, entry, read_at)
    is_same = found.keys() == rows.keys() and all(found[p] is rows[p] for p in found)
    return None if is_same else found


def _read_again(was: Row, entry: Mapping[str, Any], at: datetime) -> Row:
    """Return a number as it is now; as long as the same steps have failed, `since` stands."""
    new = replace(was, payload=dict(entry), since=at)
    return replace(new, since=was.since) if was.steps.standing == new.steps.standing else new


def store_number(
    order_pk: int, payload: Mapping[str, Any], fetched_at: datetime, cause: str
) -> bool:
    """Store one number of an order as it was read by itself; True when it has changed.

    A reading that is not newer than what is stored of the number changes nothing. Raises
    ValueError for a number that is none of the order.
    """
    with transaction.atomic(savepoint=False):
        order = HostingOrder.objects.select_for_update().order_by().get(pk=order_pk)
        rows = rows_of(order)
        phone = wire.phone_of(payload)
        was = rows.get(phone)
        if was is None:
            raise ValueError("a number that was read by itself is one of its order")
        stored_at = max(filter(None, (was.read_at, order.numbers_read_at)), default=None)
        if stored_at is not None and stored_at >= fetched_at:
            return False
        HostingNumber.objects.filter(order=order, phone_number=phone).update(read_at=fetched_at)
        if was.payload == payload:
            return False
        now = {**rows, phone: replace(_read_again(was, payload, fetched_at), read_at=fetched_at)}
        _store_numbers(order, rows, now)
        known = wire.read_order(order.payload)
        events = changes.changes_between(
            known,
            known,
            {phone: was.steps},
            {phone: now[phone].steps},
            read_at=fetched_at,
            cause=cause,
        )
        item = _item_of(order.item_id)
        _store_item(item, order, now, progress_at=timezone.now(), is_visible=True)
        items.tell(item, events)
    return True


def _store_numbers(order: HostingOrder, rows: Mapping[str, Row], now: Mapping[str, Row]) -> None:
    """Write the numbers that differ, delete the ones that are gone."""
    changed = []
    for phone, row in now.items():
        if rows.get(phone) is row:
            continue
        steps = row.steps
        changed.append(
            HostingNumber(
                order=order,
                position=row.position,
                phone_number=phone,
                reversed_digits=phone.lstrip("+")[::-1],
                payload=row.payload,
                status_since=row.since,
                verdict=steps.verdict,
                **steps.steps,
            )
        )
    if changed:
        HostingNumber.objects.bulk_create(
            changed,
            update_conflicts=True,
            unique_fields=["order", "phone_number"],
            update_fields=list(_STEP_COLUMNS),
        )
    gone = rows.keys() - now.keys()
    if gone:
        HostingNumber.objects.filter(order=order, phone_number__in=gone).delete()


# --- Facts, bucket and work item ----------------------------------------------------------------


def _moment(value: str | None) -> datetime | None:
    return parse_datetime(value) if value else None


def _items() -> QuerySet[WorkItem]:
    """Return work items with everything beside the numbers that a bucket depends on."""
    order = OuterRef("target_pk")
    writes = Operation.objects.filter(hosting_drafts__follows=order).order_by("-pk")
    decided = HostingMark.objects.filter(order=order, ended_at=None).order_by("pk")
    moved = HostingNumber.objects.filter(order__follows=order).order_by()
    return (
        WorkItem.objects.filter(kind=WorkItem.Kind.HOSTING)
        .select_related("project")
        .defer("search", "project__key_secret")
        .annotate(
            write_rows=ArraySubquery(
                writes.values(
                    json=JSONObject(
                        kind="kind",
                        state="state",
                        created="created_at",
                        finished="finished_at",
                        uncertain="uncertain_since",
                        seen="seen_at",
                        message="staff_message",
                    )
                )[:MOST_WRITES]
            ),
            mark_rows=ArraySubquery(
                decided.values(json=JSONObject(kind="kind", reason="reason", fact="fact", at="at"))
            ),
            moved_rows=ArraySubquery(
                moved.values(json=JSONObject(n="phone_number", v="verdict", s="order__state"))
            ),
        )
    )


def _item_of(pk: int) -> Any:
    return _items().get(pk=pk)


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
            verdicts.Write(
                kind=row["kind"],
                state=row["state"],
                created_at=_moment(row["created"]) or timezone.now(),
                finished_at=_moment(row["finished"]),
                uncertain_since=_moment(row["uncertain"]),
                is_seen=row["seen"] is not None,
                message=row["message"],
            )
            for row in getattr(item, "write_rows", [])
        ],
        marks=tuple(
            Mark(row["kind"], row["reason"], row["fact"], at)
            for row in getattr(item, "mark_rows", [])
            if (at := _moment(row["at"]))
        ),
        migrated=frozenset(
            row["n"] for row in moved if row["s"] == facts.COMPLETED and row["v"] == Verdict.DONE
        ),
        migrating=frozenset(row["n"] for row in moved if row["s"] not in facts.FINISHED),
    )


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
    columns = tuple(STEPS.values())
    rows = (
        order.numbers.order_by("position")
        .alias(said=Cast("payload", TextField()))
        .annotate(
            told=Case(When(said__contains='"error', then="payload")),
            codes=NullIf("failure_codes", Value({}, JSONField())),
        )
        .values_list("phone_number", "status_since", "codes", "told", *columns)
    )
    return [
        facts.Number(
            phone,
            dict(zip(columns, states, strict=True)),
            since,
            wire.read_steps(told).errors if told else {},
            codes or {},
        )
        for phone, since, codes, told, *states in rows
    ]


def _store_item(
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
    is_saved = items.save_item(item, values | verdict.as_values(), _words(item, order, values))
    if not is_saved and is_visible:
        items.touch(item.pk)
    return is_saved


_PARTS = {"done": "done", "failed": "bad", "pending": "wait"}


def _words(item: WorkItem, order: HostingOrder, values: Mapping[str, Any]) -> str | None:
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
    item = _item_of(order.item_id)
    return facts_with(item, order, numbers_of(order), item.waiting_since)


def recompute(order: HostingOrder) -> bool:
    """Work out the bucket again, as time has passed or something was decided; True if it moved."""
    with transaction.atomic(savepoint=False):
        locked = HostingOrder.objects.select_for_update().order_by().get(pk=order.pk)
        return _store_item(_item_of(locked.item_id), locked, rows_of(locked))


def wake(order_pk: int) -> None:
    """Have the bucket of an order worked out at the next beat; its row is not touched here."""
    WorkItem.objects.filter(kind=WorkItem.Kind.HOSTING, target_pk=order_pk).update(
        next_change_at=timezone.now()
    )


def recompute_due(now: datetime, limit: int = 200) -> int:
    """Work out the buckets that time has moved; return how many were looked at."""
    due = WorkItem.objects.filter(kind=WorkItem.Kind.HOSTING, next_change_at__lte=now)
    pks = list(due.order_by("next_change_at").values_list("target_pk", flat=True)[:limit])
    for pk in pks:
        try:
            if order := HostingOrder.objects.filter(pk=pk).only("pk").first():
                recompute(order)
        except Exception:
            # One that cannot be judged must not stop the clocks of all the others.
            log.exception("The bucket of hosting order %s could not be worked out", pk)
            due.filter(target_pk=pk).update(next_change_at=now + BROKEN_PAUSE)
    return len(pks)


def mark_gone(project: SinchProject, sinch_id: str, at: datetime, cause: str = "") -> None:
    """Note that Sinch does not know an order any more, as a read that left at `at` was told."""
    with transaction.atomic(savepoint=False):
        order = _locked(project, sinch_id)
        if order is None or order.gone_at or order.fetched_at >= at:
            return
        _update(order, {"gone_at": at})
        item = _item_of(order.item_id)
        _store_item(item, order, rows_of(order), is_visible=True)
        text = "Sinch does not know this order any more"
        items.tell(item, [Event(text, ("gone", at), tone="bad", glyph="out", cause=cause)])


def tell(order: HostingOrder, events: Iterable[Event]) -> None:
    """Add entries to the timeline of an order and let open pages know."""
    items.tell(WorkItem(pk=order.item_id), events)
    items.touch(order.item_id)


def refresh(order: HostingOrder) -> None:
    """Have an order read again, before anything nobody waits for."""
    readings.want_one(order.project_id, ORDER_READER, order.sinch_id, "staff")


def number_key(order_pk: int, phone: str) -> str:
    """Return how a reading names one number of an order."""
    return f"{order_pk}:{phone}"


def refresh_number(order: HostingOrder, phone: str) -> None:
    """Have one number of an order read again, before anything nobody waits for."""
    key = number_key(order.pk, phone)
    readings.want_one(order.project_id, ORDER_NUMBER_READER, key, "staff")


# --- Plans and campaigns seen -------------------------------------------------------------------


def remember_pair(project: SinchProject | int, plan: str, campaign: str) -> None:
    """Keep a plan and campaign for the walks through Sinch's lists; harmless to repeat."""
    if plan:
        Combination.objects.bulk_create(
            [
                Combination(
                    project_id=project if isinstance(project, int) else project.pk,
                    service_plan_id=plan[:100],
                    campaign_id=campaign[:100],
                )
            ],
            ignore_conflicts=True,
        )


# --- Callbacks ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Applied:
    """What an event comes to: whether it is news, and what is to be read again because of it."""

    is_news: bool
    wishes: Mapping[str, frozenset[str]] = field(default_factory=dict)


# An event that is not older than the one that was applied takes its place; the same one again is
# news as well, as its worker may have died before anything was read.
_APPLY = """
INSERT INTO hosting_appliedevent
    (project_id, resource_type, resource_id, event_type, status, failure_code, at, event_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (project_id, resource_type, resource_id, event_type) DO UPDATE SET
    status = EXCLUDED.status, failure_code = EXCLUDED.failure_code, at = EXCLUDED.at,
    event_id = EXCLUDED.event_id
WHERE EXCLUDED.at >= hosting_appliedevent.at
RETURNING id
"""


def apply_event(
    project: int,
    *,
    resource_type: str,
    resource_id: str,
    event_type: str,
    status: str,
    failure_code: str,
    at: datetime,
    event_id: str,
) -> Applied:
    """Apply a callback in a transaction of its own; see `Applied`.

    `resource_id` is a number with its plus or an order's id. An event older than what was applied
    for the same thing and type is no news. The failure code is kept beside the number's step,
    since no reading repeats it. Source: Imported Numbers and Hosting Orders API, "Callbacks".
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            _APPLY,
            [
                project,
                resource_type,
                resource_id,
                event_type,
                status,
                failure_code,
                at,
                event_id,
            ],
        )
        if cursor.fetchone() is None:
            return Applied(is_news=False)
        code = failure_code if status == wire.FAILED else ""
        step = STEP_OF_EVENT.get(event_type, "")
        if not resource_id.startswith("+"):
            return Applied(True, {ORDER_READER: frozenset({resource_id})})
        if resource_type == IMPORTED_NUMBER:
            _keep_code(ImportedNumber.objects.filter(project=project), resource_id, step, code)
            return Applied(True, {IMPORTED_READER: frozenset({resource_id})})
        return Applied(True, _of_order_number(project, resource_id, event_type, step, code))


def _of_order_number(
    project: int, phone: str, event_type: str, step: str, code: str
) -> dict[str, frozenset[str]]:
    orders = list(
        HostingOrder.objects.filter(project=project, numbers__phone_number=phone)
        .order_by("pk")
        .only("pk", "sinch_id", "state")
    )
    living = [o for o in orders if o.state not in facts.FINISHED] or orders[-1:]
    wishes: dict[str, frozenset[str]] = {}
    if living:
        wishes[ORDER_READER] = frozenset(order.sinch_id for order in living)
        for order in living:
            # Always in the order of the keys, so that two events never wait for each other.
            locked = HostingOrder.objects.select_for_update().order_by().get(pk=order.pk)
            rows = HostingNumber.objects.filter(order=locked)
            if _keep_code(rows, phone, step, code):
                _store_item(_item_of(locked.item_id), locked, rows_of(locked), is_visible=True)
    known = QualifiedNumber.objects.filter(project=project, phone_number=phone, gone_at=None)
    if event_type in ("OSR_UPDATE", "HOSTING_PROCESS") and known.exists():
        wishes[QUALIFIED_READER] = frozenset({phone})
    imported = ImportedNumber.objects.filter(project=project, phone_number=phone, gone_at=None)
    if not living or imported.exists():
        wishes[IMPORTED_READER] = frozenset({phone})
    return wishes


def _keep_code(rows: QuerySet[Any], phone: str, step: str, code: str) -> bool:
    """Keep the code of a failed step beside the number, or drop that of one that went well."""
    if not step:
        return False
    row = rows.filter(phone_number=phone).only("failure_codes").first()
    if row is None:
        return False
    codes = {name: kept for name, kept in row.failure_codes.items() if name != step}
    if code:
        codes[step] = code
    if codes == row.failure_codes:
        return False
    rows.filter(pk=row.pk).update(failure_codes=codes)
    return True


# --- Search -------------------------------------------------------------------------------------


def items_with_number(digits: str, suffix: bool) -> QuerySet[Any, Any]:
    """Return the keys of work items with a number that begins, or ends, with these digits."""
    numbers = (
        HostingNumber.objects.filter(reversed_digits__startswith=digits[::-1])
        if suffix
        else HostingNumber.objects.filter(phone_number__startswith=f"+{digits}")
    )
    return numbers.order_by().values("order__item")


def name_of(order: HostingOrder) -> str:
    """Return what an order is called in a sentence."""
    return order.display_name or words.count_text(order.numbers.count(), "number")
