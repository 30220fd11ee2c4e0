"""Placeholder: replaced by whoever builds these pages."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse


def _none(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    raise Http404


imported_numbers = _none
imported_live = _none
imported_csv = _none
import_number = _none
imported_number = _none
imported_number_live = _none
refresh = _none
rename = _none
move = _none
delete = _none
