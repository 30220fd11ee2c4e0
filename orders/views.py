"""Pages of the intake: a draft from pasted numbers to a sent order, and the edit of an order."""

import uuid
import zlib
from collections.abc import Mapping
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.contrib.postgres.aggregates import StringAgg
from django.core.exceptions import PermissionDenied
from django.db.models import CharField, F, OuterRef, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Concat
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods
from django_htmx.http import HttpResponseClientRedirect

from orders import actions, actions_parts, part_pages
from orders.actions import Typed
from orders.details import SECRET_FIELDS, as_number
from orders.models import PortabilityRun, PortInDraft
from orders.parts import BY_CARRIER, ONE, Plan
from orders.review import MOST_SHOWN, Reason, Review, review
from portal.accounts.guards import MAY_SEND, NO_RIGHT, agents_only
from portal.accounts.models import SinchProject, User
from portal.accounts.sessions import person_of, signed_in_user
from portal.formkey import read_id
from portal.htmx import HtmxHttpRequest, go_to, wants_fragment
from portal.operations import runner
from portal.operations.models import Operation
from portal.values import whole
from portal.work.blame import POSTED, names, shown_by
from portal.work.drafts import (
    ChangedElsewhere,
    NotEditable,
    NotSendable,
    open_drafts,
    project_for_new_orders,
)

# --- A new order, and going on with a draft -----------------------------------------------------


@never_cache
@agents_only
@require_http_methods(["GET", "POST"])
def create(request: HtmxHttpRequest) -> HttpResponse:
    """Show an empty draft; what is first posted makes it, under the id the page came with."""
    project = project_for_new_orders()
    if project is None:
        return render(request, "orders/draft.html", {"no_project": True})
    if request.method == "POST":
        return _typed_into(request, read_id(request.POST.get("draft", "")), project)
    draft = PortInDraft(
        project=project, by=person_of(request), data=actions.default_fields(project), version=0
    )
    return _draft_page(
        request, draft, drafts=open_drafts(PortInDraft, person_of(request)), is_new=True
    )


@never_cache
@agents_only
@require_http_methods(["GET", "POST"])
def draft(request: HtmxHttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show a draft, or what becomes of it; on POST, save what was typed and do what was pressed."""
    found = _draft_or_404(pk)
    if request.method == "POST":
        return _typed_into(request, pk, found.project)
    if found.order is not None:
        return go_to(request, found.order)
    if found.state == PortInDraft.State.THROWN_AWAY:
        messages.info(request, "That draft was thrown away.")
        return redirect("orders:create")
    # Who asked to send and may not yet is shown what is wrong, beside the fields.
    return _draft_page(request, found, complete="ask" in request.GET)


def _draft_or_404(pk: uuid.UUID) -> PortInDraft:
    """Return the draft with its `live` text, read in the same moment.

    A text read later could speak of an outcome that the page does not show yet, and the page would
    wait for ever.
    """
    return get_object_or_404(
        PortInDraft.objects.annotate(live=_LIVE)
        .select_related(
            "project", "by", "operation", "check_operation", "order", "follows__item", "parent"
        )
        .defer(
            "order__payload",
            "order__secrets",
            "follows__payload",
            "follows__secrets",
            "parent__data",
        ),
        pk=pk,
    )


# What changes while a page is open: the state of the draft, how far its operations are, how many
# numbers Sinch has been asked about, and how far the orders are that it was sent as.
_OWN_STATE: Final = (
    F("state"),
    Value("."),
    Coalesce(Cast("operation_id", CharField()), Value("")),
    Coalesce(F("operation__state"), Value("")),
    Coalesce(Cast("operation__attempts", CharField()), Value("")),
)
_LAST_RUN = PortabilityRun.objects.filter(draft=OuterRef("pk")).order_by("-created_at")
_PARTS = PortInDraft.objects.filter(parent=OuterRef("pk")).order_by().values("parent")
_LIVE = Concat(
    *_OWN_STATE,
    Value("."),
    Coalesce(Cast("check_operation_id", CharField()), Value("")),
    Coalesce(F("check_operation__state"), Value("")),
    Value("."),
    Coalesce(
        Subquery(
            _LAST_RUN.values(
                far=Concat(
                    Cast("done", CharField()),
                    Value("/"),
                    Cast("total", CharField()),
                    Coalesce(Cast("finished_at", CharField()), Value("")),
                    F("problem"),
                    output_field=CharField(),
                )
            )[:1]
        ),
        Value(""),
    ),
    Value("."),
    Coalesce(
        Subquery(
            _PARTS.values(
                far=StringAgg(
                    Concat(*_OWN_STATE, output_field=CharField()),
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


def _live_token(draft: PortInDraft) -> str:
    return _mark(getattr(draft, "live", ""))


@never_cache
@require_GET
def draft_live(request: HtmxHttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Answer an open page of a draft: 204 while nothing has changed, else what has."""
    rows = PortInDraft.objects.filter(pk=pk)
    user: Any = signed_in_user(request, live=Subquery(rows.values(live=_LIVE)[:1]))
    if user is None:
        return redirect_to_login(request.get_full_path())
    if not user.has_perm(MAY_SEND):
        raise PermissionDenied(NO_RIGHT)
    if user.live is None:
        raise Http404("No such draft")
    if _mark(user.live) == request.GET.get("seen"):
        return HttpResponse(status=204)
    found = _draft_or_404(pk)
    was_sending = request.GET.get("page") == "sending"
    if found.order is not None:
        return HttpResponseClientRedirect(found.order.get_absolute_url())
    if was_sending and not _shows_sending(found):
        return HttpResponseClientRedirect(found.get_absolute_url())
    if was_sending:
        context = _sending_context(found)
        return render(request, context["sending_template"], context)
    context = _draft_context(request, found) | {"parts": {"checks"}}
    if _shows_sending(found):
        context["notice"] = notice_of(
            "This draft is on its way to Sinch", "It can be changed again if Sinch refuses it."
        )
    return render(request, "orders/_draft_answer.html", context)


# --- What a draft's page shows ------------------------------------------------------------------


def _shows_sending(draft: PortInDraft) -> bool:
    return draft.state in (PortInDraft.State.SENDING, PortInDraft.State.SENT) or draft.is_sending


def _sending_context(draft: PortInDraft) -> dict[str, Any]:
    """Return what the page of a draft shows once it is sent, as one order or as several."""
    context = {"draft": draft, "live": _live_token(draft), "reference": draft.field("reference")}
    is_sent = draft.state == PortInDraft.State.SENT
    if is_sent and (sent := part_pages.sent_parts(draft)).rows:
        return context | {
            "sending_template": "orders/_draft_parts.html",
            "sent": sent,
            "under_way": sent.under_way > 0,
        }
    runner.with_obstacle(draft.operation)
    return context | {
        "sending_template": "orders/_draft_sending.html",
        "operation": draft.operation,
        "under_way": draft.operation is not None and draft.operation.is_under_way,
        "found": review(draft),
    }


def notice_of(title: str, text: str = "", tone: str = "us", shape: str = "us") -> dict[str, str]:
    return {"title": title, "text": text, "tone": tone, "shape": shape}


def _mark(*parts: object) -> str:
    """Return a short key that tells whether a part of the page has to be sent again."""
    return f"{zlib.crc32(repr(parts).encode()):08x}"


def _draft_context(
    request: HtmxHttpRequest,
    draft: PortInDraft,
    *,
    complete: bool = False,
    every_own: bool = False,
    **more: Any,
) -> dict[str, Any]:
    every_own = every_own or request.GET.get("own") == "all"
    found = review(draft, complete=complete, every_own=every_own)
    plan = Plan(found)
    saved = draft.version > 0
    refused = _unseen_refusal(draft)
    if refused:
        found.form.add_refusal(refused, lambda name: _as_sent(draft, name))
    stopped = draft.operation if draft.operation and not draft.operation.is_under_way else None
    runner.with_obstacle(stopped)
    blamed = found.blame(shown_by(request.POST.get(POSTED, "")))
    return {
        "draft": draft,
        "project": draft.project,
        "found": found,
        "plan": plan,
        "form": found.form,
        "saved": saved,
        "operation": stopped if stopped and stopped.seen_at is None else None,
        "refused": refused,
        "is_blamed": complete or refused is not None,
        "forms": [found.form, *found.form.overrides],
        "rows": _rows(found, every="all" in request.GET),
        "shows_all": "all" in request.GET,
        "shown_checks": found.checks if "all" in request.GET else found.checks[:MOST_SHOWN],
        "gone": found.not_portable(None if "gone" in request.GET else MOST_SHOWN),
        "shows_all_gone": "gone" in request.GET,
        "live": _live_token(draft) if saved else "",
        "version": draft.version,
        "tab": request.POST.get("tab") or actions.new_key(),
        "attempt": actions.attempt_of(draft),
        "lines_mark": _mark(found.text, found.numbers, sorted(found.places), found.tally),
        "advice": found.advice,
        "coach_mark": _mark(found.advice),
        "checks_mark": _mark(
            found.checks,
            found.verdicts,
            found.run and (found.run.done, found.run.problem),
            found.is_checking,
            draft.field("left_out", []),
        ),
        "post_to": draft.get_absolute_url() if saved else reverse("orders:create"),
        "parts": set(),
        "asking": "ask" in request.GET and plan.can_send,
        "blamed": blamed,
        "blamed_names": names(blamed),
    } | more


def _unseen_refusal(draft: PortInDraft) -> Operation | None:
    operation = draft.operation
    if operation is None or operation.state != Operation.State.REFUSED or operation.seen_at:
        return None
    return operation


def _as_sent(draft: PortInDraft, name: str) -> bool:
    sent = draft.field("sent", {}) or {}
    return name not in sent or sent[name] == draft.field(name)


def _rows(found: Review, *, every: bool) -> list[dict[str, Any]]:
    """Return the rows of the table of what was read: the ones with something to say, or all."""
    return [
        {"line": line, "place": found.places.get(line.number or "")}
        for line in found.lines
        if every or line.problem or found.remark_of(line)
    ]


def _draft_page(
    request: HtmxHttpRequest, draft: PortInDraft, *, status: int = 200, **more: Any
) -> HttpResponse:
    if _shows_sending(draft):
        return render(request, "orders/draft.html", _sending_context(draft) | {"sending": True})
    complete = bool(more.pop("complete", False))
    context = _draft_context(request, draft, complete=complete, **more)
    return render(request, "orders/draft.html", context, status=status)


# --- What was typed and pressed -----------------------------------------------------------------


def typed_of(post: QueryDict, sealed: Mapping[str, str]) -> Typed:
    fields: dict[str, Any] = {name: post[name] for name in actions.TEXT_FIELDS if name in post}
    if post.get("split") in (BY_CARRIER, ONE):
        fields["split"] = post["split"]
    if "port_date" in post:
        fields |= {name: name in post for name in actions.TICKS}
    secrets = {name: post.get(name, "") or sealed.get(name, "") for name in SECRET_FIELDS}
    overrides = _typed_overrides(post) if "has_overrides" in post else None
    verb, _, over = post.get("action", "").partition(":")
    return Typed(
        fields=fields,
        overrides=overrides,
        secrets={name: value for name, value in secrets.items() if value},
        dropped_secrets=[name for name in SECRET_FIELDS if post.get(f"{name}_remove")],
        version=whole(post.get("version", "")) or 0,
        tab=post.get("tab", "")[:40],
        overwrite=whole(over) or 0 if verb == "overwrite" else 0,
    )


def _typed_overrides(post: QueryDict) -> list[dict[str, Any]]:
    entries = []
    for key in dict.fromkeys(post.getlist("override")):
        names = (*actions.OVERRIDE_FIELDS, *SECRET_FIELDS)
        entry: dict[str, Any] = {name: post.get(f"{key}-{name}", "") for name in names}
        entry["dropped_secrets"] = [
            name for name in SECRET_FIELDS if post.get(f"{key}-{name}_remove")
        ]
        entry["number"] = as_number(entry["number"])
        entries.append({"key": key[:40], **entry})
    return entries


def _corrections(post: QueryDict) -> dict[str, tuple[str, str]]:
    keys = [name.removeprefix("fix-") for name in post if name.startswith("fix-")]
    found = {key: (post.get(f"was-{key}", ""), post.get(f"fix-{key}", "")) for key in keys}
    verb, _, key = post.get("action", "").partition(":")
    if verb == "leave_out":
        found[key] = (post.get(f"was-{key}", ""), "")
    return found


def _typed_into(request: HtmxHttpRequest, pk: uuid.UUID, project: SinchProject) -> HttpResponse:
    """Save what was typed, then do what was pressed; autosave presses nothing."""
    post, by = request.POST, person_of(request)
    verb, _, what = post.get("action", "").partition(":")
    if verb == "throw_away":
        return _throw_away(request, pk)
    typed = typed_of(post, actions.unsealed(post.get("sealed", ""), by))
    if verb == "send" and (gone := _sent_already(pk, post.get("attempt", ""), typed)):
        return redirect(gone)
    try:
        draft = actions.save_draft(pk, project, typed, by=by)
        draft = actions.correct_lines(draft, _corrections(post))
        if verb == "send":
            return _send(request, draft)
        draft = _press(draft, verb, what, by)
    except ChangedElsewhere as conflict:
        return _conflict(request, conflict.draft, typed)
    except NotEditable as locked:
        return _locked(request, pk, str(locked))
    except NotSendable as refusal:
        return _refused(request, _draft_or_404(pk), refusal.reasons)
    return _saved(request, draft, verb)


def _press(draft: PortInDraft, verb: str, what: str, by: User) -> PortInDraft:
    """Do what a button says; a word no button has only saves."""
    if verb == "check":
        actions.check_portability(draft, by=by)
    elif verb == "keep_portable":
        return actions.continue_with_portable(draft)
    elif verb == "keep_free":
        return actions.continue_without_taken(draft)
    elif verb == "leave_row_out":
        return actions.leave_row_out(draft, what)
    elif verb == "take_date":
        return actions.take_date(draft, what)
    elif verb == "add_override":
        return actions.add_override(draft)
    elif verb == "remove_override":
        return actions.remove_override(draft, what)
    return draft


# Where a page without script goes on after a button.
_ANCHORS: Final = {
    "check": "#s2",
    "ask": "#s4",
    "keep_portable": "#s2",
    "keep_free": "#s1",
    "leave_row_out": "#s1",
    "leave_out": "#s1",
    "show_all": "#s1",
    "show_gone": "#s2",
    "take_date": "#when",
    "add_override": "#overrides",
    "remove_override": "#overrides",
    "show_own": "#overrides",
}


def _saved(request: HtmxHttpRequest, draft: PortInDraft, verb: str) -> HttpResponse:
    draft = _draft_or_404(draft.pk)
    if not wants_fragment(request):
        query = {
            "show_all": "?all=1",
            "show_own": "?own=all",
            "show_gone": "?gone=1",
            "ask": "?ask=1",
        }.get(verb, "")
        return redirect(f"{draft.get_absolute_url()}{query}{_ANCHORS.get(verb, '')}")
    context = _draft_context(request, draft, every_own=verb == "show_own")
    post = request.POST
    parts = {"always"}
    # A page with a list in the place of the text has no numbers to post.
    if "numbers" in post and str(draft.field("numbers")) != post["numbers"].replace("\0", ""):
        parts.add("numbers")
    if context["lines_mark"] != post.get("lines_mark"):
        parts.add("lines")
    if context["checks_mark"] != post.get("checks_mark"):
        parts.add("checks")
    if context["coach_mark"] != post.get("coach_mark"):
        parts.add("coach")
    if verb == "take_date":
        parts.add("port_date")
    if verb in {"add_override", "remove_override", "show_own"}:
        parts.add("overrides")
    if post.get("version") == "0":
        parts.add("actions")
    # Once asked, the question stays open while what was typed last is still being saved.
    asked = verb == "ask" or (not verb and "asking" in post)
    context |= {"parts": parts, "opened": verb == "add_override"}
    context["asking"] = asked and context["plan"].can_send
    answer = render(request, "orders/_draft_answer.html", context)
    answer["HX-Replace-Url"] = draft.get_absolute_url()
    return answer


def _conflict(request: HtmxHttpRequest, draft: PortInDraft, typed: Typed) -> HttpResponse:
    """Say that the draft was saved elsewhere; what was typed stays on the page and is not saved."""
    who = draft.field("saved_by") or draft.by.short_name
    context: dict[str, Any] = {
        "conflict": {
            "who": who,
            "at": draft.updated_at,
            "url": draft.get_absolute_url(),
            "version": draft.version,
        }
    }
    if wants_fragment(request):
        return render(
            request, "orders/_draft_answer.html", context | {"parts": {"conflict"}}, status=409
        )
    shown = _draft_or_404(draft.pk)
    shown.data = typed.merged(shown.data)
    secrets = {name: value for name, value in typed.secrets.items() if value}
    context |= {
        "version": typed.version,
        "sealed": actions.sealed(secrets, person_of(request)) if secrets else "",
    }
    return _draft_page(request, shown, status=409, **context)


def _locked(request: HtmxHttpRequest, pk: uuid.UUID, why: str) -> HttpResponse:
    draft = _draft_or_404(pk)
    if wants_fragment(request):
        notice = notice_of(why, "What you typed since then is not saved.")
        context = {"parts": {"notice"}, "notice": notice, "draft": draft}
        return render(request, "orders/_draft_answer.html", context, status=409)
    if not _shows_sending(draft):
        messages.warning(request, why)
    return redirect(draft)


def _refused(request: HtmxHttpRequest, draft: PortInDraft, reasons: list[Reason]) -> HttpResponse:
    said = [
        r.text if not r.is_open else f"{r.text[:1].upper()}{r.text[1:]} are open." for r in reasons
    ]
    notice = notice_of(f"Not yet: {said[0]}", " ".join(said[1:]))
    if wants_fragment(request):
        context = _draft_context(request, draft) | {"parts": {"always", "notice"}, "notice": notice}
        return render(request, "orders/_draft_answer.html", context, status=422)
    return _draft_page(request, draft, status=422, notice=notice)


def _sent_already(pk: uuid.UUID, attempt: str, typed: Typed) -> PortInDraft | None:
    """Return the draft when this page's attempt to send it has been made before.

    None for one that is open again and says something else: what was corrected is not lost.
    """
    draft = PortInDraft.objects.filter(pk=pk).first()
    number = whole(attempt)
    if draft is None or not number:
        return None
    if draft.state == PortInDraft.State.OPEN and typed.merged(draft.data) != draft.data:
        return None
    marker = actions.create_marker(draft, number)
    is_sent = Operation.objects.filter(marker=marker).exists() or draft.parts.exists()
    return draft if is_sent else None


def _send(request: HtmxHttpRequest, draft: PortInDraft) -> HttpResponse:
    attempt = whole(request.POST.get("attempt", "")) or actions.attempt_of(draft)
    try:
        actions_parts.submit_orders(draft, attempt=attempt, by=person_of(request))
    except NotSendable as refusal:
        said = [reason.text for reason in refusal.reasons if not reason.is_open]
        return _draft_page(
            request,
            _draft_or_404(draft.pk),
            status=422,
            complete=True,
            notice=notice_of("Nothing was sent", " ".join(said)) if said else None,
        )
    return go_to(request, draft)


def _throw_away(request: HtmxHttpRequest, pk: uuid.UUID) -> HttpResponse:
    found = PortInDraft.objects.filter(pk=pk).first()
    if found is not None:
        try:
            actions.throw_draft_away(found, typed_of(request.POST, {}))
        except NotEditable as locked:
            return _locked(request, pk, str(locked))
    messages.success(request, "The draft was thrown away. Nothing reached Sinch.")
    return redirect("orders:create")
