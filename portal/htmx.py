"""How views answer htmx: fragments, redirects, sign-in that has run out, and ways that end."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.utils.cache import patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails


class HtmxHttpRequest(HttpRequest):
    """A request as `HtmxMiddleware` leaves it."""

    htmx: HtmxDetails


def wants_fragment(request: HtmxHttpRequest) -> bool:
    """Tell whether the answer goes into a part of the page.

    False for boosted and history-restore requests, which want the whole page.
    """
    htmx = request.htmx
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def go_to(request: HtmxHttpRequest, to: Any, *args: Any, **kwargs: Any) -> HttpResponse:
    """Send the browser on: HX-Redirect under htmx, 302 without."""
    url = resolve_url(to, *args, **kwargs)
    return HttpResponseClientRedirect(url) if wants_fragment(request) else HttpResponseRedirect(url)


class WayBackMiddleware:
    """Lead to the sign-in page and back: under htmx by HX-Redirect, so that it fills the window.

    Without it htmx would follow the redirect itself and put the sign-in form inside a table. An
    address that takes only what a form sends, and is loaded again, gets a page that says so. One
    middleware for all of it: where many calls lie above a page, Python fetches and returns memory
    for each call beyond a certain depth, which cost a table of 500 rows a fifth of its time.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request; vary on HX-Request, since fragments share the page's address."""
        response = self.get_response(request)
        by_htmx = bool(request.headers.get("HX-Request"))
        if by_htmx or response.get("Content-Type", "").startswith("text/html"):
            patch_vary_headers(response, ["HX-Request"])
        # The page the person looks at is where to come back to, not the address of a fragment, or
        # one that takes only what a form sends.
        if by_htmx and _asks_to_sign_in(response):
            here = request.headers.get("HX-Current-URL", "")
            return HttpResponseClientRedirect(_sign_in_from(here))
        if request.method == "POST" and _asks_to_sign_in(response):
            return HttpResponseRedirect(_sign_in_from(request.headers.get("Referer", "")))
        if isinstance(response, HttpResponseNotAllowed) and _opens_a_page(request):
            page = render(request, "405.html", status=405)
            page["Allow"] = response["Allow"]
            return page
        return response


def _opens_a_page(request: HttpRequest) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")


def _asks_to_sign_in(response: HttpResponse) -> bool:
    """Tell whether an answer leads to the sign-in page and from there to somewhere."""
    login = resolve_url(settings.LOGIN_URL)
    return response.status_code == 302 and response["Location"].startswith(f"{login}?")


def _sign_in_from(here: str) -> str:
    """Return the address of the sign-in page that leads back to a page."""
    path = "/" + here.split("/", 3)[3] if here.count("/") >= 3 else "/"
    query = urlencode({"next": path}, safe="/")
    return f"{resolve_url(settings.LOGIN_URL)}?{query}"
