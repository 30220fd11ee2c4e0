"""The least that a task which asks Sinch could do; for measurements only."""

from celery import shared_task
from django.utils import timezone

from portal.database.base import soon_on_disk
from portal.operations import clients
from portal.operations.models import Reading
from portal.prepared import Prepared
from portal.writing import update

# As the desk's own tasks find their rows: put into words once, and without the key's secret.
_found = Prepared(
    lambda pk: Reading.objects.select_related("project").defer("project__key_secret").filter(pk=pk)
)


@shared_task
def ask(pk: int) -> None:
    """Find a reading, ask Sinch for its order, and note when: two statements and one request.

    As the desk's own readings do, it does not wait for the disk.
    """
    with soon_on_disk():
        reading = _found.get(pk)
        clients.porting_client(reading.project).get_order_details(reading.resource_id)
        update(reading, {"read_at": timezone.now()})
