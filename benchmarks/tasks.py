"""The least that a task which asks Sinch could do; for measurements only."""

from celery import shared_task
from django.utils import timezone

from portal.accounts import clients
from portal.operations.models import Reading


@shared_task
def ask(pk: int) -> None:
    """Find a reading, ask Sinch for its order, and note when: two statements and one request."""
    reading = Reading.objects.select_related("project").get(pk=pk)
    clients.porting_client(reading.project).get_order_details(reading.resource_id)
    Reading.objects.filter(pk=pk).update(read_at=timezone.now())
