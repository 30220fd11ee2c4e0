"""Notes to Sinch: templates for frequent ones with gaps that the order fills, and what to mind.

A gap is a word in braces such as {reference}; one that nobody knows stays as it stands.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from orders import page
from orders.models import NoteTemplate, PortInNumber, PortInOrder
from orders.page_numbers import TROUBLE, runs_text
from portal import words
from portal.accounts.models import SinchProject
from portal.prepared import Prepared

MOST_RUNS: Final = 12  # more numbers than fit into so many runs are only counted

# What a gap stands for, for whoever writes a template.
GAPS: Final[Mapping[str, str]] = {
    "reference": "our reference of the order",
    "sinch_id": "Sinch’s id of the order",
    "end_user": "the end user’s name",
    "numbers": "the refused numbers, or all when none is refused",
    "foc_date": "the confirmed date",
    "port_date": "the date asked for",
}
# Offered while a project has no templates of its own.
DEFAULTS: Final = (
    ("Ask how it stands", "What is the status of order {sinch_id} ({reference}) for {numbers}?"),
    (
        "A new PIN was sent",
        "We sent a corrected PIN for {numbers} by an update of the order. It can go to the "
        "losing carrier again.",
    ),
    (
        "The LOA is attached",
        "The signed LOA of {end_user} for {numbers} is attached to this order.",
    ),
    (
        "Split the FOC",
        "Let the confirmed numbers go ahead on {foc_date}, and keep {numbers} open for a date of "
        "their own.",
    ),
    (
        "Cancel a confirmed order",
        "The customer wishes to cancel order {sinch_id} ({reference}), confirmed for {foc_date}. "
        "Confirm that it is canceled with the losing carrier.",
    ),
    (
        "Another date",
        "The customer asks for another date for {numbers}; {port_date} was asked for and "
        "{foc_date} confirmed. The new date is: ",
    ),
)

_ABOUT_A_DATE: Final = re.compile(
    r"\b(?:date|day|foc|cancel\w*|postpone\w*|reschedul\w*|delay\w*|earlier|later|move[ds]?|supp)\b",
    re.I,
)


@dataclass(frozen=True)
class Template:
    """A template as the composer offers it; `key` names it in an address."""

    key: str
    title: str
    text: str


# The desk's own, offered while a project has none.
OFFERED: Final = tuple(
    Template(f"d{number}", title, text) for number, (title, text) in enumerate(DEFAULTS, 1)
)


def templates_of(project: SinchProject) -> list[Template]:
    """Return the project's templates, the desk's own when it has none; one statement."""
    own = [Template(str(t.pk), t.title, t.text) for t in _own_templates.all(project.pk)]
    return own or list(OFFERED)


_own_templates = Prepared(lambda project: NoteTemplate.objects.filter(project=project))


def filled(order: PortInOrder, key: str) -> str:
    """Return the text of a template with the order's own words in its gaps; "" for no such key."""
    known = [*templates_of(order.project), *OFFERED]
    text = next((template.text for template in known if template.key == key), "")
    if not text:
        return ""
    item = order.item
    values: dict[str, Any] = {
        "reference": order.reference,
        "sinch_id": order.sinch_id,
        "end_user": item.end_user,
        "numbers": _numbers(order) if "{numbers}" in text else "",
        "foc_date": words.day_text(item.foc_date),
        "port_date": words.day_text(order.desired_port_date),
    }
    for gap, value in values.items():
        # Without a value the gap stays, for whoever writes to see.
        if value:
            text = text.replace(f"{{{gap}}}", str(value))
    return text


def asked_for(order: PortInOrder, parameters: Mapping[str, str]) -> str:
    """Return what the composer begins with: the template an address names, `?template=3`."""
    key = parameters.get("template", "")
    return filled(order, key) if key else ""


def _numbers(order: PortInOrder) -> str:
    rows = list(
        PortInNumber.objects.filter(order=order)
        .order_by("position")
        .values_list("phone_number", "status")
    )
    shown = [phone for phone, status in rows if status in TROUBLE] or [phone for phone, _ in rows]
    text = runs_text(shown)
    if text.count(",") >= MOST_RUNS:
        return words.count_text(len(shown), "number")
    return text


def freeze_hint(order: PortInOrder, text: str) -> str:
    """Return what to mind when a note speaks of a date or of canceling shortly before it."""
    return page.freeze_of(order) if _ABOUT_A_DATE.search(text) else ""
