"""What is kept for new orders, where a draft's page offers it. `{% load saved %}`.

The tags ask the database themselves, two short statements a page, so that every view that shows a
draft's page offers it alike.
"""

from typing import Any

from django import template
from django.template import Context

from orders.models import PortInDraft, RoutingPreset
from orders.views_reuse import choices

register = template.Library()


@register.inclusion_tag("orders/_draft_start.html", takes_context=True)
def start_from_saved(context: Context) -> dict[str, Any]:
    """Offer the end users that are kept, above a draft's form."""
    draft, request = context.get("draft"), context.get("request")
    if not isinstance(draft, PortInDraft):
        return {}
    q = request.GET.get("saved_q", "").replace("\0", "")[:100] if request else ""
    return {"draft": draft, "asked": "saved_q" in request.GET if request else False} | choices(
        draft.project, q
    )


@register.inclusion_tag("orders/_draft_routing.html", takes_context=True)
def saved_routings(context: Context) -> dict[str, Any]:
    """Offer the routings that are kept, among the fields of a draft; nothing in an edit."""
    draft = context.get("draft")
    if not isinstance(draft, PortInDraft):
        return {}
    rows = RoutingPreset.objects.filter(project=draft.project).only("pk", "name")
    return {"draft": draft, "routings": list(rows)}
