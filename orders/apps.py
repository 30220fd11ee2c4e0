from django.apps import AppConfig


class OrdersConfig(AppConfig):
    """Port-in orders."""

    name = "orders"
    verbose_name = "Port-in orders"

    def ready(self) -> None:
        """Tell the engine and the search how port-in orders are written, read and found."""
        from orders import copies, handlers, handlers_create, handlers_update, readers
        from portal.operations import readings

        for room in (handlers, handlers_create, handlers_update, readers):
            room.register()
        readings.register(copies.DocumentReader())
