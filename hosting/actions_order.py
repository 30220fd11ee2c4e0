"""What staff decide about a hosting order; nothing of it reaches Sinch but through a new order.

Every verb works out the facts again under a lock of the order: a decision is kept for exactly the
facts it was made about, and refused when these are not what the person has seen.
"""

import datetime
from collections.abc import Sequence
from typing import Final

from django.db import transaction
from django.utils import timezone

from hosting import actions, buckets, facts, standing, sync
from hosting.models import HostingDraft, HostingMark, HostingOrder
from portal import words
from portal.accounts.models import User
from portal.work import items, marks
from portal.work.actions import NotPossible, NotSendable
from portal.work.models import TimelineEntry
from portal.work.verdicts import Reason

LONGEST_WORDS: Final = 200
CHANGED: Final = "This has changed meanwhile. Look at it as it is now, then decide again."
JUST_NOW: Final = datetime.timedelta(minutes=1)  # a second click, not a second question


def _locked(order: HostingOrder) -> HostingOrder:
    return (
        HostingOrder.objects.select_for_update(of=("self",)).select_related("item").get(pk=order.pk)
    )


def _reason(order: HostingOrder, code: str, seen: str) -> Reason:
    """Return the reason that somebody has seen, as it is now. Raises NotPossible."""
    for reason in buckets.work_out(standing.facts_of(order), timezone.now()).reasons:
        if reason.code == code and reason.facts and marks.digest(reason.facts) == seen:
            return reason
    raise NotPossible(CHANGED)


def settle(order: HostingOrder, code: str, seen: str, text: str, *, by: User) -> None:
    """Say with words that nothing more is to be done about a reason of the order.

    Raises NotSendable for the words, NotPossible when it is not what the person saw.
    """
    text = text.strip()
    if not text:
        raise NotSendable("Say why nothing more is to be done; it goes into the timeline.")
    if len(text) > LONGEST_WORDS:
        raise NotSendable(f"{len(text)} characters; at most {LONGEST_WORDS} fit.")
    with transaction.atomic():
        order = _locked(order)
        reason = _reason(order, code, seen)
        _keep(order, HostingMark.Kind.SETTLED, code, reason.facts, text, by)
        _tell(order, f"{reason.text}: settled, “{text}”", by)
        standing.recompute(order)


def ask(order: HostingOrder, code: str, seen: str, *, by: User) -> None:
    """Note that the customer, the signer or Sinch support was asked; the clock starts anew.

    Raises NotPossible when it is not what the person saw.
    """
    with transaction.atomic():
        order = _locked(order)
        reason = _reason(order, code, seen)
        recent = HostingMark.objects.filter(
            order=order,
            kind=HostingMark.Kind.ASKED,
            fact__in=reason.facts,
            at__gte=timezone.now() - JUST_NOW,
        )
        if recent.exists():
            return
        _keep(order, HostingMark.Kind.ASKED, code, reason.facts, "", by)
        whom = {"H2": "Sinch support", "H7": "Sinch support", "H5": "Signer"}.get(code, "Customer")
        _tell(order, f"{whom} asked about: {reason.text}", by)
        standing.recompute(order)


def take_back(order: HostingOrder, mark_pk: int, *, by: User) -> None:
    """Take a decision back, with everything that was decided in the same step."""
    with transaction.atomic():
        order = _locked(order)
        mark = HostingMark.objects.filter(order=order, pk=mark_pk, ended_at=None).first()
        if mark is None:
            return  # taken back before; a second click changes nothing
        same = HostingMark.objects.filter(
            order=order, kind=mark.kind, reason=mark.reason, at=mark.at, ended_at=None
        )
        same.update(ended_at=timezone.now())
        _tell(order, f"Open again: “{mark.text}”" if mark.text else "Open again", by)
        standing.recompute(order)


# --- Numbers held at T-Mobile -------------------------------------------------------------------


def confirm_left(
    order: HostingOrder, seen: str, said_by: str, on: datetime.date, *, by: User
) -> None:
    """Keep the customer's written word that the held numbers left their other provider.

    Raises NotPossible when other numbers are held by now.
    """
    with transaction.atomic():
        order = _locked(order)
        known = standing.facts_of(order)
        keys = [number.held_fact for number in known.held]
        if not keys or marks.digest(keys) != seen:
            raise NotPossible(CHANGED)
        word = {"kind": HostingMark.Kind.CONFIRMED, "text": f"{said_by}|{on.isoformat()}"}
        kept = HostingMark.objects.filter(order=order, ended_at=None, fact__in=keys, **word)
        if set(kept.values_list("fact", flat=True)) == set(keys):
            return  # a second click; two of them would have to be taken back twice
        _keep(order, word["kind"], "H4", keys, word["text"], by)
        count = words.count_text(len(keys), "number")
        text = f"{said_by} confirmed on {words.day_text(on)} that {count} left the other provider"
        _tell(order, text, by)
        standing.recompute(order)


def migration_draft(order: HostingOrder, seen: str, *, by: User) -> HostingDraft:
    """Return the draft of the import order that moves the held numbers over.

    Raises NotPossible without the customer's word, or when other numbers are held by now.
    """
    with transaction.atomic():
        order = _locked(order)
        known = standing.facts_of(order)
        held = [n for n in known.held if n.phone_number not in known.migrating]
        if not held or marks.digest(number.held_fact for number in known.held) != seen:
            raise NotPossible(CHANGED)
        missing = [n for n in held if not known.marked(facts.CONFIRMED, n.held_fact)]
        if missing:
            raise NotPossible("The customer’s written word comes first: keep it above.")
    return actions.draft_for_migration(order, [n.phone_number for n in held], by=by)


# --- Within -------------------------------------------------------------------------------------


def _keep(
    order: HostingOrder, kind: str, code: str, keys: Sequence[str], text: str, by: User
) -> None:
    now = timezone.now()
    HostingMark.objects.bulk_create(
        HostingMark(order=order, kind=kind, reason=code, fact=key, text=text, by=by, at=now)
        for key in keys
    )


def _tell(order: HostingOrder, text: str, by: User) -> None:
    now = timezone.now()
    sync.tell(
        order,
        [
            items.Event(
                text=text,
                fact=("decided", order.pk, text, now),
                glyph="dot",
                source=TimelineEntry.Source.STAFF,
                by=by,
                at=now,
            )
        ],
    )
