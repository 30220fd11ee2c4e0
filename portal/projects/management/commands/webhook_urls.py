"""Print the webhook addresses to give to Sinch. They hold tokens: not for any log."""

from typing import Any

from django.core.management.base import BaseCommand

from portal.accounts.models import SinchProject
from portal.projects import configuration


class Command(BaseCommand):
    """One line for each active project: kind, full address, name of the project."""

    help = "Print the full webhook address of each Sinch project."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the newest valid address of each project."""
        for project in SinchProject.objects.filter(is_active=True):
            for kind in ("porting", "hosting"):
                if address := configuration.own_address(project, kind):
                    self.stdout.write(f"{kind} {address} {project.name}")
