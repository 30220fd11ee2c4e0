"""Addresses of the home page and of the list of all work."""

from django.urls import path

from portal.work import views

app_name = "work"
urlpatterns = [
    path("", views.home, name="home"),
    path("work/", views.listing, name="list"),
    path("work/live/", views.list_live, name="list_live"),
]
