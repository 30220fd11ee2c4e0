from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """What Sinch tells us: received, stored, dispatched."""

    name = "webhooks"
    verbose_name = "Webhooks"

    def ready(self) -> None:
        """Be told of readings, which is what finishes a delivery."""
        from webhooks import dispatch

        dispatch.register()
