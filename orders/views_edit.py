"""The edit of an order Sinch has: its fields, what they change, and sending it."""

from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from orders import actions, actions_edit, edits, fixes, page, wire
from orders.actions import (
    NotEditable,
    NotSendable,
)
from orders.causes import cause_named, causes_of
from orders.models import PortInOrder
from orders.views import agents_only, notice_of, person, typed_of
from portal.htmx import HtmxHttpRequest, go_to
from portal.operations.models import Operation


@never_cache
@agents_only
@require_http_methods(["GET", "POST"])
def edit(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Show the fields of a pending order; on POST, what they change, and at last send it."""
    try:
        order = actions_edit.order_to_edit(pk)
    except PortInOrder.DoesNotExist as missing:
        raise Http404("No such order") from missing
    if why := actions_edit.why_no_edit(order):
        status = 409 if request.method == "POST" else 200
        return render(request, "orders/edit.html", {"order": order, "why": why}, status=status)
    if request.method == "GET":
        return _edit_form(request, order, refused=actions_edit.refused_update(order))
    return _edited(request, order)


def _numbers_in(order: PortInOrder) -> list[str]:
    return [fact.phone_number for fact in wire.read_order(order.payload).numbers]


def _edit_form(
    request: HtmxHttpRequest,
    order: PortInOrder,
    typed: dict[str, Any] | None = None,
    *,
    refused: Operation | None = None,
    complete: bool = False,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    """Show the first step: the fields, as they are at Sinch or as they were typed."""
    if typed is None and refused is not None:
        typed = refused.payload.get("form")
    is_fresh = typed is None
    start = edits.fields_of(order, order.secrets)
    found = actions_edit.edit_of(order, start if typed is None else typed, complete=complete)
    if refused is not None:
        found.form.add_refusal(refused)
    if request.method == "GET":
        more["fix"] = _fix(order, request.GET, found.typed)
    context = {
        "order": order,
        "project": order.project,
        "form": found.form,
        "refused": refused,
        "is_blamed": complete or refused is not None,
        "numbers": found.numbers,
        "base": request.POST.get("base") or wire.digest(order),
        "key": request.POST.get("key") or actions.new_key(),
        "sealed": "" if is_fresh else actions.sealed(found.typed, person(request)),
        "post_to": reverse("orders:edit", args=[order.pk]),
        "advice": found.form.advice(timezone.now()),
        "frozen": page.freeze_of(order),
        "plain": True,
    }
    return render(request, "orders/edit.html", context | more, status=status)


def _fix(
    order: PortInOrder,
    asked: QueryDict,
    before: dict[str, Any],
    typed: Mapping[str, str] | None = None,
) -> fixes.Fix | None:
    """Return the fields of the cause that a page was opened for, None for no such cause.

    Without numbers it is for all that were refused for it.
    """
    cause = cause_named(asked.get("fix", ""))
    if cause is None or not cause.edits:
        return None
    facts = wire.read_order(order.payload).numbers
    everyone = [fact.phone_number for fact in facts]
    named = {f"+{digits}" for digits in asked.get("n", "").split(".")}
    chosen = [number for number in everyone if number in named] or [
        fact.phone_number
        for fact in facts
        if fact.status == "REJECTED" and cause in causes_of(fact.reject_reason)
    ]
    return fixes.Fix(cause, before, chosen, everyone, typed) if chosen else None


def _edited(request: HtmxHttpRequest, order: PortInOrder) -> HttpResponse:
    """Take what was typed over what the page began with, and do what was pressed."""
    post, by = request.POST, person(request)
    verb, _, what = post.get("action", "").partition(":")
    before = actions.unsealed(post.get("sealed", ""), by)
    if not before and "name" not in post:
        # A page left open for longer than a working day: nothing of it can be trusted.
        notice = notice_of("This page is too old", "Here is the order as it is now.")
        return _edit_form(request, order, status=409, notice=notice)
    start = before or edits.fields_of(order, order.secrets)
    typed = actions.merged(start, typed_of(post, {}))
    mended = {n.removeprefix("fix-"): post[n].replace("\0", "") for n in post if n[:4] == "fix-"}
    if fix := _fix(order, post, start, mended) if mended else None:
        if not fix.form.is_valid():
            return _edit_form(request, order, typed, status=422, fix=fix)
        typed = fix.applied(typed)
    if verb == "add_override":
        taken = {entry.get("number") for entry in typed["overrides"]}
        free = next((n for n in _numbers_in(order) if n not in taken), "")
        typed["overrides"] = [*typed["overrides"], {"key": actions.new_key(), "number": free}]
    elif verb == "take_date" and wire.read_date(what):
        typed["port_date"] = what
    elif verb == "remove_override":
        typed["overrides"] = [e for e in typed["overrides"] if e.get("key") != what]
    if verb in {"add_override", "remove_override", "take_date", "edit"}:
        return _edit_form(request, order, typed)
    if verb == "send":
        return _send_edit(request, order, typed)
    return _edit_check(request, order, typed)


def _edit_check(
    request: HtmxHttpRequest, order: PortInOrder, typed: dict[str, Any], **more: Any
) -> HttpResponse:
    """Show the second step: what will change; or what has to be put right first."""
    found = actions_edit.edit_of(order, typed, complete=True)
    if not found.form.is_valid() or any(form.errors for form in found.form.overrides):
        return _edit_form(request, order, typed, complete=True, status=422)
    lines = found.lines
    unknown = actions_edit.secrets_to_ask(
        order, wire.write_body(order, order.secrets, found.changes)
    )
    if unknown:
        notice = notice_of("One thing first", actions_edit.unknown_secret_words(unknown))
        return _edit_form(request, order, typed, status=422, notice=notice)
    context = {
        "order": order,
        "lines": lines,
        "total": len(found.numbers),
        "touched": len({number for line in lines for number in line.numbers}),
        "base": wire.digest(order),
        "key": request.POST.get("key") or actions.new_key(),
        "sealed": actions.sealed(typed, person(request)),
        "post_to": reverse("orders:edit", args=[order.pk]),
        "advice": found.form.advice(timezone.now()),
        "frozen": page.freeze_of(order),
        "plain": True,
        "checking": True,
    }
    moved = context["base"] != request.POST.get("base", context["base"])
    status = 409 if moved or more.get("moved") else 200
    context |= {"moved": moved} | more
    return render(request, "orders/edit.html", context, status=status)


def _send_edit(request: HtmxHttpRequest, order: PortInOrder, typed: dict[str, Any]) -> HttpResponse:
    post = request.POST
    try:
        actions_edit.submit_update(
            order,
            typed,
            base=post.get("base", ""),
            key=post.get("key", "").replace("\0", "")[:40] or actions.new_key(),
            by=person(request),
        )
    except NotEditable as locked:
        return render(request, "orders/edit.html", {"order": order, "why": str(locked)}, status=409)
    except actions_edit.ChangedAtSinch:
        return _edit_check(request, actions_edit.order_to_edit(order.pk), typed, moved=True)
    except NotSendable as refusal:
        notice = notice_of("Nothing was sent", " ".join(r.text for r in refusal.reasons))
        return _edit_form(request, order, typed, complete=True, status=422, notice=notice)
    return go_to(request, order)
