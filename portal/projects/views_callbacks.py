"""Hosting callbacks on the settings page."""

from collections.abc import Callable
from functools import partial

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from portal.accounts.guards import MAY_MANAGE, NO_MANAGING
from portal.accounts.models import SinchProject
from portal.accounts.sessions import person_of, poll_login_required
from portal.projects import actions, actions_callbacks, callbacks, page_callbacks
from portal.projects.views import back_to, manages_project, page_of
from portal.values import whole


@require_safe
@poll_login_required
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the panel as it now stands, for an open page."""
    project = get_object_or_404(SinchProject, pk=pk)
    context = page_callbacks.context(project) | {
        "project": project,
        "manages": request.user.has_perm(MAY_MANAGE),
        "why_not": NO_MANAGING,
    }
    return render(request, "projects/_callbacks.html", context)


@require_POST
@manages_project
def read(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the secret at Sinch read again."""
    project = get_object_or_404(SinchProject, pk=pk)
    callbacks.ask(project)
    return redirect(back_to(project, "callbacks"))


def _do(
    request: HttpRequest, project: SinchProject, verb: Callable[[], object], done: str = ""
) -> HttpResponse:
    """Do something and go back to the panel, with what was done or why it was not."""
    try:
        verb()
    except actions.NotPossible as reason:
        messages.error(request, str(reason))
    else:
        if done:
            messages.success(request, done)
    return redirect(back_to(project, "callbacks"))


@require_POST
@manages_project
def make_secret(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a secret and have Sinch sign with it."""
    project, by = get_object_or_404(SinchProject, pk=pk), person_of(request)
    newest = request.POST.get("newest")
    make = partial(actions_callbacks.make_secret, project, by=by, newest=newest)
    return _do(request, project, make)


@require_POST
@manages_project
def take_secret(request: HttpRequest, pk: int) -> HttpResponse:
    """Accept the secret that Sinch has."""
    project, by = get_object_or_404(SinchProject, pk=pk), person_of(request)
    return _do(
        request,
        project,
        lambda: actions_callbacks.take_secret_of_sinch(project, by=by),
        "Callbacks signed with the secret at Sinch are accepted.",
    )


@require_POST
@never_cache
@manages_project
def show_secret(request: HttpRequest, pk: int, secret_pk: int) -> HttpResponse:
    """Show one secret in clear, once; the look is logged."""
    project = get_object_or_404(SinchProject, pk=pk)
    try:
        text = actions_callbacks.show_secret(project, secret_pk, by=person_of(request))
    except actions.NotPossible as reason:
        messages.error(request, str(reason))
        return redirect(back_to(project, "callbacks"))
    return page_of(request, project, callback_secrets={secret_pk: text})


@require_POST
@manages_project
def end_secret(request: HttpRequest, pk: int, secret_pk: int) -> HttpResponse:
    """Accept a secret no more."""
    project, by = get_object_or_404(SinchProject, pk=pk), person_of(request)
    return _do(
        request,
        project,
        lambda: actions_callbacks.end_secret(project, secret_pk, by=by),
        "The old secret signs nothing any more.",
    )


@require_POST
@manages_project
def make_address(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a further callback address."""
    project, by = get_object_or_404(SinchProject, pk=pk), person_of(request)
    newest = request.POST.get("newest")
    make = partial(actions_callbacks.make_address, project, by=by, newest=newest)
    return _do(request, project, make)


@require_POST
@manages_project
def sources(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep where callbacks may come from."""
    project = get_object_or_404(SinchProject, pk=pk)
    typed, was = (request.POST.get(name, "").replace("\0", "") for name in ("sources", "was"))
    try:
        actions_callbacks.keep_sources(project, typed, was=was, by=person_of(request))
    except actions.NotPossible as reason:
        if isinstance(reason, actions_callbacks.ChangedMeanwhile):
            was = " ".join(project.callback_sources)
        wrong = {"sources": typed, "sources_was": was, "sources_error": str(reason)}
        return page_of(request, project, typed=wrong, status=422)
    messages.success(request, "Saved. It takes half a minute until every process knows.")
    return redirect(back_to(project, "callbacks"))


@require_POST
@manages_project
def import_limit(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep how many numbers go into one import order."""
    project = get_object_or_404(SinchProject, pk=pk)
    typed = request.POST.get("import_limit", "").strip()[:10]
    try:
        if (limit := whole(typed)) is None:
            raise actions.NotPossible("Write a number such as 5.")
        actions_callbacks.keep_import_limit(project, limit, by=person_of(request))
    except actions.NotPossible as reason:
        wrong = {"import_limit": typed, "import_limit_error": str(reason)}
        return page_of(request, project, typed=wrong, status=422)
    messages.success(request, "Saved. The next import orders are made so.")
    return redirect(back_to(project, "callbacks"))
