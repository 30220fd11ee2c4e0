"""Addresses of the settings."""

from django.urls import path

from portal.projects import views, views_callbacks

app_name = "projects"
urlpatterns = [
    path("", views.settings_page, name="settings"),
    path("account/", views.account, name="account"),
    path("password/", views.PasswordView.as_view(), name="password"),
    path("look/", views.look, name="look"),
    path("projects/<int:pk>/test/", views.test_connection, name="test"),
    path("projects/<int:pk>/connection/", views.connection_live, name="connection"),
    path("projects/<int:pk>/configure/", views.configure, name="configure"),
    path("projects/<int:pk>/register/", views.register, name="register"),
    path("projects/<int:pk>/days-off/", views.add_day_off, name="add_day_off"),
    path("projects/<int:pk>/days-off/remove/", views.remove_day_off, name="remove_day_off"),
    path("projects/<int:pk>/loa/", views.expect_loa, name="expect_loa"),
    path("projects/<int:pk>/callbacks/", views_callbacks.live, name="callbacks"),
    path("projects/<int:pk>/callbacks/read/", views_callbacks.read, name="read_callbacks"),
    path("projects/<int:pk>/callbacks/address/", views_callbacks.make_address, name="make_address"),
    path("projects/<int:pk>/callbacks/sources/", views_callbacks.sources, name="sources"),
    path("projects/<int:pk>/callbacks/secrets/", views_callbacks.make_secret, name="make_secret"),
    path("projects/<int:pk>/callbacks/take/", views_callbacks.take_secret, name="take_secret"),
    path(
        "projects/<int:pk>/callbacks/secrets/<int:secret_pk>/show/",
        views_callbacks.show_secret,
        name="show_secret",
    ),
    path(
        "projects/<int:pk>/callbacks/secrets/<int:secret_pk>/end/",
        views_callbacks.end_secret,
        name="end_secret",
    ),
    path("projects/<int:pk>/import-limit/", views_callbacks.import_limit, name="import_limit"),
    path("projects/<int:pk>/tokens/", views.make_token, name="make_token"),
    path("projects/<int:pk>/tokens/<int:token_pk>/show/", views.show_token, name="show_token"),
    path("projects/<int:pk>/tokens/<int:token_pk>/end/", views.end_token, name="end_token"),
]
