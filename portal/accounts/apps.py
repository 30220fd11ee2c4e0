from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Sinch projects, their secrets, and the people of the desk."""

    name = "portal.accounts"
    verbose_name = "People and Sinch projects"
