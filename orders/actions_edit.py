"""Changing an order Sinch has: what an edit starts from, what keeps it from being sent, sending."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from orders import wire
from orders.actions import NotEditable, NotSendable
from orders.actions_order import why_no_change
from orders.edits import Edit, fields_of, override_forms
from orders.forms import (
    SECRET_FIELDS,
    DetailsForm,
    listed,
)
from orders.models import PortInOrder
from orders.review import Reason, reference_owner
from portal import words
from portal.accounts.models import User
from portal.operations.actions import submit
from portal.operations.models import Operation
from portal.work import items


class ChangedAtSinch(Exception):
    """Raised when Sinch's copy is not the one an edit began with."""


def order_to_edit(pk: int) -> PortInOrder:
    """Return an order with all that an edit needs. Raises PortInOrder.DoesNotExist."""
    return PortInOrder.objects.select_related("item", "project").get(pk=pk)


def why_no_edit(order: PortInOrder) -> str:
    """Return why an order cannot be edited now; "" when it can."""
    if why := why_no_change(order):
        return why
    if _update_of(order, Operation.UNDER_WAY):
        return "A change of this order is on its way to Sinch; wait until it has arrived."
    return ""


def refused_update(order: PortInOrder) -> Operation | None:
    """Return the last change of an order if Sinch refused it and nobody has closed it yet."""
    last = _update_of(order)
    refused = last is not None and last.state == Operation.State.REFUSED
    return last if refused and last is not None and last.seen_at is None else None


def _update_of(order: PortInOrder, states: Sequence[str] | None = None) -> Operation | None:
    found = Operation.objects.filter(target=order.target, kind="port_in.update")
    if states is not None:
        found = found.filter(state__in=states)
    return found.order_by("-pk").first()


def edit_of(order: PortInOrder, typed: Mapping[str, Any], *, complete: bool) -> Edit:
    """Return an edit: the order as it is, what was typed over it, and the form that judges it."""
    start = fields_of(order, order.secrets)
    numbers = [fact.phone_number for fact in wire.read_order(order.payload).numbers]
    form = DetailsForm(
        typed,
        saved={name: str(typed.get(name, "")) for name in SECRET_FIELDS},
        numbers=numbers,
        complete=complete,
        overrides=override_forms(typed.get("overrides") or [], numbers, complete=complete),
        reference_owner=lambda reference: reference_owner(order.project, reference, order=order),
        needs_secret=False,
    )
    return Edit(start, dict(typed), form, numbers)


def secrets_to_ask(order: PortInOrder, body: Mapping[str, Any]) -> list[str]:
    """Return the numbers whose PIN or account number Sinch has, this desk not, and `body` neither.

    Sinch replaces the whole order, so what is not sent is cleared there.
    """
    sent = wire.order_secrets(body)
    return [
        number
        for number, keys in wire.unknown_secrets(order, order.secrets).items()
        if any(key in wire.PIN_KEYS and not sent.get(number, {}).get(key) for key in keys)
    ]


def submit_update(
    order: PortInOrder, typed: Mapping[str, Any], *, base: str, key: str, by: User
) -> Operation:
    """Send a change of an order on its way to Sinch and return the operation.

    `base` is the digest of the order the edit began with, `key` names the page: sent twice it
    changes once. Raises NotEditable, ChangedAtSinch, NotSendable with what is open.
    """
    marker = f"{order.target}:update:{key}"
    with transaction.atomic():
        order = (
            PortInOrder.objects.select_for_update(of=("self",))
            .select_related("item", "project")
            .get(pk=order.pk)
        )
        if done := Operation.objects.filter(marker=marker).first():
            return done
        if why := why_no_edit(order):
            raise NotEditable(why)
        if wire.digest(order) != base:
            raise ChangedAtSinch
        edit = edit_of(order, typed, complete=True)
        if points := edit.form.open_points():
            raise NotSendable([Reason(text, anchor) for text, anchor in points])
        lines = edit.lines
        if not lines:
            raise NotSendable([Reason("Nothing has been changed.", "", is_open=False)])
        body = wire.write_body(order, order.secrets, edit.changes)
        if unknown := secrets_to_ask(order, body):
            raise NotSendable([Reason(unknown_secret_words(unknown), "id_pin", is_open=False)])
        labels = list(dict.fromkeys(line.label for line in lines))
        operation, _ = submit(
            order.project,
            "port_in.update",
            target=order.target,
            payload={"body": body, "base": base, "form": dict(typed)},
            by=by,
            subject=f"The change of {words.count_text(len(labels), 'field')}",
            marker=marker,
        )
        items.tell_staff_action(
            order.item, operation, f"Change sent on its way to Sinch: {listed(labels)}"
        )
    return operation


def unknown_secret_words(numbers: Sequence[str]) -> str:
    """Say for which numbers a PIN or an account number has to be typed again, and why."""
    shown = listed([words.phone_text(number) for number in numbers[:3]])
    more = f" and {len(numbers) - 3} more" if len(numbers) > 3 else ""
    return (
        f"Sinch has a PIN or an account number of {shown}{more} that this desk does not know. "
        "Type it, or the change would clear it at Sinch."
    )
