"""The edit of an order Sinch has: its fields, what they change, and sending it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from orders import (
    actions,
    actions_edit,
    chosen,
    comparing,
    conflicts,
    edit_page,
    fixes,
    page,
    page_documents,
    presence,
    wire,
)
from orders.actions_edit import Judged
from orders.causes import cause_named, causes_of
from orders.edit_work import Work, copy_of, opened, taken_up, unsealed
from orders.models import PortInOrder
from orders.views import notice_of, typed_of
from orders.views_order import MAY_REVEAL
from portal.accounts.guards import MAY_SEND, NO_RIGHT, agents_only
from portal.accounts.sessions import person_of, signed_in_user
from portal.formkey import new_key, read_key
from portal.htmx import HtmxHttpRequest, go_to
from portal.operations.models import Operation
from portal.work.drafts import NotEditable, NotSendable

MOST_TICKS = 500  # as many as an order can have


@never_cache
@agents_only
@require_http_methods(["GET", "POST"])
def edit(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show the fields of a pending order; on POST, what they change, and at last send it."""
    try:
        order = actions_edit.order_to_edit(pk)
    except PortInOrder.DoesNotExist as missing:
        raise Http404("No such order") from missing
    why = actions_edit.why_no_edit(order)
    if request.method == "POST":
        return _edited(request, order, why)
    if why:
        return render(request, "orders/edit.html", {"order": order, "why": why})
    refused = actions_edit.refused_update(order)
    work = taken_up(order, refused.payload) if refused else opened(order)
    actions_edit.ask_for_copy(order, work.opened_at)
    if refused is None:
        return _edit_form(request, order, work)
    if not refused.answer.get("status"):
        # Nobody at Sinch found fault with it: what is asked is whether it still holds.
        return _edit_check(request, order, work, refused=refused)
    return _edit_form(request, order, work, refused=refused)


# --- The two steps -------------------------------------------------------------------------------


def _shared_context(
    request: HtmxHttpRequest, judged: Judged, *, has_typed: bool = False
) -> dict[str, Any]:
    order, work = judged.order, judged.work
    return {
        "order": order,
        "project": order.project,
        "key": request.POST.get("key") or new_key(),
        "sealed": work.seal(person_of(request)),
        "post_to": reverse("orders:edit", args=[order.pk]),
        "advice": judged.form.advice(
            timezone.now(),
            extra=order.project.extra_days_off,
            dated=page_documents.dated_papers(order),
            countries=wire.countries_of(order.payload),
        ),
        "frozen": page.freeze_of(order),
        "plain": True,
        **_live_context(order, work.opened_at, comparing.digest(work.base)),
        "visitors": presence.note(order, person_of(request), has_typed=has_typed),
    }


def _edit_form(
    request: HtmxHttpRequest,
    order: PortInOrder,
    work: Work,
    *,
    refused: Operation | None = None,
    complete: bool = False,
    every_own: bool = False,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    """Show the first step: the fields, as they are at Sinch or as they were typed."""
    every_own = every_own or request.GET.get("own") == "all"
    judged = actions_edit.judge(order, work, complete=complete, every_own=every_own)
    if refused is not None:
        judged.form.add_refusal(refused)
    kept = set(judged.kept)
    rows = [row for row in chosen.rows_of(edit_page.numbers_in(order)) if row.number in kept]
    asked = request.GET if request.method == "GET" else request.POST
    if request.method == "GET":
        more["fix"] = _fix(judged, asked, work.typed)
    ticked = set(chosen.from_address(asked.getlist("n"), judged.kept))
    ticked |= {f"+{number.lstrip('+')}" for number in asked.getlist("pick")}
    context = _shared_context(request, judged, has_typed=request.method == "POST") | {
        "form": judged.form,
        "refused": refused,
        "is_blamed": complete or refused is not None,
        "problems": judged.problems if complete else [],
        "numbers": judged.kept,
        "added": str(work.typed.get("added") or ""),
        "dropped": judged.dropped,
        "groups": chosen.groups_of(rows),
        "group": asked.get("group", ""),
        "rows": [(row, row.number in ticked) for row in rows],
        "ticked": len(ticked) if not more.get("fix") else 0,
        "units": [(key, label, key in asked.getlist("f")) for key, label in fixes.choices()],
        "pick_text": asked.get("pick_text", ""),
    }
    return render(request, "orders/edit.html", context | more, status=status)


def _edit_check(
    request: HtmxHttpRequest,
    order: PortInOrder,
    work: Work,
    *,
    why: str = "",
    moved: bool = False,
    unticked: bool = False,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    """Show the second step: what will change; or what has to be put right first."""
    judged = actions_edit.judge(order, work, complete=True)
    if not judged.is_valid:
        notice = notice_of("This cannot be sent now", why) if why else None
        return _edit_form(request, order, work, complete=True, status=422, notice=notice)
    merged = judged.merged
    if unknown := actions_edit.secrets_to_ask(order, merged.body):
        notice = notice_of("One thing first", actions_edit.unknown_secret_words(unknown))
        return _edit_form(request, order, work, status=422, notice=notice)
    check = edit_page.check_of(judged, edit_page.numbers_in(order))
    if key := more.pop("reveal", ""):
        edit_page.reveal(check, key, person_of(request))
    blocked = why or check.first_choice or ("Change something first." if merged.is_nothing else "")
    blocked = blocked or actions_edit.why_not_so_many(merged.numbers)
    context = _shared_context(request, judged, has_typed=True) | {
        "check": check,
        "seen": comparing.digest(order),
        "why_not": why,
        "moved": moved,
        "unticked": unticked,
        # Of a copy that has changed somebody looks again, and says so again.
        "clears": request.POST.get("clears") == "yes" and not moved,
        "checking": True,
        "may_reveal": request.user.has_perm(MAY_REVEAL),
        "ready": "" if blocked else "confirm" if merged.dropped else "send",
        "blocked": blocked,
    }
    if why or moved or check.open:
        status = 409
    return render(request, "orders/edit.html", context | more, status=status)


# --- What was typed and pressed ------------------------------------------------------------------


def _edited(request: HtmxHttpRequest, order: PortInOrder, why: str) -> HttpResponse:
    """Take what was typed over what the page began with, and do what was pressed."""
    post, by = request.POST, person_of(request)
    verb, _, what = post.get("action", "").partition(":")
    work = unsealed(post.get("sealed", ""), by)
    if work is None:
        # A page left open for longer than a working day: what it began with is not known any more.
        return _too_old(request, order, why)
    work = work.with_typed(_typed(work, post))
    mended = {n.removeprefix("fix-"): post[n].replace("\0", "") for n in post if n[:4] == "fix-"}
    judged = actions_edit.judge(order, work, complete=False) if mended else None
    if fix := _fix(judged, post, work.typed, mended) if judged else None:
        if not fix.form.is_valid():
            return _edit_form(request, order, work, status=422, fix=fix)
        work = work.with_typed(fix.applied(work.typed))
    if why:
        return _edit_check(request, order, work, why=why)
    if verb in ("pick", "drop"):
        return _with_chosen(request, order, work, verb)
    if verb in _STEPS_BACK:
        work = work.with_typed(_pressed(work, verb, what))
        return _edit_form(request, order, work, every_own=verb == "show_own")
    if verb == "undo":
        return _undone(request, order, work, what)
    work = _with_choices(order, work, post)
    if verb == "reveal" and request.user.has_perm(MAY_REVEAL):
        return _edit_check(request, order, work, reveal=what)
    if verb == "send":
        return _send_edit(request, order, work)
    moved = post.get("seen", comparing.digest(order)) != comparing.digest(order)
    return _edit_check(request, order, work, moved=moved)


_STEPS_BACK = {"add_override", "remove_override", "show_own", "take_date", "keep", "edit"}


def _too_old(request: HtmxHttpRequest, order: PortInOrder, why: str) -> HttpResponse:
    if why:
        return render(request, "orders/edit.html", {"order": order, "why": why}, status=409)
    work = opened(order)
    actions_edit.ask_for_copy(order, work.opened_at)
    work = work.with_typed(_typed(work, request.POST))
    notice = notice_of(
        "This page is too old",
        "What you typed is kept where it could be; the rest is the order as it is now.",
    )
    return _edit_form(request, order, work, status=409, notice=notice)


def _typed(work: Work, post: QueryDict) -> dict[str, Any]:
    typed = typed_of(post, {}).merged(work.typed)
    if "added" in post:
        typed["added"] = post.get("added", "").replace("\0", "")
    return typed


def _pressed(work: Work, verb: str, what: str) -> dict[str, Any]:
    """Return the fields after a button that leads back to them."""
    typed = dict(work.typed)
    dropped = list(typed.get("dropped") or [])
    if verb == "add_override":
        taken = {entry.get("number") for entry in typed["overrides"]} | set(dropped)
        free = next((n for n in conflicts.numbers_of(work.base) if n not in taken), "")
        typed["overrides"] = [*typed["overrides"], {"key": actions.new_key(), "number": free}]
    elif verb == "remove_override":
        typed["overrides"] = [e for e in typed["overrides"] if e.get("key") != what]
    elif verb == "take_date" and wire.read_date(what):
        typed["port_date"] = what
    elif verb == "keep":
        typed["dropped"] = [n for n in dropped if what not in ("all", n.lstrip("+"))]
    return typed


def _with_choices(order: PortInOrder, work: Work, post: QueryDict) -> Work:
    """Return the edit with what was chosen where both sides changed a field."""
    asked = {n.removeprefix("choice-"): post.get(n, "") for n in post if n[:7] == "choice-"}
    if not asked:
        return work
    judged = actions_edit.judge(order, work, complete=True)
    if not judged.is_valid:
        return work
    chosen_now = edit_page.choices_of(judged.merged, lambda key: asked.get(key, ""))
    return replace(work, choices=work.choices | chosen_now)


def _undone(request: HtmxHttpRequest, order: PortInOrder, work: Work, key: str) -> HttpResponse:
    """Take one line of the check page back; the others stay."""
    judged = actions_edit.judge(order, work, complete=True)
    if not judged.is_valid:
        return _edit_check(request, order, work)
    check = edit_page.check_of(judged, edit_page.numbers_in(order))
    typed = edit_page.typed_without(check, key)
    return _edit_check(request, order, work.with_typed(typed))


def _send_edit(request: HtmxHttpRequest, order: PortInOrder, work: Work) -> HttpResponse:
    post = request.POST
    try:
        actions_edit.submit_update(
            order,
            work,
            seen=post.get("seen", ""),
            key=read_key(post.get("key", "")) or new_key(),
            by=person_of(request),
            clears=post.get("clears") == "yes",
        )
    except NotEditable as locked:
        return _edit_check(request, actions_edit.order_to_edit(order.pk), work, why=str(locked))
    except (actions_edit.ChangedAtSinch, actions_edit.Unsettled) as raised:
        moved = isinstance(raised, actions_edit.ChangedAtSinch)
        return _edit_check(request, actions_edit.order_to_edit(order.pk), work, moved=moved)
    except actions_edit.WouldClear:
        return _edit_check(request, order, work, unticked=True, status=422)
    except NotSendable as refusal:
        notice = notice_of("Nothing was sent", " ".join(r.text for r in refusal.reasons))
        return _edit_form(request, order, work, complete=True, status=422, notice=notice)
    presence.leave(order, person_of(request))
    return go_to(request, order)


# --- Fields for chosen numbers -------------------------------------------------------------------


def _fix(
    judged: Judged,
    asked: QueryDict,
    before: dict[str, Any],
    typed: Mapping[str, str] | None = None,
) -> fixes.Fix | None:
    """Return the fields that a page was opened for, of a cause or chosen; None for none.

    Those of a cause are without numbers for all that were refused for it.
    """
    everyone = judged.numbers
    n, f = ("n", "f") if typed is None else ("fix_n", "fix_f")
    numbers = chosen.from_address(asked.getlist(n), everyone)
    names = fixes.names_of(name for text in asked.getlist(f) for name in text.split("."))
    cause = cause_named(asked.get("fix", ""))
    if cause is None or not cause.edits:
        return fixes.Fix(names, before, numbers, everyone, typed) if names and numbers else None
    numbers = numbers or [
        fact.phone_number
        for fact in wire.read_order(judged.order.payload).numbers
        if fact.status == "REJECTED"
        and fact.phone_number in set(everyone)
        and cause in causes_of(fact.reject_reason)
    ]
    if not numbers:
        return None
    again = edit_page.refused_again(judged.order, cause, numbers)
    return fixes.Fix(cause.edits, before, numbers, everyone, typed, cause=cause, again=again)


def _with_chosen(
    request: HtmxHttpRequest, order: PortInOrder, work: Work, verb: str
) -> HttpResponse:
    """Open the fields for the numbers that were chosen, or take these out of the order."""
    post = request.POST
    judged = actions_edit.judge(order, work, complete=False)
    rows = chosen.rows_of(edit_page.numbers_in(order))
    found = chosen.choose(
        [row for row in rows if row.number in set(judged.kept)],
        group=post.get("group", ""),
        ticked=post.getlist("pick")[:MOST_TICKS],
        typed=post.get("pick_text", "")[:20_000],
    )
    problem = " ".join(found.problems)
    if not problem and not found.numbers:
        problem = "Choose a group, tick numbers, or write them down."
    if verb == "drop":
        if not problem and len(found.numbers) == len(judged.numbers):
            problem = "At least one number stays in an order. To end it, cancel it on its page."
        if not problem:
            typed = work.typed | {"dropped": [*judged.dropped, *found.numbers]}
            return _edit_form(request, order, work.with_typed(typed))
    names = fixes.names_of(post.getlist("f"))
    if not problem and not names:
        problem = "Tick which fields these numbers should get."
    if problem:
        return _edit_form(request, order, work, status=422, picking=True, pick_problem=problem)
    fix = fixes.Fix(names, work.typed, found.numbers, judged.numbers)
    return _edit_form(request, order, work, fix=fix)


# --- How fresh Sinch's copy is, and who else is here ---------------------------------------------


def _live_context(order: PortInOrder, since: Any, base: str) -> dict[str, Any]:
    fresh = actions_edit.freshness(order, since)
    differs = fresh.is_fresh and comparing.digest(copy_of(order)) != base
    return {
        "copy": fresh,
        "since": since.isoformat(),
        "base": base,
        "differs": differs,
        "changed_by": actions_edit.changed_by(order, since) if fresh.is_fresh else None,
    }


@never_cache
@require_GET
def edit_live(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Answer an open edit: how fresh Sinch's copy is, who else has it open; 204 for no news."""
    user = signed_in_user(request)
    if user is None:
        return redirect_to_login(request.get_full_path())
    if not user.has_perm(MAY_SEND):
        raise PermissionDenied(NO_RIGHT)
    order = PortInOrder.objects.defer("payload", "secrets").filter(pk=pk).first()
    since = parse_datetime(request.GET.get("since", "").replace(" ", "+"))
    if order is None or since is None:
        raise Http404
    visitors = presence.note(order, user, has_typed="typed" in request.GET)
    token = _token(order, actions_edit.freshness(order, since), visitors)
    if "typed" in request.GET or token == request.GET.get("token"):
        return HttpResponse(status=204)
    context = {
        "order": order,
        "visitors": visitors,
        "token": token,
        "live": True,
        "ready": request.GET.get("ready", ""),
        **_live_context(order, since, request.GET.get("base", "")),
    }
    return render(request, "orders/_edit_live.html", context)


def _token(
    order: PortInOrder, fresh: actions_edit.Freshness, visitors: list[presence.Visitor]
) -> str:
    told = (fresh.is_fresh, fresh.trouble, order.fetched_at, order.status, visitors)
    return conflicts.key_of(told)
