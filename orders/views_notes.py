"""Writing: to Sinch, and to the team."""

from functools import partial
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from orders import actions_order as actions
from orders import notes
from orders.forms_order import Composer
from orders.models import PortInOrder
from orders.views_order import failed, may_send, order_page, order_row, written
from portal.accounts.sessions import person_of
from portal.htmx import HtmxHttpRequest, wants_fragment
from portal.work.forms import TeamComposer


@login_required
@may_send
@require_POST
def note(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Read a note back and ask once more; with `sure`, send it to Sinch."""
    order = order_row(pk)
    form, sure, hint = Composer(request.POST), False, ""
    if template := request.POST.get("template"):
        return _with_template(request, order, template)
    if form.is_valid() and not request.POST.get("rewrite"):
        text, key = form.cleaned_data["note"], form.cleaned_data["key"]
        try:
            if request.POST.get("sure"):
                actions.add_note(order, text, by=person_of(request), key=key)
                return written(request, pk, "orders/_composer.html", composer=Composer())
            actions.check_note(order, text)
            sure, hint = True, notes.freeze_hint(order, text)
        except actions.NotSendable as wrong:
            form.add_error("note", str(wrong))
        except actions.NotPossible as wrong:
            return failed(request, pk, "The note was not sent", str(wrong), 409)
    problem = bool(form.errors) and not request.POST.get("rewrite")
    status = 422 if problem else 200
    return _composer(request, order, status, composer=form, sure=sure, freeze_hint=hint)


def _composer(
    request: HtmxHttpRequest, order: PortInOrder, status: int, **more: Any
) -> HttpResponse:
    if not wants_fragment(request):
        return order_page(request, order.pk, status=status, **more)
    context = {"order": order, "item": order.item, "why_no_message": "", **more}
    context["note_templates"] = partial(notes.templates_of, order.project)
    context["notes"] = order.notes.exists()
    return render(request, "orders/_composer.html", context, status=status)


def _with_template(request: HtmxHttpRequest, order: PortInOrder, key: str) -> HttpResponse:
    """Put a template behind what is typed already; nothing is sent."""
    typed, text = request.POST.get("note", "").strip(), notes.filled(order, key)
    text = "\n\n".join(part for part in (typed, text) if part)
    form = Composer(initial={"note": text, "key": request.POST.get("key", "")})
    return _composer(request, order, 200, composer=form)


@login_required
@require_POST
def team_note(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Keep a note for colleagues."""
    order = order_row(pk)
    form = TeamComposer(request.POST)
    if form.is_valid():
        try:
            actions.add_team_note(order, form.cleaned_data["text"], by=person_of(request))
            return written(request, pk, "work/_team_composer.html", team_composer=TeamComposer())
        except actions.NotSendable as wrong:
            form.add_error("text", str(wrong))
    if not wants_fragment(request):
        return order_page(request, pk, status=422, team_composer=form)
    context = {"item": order.item, "team_composer": form}
    return render(request, "work/_team_composer.html", context, status=422)
