"""Pages of the hosting intake: which kind, a draft from pasted numbers to sent orders."""

import uuid
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.contrib.postgres.aggregates import StringAgg
from django.core.exceptions import PermissionDenied
from django.db.models import CharField, F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Concat
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods
from django_htmx.http import HttpResponseClientRedirect

from hosting import actions
from hosting.models import HostingDraft
from hosting.review import MOST_LINES_SHOWN, Review, known_pairs
from portal.accounts.guards import MAY_SEND, NO_RIGHT, agents_only
from portal.accounts.sessions import person_of, signed_in_user
from portal.formkey import new_key, read_id, read_key
from portal.htmx import HtmxHttpRequest, go_to, wants_fragment
from portal.operations import runner
from portal.operations.models import Operation
from portal.work.blame import POSTED, names, shown_by
from portal.work.drafts import (
    ChangedElsewhere,
    NotEditable,
    NotSendable,
    Typed,
    open_drafts,
    project_for_new_orders,
    throw_draft_away,
)

State = HostingDraft.State
SLUGS: Final = {
    "import": HostingDraft.Kind.IMPORT,
    "text-enable": HostingDraft.Kind.TEXT_ENABLE,
    "toll-free": HostingDraft.Kind.TOLL_FREE,
}
TITLES: Final = {
    HostingDraft.Kind.IMPORT: (
        "Import numbers",
        "The numbers have an NNID and are only linked to Sinch; nobody signs.",
    ),
    HostingDraft.Kind.TEXT_ENABLE: (
        "New text-enable order",
        "Voice stays where it is; messaging moves to Sinch once the owner signs.",
    ),
    HostingDraft.Kind.TOLL_FREE: (
        "New toll-free order",
        "Toll-free numbers stay where they are and get messaging at Sinch.",
    ),
}


@login_required
@require_GET
def choose(request: HtmxHttpRequest) -> HttpResponse:
    """Show the three kinds of hosting order, and the drafts there are."""
    user = person_of(request)
    sends = user.has_perm(MAY_SEND)
    return render(
        request,
        "hosting/choose.html",
        {
            "kinds": [(slug, TITLES[kind][0], TITLES[kind][1]) for slug, kind in SLUGS.items()],
            "drafts": open_drafts(HostingDraft, user) if sends else [],
            "no_right": "" if sends else NO_RIGHT,
        },
    )


@never_cache
@agents_only
@require_http_methods(["GET", "POST"])
def create(request: HtmxHttpRequest, kind: str) -> HttpResponse:
    """Show an empty draft; what is first posted makes it, under the id the page came with."""
    if kind not in SLUGS:
        raise Http404("No such kind of order")
    project = project_for_new_orders()
    if project is None:
        return render(request, "hosting/draft.html", {"no_project": True})
    draft = HostingDraft(project=project, by=person_of(request), kind=SLUGS[kind], version=0)
    if request.method == "POST":
        return _typed_into(request, draft, read_id(request.POST.get("draft", "")))
    return _page(request, draft)


@never_cache
@agents_only
@require_http_methods(["GET", "POST"])
def draft(request: HtmxHttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show a draft, or what becomes of it; on POST, save what was typed and do what was pressed."""
    found = _draft_or_404(pk)
    if request.method == "POST":
        return _typed_into(request, found, pk)
    if found.order is not None and found.parent_id is None:
        return go_to(request, found.order)
    if found.state == State.THROWN_AWAY:
        messages.info(request, "That draft was thrown away.")
        return redirect("hosting:choose")
    return _page(request, found, complete="ask" in request.GET)


@never_cache
@require_GET
def draft_live(request: HtmxHttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Answer an open page of a draft that is being sent: 204 while nothing has changed."""
    rows = HostingDraft.objects.filter(pk=pk)
    user: Any = signed_in_user(request, live=Subquery(_with_live(rows).values("live")[:1]))
    if user is None:
        return redirect_to_login(request.get_full_path())
    if not user.has_perm(MAY_SEND):
        raise PermissionDenied(NO_RIGHT)
    if user.live is None:
        raise Http404("No such draft")
    if user.live == request.GET.get("seen"):
        return HttpResponse(status=204)
    found = _draft_or_404(pk)
    if found.order is not None and found.parent_id is None:
        return HttpResponseClientRedirect(found.order.get_absolute_url())
    if not _is_sent(found):
        return HttpResponseClientRedirect(found.get_absolute_url())
    return render(request, "hosting/_draft_sending.html", _sending(found))


# --- Within -------------------------------------------------------------------------------------


def _with_live(rows: QuerySet[HostingDraft]) -> QuerySet[Any]:
    """Add `live`: everything that makes an open page of a sent draft out of date."""
    own = (
        F("state"),
        Value("."),
        Coalesce(F("operation__state"), Value("")),
        Coalesce(Cast("operation__attempts", CharField()), Value("")),
    )
    parts = HostingDraft.objects.filter(parent=OuterRef("pk")).order_by().values("parent")
    return rows.annotate(
        live=Concat(
            *own,
            Value("."),
            Coalesce(
                Subquery(
                    parts.values(
                        far=StringAgg(
                            Concat(*own, output_field=CharField()),
                            delimiter=",",
                            order_by="part",
                            output_field=CharField(),
                        )
                    )
                ),
                Value(""),
            ),
            output_field=CharField(),
        )
    )


def _draft_or_404(pk: uuid.UUID) -> Any:
    rows = HostingDraft.objects.select_related(
        "project", "by", "operation", "order__item", "follows__item", "parent"
    ).defer("order__payload", "follows__payload", "parent__data")
    return get_object_or_404(_with_live(rows), pk=pk)


def _is_sent(draft: HostingDraft) -> bool:
    return draft.state in (State.SENDING, State.SENT)


def _sending(draft: Any) -> dict[str, Any]:
    parts = list(
        draft.parts.select_related("operation", "order__item")
        .defer("data", "order__payload", "operation__payload")
        .order_by("part")
    )
    rows = parts or [draft]
    if not parts:
        runner.with_obstacle(draft.operation)
    open_ones = [row for row in rows if row.operation is not None and row.operation.is_under_way]
    return {
        "draft": draft,
        "live": getattr(draft, "live", ""),
        "parts": rows,
        "is_split": bool(parts),
        "under_way": len(open_ones),
        "refused": [row for row in rows if row.state == State.OPEN],
        "arrived": [row for row in rows if row.order is not None],
    }


def _page(
    request: HtmxHttpRequest,
    draft: Any,
    *,
    complete: bool = False,
    conflict: HostingDraft | None = None,
    notice: str = "",
    asks: bool = False,
    status: int = 200,
    typed: Typed | None = None,
) -> HttpResponse:
    """Show a draft; with `complete` what is missing is told beside its field."""
    user = person_of(request)
    title, lede = TITLES[HostingDraft.Kind(draft.kind)]
    if _is_sent(draft):
        context = _sending(draft) | {"sending": True, "title": title, "lede": lede}
        return render(request, "hosting/draft.html", context, status=status)
    if typed is not None:
        draft.data = typed.merged(draft.data)
    found = Review(draft, user.time_zone, complete=complete)
    operation: Operation | None = draft.operation
    refused = operation is not None and operation.state == Operation.State.REFUSED
    if refused and operation is not None:
        found.form.add_refusal(operation)
    runner.with_obstacle(operation)
    pairs = known_pairs(draft.project)
    is_new = draft.version == 0
    context = {
        "draft": draft,
        "found": found,
        "form": found.form,
        "title": title,
        "lede": lede,
        "is_new": is_new,
        "post_to": request.path if is_new else draft.get_absolute_url(),
        "drafts": open_drafts(HostingDraft, user) if is_new else [],
        "version": draft.version,
        "tab": (typed.tab if typed else "") or uuid.uuid4().hex[:12],
        "attempt": new_key(),
        "plans": {pair.service_plan_id: pair.name for pair in pairs},
        "campaigns": {pair.campaign_id: pair.name for pair in pairs if pair.campaign_id},
        "is_blamed": complete or refused,
        "refused": refused,
        "taken_at_sinch": refused
        and draft.kind == HostingDraft.Kind.IMPORT
        and operation is not None
        and operation.answer.get("status") == 409,
        "operation": operation,
        "conflict": conflict,
        "notice": notice,
        "asks": asks and not found.reasons,
        "shown_lines": found.wrong_lines[:MOST_LINES_SHOWN],
        "blamed_names": names(found.blame()),
    }
    return render(request, "hosting/draft.html", context, status=status)


def _typed_into(request: HtmxHttpRequest, draft: Any, pk: uuid.UUID) -> HttpResponse:
    """Save what was typed and do what was pressed; what was typed survives every failure."""
    user, action = person_of(request), request.POST.get("action", "save")
    typed = actions.typed_of(request.POST.dict())
    try:
        if action == "throw_away":
            if known := HostingDraft.objects.filter(pk=pk).first():
                throw_draft_away(known, typed)
            messages.success(request, "The draft was thrown away.")
            return go_to(request, "hosting:choose")
        saved = actions.save_draft(pk, draft.project, draft.kind, typed, by=user)
    except ChangedElsewhere as other:
        if wants_fragment(request):
            return HttpResponse(status=204)
        return _page(request, draft, conflict=other.draft, typed=typed, status=409)
    except NotEditable as reason:
        messages.error(request, str(reason))
        return go_to(request, draft) if draft.version else go_to(request, "hosting:choose")
    if wants_fragment(request) and action == "save":
        return _saved(request, saved)
    if action.startswith("drop:"):
        saved = actions.drop_numbers(saved, [action.removeprefix("drop:")])
        return redirect(f"{saved.get_absolute_url()}#s1")
    if action == "drop_misplaced":
        saved = actions.drop_numbers(saved, Review(saved, user.time_zone).misplaced)
        return redirect(f"{saved.get_absolute_url()}#s1")
    if action == "drop_taken":
        saved = actions.drop_numbers(saved, Review(saved, user.time_zone).blocked)
        return redirect(f"{saved.get_absolute_url()}#s1")
    if action in ("ask", "send"):
        return _send(request, saved, action)
    return redirect(saved.get_absolute_url())


def _saved(request: HtmxHttpRequest, saved: HostingDraft) -> HttpResponse:
    """Answer an autosave: when it was saved, what stands of the numbers, and how far it is."""
    found = Review(saved, person_of(request).time_zone)
    operation = saved.operation
    if operation is not None and operation.state == Operation.State.REFUSED:
        found.form.add_refusal(operation)
    blamed = found.blame(shown_by(request.POST.get(POSTED, "")))
    context = {
        "blamed": blamed,
        "blamed_names": names(blamed),
        "draft": saved,
        "found": found,
        "form": found.form,
        "version": saved.version,
        "shown_lines": found.wrong_lines[:MOST_LINES_SHOWN],
        "oob": True,
    }
    answer = render(request, "hosting/_draft_saved.html", context)
    answer["HX-Replace-Url"] = saved.get_absolute_url()
    return answer


def _send(request: HtmxHttpRequest, draft: HostingDraft, action: str) -> HttpResponse:
    user = person_of(request)
    found = Review(draft, user.time_zone, complete=True)
    if action == "ask" or found.reasons:
        asks = not found.reasons
        return _page(request, draft, complete=True, asks=asks, status=200 if asks else 422)
    try:
        actions.send(
            draft, user.time_zone, by=user, attempt=read_key(request.POST.get("attempt", ""))
        )
    except NotSendable as wrong:
        said = f"Not sent: {wrong}."
        return _page(request, draft, complete=True, notice=said, status=422)
    except NotEditable as reason:
        messages.error(request, str(reason))
    return redirect(reverse("hosting:draft", args=[draft.pk]))
