"""The page of a port-in order, its live parts, and what staff do from it."""

import json
from functools import partial
from typing import Any

from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from orders import (
    actions_activation,
    notes,
    page,
    page_activation,
    page_documents,
    page_marks,
    page_numbers,
)
from orders import actions_order as actions
from orders.forms_order import Composer, UploadForm
from orders.models import PortInOrder
from portal import words
from portal.accounts.guards import MAY_SEND, NO_SENDING
from portal.accounts.models import User
from portal.accounts.sessions import person_of, signed_in_user
from portal.htmx import HtmxHttpRequest, go_to, wants_fragment
from portal.work import page as work_page
from portal.work.forms import TeamComposer
from portal.work.views_owner import owner_page

MAY_REVEAL = "accounts.reveal_secrets"

may_send = permission_required(MAY_SEND, raise_exception=True)


# --- What a page needs ------------------------------------------------------------------------


def _numbers_context(request: HttpRequest, order: Any, user: User) -> dict[str, Any]:
    """Return what the numbers of an order show, as somebody wants to see them."""
    sends = user.has_perm(MAY_SEND)
    return {
        "order": order,
        "numbers": page_numbers.numbers_of(order, look=page_numbers.Look.asked(request.GET)),
        "care": page_marks.Care(order),
        "may_send": sends,
        "why_no_edit": actions.why_no_change(order) if sends else NO_SENDING,
    }


def order_context(
    request: HttpRequest, order: Any, user: User, revealed: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return everything the order page and its live parts show."""
    every_entry = request.GET.get("timeline") == "all"
    show = request.GET.get("show", "")
    show = show if show in {"sinch", "staff"} else ""
    shown = _numbers_context(request, order, user)
    numbers, sends = shown["numbers"], shown["may_send"]
    entries, more_entries = work_page.timeline_of(order.item_id, show, every_entry)
    offered = page_activation.offered_count(order)
    documents, checklist = page_documents.papers_of(order)
    operations = work_page.operations_of(order.mark, said_by="port_in.note")
    return shown | {
        "item": order.item,
        "token": work_page.token_of(order.mark),
        "timeline_entries": entries,
        "timeline_more": more_entries,
        "timeline": "all" if every_entry else "",
        "show": show,
        "operations": operations,
        "notes": page.notes_of(order, operations),
        "documents": documents,
        "checklist": checklist,
        "team_notes": work_page.team_notes_of(order.item),
        "reading": page.reading_of(order),
        "facts": page.facts_of(order),
        "address": page.address_of(order),
        "service": page.service_of(order),
        "users": page.users_of(order),
        "secrets": page.secrets_of(order, revealed or {}),
        "local_hint": page.local_hint(order, user),
        "zone": page.zone_of(order),
        "gap": page.gap_of(order, numbers),
        "foc_dates": words.dated_counts_text(page.dates_of(numbers)),
        "frozen": page.freeze_of(order),
        "told_first": page.told_first(order),
        "step": page.next_step(order, offered) if sends else None,
        "offered": offered,
        "alarm": page_activation.alarm_of(order),
        "may_reveal": user.has_perm(MAY_REVEAL),
        "no_right": "" if sends else NO_SENDING,
        "why_no_cancel": shown["why_no_edit"],  # Sinch takes neither after the same moment
        "why_no_message": actions.why_no_message(order) if sends else NO_SENDING,
        "why_no_activation": actions_activation.why_no_activation(order),
        "here": order.get_absolute_url(),
        "viewer": user,
    }


def order_page(request: HttpRequest, pk: int, *, status: int = 200, **more: Any) -> HttpResponse:
    order = page.load(pk)
    context = order_context(request, order, person_of(request), more.pop("revealed", None))
    context |= {
        "composer": Composer(initial={"note": notes.asked_for(order, request.GET)}),
        "note_templates": partial(notes.templates_of, order.project),
        "team_composer": TeamComposer(),
        "upload": UploadForm(),
    } | more
    return render(request, "orders/order.html", context, status=status)


def order_row(pk: int) -> PortInOrder:
    return get_object_or_404(
        PortInOrder.objects.select_related("item", "project").defer("payload"), pk=pk
    )


def _back(request: HttpRequest, order: PortInOrder) -> str:
    """Return where the form was, when it is a page of ours; else the order's page."""
    wanted = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure())
    return wanted if wanted.startswith("/") and safe else order.get_absolute_url()


def failed(request: HtmxHttpRequest, pk: int, title: str, text: str, status: int) -> HttpResponse:
    """Answer an action without a form that did not work: into #messages, or as a page."""
    if wants_fragment(request):
        answer = render(
            request, "components/_error.html", {"title": title, "text": text}, status=status
        )
        answer["HX-Retarget"], answer["HX-Reswap"] = "#messages", "outerHTML"
        return answer
    return order_page(request, pk, status=status, problem={"title": title, "text": text})


def is_unchanged(request: HttpRequest, user: User) -> bool:
    """Tell whether the open page is up to date; Http404 for an order that is not there."""
    mark = getattr(user, "mark", None)  # came with the person, in one statement
    if mark is None:
        raise Http404
    return work_page.token_of(mark) == request.GET.get("token")


# --- Looking ----------------------------------------------------------------------------------


@login_required
@require_GET
def detail(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show where an order is, whose move it is, and how to mend it."""
    return order_page(request, pk)


@never_cache
@require_GET
def live(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Return the parts of the page when something has changed since `token`; 204 when nothing has.

    An unchanged page costs one statement: the person and the mark of the order together.
    """
    user = signed_in_user(request, mark=page.mark_of(pk))
    if user is None:
        return redirect_to_login(request.get_full_path())
    if is_unchanged(request, user):
        return HttpResponse(status=204)
    return render(request, "orders/_live.html", order_context(request, page.load(pk), user))


@login_required
@require_GET
def numbers(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show the numbers somebody asks for, such as the refused ones: a fragment, or the page."""
    look = page_numbers.Look.asked(request.GET)
    address = f"{reverse('orders:detail', args=[pk])}{look.address(rows=look.rows)}"
    if not wants_fragment(request):
        return redirect(f"{address}#numbers")
    context = _numbers_context(request, page.load(pk), person_of(request))
    answer = render(request, "orders/_numbers.html", context)
    answer["HX-Replace-Url"] = address
    return answer


@login_required
@require_GET
def raw(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show what Sinch sent, without the secrets, which are never stored in it."""
    order = get_object_or_404(PortInOrder.objects.select_related("item"), pk=pk)
    text = json.dumps(order.payload, indent=2, ensure_ascii=False)
    return render(request, "work/raw.html", {"order": order, "item": order.item, "text": text})


# --- Reading again, owning, looking at secrets --------------------------------------------------


@login_required
@require_POST
def refresh(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Ask for a new reading; the page shows when it is there."""
    order = order_row(pk)
    actions.check_now(order)
    if wants_fragment(request):
        return render(
            request, "orders/_live.html", order_context(request, page.load(pk), person_of(request))
        )
    return redirect(_back(request, order))


@login_required
@may_send
@require_http_methods(["GET", "POST"])
def owner(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Take an order over with one click, or hand it to a colleague with a line."""
    order = order_row(pk)
    return owner_page(request, order, partial(actions.hand_over, order))


@login_required
@permission_required(MAY_REVEAL, raise_exception=True)
@never_cache
@require_POST
def reveal(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show one secret of the order for a while; the look goes into the timeline."""
    order = order_row(pk)
    name = request.POST.get("secret", "")
    if name not in actions.SECRETS:
        raise Http404
    value = actions.reveal(order, name, by=person_of(request))
    if not wants_fragment(request):
        return order_page(request, pk, revealed={name: value})
    found = next((s for s in page.secrets_of(order, {name: value}) if s.name == name), None)
    if found is None:
        raise Http404
    return render(
        request, "orders/_secret.html", {"order": order, "secret": found, "may_reveal": True}
    )


# --- Writing to Sinch ----------------------------------------------------------------------------


def written(request: HtmxHttpRequest, pk: int, template: str, **more: Any) -> HttpResponse:
    """Answer a write: the emptied form with the live parts beside it, or back to the page."""
    if not wants_fragment(request):
        return redirect("orders:detail", pk)
    order = page.load(pk)
    context = order_context(request, order, person_of(request)) | more
    context["note_templates"] = partial(notes.templates_of, order.project)
    return render(request, "orders/_written.html", context | {"form_template": template})


@login_required
@may_send
@require_POST
def cancel(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Ask Sinch to cancel the order; the page had it asked once more before."""
    order, why = order_row(pk), request.POST.get("why", "").replace("\0", "")
    try:
        actions.cancel_order(order, why=why, by=person_of(request))
    except actions.NotSendable as wrong:
        said = {"cancel_problem": str(wrong), "cancel_why": why}
        if not wants_fragment(request):
            return order_page(request, pk, status=422, **said)
        context = order_context(request, page.load(pk), person_of(request), None) | said
        return render(request, "orders/_cancel.html", context, status=422)
    except actions.NotPossible as wrong:
        return failed(request, pk, "The order was not canceled", str(wrong), 409)
    return go_to(request, order)
