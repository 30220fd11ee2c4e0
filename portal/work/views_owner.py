"""The page on which an order of either kind gets another owner."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from portal.accounts.sessions import person_of
from portal.htmx import HtmxHttpRequest, go_to
from portal.work.actions import NotSendable, take_over
from portal.work.forms import HandOverForm


def owner_page(
    request: HtmxHttpRequest, order: Any, hand_over: Callable[..., None]
) -> HttpResponse:
    """Answer for an order: taken with one click, or handed to a colleague with a line.

    `hand_over` takes `to`, `line` and `by`, and raises NotSendable for the line.
    """
    if request.method == "POST" and request.POST.get("take"):
        take_over(order.item, by=person_of(request))
        return go_to(request, order)
    form = HandOverForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            hand_over(by=person_of(request), **form.cleaned_data)
        except NotSendable as problem:
            form.add_error("line", str(problem))
        else:
            return go_to(request, order)
    context = {"order": order, "item": order.item, "form": form}
    return render(request, "work/owner.html", context, status=422 if form.is_bound else 200)
