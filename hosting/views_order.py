"""Placeholder: replaced by whoever builds these pages."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse


def _none(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    raise Http404


detail = _none
live = _none
numbers = _none
numbers_csv = _none
number = _none
refresh = _none
raw = _none
owner = _none
team_note = _none
mark = _none
migrate = _none
