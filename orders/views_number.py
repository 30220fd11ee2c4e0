"""A single number of an order: its page, and its secrets; and all numbers as a file."""

from typing import Any

from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from orders import actions_order as actions
from orders import page_number, page_numbers
from orders.models import PortInOrder
from orders.views_order import MAY_REVEAL, order_row
from portal import csvfile
from portal.accounts.guards import MAY_SEND, NO_SENDING
from portal.accounts.models import User
from portal.accounts.sessions import person_of
from portal.htmx import HtmxHttpRequest, wants_fragment


def _context(
    order: PortInOrder, digits: str, user: User, revealed: dict[str, str] | None = None
) -> dict[str, Any]:
    row = page_number.number_row(order, digits)
    found = page_number.number_page(order, row, revealed)
    sends = user.has_perm(MAY_SEND)
    return {
        "order": order,
        "item": order.item,
        "found": found,
        "row": row,
        "digits": digits,
        "may_send": sends,
        "may_reveal": user.has_perm(MAY_REVEAL),
        "why_no_edit": actions.why_no_change(order) if sends else NO_SENDING,
    }


@login_required
@require_GET
def number(request: HtmxHttpRequest, pk: int, digits: str) -> HttpResponse:
    """Show everything Sinch says of one number."""
    context = _context(order_row(pk), digits, person_of(request))
    return render(request, "orders/number.html", context)


@login_required
@permission_required(MAY_REVEAL, raise_exception=True)
@never_cache
@require_POST
def reveal(request: HtmxHttpRequest, pk: int, digits: str) -> HttpResponse:
    """Show one secret of one number for a while; the look goes into the timeline."""
    order = order_row(pk)
    row = page_number.number_row(order, digits)
    name = request.POST.get("secret", "")
    if name not in actions.SECRETS:
        raise Http404
    value = actions.reveal(order, name, by=person_of(request), number=row.phone_number)
    if not value:
        raise Http404
    context = _context(order, digits, person_of(request), {name: value})
    if not wants_fragment(request):
        return render(request, "orders/number.html", context)
    shown = next(one for one in context["found"].secrets if one.name == name)
    return render(request, "orders/_number_secret.html", context | {"secret": shown})


@login_required
@require_GET
def numbers_csv(request: HtmxHttpRequest, pk: int) -> StreamingHttpResponse:
    """Send the numbers somebody has in view as a CSV file, all that fit."""
    order = get_object_or_404(PortInOrder.objects.only("pk", "sinch_id"), pk=pk)
    look = page_numbers.Look.asked(request.GET)
    return csvfile.download(
        f"port-in-{order.sinch_id}-numbers.csv",
        page_numbers.CSV_TITLES,
        page_numbers.csv_rows(order, look),
    )
