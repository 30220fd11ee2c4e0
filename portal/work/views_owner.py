"""The page on which an order of either kind gets another owner."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
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

    `hand_over` takes `to`, `line`, `by` and `seen`, and raises NotSendable for the line. Pages say
    whose the order was when they were opened: two must not both believe that they have taken it.
    """
    seen = request.POST.get("owner")
    if request.method == "POST" and request.POST.get("take"):
        try:
            take_over(order.item, by=person_of(request), seen=seen)
        except NotSendable as problem:
            messages.error(request, str(problem))
        return go_to(request, order)
    form = HandOverForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            hand_over(by=person_of(request), seen=seen, **form.cleaned_data)
        except NotSendable as problem:
            form.add_error("line", str(problem))
        else:
            return go_to(request, order)
    context = {"order": order, "item": order.item, "form": form}
    return render(request, "work/owner.html", context, status=422 if form.is_bound else 200)
