from django.apps import AppConfig


class HostingConfig(AppConfig):
    """Hosting orders, imported numbers and qualified numbers."""

    name = "hosting"
    verbose_name = "Hosting"

    def ready(self) -> None:
        """Tell the engine and the search how hosting things are written, read and found."""
        from hosting import handlers, overview, readers

        handlers.register()
        readers.register()
        overview.register()
