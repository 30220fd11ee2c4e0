"""What staff can do with an order that Sinch has: one verb for each.

Every write checks the rules under a lock of the order, and stores operation and timeline entry in
one transaction. What cannot be done is raised as NotPossible, with the reason in words.
"""

import re

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from orders import standing
from orders.marks import digest
from orders.models import OrderNote, PortInOrder
from portal import words
from portal.accounts.models import User
from portal.formkey import new_key
from portal.operations import readings
from portal.operations.actions import submit
from portal.operations.models import Operation
from portal.work import actions as work
from portal.work import items
from portal.work.actions import NotPossible, NotSendable
from portal.work.models import TeamNote, TimelineEntry

READER = "port_in_order"

SECRETS = {
    "pin": ("existingPortOutPin", "the port-out PIN"),
    "account": ("accountNum", "the account number"),
    "new_pin": ("newPortOutPin", "the PIN these numbers get at Sinch"),
}

_SPELLED_PIN = re.compile(
    r"\b(?:pin|passcode|pass code|password|security code|ssn)\b\D{0,25}\d(?:[ -]?\d){3,11}\b", re.I
)


# A gap of a template that nothing has filled; `orders.notes.GAPS` has what each stands for.
_GAP = re.compile(r"\{(?:reference|sinch_id|end_user|numbers|foc_date|port_date)\}")


# --- Why not --------------------------------------------------------------------------------


def why_gone(order: PortInOrder) -> str:
    """Return that Sinch does not know the order any more; "" while it does."""
    return "Sinch does not know this order any more." if order.gone_at else ""


def why_no_change(order: PortInOrder) -> str:
    """Return why the order cannot be changed or canceled now; "" when it can."""
    status = PortInOrder.Status
    reasons = {
        status.CONFIRMED: (
            "Locked: the losing carrier confirmed it. Ask Sinch by note to change it."
        ),
        status.COMPLETED: "The port is finished.",
        status.PENDING_CANCELATION: "Canceling is under way.",
        status.CANCELED: "This order has ended.",
    }
    if order.gone_at or order.is_editable:
        return why_gone(order)
    known = reasons.get(PortInOrder.Status(order.status)) if order.status in status else ""
    return known or f"Sinch reports {order.status}; only a pending order can be changed."


def why_no_message(order: PortInOrder) -> str:
    """Return why no note or document can be sent now; "" when it can."""
    return why_gone(order)


# --- Verbs ----------------------------------------------------------------------------------


def locked(order: PortInOrder) -> PortInOrder:
    """Return the order, locked, with its item and project; call inside a transaction."""
    # Two people at one order take turns; the payload is not needed to decide.
    return (
        PortInOrder.objects.select_for_update(of=("self",))
        .select_related("item", "project")
        .defer("payload")
        .get(pk=order.pk)
    )


def _collapsed(text: str) -> str:
    return " ".join(text.split())


def refuse_secrets(order: PortInOrder, text: str) -> None:
    """Raise NotSendable when a text holds a PIN or an account number of this order."""
    if _SPELLED_PIN.search(text):
        raise NotSendable(
            "This looks like a PIN. Put it into the PIN field, where it is kept encrypted."
        )
    digits = re.sub(r"[^0-9A-Za-z\n]+", "", text).lower()
    known = order.secrets or {}  # what no key reads cannot be looked for
    numbers = {number[-10:] for number in known}
    for kept in known.values():
        for value in kept.values():
            bare = re.sub(r"[^0-9A-Za-z]+", "", str(value)).lower()
            # A number that moves may be the account number too; it is no secret then.
            if len(bare) >= 4 and bare[-10:] not in numbers and bare in digits:
                raise NotSendable(
                    "This holds a PIN or an account number of the order. Sinch gets it with the "
                    "order itself; leave it out of the text."
                )


def _checked(order: PortInOrder, text: str, empty: str) -> str:
    text = work.checked_text(text, empty)
    refuse_secrets(order, text)
    return text


def check_note(order: PortInOrder, text: str) -> str:
    """Return the note as it would be sent. Raises NotSendable with what is wrong with it."""
    text = _checked(order, text, "Write what Sinch should read.")
    if gap := _GAP.search(text):
        raise NotSendable(
            f"{gap[0]} is a gap that this order cannot fill: write it, or take it out."
        )
    return text


def add_note(order: PortInOrder, text: str, *, by: User, key: str = "") -> Operation:
    """Send a note to Sinch. The same `key` never sends the same text twice.

    Raises NotSendable for the text, NotPossible for the order.
    """
    text = check_note(order, text)
    with transaction.atomic():
        order = locked(order)
        if why := why_no_message(order):
            raise NotPossible(why)
        # How many alike others have written: a lost answer is told from an older twin by it.
        others = OrderNote.objects.filter(order=order, operation=None)
        alike = sum(
            _collapsed(note) == _collapsed(text) for note in others.values_list("text", flat=True)
        )
        short = text if len(text) <= 40 else f"{text[:40].rstrip()}…"
        operation, new = submit(
            order.project,
            "port_in.note",
            target=order.target,
            payload={"text": text, "alike_of_others": alike},
            by=by,
            subject=f"Your note “{short}”",
            # Another text of a page that has sent one, as after going back, is another note.
            marker=f"{order.target}:note:{key or new_key()}:{digest([text])}",
        )
        if new:
            shown = text if len(text) <= 300 else f"{text[:300].rstrip()}…"
            items.tell_staff_action(
                order.item, operation, f"Note to Sinch: “{shown}”", glyph="note"
            )
            # Nobody else answers what this note answers while it is on its way.
            standing.recompute(order)
    return operation


def add_team_note(order: PortInOrder, text: str, *, by: User) -> TeamNote:
    """Keep a note for colleagues; it never leaves the desk. Raises NotSendable for the text."""
    refuse_secrets(order, text)
    return work.add_team_note(order.item, text, by=by)


def cancel_order(order: PortInOrder, *, why: str, by: User) -> Operation:
    """Ask Sinch to cancel the whole order; a second click adds nothing.

    Raises NotPossible when the order is not pending, NotSendable for the reason given.
    """
    why = why.strip()
    if not why:
        raise NotSendable("Say why, in a few words; it goes into the timeline.")
    refuse_secrets(order, why)
    with transaction.atomic():
        order = locked(order)
        # One that Sinch has taken counts until the order has been read after it.
        taken = Q(state=Operation.State.SUCCEEDED, finished_at__gte=order.fetched_at)
        canceling = Operation.objects.filter(
            taken | Q(state__in=Operation.UNDER_WAY), target=order.target, kind="port_in.cancel"
        )
        if asked_for := canceling.defer("payload").first():
            return asked_for
        if reason := why_no_change(order):
            raise NotPossible(reason)
        operation, _ = submit(
            order.project,
            "port_in.cancel",
            target=order.target,
            payload={"why": why[:500]},
            by=by,
            subject="The cancelation",
        )
        items.tell_staff_action(
            order.item, operation, f"Canceling asked for: {why[:300]}", glyph="ended"
        )
    return operation


def check_now(order: PortInOrder) -> None:
    """Have the order read again from Sinch, before anything nobody waits for."""
    readings.want_one(order.project_id, READER, order.sinch_id, "staff")


def hand_over(
    order: PortInOrder, *, to: User | None, line: str, by: User, seen: str | None = None
) -> None:
    """Give an order to a colleague, or to nobody, with a line about it. Raises NotSendable."""
    refuse_secrets(order, line)
    work.hand_over(order.item, to=to, line=line, by=by, seen=seen)


def reveal(order: PortInOrder, name: str, *, by: User, number: str = "") -> str:
    """Return a secret of the order in plain text, and tell the timeline who looked.

    `name` is a key of SECRETS, KeyError for another. With `number` it is the one of that number,
    "" when it has none; else several values are told with how many numbers each is for.
    """
    field, what = SECRETS[name]
    if number:
        what = f"{what} of {words.phone_text(number)}"
    with transaction.atomic():
        items.tell(
            order.item,
            [
                items.Event(
                    text=f"Looked at {what}",
                    fact=("reveal", order.pk, name, number, by.pk, timezone.now()),
                    glyph="dot",
                    source=TimelineEntry.Source.STAFF,
                    by=by,
                )
            ],
        )
        # No touch: the page would be swapped within seconds and hide what was just asked for.
    known = order.secrets or {}
    if number:
        return str(known.get(number, {}).get(field) or "")
    counts: dict[str, int] = {}
    for kept in known.values():
        if value := kept.get(field):
            counts[str(value)] = counts.get(str(value), 0) + 1
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{v} ({words.count_text(n, 'number')})" for v, n in counts.items())
