"""What staff decide about an order without writing to Sinch, and sending it once more unchanged.

Every verb works out the facts again under a lock of the order: a decision is kept for exactly the
facts it was made about, and refused when these are not what the person has seen.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from orders import bodies, buckets, comparing, marks, standing, sync, wire
from orders.actions_edit import (
    bare_numbers,
    bare_words,
    secrets_to_ask,
    unknown_secret_words,
    why_no_edit,
)
from orders.actions_order import NotPossible, NotSendable, refuse_secrets
from orders.causes import causes_of
from orders.edit_work import packed
from orders.facts import Facts, Number
from orders.models import OrderMark, PortInOrder
from portal import words
from portal.accounts.models import User
from portal.operations.actions import submit
from portal.operations.models import Operation
from portal.work import items
from portal.work.models import TimelineEntry

LONGEST_WORDS: Final = 300
JUST_NOW: Final = timedelta(minutes=1)  # a second click, not a second question
CHANGED: Final = "This has changed meanwhile. Look at it as it is now, then decide again."
_STATUSES: Final = {"P3": ("REJECTED",), "P7": ("EXCLUDED", "CANCELED")}


def locked(order: PortInOrder) -> PortInOrder:
    """Return the order, payload included, locked; call inside a transaction."""
    return (
        PortInOrder.objects.select_for_update(of=("self",))
        .select_related("item", "project")
        .get(pk=order.pk)
    )


def chosen_numbers(facts: Facts, code: str, phones: Iterable[str], seen: str) -> list[Number]:
    """Return the numbers that a decision is about, as they are now.

    Raises NotPossible when they are not what the person saw: `seen` names their facts.
    """
    wanted = set(phones)
    found = [
        number
        for number in facts.numbers
        if number.phone_number in wanted and number.status in _STATUSES.get(code, ())
    ]
    if not found or len(found) != len(wanted) or marks.digest(n.fact for n in found) != seen:
        raise NotPossible(CHANGED)
    return found


# --- Settling -------------------------------------------------------------------------------


def settle_numbers(
    order: PortInOrder, code: str, phones: Sequence[str], seen: str, text: str, *, by: User
) -> None:
    """Say with words that nothing more is to be done about refused or left out numbers.

    `code` is P3 or P7. Raises NotSendable for the words, NotPossible when the facts have changed.
    """
    text = _words(order, text)

    def decide(facts: Facts) -> tuple[list[str], str]:
        found = chosen_numbers(facts, code, phones, seen)
        done = "rejected" if code == "P3" else "left out"
        return [n.fact for n in found], f"{_count(found)} {done}: settled, “{text}”"

    _mark(order, marks.SETTLED, code, decide, text, by=by)


def settle_notice(order: PortInOrder, code: str, fact: str, text: str, *, by: User) -> None:
    """Say that nothing more is to be done about something that happened: P5 or P6.

    Raises NotPossible when that is not what is told now.
    """
    text = _words(order, text)

    def decide(facts: Facts) -> tuple[list[str], str]:
        notice = facts.moved if code == "P5" else facts.ended
        if notice is None or marks.notice_fact(code, notice.at) != fact:
            raise NotPossible(CHANGED)
        return [fact], f"{notice.text}: settled, “{text}”"

    _mark(order, marks.SETTLED, code, decide, text, by=by)


def settle_features(order: PortInOrder, text: str, *, by: User) -> None:
    """Say that nothing more is to be done about features that were left out."""
    text = _words(order, text)

    def decide(facts: Facts) -> tuple[list[str], str]:
        found = [n for n in facts.numbers if n.features]
        if not found:
            raise NotPossible(CHANGED)
        return [n.features_fact for n in found], f"Features left out: settled, “{text}”"

    _mark(order, marks.SETTLED, "P7", decide, text, by=by)


def unsettle_numbers(
    order: PortInOrder, code: str, phones: Sequence[str], seen: str, *, by: User
) -> None:
    """Take back that numbers were settled. Raises NotPossible when the facts have changed."""

    def decide(facts: Facts) -> tuple[list[str], str]:
        found = chosen_numbers(facts, code, phones, seen)
        return [n.fact for n in found], f"{_count(found)} open again"

    _take_back(order, marks.SETTLED, decide, by=by)


def unsettle_notice(order: PortInOrder, code: str, fact: str, *, by: User) -> None:
    """Take back that something which happened was settled, and tell it again."""
    at = marks.notice_moment(fact)
    if at is None or code not in ("P5", "P6"):
        raise NotPossible(CHANGED)
    with transaction.atomic():
        order = locked(order)
        if not _end(order, marks.SETTLED, [fact]):
            return
        said = wire.read_order(order.payload)
        focs = sorted({n.foc_date for n in said.numbers if n.status == "CONFIRMED" and n.foc_date})
        if code == "P5":
            text = f"FOC date moved to {words.day_text(focs[0])}" if focs else "Date open again"
            standing.recompute(order, moved=buckets.Notice(at, text))
        else:
            text = "Sinch does not know this order any more" if order.gone_at else "Order canceled"
            standing.recompute(order, ended=buckets.Notice(at, f"{text}, and not by us"))
        _tell(order, f"{text}: open again", by)


# --- Asking ---------------------------------------------------------------------------------


def ask_about_numbers(
    order: PortInOrder, code: str, phones: Sequence[str], seen: str, *, by: User
) -> None:
    """Note that the customer was asked about refused or left out numbers; its clock starts.

    Raises NotPossible when the facts have changed.
    """

    def decide(facts: Facts) -> tuple[list[str], str]:
        found = chosen_numbers(facts, code, phones, seen)
        return [n.fact for n in found], f"Customer asked about {_count(found)}"

    _mark(order, marks.ASKED, code, decide, "", by=by)


def ask_about(order: PortInOrder, code: str, *, by: User) -> None:
    """Note that the customer was asked for what P4, P8 or P9 needs, or Sinch about P11.

    Raises NotPossible when the order has no such reason.
    """

    def decide(facts: Facts) -> tuple[list[str], str]:
        if code == marks.CHASE:
            return [marks.CHASE], "Sinch asked how it stands"
        if code == "P9":
            return [marks.NO_LOA_FACT], "Customer asked for the LOA"
        if code == "P8" and facts.desired_date:
            return [marks.date_fact(facts.desired_date)], "Customer asked for a date"
        note = newest_incoming(facts)
        if code != "P4" or note is None:
            raise NotPossible(CHANGED)
        return [note.fact], "Customer asked for what Sinch wants to know"

    if code not in (marks.CHASE, *marks.ASKABLE):
        raise NotPossible(CHANGED)
    _mark(order, marks.ASKED, code, decide, "", by=by)


# --- Notes and the LOA ----------------------------------------------------------------------


def newest_incoming(facts: Facts) -> buckets.Note | None:
    """Return the last note of Sinch; None when there is none."""
    return max((n for n in facts.notes if not n.is_ours), key=lambda note: note.at, default=None)


def judge_note(order: PortInOrder, fact: str, *, needs_reply: bool, by: User) -> None:
    """Say that Sinch's newest note needs no reply, or still does although we wrote since.

    Raises NotPossible when `fact` is not the newest note any more.
    """

    def decide(facts: Facts) -> tuple[list[str], str]:
        note = newest_incoming(facts)
        if note is None or note.fact != fact:
            raise NotPossible("Sinch wrote again meanwhile. Read it, then decide again.")
        still = "still needs a reply" if needs_reply else "needs no reply"
        return [fact], f"The note of Sinch {still}"

    kind = marks.NEEDS_REPLY if needs_reply else marks.NO_REPLY
    _mark(order, kind, "P4", decide, "", by=by)


def waive_loa(order: PortInOrder, *, by: User) -> None:
    """Say that this order needs no LOA."""
    _mark(
        order,
        marks.NO_LOA,
        "P9",
        lambda facts: ([marks.NO_LOA_FACT], "This order needs no LOA"),
        "",
        by=by,
    )


def want_loa(order: PortInOrder, *, by: User) -> None:
    """Take back that this order needs no LOA."""
    _take_back(
        order,
        marks.NO_LOA,
        lambda facts: ([marks.NO_LOA_FACT], "This order needs an LOA after all"),
        by=by,
    )


# --- Once more, unchanged ---------------------------------------------------------------------


def resubmit(order: PortInOrder, phones: Sequence[str], seen: str, *, by: User) -> Operation:
    """Send the order to Sinch as it is, so that numbers mended elsewhere are tried again.

    A second click while it is under way adds nothing. Raises NotPossible with the reason.
    """
    with transaction.atomic():
        order = locked(order)
        numbers = chosen_numbers(standing.facts_of(order), "P3", phones, seen)
        last = (
            Operation.objects.filter(target=order.target, kind="port_in.update")
            .order_by("-pk")
            .defer("payload")
            .first()
        )
        marker = f"{order.target}:resubmit:"
        if last and last.is_under_way and (last.marker or "").startswith(marker):
            return last
        if why := why_no_edit(order):
            raise NotPossible(why)
        if not any(c.remedy == "first outside" for n in numbers for c in causes_of(n.said)):
            raise NotPossible("Something has to be corrected first: these would be refused again.")
        body = bodies.write_body(order, order.secrets)
        if unknown := secrets_to_ask(order, body):
            raise NotPossible(unknown_secret_words(unknown))
        if bare := bare_numbers(order, body):
            raise NotPossible(bare_words(sorted(bare)))
        operation, _ = submit(
            order.project,
            "port_in.update",
            target=order.target,
            payload={
                "body": body,
                "base": comparing.digest(order),
                "against": packed(body),
                "form": {},
            },
            by=by,
            subject=f"{_count(numbers)} to be tried again",
            marker=f"{marker}{last.pk if last else 0}",
        )
        items.tell_staff_action(
            order.item, operation, f"Order sent once more, unchanged, for {_count(numbers)}"
        )
    return operation


# --- What all verbs share ---------------------------------------------------------------------

Decide = Callable[[Facts], tuple[list[str], str]]


def _count(numbers: Sequence[Any]) -> str:
    return words.count_text(len(numbers), "number")


def _words(order: PortInOrder, text: str) -> str:
    text = " ".join(text.replace("\0", "").split())
    if not text:
        raise NotSendable("Say why, in a few words; your colleagues read it.")
    if len(text) > LONGEST_WORDS:
        raise NotSendable(f"{len(text)} characters; at most {LONGEST_WORDS} fit.")
    refuse_secrets(order, text)
    return text


def _mark(
    order: PortInOrder, kind: str, reason: str, decide: Decide, text: str, *, by: User
) -> None:
    with transaction.atomic():
        order = locked(order)
        (facts, told), now = decide(standing.facts_of(order)), timezone.now()
        known = set(
            OrderMark.objects.filter(order=order, kind=kind, fact__in=facts, ended_at=None)
            .filter(**({} if kind != marks.ASKED else {"at__gt": now - JUST_NOW}))
            .values_list("fact", flat=True)
        )
        # A second click says nothing new; asking again later does.
        fresh = [fact for fact in facts if fact not in known]
        if not fresh:
            return
        if kind in (marks.NO_REPLY, marks.NEEDS_REPLY):
            _end(order, marks.NO_REPLY if kind == marks.NEEDS_REPLY else marks.NEEDS_REPLY, fresh)
        OrderMark.objects.bulk_create(
            OrderMark(order=order, kind=kind, reason=reason, fact=fact, text=text, by=by, at=now)
            for fact in fresh
        )
        standing.recompute(order)
        _tell(order, told, by)


def _take_back(order: PortInOrder, kind: str, decide: Decide, *, by: User) -> None:
    with transaction.atomic():
        order = locked(order)
        facts, told = decide(standing.facts_of(order))
        if _end(order, kind, facts):
            standing.recompute(order)
            _tell(order, told, by)


def _end(order: PortInOrder, kind: str, facts: Sequence[str]) -> int:
    there = OrderMark.objects.filter(order=order, kind=kind, fact__in=facts, ended_at=None)
    return there.update(ended_at=timezone.now())


def _tell(order: PortInOrder, text: str, by: User) -> None:
    now = timezone.now()
    event = items.Event(
        text=text,
        fact=("mark", order.pk, text, now),
        glyph="dot",
        source=TimelineEntry.Source.STAFF,
        by=by,
        at=now,
    )
    sync.tell(order, [event])
