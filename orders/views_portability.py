"""Pages of portability at scale: ask about thousands of numbers, leave, come back, go on."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.db.models import Subquery
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from orders import actions_portability, portability
from orders.forms_portability import PortabilityForm
from orders.models import PortabilityRun
from orders.portability_page import (
    LIVE,
    Filters,
    Row,
    answers_of,
    every_row,
    last_runs,
    lede_of,
)
from portal import csvfile
from portal.accounts.guards import MAY_SEND, agents_only
from portal.accounts.sessions import person_of, signed_in_user
from portal.formkey import read_id
from portal.htmx import HtmxHttpRequest, go_to
from portal.work.drafts import project_for_new_orders

NO_RIGHT = "Asking Sinch needs the agent role. Your administrator can give it."


# --- Starting, and what was asked before --------------------------------------------------------


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def portability_home(request: HtmxHttpRequest) -> HttpResponse:
    """Show the form and the last checks; on POST, have Sinch asked and go to the check."""
    return _start(request) if request.method == "POST" else _home(request, PortabilityForm())


@agents_only
def _start(request: HtmxHttpRequest) -> HttpResponse:
    form, project = PortabilityForm(request.POST, request.FILES), project_for_new_orders()
    if project is None or not form.is_valid():
        if request.FILES and form.found.numbers:
            # A browser does not send a file again by itself; what was read of it can be corrected.
            form.data = {**request.POST.dict(), "numbers": form.found.text}
        return _home(request, form, status=422)
    run = portability.start(
        project,
        form.found.numbers,
        by=person_of(request),
        title=form.cleaned_data["title"],
        # Other numbers of a page that has had some checked are another check.
        pk=uuid.uuid5(read_id(request.POST.get("key", "")), ",".join(form.found.numbers)),
    )
    return go_to(request, "orders:portability_run", run.pk)


def _home(request: HttpRequest, form: PortabilityForm, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "key": read_id(request.POST.get("key", "")),
        "runs": list(last_runs()),
        "project": project_for_new_orders(),
        "may_ask": request.user.has_perm(MAY_SEND),
        "no_right": NO_RIGHT,
        "viewer": request.user,
    }
    return render(request, "orders/portability.html", context, status=status)


# --- One check ----------------------------------------------------------------------------------


def _run_or_404(pk: uuid.UUID) -> Any:
    """Return the run with its `live` text, read in the same moment as all the rest of it."""
    return get_object_or_404(
        PortabilityRun.objects.annotate(live=LIVE)
        .select_related("project", "by", "draft")
        .defer("numbers", "draft__data", "project__key_secret"),
        pk=pk,
    )


def _context(request: HttpRequest, run: Any, user: Any) -> dict[str, Any]:
    answers = answers_of(run, Filters.of(request.GET))
    return {
        "run": run,
        "answers": answers,
        "sums": answers.sums,
        "filters": answers.filters,
        "page": answers.page,
        "lede": lede_of(answers.sums),
        "live": run.live,
        "key": uuid.uuid4(),
        "may_ask": user.has_perm(MAY_SEND),
        "no_right": NO_RIGHT,
    }


@never_cache
@login_required
@require_GET
def portability_run(request: HtmxHttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show what Sinch said about the numbers of a check, and how far it is."""
    context = _context(request, _run_or_404(pk), request.user)
    return render(request, "orders/portability_run.html", context)


@never_cache
@require_GET
def portability_live(request: HtmxHttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Answer an open page: 204 while nothing has changed, else how far the check is."""
    rows = PortabilityRun.objects.filter(pk=pk)
    user: Any = signed_in_user(request, live=Subquery(rows.values(live=LIVE)[:1]))
    if user is None:
        return redirect_to_login(request.get_full_path())
    if user.live is None:
        raise Http404("No such check")
    if user.live == request.GET.get("seen"):
        return HttpResponse(status=204)
    return render(
        request, "orders/_portability_live.html", _context(request, _run_or_404(pk), user)
    )


@agents_only
@require_POST
def portability_again(request: HtmxHttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Ask about the numbers again: those without a fresh answer, or all of them."""
    run = _run_or_404(pk)
    portability.ask_again(run, only_stale=request.POST.get("what") != "all")
    return redirect("orders:portability_run", pk)


@agents_only
@require_POST
def portability_order(request: HtmxHttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Make a draft of the numbers that can move, and go to it."""
    run, carrier = _run_or_404(pk), Filters.of(request.POST).carrier
    try:
        draft = actions_portability.start_order(
            run, carrier=carrier, pk=read_id(request.POST.get("key", "")), by=person_of(request)
        )
    except actions_portability.NothingPortable as nothing:
        messages.warning(request, str(nothing))
        return redirect("orders:portability_run", pk)
    return go_to(request, draft)


# --- A file of it -------------------------------------------------------------------------------


@login_required
@require_GET
def portability_file(request: HttpRequest, pk: uuid.UUID) -> StreamingHttpResponse:
    """Give out the answers looked at as CSV, a part at a time."""
    run = _run_or_404(pk)
    rows = every_row(run, Filters.of(request.GET))
    return csvfile.download(f"portability-{str(run.pk)[:8]}.csv", _TITLES, map(_cells, rows))


_SAID = {True: "yes", False: "no", None: ""}


_TITLES = ("Number", "Can move", "Losing carrier", "Sinch says", "Asked at (UTC)")


def _cells(row: Row) -> tuple[str, ...]:
    asked_at = f"{row.checked_at:%Y-%m-%d %H:%M:%S}" if row.checked_at else ""
    return row.number, _SAID[row.portable], row.carrier, row.reason, asked_at
