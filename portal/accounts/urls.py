"""Addresses of the settings."""

from django.urls import path

from portal.accounts import views

app_name = "accounts"
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
    path("projects/<int:pk>/tokens/", views.make_token, name="make_token"),
    path("projects/<int:pk>/tokens/<int:token_pk>/show/", views.show_token, name="show_token"),
    path("projects/<int:pk>/tokens/<int:token_pk>/end/", views.end_token, name="end_token"),
]
