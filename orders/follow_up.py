"""A new order made of only the refused or left out numbers of an old one: a draft to begin with."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from orders import bodies, edits, facts, standing, sync, wire
from orders.actions import default_fields
from orders.actions_marks import CHANGED, locked
from orders.actions_order import NotPossible, NotSendable
from orders.buckets import zone_named
from orders.causes import cause_named, causes_of
from orders.facts import Facts, Number
from orders.models import PortInDraft, PortInOrder
from orders.page_marks import LOCKED
from orders.page_numbers import runs_text
from orders.review import reference_owner
from portal import words
from portal.accounts.models import User
from portal.work import items
from portal.work.models import TimelineEntry

KIND: Final = "refused"  # `data["follows_kind"]`; a copy has another one
LONGEST_REFERENCE: Final = 100


@dataclass
class _Part:
    """An order with only some of its numbers, in Sinch's shape."""

    payload: dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """Numbers that share status and reason, to be taken along or left."""

    numbers: list[str]
    title: str
    reason: str
    chosen: bool

    @property
    def digits(self) -> str:
        """Its numbers as a form sends them."""
        return ".".join(number.lstrip("+") for number in self.numbers)

    @property
    def as_runs(self) -> str:
        """Its numbers as they are read."""
        return runs_text(self.numbers)


def why_none(order: PortInOrder) -> str:
    """Return why no number of the order can be ordered anew now; "" when some may be."""
    return LOCKED if order.status == facts.CANCELING else ""


def _can_go_on(order: PortInOrder, known: Facts, number: Number) -> bool:
    """Tell whether a number can be taken up by another order."""
    if known.is_cared_for(number):
        return False
    if number.status == facts.EXCLUDED:
        return True
    # While the order can be changed, a refused number is mended where it is.
    return number.status == facts.REJECTED and not (order.is_editable and not order.gone_at)


def choices_of(order: PortInOrder, cause: str = "") -> list[Choice]:
    """Return the numbers that a new order can take up, by status and reason.

    `cause` is the key of one whose numbers are chosen; without one all are that some order can
    help.
    """
    known, wanted = standing.facts_of(order), cause_named(cause)
    groups: dict[tuple[str, str], list[str]] = {}
    for number in known.numbers:
        if _can_go_on(order, known, number):
            groups.setdefault((number.status, number.said), []).append(number.phone_number)
    found = []
    for (status, said), numbers in groups.items():
        causes = causes_of(said)
        helps = all(one.remedy != "terminal" for one in causes)
        found.append(
            Choice(
                numbers=numbers,
                title=words.count_text(len(numbers), "number")
                + (" rejected" if status == facts.REJECTED else " left out"),
                reason=said,
                chosen=(wanted in causes) if wanted else helps,
            )
        )
    return sorted(found, key=lambda choice: -len(choice.numbers))


def make_draft(order: PortInOrder, phones: Iterable[str], *, by: User) -> PortInDraft:
    """Make a draft of these numbers with their own details and secrets, and return it.

    An open one of the same numbers is returned instead of a second. Raises NotSendable when none
    was chosen, NotPossible when one of them cannot be ordered anew.
    """
    wanted = list(dict.fromkeys(phones))
    if not wanted:
        raise NotSendable("Choose at least one number.")
    with transaction.atomic():
        order = locked(order)
        if why := why_none(order):
            raise NotPossible(why)
        known = standing.facts_of(order)
        able = {n.phone_number for n in known.numbers if _can_go_on(order, known, n)}
        if not able.issuperset(wanted):
            raise NotPossible(CHANGED)
        text = "\n".join(wanted)
        for draft in order.draft_follow_ups.filter(state=PortInDraft.State.OPEN):
            if draft.field("follows_kind") == KIND and draft.field("numbers") == text:
                return draft
        data = draft_fields(order, wanted) | {"numbers": text, "follows_kind": KIND}
        draft = PortInDraft.objects.create(
            project=order.project,
            by=by,
            follows=order,
            data=data,
            title=str(data.get("name") or words.phone_text(wanted[0]))[:200],
        )
        told = f"Draft of a new order for {words.count_text(len(wanted), 'number')} made"
        event = items.Event(
            text=told,
            fact=("follow-up", order.pk, draft.pk),
            glyph="edit",
            source=TimelineEntry.Source.STAFF,
            by=by,
        )
        sync.tell(order, [event])
    return draft


def draft_fields(order: PortInOrder, numbers: Sequence[str]) -> dict[str, Any]:
    """Return what a draft of these numbers begins with: all the order has of them."""
    payload = bodies.in_shape(order.payload)
    wanted = set(numbers)
    entries = [e for e in payload["phoneNumbers"] if wire.phone_of(e) in wanted]
    part = _Part({**payload, "phoneNumbers": entries})
    fields = default_fields(order.project) | _without_nothing(
        edits.fields_of(part, {n: kept for n, kept in (order.secrets or {}).items() if n in wanted})
    )
    day = wire.read_date(fields.get("port_date"))
    zone = zone_named(order.desired_port_time_zone, order.project.default_port_time_zone)
    if day is None or day <= timezone.now().astimezone(zone).date():
        fields["port_date"] = ""  # the old one is over
    fields["reference"] = free_reference(order)
    return fields


def _without_nothing(fields: Mapping[str, Any]) -> dict[str, Any]:
    # The time and zone of the project stand where the order has none.
    empty = {name for name in ("port_time", "port_zone") if not fields.get(name)}
    return {name: value for name, value in fields.items() if name not in empty}


def free_reference(order: PortInOrder) -> str:
    """Return the order's reference with the next number that nobody has: `HVD-2026-014-2`.

    "" when the order has none.
    """
    if not order.reference:
        return ""
    follows = bool(order.follows_id) and re.fullmatch(r"(.+)-(\d{1,3})", order.reference)
    stem, n = (follows[1], int(follows[2])) if follows else (order.reference, 1)
    while True:
        n += 1
        ending = f"-{n}"
        reference = stem[: LONGEST_REFERENCE - len(ending)] + ending
        if not reference_owner(order.project, reference):
            return reference
