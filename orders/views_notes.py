"""Writing: to Sinch, and to the team."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from orders import actions_order as actions
from orders.forms_order import Composer, TeamComposer
from orders.views_order import failed, may_send, order_page, order_row, person, written
from portal.htmx import HtmxHttpRequest, wants_fragment


@login_required
@may_send
@require_POST
def note(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Read a note back and ask once more; with `sure`, send it to Sinch."""
    order = order_row(pk)
    form, sure, problem = Composer(request.POST), False, False
    if form.is_valid() and not request.POST.get("rewrite"):
        text, key = form.cleaned_data["note"], form.cleaned_data["key"]
        try:
            if request.POST.get("sure"):
                actions.add_note(order, text, by=person(request), key=key)
                return written(request, pk, "orders/_composer.html", composer=Composer())
            actions.check_note(order, text)
            sure = True
        except actions.NotSendable as wrong:
            form.add_error("note", str(wrong))
        except actions.NotPossible as wrong:
            return failed(request, pk, "The note was not sent", str(wrong), 409)
    problem = bool(form.errors) and not request.POST.get("rewrite")
    status = 422 if problem else 200
    more = {"composer": form, "sure": sure}
    if not wants_fragment(request):
        return order_page(request, pk, status=status, **more)
    context = {"order": order, "item": order.item, "why_no_message": "", **more}
    return render(request, "orders/_composer.html", context, status=status)


@login_required
@require_POST
def team_note(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Keep a note for colleagues."""
    order = order_row(pk)
    form = TeamComposer(request.POST)
    if form.is_valid():
        try:
            actions.add_team_note(order, form.cleaned_data["text"], by=person(request))
            return written(request, pk, "orders/_team_composer.html", team_composer=TeamComposer())
        except actions.NotSendable as wrong:
            form.add_error("text", str(wrong))
    if not wants_fragment(request):
        return order_page(request, pk, status=422, team_composer=form)
    context = {"order": order, "team_composer": form}
    return render(request, "orders/_team_composer.html", context, status=422)
