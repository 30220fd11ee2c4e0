"""What staff can do with an order of either kind that never leaves the desk."""

import datetime

from django.db import transaction
from django.utils import timezone

from portal.accounts.models import User
from portal.work import items
from portal.work.models import TeamNote, TimelineEntry, WorkItem

LONGEST_NOTE = 4000


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
        # A form sent twice says the same again within moments; it is one note.
        just_now = timezone.now() - datetime.timedelta(minutes=1)
        item = locked_item(item)
        note, new = TeamNote.objects.get_or_create(item=item, by=by, text=text, at__gte=just_now)
        if new:
            items.touch(item.pk)
    return note


def take_over(item: WorkItem, *, by: User) -> None:
    """Make somebody the owner of an order by their own wish."""
    _own(item, by, f"{by.short_name} took this order", by)


def hand_over(item: WorkItem, *, to: User | None, line: str, by: User) -> None:
    """Give an order to a colleague, or to nobody, with a line about it. Raises NotSendable."""
    line = line.strip()
    if not line:
        raise NotSendable("Leave a line for whoever goes on with it.")
    name = to.short_name if to else "nobody"
    _own(item, to, f"Handed over to {name}: {line[:300]}", by)


def _own(item: WorkItem, to: User | None, told: str, by: User) -> None:
    with transaction.atomic():
        item = locked_item(item)
        if item.assignee_id == (to.pk if to else None):
            return
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
