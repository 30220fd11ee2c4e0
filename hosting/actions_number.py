"""Sending a write about one imported or qualified number."""

from hosting import sync_numbers
from hosting.models import ImportedNumber, QualifiedNumber
from portal.accounts.models import User
from portal.operations.actions import submit
from portal.operations.models import Operation


def submit_once(
    number: ImportedNumber | QualifiedNumber,
    kind: str,
    payload: dict[str, object],
    subject: str,
    by: User,
) -> Operation:
    """Send a write about a number, or return the one of its kind that is under way already.

    Call with the number locked.
    """
    running = Operation.objects.filter(
        target=number.target, kind=kind, state__in=Operation.UNDER_WAY
    ).first()
    if running is not None:
        return running
    operation, _ = submit(
        number.project,
        kind,
        target=number.target,
        payload={"phone": number.phone_number, **payload},
        by=by,
        subject=subject,
    )
    sync_numbers.touch(number)
    return operation
