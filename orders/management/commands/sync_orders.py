"""manage.py sync_orders: brings the mirror in step with Sinch, in one go."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import F
from django.utils import timezone

from orders import discovery
from orders.models import PortInOrder
from portal.accounts.models import SinchProject
from portal.operations import leases, readings
from portal.operations.models import Reading
from portal.sinch.errors import SinchError, SinchUnavailable

PATIENCE = 90.0  # seconds to wait for readings that a worker has taken
BAR = 30  # characters


class Command(BaseCommand):
    """Walk the list of orders at Sinch and read every order that is new or differs."""

    help = (
        "Bring the mirror of port-in orders in step with Sinch: walk the list, read every order "
        "that is new or differs. For cron and for the first start; workers may run meanwhile."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take which orders and which project."""
        parser.add_argument("--all", action="store_true", help="read every order, not only these")
        parser.add_argument("--project", help="the Sinch project id; without it all active ones")

    def handle(self, *args: Any, **options: Any) -> None:
        """Sync each project; exit with 1 when Sinch could not be reached or an order not read."""
        projects = SinchProject.objects.filter(is_active=True)
        if options["project"]:
            projects = projects.filter(project_id=options["project"])
        if not projects:
            self._stop("There is no such active Sinch project in the desk.")
        failed, is_all = 0, True
        for project in projects:
            started = time.monotonic()
            try:
                discovery.read_configuration(project)
                wished = discovery.discover(project, everything=options["all"])
                failed += self._read(project, list(wished.values()))
            except SinchError as error:
                self.stderr.write(f"{project.name}: {error.staff_message}")
                is_all = False
                continue
            seconds = time.monotonic() - started
            orders = PortInOrder.objects.filter(project=project).count()
            self.stdout.write(
                f"{project.name}: {orders:,} orders here, {len(wished):,} read again, "
                f"{seconds:.1f} s."
            )
        if failed:
            self._stop(f"{failed:,} orders could not be read; they are tried again by themselves.")
        if not is_all:
            raise SystemExit(1)

    def _read(self, project: SinchProject, pks: list[int]) -> int:
        """Read what was asked for, beside the workers; return how many could not be read."""
        total, failed = len(pks), set[int]()
        until = time.monotonic() + PATIENCE
        while True:
            left = self._left(pks) - failed
            self._bar(project, total - len(left) - len(failed), total)
            if not left:
                break
            mine = Reading.claim(
                Reading.objects.select_related("project").filter(pk__in=left),
                limit=1,
                seconds=leases.LEASE_SECONDS,
            )
            with leases.held(mine):
                for reading in mine:
                    until = time.monotonic() + PATIENCE
                    if not self._read_one(reading):
                        failed.add(reading.pk)
            if not mine:
                if time.monotonic() > until:
                    failed |= left
                    break
                time.sleep(0.2)  # a worker is at it
        if total and self.stdout.isatty():
            self.stdout.write("")
        return len(failed)

    @staticmethod
    def _left(pks: list[int]) -> set[int]:
        return set(
            Reading.objects.filter(pk__in=pks)
            .exclude(read_at__gte=F("requested_at"))
            .values_list("pk", flat=True)
        )

    @staticmethod
    def _read_one(reading: Reading) -> bool:
        started_at = timezone.now()
        try:
            again = readings.readers()[reading.kind].read(reading, started_at)
        except SinchUnavailable as error:
            # Without Sinch there is no use in asking for the rest.
            reading.try_later(error.staff_message, error.retry_after)
            raise
        except SinchError as error:
            reading.try_later(error.staff_message, error.retry_after)
            return False
        readings.finish(reading, started_at, again)
        return True

    def _bar(self, project: SinchProject, done: int, total: int) -> None:
        """Draw the progress in place on a terminal, and in a few lines elsewhere."""
        if not total:
            return
        filled = BAR * done // total
        text = f"{project.name} [{'#' * filled}{'.' * (BAR - filled)}] {done:,} of {total:,}"
        if self.stdout.isatty():
            self.stdout.write(f"\r{text}", ending="")
            self.stdout.flush()
        elif done == total or done % max(1, total // 10) == 0:
            self.stdout.write(text)

    def _stop(self, sentence: str) -> None:
        self.stderr.write(sentence)
        raise SystemExit(1)
