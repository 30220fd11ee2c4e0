"""Placeholder: replaced by whoever builds these pages."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse


def _none(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    raise Http404


choose = _none
create = _none
draft = _none
draft_live = _none
