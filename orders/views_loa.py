"""Letters of authorization made from an order or a draft: looked at, downloaded, attached."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_http_methods

from orders import actions_documents as actions
from orders import letters, loa
from orders.actions_activation import today_there
from orders.actions_order import NotPossible, NotSendable, why_no_message
from orders.forms_fields import ends_of
from orders.forms_order import UploadForm
from orders.models import PortInDraft, PortInOrder
from orders.views_documents import file_answer
from orders.views_order import MAY_REVEAL, may_send, order_row
from portal.accounts.guards import MAY_SEND, NO_SENDING, agents_only
from portal.accounts.models import User
from portal.accounts.sessions import person_of
from portal.formkey import new_key, read_key
from portal.htmx import HtmxHttpRequest
from portal.values import whole

DOTS = "••••"


def _masked(letter: loa.Letter) -> loa.Letter:
    """Return the letter for somebody who may not see its account number."""
    return replace(letter, account=f"{DOTS}{ends_of(letter.account)}" if letter.account else "")


def _part(request: HtmxHttpRequest, found: Sequence[loa.Letter]) -> int:
    asked = request.POST.get("part") or request.GET.get("part") or "1"
    part = whole(asked) or 0
    if found and letters.nth(found, part) is None:
        raise Http404
    return part


def _context(found: Sequence[loa.Letter], part: int, user: User) -> dict[str, Any]:
    letter = letters.nth(found, part)
    return {
        "letter": _masked(letter) if letter else None,
        "parts": [(at, letters.title_of(one)) for at, one in enumerate(found, 1)],
        "part": part,
        "seen": letters.print_of(letter) if letter else "",
        "may_reveal": user.has_perm(MAY_REVEAL),
        "key": new_key(),
    }


def _file(request: HtmxHttpRequest, letter: loa.Letter, day: Any) -> HttpResponse:
    """Return the letter as PDF; its account number only to whoever may see it."""
    shown = letter if person_of(request).has_perm(MAY_REVEAL) else _masked(letter)
    content = loa.pdf(replace(shown, prepared_on=day))
    return file_answer(content, letters.file_name(letter, day), show="show" in request.GET)


# --- Of an order --------------------------------------------------------------------------------


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def order_loa(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show an LOA of the order; on POST, attach it and send it to Sinch."""
    if request.method == "POST":
        return _attach(request, pk)
    return _order_page(request, order_row(pk), "", 200)


@may_send
def _attach(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    order, part = order_row(pk), request.POST.get("part", "")
    try:
        actions.attach_letter(
            order,
            whole(part) or 0,
            request.POST.get("seen", ""),
            by=person_of(request),
            key=read_key(request.POST.get("key", "")),
        )
    except (NotPossible, NotSendable) as wrong:
        return _order_page(request, order, str(wrong), 409)
    return redirect("orders:document", pk)


def _order_page(
    request: HtmxHttpRequest, order: PortInOrder, problem: str, status: int
) -> HttpResponse:
    found = letters.letters_of_order(order)
    part = 1 if problem else _part(request, found)
    context = _context(found, part, person_of(request)) | {
        "order": order,
        "item": order.item,
        "problem": problem,
        "back": order.get_absolute_url(),
        "here": reverse("orders:loa", args=[order.pk]),
        "file_url": reverse("orders:loa_file", args=[order.pk, part]),
        "complete_url": reverse("orders:edit", args=[order.pk]) if order.is_editable else "",
        "why_no_message": why_no_message(order)
        if person_of(request).has_perm(MAY_SEND)
        else NO_SENDING,
        "upload": UploadForm(),
    }
    return render(request, "orders/loa.html", context, status=status)


@login_required
@xframe_options_sameorigin
@require_GET
def loa_file(request: HtmxHttpRequest, pk: int, part: int) -> HttpResponse:
    """Hand out an LOA of the order as PDF; the look at its account number is told."""
    order = order_row(pk)
    letter = letters.nth(letters.letters_of_order(order), part)
    if letter is None:
        raise Http404
    user = person_of(request)
    if user.has_perm(MAY_REVEAL) and letter.account:
        actions.tell_look(order, f"the LOA for {letters.title_of(letter)}", by=user)
    return _file(request, letter, today_there(order))


# --- Of a draft ---------------------------------------------------------------------------------


def _draft(pk: uuid.UUID) -> PortInDraft:
    rows = PortInDraft.objects.select_related("project", "number_list").exclude(
        state=PortInDraft.State.THROWN_AWAY
    )
    return get_object_or_404(rows, pk=pk)


@agents_only
@never_cache
@require_GET
def draft_loa(request: HtmxHttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show an LOA of an order that is still a draft, as far as it is typed."""
    draft = _draft(pk)
    found = letters.letters_of_draft(draft)
    part = _part(request, found)
    context = _context(found, part, person_of(request)) | {
        "draft": draft,
        "back": draft.get_absolute_url(),
        "here": reverse("orders:draft_loa", args=[draft.pk]),
        "file_url": reverse("orders:draft_loa_file", args=[draft.pk, part]),
        "complete_url": draft.get_absolute_url(),
    }
    return render(request, "orders/loa.html", context)


@agents_only
@xframe_options_sameorigin
@require_GET
def draft_loa_file(request: HtmxHttpRequest, pk: uuid.UUID, part: int) -> HttpResponse:
    """Hand out an LOA of a draft as PDF."""
    letter = letters.nth(letters.letters_of_draft(_draft(pk)), part)
    if letter is None:
        raise Http404
    return _file(request, letter, timezone.localdate())
