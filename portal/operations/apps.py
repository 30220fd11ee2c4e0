from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """Intended writes to Sinch, wanted readings, and the engine that works through them."""

    name = "portal.operations"
    verbose_name = "Writes and readings"

    def ready(self) -> None:
        """Have the rounds of the loops noted."""
        from portal.operations import loops  # noqa: F401 - its receiver is connected
