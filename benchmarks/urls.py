"""The portal's addresses and the bare view."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from benchmarks.models import BareRow
from benchmarks.pages import plain


@csrf_exempt
def bare(request: HttpRequest) -> HttpResponse:
    """Store the body with one INSERT and answer 200."""
    BareRow.objects.create(body=request.body)
    return HttpResponse()


urlpatterns = [
    path("bare/", bare),
    path("bench/<str:kind>/<int:pk>/", plain, name="bench-plain"),
    path("", include("portal.urls")),
]
