"""The activation of many orders at once."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from orders import actions_activation as actions
from orders import page_activations as page
from orders.actions_order import READER, NotSendable
from orders.models import PortInOrder
from portal.accounts.guards import MAY_SEND, NO_SENDING
from portal.accounts.models import User
from portal.accounts.sessions import person_of, signed_in_user
from portal.formkey import new_key, read_key
from portal.htmx import HtmxHttpRequest, wants_fragment
from portal.operations import readings


def _context(request: HtmxHttpRequest, user: User, picks: page.Picks) -> dict[str, Any]:
    listed = page.due_orders()
    shown = listed[: page.MOST_LISTED]
    candidates = page.candidates_of({*shown, *picks})
    due = [one for one in candidates if one.is_due and one.order.pk in shown]
    if request.GET.get("all"):
        picks = {
            one.order.pk: keys for one in due if (keys := [c.key for c in one.choices if c.ready])
        }
    ready = page.chosen_of(due, {o.order.pk: [c.key for c in o.choices] for o in due})
    return {
        "candidates": due,
        "every": candidates,
        "more": len(listed) > len(shown),
        "most": page.MOST_LISTED,
        "picks": {f"{pk}:{key}" for pk, keys in picks.items() for key in keys},
        "chosen": page.chosen_of(candidates, picks),
        "ready": ready,
        "not_offered": len(due) - ready.orders,
        "most_at_once": actions.MOST_AT_ONCE,
        "no_right": "" if user.has_perm(MAY_SEND) else NO_SENDING,
    }


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def activations(request: HtmxHttpRequest) -> HttpResponse:
    """List the orders that can go live now; `ask` reads the ticked ones back, POST sends them.

    With `batch` it shows what became of the ones that were sent together. All of it stands in the
    address, so that a page can be left, sent on and come back to.
    """
    user = person_of(request)
    if request.method == "POST":
        return _activate(request, user)
    picks = page.read_picks(request.GET.getlist("pick"))
    batch_key = read_key(request.GET.get("batch", ""))
    context = _context(request, user, picks)
    if wants_fragment(request):
        return render(request, "orders/_activations_bar.html", context)
    if batch_key and picks:
        context["batch"] = page.batch_of(batch_key, picks, context["every"])
        context["picks"] = set()
    elif request.GET.get("ask"):
        context |= _asking(picks) if picks else {"nothing_ticked": True}
    return render(request, "orders/activations.html", context)


def _asking(picks: page.Picks, problem: str = "", key: str = "", **more: str) -> dict[str, Any]:
    return more | {
        "asking": True,
        "problem": problem,
        "key": key or new_key(),
        "back_url": page.picks_query(picks),
    }


def _activate(request: HtmxHttpRequest, user: User) -> HttpResponse:
    if not user.has_perm(MAY_SEND):
        return render(request, "403.html", {"exception": NO_SENDING}, status=403)
    picks = page.read_picks(request.POST.getlist("pick"))
    key = read_key(request.POST.get("key", "")) or new_key()
    problem = unticked = ""
    try:
        if request.POST.get("expected"):
            actions.activate_many(picks, by=user, key=key)
        else:
            unticked = "Tick that the customers expect it now."
    except NotSendable as wrong:
        problem = str(wrong)
    if not (problem or unticked):
        return redirect(page.picks_query(picks, batch=key) + "#outcome")
    asking = _asking(picks, problem, key, unticked=unticked)
    context = _context(request, user, picks) | asking
    return render(request, "orders/activations.html", context, status=422)


@never_cache
@require_GET
def activations_live(request: HtmxHttpRequest) -> HttpResponse:
    """Return the outcomes of those sent together when one changed since `token`; else 204."""
    user = signed_in_user(request)
    if user is None:
        return redirect_to_login(request.get_full_path())
    picks, key = (
        page.read_picks(request.GET.getlist("pick")),
        read_key(request.GET.get("batch", "")),
    )
    if request.GET.get("token") == page.token_of(key, picks):
        return HttpResponse(status=204)
    batch = page.batch_of(key, picks, page.candidates_of(picks))
    return render(request, "orders/_activations_outcome.html", {"batch": batch})


@login_required
@require_POST
def activations_refresh(request: HtmxHttpRequest) -> HttpResponse:
    """Have Sinch asked again about every order of the page."""
    orders = PortInOrder.objects.filter(pk__in=page.due_orders()[: page.MOST_LISTED])
    now, wishes = timezone.now(), dict[int, dict[str, Any]]()
    for project_pk, sinch_id in orders.values_list("project_id", "sinch_id"):
        wishes.setdefault(project_pk, {})[sinch_id] = now
    for project_pk, wanted in wishes.items():
        readings.want(project_pk, READER, wanted, "staff")
    return redirect(reverse("orders:activations"))
