"""Sending a write about one imported or qualified number."""

from collections.abc import Mapping

from hosting import sync_numbers
from hosting.models import ImportedNumber, QualifiedNumber
from portal.accounts.models import User
from portal.operations.actions import submit
from portal.operations.models import Operation
from portal.work.actions import NotSendable


def running(target: str, kind: str) -> Operation | None:
    """Return the write of a kind that is under way about something; None without one."""
    return Operation.objects.filter(target=target, kind=kind, state__in=Operation.UNDER_WAY).first()


def same(operation: Operation, typed: Mapping[str, object]) -> Operation:
    """Return a write that is under way, if it is what was typed: a second click finds it.

    Raises NotSendable for anything else, which would be lost.
    """
    if any(operation.payload.get(name) != value for name, value in typed.items()):
        raise NotSendable(_on_its_way(operation))
    return operation


def submit_once(
    number: ImportedNumber | QualifiedNumber,
    kind: str,
    typed: Mapping[str, object],
    subject: str,
    by: User,
    **known: object,
) -> Operation:
    """Send a write about a number, or return the same one that is under way already.

    `known` is sent with what was `typed`, and does not tell one click from another. Call with the
    number locked. Raises NotSendable while one of its kind is under way that sends something else.
    """
    if (found := running(number.target, kind)) is not None:
        return same(found, typed)
    operation, _ = submit(
        number.project,
        kind,
        target=number.target,
        payload={"phone": number.phone_number, **typed, **known},
        by=by,
        subject=subject,
    )
    sync_numbers.touch(number)
    return operation


def _on_its_way(operation: Operation) -> str:
    return f"{operation.subject} is still on its way to Sinch. Wait until it has arrived."
