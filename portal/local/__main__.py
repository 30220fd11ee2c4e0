"""`python -m portal.local <command>`: what the Makefile calls."""

import argparse
import sys

from portal.local import chromium, paths
from portal.local.desk import Desk, Refused, give_new_password, manage, reset, told_of_disk
from portal.local.prepare import check_migrations
from portal.local.servers import ServerError


def main() -> int:
    """Run one command and return its exit status; what is wrong is told in one sentence."""
    parser = argparse.ArgumentParser(prog="python -m portal.local", description=__doc__)
    commands = ["run", "manage", "password", "chromium", "reset", "migrations"]
    parser.add_argument("command", choices=commands)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of manage: those of manage.py")
    given = parser.parse_args()
    command = given.command
    try:
        if command == "run":
            return Desk().run()
        if command == "manage":
            return manage(paths.LOCAL_DIR, given.arguments)
        if command == "password":
            return give_new_password(paths.LOCAL_DIR)
        if command == "reset":
            return reset(paths.LOCAL_DIR)
        if command == "migrations":
            return check_migrations()
        print(f"Browser tests use {chromium.ensure()}")
    except (Refused, ServerError, chromium.NoChromium) as error:
        print(f"The portal cannot start: {error}" if command == "run" else error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"This cannot be done: {told_of_disk(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
