"""What the pages of an imported and of a qualified number have in common."""

from typing import Any

from django.db.models import Subquery
from django.http import Http404, HttpRequest

from hosting import page
from hosting.models import ImportedNumber, NumberRecord, QualifiedNumber
from portal.accounts.guards import MAY_SEND, NO_RIGHT
from portal.accounts.models import User
from portal.accounts.sessions import signed_in_user
from portal.operations.models import Operation, Reading

MOST_PANELS, MOST_DONE = 5, 20


def context_of(number: ImportedNumber | QualifiedNumber, reader: str, user: User) -> dict[str, Any]:
    """Return what was and is being done to a number, its reading, and where else it is known.

    `reader` is the kind of its readings. `token` differs as soon as an open page is out of date.
    """
    operations = Operation.objects.filter(target=number.target).select_related("by")
    operations = operations.defer("payload").order_by("-pk")
    unseen = list(operations.filter(seen_at=None)[:MOST_PANELS])
    reading = Reading.objects.filter(
        project=number.project, kind=reader, resource_id=number.phone_number
    ).first()
    waits = bool(reading and (not reading.read_at or reading.requested_at > reading.read_at))
    parts = "-".join(f"{op.pk}{op.state}{op.attempts}" for op in unseen)
    own = "imported" if isinstance(number, ImportedNumber) else "qualified"
    return {
        "number": number,
        "operations": unseen,
        "reading": reading,
        "waits": waits,
        "token": f"{number.version}.{int(waits)}.{parts}",
        "done": list(operations[:MOST_DONE]),
        "also": page.also_at(number.project_id, number.phone_number) | {own: None},
        "may_send": user.has_perm(MAY_SEND),
        "no_right": NO_RIGHT,
        "here": number.get_absolute_url(),
    }


def is_signed_in(request: HttpRequest, model: type[NumberRecord], pk: int) -> bool:
    """Tell whether somebody is signed in who polls a number's page. Raises Http404 without it."""
    rows = model._default_manager.filter(pk=pk)
    user: Any = signed_in_user(request, version=Subquery(rows.values("version")[:1]))
    if user is not None and user.version is None:
        raise Http404
    return user is not None
