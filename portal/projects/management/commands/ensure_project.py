"""Connect the Sinch project that the environment names."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from portal import env
from portal.accounts.models import SinchProject
from portal.celery import app
from portal.operations import readings
from portal.projects import callbacks

# The rooms that find orders lie above; Celery knows them by these names.
DISCOVER = ("orders.tasks.discover", "hosting.tasks.walk")


class Command(BaseCommand):
    """Make or update the project of SINCH_PROJECT_ID, with its tokens. Safe to repeat."""

    help = "Connect the Sinch project named by SINCH_PROJECT_ID, SINCH_KEY_ID, SINCH_KEY_SECRET."

    def handle(self, *args: Any, **options: Any) -> None:
        """Store the project, see that it has a webhook token, have its orders looked for."""
        if not settings.SINCH_PROJECT_ID:
            self.stdout.write(
                "SINCH_PROJECT_ID, SINCH_KEY_ID and SINCH_KEY_SECRET are not set: no project is "
                "connected from the environment."
            )
            return
        with transaction.atomic():
            project, made = _store()
            callbacks.prepare(project, "start")
        self.stdout.write(f"{project.name}: {'connected' if made else 'up to date'}.")
        try:
            for task in DISCOVER:
                app.send_task(task, ignore_result=True, expires=600)
        except Exception as error:
            # Beat sends the same task by itself, so the orders come a few minutes later.
            self.stdout.write(f"The workers cannot be called yet ({type(error).__name__}).")


def _store() -> tuple[SinchProject, bool]:
    sandbox = env.flag("SINCH_SANDBOX")
    name = "Sandbox" if sandbox else f"Project {settings.SINCH_PROJECT_ID[:8]}"
    project = (
        SinchProject.objects.select_for_update()
        .filter(project_id=settings.SINCH_PROJECT_ID)
        .first()
    )
    if project is None:
        return (
            SinchProject.objects.create(
                name=name,
                project_id=settings.SINCH_PROJECT_ID,
                key_id=settings.SINCH_KEY_ID,
                key_secret=settings.SINCH_KEY_SECRET,
            ),
            True,
        )
    key = (settings.SINCH_KEY_ID, settings.SINCH_KEY_SECRET)
    if (project.key_id, project.key_secret) != key:
        project.key_id, project.key_secret = key
        project.key_changed_at = timezone.now()
    was_in_use, project.is_active = project.is_active, True
    # A name given by an administrator stays.
    project.save()
    if not was_in_use:
        readings.take_up(project)
    return project, False
