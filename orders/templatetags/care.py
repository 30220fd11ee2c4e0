"""What was decided about a refusal, for its buttons. `{% load care %}`."""

from django import template

from orders.page_marks import Care, RefusalCare
from orders.page_numbers import Refusal

register = template.Library()


@register.filter
def about(care: Care, refusal: Refusal) -> RefusalCare:
    """Return what was decided about a refusal: `{% with here=care|about:refusal %}`."""
    return care.of(refusal.status, refusal.numbers, refusal.causes)
