"""Nothing due: what one figure leaves over is not the next one's work."""

from portal.celery import app
from portal.operations.models import Operation, Reading
from portal.work.models import WorkItem
from webhooks.models import Delivery


def nothing_due() -> None:
    """Let every row that waits for a worker wait for ever, and empty the queues."""
    for model in (Delivery, Reading, Operation):
        model._base_manager.exclude(next_try_at=None).update(next_try_at=None)
    WorkItem.objects.exclude(next_change_at=None).update(next_change_at=None)
    app.control.purge()
    with app.connection_for_write() as broker:
        for queue in ("people", "events", "sync"):
            broker.default_channel.client.delete(queue)
