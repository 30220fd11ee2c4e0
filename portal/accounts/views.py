"""The settings page: the Sinch project, its webhook address, one's own account and look."""

import uuid
from collections.abc import Callable
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
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from portal.accounts import actions, configuration
from portal.accounts.forms import AccountForm, ConfigurationForm
from portal.accounts.models import SinchProject
from portal.accounts.sessions import person_of, poll_login_required
from portal.operations.models import Operation, Reading

THEMES = ("light", "dark")
COOKIE_AGE = 365 * 24 * 3600
MANAGE = "accounts.manage_project"
WHY_NOT = "Changing a Sinch project needs the supervisor role. Ask your administrator."

View = Callable[..., HttpResponse]


def manages_project(view: View) -> View:
    """Guard a view: whoever is signed in must be allowed to manage Sinch projects."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.has_perm(MANAGE):
            raise PermissionDenied(WHY_NOT)
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
    return _page(request, project, projects=projects)


def _page(
    request: HttpRequest,
    project: SinchProject | None,
    *,
    projects: list[SinchProject] | None = None,
    account_form: AccountForm | None = None,
    configuration_form: ConfigurationForm | None = None,
    shown: dict[int, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    """Render the settings page; `shown` are addresses to show in full, by token."""
    manages = request.user.has_perm(MANAGE)
    context: dict[str, Any] = {
        "project": project,
        "projects": projects or list(SinchProject.objects.filter(is_active=True)),
        "manages": manages,
        "why_not": WHY_NOT,
        "account_form": account_form or AccountForm.of(person_of(request)),
        "theme": request.COOKIES.get("theme", ""),
        "themes": [("", "As the system"), ("light", "Light"), ("dark", "Dark")],
        "rate": settings.SINCH_REQUESTS_PER_SECOND,
    }
    if project is not None:
        valid = list(configuration.valid_tokens(project))
        context |= _sinch(project) | {
            "tokens": [
                {
                    "token": token,
                    "shown": (shown or {}).get(token.pk),
                    "masked": configuration.webhook_address(configuration.HIDDEN, token.kind),
                }
                for token in valid
            ],
            "may_make_token": len(valid) < actions.MOST_VALID_TOKENS,
            "configuration_form": configuration_form or ConfigurationForm.of(project),
            "why_not_registered": actions.why_not_registered(),
            "attempt": uuid.uuid4(),
            "may_replace_key": request.user.is_staff
            and request.user.has_perm("accounts.change_sinchproject"),
        }
    return render(request, "accounts/settings.html", context, status=status)


def _sinch(project: SinchProject) -> dict[str, Any]:
    """Return what the two live panels show: the connection, and the configuration at Sinch."""
    reading = Reading.objects.filter(project=project, kind=configuration.KIND).first()
    operation = (
        Operation.objects.filter(
            target=f"project:{project.pk}", kind=configuration.CONFIGURE, seen_at=None
        )
        .defer("payload")
        .order_by("-pk")
        .first()
    )
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


def _comparison(project: SinchProject) -> dict[str, Any]:
    """Return our settings beside those at Sinch as last read."""
    there: dict[str, Any] = project.porting_configuration or {}
    contact = there.get("contact") or {}
    # Dots again, should an address have been stored by an older desk.
    said, own_hash = configuration.without_token(str(there.get("webhookUrl") or ""))
    tokens = configuration.valid_tokens(project)
    hashes = set(tokens.values_list("token_hash", flat=True))
    token_hash = there.get("webhookTokenHash", own_hash)
    here = configuration.webhook_address(configuration.HIDDEN)
    ours = configuration.same_address(said, here)
    knows = token_hash in hashes
    return {
        "read": project.porting_configuration_read_at,
        "time": str(there.get("defaultPortTime") or "")[:5],
        "zone": there.get("defaultPortTimeZone") or "",
        "contact": ", ".join(str(v) for v in (contact.get("name"), contact.get("email")) if v),
        "here": here,
        "there": said,
        # Where Sinch shows the host only, the host has to do.
        "ours": (ours and knows) or configuration.same_host(said, here),
        "ended": ours and not knows,
        "sandbox": bool(settings.SINCH_SANDBOX_PAGE) and not said,
        "sweep_minutes": configuration.sweep_minutes(),
    }


def _back(project: SinchProject, anchor: str) -> str:
    return f"{reverse('accounts:settings')}?project={project.pk}#{anchor}"


# --- The Sinch project -----------------------------------------------------------------------


@require_POST
@manages_project
def test_connection(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the connection tested by a worker; the page shows the outcome."""
    project = get_object_or_404(SinchProject, pk=pk)
    actions.test_connection(project, by=person_of(request))
    return redirect(_back(project, "connection"))


@require_safe
@poll_login_required
def connection_live(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the connection and the configuration as they now stand, for an open page."""
    project = get_object_or_404(SinchProject, pk=pk)
    context = _sinch(project) | {
        "project": project,
        "manages": request.user.has_perm(MANAGE),
        "why_not": WHY_NOT,
        "rate": settings.SINCH_REQUESTS_PER_SECOND,
        "may_replace_key": request.user.is_staff
        and request.user.has_perm("accounts.change_sinchproject"),
        "swap": True,
    }
    return render(request, "accounts/_sinch.html", context)


@require_POST
@manages_project
def configure(request: HttpRequest, pk: int) -> HttpResponse:
    """Give Sinch this desk's webhook address and the project's defaults."""
    project = get_object_or_404(SinchProject, pk=pk)
    form = ConfigurationForm(request.POST)
    if not form.is_valid():
        return _page(request, project, configuration_form=form, status=422)
    try:
        attempt = str(uuid.UUID(request.POST.get("attempt", "")))
        actions.configure(project, form.cleaned_data, attempt=attempt, by=person_of(request))
    except ValueError:
        messages.error(request, "The form was not complete. Nothing was sent; try again.")
    except actions.NotPossible as reason:
        messages.error(request, str(reason))
    return redirect(_back(project, "configuration"))


@require_POST
@manages_project
def make_token(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a second webhook token."""
    project = get_object_or_404(SinchProject, pk=pk)
    try:
        actions.make_token(project, by=person_of(request))
    except actions.NotPossible as reason:
        messages.error(request, str(reason))
    else:
        messages.success(
            request,
            "A new token is made. Both are valid: give Sinch the new address, then end the old.",
        )
    return redirect(_back(project, "secrets"))


@require_POST
@never_cache
@manages_project
def show_token(request: HttpRequest, pk: int, token_pk: int) -> HttpResponse:
    """Show the settings with one webhook address in full; the look is logged."""
    project = get_object_or_404(SinchProject, pk=pk)
    token = configuration.valid_tokens(project).filter(pk=token_pk).first()
    if token is None:
        raise Http404
    address = actions.show_address(project, token, by=person_of(request))
    return _page(request, project, shown={token.pk: address})


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
    return redirect(_back(project, "secrets"))


# --- One's own account -----------------------------------------------------------------------


@require_POST
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """Keep one's own name and time zone."""
    form = AccountForm(request.POST)
    if not form.is_valid():
        return _page(
            request,
            SinchProject.objects.filter(is_active=True).first(),
            account_form=form,
            status=422,
        )
    form.keep(person_of(request))
    messages.success(request, "Saved.")
    return redirect(reverse("accounts:settings") + "#account")


@require_POST
@login_required
def look(request: HttpRequest) -> HttpResponse:
    """Keep the chosen theme in this browser; anything unknown follows the system."""
    answer = redirect(reverse("accounts:settings") + "#look")
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

    template_name = "accounts/password.html"
    success_url = reverse_lazy("accounts:settings")

    def form_valid(self, form: Any) -> HttpResponse:
        """Store the new password and say so."""
        messages.success(self.request, "Your password is changed.")
        return super().form_valid(form)

    def form_invalid(self, form: Any) -> HttpResponse:
        """Show what is wrong, as every form does."""
        answer = super().form_invalid(form)
        answer.status_code = 422
        return answer
