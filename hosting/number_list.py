"""Lists of imported and of qualified numbers: filters in the address, pages by number."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from django.db.models import Q, QuerySet

from hosting.models import NumberRecord
from portal.values import whole
from portal.work import search
from portal.work.queue import MOST_COUNTED, count_text

PAGE: Final = 50
Record = TypeVar("Record", bound=NumberRecord)


def number_condition(q: str) -> Q:
    """Return what makes a number match a typed text: any spelling, first or last digits.

    A text that is no number matches nothing.
    """
    found = search.understand(q).numbers
    return Q(pk__in=[]) if found is None else found


@dataclass
class NumberPage(Generic[Record]):
    """One page of numbers, how many match in all (capped), and the addresses to both sides."""

    rows: list[Record]
    total: int
    back_url: str = ""
    on_url: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Return `50 of 1,000+`."""
        return f"{len(self.rows)} of {count_text(self.total)}"


def page_of(
    rows: QuerySet[Record], given: Mapping[str, Any], parameters: Mapping[str, str]
) -> NumberPage[Record]:
    """Return the page that the address asks for by `after` or `before` a row; two statements.

    A row is told by its number and key: two projects may have the same number. `parameters` are
    the filters as they stand in an address.
    """
    after, before = _place(given.get("after")), _place(given.get("before"))
    if before:
        phone, pk = before
        # An OR would make the database read all rows up to here.
        less = Q(phone_number__lte=phone) & ~Q(phone_number=phone, pk__gte=pk)
        found = list(rows.filter(less).order_by("-phone_number", "-pk")[: PAGE + 1])
        has_back, has_on = len(found) > PAGE, True
        found = found[:PAGE][::-1]
    else:
        more = rows
        if after:
            phone, pk = after
            more = rows.filter(Q(phone_number__gte=phone) & ~Q(phone_number=phone, pk__lte=pk))
        found = list(more.order_by("phone_number", "pk")[: PAGE + 1])
        has_back, has_on = bool(after), len(found) > PAGE
        found = found[:PAGE]
    total = rows.order_by()[: MOST_COUNTED + 1].count()
    shown = NumberPage(found, total, parameters=parameters)
    if found and has_back:
        shown.back_url = _address(parameters, before=_name(found[0]))
    if found and has_on:
        shown.on_url = _address(parameters, after=_name(found[-1]))
    return shown


def _address(parameters: Mapping[str, str], **more: str) -> str:
    there = {name: value for name, value in {**parameters, **more}.items() if value}
    return f"?{urlencode(there)}" if there else "?"


def link(parameters: Mapping[str, str], **changes: str) -> str:
    """Return the address of the list with some filters changed, from its first page."""
    return _address({**parameters, **changes})


def _name(row: NumberRecord) -> str:
    return f"{row.phone_number}.{row.pk}"


def _place(value: object) -> tuple[str, int] | None:
    """Return number and key of what `_name` wrote; None for anything else."""
    text, _, pk = str(value or "").strip().replace(" ", "+").partition(".")
    is_phone = text[:1] == "+" and text[1:].isdigit() and len(text) <= 16
    key = whole(pk)
    return (text, key) if is_phone and key is not None else None
