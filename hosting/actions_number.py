"""Sending a write about one imported or qualified number."""

from collections.abc import Collection, Mapping
from typing import Final

from django.db.models import Q

from hosting import sync_numbers
from hosting.models import HostingDraft, ImportedNumber, QualifiedNumber
from hosting.review import Review
from portal.accounts.models import SinchProject, User
from portal.operations.actions import submit
from portal.operations.models import Operation
from portal.work import drafts
from portal.work.actions import NotPossible, NotSendable

State = Operation.State
IN_ORDER: Final = "It is in an order on its way to Sinch. Wait until that has arrived."


def running(target: str, kind: str) -> Operation | None:
    """Return the write of a kind that is under way about something; None without one."""
    return Operation.objects.filter(target=target, kind=kind, state__in=Operation.UNDER_WAY).first()


def same(operation: Operation, typed: Mapping[str, object]) -> Operation:
    """Return a write that is under way, if it is what was typed: a second click finds it.

    Raises NotSendable for anything else, which would be lost.
    """
    if any(operation.payload.get(name) != value for name, value in typed.items()):
        raise NotSendable(on_its_way(operation))
    return operation


def submit_once(
    number: ImportedNumber | QualifiedNumber,
    kind: str,
    typed: Mapping[str, object],
    subject: str,
    by: User,
    marker: str | None = None,
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
        marker=marker,
    )
    sync_numbers.touch(number)
    return operation


def import_of(project: SinchProject, phone: str) -> str:
    """Return how operations name a number that is to be imported by itself."""
    return f"project:{project.pk}:{phone}"


def why_not_anew(
    model: type[ImportedNumber | QualifiedNumber], project: SinchProject, phones: Collection[str]
) -> str:
    """Return why numbers cannot be made anew at Sinch; "" when they can. Locks those known here.

    A write whose end is open was meant for the number as it was: it may be sent once more, and
    would then delete or change what was made anew.
    """
    rows = model._default_manager.filter(project=project, phone_number__in=phones).order_by("pk")
    locked = rows.select_for_update(of=("self",)).only("pk", "project", "phone_number")
    is_under_way = Q(state__in=Operation.UNDER_WAY)
    is_unsettled = Q(state=State.DEAD, uncertain_since__isnull=False, seen_at=None)
    about = Q(target__in=[row.target for row in locked]) & (is_under_way | is_unsettled)
    if model is ImportedNumber:
        about |= Q(target__in=[import_of(project, phone) for phone in phones]) & is_under_way
    found = Operation.objects.filter(about).defer("payload").order_by("pk").first()
    if found is None:
        return ""
    if found.is_under_way:
        return on_its_way(found)
    return (
        f"{found.subject} has stopped, and may have arrived at Sinch. Try it again or close it on "
        "the page of the number first."
    )


def refuse_in_order(number: ImportedNumber | QualifiedNumber) -> None:
    """Raise NotPossible for a number that is in an order on its way. Call with it locked."""
    for draft in drafts.being_sent(HostingDraft, number.project, None):
        if number.phone_number in Review(draft, "UTC").numbers:
            raise NotPossible(IN_ORDER)


def on_its_way(operation: Operation) -> str:
    """Return that a write has not arrived yet, and is to be waited for."""
    return f"{operation.subject} is still on its way to Sinch. Wait until it has arrived."
