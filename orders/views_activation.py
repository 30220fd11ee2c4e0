"""The activation of an on-demand order."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from orders import actions_activation as actions
from orders import page, page_activation, page_numbers
from orders.actions_order import NotPossible, NotSendable
from orders.marks import digest
from orders.views_order import is_unchanged, order_row
from portal.accounts.guards import MAY_SEND, NO_SENDING
from portal.accounts.models import User
from portal.accounts.sessions import person_of, signed_in_user
from portal.formkey import new_key, read_key
from portal.htmx import HtmxHttpRequest
from portal.work import page as work_page


def _activation_context(order: Any, user: User) -> dict[str, Any]:
    every = page_numbers.numbers_of(order, every=True)
    running = actions.activations([order.target])[order.target]
    routing = page_activation.routing_of([order.pk]).get(order.pk)
    choices = page_activation.choices_of(order, every.groups, running, routing)
    ready = [choice for choice in choices if choice.ready]
    sends = user.has_perm(MAY_SEND)
    return {
        "order": order,
        "item": order.item,
        "token": work_page.token_of(order.mark),
        "numbers": every,
        "choices": choices,
        "ready": ready,
        "ready_count": sum(choice.count for choice in ready),
        "stays": sum(choice.count for choice in choices if not choice.ready),
        "whole": page_activation.may_go_whole(choices),
        "outcome": page_activation.outcome_of(order, every),
        "operations": [
            op for op in work_page.operations_of(order.mark) if op.kind == actions.ACTIVATE
        ],
        "reading": page.reading_of(order),
        "contact": page_activation.contact_of(order),
        "clock": page_activation.clock_of(order),
        "zone": page.zone_of(order),
        "local_hint": page.local_hint(order, user),
        "why_no_activation": actions.why_no_activation(order),
        "no_right": "" if sends else NO_SENDING,
        "key": new_key(),
        "left_out": set[str](),
        "here": reverse("orders:activate", args=[order.pk]),
    }


@login_required
@require_http_methods(["GET", "POST"])
def activate(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show which carrier groups may go live; on POST, have the chosen ones or all activated."""
    user, problem, unticked = person_of(request), "", ""
    if request.method == "POST":
        if not user.has_perm(MAY_SEND):
            return render(request, "403.html", {"exception": NO_SENDING}, status=403)
        key = read_key(request.POST.get("key", "")) or new_key()
        chosen = request.POST.getlist("group")
        try:
            if not request.POST.get("expected"):
                unticked = "Tick that the customer expects it now."
            elif request.POST.get("whole"):
                actions.activate_whole(order_row(pk), by=user, key=f"{key}:whole")
            else:
                # Other groups of a page that has activated some are another activation.
                key = f"{key}:{digest(chosen)}"
                actions.activate_groups(order_row(pk), chosen, by=user, key=key)
        except (NotSendable, NotPossible) as wrong:
            problem = str(wrong)
        if not (problem or unticked):
            return redirect(reverse("orders:activate", args=[pk]) + "#operations")
    context = _activation_context(page.load(pk), user)
    if request.method != "POST":
        return render(request, "orders/activate.html", context)
    kept = set(request.POST.getlist("group"))
    left_out = {choice.key for choice in context["choices"]} - kept
    context |= {"problem": problem, "unticked": unticked, "left_out": left_out}
    return render(request, "orders/activate.html", context, status=422)


@never_cache
@require_GET
def activation_live(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Return the groups and the outcome when something changed since `token`; else 204."""
    user = signed_in_user(request, mark=page.mark_of(pk))
    if user is None:
        return redirect_to_login(request.get_full_path())
    if is_unchanged(request, user):
        return HttpResponse(status=204)
    return render(request, "orders/_activation.html", _activation_context(page.load(pk), user))
