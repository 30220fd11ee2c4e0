"""The templates of notes to Sinch, a page among the settings."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from orders.forms_templates import TemplateForm
from orders.models import NoteTemplate
from orders.notes import GAPS, OFFERED
from portal.accounts.guards import MAY_MANAGE, NO_MANAGING
from portal.accounts.models import SinchProject
from portal.projects.views import manages_project


def _project(request: HttpRequest) -> SinchProject | None:
    """Return the project that the address names, else the first."""
    projects = list(SinchProject.objects.filter(is_active=True))
    chosen = request.GET.get("project", "")
    return next((p for p in projects if str(p.pk) == chosen), projects[0] if projects else None)


def _address(project: SinchProject) -> str:
    return f"{reverse('orders:templates')}?project={project.pk}"


def _page(
    request: HttpRequest, project: SinchProject | None, form: TemplateForm | None
) -> HttpResponse:
    context: dict[str, Any] = {
        "project": project,
        "projects": list(SinchProject.objects.filter(is_active=True)),
        "rows": list(NoteTemplate.objects.filter(project=project)) if project else [],
        "offered": OFFERED,
        "form": form,
        "edited": form.template if form else None,
        "gaps": list(GAPS.items()),
        "manages": request.user.has_perm(MAY_MANAGE),
        "why_not": NO_MANAGING,
    }
    status = 422 if form is not None and form.is_bound else 200
    return render(request, "orders/templates.html", context, status=status)


def _keep(form: TemplateForm) -> bool:
    """Store a valid form; False when somebody took the title in the same moment."""
    row = form.template or NoteTemplate(project=form.project)
    row.title, row.text = form.cleaned_data["title"], form.cleaned_data["text"]
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        form.add_error("title", "There is a template of this title already.")
        return False
    return True


@login_required
@require_http_methods(["GET", "POST"])
def templates(request: HttpRequest) -> HttpResponse:
    """List the templates of a project; on POST, keep a new one."""
    project = _project(request)
    if request.method == "GET":
        return _page(request, project, TemplateForm(project=project) if project else None)
    if not request.user.has_perm(MAY_MANAGE):
        raise PermissionDenied(NO_MANAGING)
    if project is None:
        return _page(request, None, None)
    form = TemplateForm(request.POST, project=project)
    if form.is_valid() and _keep(form):
        messages.success(request, f"“{form.cleaned_data['title']}” is kept.")
        return redirect(_address(project))
    return _page(request, project, form)


@manages_project
@require_http_methods(["GET", "POST"])
def template(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one template to be changed; on POST, keep it."""
    row = get_object_or_404(NoteTemplate.objects.select_related("project"), pk=pk)
    data = request.POST if request.method == "POST" else None
    form = TemplateForm(data, project=row.project, template=row)
    if data is not None and form.is_valid() and _keep(form):
        messages.success(request, f"“{form.cleaned_data['title']}” is kept.")
        return redirect(_address(row.project))
    return _page(request, row.project, form)


@require_POST
@manages_project
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a template; notes that were made from it stay as they are."""
    row = NoteTemplate.objects.select_related("project").filter(pk=pk).first()
    if row is None:  # a second click
        return redirect("orders:templates")
    row.delete()
    messages.success(request, f"“{row.title}” is deleted.")
    return redirect(_address(row.project))
