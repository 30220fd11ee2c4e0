"""The doorbell for deliveries."""

from celery import shared_task

from portal.database.base import soon_on_disk
from portal.operations import doorbell
from portal.operations.tasks import work_through
from webhooks import dispatch


@shared_task
def process_deliveries() -> int:
    """Look into due deliveries. Safe to run twice; nothing due is no error."""
    with soon_on_disk():
        return work_through(dispatch.process_some, doorbell.DELIVERIES)
