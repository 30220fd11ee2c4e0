"""The orders that a draft becomes: one for each losing carrier, none with more than 500 numbers.

Sinch advises one carrier for each order and takes 500 numbers in one. What is shown before
sending is counted only; which number goes where is worked out by the same rule when it is sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeVar

from django.utils import timezone

from orders import bodies
from orders.details import clean_details, details_body
from orders.forms import MAX_NUMBERS, MAX_REFERENCE
from orders.list_rows import details_in
from orders.models import ListRows, PortabilityResult, PortInDraft
from orders.places import references_taken
from orders.review import Reason, Review, review
from orders.verdicts import UNKNOWN, Carrier
from portal import words
from portal.sinch.payloads import PortInOrderWrite
from portal.work.drafts import NotSendable, OpenOrSaid

ONE: Final = "one"  # what `split` holds when somebody keeps the carriers together
BY_CARRIER: Final = "carrier"
MOST_OPEN: Final = 6  # of what is open about an order, named in its row


@dataclass(frozen=True)
class Part:
    """One order that will be made: `part` counts from 1; `numbers` only where they are pasted."""

    part: int
    reference: str
    carriers: tuple[str, ...]
    count: int
    numbers: tuple[str, ...] = ()
    reasons: Sequence[Reason] = field(default=())

    @property
    def carrier_text(self) -> str:
        """The losing carriers in words."""
        return ", ".join(name or "Not said" for name in self.carriers)

    @property
    def briefs(self) -> list[str]:
        """What is open about it in a word or two, each once."""
        return list(dict.fromkeys(reason.short for reason in self.reasons))

    @property
    def shown(self) -> list[str]:
        """The first of what is open."""
        return self.briefs[:MOST_OPEN]

    @property
    def more(self) -> int:
        """How much more is open than is shown."""
        return len(self.briefs) - len(self.shown)


@dataclass(frozen=True)
class Choice:
    """One way to make orders of a draft, for a radio button."""

    value: str
    label: str
    hint: str
    is_chosen: bool


def made_reference(draft: PortInDraft) -> str:
    """Return the reference of a draft whose writer left it to the desk; always the same."""
    return f"PI-{timezone.localdate(draft.created_at):%y%m%d}-{draft.pk.hex[:8].upper()}"


def reference_of(base: str, part: int, parts: int) -> str:
    """Return the reference of one of several orders: "PSB-2026-003-2"; of one its own."""
    ending = f"-{part}" if parts > 1 else ""
    return base[: MAX_REFERENCE - len(ending)] + ending


class Plan(OpenOrSaid):
    """How a draft becomes orders, and what is open about each of them."""

    def __init__(self, found: Review) -> None:
        self.found = found
        # What was split off once goes as one order, whatever a later check says.
        self.is_part = found.draft.parent_id is not None
        self.by_carrier = (
            found.draft.field("split") != ONE and not self.is_part and not self._is_open
        )
        self.groups = _groups(found.verdicts.moving, by_carrier=self.by_carrier)

    @property
    def _is_open(self) -> bool:
        """Whether one carrier may turn out to have all numbers, once Sinch was asked about all."""
        said = self.found.verdicts
        return bool(said.unasked) and sum(c.name != UNKNOWN for c in said.moving) < 2

    @property
    def count(self) -> int:
        """How many orders there will be; at least the one that is being typed."""
        return max(1, _orders_in(self.groups))

    @property
    def base(self) -> str:
        """The reference that those of the orders are made of."""
        typed = " ".join(str(self.found.draft.field("reference")).split())
        return typed or made_reference(self.found.draft)

    @property
    def references(self) -> list[str]:
        """The references of all orders."""
        return [reference_of(self.base, n, self.count) for n in range(1, self.count + 1)]

    @cached_property
    def choices(self) -> list[Choice]:
        """Return the ways there are: nothing to choose while one carrier has all numbers.

        Nor while that may still be so, as Sinch was not asked about the others yet.
        """
        moving = self.found.verdicts.moving
        if len(moving) < 2 or self.is_part or self._is_open:
            return []
        apart = _orders_in(_groups(moving, by_carrier=True))
        together = _orders_in(_groups(moving, by_carrier=False))
        numbers = words.count_text(self.found.verdicts.going, "number")
        return [
            Choice(
                BY_CARRIER,
                f"Make {words.count_text(apart, 'order')}",
                " · ".join(_carrier_hint(carrier) for carrier in moving),
                self.by_carrier,
            ),
            Choice(
                ONE,
                "Keep one order" if together == 1 else f"Mix carriers in {together} orders",
                f"{numbers}; dates may drift apart",
                not self.by_carrier,
            ),
        ]

    @cached_property
    def parts(self) -> list[Part]:
        """Return the orders that will be made, with what is open about each.

        The numbers are named only where they are pasted; those of a file are counted.
        """
        numbers = cut(
            [(c.number, c.carrier) for c in self.found.checks if not (c.holds and not c.portable)],
            self.groups,
        )
        found = []
        carriers = [names for names, count in self.groups for _ in _sizes(count)]
        sizes = [size for _, count in self.groups for size in _sizes(count)]
        for index, reference in enumerate(self.references):
            own = tuple(numbers[index]) if numbers else ()
            names = carriers[index] if carriers else ()
            size = sizes[index] if sizes else 0
            reasons = [r for r in self.reasons if self._concerns(r, names, own)]
            found.append(Part(index + 1, reference, names, size, own, reasons))
        return found

    @cached_property
    def reasons(self) -> list[Reason]:
        """Everything that keeps the orders from being sent, taken references among it."""
        return [*self.found.reasons, *self._references_open()]

    @property
    def can_send(self) -> bool:
        """Whether the orders can be sent now."""
        return not self.reasons

    def _references_open(self) -> list[Reason]:
        if self.count == 1:
            return []  # the form has judged it
        taken = references_taken(self.found.project, self.references, but=self.found.draft)
        return [
            Reason(
                f"{owner} has the reference {reference} already; begin with another one.",
                "id_reference",
                is_open=False,
                brief="Reference",
            )
            for reference, owner in taken.items()
        ]

    def _concerns(
        self, reason: Reason, carriers: tuple[str, ...], numbers: tuple[str, ...]
    ) -> bool:
        """Tell whether something open is about an order of these carriers and numbers."""
        if self.count == 1:
            return True
        if reason.numbers and numbers:
            return not reason.numbers.isdisjoint(numbers)
        if reason.anchor == "id_reseller":
            by_name = {carrier.name: carrier for carrier in self.found.verdicts.moving}
            return any(by_name[name].canadian for name in carriers)
        for own in self.found.form.overrides:
            if own.phone_number and reason.anchor.startswith(f"id_{own.key}-"):
                return own.phone_number in numbers
        return True


def _groups(moving: Sequence[Carrier], *, by_carrier: bool) -> list[tuple[tuple[str, ...], int]]:
    """Return (carriers, count) of the numbers that stay together as far as an order holds them."""
    if by_carrier:
        return [((carrier.name,), carrier.going) for carrier in moving]
    total = sum(carrier.going for carrier in moving)
    return [(tuple(carrier.name for carrier in moving), total)] if total else []


def _sizes(count: int) -> list[int]:
    full, rest = divmod(count, MAX_NUMBERS)
    return [MAX_NUMBERS] * full + ([rest] if rest else [])


def _orders_in(groups: Sequence[tuple[tuple[str, ...], int]]) -> int:
    return sum(len(_sizes(count)) for _, count in groups)


def _carrier_hint(carrier: Carrier) -> str:
    orders = len(_sizes(carrier.going))
    where = f" in {orders} orders" if orders > 1 else ""
    name = carrier.name or "Carrier not said"
    return f"{name}, {words.count_text(carrier.going, 'number')}{where}"


Key = TypeVar("Key")


def cut(
    entries: Sequence[tuple[Key, str]], groups: Sequence[tuple[tuple[str, ...], int]]
) -> list[list[Key]]:
    """Return the entries (key, losing carrier) of each order, in the order they came in."""
    found: list[list[Key]] = []
    for carriers, _ in groups:
        own = [key for key, carrier in entries if carrier in carriers]
        found += [own[start : start + MAX_NUMBERS] for start in range(0, len(own), MAX_NUMBERS)]
    return found


def rows_by_part(plan: Plan, rows: ListRows) -> list[list[int]]:
    """Return the keys of a file's rows for each order; three columns of each row are read.

    Raises NotSendable when Sinch has named other carriers since the plan was made: a row of one
    that no order is planned for would be left behind.
    """
    chosen = list(rows.order_by("position").values_list("pk", "number"))
    carriers = dict(
        PortabilityResult.objects.filter(
            project=plan.found.project, phone_number__in=rows.order_by().values("number")
        ).values_list("phone_number", "carrier")
    )
    found = cut([(pk, carriers.get(number, UNKNOWN)) for pk, number in chosen], plan.groups)
    if [len(keys) for keys in found] != [part.count for part in plan.parts]:
        text = "Sinch has just answered anew about portability. Look at the orders once more."
        raise NotSendable([Reason(text, "s2", is_open=False, brief="Portability")])
    return found


# --- What is sent -------------------------------------------------------------------------------


def create_body(found: Review, reference: str) -> PortInOrderWrite:
    """Return the body of the order Sinch is to make. Only for a draft that can be sent."""
    form = found.form
    for one in (form, *form.overrides):
        one.is_valid()
    numbers, own = found.numbers, form.override_details()
    if found.rows is not None:
        rows = _details_of_rows(found.rows.going())
        numbers = list(rows)
        own = {number: _over(rows[number], own.get(number, {})) for number in numbers}
    return bodies.create_body(
        numbers=numbers,
        shared=form.shared(),
        overrides=own,
        schedule=form.schedule(),
        reference=reference,
        on_demand=form.cleaned_data["on_demand"],
        reseller=form.cleaned_data["reseller"],
        loa=form.loa(),
    )


def body_of(draft: PortInDraft) -> PortInOrderWrite:
    """Return the body of an order whose numbers are rows of a file: at most 500 of them."""
    return create_body(review(draft, complete=True), str(draft.field("reference")))


def _details_of_rows(rows: ListRows) -> dict[str, dict[str, Any]]:
    """Return what each row gives its number, in the order of the file."""
    found = {}
    for number, data in rows.order_by("position").values_list("number", "data"):
        details, _ = clean_details(details_in(data))
        found[number] = details_body(details)
    return found


def _over(row: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections of a row with those typed for its number over them, key by key."""
    merged = dict(row)
    for name, section in own.items():
        is_section = isinstance(section, Mapping)
        merged[name] = {**merged.get(name, {}), **section} if is_section else section
    return merged
