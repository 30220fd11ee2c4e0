"""Lists of imported and of qualified numbers: filters in the address, pages by number."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from django.db.models import Q, QuerySet

from hosting.models import NumberRecord
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
    """Return the page that the address asks for by `after` or `before` a number; two statements.

    `parameters` are the filters as they stand in an address.
    """
    after, before = _phone(given.get("after")), _phone(given.get("before"))
    if before:
        found = list(
            rows.filter(phone_number__lt=before).order_by("-phone_number", "-pk")[: PAGE + 1]
        )
        has_back, has_on = len(found) > PAGE, True
        found = found[:PAGE][::-1]
    else:
        more = rows.filter(phone_number__gt=after) if after else rows
        found = list(more.order_by("phone_number", "pk")[: PAGE + 1])
        has_back, has_on = bool(after), len(found) > PAGE
        found = found[:PAGE]
    total = rows.order_by()[: MOST_COUNTED + 1].count()
    shown = NumberPage(found, total, parameters=parameters)
    if found and has_back:
        shown.back_url = _address(parameters, before=found[0].phone_number)
    if found and has_on:
        shown.on_url = _address(parameters, after=found[-1].phone_number)
    return shown


def _address(parameters: Mapping[str, str], **more: str) -> str:
    there = {name: value for name, value in {**parameters, **more}.items() if value}
    return f"?{urlencode(there)}" if there else "?"


def link(parameters: Mapping[str, str], **changes: str) -> str:
    """Return the address of the list with some filters changed, from its first page."""
    return _address({**parameters, **changes})


def _phone(value: object) -> str:
    text = str(value or "").strip().replace(" ", "+")
    return text if text[:1] == "+" and text[1:].isdigit() and len(text) <= 16 else ""
