"""How complete the desk's picture of hosting is, and looking anew."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from hosting import overview
from hosting.forms_numbers import PairForm
from portal.accounts.guards import MAY_SEND, NO_RIGHT, agents_only
from portal.accounts.sessions import person_of
from portal.htmx import HtmxHttpRequest
from portal.work.drafts import project_for_new_orders


@login_required
@require_http_methods(["GET", "POST"])
def overview_page(request: HtmxHttpRequest) -> HttpResponse:
    """Show which plans and campaigns are known, how old each picture is, and what is not listed.

    On POST, keep a plan and campaign to be walked as well, or take one out in which there is
    nothing; that needs the right to send.
    """
    sends = person_of(request).has_perm(MAY_SEND)
    if request.method == "POST" and not sends:
        raise PermissionDenied(NO_RIGHT)
    project = project_for_new_orders()
    if project is None:
        return render(request, "hosting/overview.html", {"no_project": True})
    if "forget" in request.POST:
        if overview.forget(project, request.POST["forget"]):
            messages.success(request, "Taken out. Sinch is not asked for it any more.")
        else:
            messages.error(request, "It stays: there are orders or numbers in it.")
        return redirect("hosting:overview")
    form = PairForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        form.keep(project, person_of(request))
        overview.want_walks(project, "staff")
        messages.success(request, "Kept. Sinch is being asked for its orders and numbers.")
        return redirect("hosting:overview")
    context = {
        "project": project,
        "picture": overview.picture_of(project),
        "form": form,
        "may_send": sends,
        "no_right": NO_RIGHT,
    }
    status = 422 if form.is_bound else 200
    return render(request, "hosting/overview.html", context, status=status)


@agents_only
@require_POST
def walk_now(request: HtmxHttpRequest) -> HttpResponse:
    """Have all lists walked now."""
    project = project_for_new_orders()
    if project is not None:
        overview.want_walks(project, "staff")
        messages.success(request, "Sinch is being asked for everything it lists.")
    return redirect("hosting:overview")
