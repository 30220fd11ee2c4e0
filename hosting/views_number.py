"""The page of one number of a hosting order: its steps, what went wrong, where else it stands."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.db.models import CharField, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Concat, JSONObject
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from hosting import page, page_matrix, standing, sync, wire
from hosting.models import HostingNumber
from portal.accounts.sessions import signed_in_user
from portal.htmx import HtmxHttpRequest, wants_fragment
from portal.sinch import payloads_hosting
from portal.work import page as work_page


def _rows(pk: int, digits: str) -> QuerySet[Any]:
    """Return the number with its `mark`: everything that makes an open page out of date."""
    reading = work_page.reading_json(
        kind=sync.ORDER_NUMBER_READER,
        project=OuterRef("order__project"),
        resource_id=Concat(
            Cast(OuterRef("order_id"), CharField()),
            Value(":"),
            OuterRef("phone_number"),
            output_field=CharField(),
        ),
    )
    return HostingNumber.objects.filter(order=pk, phone_number=f"+{digits}").annotate(
        mark=JSONObject(version="order__item__version", read_at="read_at", reading=reading)
    )


def _row(pk: int, digits: str) -> Any:
    rows = _rows(pk, digits).select_related("order__item", "order__project")
    return get_object_or_404(rows.defer("order__payload", "order__item__search"))


def _context(row: Any) -> dict[str, Any]:
    order = row.order
    known = standing.number_facts(
        row.phone_number, row.payload, row.status_since, row.failure_codes
    )
    read_at = max(filter(None, (row.read_at, order.numbers_read_at)), default=None)
    return {
        "order": order,
        "item": order.item,
        "number": row,
        "steps": page.steps_of(row),
        "failures": page_matrix.failures.grouped([known]),
        "events": page.events_of(order.project_id, row.phone_number),
        "also": page.also_at(order.project_id, row.phone_number, but=order.pk),
        "beyond": wire.undocumented(row.payload, payloads_hosting.HostingOrderNumber),
        "reading": work_page.reading_of(row.mark, read_at),
        "token": work_page.token_of(row.mark),
        "digits": row.phone_number.lstrip("+"),
    }


@login_required
@require_GET
def number(request: HtmxHttpRequest, pk: int, digits: str) -> HttpResponse:
    """Show one number of an order."""
    return render(request, "hosting/number.html", _context(_row(pk, digits)))


@never_cache
@require_GET
def live(request: HtmxHttpRequest, pk: int, digits: str) -> HttpResponse:
    """Answer an open page: 204 while nothing has changed since `token`, else the page anew."""
    user: Any = signed_in_user(request, mark=Subquery(_rows(pk, digits).values_list("mark")[:1]))
    if user is None:
        return redirect_to_login(request.get_full_path())
    if user.mark is None:
        raise Http404("No such number")
    if work_page.token_of(user.mark) == request.GET.get("token"):
        return HttpResponse(status=204)
    return render(request, "hosting/_number.html", _context(_row(pk, digits)))


@login_required
@require_POST
def refresh(request: HtmxHttpRequest, pk: int, digits: str) -> HttpResponse:
    """Ask for a new reading of this one number; the page shows when it is there."""
    row = _row(pk, digits)
    sync.refresh_number(row.order, row.phone_number)
    if wants_fragment(request):
        return render(request, "hosting/_number.html", _context(_row(pk, digits)))
    return redirect(row)
