"""The settings page: the Sinch project, its webhook address, one's own account and look."""

import uuid
from collections.abc import Callable
from datetime import date
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from portal import words
from portal.accounts.guards import MAY_MANAGE, NO_MANAGING
from portal.accounts.models import SinchProject
from portal.accounts.sessions import person_of, poll_login_required
from portal.operations import heard, runner
from portal.operations.models import Operation, Reading
from portal.projects import actions, configuration, page_callbacks
from portal.projects.forms import AccountForm, ConfigurationForm, DayOffForm

THEMES = ("light", "dark")
COOKIE_AGE = 365 * 24 * 3600
INCOMPLETE = "The form was not complete. Nothing was sent; try again."

View = Callable[..., HttpResponse]


def manages_project(view: View) -> View:
    """Guard a view: whoever is signed in must be allowed to manage Sinch projects."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.has_perm(MAY_MANAGE):
            raise PermissionDenied(NO_MANAGING)
        return view(request, *args, **kwargs)

    return guarded


@login_required
@never_cache
@require_safe
def settings_page(request: HttpRequest) -> HttpResponse:
    """Show the settings; `?project=` chooses among several Sinch projects."""
    chosen = request.GET.get("project", "")
    projects = list(SinchProject.objects.filter(is_active=True))
    project = next((p for p in projects if str(p.pk) == chosen), projects[0] if projects else None)
    return page_of(request, project, projects=projects, sends_ours="ours" in request.GET)


def page_of(
    request: HttpRequest,
    project: SinchProject | None,
    *,
    projects: list[SinchProject] | None = None,
    account_form: AccountForm | None = None,
    configuration_form: ConfigurationForm | None = None,
    sends_ours: bool = False,
    changed: str = "",
    day_form: DayOffForm | None = None,
    shown: dict[int, str] | None = None,
    callback_secrets: dict[int, str] | None = None,
    typed: dict[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    """Render the settings page; `shown` are addresses to show in full, by token.

    `callback_secrets` are secrets to show in full, by key; `typed` is what was refused.
    """
    manages = request.user.has_perm(MAY_MANAGE)
    context: dict[str, Any] = {
        "project": project,
        "projects": projects or list(SinchProject.objects.filter(is_active=True)),
        "manages": manages,
        "why_not": NO_MANAGING,
        "account_form": account_form or AccountForm.of(person_of(request)),
        "theme": request.COOKIES.get("theme", ""),
        "themes": [("", "As the system"), ("light", "Light"), ("dark", "Dark")],
        "rate": settings.SINCH_REQUESTS_PER_SECOND,
    }
    if project is not None:
        valid = list(configuration.valid_tokens(project))
        context |= _sinch(project)
        defaults = configuration_form or _defaults_form(project, context, sends_ours=sends_ours)
        context |= {
            "tokens": [
                {
                    "token": token,
                    "shown": (shown or {}).get(token.pk),
                    "masked": configuration.webhook_address(configuration.HIDDEN, token.kind),
                }
                for token in valid
            ],
            **page_callbacks.context(project, callback_secrets, shown),
            "typed": typed or {},
            "may_make_token": len(valid) < actions.MOST_VALID_TOKENS,
            "configuration_form": defaults,
            "form_open": defaults.is_bound or sends_ours,
            "changed": changed,
            "base": configuration.digest(project.porting_configuration),
            "why_not_registered": actions.why_not_registered(),
            "attempts": (uuid.uuid4(), uuid.uuid4()),
            "days_off": [
                {"day": day, "name": name, "is_past": day < timezone.localdate()}
                for day, name in project.extra_days_off.items()
            ],
            "day_form": day_form or DayOffForm(),
            "may_replace_key": request.user.is_staff
            and request.user.has_perm("accounts.change_sinchproject"),
        }
    return render(request, "projects/settings.html", context, status=status)


def _sinch(project: SinchProject) -> dict[str, Any]:
    """Return what the two live panels show: the connection, and the configuration at Sinch."""
    reading = Reading.objects.filter(project=project, kind=configuration.KIND).first()
    operation = (
        Operation.objects.filter(
            target=f"project:{project.pk}", kind=configuration.CONFIGURE, seen_at=None
        )
        .defer("payload")
        .annotate(sends=heard.SENDS)
        .order_by("-pk")
        .first()
    )
    runner.with_obstacle(operation)
    asking = (
        reading is not None
        and not reading.last_error
        and (reading.read_at is None or reading.requested_at > reading.read_at)
    )
    return {
        "reading": reading,
        "operation": operation,
        "asking": asking,
        "live": asking or (operation is not None and operation.is_under_way),
        "rows": _comparison(project),
    }


def _defaults_form(
    project: SinchProject, shown: dict[str, Any], *, sends_ours: bool
) -> ConfigurationForm:
    """Return the form for contact and defaults: as refused, as ours, or as it is at Sinch."""
    operation: Any = shown["operation"]
    is_refused = operation is not None and operation.state == Operation.State.REFUSED
    if is_refused and (refused := ConfigurationForm.refused(operation, operation.sends)):
        return refused
    return ConfigurationForm.of(project, shown["rows"]["sent"] if sends_ours else None)


def _comparison(project: SinchProject) -> dict[str, Any]:
    """Return what this desk had written beside what is at Sinch as last read."""
    there: dict[str, Any] = project.porting_configuration or {}
    contact = there.get("contact") or {}
    sent, sent_at = configuration.last_written(project)
    sent_contact = sent.get("contact") or {}
    pairs = [
        ("Contact name", sent_contact.get("name"), contact.get("name")),
        ("Contact e-mail", sent_contact.get("email"), contact.get("email")),
        ("Contact phone", sent_contact.get("phone"), contact.get("phone")),
        (
            "Default time",
            str(sent.get("defaultPortTime") or "")[:5],
            str(there.get("defaultPortTime") or "")[:5],
        ),
        ("Default zone", sent.get("defaultPortTimeZone"), there.get("defaultPortTimeZone")),
    ]
    read_at = project.porting_configuration_read_at
    # Before it is read back, what differs is only old.
    is_read_back = bool(there and sent_at and read_at and read_at >= sent_at)
    fields = [
        {
            "label": label,
            "here": here or "",
            "there": at_sinch or "",
            "differs": is_read_back and (here or "") != (at_sinch or ""),
        }
        for label, here, at_sinch in pairs
    ]
    # Dots again, should an address have been stored by an older desk.
    said, own_hash = configuration.without_token(str(there.get("webhookUrl") or ""))
    tokens = configuration.valid_tokens(project)
    hashes = set(tokens.values_list("token_hash", flat=True))
    token_hash = there.get("webhookTokenHash", own_hash)
    here = configuration.webhook_address(configuration.HIDDEN)
    ours = configuration.same_address(said, here)
    knows = token_hash in hashes
    # Where Sinch shows the host only, the host has to do.
    in_step = (ours and knows) or configuration.same_host(said, here)
    in_sandbox = bool(settings.SINCH_SANDBOX_PAGE) and not said
    return {
        "read": project.porting_configuration_read_at,
        "is_absent": not there,
        "fields": fields,
        "sent": sent if sent_at else {},
        "sent_at": sent_at,
        "drifted": any(field["differs"] for field in fields),
        "differing": sum(bool(field["differs"]) for field in fields)
        + (not (in_step or in_sandbox)),
        "here": here,
        "there": said,
        "ours": in_step,
        "ended": ours and not knows,
        "sandbox": in_sandbox,
        "sweep_minutes": configuration.sweep_minutes(),
    }


def back_to(project: SinchProject, anchor: str) -> str:
    """Return the address of a part of the settings of a project."""
    return f"{reverse('projects:settings')}?project={project.pk}#{anchor}"


# --- The Sinch project -----------------------------------------------------------------------


@require_POST
@manages_project
def test_connection(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the connection tested by a worker; the page shows the outcome."""
    project = get_object_or_404(SinchProject, pk=pk)
    actions.test_connection(project, by=person_of(request))
    # The same reading from the panel that shows what it brings.
    anchor = "configuration" if request.POST.get("from") == "configuration" else "connection"
    return redirect(back_to(project, anchor))


@require_safe
@poll_login_required
def connection_live(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the connection and the configuration as they now stand, for an open page."""
    project = get_object_or_404(SinchProject, pk=pk)
    context = _sinch(project) | {
        "project": project,
        "manages": request.user.has_perm(MAY_MANAGE),
        "why_not": NO_MANAGING,
        "rate": settings.SINCH_REQUESTS_PER_SECOND,
        "may_replace_key": request.user.is_staff
        and request.user.has_perm("accounts.change_sinchproject"),
        "swap": True,
    }
    return render(request, "projects/_sinch.html", context)


@require_POST
@manages_project
def configure(request: HttpRequest, pk: int) -> HttpResponse:
    """Give Sinch the project's contact and defaults."""
    project = get_object_or_404(SinchProject, pk=pk)
    form = ConfigurationForm(request.POST)
    if not form.is_valid():
        return page_of(request, project, configuration_form=form, status=422)
    try:
        actions.configure(
            project,
            form.cleaned_data,
            base=request.POST.get("base", ""),
            attempt=_attempt(request),
            by=person_of(request),
        )
    except actions.ChangedAtSinch as reason:
        changed = str(reason)
        return page_of(request, project, configuration_form=form, changed=changed, status=409)
    except ValueError:
        messages.error(request, INCOMPLETE)
    return redirect(back_to(project, "configuration"))


@require_POST
@manages_project
def register(request: HttpRequest, pk: int) -> HttpResponse:
    """Have Sinch send the project's events to this desk's webhook address."""
    project = get_object_or_404(SinchProject, pk=pk)
    try:
        actions.register_address(
            project,
            base=request.POST.get("base", ""),
            attempt=_attempt(request),
            by=person_of(request),
        )
    except actions.ChangedAtSinch as reason:
        return page_of(request, project, changed=str(reason), status=409)
    except actions.NotPossible as reason:
        messages.error(request, str(reason))
    except ValueError:
        messages.error(request, INCOMPLETE)
    return redirect(back_to(project, "configuration"))


def _attempt(request: HttpRequest) -> str:
    """Return the key of the form that was sent. Raises ValueError."""
    return str(uuid.UUID(request.POST.get("attempt", "")))


# --- Dates and clocks ------------------------------------------------------------------------


@require_POST
@manages_project
def add_day_off(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a day off to those of the project."""
    project = get_object_or_404(SinchProject, pk=pk)
    form = DayOffForm(request.POST)
    if form.is_valid():
        day, name = form.cleaned_data["day"], form.cleaned_data["day_name"]
        try:
            actions.add_day_off(project, day, name, by=person_of(request))
        except actions.NotPossible as reason:
            form.add_error("day", str(reason))
    if form.errors:
        return page_of(request, project, day_form=form, status=422)
    messages.success(request, f"{words.day_text(day)} is a day off. Clocks and dates follow.")
    return redirect(back_to(project, "dates"))


@require_POST
@manages_project
def remove_day_off(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a day off out of those of the project."""
    project = get_object_or_404(SinchProject, pk=pk)
    if day := _day_of(request.POST.get("day", "")):
        actions.remove_day_off(project, day, by=person_of(request))
    return redirect(back_to(project, "dates"))


@require_POST
@manages_project
def expect_loa(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep whether the project's port-in orders need an LOA."""
    project = get_object_or_404(SinchProject, pk=pk)
    actions.expect_loa(project, bool(request.POST.get("expects_loa")), by=person_of(request))
    messages.success(request, "Saved.")
    return redirect(back_to(project, "dates"))


def _day_of(text: str) -> date | None:
    """Return the day of `2026-12-24`, None for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


@require_POST
@manages_project
def make_token(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a second webhook token."""
    project = get_object_or_404(SinchProject, pk=pk)
    try:
        actions.make_token(project, by=person_of(request), newest=request.POST.get("newest"))
    except actions.NotPossible as reason:
        messages.error(request, str(reason))
    else:
        messages.success(
            request,
            "A new token is made. Both are valid: give Sinch the new address, then end the old.",
        )
    return redirect(back_to(project, "secrets"))


@require_POST
@never_cache
@manages_project
def show_token(request: HttpRequest, pk: int, token_pk: int) -> HttpResponse:
    """Show the settings with one webhook address in full; the look is logged."""
    project = get_object_or_404(SinchProject, pk=pk)
    kind = project.tokens.filter(pk=token_pk).values_list("kind", flat=True).first() or ""
    token = configuration.valid_tokens(project, kind).filter(pk=token_pk).first()
    if token is None:
        raise Http404
    try:
        address = actions.show_address(project, token, by=person_of(request))
    except actions.NotPossible as reason:
        messages.error(request, str(reason))
        return redirect(back_to(project, "callbacks" if kind == "hosting" else "secrets"))
    return page_of(request, project, shown={token.pk: address})


@require_POST
@manages_project
def end_token(request: HttpRequest, pk: int, token_pk: int) -> HttpResponse:
    """End a webhook token; whatever comes to its address from then on is refused."""
    project = get_object_or_404(SinchProject, pk=pk)
    try:
        actions.end_token(project, token_pk, by=person_of(request))
    except actions.NotPossible as reason:
        messages.error(request, str(reason))
    else:
        messages.success(request, "That token is ended.")
    return redirect(back_to(project, "secrets"))


# --- One's own account -----------------------------------------------------------------------


@require_POST
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """Keep one's own name and time zone."""
    form = AccountForm(request.POST)
    if not form.is_valid():
        return page_of(
            request,
            SinchProject.objects.filter(is_active=True).first(),
            account_form=form,
            status=422,
        )
    form.keep(person_of(request))
    messages.success(request, "Saved.")
    return redirect(reverse("projects:settings") + "#account")


@require_POST
@login_required
def look(request: HttpRequest) -> HttpResponse:
    """Keep the chosen theme in this browser; anything unknown follows the system."""
    answer = redirect(reverse("projects:settings") + "#look")
    theme = request.POST.get("theme", "")
    if theme in THEMES:
        answer.set_cookie(
            "theme",
            theme,
            max_age=COOKIE_AGE,
            httponly=True,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
        )
    else:
        answer.delete_cookie("theme", samesite="Lax")
    return answer


class PasswordView(PasswordChangeView):
    """Change one's own password; other sessions of the person end."""

    template_name = "projects/password.html"
    success_url = reverse_lazy("projects:settings")

    def form_valid(self, form: Any) -> HttpResponse:
        """Store the new password and say so."""
        messages.success(self.request, "Your password is changed.")
        return super().form_valid(form)

    def form_invalid(self, form: Any) -> HttpResponse:
        """Show what is wrong, as every form does."""
        answer = super().form_invalid(form)
        answer.status_code = 422
        return answer
