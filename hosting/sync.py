"""The only writer of hosting orders: stores what was read, tells what changed, judges anew.

Everything about one order happens under a lock of its row, in one short transaction without HTTP.
An older reading never replaces a newer one. What is diffed is Sinch's JSON: rows are written for
the numbers that differ and for nothing else. Imported and qualified numbers are stored by
`hosting.sync_numbers`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, F, Min, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone

from hosting import changes, facts, standing, wire
from hosting.models import (
    STEPS,
    AppliedEvent,
    Combination,
    HostingNumber,
    HostingOrder,
    ImportedNumber,
    QualifiedNumber,
)
from portal import words
from portal.accounts.models import SinchProject
from portal.mirror import key_after_births
from portal.operations import heard, readings
from portal.prepared import A_KEY, A_WORD, Prepared
from portal.work import items, search
from portal.work.items import Event
from portal.work.models import WorkItem
from portal.writing import insert, update, upsert

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
# That the whole process failed says nothing new of a step's cause, unless it comes with one.
_WHOLE = "HOSTING_PROCESS"
# The steps whose cause no reading tells. Source: `HostingOrderNumber`, "error text".
_TOLD_STEPS = ("osr", "platform", "campaign")
_STEP_COLUMNS = (*STEPS.values(), "verdict", "payload", "status_since", "failure_codes")
# An event may be told for a time on another clock than ours.
_EVENT_SLACK = timedelta(hours=1)


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
        if (order := _locked(project, sinch_id)) is not None:
            return _store_again(reading, order, follows)
        pk = key_after_births(HostingOrder, project.pk, sinch_id)
        if (order := _locked(project, sinch_id)) is not None:
            return _store_again(reading, order, follows)
        return _store_new(reading, pk, follows, cause if first_cause is None else first_cause)


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
    found: HostingOrder | None = _to_lock.first(project.pk, sinch_id)
    return found


# Nothing is joined: what is joined to a row that had to be waited for may be out of date.
_to_lock = Prepared(
    lambda project, sinch_id: (
        HostingOrder.objects.filter(project=project, sinch_id=sinch_id)
        .select_for_update()
        .order_by()
    ),
    A_KEY,
    A_WORD,
)


def _store_again(reading: _Reading, order: HostingOrder, follows: HostingOrder | None) -> Stored:
    is_newer = reading.fetched_at > order.fetched_at
    merged = reading.merged(order.payload, is_newer=is_newer)
    updates: dict[str, Any] = {"fetched_at": reading.fetched_at} if is_newer else {}
    if follows is not None and order.follows_id is None:
        updates["follows"] = follows
    rows = standing.rows_of(order)
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
        update(order, updates)
        return Stored(order)
    old, new = wire.read_order(order.payload), wire.read_order(merged)
    item = standing.item_of(order.item_id)
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
        now = _with_codes(
            order.project_id,
            order.sinch_id,
            rows,
            now,
            made_at=new.sinch_created_at,
            read_at=order.numbers_read_at,
        )
        updates["is_toll_free"] = wire.is_toll_free(now)
    update(order, updates)
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
    standing.store_item(
        item,
        order,
        rows if now is None else now,
        progress_at=timezone.now() if moved else None,
        is_visible=True,
    )
    if order.follows_id:
        standing.wake(order.follows_id)
    return Stored(order, is_changed=True, told=items.tell(item, events))


def _store_new(reading: _Reading, pk: int, follows: HostingOrder | None, cause: str) -> Stored:
    payload = reading.merged({}, is_newer=True)
    new = wire.read_order(payload)
    created = new.sinch_created_at or reading.fetched_at
    item = WorkItem(kind=WorkItem.Kind.HOSTING, project=reading.project, target_pk=pk)
    item.waiting_since = min(created, reading.fetched_at)
    rows = _next_rows({}, reading.entries, reading.fetched_at) or {}
    made_at = new.sinch_created_at
    if made_at is None and reading.sent is not None:
        made_at = reading.fetched_at - _EVENT_SLACK
    rows = _with_codes(reading.project.pk, reading.sinch_id, {}, rows, made_at=made_at)
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
    standing.store_item(item, order, rows, progress_at=item.waiting_since)
    order.item = item
    insert(order)
    _store_numbers(order, {}, rows)
    remember_pair(reading.project.pk, new.service_plan_id, new.campaign_id)
    events = []
    is_ours = reading.sent is not None or heard.is_being_made(
        reading.project.pk, CREATES, "displayName", new.display_name
    )
    if not is_ours:
        events.append(changes.found_elsewhere(new, len(rows), cause))
    if follows is not None:
        standing.wake(follows.pk)
    return Stored(order, is_new=True, is_changed=True, told=items.tell(item, events))


def _next_rows(
    rows: Mapping[str, standing.Row], entries: Sequence[Mapping[str, Any]] | None, read_at: datetime
) -> dict[str, standing.Row] | None:
    """Return the numbers as they are to be stored; None when nothing differs."""
    if entries is None:
        return None
    found: dict[str, standing.Row] = {}
    top = max((row.position for row in rows.values()), default=-1)
    for entry in entries:
        phone = wire.phone_of(entry)
        was = rows.get(phone)
        if was is None:
            top += 1
            found[phone] = standing.Row(top, dict(entry), read_at)
        elif was.payload == entry or (was.read_at and was.read_at >= read_at):
            found[phone] = was
        else:
            found[phone] = _read_again(was, entry, read_at)
    # One that was sent may not be shown for a while; Sinch has not taken it out of the order.
    found |= {p: was for p, was in rows.items() if p not in found and was.is_unseen}
    is_same = found.keys() == rows.keys() and all(found[p] is rows[p] for p in found)
    return None if is_same else found


def _read_again(was: standing.Row, entry: Mapping[str, Any], at: datetime) -> standing.Row:
    """Return a number as it is now; as long as the same steps have failed, `since` stands."""
    new = replace(was, payload=dict(entry), since=at)
    new = replace(new, codes=codes_that_hold(was.codes, new.steps.steps, was.steps.steps))
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
        rows = standing.rows_of(order)
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
        known = wire.read_order(order.payload)
        now = _with_codes(
            order.project_id,
            order.sinch_id,
            rows,
            now,
            made_at=known.sinch_created_at,
            read_at=order.numbers_read_at,
        )
        _store_numbers(order, rows, now)
        events = changes.changes_between(
            known,
            known,
            {phone: was.steps},
            {phone: now[phone].steps},
            read_at=fetched_at,
            cause=cause,
        )
        item = standing.item_of(order.item_id)
        standing.store_item(item, order, now, progress_at=timezone.now(), is_visible=True)
        items.tell(item, events)
        if order.follows_id:
            standing.wake(order.follows_id)
    return True


def _store_numbers(
    order: HostingOrder, rows: Mapping[str, standing.Row], now: Mapping[str, standing.Row]
) -> None:
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
                failure_codes=row.codes,
                verdict=steps.verdict,
                **steps.steps,
            )
        )
    upsert(changed, unique=("order", "phone_number"), update=_STEP_COLUMNS)
    gone = rows.keys() - now.keys()
    if gone:
        HostingNumber.objects.filter(order=order, phone_number__in=gone).delete()


# --- What else becomes of an order ---------------------------------------------------------------


def mark_gone(project: SinchProject, sinch_id: str, at: datetime, cause: str = "") -> bool:
    """Note that Sinch does not know an order any more, as a read that left at `at` was told.

    False when something newer is known of it, so that this is not the last word.
    """
    with transaction.atomic(savepoint=False):
        order = _locked(project, sinch_id)
        if order is None or order.gone_at:
            return True
        if order.fetched_at >= at:
            return False
        update(order, {"gone_at": at, "fetched_at": at})
        item = standing.item_of(order.item_id)
        standing.store_item(item, order, standing.rows_of(order), is_visible=True)
        text = "Sinch does not know this order any more"
        items.tell(item, [Event(text, ("gone", at), tone="bad", glyph="out", cause=cause)])
        if order.follows_id:
            standing.wake(order.follows_id)
    return True


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
        pair = Combination(
            project_id=project if isinstance(project, int) else project.pk,
            service_plan_id=plan[:100],
            campaign_id=campaign[:100],
        )
        upsert([pair])


# --- Callbacks ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Applied:
    """What an event comes to: whether it is news, and what is to be read again because of it."""

    is_news: bool
    wishes: Mapping[str, frozenset[str]] = field(default_factory=dict)


# An event that is not older than the one that was applied takes its place; the same one again is
# news as well, as its worker may have died before anything was read. Returned is whether a later
# one of another type tells of the same step: making a link and taking it away are two.
_APPLY = """
INSERT INTO hosting_appliedevent
    (project_id, resource_type, resource_id, event_type, status, failure_code, at, event_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (project_id, resource_type, resource_id, event_type) DO UPDATE SET
    status = EXCLUDED.status, failure_code = EXCLUDED.failure_code, at = EXCLUDED.at,
    event_id = EXCLUDED.event_id
WHERE EXCLUDED.at >= hosting_appliedevent.at
RETURNING EXISTS (
    SELECT 1 FROM hosting_appliedevent AS later
    WHERE (later.project_id, later.resource_type, later.resource_id) = (%s, %s, %s)
        AND later.event_type = ANY(%s) AND later.at > %s
        AND (later.event_type, later.status, later.failure_code) <> (%s, %s, ''))
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
    since no reading repeats it; what is read only later is given it then, see `codes_told`.
    Source: Imported Numbers and Hosting Orders API, "Callbacks".
    """
    step = STEP_OF_EVENT.get(event_type, "")
    with transaction.atomic(), connection.cursor() as cursor:
        about: list[Any] = [project, resource_type, resource_id]
        said = [*about, event_type, status, failure_code, at, event_id]
        types = [name for name, its_step in STEP_OF_EVENT.items() if its_step == step]
        cursor.execute(_APPLY, [*said, *about, types, at, _WHOLE, wire.FAILED])
        row = cursor.fetchone()
        if row is None:
            return Applied(is_news=False)
        code = failure_code if status == wire.FAILED else ""
        if row[0] or (event_type, status, code) == (_WHOLE, wire.FAILED, ""):
            step = ""  # what it tells of the step is out of date, or nothing
        if not resource_id.startswith("+"):
            if step and code:
                _keep_code_of_order(project, resource_id, step, code)
            return Applied(True, {ORDER_READER: frozenset({resource_id})})
        if resource_type == IMPORTED_NUMBER:
            numbers = ImportedNumber.objects.filter(project=project)
            news = {"version": F("version") + 1, "changed_at": timezone.now()}
            _keep_code(numbers, resource_id, step, code, at, **news)
            return Applied(True, {IMPORTED_READER: frozenset({resource_id})})
        return Applied(True, _of_order_number(project, resource_id, event_type, step, code, at))


def _of_order_number(
    project: int, phone: str, event_type: str, step: str, code: str, at: datetime
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
        # All of them first, in the order of their keys: two events never wait for each other, nor
        # an event and a reading, which locks its order and then wakes the one that it follows. A
        # reading that lets its order follow one of these must not wait for it either: `no_key`.
        rows_of_orders = HostingOrder.objects.filter(pk__in=[order.pk for order in living])
        for locked in list(rows_of_orders.order_by("pk").select_for_update(no_key=True)):
            rows = HostingNumber.objects.filter(order=locked)
            if _keep_code(rows, phone, step, code, at):
                standing.store_item(
                    standing.item_of(locked.item_id),
                    locked,
                    standing.rows_of(locked),
                    is_visible=True,
                )
    known = QualifiedNumber.objects.filter(project=project, phone_number=phone, gone_at=None)
    if event_type in ("OSR_UPDATE", "HOSTING_PROCESS") and known.exists():
        wishes[QUALIFIED_READER] = frozenset({phone})
    imported = ImportedNumber.objects.filter(project=project, phone_number=phone, gone_at=None)
    if not living or imported.exists():
        wishes[IMPORTED_READER] = frozenset({phone})
    return wishes


def _keep_code_of_order(project: int, sinch_id: str, step: str, code: str) -> None:
    """Keep a code that was told of an order as a whole beside its numbers that failed there.

    Which of them is meant is not said: it goes to those that have no code of their own.
    """
    order: HostingOrder | None = _to_lock.first(project, sinch_id)
    if order is None:
        return
    rows = standing.rows_of(order)
    named = {
        phone: replace(row, codes={**row.codes, step: code})
        for phone, row in rows.items()
        if step in _uncaused(row)
    }
    if named:
        now = {**rows, **named}
        _store_numbers(order, rows, now)
        standing.store_item(standing.item_of(order.item_id), order, now, is_visible=True)


def _uncaused(row: standing.Row) -> list[str]:
    """Return the failed steps of a number whose cause only a callback can tell, and none has."""
    steps = row.steps.steps
    return [s for s in _TOLD_STEPS if steps[s] == wire.FAILED and not row.codes.get(s)]


def _with_codes(
    project: int,
    sinch_id: str,
    rows: Mapping[str, standing.Row],
    now: dict[str, standing.Row],
    *,
    made_at: datetime | None,
    read_at: datetime | None = None,
) -> dict[str, standing.Row]:
    """Return numbers as they are to be stored with the codes that were told before they were read.

    Looked at are those that are new and those that have failed for no known cause. `made_at` is
    when the order was made: what was told before is about another order of the number. `read_at`
    is when its numbers were last read: what was told before is with those that are not new. One
    statement, none when there is nothing to look for.
    """
    bare = {
        phone: row
        for phone, row in now.items()
        if rows.get(phone) is not row and (phone not in rows or _uncaused(row))
    }
    if not bare:
        return now
    since = {phone: _told_since(rows.get(phone), made_at, read_at) for phone in bare}
    moments = [at for at in since.values() if at is not None]
    # What is told of the whole order is about the one that was read the longest ago, too.
    since[sinch_id] = min(moments) if len(moments) == len(bare) else None
    told = codes_told(project, [sinch_id, *bare], of_order=True, since=since)
    if not told:
        return now
    found = dict(now)
    for phone, row in bare.items():
        own, of_order = told.get(phone, {}), told.get(sinch_id, {})
        wanted = set(_uncaused(row))
        codes = {
            step: own.get(step) or of_order[step]
            for step in _TOLD_STEPS
            if own.get(step) or (step in wanted and step in of_order)
        }
        codes = codes_that_hold(codes, row.steps.steps)
        if codes:
            found[phone] = replace(row, codes={**codes, **row.codes})
    return found


def codes_that_hold(
    codes: Mapping[str, str], steps: Mapping[str, str], before: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return codes without those of steps that went well since: they are no cause any more.

    Nor is that of a step that had failed `before` and is being worked on anew.
    """

    def is_over(step: str) -> bool:
        state, was = steps.get(step, ""), (before or {}).get(step)
        return state == wire.DONE or (was == wire.FAILED and wire.is_under_way(state))

    return {step: code for step, code in codes.items() if not is_over(step)}


def _told_since(
    was: standing.Row | None, made_at: datetime | None, read_at: datetime | None
) -> datetime | None:
    """Return since when what is told of a number counts for it as it is read now."""
    moments = [made_at]
    if was is not None:
        last = (at - wire.CLOCK_SLACK for at in (was.read_at, read_at) if at is not None)
        moments.append(max(last, default=None))
    return max(filter(None, moments), default=None)


def codes_told(
    project: int,
    things: Sequence[str],
    *,
    of_order: bool,
    since: Mapping[str, datetime | None] | None = None,
) -> dict[str, dict[str, str]]:
    """Return the failure code that the newest event told of each step, by thing; one statement.

    Things are numbers with their plus, and orders. Events about an imported number say nothing
    `of_order`; those that happened before the moment `since` which a thing is asked about do not
    count.
    """
    events = AppliedEvent.objects.filter(
        project=project, resource_id__in=things, event_type__in=STEP_OF_EVENT
    )
    if of_order:
        events = events.exclude(resource_type=IMPORTED_NUMBER)
    found: dict[str, dict[str, str]] = {}
    for thing, event_type, status, code, at in events.order_by("at").values_list(
        "resource_id", "event_type", "status", "failure_code", "at"
    ):
        first = since.get(thing) if since else None
        if first is not None and at < first:
            continue
        if (event_type, status, code) == (_WHOLE, wire.FAILED, ""):
            continue
        codes, step = found.setdefault(thing, {}), STEP_OF_EVENT[event_type]
        codes.pop(step, None)
        if status == wire.FAILED and code:
            codes[step] = code
    return {thing: codes for thing, codes in found.items() if codes}


def _keep_code(
    rows: QuerySet[Any], phone: str, step: str, code: str, at: datetime, **also: Any
) -> bool:
    """Keep the code of a failed step beside the number, or drop that of one that went well.

    That goes for one that is seen to have gone well since it failed, too. `also` is set with it.
    Two events about a number come at the same time, and no reading repeats a code: the row is
    locked.
    """
    if not step:
        return False
    locked = rows.filter(phone_number=phone).order_by("pk").select_for_update(no_key=True)
    row = locked.only("failure_codes", "status_since", step).first()
    if row is None:
        return False
    if getattr(row, step) == wire.DONE and at < row.status_since - wire.CLOCK_SLACK:
        code = ""
    codes = {name: kept for name, kept in row.failure_codes.items() if name != step}
    if code:
        codes[step] = code
    if codes == row.failure_codes:
        return False
    rows.filter(pk=row.pk).update(failure_codes=codes, **also)
    return True


# --- Search -------------------------------------------------------------------------------------

MOST_BESIDE = 4  # numbers of a kind that a search without orders names


def items_with_number(digits: str, suffix: bool) -> QuerySet[Any, Any]:
    """Return the keys of work items with a number that begins, or ends, with these digits."""
    numbers = (
        HostingNumber.objects.filter(reversed_digits__startswith=digits[::-1])
        if suffix
        else HostingNumber.objects.filter(phone_number__startswith=f"+{digits}")
    )
    found = numbers.order_by().values("order_id")
    return WorkItem.objects.filter(kind=WorkItem.Kind.HOSTING, target_pk__in=found).values("pk")


def verdict_text(verdict: str) -> str:
    """Return what the lists call how far a number is."""
    return {"done": "Done", "failed": "Failed"}.get(verdict, "Not done")


def matching_numbers(numbers: Q, items: Collection[int]) -> QuerySet[Any, Any]:
    """Return the first matching number of each item with its verdict, and how many there are."""
    rows = HostingNumber.objects.filter(numbers, order__item__in=items).order_by()
    return rows.values(item=F("order__item")).annotate(
        first=Min(Concat("phone_number", Value(" "), "verdict")), many=Count("pk")
    )


def numbers_beside(numbers: Q) -> Iterator[search.Beside]:
    """Yield a few imported and qualified numbers that match; two statements."""
    for one in ImportedNumber.objects.filter(numbers, gone_at=None).defer("payload")[:MOST_BESIDE]:
        said = one.display_name or "no name"
        yield search.Beside("Imported number", one.phone_number, said, one.get_absolute_url())
    for two in QualifiedNumber.objects.filter(numbers, gone_at=None).defer("payload")[:MOST_BESIDE]:
        said = words.chip("qualified", two.state).label
        yield search.Beside("Qualified number", two.phone_number, said, two.get_absolute_url())


def name_of(order: HostingOrder) -> str:
    """Return what an order is called in a sentence."""
    return order.display_name or words.count_text(order.numbers.count(), "number")
