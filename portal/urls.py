"""The addresses of the desk."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from django.views.generic import TemplateView

from portal import health
from portal.accounts.guards import staff_only

urlpatterns = [
    path("", include("portal.work.urls")),
    path("orders/", include("orders.urls")),
    path("hosting/", include("hosting.urls")),
    path("operations/", include("portal.operations.urls")),
    path("settings/", include("portal.projects.urls")),
    path("webhooks/", include("webhooks.urls")),
    path("sign-in/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("sign-out/", LogoutView.as_view(), name="logout"),
    path("healthz/", health.alive, name="alive"),
    path("health/", health.health_page, name="health"),
    path(
        "components/",
        staff_only(TemplateView.as_view(template_name="components.html")),
        name="components",
    ),
    path("admin/", admin.site.urls),
]
