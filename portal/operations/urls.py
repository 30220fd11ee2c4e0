"""Addresses of writes."""

from django.urls import path

from portal.operations import views

app_name = "operations"
urlpatterns = [
    path("seen/", views.seen_together, name="seen_together"),
    path("<uuid:key>/", views.detail, name="detail"),
    path("<uuid:key>/live/", views.live, name="live"),
    path("<uuid:key>/seen/", views.seen, name="seen"),
    path("<uuid:key>/again/", views.again, name="again"),
]
