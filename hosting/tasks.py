"""Background work on hosting that nobody waits for; each may run twice or side by side."""

import logging

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from hosting import overview, standing, sync
from portal.accounts.models import SinchProject
from portal.database.base import soon_on_disk
from portal.operations.tasks import until_nothing

log = logging.getLogger(__name__)


@shared_task
def walk() -> int:
    """Have the lists of all active projects walked; return how many walks were asked for.

    The pairs of the environment are for the project of the environment. What goes wrong with one
    project keeps no other waiting; the next beat tries again.
    """
    wished = 0
    for project in SinchProject.objects.filter(is_active=True):
        try:
            if project.project_id == settings.SINCH_PROJECT_ID:
                for plan, campaign in settings.HOSTING_PAIRS:
                    sync.remember_pair(project, plan, campaign)
            wished += overview.want_walks(project)
        except Exception:
            # Somebody holds its row, say.
            log.exception("The hosting lists of %s could not be asked for", project.name)
    return wished


@shared_task
def recompute_due() -> int:
    """Work out the buckets that time alone has moved; return how many were looked at."""
    with soon_on_disk():
        return until_nothing(lambda: standing.recompute_due(timezone.now()))
