"""Makes every write about hosting known to the engine."""

from hosting import handlers_imported, handlers_orders, handlers_qualified


def register() -> None:
    """Register the handlers of orders, imported numbers and qualified numbers."""
    handlers_orders.register()
    handlers_imported.register()
    handlers_qualified.register()
