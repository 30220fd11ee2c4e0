"""Writing work items and timelines; called by the app an order belongs to."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import F
from django.utils import timezone

from portal.accounts.models import User
from portal.operations.models import Operation
from portal.work import search
from portal.work.models import TimelineEntry, WorkItem
from portal.writing import ONE_MORE, Made, insert, update, upsert


@dataclass(frozen=True)
class Event:
    """Something to tell in a timeline. `fact` makes it unique: the same fact is told once."""

    text: str
    fact: tuple[object, ...]
    tone: str = "wait"
    glyph: str = "wait"
    source: str = TimelineEntry.Source.SINCH
    cause: str = ""
    by: User | None = None
    operation: Operation | None = None
    at: datetime = field(default_factory=timezone.now)


def tell(item: WorkItem | None, events: Iterable[Event]) -> int:
    """Add events to a timeline, leaving out facts already told; one statement. Returns how many.

    Without an item (an order Sinch has not accepted yet) the entries wait on their operation.
    """
    rows = [
        TimelineEntry(
            item=item,
            operation=event.operation,
            at=event.at,
            source=event.source,
            tone=event.tone,
            glyph=event.glyph,
            text=event.text[:1000],
            cause=event.cause[:100],
            by=event.by,
            fact=TimelineEntry.fact_of(*event.fact),
        )
        for event in events
    ]
    upsert(rows)
    return len(rows)


def give_to_sender(item: WorkItem, operation: Operation) -> None:
    """Have whoever sent an order own it, unless somebody does or they have left the desk."""
    if item.assignee_id is None and operation.by is not None and operation.by.is_active:
        save_item(item, {"assignee_id": operation.by_id})


def adopt(item: WorkItem, operation: Operation) -> None:
    """Hand the entries that waited on an operation to the item that it made."""
    TimelineEntry.objects.filter(operation=operation, item=None).update(item=item)


def tell_staff_action(
    item: WorkItem | None, operation: Operation, text: str, *, glyph: str = "edit"
) -> None:
    """Tell that somebody decided on a write; in the transaction of the decision."""
    tell(
        item,
        [
            Event(
                text=text,
                fact=("operation", operation.pk, "decided"),
                glyph=glyph,
                source=TimelineEntry.Source.STAFF,
                by=operation.by,
                operation=operation,
            )
        ],
    )
    if item is not None:
        touch(item.pk)


def touch(item_pk: int) -> None:
    """Let open pages know that something visible has changed."""
    WorkItem.objects.filter(pk=item_pk).update(version=F("version") + 1, changed_at=timezone.now())


# Whoever wakes an item holds no lock of its order: what came after the item was loaded stays, and
# the bucket is worked out once more with what was not known here.
_UNLESS_WOKEN = (
    "CASE WHEN {column} IS DISTINCT FROM %s::timestamptz THEN LEAST({column}, %s::timestamptz)"
    " ELSE %s::timestamptz END"
)


def save_item(item: WorkItem, values: dict[str, Any], words: str | None = None) -> bool:
    """Store what differs from the item and let its version grow; False when nothing differs.

    `words` is the text that free-text search looks in (names, references, ids); None keeps it.
    The version grows even when only the order behind it changed: then call `touch`.
    """
    changed = {name: value for name, value in values.items() if getattr(item, name) != value}
    before = item.next_change_at
    if not item._state.adding and not changed and words is None:
        return False
    for name, value in changed.items():
        setattr(item, name, value)
    item.changed_at = timezone.now()
    made = {}
    if "next_change_at" in changed and not item._state.adding:
        after = item.next_change_at
        made["next_change_at"] = Made(_UNLESS_WOKEN, (before, after, after))
    if words is not None:
        made["search"] = Made("to_tsvector('simple', %s)", (search.plain_words(words),))
    if item._state.adding:
        item.version = 1
        insert(item, made)
    else:
        more = {"version": Made(ONE_MORE), "changed_at": item.changed_at}
        update(item, changed | made | more)
        item.version += 1
    return True
