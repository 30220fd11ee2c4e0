"""What somebody sees who opens an address that takes only what a form sends."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render


class NotAllowedMiddleware:
    """Give such an answer a page: Django's own is empty.

    The address is left in the browser by a form that was wrong, and is loaded again from there.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request; a browser that opens a page gets one."""
        answer = self.get_response(request)
        opens = request.method == "GET" and "text/html" in request.headers.get("Accept", "")
        if not opens or not isinstance(answer, HttpResponseNotAllowed):
            return answer
        page = render(request, "405.html", status=405)
        page["Allow"] = answer["Allow"]
        return page
