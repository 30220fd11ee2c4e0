"""Where else a number stands: orders of ours that still live, and what is on its way to Sinch.

On its way are drafts that are being sent, and changes that add numbers to an order.

Numbers come as a list, or as a query over rows of a file: then nothing is fetched to be asked
about, and 20,000 of them cost what ten do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import BigIntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Cast, Substr
from django.urls import reverse

from orders.models import ListRow, ListRows, PortInDraft, PortInNumber, PortInOrder
from portal.accounts.models import SinchProject
from portal.numbers import numbers_of, read_numbers
from portal.operations.heard import SENDS
from portal.operations.models import Operation
from portal.work.drafts import being_sent
from portal.work.models import WorkItem

# E.164 numbers, or a query of one column that selects them.
Numbers = Sequence[str] | QuerySet[Any, Any]

MOST_NAMED: Final = 50  # numbers of a file that are named one by one


@dataclass(frozen=True)
class Place:
    """Where else a number stands: a living order of ours, a draft being sent, a change of an order.

    `hint` says what can be done about it, where that is not plain.
    """

    text: str
    title: str
    url: str
    blocks: bool
    hint: str = ""


_STANDS: Final[dict[str, str]] = {
    PortInNumber.Status.EXCLUDED: "Excluded from",
    PortInNumber.Status.REJECTED: "Rejected in",
    PortInNumber.Status.CANCELED: "Canceled in",
    PortInNumber.Status.ACTIVATED: "Live in",
}


# Sinch takes a number a second time once its order has settled it.
_TAKEN: Final[dict[str, set[str]]] = {
    PortInOrder.Status.PENDING: {"PENDING", "CONFIRMED", "REJECTED", "ACTIVATED"},
    PortInOrder.Status.CONFIRMED: {"PENDING", "CONFIRMED", "ACTIVATED"},
    PortInOrder.Status.PENDING_CANCELATION: {"PENDING", "CONFIRMED", "REJECTED", "ACTIVATED"},
}


def one_at_a_time(project_pk: int) -> None:
    """Have all who mean to order numbers of a project wait for each other; in a transaction.

    Two must not take one number or one reference. Rows that refer to the project are not held up.
    """
    SinchProject.objects.select_for_update(no_key=True).get(pk=project_pk)


def places_of(
    project: SinchProject,
    numbers: Numbers,
    *,
    but: PortInDraft | None = None,
    order: PortInOrder | None = None,
) -> dict[str, Place]:
    """Return where else numbers stand, by number: living orders, and what is on its way.

    A draft is not told of itself, and the changes of an order are not told of each other.
    """
    found: dict[str, Place] = {}
    if isinstance(numbers, Sequence) and not numbers:
        return found
    # First what is on its way, then what has arrived: what arrives meanwhile is in both.
    sent = _being_added(project, numbers, order) | _on_their_way(project, numbers, but)
    for number, place in _in_orders(_living(project).filter(phone_number__in=numbers)):
        if number not in found or place.blocks:
            found[number] = place
    return found | sent


def taken_numbers(
    project: SinchProject,
    numbers: Numbers,
    *,
    but: PortInDraft | None = None,
    order: PortInOrder | None = None,
) -> tuple[int, dict[str, Place]]:
    """Return how many numbers stand where they cannot be ordered again, and the first of them."""
    # Before what has arrived, as above.
    added = _being_added(project, numbers, order)
    sent = _on_their_way(project, numbers, but)
    more = len(sent)
    if more >= MOST_NAMED:
        more = _rows_being_sent(project, numbers, but).count()
    more += len(added)
    rows = _living(project).filter(_blocking(), phone_number__in=numbers)
    # One that has just arrived is counted where it was.
    rows = rows.exclude(phone_number__in=list(added))
    named = _in_orders(rows.order_by("phone_number")[:MOST_NAMED])
    count = len(dict(named))
    if len(named) == MOST_NAMED:
        count = rows.values("phone_number").distinct().count()
    return count + more, dict(named) | added | sent


def blocked_numbers(project: SinchProject) -> QuerySet[PortInNumber, Any]:
    """Return a query of all numbers that cannot be ordered again while their order lives."""
    return _living(project).filter(_blocking()).values("phone_number")


def _living(project: SinchProject) -> QuerySet[PortInNumber]:
    return PortInNumber.objects.filter(
        order__project=project, order__gone_at=None, order__item__bucket__in=WorkItem.LIVING
    )


def _blocking() -> Q:
    found = Q()
    for order_status, statuses in _TAKEN.items():
        found |= Q(order__status=order_status, status__in=statuses)
    return found


def _in_orders(rows: QuerySet[PortInNumber]) -> list[tuple[str, Place]]:
    return [
        (
            number,
            Place(
                text=_STANDS.get(status, "Already in"),
                title=", ".join(part for part in (end_user, sinch_id) if part),
                url=reverse("orders:detail", args=[order_pk]),
                blocks=status in _TAKEN.get(order_status, set()),
            ),
        )
        for number, status, order_pk, sinch_id, order_status, end_user in rows.values_list(
            "phone_number",
            "status",
            "order_id",
            "order__sinch_id",
            "order__status",
            "order__item__end_user",
        )
    ]


def _being_added(
    project: SinchProject, numbers: Numbers, order: PortInOrder | None
) -> dict[str, Place]:
    """Return the numbers that changes on their way to Sinch add to orders."""
    # The key of an order stands at the end of `port_in:17`.
    pk = Cast(Substr(OuterRef("target"), len("port_in:") + 1), BigIntegerField())
    rows = Operation.objects.filter(
        project=project, kind="port_in.update", state__in=Operation.UNDER_WAY
    )
    if order is not None:
        rows = rows.exclude(target=order.target)
    sinch_id = Subquery(PortInOrder.objects.filter(pk=pk).values("sinch_id")[:1])
    found: dict[str, Place] = {}
    for change in rows.defer("payload").annotate(sends=SENDS, sinch_id=sinch_id):
        form = (change.sends or {}).get("form") or {}
        for number in _both(numbers, str(form.get("added") or "").split()):
            found[number] = Place(
                "Already in",
                f"a change of order {change.sinch_id or ''} on its way to Sinch",
                reverse("orders:detail", args=[change.target.removeprefix("port_in:")]),
                blocks=True,
                hint="Leave it out, or wait: it is free again if Sinch refuses that change.",
            )
    return found


def _on_their_way(
    project: SinchProject, numbers: Numbers, but: PortInDraft | None
) -> dict[str, Place]:
    """Return the numbers of drafts that are being sent, typed ones and those out of files."""
    found: dict[str, Place] = {}
    for draft in being_sent(PortInDraft, project, but):
        for number in _both(numbers, numbers_of(read_numbers(str(draft.field("numbers"))))):
            found[number] = _place_of(draft)
    rows = _rows_being_sent(project, numbers, but)
    for row in rows.select_related("part").defer("data", "part__data")[:MOST_NAMED]:
        if row.part is not None:
            found[row.number] = _place_of(row.part)
    return found


def _rows_being_sent(project: SinchProject, numbers: Numbers, but: PortInDraft | None) -> ListRows:
    rows = ListRow.objects.filter(
        part__project=project, part__state=PortInDraft.State.SENDING, number__in=numbers
    ).going()
    return rows.exclude(part=but) if but is not None else rows


def _both(numbers: Numbers, others: list[str]) -> set[str]:
    if isinstance(numbers, Sequence):
        return set(numbers).intersection(others)
    if not others:
        return set()
    # The query has one column; its name is not ours to know.
    return {number for (number,) in numbers.filter(number__in=others).values_list("number")}


def _place_of(draft: PortInDraft) -> Place:
    return Place("Already in", f"{draft}, being sent", draft.get_absolute_url(), blocks=True)


def reference_owner(
    project: SinchProject,
    reference: str,
    *,
    but: PortInDraft | None = None,
    order: PortInOrder | None = None,
) -> str:
    """Return who has a reference already, to begin a sentence with; "" for nobody."""
    # Drafts before orders, as above: one that arrives meanwhile is seen in either.
    drafts = being_sent(PortInDraft, project, but)
    rows = WorkItem.objects.filter(project=project, reference__iexact=reference)
    if order is not None:
        rows = rows.exclude(pk=order.item_id)
    if sinch_id := rows.values_list("sinch_id", flat=True).first():
        return f"Order {sinch_id}"
    for draft in drafts:
        if str(draft.field("reference")).strip().lower() == reference.lower():
            return "A draft that is being sent"
    return ""


def references_taken(
    project: SinchProject, references: Sequence[str], *, but: PortInDraft
) -> dict[str, str]:
    """Return who has which of several references already, in two statements."""
    wanted = {reference.lower(): reference for reference in references}
    found: dict[str, str] = {}
    drafts = being_sent(PortInDraft, project, but)
    rows = WorkItem.objects.filter(project=project)
    any_of = Q()
    for reference in references:
        any_of |= Q(reference__iexact=reference)
    for taken, sinch_id in rows.filter(any_of).values_list("reference", "sinch_id"):
        found[wanted.get(taken.lower(), taken)] = f"Order {sinch_id}"
    for draft in drafts:
        taken = str(draft.field("reference")).strip().lower()
        if taken in wanted:
            found.setdefault(wanted[taken], "A draft that is being sent")
    return found
