"""What staff can do with an order of either kind that never leaves the desk."""

import datetime

from django.db import transaction
from django.utils import timezone

from portal.accounts.models import User
from portal.work import items
from portal.work.models import TeamNote, TimelineEntry, WorkItem

LONGEST_NOTE = 4000
# A form sent twice says the same again within moments; it is done once.
SENT_TWICE = datetime.timedelta(minutes=1)


class NotPossible(Exception):
    """Raised when the order does not allow it now; its text is the reason for staff."""


class NotSendable(Exception):
    """Raised for what was typed or chosen; its text says what to do about it."""


def checked_text(text: str, empty: str) -> str:
    """Return a note as it is kept. Raises NotSendable with what is wrong with it."""
    text = text.strip()
    if not text:
        raise NotSendable(empty)
    if len(text) > LONGEST_NOTE:
        raise NotSendable(f"{len(text):,} characters; at most {LONGEST_NOTE:,} fit.")
    return text


def locked_item(item: WorkItem) -> WorkItem:
    """Return the item, locked; call inside a transaction."""
    return WorkItem.objects.select_for_update(of=("self",)).defer("search").get(pk=item.pk)


def add_team_note(item: WorkItem, text: str, *, by: User) -> TeamNote:
    """Keep a note for colleagues; it never leaves the desk. Raises NotSendable for the text."""
    text = checked_text(text, "Write what your colleagues should know.")
    with transaction.atomic():
        just_now = timezone.now() - SENT_TWICE
        item = locked_item(item)
        note, new = TeamNote.objects.get_or_create(item=item, by=by, text=text, at__gte=just_now)
        if new:
            items.touch(item.pk)
    return note


def take_over(item: WorkItem, *, by: User, seen: str | None = None) -> None:
    """Make somebody the owner of an order by their own wish.

    `seen` is the key of the owner they had before them, "" for nobody. Raises NotSendable when it
    is somebody else's by now.
    """
    _own(item, by, f"{by.short_name} took this order", by, seen=seen)


def hand_over(
    item: WorkItem, *, to: User | None, line: str, by: User, seen: str | None = None
) -> None:
    """Give an order to a colleague, or to nobody, with a line about it.

    `seen` is as for `take_over`. Raises NotSendable.
    """
    line = line.strip()
    if not line:
        raise NotSendable("Leave a line for whoever goes on with it.")
    told = f"Handed over to {to.short_name if to else 'nobody'}: {line[:300]}"
    if not _own(item, to, told, by, seen=seen) and not _was_just_told(item, told, by):
        raise NotSendable(
            f"{to.short_name if to else 'Nobody'} owns it now. Choose somebody else, or write the "
            "line to your team on the page of the order."
        )


def leave_orders(person: User, *, by: User) -> int:
    """Have nobody own the living orders of somebody who has left; return how many there were.

    They would stand on nobody's home, and in no list of orders without an owner.
    """
    left = WorkItem.objects.filter(assignee=person, bucket__in=WorkItem.LIVING)
    told = f"{person.short_name} has left the desk; nobody owns it now"
    return sum(_own(item, None, told, by, of=person) for item in left.defer("search"))


def _was_just_told(item: WorkItem, told: str, by: User) -> bool:
    """Tell whether somebody has said this a moment ago: their form was sent twice."""
    just_now = timezone.now() - SENT_TWICE
    return TimelineEntry.objects.filter(item=item, text=told, by=by, at__gte=just_now).exists()


def _own(
    item: WorkItem,
    to: User | None,
    told: str,
    by: User,
    of: User | None = None,
    seen: str | None = None,
) -> bool:
    """Make somebody the owner; False when they are, or when it is no longer that `of` somebody.

    Raises NotSendable when it is no longer that of whom somebody has seen.
    """
    with transaction.atomic():
        item = locked_item(item)
        if item.assignee_id == (to.pk if to else None):
            return False
        if of is not None and item.assignee_id != of.pk:
            return False
        if seen is not None and seen != str(item.assignee_id or ""):
            owner = item.assignee.short_name if item.assignee else "Nobody"
            raise NotSendable(
                f"{owner} owns it by now, so nothing was changed. Do it again if it is still right."
            )
        items.save_item(item, {"assignee": to})
        items.tell(
            item,
            [
                items.Event(
                    text=told,
                    fact=("owner", item.pk, item.version, timezone.now()),
                    glyph="dot",
                    source=TimelineEntry.Source.STAFF,
                    by=by,
                )
            ],
        )
    return True
