"""Putting an operation on disk."""

from typing import Any

from django.db import IntegrityError, transaction

from portal.accounts.models import SinchProject, User
from portal.operations import doorbell
from portal.operations.models import Operation


def submit(
    project: SinchProject,
    kind: str,
    *,
    target: str,
    payload: dict[str, Any],
    by: User | None,
    subject: str = "",
    marker: str | None = None,
) -> tuple[Operation, bool]:
    """Store an intended write and have it sent after commit; return it and whether it is new.

    With a marker that is already taken the operation that took it is returned instead: a double
    click, a reload or a resent form never makes a second one. Call inside the transaction of the
    decision; the timeline entry belongs there too.
    """
    values = {
        "project": project,
        "kind": kind,
        "target": target,
        "payload": payload,
        "by": by,
        "subject": subject[:200],
    }
    if marker is None:
        operation = Operation.objects.create(**values)
    else:
        try:
            with transaction.atomic():
                operation = Operation.objects.create(marker=marker, **values)
        except IntegrityError:
            return Operation.objects.defer("payload").get(marker=marker), False
    doorbell.ring_on_commit(doorbell.OPERATIONS)
    return operation, True
