from django.apps import AppConfig


class OrdersConfig(AppConfig):
    """Port-in orders."""

    name = "orders"
    verbose_name = "Port-in orders"

    def ready(self) -> None:
        """Tell the engine and the search how port-in orders are written, read and found."""
        from orders import copies, handlers, handlers_update
        from portal.operations import readings

        handlers.register()
        handlers_update.register()
        readings.register(copies.DocumentReader())
