"""The page of one write: what it is, what became of it, and what can be done now."""

import contextlib
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import CharField, Subquery, Value
from django.db.models.functions import Cast, Concat
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from portal.accounts.sessions import signed_in_user
from portal.htmx import HtmxHttpRequest, go_to, wants_fragment
from portal.operations import panels, runner
from portal.operations.models import Operation

MOST_TOGETHER = 50
GONE_ON = "It was tried again since this page was opened. Look at what became of it, then close it."


@login_required
@require_GET
def detail(request: HtmxHttpRequest, key: UUID) -> HttpResponse:
    """Show a write and what became of it."""
    operation = get_object_or_404(
        Operation.objects.select_related("project", "by").defer("payload", "project__key_secret"),
        key=key,
    )
    return render(request, "operations/operation.html", _context(request, operation))


@require_GET
def live(request: HtmxHttpRequest, key: UUID) -> HttpResponse:
    """Answer the poll of that page: the fragment, or 204 when nothing changed (one statement)."""
    person = signed_in_user(request, token=Subquery(_token(key)))
    if person is None:
        return redirect_to_login(request.get_full_path())
    now = getattr(person, "token", None)
    if now is None:
        raise Http404
    # While it is sent, the seconds count.
    if now == request.GET.get("token") and not now.startswith(Operation.State.SENDING):
        return HttpResponse(status=204)
    operation = get_object_or_404(
        Operation.objects.select_related("project", "by").defer("payload", "project__key_secret"),
        key=key,
    )
    return render(request, "operations/_written.html", _context(request, operation))


@login_required
@require_POST
def seen(request: HtmxHttpRequest, key: UUID) -> HttpResponse:
    """Close the panel of a finished write; for whoever asked for it or may send to Sinch."""
    operation = get_object_or_404(Operation.objects.defer("payload"), key=key)
    finished = request.POST.get("finished")
    if finished and finished != f"{operation.finished_at and operation.finished_at.isoformat()}":
        messages.error(request, GONE_ON)
    else:
        _close(request, [operation])
    return go_to(request, _next(request, operation.get_absolute_url()))


@login_required
@require_POST
def seen_together(request: HtmxHttpRequest) -> HttpResponse:
    """Close the panels of several finished writes, which a page shows as one."""
    keys = []
    for text in request.POST.getlist("key")[:MOST_TOGETHER]:
        with contextlib.suppress(ValueError):
            keys.append(UUID(text))
    _close(request, Operation.objects.filter(key__in=keys).defer("payload"))
    return go_to(request, _next(request, reverse("work:home")))


def _close(request: HttpRequest, operations: Iterable[Operation]) -> None:
    found = list(operations)
    if not all(runner.may_close(request.user, one) for one in found):
        raise PermissionDenied
    for one in found:
        runner.mark_seen(one)


@login_required
@require_POST
def again(request: HtmxHttpRequest, key: UUID) -> HttpResponse:
    """Take up a stopped write once more: looked up if it may have been done, else sent."""
    operation = Operation.objects.filter(key=key).defer("payload").first()
    # Whoever may send nothing does not hear either what there is.
    if why := runner.why_may_not(request.user, operation or Operation()):
        raise PermissionDenied(why)
    if operation is None:
        raise Http404
    if text := runner.take_up(operation):
        title = "It cannot be tried again"
        if wants_fragment(request):
            answer = render(
                request, "components/_error.html", {"title": title, "text": text}, status=409
            )
            answer["HX-Retarget"], answer["HX-Reswap"] = "#messages", "outerHTML"
            return answer
        messages.error(request, f"{title}. {text}")
    return go_to(request, _next(request, operation.get_absolute_url()))


def _token(key: UUID) -> Any:
    """Return the question what a write is like now: its state, tries and looks in one word."""
    parts = Concat(
        "state",
        Value("-"),
        Cast("attempts", CharField()),
        Value("-"),
        Cast("looks", CharField()),
        output_field=CharField(),
    )
    return Operation.objects.filter(key=key).annotate(token=parts).values("token")


def _context(request: HttpRequest, operation: Operation) -> dict[str, object]:
    place = panels.place_of(operation)
    runner.with_obstacle(operation)
    return {
        "operation": operation,
        "kind": panels.kind_word(operation.kind),
        "panel": panels.panel_of(operation, place.read_at, place.link),
        "place": place,
        "read_back": bool(
            place.read_at and operation.finished_at and place.read_at >= operation.finished_at
        ),
        "token": f"{operation.state}-{operation.attempts}-{operation.looks}",
        "may_close": runner.may_close(request.user, operation),
        "why_not_again": runner.why_may_not(request.user, operation) or operation.obstacle,
        "how_found_out": _how_found_out(operation),
    }


def _how_found_out(operation: Operation) -> str:
    handler = runner.handlers().get(operation.kind)
    return handler.how_found_out if handler is not None else ""


def _next(request: HttpRequest, otherwise: str) -> str:
    wanted = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure()):
        return wanted
    return otherwise
