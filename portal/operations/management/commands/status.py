"""Say whether the desk is healthy, for people at a shell and for monitors."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError

from portal import health

WORDS = {health.GOOD: "ok", health.WARNING: "warning", health.BAD: "bad"}
EXITS = {health.GOOD: 0, health.WARNING: 1, health.BAD: 2}


class Command(BaseCommand):
    """One line for each check; exit code 0, 1 for a warning, 2 for trouble, 3 for no database."""

    help = __doc__
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add --json."""
        parser.add_argument("--json", action="store_true", help="print one JSON object instead")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the checks and leave with the code of the worst."""
        try:
            found = health.summary()
        except DatabaseError as error:
            self.stdout.write(f"bad      Database: does not answer ({type(error).__name__})")
            raise SystemExit(3) from None
        if options["json"]:
            self.stdout.write(json.dumps(found))
        else:
            for check in found["checks"]:
                hint = f"  {check['hint']}" if check["hint"] else ""
                line = f"{WORDS[check['tone']]:8} {check['name']}: {check['found']}{hint}"
                self.stdout.write(line)
        raise SystemExit(EXITS[found["worst"]])
