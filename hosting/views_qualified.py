"""Placeholder: replaced by whoever builds these pages."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse


def _none(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    raise Http404


qualified_numbers = _none
qualified_live = _none
qualified_csv = _none
qualify = _none
qualified_number = _none
qualified_number_live = _none
refresh = _none
call = _none
verify = _none
invoices = _none
text_enable = _none
delete = _none
