"""Template tags of a draft's list: `{% load lists %}`."""

from typing import Any

from django import template
from django.template.context import Context

from orders import list_report
from orders.forms import MAX_NUMBERS
from orders.review import Review
from portal.numbers import is_too_long

register = template.Library()


@register.inclusion_tag("orders/_list_box.html", takes_context=True)
def list_box(context: Context, found: Review) -> dict[str, Any]:
    """Render the line of a draft's file: how far it is, and what its rows came to."""
    assert found.number_list is not None
    shown = list_report.box(found.number_list, found.is_list_under_way)
    return shown | {"post_to": context.get("post_to", "")}


@register.filter
def longer_than_an_order(found: Review) -> bool:
    """Tell whether what was pasted is too long for one order and better read as a list."""
    return len(found.numbers) > MAX_NUMBERS or is_too_long(found.text)
