"""The webhook log and what can be done with a delivery."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from portal.values import whole
from webhooks import dispatch, hosting, log
from webhooks.models import Delivery
from webhooks.wire import EVENTS

may_read = permission_required("accounts.read_deliveries", raise_exception=True)


@login_required
@may_read
@require_http_methods(["GET", "POST"])
def log_page(request: HttpRequest) -> HttpResponse:
    """Show what Sinch told us, newest first; on POST, process again what needs a look."""
    if request.method == "POST":
        waiting = Delivery.objects.filter(dispatch.needs_a_look())
        count = dispatch.process_again(waiting)
        messages.success(request, f"{count} being processed again.")
        return HttpResponseRedirect(reverse("webhooks:log"))
    filters = log.Filters.of(request.GET)
    known = {"porting": EVENTS, "hosting": hosting.EVENTS}.get(
        filters.kind, EVENTS | hosting.EVENTS
    )
    opened = whole(request.GET.get("d", ""))
    chosen = None if opened is None else _unread().filter(pk=opened).first()
    return render(
        request,
        "webhooks/log.html",
        {
            "filters": filters,
            "figures": log.figures(),
            "page": log.page(filters, request.GET),
            "events": [(word or "any", filters.link(event=word)) for word in ("", *sorted(known))],
            "kinds": [
                (name, filters.link(kind=kind, event="")) for kind, name in log.KINDS.items()
            ],
            "kind_name": log.KINDS.get(filters.kind, "any"),
            "kind_any": filters.link(kind="", event=""),
            "look_on": filters.link(look="1"),
            "look_off": filters.link(look=""),
            "chosen": chosen,
            "detail": _detail(chosen) if chosen else None,
            "here": request.get_full_path(),
            "opens": _without(request, "d"),
            "shut": _without(request, "d").rstrip("&"),
        },
    )


@login_required
@may_read
@require_http_methods(["GET", "POST"])
def delivery(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one delivery; on POST, process it again or mark it as seen."""
    chosen = get_object_or_404(_unread(), pk=pk)
    if request.method == "POST":
        one = Delivery.objects.filter(pk=pk)
        if request.POST.get("do") == "seen":
            dispatch.mark_seen([pk])
            messages.success(request, "Marked as seen.")
        else:
            dispatch.process_again(one)
            messages.success(request, "It is being processed again.")
        return HttpResponseRedirect(_back(request, chosen))
    row = log.Row(chosen, log.item_of(chosen))
    return render(
        request,
        "webhooks/delivery.html",
        {"row": row, "detail": _detail(chosen), "here": request.path},
    )


def _unread() -> QuerySet[Delivery]:
    """Return deliveries whose body is read when it is shown: no key may decrypt it any more."""
    return Delivery.objects.defer("body")


def _detail(chosen: Delivery) -> dict[str, Any]:
    title, text = log.explained(chosen)
    needs_a_look = log.Row(chosen, None).needs_a_look
    return {"title": title, "text": text, "raw": log.shown(chosen), "needs_a_look": needs_a_look}


def _without(request: HttpRequest, name: str) -> str:
    query = request.GET.copy()
    query.pop(name, None)
    return f"?{query.urlencode()}&" if query else "?"


def _back(request: HttpRequest, chosen: Delivery) -> str:
    wanted = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure()):
        return wanted
    return reverse("webhooks:delivery", args=[chosen.pk])
