"""Background work on port-in orders that nobody waits for; each may run twice or side by side."""

import logging

from celery import shared_task
from django.utils import timezone

from orders import discovery, list_work, portability, standing
from portal.accounts.models import SinchProject
from portal.database.base import soon_on_disk
from portal.operations.tasks import until_nothing, work_through
from portal.sinch.errors import SinchError

log = logging.getLogger(__name__)


@shared_task
def discover() -> int:
    """Walk the lists of all active projects; return how many readings were asked for.

    What cannot be read of one project keeps nothing else waiting; the next beat tries again.
    """
    wished = 0
    for project in SinchProject.objects.filter(is_active=True):
        try:
            discovery.read_configuration(project, older_than=discovery.CONFIGURATION_AGE)
        except SinchError as error:
            log.warning("The settings of %s could not be read: %s", project.name, error)
        except Exception:  # a fault of ours, which is no reason to find no orders either
            log.exception("The settings of %s could not be read", project.name)
        try:
            wished += len(discovery.discover(project))
        except SinchError as error:
            log.warning("The orders of %s could not be listed: %s", project.name, error)
        except Exception:
            log.exception("The orders of %s could not be listed", project.name)
    return wished


@shared_task
def recompute_due() -> int:
    """Work out the buckets that time alone has moved; return how many were looked at."""
    with soon_on_disk():
        return until_nothing(lambda: standing.recompute_due(timezone.now()))


@shared_task
def read_lists() -> int:
    """Read lists of numbers that are due; return how many were looked at."""
    return work_through(list_work.run_one, list_work.TASK)


@shared_task
def check_portability() -> int:
    """Ask about the numbers of due runs, 500 at a time. Safe to run twice."""
    return work_through(portability.run_one, portability.TASK)
