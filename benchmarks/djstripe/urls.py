"""dj-stripe's own addresses, and one that tells that the site is up."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200."""
    return HttpResponse()


urlpatterns = [
    path("healthz/", healthz),
    path("stripe/", include("djstripe.urls", namespace="djstripe")),
]
