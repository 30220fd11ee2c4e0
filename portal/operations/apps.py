from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """Intended writes to Sinch, wanted readings, and the engine that works through them."""

    name = "portal.operations"
    verbose_name = "Writes and readings"
