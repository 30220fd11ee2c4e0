"""Activating the carrier groups of on-demand orders: chosen groups, a whole order, many orders.

Every activation checks the rules under a lock of its order and stores operation and timeline entry
in one transaction, as all of `orders.actions_order` does.
"""

import datetime
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from orders import standing, wire
from orders.actions_order import NotPossible, NotSendable, locked, why_gone
from orders.buckets import zone_named
from orders.models import PortInNumber, PortInOrder
from portal import words
from portal.accounts.models import User
from portal.formkey import new_key
from portal.operations import heard
from portal.operations.actions import submit
from portal.operations.models import Operation
from portal.work import items

ACTIVATE = "port_in.activate"
# An accepted activation becomes visible within the hour; until then it is not offered again.
ACTIVATION_HOUR = datetime.timedelta(hours=1)
# So many orders are activated in one go; each is an operation of its own.
MOST_AT_ONCE = 50
UNSETTLED = (
    "An activation of this group may have reached Sinch. Press “Try again” on it: it is looked up "
    "before anything is sent. Close it once you know that it was not done."
)
# Statuses of numbers that still wait for their activation.
WAITING = (PortInNumber.Status.CONFIRMED, PortInNumber.Status.PENDING)


# --- Why not --------------------------------------------------------------------------------


def why_no_activation(order: PortInOrder) -> str:
    """Return why nothing of the order can be activated now; "" when a group may be ready."""
    if order.gone_at:
        return why_gone(order)
    if not order.on_demand_activation:
        return "Not on-demand: numbers go live by themselves on the FOC date."
    if order.status == PortInOrder.Status.COMPLETED:
        return "The port is finished."
    if order.status != PortInOrder.Status.CONFIRMED:
        return "Possible once Sinch has confirmed the order."
    if not order.offered_groups:
        return "Sinch offers no group yet; it does so from the FOC date on."
    return ""


def today_there(order: PortInOrder) -> datetime.date:
    """Return today's date in the order's zone, else in the default of its project."""
    zone = zone_named(order.desired_port_time_zone, order.project.default_port_time_zone)
    return timezone.now().astimezone(zone).date()


def group_date(group: Mapping[str, Any]) -> datetime.date | None:
    """Return the FOC date of an offered group; None when Sinch gave none that can be read."""
    return wire.read_date(group.get("focDate"))


def activations(targets: Iterable[str]) -> dict[str, list[Any]]:
    """Return what stands in the way of another activation, by target, newest first.

    Those under way, those accepted within the hour, and those that stopped without our knowing
    whether Sinch had done them, until somebody has looked and closes them. Each is an operation
    with `sends`, its payload; None, as for one about the whole order, where no key reads it.
    """
    states = Operation.State
    in_the_way = (
        Q(state__in=Operation.UNDER_WAY)
        | Q(state=states.SUCCEEDED, finished_at__gt=timezone.now() - ACTIVATION_HOUR)
        | Q(state=states.DEAD, uncertain_since__isnull=False, seen_at=None)
    )
    found: dict[str, list[Any]] = defaultdict(list)
    rows = Operation.objects.filter(in_the_way, target__in=list(targets), kind=ACTIVATE)
    rows = rows.defer("payload").annotate(sends=heard.SENDS)
    for operation in rows.order_by("-pk"):
        found[operation.target].append(operation)
    return found


def unsettled(found: Iterable[Any]) -> list[Any]:
    """Return those of some activations that have stopped, and may have been done all the same."""
    return [operation for operation in found if operation.state == Operation.State.DEAD]


def taken_groups(order: PortInOrder, running: Iterable[Any]) -> set[str]:
    """Return the keys of the offered groups that these activations cover.

    A group that Sinch has named anew, or divided, is known by its numbers.
    """
    keys: set[str] = set()
    numbers: set[str] = set()
    for operation in running:
        groups = (operation.sends or {}).get("groups") or order.offered_groups
        keys |= {str(group["key"]) for group in groups}
        numbers.update(number for group in groups for number in group.get("numbers") or ())
    return keys | {
        str(group["key"])
        for group in order.offered_groups
        if not numbers.isdisjoint(group.get("numbers") or ())
    }


# --- Verbs ----------------------------------------------------------------------------------


def activate_groups(
    order: PortInOrder, keys: Sequence[str], *, by: User, key: str = ""
) -> Operation:
    """Ask Sinch to activate the chosen carrier groups. The same `key` never asks twice.

    Raises NotPossible when one of them is not ready, NotSendable when none was chosen.
    """
    if not keys:
        raise NotSendable("Choose a carrier group first.")
    with transaction.atomic():
        order = locked(order)
        marker = marker_of(order.pk, key or new_key())
        if sent := Operation.objects.filter(marker=marker).defer("payload").first():
            return sent
        offered = _ready_groups(order, keys)
        chosen = [
            {name: group.get(name) for name in ("key", "shape", "numbers")} for group in offered
        ]
        count = sum(len(group["numbers"] or ()) for group in chosen)
        told = (
            words.count_text(count, "number") if count else words.count_text(len(chosen), "group")
        )
        return _submit(order, chosen, told, marker, by)


def activate_whole(order: PortInOrder, *, by: User, key: str = "") -> Operation:
    """Ask Sinch to activate the order as a whole. The same `key` never asks twice.

    Raises NotPossible unless every group with a number that waits is ready.
    """
    with transaction.atomic():
        order = locked(order)
        marker = marker_of(order.pk, key or new_key())
        if sent := Operation.objects.filter(marker=marker).defer("payload").first():
            return sent
        offered = _ready_groups(order, [str(group["key"]) for group in order.offered_groups])
        covered = {str(number) for group in offered for number in group.get("numbers") or ()}
        named = {str(group["key"]) for group in offered}
        waiting = order.numbers.filter(status__in=WAITING)
        left = waiting.exclude(phone_number__in=covered).exclude(group__in=named).count()
        if left:
            raise NotPossible(
                f"Sinch does not offer {words.count_text(left, 'number')} yet. "
                "Choose the groups that are ready."
            )
        told = f"the whole order, {words.count_text(waiting.count(), 'number')}"
        # No body at all: that is how Sinch understands the whole order.
        return _submit(order, [], told, marker, by)


def marker_of(order_pk: int, key: str) -> str:
    """Return what marks the activation of an order that a form with this key asked for."""
    return f"port_in:{order_pk}:activate:{key}"


def _ready_groups(order: PortInOrder, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Return the offered groups of these keys. Raises NotPossible unless all can go now."""
    if why := why_no_activation(order):
        raise NotPossible(why)
    offered = {str(group["key"]): group for group in order.offered_groups}
    found = activations([order.target])[order.target]
    today, taken = today_there(order), taken_groups(order, found)
    stopped = taken_groups(order, unsettled(found))
    for wanted in keys:
        group = offered.get(wanted)
        if group is None:
            raise NotPossible("Sinch does not offer this group any more. Ask Sinch again.")
        foc = group_date(group)
        if foc and foc > today:
            raise NotPossible(f"Its FOC date is {words.day_text(foc)}; not before.")
        if wanted in stopped:
            raise NotPossible(UNSETTLED)
        if wanted in taken:
            raise NotPossible("An activation of this group is under way already.")
    return [offered[wanted] for wanted in dict.fromkeys(keys)]


def _submit(
    order: PortInOrder, groups: list[dict[str, Any]], told: str, marker: str, by: User
) -> Operation:
    operation, _ = submit(
        order.project,
        ACTIVATE,
        target=order.target,
        payload={"groups": groups},
        by=by,
        subject=f"The activation of {told}",
        marker=marker,
    )
    items.tell_staff_action(order.item, operation, f"Activation of {told} asked for", glyph="ready")
    # What is under way is not offered once more.
    standing.recompute(order)
    return operation


def activate_many(wanted: Mapping[int, Sequence[str]], *, by: User, key: str) -> None:
    """Ask for the activation of groups of many orders: `{order pk: [group keys]}`.

    Each order stands for itself: one that is not ready is left out, and its row says why. The same
    `key` asks once for each order, so that a form sent again goes on where it was cut off. Raises
    NotSendable when nothing, or more than can be done at once, was chosen.
    """
    if not wanted:
        raise NotSendable("Tick an order first.")
    if len(wanted) > MOST_AT_ONCE:
        raise NotSendable(f"At most {MOST_AT_ONCE} orders go at once; {len(wanted)} are ticked.")
    for order in PortInOrder.objects.filter(pk__in=wanted).only("pk").order_by("pk"):
        try:
            activate_groups(order, wanted[order.pk], by=by, key=key)
        except NotPossible:
            continue  # its row has no operation and says why
