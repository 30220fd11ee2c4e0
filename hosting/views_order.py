"""The page of a hosting order, its live parts, and what can be decided there."""

import json
from functools import partial
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hosting import actions_order as actions
from hosting import page, page_matrix, sync
from hosting.forms import LeftForm
from hosting.models import HostingOrder
from hosting.page_matrix import Look
from portal.accounts.guards import MAY_SEND, NO_RIGHT, agents_only
from portal.accounts.models import User
from portal.accounts.sessions import person_of, signed_in_user
from portal.csvfile import download
from portal.htmx import HtmxHttpRequest, go_to, wants_fragment
from portal.values import whole
from portal.work import actions as work
from portal.work import marks
from portal.work import page as work_page
from portal.work.actions import NotPossible, NotSendable
from portal.work.forms import TeamComposer
from portal.work.views_owner import owner_page


def order_context(request: HtmxHttpRequest, order: Any, user: User) -> dict[str, Any]:
    """Return everything the order page and its live parts show."""
    look = Look.asked(request.GET)
    known = page.facts_of(order)
    show = request.GET.get("show", "")
    show = show if show in {"sinch", "staff"} else ""
    every_entry = request.GET.get("timeline") == "all"
    entries, more_entries = work_page.timeline_of(order.item_id, show, every_entry)
    sends = user.has_perm(MAY_SEND)
    matrix = page_matrix.matrix_of(known, look, order.pk)
    held = page.held_of(order, known)
    return {
        "order": order,
        "item": order.item,
        "token": work_page.token_of(order.mark),
        "known": known,
        "matrix": matrix,
        "heads": page_matrix.HEADS,
        "bars": page_matrix.bars_of(known, order.report, matrix.counts),
        "held": held,
        "held_seen": marks.digest(n.held_fact for n in held.numbers) if held else "",
        "care": page.care_of(order, known),
        "step": page.next_step(order, held, sends),
        "sentence": page.sentence_of(order, shows_people=sends),
        "untold": page.untold_of(order),
        "facts": page.facts_beside(order, known, shows_people=sends, zone=user.time_zone),
        "reading": work_page.reading_of(order.mark, order.fetched_at),
        "operations": work_page.operations_of(order.mark),
        "timeline_entries": entries,
        "timeline_more": more_entries,
        "timeline": "all" if every_entry else "",
        "show": show,
        "team_notes": work_page.team_notes_of(order.item),
        "may_send": sends,
        "no_right": "" if sends else NO_RIGHT,
        "here": order.get_absolute_url(),
        "viewer": user,
        "left_form": LeftForm(signer=order.signer_name),
    }


def _order_page(
    request: HtmxHttpRequest, pk: int, *, status: int = 200, **more: Any
) -> HttpResponse:
    context = order_context(request, page.load(pk), person_of(request))
    context |= {"team_composer": TeamComposer()} | more
    return render(request, "hosting/order.html", context, status=status)


def _order_row(pk: int) -> HostingOrder:
    rows = HostingOrder.objects.select_related("item", "project").defer("item__search")
    return get_object_or_404(rows, pk=pk)


def _failed(request: HtmxHttpRequest, pk: int, text: str, status: int, **more: Any) -> HttpResponse:
    """Answer an action that did not work: into #messages, or as a page with what was typed."""
    title = "Nothing was kept"
    if wants_fragment(request):
        context = {"title": title, "text": text}
        answer = render(request, "components/_error.html", context, status=status)
        answer["HX-Retarget"], answer["HX-Reswap"] = "#messages", "outerHTML"
        return answer
    return _order_page(request, pk, status=status, problem={"title": title, "text": text}, **more)


def _live(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    context = order_context(request, page.load(pk), person_of(request))
    return render(request, "hosting/_live.html", context)


@login_required
@require_GET
def detail(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show where an order is, which number hangs at which step, and how to mend it."""
    return _order_page(request, pk)


@never_cache
@require_GET
def live(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Return the parts of the page when something has changed since `token`; 204 when nothing has.

    An unchanged page costs one statement: the person and the mark of the order together.
    """
    user: Any = signed_in_user(request, mark=page.mark_of(pk))
    if user is None:
        return redirect_to_login(request.get_full_path())
    if user.mark is None:
        raise Http404
    if work_page.token_of(user.mark) == request.GET.get("token"):
        return HttpResponse(status=204)
    context = order_context(request, page.load(pk), user)
    return render(request, "hosting/_live.html", context)


@login_required
@require_GET
def numbers(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show the numbers somebody asks for: a fragment, or the page."""
    look = Look.asked(request.GET)
    address = f"{reverse('hosting:detail', args=[pk])}{look.address()}"
    if not wants_fragment(request):
        return redirect(f"{address}#numbers")
    order = page.load(pk)
    matrix = page_matrix.matrix_of(page.facts_of(order), look, pk)
    context = {"order": order, "matrix": matrix, "heads": page_matrix.HEADS}
    answer = render(request, "hosting/_matrix.html", context)
    answer["HX-Replace-Url"] = address
    return answer


@login_required
@require_GET
def numbers_csv(request: HtmxHttpRequest, pk: int) -> StreamingHttpResponse:
    """Return the numbers with their steps as a CSV file."""
    order = page.load(pk)
    name = f"hosting-{order.sinch_id}.csv"
    return download(name, page_matrix.CSV_TITLES, page_matrix.csv_rows(page.facts_of(order)))


@login_required
@require_GET
def raw(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show what Sinch sent; who signs and where is for those who may send."""
    order = _order_row(pk)
    payload = dict(order.payload)
    if not person_of(request).has_perm(MAY_SEND) and "textEnableInfo" in payload:
        payload["textEnableInfo"] = page.HIDDEN_PERSON
    text = json.dumps(payload, indent=2, ensure_ascii=False)
    context = {"order": order, "item": order.item, "text": text}
    return render(request, "work/raw.html", context)


@login_required
@require_POST
def refresh(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Ask for a new reading; the page shows when it is there."""
    order = _order_row(pk)
    sync.refresh(order)
    return _live(request, pk) if wants_fragment(request) else redirect(order)


@agents_only
@require_http_methods(["GET", "POST"])
def owner(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Take an order over with one click, or hand it to a colleague with a line."""
    order = _order_row(pk)
    return owner_page(request, order, partial(work.hand_over, order.item))


@login_required
@require_POST
def team_note(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Keep a note for colleagues."""
    order = _order_row(pk)
    form = TeamComposer(request.POST)
    if form.is_valid():
        try:
            work.add_team_note(order.item, form.cleaned_data["text"], by=person_of(request))
        except NotSendable as wrong:
            form.add_error("text", str(wrong))
    if not form.errors:
        if not wants_fragment(request):
            return redirect(order)
        context = order_context(request, page.load(pk), person_of(request))
        context["team_composer"] = TeamComposer()
        return render(request, "hosting/_written.html", context)
    if not wants_fragment(request):
        return _order_page(request, pk, status=422, team_composer=form)
    context = {"item": order.item, "team_composer": form}
    return render(request, "work/_team_composer.html", context, status=422)


@agents_only
@require_POST
def mark(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Do what the pressed button says: `do` is `settle:H3:facts`, `ask:…` or `back:key`."""
    order = _order_row(pk)
    verb, _, rest = request.POST.get("do", "").partition(":")
    code, _, seen = rest.partition(":")
    by = person_of(request)
    try:
        if verb == "settle":
            text = request.POST.get(f"why-{code}-{seen}", "").replace("\0", "")
            actions.settle(order, code, seen, text, by=by)
        elif verb == "ask":
            actions.ask(order, code, seen, by=by)
        elif verb == "back" and (settled := whole(code)) is not None:
            actions.take_back(order, settled, by=by)
        else:
            raise NotPossible(actions.CHANGED)
    except NotSendable as wrong:
        return _failed(request, pk, str(wrong), 422)
    except NotPossible as wrong:
        return _failed(request, pk, str(wrong), 409)
    return _live(request, pk) if wants_fragment(request) else redirect(order)


@agents_only
@require_POST
def migrate(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Keep the customer's word about numbers held at T-Mobile, or begin the order for them."""
    order = _order_row(pk)
    seen = request.POST.get("seen", "")
    form = LeftForm(request.POST, signer=order.signer_name)
    try:
        if request.POST.get("do") == "order":
            draft = actions.migration_draft(order, seen, by=person_of(request))
            return go_to(request, f"{draft.get_absolute_url()}?ask=1")
        if not form.is_valid():
            return _order_page(request, pk, status=422, left_form=form)
        said = form.cleaned_data
        actions.confirm_left(order, seen, said["by"], said["on"], by=person_of(request))
    except NotPossible as wrong:
        return _failed(request, pk, str(wrong), 409, left_form=form)
    return go_to(request, f"{order.get_absolute_url()}#move")
