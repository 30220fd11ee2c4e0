"""Activating many orders: which could go live now and which not yet, and what became of those sent.

Whatever the number of orders, they are gathered in five statements; no payload is loaded.
"""

import datetime
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from orders import actions_activation as actions
from orders.models import PortInNumber, PortInOrder
from orders.page_activation import Choice, choices_of, routing_of
from orders.page_numbers import Group
from portal import words
from portal.operations import heard
from portal.operations.models import Operation
from portal.values import whole
from portal.work.models import WorkItem

MOST_LISTED = 100
Picks = dict[int, list[str]]  # {order pk: [group keys]}


# --- What was ticked ------------------------------------------------------------------------


def read_picks(texts: Iterable[str]) -> Picks:
    """Return what ticked boxes mean: `17:GW Lumen Grp1` is a group of order 17."""
    picks: Picks = defaultdict(list)
    for text in texts:
        pk, _, key = text.replace("\0", "").partition(":")
        if (order := whole(pk)) is not None and key and key not in picks[order]:
            picks[order].append(key)
    return dict(picks)


def picks_query(picks: Mapping[int, Sequence[str]], **more: str) -> str:
    """Return the address of the page with these groups ticked."""
    pairs = [("pick", f"{pk}:{key}") for pk, keys in picks.items() for key in keys]
    query = urlencode([*more.items(), *pairs])
    return f"{reverse('orders:activations')}?{query}"


# --- What can go ----------------------------------------------------------------------------


@dataclass
class Candidate:
    """An on-demand order with its groups: those that can go live, and those that cannot yet."""

    order: PortInOrder
    choices: list[Choice]
    live: frozenset[str]

    @property
    def item(self) -> WorkItem:
        """What the lists show of the order."""
        return self.order.item

    @property
    def is_due(self) -> bool:
        """Whether one of its groups is ready, on its way, or should be offered by now."""
        return any(one.ready or one.under_way or one.is_due for one in self.choices)

    def choice(self, key: str) -> Choice | None:
        """Return one of its groups by Sinch's name for it."""
        return next((one for one in self.choices if key and one.key == key), None)

    def why_not(self, key: str) -> str:
        """Return why a group cannot go now; "" when it can."""
        choice = self.choice(key)
        if choice is None:
            return actions.why_no_activation(self.order) or "Sinch does not offer this group now."
        return choice.why_not


def due_orders() -> list[int]:
    """Return the keys of the orders that wait for an activation, worst first.

    One more than MOST_LISTED when there are more.
    """
    # A day more than here: it may be tomorrow already where the order is.
    tomorrow = timezone.localdate() + datetime.timedelta(days=1)
    due = PortInOrder.objects.filter(
        Q(item__foc_date__lte=tomorrow) | ~Q(offered_groups=[]),
        status=PortInOrder.Status.CONFIRMED,
        on_demand_activation=True,
        gone_at__isnull=True,
    )
    ranked = due.order_by("item__rank", "item__foc_date", "pk")
    return list(ranked.values_list("pk", flat=True)[: MOST_LISTED + 1])


def candidates_of(wanted: Iterable[int]) -> list[Candidate]:
    """Return orders by their keys with their groups, worst first; four statements."""
    orders = list(
        PortInOrder.objects.filter(pk__in=wanted)
        .select_related("item__assignee", "project")
        .defer("payload", "secrets", "project__key_secret", "item__search")
        .order_by("item__rank", "item__foc_date", "pk")
    )
    pks = [order.pk for order in orders]
    groups: dict[int, dict[tuple[str, str], Group]] = defaultdict(dict)
    live: dict[int, set[str]] = defaultdict(set)
    numbers = PortInNumber.objects.filter(order__in=pks).order_by("order_id", "position")
    for row in numbers.values(
        "order_id", "phone_number", "status", "group", "losing_carrier", "foc_date"
    ):
        name = row["losing_carrier"] or row["group"] or "Carrier not named yet"
        key = (row["losing_carrier"], row["group"])
        groups[row["order_id"]].setdefault(key, Group(name, row["group"])).rows.append(dict(row))
        if row["status"] == PortInNumber.Status.ACTIVATED:
            live[row["order_id"]].add(row["phone_number"])
    running = actions.activations(order.target for order in orders)
    routing = routing_of(pks)
    return [
        Candidate(
            order=order,
            choices=choices_of(
                order,
                list(groups[order.pk].values()),
                running[order.target],
                routing.get(order.pk),
            ),
            live=frozenset(live[order.pk]),
        )
        for order in orders
    ]


@dataclass(frozen=True)
class Chosen:
    """What was ticked, as it stands now: what can go, and what cannot with the reason."""

    going: list[tuple[Candidate, list[Choice]]]
    staying: list[tuple[Candidate, str]]

    @property
    def picks(self) -> Picks:
        """What can go, as it is ticked."""
        return {one.order.pk: [c.key for c in choices] for one, choices in self.going}

    @property
    def orders(self) -> int:
        """How many orders can go."""
        return len(self.going)

    @property
    def numbers(self) -> int:
        """How many numbers go live with them."""
        return sum(choice.count for _, choices in self.going for choice in choices)

    @property
    def text(self) -> str:
        """`5 orders, 61 numbers`."""
        orders = words.count_text(self.orders, "order")
        return f"{orders}, {words.count_text(self.numbers, 'number')}"


def chosen_of(candidates: Iterable[Candidate], picks: Mapping[int, Sequence[str]]) -> Chosen:
    """Return what becomes of the ticked groups if they were sent now."""
    going, staying = [], []
    for one in candidates:
        ready = []
        for key in picks.get(one.order.pk, ()):
            choice = one.choice(key)
            if choice is not None and choice.ready:
                ready.append(choice)
            else:
                staying.append((one, one.why_not(key)))
        if ready:
            going.append((one, ready))
    return Chosen(going, staying)


# --- What became of them --------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What became of one order of those that were sent together."""

    candidate: Candidate
    operation: Operation | None
    numbers: list[str]
    why: str

    @property
    def live(self) -> int:
        """How many of its numbers are live."""
        return len(self.candidate.live.intersection(self.numbers))

    @property
    def has_failed(self) -> bool:
        """Whether it was refused, or not sent at all."""
        return self.operation is None or self.operation.state == Operation.State.REFUSED

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come of it."""
        if self.operation is None or self.operation.state in ("refused", "dead"):
            return True
        return not self.operation.is_under_way and self.live == len(self.numbers)

    @property
    def mark(self) -> str:
        """What changes when the row does."""
        return f"{self.operation.state if self.operation else 'none'}-{self.live}"


@dataclass
class Batch:
    """The orders that were sent together, one outcome each."""

    key: str
    picks: Picks
    rows: list[Outcome] = field(default_factory=list)
    token: str = ""

    @property
    def is_over(self) -> bool:
        """Whether all of it has come to its end."""
        return all(row.is_over for row in self.rows)

    @property
    def failed(self) -> Picks:
        """The groups of the orders that failed, to be tried again."""
        pks = [row.candidate.order.pk for row in self.rows if row.has_failed]
        return {pk: self.picks[pk] for pk in pks}

    @property
    def again_url(self) -> str:
        """Where the failed ones are asked about once more; "" when none failed."""
        return picks_query(self.failed, ask="1") if self.failed else ""

    @property
    def live_url(self) -> str:
        """What an open page asks by."""
        query = picks_query(self.picks, batch=self.key, token=self.token).partition("?")[2]
        return f"{reverse('orders:activations_live')}?{query}"

    @property
    def summary(self) -> str:
        """`3 of 5 accepted, 1 refused, 1 not sent. 12 of 61 numbers live.`"""
        states = [row.operation.state if row.operation else "" for row in self.rows]
        parts = [
            f"{states.count('succeeded')} of {words.count_text(len(self.rows), 'order')} accepted"
        ]
        for state, word in (("refused", "refused"), ("dead", "stopped"), ("", "not sent")):
            if count := states.count(state):
                parts.append(f"{count} {word}")
        live, total = sum(r.live for r in self.rows), sum(len(r.numbers) for r in self.rows)
        return f"{', '.join(parts)}. {live} of {words.count_text(total, 'number')} live."


def batch_of(key: str, picks: Picks, candidates: Iterable[Candidate]) -> Batch:
    """Return what became of the groups that a form with this key asked for; two statements."""
    markers = {actions.marker_of(pk, key): pk for pk in picks}
    found = Operation.objects.filter(marker__in=markers).defer("payload")
    operations: dict[int, Any] = {
        markers[str(operation.marker)]: operation for operation in found.annotate(sends=heard.SENDS)
    }
    batch = Batch(key, picks, token=token_of(key, picks))
    for one in candidates:
        if one.order.pk not in picks:
            continue
        operation, keys = operations.get(one.order.pk), picks[one.order.pk]
        groups: Sequence[Any] = one.order.offered_groups
        why = ""
        if operation is None:
            why = next(filter(None, (one.why_not(name) for name in keys)), "It was not asked for.")
        else:
            groups = (operation.sends or {}).get("groups") or groups
            why = operation.staff_message
        numbers = [
            str(number)
            for group in groups
            if str(group.get("key")) in keys
            for number in group.get("numbers") or ()
        ]
        batch.rows.append(Outcome(one, operation, numbers, why))
    return batch


def token_of(key: str, picks: Mapping[int, Sequence[str]]) -> str:
    """Return the short text by which an open page knows whether something has changed."""
    operations = Operation.objects.filter(
        marker__in=[actions.marker_of(pk, key) for pk in picks]
    ).order_by("pk")
    versions = WorkItem.objects.filter(kind=WorkItem.Kind.PORT_IN, target_pk__in=picks)
    seen = [
        list(operations.values_list("pk", "state", "attempts")),
        list(versions.order_by("pk").values_list("pk", "version")),
    ]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]
