"""What staff do with the documents of an order: add them, make an LOA, say what they saw.

Like every write: the rules under a lock of the order, operation and timeline in one transaction.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from django.db import transaction
from django.utils import timezone

from orders import letters, loa, papers, standing, sync
from orders.actions_activation import today_there
from orders.actions_order import (
    NotPossible,
    NotSendable,
    locked,
    refuse_secrets,
    why_no_message,
)
from orders.documents import MOST_DOCUMENTS, CheckedDocument, check
from orders.models import OrderDocument, PortInOrder
from portal import words
from portal.accounts.models import User
from portal.formkey import new_key
from portal.operations.actions import submit
from portal.operations.models import Operation
from portal.work import items
from portal.work.models import TimelineEntry

BY_NAME = "name"  # in the place of a kind: each file is what its name says
CHANGED = "The order has changed since you opened this; look at it again."


def upload_documents(
    order: PortInOrder,
    documents: Sequence[CheckedDocument],
    *,
    kind: str,
    description: str = "",
    dated_on: date | None = None,
    by: User,
    key: str = "",
) -> list[Operation]:
    """Keep documents and send them to Sinch, all or none; the same `key` sends each of them once.

    Raises NotSendable for a document, NotPossible for the order.
    """
    if description:
        refuse_secrets(order, description)
    marker = f"{order.target}:document:{key or new_key()}"
    # Others of a page that has sent some, as after going back, are sent as well.
    wanted = {f"{marker}:{_print_of(document)}": document for document in documents}
    with transaction.atomic():
        order = locked(order)
        if why := why_no_message(order):
            raise NotPossible(why)
        known = Operation.objects.filter(marker__in=wanted).defer("payload")
        sent = list(known.order_by("pk"))
        for one in sent:
            del wanted[str(one.marker)]
        if not wanted:
            return sent
        _refuse_too_many(order, len(wanted))
        added = [
            _add(
                order,
                document,
                kind=sync.kind_of_document(document.name) if kind == BY_NAME else kind,
                description=description,
                dated_on=dated_on,
                marker=one,
                by=by,
            )
            for one, document in wanted.items()
        ]
        # What is on its way is not asked for once more.
        standing.recompute(order)
    return [*sent, *added]


def attach_letter(order: PortInOrder, part: int, seen: str, *, by: User, key: str) -> Operation:
    """Make one of the order's LOAs and send it to Sinch, unsigned as it is.

    `part` counts the letters from 1 and `seen` is the print of the letter that was looked at.
    The same `key` never sends a second one. Raises NotPossible.
    """
    with transaction.atomic():
        order = locked(order)
        if why := why_no_message(order):
            raise NotPossible(why)
        marker = f"{order.target}:document:{key or new_key()}:loa"
        if sent := Operation.objects.filter(marker=marker).defer("payload").first():
            return sent
        letter = letters.nth(letters.letters_of_order(order), part)
        if letter is None or letters.print_of(letter) != seen:
            raise NotPossible(CHANGED)
        if letter.missing:
            raise NotPossible(f"Still missing: {', '.join(letter.missing)}.")
        _refuse_too_many(order, 1)
        today, now = today_there(order), timezone.now().isoformat()
        content = loa.pdf(replace(letter, prepared_on=today))
        document = check(letters.file_name(letter, today), content)
        operation = _add(
            order,
            document,
            kind=OrderDocument.Kind.LOA,
            description=f"Letter of authorization for {letters.title_of(letter)}, not signed yet",
            ticks=papers.ticks_of_made(letter, by.short_name, now),
            told=f"LOA for {letters.title_of(letter)} made, not signed yet: “{document.name}”",
            marker=marker,
            by=by,
        )
        standing.recompute(order)
    return operation


def _print_of(document: CheckedDocument) -> str:
    """Return a key of a document's name and content."""
    return hashlib.sha256(document.name.encode() + document.content).hexdigest()[:24]


def _refuse_too_many(order: PortInOrder, more: int) -> None:
    if order.documents.count() + more > MOST_DOCUMENTS:
        raise NotSendable(f"An order takes {MOST_DOCUMENTS} documents at most; these are too many.")


def _add(
    order: PortInOrder,
    document: CheckedDocument,
    *,
    kind: str,
    description: str,
    marker: str,
    by: User,
    dated_on: date | None = None,
    ticks: Mapping[str, Any] | None = None,
    told: str = "",
) -> Operation:
    row = OrderDocument.objects.create(
        order=order,
        name=document.name,
        description=description[:300],
        kind=kind,
        content=document.content,
        content_type=document.content_type,
        size=len(document.content),
        dated_on=dated_on,
        ticks=dict(ticks or {}),
        uploaded_by=by,
    )
    others = order.documents.filter(name=document.name, operation=None).exclude(pk=row.pk)
    operation, _ = submit(
        order.project,
        "port_in.document",
        target=order.target,
        payload={"document_pk": row.pk, "alike_of_others": others.count()},
        by=by,
        subject=f"“{document.name}”",
        marker=marker,
    )
    row.operation = operation
    row.save(update_fields=["operation"])
    what = row.get_kind_display() if row.kind != OrderDocument.Kind.OTHER else "Document"
    items.tell_staff_action(
        order.item, operation, told or f"{what} “{row.name}” added", glyph="edit"
    )
    return operation


def save_checks(
    document: OrderDocument,
    *,
    kind: str,
    dated_on: date | None,
    ticks: Collection[str],
    parts: Collection[int],
    seen: str,
    by: User,
) -> None:
    """Keep what somebody saw on a document: what it is, its date, and what agrees with the order.

    `parts` are the letters, counted from 1, that an LOA is for; `seen` is `seen_of` what stood on
    the page. Raises NotPossible when order or document say something else by now, NotSendable.
    """
    with transaction.atomic():
        order = locked(document.order)
        row = (
            order.documents.select_for_update()
            .defer("content", "sinch_content")
            .get(pk=document.pk)
        )
        if papers.MADE in row.ticks:
            raise NotPossible("This one was made here to be signed; check the signed one.")
        found = letters.letters_of_order(order)
        if dated_on and dated_on > today_there(order):
            raise NotSendable("Lies in the future. Today or earlier.")
        about = [letter for at, letter in enumerate(found, 1) if at in parts] or found
        wanted = [name for name in papers.EYES[kind] if name in ticks]
        kept = {name: _tick(row, name, about, by) for name in wanted}
        if (kind, dated_on, kept) == (row.kind, row.dated_on, row.ticks):
            return
        now = seen_of(found, row)
        if seen.partition(".")[0] != now.partition(".")[0]:
            raise NotPossible(CHANGED)
        if seen != now:
            raise NotPossible(
                f"Somebody saved this since you opened it: {_told(row, list(row.ticks))}. "
                "Tick what should stand, and save again."
            )
        was_kind = row.kind
        row.kind, row.dated_on, row.ticks = kind, dated_on, kept
        row.save(update_fields=["kind", "dated_on", "ticks"])
        items.tell(
            order.item,
            [
                items.Event(
                    text=_told(row, wanted),
                    fact=("document", row.pk, timezone.now()),
                    glyph="edit",
                    source=TimelineEntry.Source.STAFF,
                    by=by,
                )
            ],
        )
        items.touch(order.item_id)
        if kind != was_kind:
            standing.recompute(order)


def _tick(
    row: OrderDocument, name: str, about: Sequence[loa.Letter], by: User
) -> Mapping[str, Any]:
    """Return a tick: the one there is while it says the same, else a new one."""
    new = papers.tick_of(name, about, by.short_name, timezone.now().isoformat())
    old = row.ticks.get(name)
    said = {key: value for key, value in new.items() if key not in ("by", "at")}
    return old if old and all(old.get(key) == value for key, value in said.items()) else new


def _told(row: OrderDocument, ticks: Sequence[str]) -> str:
    texts = {
        "signed": "signed",
        "numbers": "its numbers",
        "signer": "its signer",
        "end_user": "name and address",
        "same_account": "the account",
    }
    found = ", ".join(texts[name] for name in ticks) or "nothing ticked"
    dated = f"; dated {words.day_text(row.dated_on)}" if row.dated_on else ""
    return f"{row.get_kind_display()} “{row.name}” looked at: {found}{dated}"


def seen_of(found: Sequence[loa.Letter], row: OrderDocument) -> str:
    """Return keys of what the order's letters and a document say, for a page to hand back."""
    prints = ".".join(letters.print_of(letter) for letter in found)
    kept = repr((row.kind, row.dated_on, sorted(row.ticks)))
    return ".".join(hashlib.sha256(it.encode()).hexdigest()[:24] for it in (prints, kept))


def tell_look(order: PortInOrder, what: str, *, by: User) -> None:
    """Tell the timeline that somebody looked at an LOA, which holds the account number."""
    today = timezone.localdate()
    items.tell(
        order.item,
        [
            items.Event(
                text=f"Looked at {what}, which holds the account number",
                fact=("look", order.pk, what, by.pk, today),
                glyph="dot",
                source=TimelineEntry.Source.STAFF,
                by=by,
            )
        ],
    )
