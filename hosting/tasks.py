"""Background work on hosting that nobody waits for; each may run twice or side by side."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from hosting import overview, standing, sync
from portal.accounts.models import SinchProject
from portal.operations.tasks import until_nothing


@shared_task
def walk() -> int:
    """Have the lists of all active projects walked; return how many walks were asked for.

    The pairs of the environment are for the project of the environment.
    """
    own = SinchProject.objects.filter(project_id=settings.SINCH_PROJECT_ID, is_active=True).first()
    if own is not None:
        for plan, campaign in settings.HOSTING_PAIRS:
            sync.remember_pair(own, plan, campaign)
    return sum(
        overview.want_walks(project) for project in SinchProject.objects.filter(is_active=True)
    )


@shared_task
def recompute_due() -> int:
    """Work out the buckets that time alone has moved; return how many were looked at."""
    return until_nothing(lambda: standing.recompute_due(timezone.now()))
