"""The only writer of mirror rows: stores what was read, tells what changed, works out the bucket.

Everything about one order happens under a lock of its row, in one short transaction without HTTP.
An older reading never replaces a newer one. What is diffed is Sinch's JSON: rows are written for
the numbers that differ and for nothing else.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, F, Min, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone

from orders import buckets, changes, comparing, standing, wire
from orders.causes import with_causes
from orders.models import (
    OrderDocument,
    OrderNote,
    PortInNumber,
    PortInOrder,
)
from portal import words
from portal.accounts.models import SinchProject
from portal.mirror import key_after_births
from portal.operations import heard
from portal.operations.models import Operation
from portal.prepared import A_KEY, A_WORD, Prepared
from portal.sinch.porting import ActivationGroup
from portal.work import items
from portal.work.items import Event
from portal.work.models import WorkItem
from portal.writing import insert, update, upsert

READER = "port_in_order"
CREATE, CANCEL, UPDATE = "port_in.create", "port_in.cancel", "port_in.update"
NOTE, ACTIVATE = "port_in.note", "port_in.activate"
MOST_LOOKED_BACK = 10  # writes of ours in which what was ordered is looked for
# A note of ours is recognised by its text within this time of our sending it.
NOTE_WINDOW = timedelta(minutes=10)
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
    """What became of a reading: the order, whether it was new or changed, and what was told.

    `item` is its work item with its writes, where it had to be loaded.
    """

    order: PortInOrder
    is_new: bool = False
    is_changed: bool = False
    told: int = 0
    item: Any = None


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
        if (order := _locked(project, sinch_id)) is not None:
            return _store_again(reading, order)
        pk = key_after_births(PortInOrder, project.pk, sinch_id)
        if (order := _locked(project, sinch_id)) is not None:
            return _store_again(reading, order)
        first = reading if first_cause is None else replace(reading, cause=first_cause)
        return _store_new(first, pk)


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
            # Also beside a newer reading: Sinch need not repeat what was sent. What it does repeat
            # comes back with the reading that every write asks for.
            merged = wire.with_sent(merged, self.sent, replaces=self.replaces)
        if is_newer:
            merged = wire.merge_reading(merged, wire.redact(self.payload))
            merged["id"] = self.sinch_id
        return merged

    def merged_secrets(
        self, kept: Mapping[str, Mapping[str, str]] | None
    ) -> dict[str, dict[str, str]] | None:
        """Return our secrets; an echo of Sinch's only where we hold nothing.

        None for those that no key of ours decrypts, until new ones replace them: the key may come
        back.
        """
        if kept is None and not self.secrets:
            return None
        found = wire.order_secrets(self.payload)
        for number, values in (kept or {}).items():
            found[number] = {**found.get(number, {}), **values}
        for number, values in (self.secrets or {}).items():
            found[number] = dict(values)
        return found


def _locked(project: SinchProject, sinch_id: str) -> PortInOrder | None:
    found: PortInOrder | None = _to_lock.first(project.pk, sinch_id)
    return found


# Nothing is joined: what is joined to a row that had to be waited for may be out of date.
_to_lock = Prepared(
    lambda project, sinch_id: (
        PortInOrder.objects.filter(project=project, sinch_id=sinch_id)
        .select_for_update()
        .order_by()
    ),
    A_KEY,
    A_WORD,
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
        update(order, updates)
        return Stored(order)
    merged = _with_ordered(order, merged)
    old, new = wire.read_order(order.payload), wire.read_order(merged)
    item = standing.item_of(order.item_id)
    rows = standing.Rows.of(item)
    at = reading.fetched_at
    numbers = _store_numbers(order, old, new, rows, at)
    events = changes.changes_between(old, new, rows.carriers, read_at=at, cause=reading.cause)
    is_told = not reading.sent and changes.details_changed(order.payload, merged)
    if is_told and not _is_our_change(rows, merged):
        events.append(
            Event(
                "Order details changed at Sinch",
                ("details", comparing.digest(merged), at),
                cause=reading.cause,
            )
        )
    events += _store_notes(order, new, rows, reading.cause)
    events += _store_documents(order, new, rows, reading.cause)
    if moved := changes.notice_of_move(old, new):
        updates["moved"] = {"at": at.isoformat(), "text": moved}
    ended = ""
    if old.status != new.status == buckets.CANCELED and not rows.is_cancel_ours:
        ended = "Order canceled, and not by us"
    if is_back := bool(is_newer and order.gone_at):
        updates["gone_at"] = order.gone_at = None
        # By itself: no webhook that was missed would have told it.
        items.tell(item, [changes.known_again(at, reading.cause)])
    if new.status != buckets.CONFIRMED and order.offered_groups:
        updates |= {"offered_groups": [], "offered_at": None}
    if numbers or old.status != new.status:
        # What the list will show; an unchanged reading leaves what the last walk saw there.
        updates["list_digest"] = wire.expected_list_digest(new)
    updates |= {name: getattr(new, name) for name in _ORDER_COLUMNS}
    updates["payload"] = merged
    update(order, updates)
    standing.store_item(
        item,
        order,
        new,
        rows,
        progress_at=timezone.now() if changes.has_progress(old, new) else None,
        moved=buckets.Notice(at, moved) if moved else None,
        ended=buckets.Notice(at, ended) if ended else None,
        old_words=standing.words_of(old, rows.carriers_before),
        is_visible=True,
    )
    if order.follows_id and (is_back or old.status != new.status or old.phones != new.phones):
        standing.wake(order.follows_id)
    return Stored(order, is_changed=True, told=items.tell(item, events), item=item)


def _with_ordered(order: PortInOrder, merged: wire.Json) -> wire.Json:
    """Return an order with what we ordered for numbers that joined it without saying so.

    Sinch may show an order it is still making in parts, and a number with its status only.
    """
    joined = wire.by_number(merged).keys() - wire.by_number(order.payload).keys()
    bare = {n for n, entry in wire.by_number(merged).items() if not entry.get("endUser")} & joined
    if not bare:
        return merged
    for body in sent_bodies(order):
        sent = wire.by_number(body)
        entries = [entry for number, entry in sent.items() if number in bare]
        merged = wire.with_sent(merged, {"phoneNumbers": entries}, replaces=False)
    return merged


def sent_bodies(order: PortInOrder) -> list[Mapping[str, Any]]:
    """Return the bodies of our last writes of an order that Sinch accepted, the newest first."""
    made = order.portindraft_set.exclude(operation=None).values_list("operation", flat=True)
    # By keys: an OR with another table would have every write ever sent looked at.
    ours = Q(target=order.target, kind=UPDATE) | Q(pk__in=list(made), kind=CREATE)
    written = Operation.objects.filter(ours, state=Operation.State.SUCCEEDED).order_by("-pk")
    sends = written.values_list(heard.SENDS, flat=True)[:MOST_LOOKED_BACK]
    return [(sent or {}).get("body") or {} for sent in sends]


def _is_our_change(rows: standing.Rows, merged: Mapping[str, Any]) -> bool:
    """Tell whether an order is as a change of ours has it whose answer has not come yet.

    A webhook may be faster than the answer, and an answer may be lost: who settles the change
    tells it.
    """
    flying = (Operation.State.SENDING, Operation.State.UNCERTAIN)
    keys = [r["pk"] for r in rows.writes if r["kind"] == UPDATE and r["state"] in flying]
    if not keys:
        return False
    sent = Operation.objects.filter(pk__in=keys).values_list(heard.SENDS, flat=True)
    bodies = [(sends or {}).get("body") for sends in sent]
    return any(body and not comparing.differences(body, merged) for body in bodies)


def _store_new(reading: _Reading, pk: int) -> Stored:
    payload = reading.merged({"id": reading.sinch_id}, is_newer=True)
    new = wire.read_order(payload)
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
    rows = standing.Rows()
    rows.since = dict.fromkeys((n.phone_number for n in new.numbers), reading.fetched_at)
    _ask_carriers(reading.project, new, rows)
    _name_carriers(new, rows)
    standing.store_item(item, order, new, rows, progress_at=item.waiting_since)
    order.item = item
    insert(order)
    _store_numbers(order, None, new, rows, reading.fetched_at)
    events: list[Event] = []
    is_ours = reading.sent is not None or heard.is_being_made(
        reading.project.pk, (CREATE,), "customerOrderReference", new.reference
    )
    if not is_ours:
        events.append(changes.found_elsewhere(new, reading.cause))
    had_notes = bool(_store_notes(order, new, rows, reading.cause))
    _store_documents(order, new, rows, reading.cause)
    if had_notes or new.documents:
        standing.store_item(item, order, new, rows)
    return Stored(order, is_new=True, is_changed=True, told=items.tell(item, events))


_CARRIERS = """
SELECT phone_number, carrier FROM orders_portabilityresult
WHERE project_id = %s AND phone_number = ANY(%s) AND carrier <> ''
"""


def _ask_carriers(project: SinchProject, facts: wire.OrderFacts, rows: standing.Rows) -> None:
    """Take losing carriers from our portability checks; Sinch's order does not name them."""
    phones = [number.phone_number for number in facts.numbers]
    with connection.cursor() as cursor:
        cursor.execute(_CARRIERS, [project.pk, phones])
        rows.carriers.update(cursor.fetchall())


def _name_carriers(facts: wire.OrderFacts, rows: standing.Rows) -> None:
    """Take the losing carriers not known yet from the names of the groups."""
    for number in facts.numbers:
        if not rows.carriers.get(number.phone_number):
            rows.carriers[number.phone_number] = wire.carrier_of_group(number.group)


# --- Numbers ------------------------------------------------------------------------------------


def _store_numbers(
    order: PortInOrder,
    old: wire.OrderFacts | None,
    new: wire.OrderFacts,
    rows: standing.Rows,
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
                refused_before=_refused_before(was, number, rows.refused_before.get(phone, [])),
                **{name: getattr(number, name) for name in _NUMBER_COLUMNS},
            )
        )
    upsert(
        changed,
        unique=("order", "phone_number"),
        update=("position", "losing_carrier", "status_since", "refused_before", *_NUMBER_COLUMNS),
    )
    gone = rows.since.keys() - {number.phone_number for number in new.numbers}
    if gone:
        PortInNumber.objects.filter(order=order, phone_number__in=gone).delete()
        for phone in gone:
            del rows.since[phone]
    return len(changed) + len(gone)


def _refused_before(
    was: wire.NumberFacts | None, number: wire.NumberFacts, known: list[str]
) -> list[str]:
    """Return the causes of a number's earlier refusals, with those of one that is over now.

    It is over when the number has another status, or is refused with other words. A refusal of
    which the reason is just not repeated goes on.
    """
    if was is None or was.status != buckets.REJECTED:
        return known
    said = _why_refused(was)
    goes_on = number.status == buckets.REJECTED and _why_refused(number) in ("", said)
    return known if goes_on else with_causes(known, said)


def _why_refused(number: wire.NumberFacts | PortInNumber) -> str:
    return number.reject_reason or number.exclusion_reason


def remember_refusals(order: PortInOrder, before: PortInOrder) -> None:
    """Let the numbers of an order know what they were refused for in the one it takes up.

    Call with both orders locked: a reading stored at the same time would write what it knew.
    """
    theirs = PortInNumber.objects.filter(order=order).values("phone_number")
    phones: dict[tuple[str, ...], list[str]] = {}
    for number in PortInNumber.objects.filter(order=before, phone_number__in=theirs):
        said = _why_refused(number) if number.status == buckets.REJECTED else ""
        keys = tuple(with_causes(number.refused_before, said))
        phones.setdefault(keys, []).append(number.phone_number)
    for keys, numbers in phones.items():
        if keys:
            rows = PortInNumber.objects.filter(order=order, phone_number__in=numbers)
            rows.update(refused_before=list(keys))


# --- Notes and documents ------------------------------------------------------------------------


def _store_notes(
    order: PortInOrder, new: wire.OrderFacts, rows: standing.Rows, cause: str
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
    upsert(found)
    return events


# Writes that may stand at Sinch: done, on their way, or stopped without our knowing.
_MAY_BE_THERE = (
    Q(state=Operation.State.SUCCEEDED)
    | Q(state__in=Operation.UNDER_WAY, sent_at__isnull=False)
    | Q(state=Operation.State.DEAD, uncertain_since__isnull=False)
)


def _our_notes(order: PortInOrder, rows: standing.Rows) -> list[Any]:
    """Return our note operations that no note has been found for yet, oldest first."""
    taken = {row["operation"] for row in rows.notes if row["operation"]}
    # One that is still being sent counts: Sinch's webhook may be faster than its own answer.
    sent = Operation.objects.filter(_MAY_BE_THERE, target=order.target, kind=NOTE)
    sent = sent.exclude(pk__in=taken)
    return list(sent.order_by("pk").defer("payload").annotate(sends=heard.SENDS))


def _take_ours(ours: list[Any], note: wire.NoteFacts) -> Operation | None:
    """Return and use up the operation that sent a note; None when somebody else wrote it."""
    for operation in ours:
        sent_at = operation.sent_at or operation.created_at
        in_time = note.created_at is None or (
            sent_at - NOTE_WINDOW
            <= note.created_at
            <= (operation.finished_at or timezone.now()) + NOTE_WINDOW
        )
        text = str((operation.sends or {}).get("text", ""))
        if in_time and wire.collapsed(text) == wire.collapsed(note.text):
            ours.remove(operation)
            found: Operation = operation
            return found
    return None


def _store_documents(
    order: PortInOrder, new: wire.OrderFacts, rows: standing.Rows, cause: str
) -> list[Event]:
    """Store the documents not seen before; one we sent gets Sinch's id instead of a second row."""
    left = list(rows.documents)
    fresh = []
    # Those with an id first: one without may be any of its name that is left, as Sinch need not
    # repeat an id that it told once.
    for document in sorted(new.documents, key=lambda document: not document.sinch_id):
        key = "sinch_id" if document.sinch_id else "name"
        same = [row for row in left if row[key] == getattr(document, key)]
        if same:
            left.remove(min(same, key=lambda row: str(row["sinch_id"])))
        else:
            fresh.append(document)
    ours = _our_documents(rows) if fresh else []
    events = []
    for document in fresh:
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
                "state": None,
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


def _our_documents(rows: standing.Rows) -> list[dict[str, Any]]:
    """Return our documents that Sinch's id is not known of and that may stand there."""
    found = [row for row in rows.documents if not row["sinch_id"] and row["operation"]]
    if not found:
        return []
    sent = Operation.objects.filter(_MAY_BE_THERE, pk__in=[row["operation"] for row in found])
    there = set(sent.values_list("pk", flat=True))
    return [row for row in found if row["operation"] in there]


def kind_of_document(name: str) -> str:
    """Return the kind of a document that its name speaks of."""
    folded = name.casefold().replace("_", " ").replace("-", " ")
    if buckets.is_loa_name(name):
        return OrderDocument.Kind.LOA
    if "customer service record" in folded or " csr " in f" {folded.replace('.', ' ')} ":
        return OrderDocument.Kind.RECORD
    is_bill = any(word in folded for word in ("bill", "invoice"))
    return OrderDocument.Kind.BILL if is_bill else OrderDocument.Kind.OTHER


# --- What else can be read of an order ----------------------------------------------------------


def store_offers(
    order: PortInOrder, groups: Sequence[ActivationGroup], asked_at: datetime
) -> PortInOrder:
    """Store which groups Sinch offers for activation; an older answer changes nothing.

    Source: Porting API, "Get available activations".
    """
    with transaction.atomic(savepoint=False):
        order = PortInOrder.objects.select_for_update().order_by().get(pk=order.pk)
        if order.offered_at and asked_at <= order.offered_at:
            return order
        if order.status != PortInOrder.Status.CONFIRMED:
            return order  # it has ended, or is being canceled, since Sinch was asked
        said = wire.read_order(order.payload)
        groups = with_numbers(groups, said)
        offered = [
            {
                "key": group.key,
                "shape": group.shape,
                "focDate": group.foc_date,
                "numbers": list(group.numbers),
            }
            for group in groups
        ]
        before = {(g["key"], g["focDate"]): g.get("since") for g in order.offered_groups}
        for group in offered:
            known = before.get((group["key"], group["focDate"]))
            group["since"] = known or asked_at.isoformat()
        update(order, {"offered_groups": offered, "offered_at": asked_at})
        item = standing.item_of(order.item_id)
        rows = standing.Rows.of(item)
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
        standing.store_item(item, order, said, rows, is_visible=bool(events))
        items.tell(item, events)
    return order


def with_numbers(
    groups: Sequence[ActivationGroup], order: wire.OrderFacts
) -> list[ActivationGroup]:
    """Return groups with the numbers they cover; one of which Sinch names none has those of its
    name, else all confirmed ones that no other group names."""
    named = {number for group in groups for number in group.numbers}
    by_group: dict[str, list[str]] = {}
    for number in order.numbers:
        by_group.setdefault(number.group, []).append(number.phone_number)
    keys = {group.key for group in groups}
    left = tuple(
        number.phone_number
        for number in order.numbers
        if number.status == buckets.CONFIRMED
        and number.phone_number not in named
        and number.group not in keys
    )
    return [
        group
        if group.numbers
        else replace(group, numbers=tuple(by_group.get(group.key, ())) or left)
        for group in groups
    ]


def _offer_in_words(group: ActivationGroup, rows: standing.Rows) -> str:
    if not group.numbers:
        return f"the group {group.key}"
    carriers = {rows.carriers.get(number, "") for number in group.numbers}
    carrier = carriers.pop() if len(carriers) == 1 else ""
    count = words.count_text(len(group.numbers), "number")
    return f"{count} at {carrier}" if carrier else count


def expect_in_list(digests: Mapping[int, str]) -> None:
    """Note what the list at Sinch said of orders, by key: the next walk expects it again."""
    if not digests:
        return
    with transaction.atomic():
        rows = PortInOrder.objects.filter(pk__in=digests).order_by("pk").only("pk")
        # Locked in one order by everybody, so that two walks cannot wait for each other.
        orders = list(rows.select_for_update(no_key=True))
        for order in orders:
            order.list_digest = digests[order.pk]
        PortInOrder.objects.bulk_update(orders, ["list_digest"])


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
        nothing: dict[str, Any] = {"offered_groups": [], "offered_at": None}
        update(order, nothing | {"gone_at": at, "fetched_at": at})
        text = "Sinch does not know this order any more"
        item = standing.item_of(order.item_id)
        rows = standing.Rows.of(item)
        said = wire.read_order(order.payload)
        was_living = said.status not in buckets.FINISHED
        is_news = was_living and not rows.is_cancel_ours
        standing.store_item(
            item,
            order,
            said,
            rows,
            ended=buckets.Notice(at, text) if is_news else None,
            is_visible=True,
        )
        items.tell(item, [Event(text, ("gone", at), tone="bad", glyph="out", cause=cause)])
        if order.follows_id:
            standing.wake(order.follows_id)
    return True


def tell(order: PortInOrder, events: Iterable[Event]) -> None:
    """Add entries to the timeline of an order and let open pages know."""
    items.tell(WorkItem(pk=order.item_id), events)
    items.touch(order.item_id)


# --- Search -------------------------------------------------------------------------------------


def items_with_number(digits: str, suffix: bool) -> QuerySet[Any, Any]:
    """Return the keys of work items with a number that begins, or ends, with these digits."""
    numbers = (
        PortInNumber.objects.filter(reversed_digits__startswith=digits[::-1])
        if suffix
        else PortInNumber.objects.filter(phone_number__startswith=f"+{digits}")
    )
    # By the key that items name their order with: the orders themselves need not be looked at.
    found = numbers.order_by().values("order_id")
    return WorkItem.objects.filter(kind=WorkItem.Kind.PORT_IN, target_pk__in=found).values("pk")


def status_text(status: str) -> str:
    """Return what the lists call a number's status."""
    return words.chip("number", status).label


def matching_numbers(numbers: Q, items: Collection[int]) -> QuerySet[Any, Any]:
    """Return the first matching number of each item with its status, and how many there are."""
    rows = PortInNumber.objects.filter(numbers, order__item__in=items).order_by()
    return rows.values(item=F("order__item")).annotate(
        first=Min(Concat("phone_number", Value(" "), "status")), many=Count("pk")
    )
