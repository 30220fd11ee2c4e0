from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    """The settings: what is set for a Sinch project here and at Sinch, and one's own account."""

    name = "portal.projects"
    verbose_name = "Settings"

    def ready(self) -> None:
        """Tell the engine how a project's configuration is read and written."""
        from portal.projects import callbacks, configuration

        configuration.register()
        callbacks.register()
