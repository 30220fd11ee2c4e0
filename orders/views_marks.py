"""Deciding about an order without writing to Sinch, and ordering refused numbers anew."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from orders import actions_marks as actions
from orders import follow_up as later
from orders import page, page_marks
from orders.actions_order import NotPossible, NotSendable
from orders.models import PortInOrder
from orders.views_order import failed, may_send, order_context, order_row
from portal.accounts.models import User
from portal.accounts.sessions import person_of
from portal.htmx import HtmxHttpRequest, go_to, wants_fragment


@login_required
@may_send
@require_POST
def mark(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Do what the pressed button says: `do` is `verb:reason:facts`, then perhaps `|words`."""
    order = order_row(pk)
    verb, _, rest = request.POST.get("do", "").partition(":")
    code, _, seen = rest.partition("|")[0].partition(":")
    try:
        if verb == "follow_up":
            draft = later.make_draft(order, _phones(request, seen), by=person_of(request))
            return go_to(request, draft)
        _decide(request, order, verb, code, seen)
    except NotSendable as wrong:
        return failed(request, pk, "Nothing was kept", str(wrong), 422)
    except NotPossible as wrong:
        return failed(request, pk, "Nothing was kept", str(wrong), 409)
    if not wants_fragment(request):
        return redirect("orders:detail", pk)
    return render(
        request, "orders/_live.html", order_context(request, page.load(pk), person_of(request))
    )


def _decide(request: HtmxHttpRequest, order: PortInOrder, verb: str, code: str, seen: str) -> None:
    by: User = person_of(request)
    phones, text = _phones(request, seen), _words(request, seen)
    about_numbers = bool(phones)
    if verb == "settle" and seen == page_marks.FEATURES:
        actions.settle_features(order, page_marks.FEATURES_WORDS, by=by)
    elif verb == "settle" and code in page_marks.NOTICES:
        actions.settle_notice(order, code, seen, page_marks.NOTICES[code], by=by)
    elif verb == "settle" and about_numbers:
        actions.settle_numbers(order, code, phones, seen, text, by=by)
    elif verb == "unsettle" and about_numbers:
        actions.unsettle_numbers(order, code, phones, seen, by=by)
    elif verb == "unsettle":
        actions.unsettle_notice(order, code, seen, by=by)
    elif verb == "ask" and about_numbers:
        actions.ask_about_numbers(order, code, phones, seen, by=by)
    elif verb == "ask":
        actions.ask_about(order, code, by=by)
    elif verb in ("no_reply", "needs_reply"):
        actions.judge_note(order, seen, needs_reply=verb == "needs_reply", by=by)
    elif verb == "no_loa":
        actions.waive_loa(order, by=by)
    elif verb == "needs_loa":
        actions.want_loa(order, by=by)
    elif verb == "resubmit" and about_numbers:
        actions.resubmit(order, phones, seen, by=by)
    else:
        raise NotPossible(actions.CHANGED)


def _phones(request: HtmxHttpRequest, seen: str) -> list[str]:
    """Return the numbers that stand beside the pressed button, under the key of their facts."""
    digits = request.POST.get(f"n-{seen}", "")
    return [f"+{part}" for part in digits.split(".") if part.isdecimal()]


def _words(request: HtmxHttpRequest, seen: str) -> str:
    """Return why: what the button itself says, else what was typed beside it."""
    said = request.POST.get("do", "").split("|", 1)
    return said[1] if len(said) == 2 else request.POST.get(f"why-{seen}", "")


@login_required
@may_send
@require_http_methods(["GET", "POST"])
def follow_up(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Choose which refused numbers a new order takes up; on POST, make its draft.

    `?cause=pin` chooses the numbers that were refused for it.
    """
    order = order_row(pk)
    problem, status = later.why_none(order), 200
    if request.method == "POST":
        try:
            phones = [
                f"+{part}" for value in request.POST.getlist("n") for part in value.split(".")
            ]
            return go_to(request, later.make_draft(order, phones, by=person_of(request)))
        except NotSendable as wrong:
            problem, status = str(wrong), 422
        except NotPossible as wrong:
            problem, status = str(wrong), 409
    order = PortInOrder.objects.select_related("item", "project").get(pk=pk)
    choices = later.choices_of(order, request.GET.get("cause", ""))
    context = {"order": order, "item": order.item, "choices": choices, "problem": problem}
    return render(request, "orders/follow_up.html", context, status=status)
