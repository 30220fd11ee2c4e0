"""Using again what was typed once: copies of orders, and what is kept for new ones."""

import contextlib
import uuid
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from orders import actions, actions_reuse, views
from orders.actions_reuse import Saved
from orders.forms_profiles import FORMS
from orders.models import PortInDraft, PortInOrder
from orders.profiles import END_USERS, KINDS, ROUTINGS, Kind, differences, kept_of, said
from portal.accounts.guards import MAY_SEND, agents_only
from portal.accounts.models import SinchProject
from portal.accounts.sessions import person_of
from portal.formkey import read_id
from portal.htmx import HtmxHttpRequest, go_to
from portal.values import whole
from portal.work.drafts import NotEditable, project_for_new_orders

MOST_SHOWN: Final = 200
MOST_CHOICES: Final = 8
NO_RIGHT: Final = "Saving and changing these needs the agent role."


# --- Copying an order ---------------------------------------------------------------------------


@never_cache
@agents_only
@require_http_methods(["GET", "POST"])
def clone(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Ask what to copy of an order; on POST, make the draft and go to it."""
    order = get_object_or_404(PortInOrder.objects.select_related("item", "project"), pk=pk)
    if request.method == "POST":
        with_numbers = request.POST.get("what") == "numbers"
        key = read_id(request.POST.get("key", ""))
        draft = actions_reuse.copy_order(
            order,
            with_numbers=with_numbers,
            # The page that has made a copy without the numbers can make one with them.
            pk=uuid.uuid5(key, "numbers") if with_numbers else key,
            by=person_of(request),
        )
        return go_to(request, draft)
    context = {
        "order": order,
        "item": order.item,
        "count": order.numbers.count(),
        "key": uuid.uuid4(),
    }
    return render(request, "orders/clone.html", context)


# --- What is kept -------------------------------------------------------------------------------


def _kind_or_404(key: str) -> Kind:
    if key not in KINDS:
        raise Http404
    return KINDS[key]


def _saved(kind: Kind) -> QuerySet[Any]:
    return kind.model._default_manager.select_related("by")


def _rows(kind: Kind, project: SinchProject | None, q: str = "") -> QuerySet[Any]:
    rows = _saved(kind).filter(project=project)
    return rows.filter(name__icontains=q) if q else rows


@login_required
@require_GET
def profiles(request: HtmxHttpRequest) -> HttpResponse:
    """List the end users and routings that are kept for new orders."""
    project, q = project_for_new_orders(), _asked(request)
    lists: list[dict[str, Any]] = [
        {
            "kind": kind,
            "rows": [
                {"saved": row, "facts": _facts(kind, row)}
                for row in _rows(kind, project, q)[:MOST_SHOWN]
            ],
        }
        for kind in (END_USERS, ROUTINGS)
    ]
    context = {
        "lists": lists,
        "q": q,
        "project": project,
        "is_full": any(len(part["rows"]) == MOST_SHOWN for part in lists),
        "may_keep": request.user.has_perm(MAY_SEND),
        "no_right": NO_RIGHT,
    }
    return render(request, "orders/profiles.html", context)


def _asked(request: HttpRequest) -> str:
    return request.GET.get("q", "").replace("\0", "").strip()[:100]


def _facts(kind: Kind, row: Saved) -> list[str]:
    """Return what a row of the list says beside the name; of secrets only their end."""
    data = row.data or {}
    return [text for unit in kind.units if unit != ("service",) and (text := said(unit, data))]


@never_cache
@agents_only
@require_http_methods(["GET", "POST"])
def profile_new(request: HtmxHttpRequest, kind: str) -> HttpResponse:
    """Keep something new: typed here, or taken from a draft or an order."""
    found, project = _kind_or_404(kind), project_for_new_orders()
    source, fields, back = _source(request)
    project = source or project
    if project is None:
        return redirect("orders:profiles")
    kept = kept_of(found, fields)
    title = actions_reuse.suggested_name(found, fields)
    return _edit(request, found, project, None, kept, title, back)


@never_cache
@agents_only
@require_http_methods(["GET", "POST"])
def profile(request: HtmxHttpRequest, kind: str, pk: int) -> HttpResponse:
    """Show one that is kept, to be changed, renamed or deleted."""
    found = _kind_or_404(kind)
    row: Saved = get_object_or_404(_saved(found).select_related("project"), pk=pk)
    return _edit(request, found, row.project, row, row.data or {}, row.name, "")


def _source(request: HttpRequest) -> tuple[SinchProject | None, dict[str, Any], str]:
    """Return what a new one starts from: the project, the fields, and the page to go back to."""
    draft_pk, order_pk = request.GET.get("draft", ""), request.GET.get("order", "")
    if draft_pk:
        try:
            draft = PortInDraft.objects.select_related("project").get(pk=uuid.UUID(draft_pk))
        except (ValueError, PortInDraft.DoesNotExist) as wrong:
            raise Http404 from wrong
        return draft.project, dict(draft.data), draft.get_absolute_url()
    if order_pk:
        orders = PortInOrder.objects.select_related("project")
        order = get_object_or_404(orders, pk=whole(order_pk))
        return order.project, actions_reuse.end_user_of(order), order.get_absolute_url()
    return None, {}, ""


def _edit(
    request: HtmxHttpRequest,
    kind: Kind,
    project: SinchProject,
    row: Saved | None,
    kept: dict[str, str],
    title: str,
    back: str,
) -> HttpResponse:
    """Show the form of one; on POST, keep it."""
    post, typed_account = request.POST, ""
    data: dict[str, str] | None = None
    if request.method == "POST":
        typed_account = post.get("account", "").replace("\0", "").strip()
        typed_account = typed_account or actions.unsealed(
            post.get("sealed", ""), person_of(request)
        ).get("account", "")
        kept_account = "" if post.get("account_remove") else kept.get("account", "")
        data = post.dict() | {"account": ""}
        kept = kept | {"account": typed_account or kept_account}
    others = kind.model._default_manager.filter(project=project).exclude(pk=row.pk if row else 0)
    form = FORMS[kind.key](
        data,
        kept=kept,
        is_taken=lambda name: others.filter(name=name).exists(),
        initial={"title": title},
    )
    if data is not None and form.is_valid():
        actions_reuse.save(
            kind,
            project,
            form.cleaned_data["title"],
            form.details,
            pk=row.pk if row else None,
            by=person_of(request),
        )
        messages.success(request, f"“{form.cleaned_data['title']}” is saved for new orders.")
        return redirect(back or "orders:profiles")
    context = {
        "kind": kind,
        "form": form,
        "row": row,
        "back": back,
        "is_end_user": kind is END_USERS,
        "sealed": actions.sealed({"account": typed_account}, person_of(request))
        if typed_account
        else "",
    }
    return render(request, "orders/profile.html", context, status=422 if form.is_bound else 200)


@agents_only
@require_POST
def profile_delete(request: HtmxHttpRequest, kind: str, pk: int) -> HttpResponse:
    """Delete one that is kept; the page had it asked once more before."""
    found = _kind_or_404(kind)
    row = found.model._default_manager.filter(pk=pk).first()
    if row is not None:
        row.delete()
        messages.success(request, f"“{row.name}” is deleted. Orders made from it stay as they are.")
    return redirect("orders:profiles")


# --- In a draft ---------------------------------------------------------------------------------


@agents_only
@require_GET
def draft_choices(request: HtmxHttpRequest) -> HttpResponse:
    """Return the end users that match what is typed, for the open page of a draft."""
    q = request.GET.get("saved_q", "").replace("\0", "").strip()[:100]
    return render(request, "orders/_draft_choices.html", choices(_project_of(request), q))


def _project_of(request: HttpRequest) -> SinchProject | None:
    if (pk := whole(request.GET.get("project", ""))) is not None:
        return SinchProject.objects.filter(pk=pk).first()
    return project_for_new_orders()


def choices(project: SinchProject | None, q: str) -> dict[str, Any]:
    """Return the first end users of a project that match, and whether there are more."""
    found = _rows(END_USERS, project, q).select_related(None).only("pk", "name")
    rows = list(found[: MOST_CHOICES + 1])
    return {"choices": rows[:MOST_CHOICES], "more": len(rows) > MOST_CHOICES, "saved_q": q}


@never_cache
@agents_only
@require_POST
def draft_use(request: HtmxHttpRequest) -> HttpResponse:
    """Save what is typed in a draft, then use, keep or look for what its page asks for."""
    post = request.POST
    answer = views.create(request)  # as the page's own save: nothing typed is lost
    if answer.status_code != 302:
        return answer
    draft = _posted_draft(request)
    if keep := post.get("keep", ""):
        url = reverse("orders:profile_new", args=[_kind_or_404(keep).key])
        return redirect(f"{url}?{urlencode({'draft': str(draft.pk)})}")
    key, _, pk = post.get("use", "").partition(":")
    if not key:
        query = urlencode({"saved_q": post.get("saved_q", "")[:100]})
        return redirect(f"{draft.get_absolute_url()}?{query}#start")
    kind = _kind_or_404(key)
    # A menu names its choice apart from its button.
    saved = whole(pk or post.get(f"{key}-choice", ""))
    if saved is None:
        return redirect(_place(draft, kind))
    return _use(draft, kind, get_object_or_404(_rows(kind, draft.project), pk=saved))


def _posted_draft(request: HttpRequest) -> PortInDraft:
    try:
        pk = uuid.UUID(request.POST.get("draft", ""))
    except ValueError as wrong:
        raise Http404 from wrong
    return get_object_or_404(PortInDraft.objects.select_related("project"), pk=pk)


def _place(draft: PortInDraft, kind: Kind) -> str:
    """Return where in the draft's page the fields of a kind stand."""
    return f"{draft.get_absolute_url()}#{'s3' if kind is END_USERS else 'at-sinch'}"


def _use(draft: PortInDraft, kind: Kind, saved: Saved) -> HttpResponse:
    """Fill the draft at once when nothing typed would go, else ask first."""
    if differences(kind, draft.data, saved.data):
        return redirect("orders:draft_fill", draft.pk, kind.key, saved.pk)
    with contextlib.suppress(NotEditable):  # its page says why
        actions_reuse.use(kind, draft, saved)
    return redirect(_place(draft, kind))


@never_cache
@agents_only
@require_http_methods(["GET", "POST"])
def draft_fill(request: HtmxHttpRequest, pk: uuid.UUID, kind: str, saved_pk: int) -> HttpResponse:
    """Show what is typed beside what is kept; on POST, fill the draft as chosen."""
    found = _kind_or_404(kind)
    draft = get_object_or_404(PortInDraft.objects.select_related("project"), pk=pk)
    saved = get_object_or_404(_rows(found, draft.project), pk=saved_pk)
    if request.method == "POST":
        try:
            actions_reuse.use(found, draft, saved, replaced=request.POST.getlist("replace"))
        except NotEditable as locked:
            messages.warning(request, str(locked))
        return redirect(_place(draft, found))
    context = {
        "draft": draft,
        "saved": saved,
        "kind": found,
        "differences": differences(found, draft.data, saved.data),
        "back": _place(draft, found),
    }
    return render(request, "orders/draft_fill.html", context)
