from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Sinch projects, their secrets, and the people of the desk."""

    name = "portal.accounts"
    verbose_name = "People and Sinch projects"

    def ready(self) -> None:
        """Tell the engine how a project's configuration is read and written."""
        from portal.accounts import callbacks, configuration

        configuration.register()
        callbacks.register()
