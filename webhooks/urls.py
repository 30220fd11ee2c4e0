"""Addresses of webhooks and their log."""

from django.urls import path

from webhooks import receive, views

app_name = "webhooks"
urlpatterns = [
    path("porting/<str:token>/", receive.porting, name="porting"),
    # Whoever registers the address without its last slash gets no redirect, which would lose
    # the event.
    path("porting/<str:token>", receive.porting),
    path("hosting/<str:token>/", receive.hosting, name="hosting"),
    path("hosting/<str:token>", receive.hosting),
    path("log/", views.log_page, name="log"),
    path("log/<int:pk>/", views.delivery, name="delivery"),
]
