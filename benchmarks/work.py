"""Figure 8: what a Celery worker costs the database in sessions."""

import time

from django.db import connection

from benchmarks.desk import held, process
from benchmarks.result import Figure
from portal.celery import app

TASKS = 1000


def _sessions() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT sessions FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def sessions(quick: bool) -> list[Figure]:
    """New PostgreSQL sessions for 1,000 tasks, each of which looks for due rows."""
    app.control.purge()
    before = _sessions()
    with process("celery", "-A", "portal", "worker", "-P", "threads", "-c", "16", "-Q", "sync"):
        results = "portal.operations.tasks.run_readings"
        for _ in range(TASKS):
            app.send_task(results, queue="sync", ignore_result=True)
        until = time.monotonic() + 120
        with app.connection_for_read() as broker:
            channel = broker.default_channel
            while channel.client.llen("sync") or held():
                if time.monotonic() > until:
                    break
                time.sleep(0.2)
        left = app.control.purge()
        time.sleep(1)  # PostgreSQL tells its statistics about once a second
        new = _sessions() - before
    return [
        Figure(
            8,
            f"new PostgreSQL sessions for {TASKS:,} tasks",
            f"{new}; {left} tasks left",
            "≤ 20",
            new <= 20 and not left,
        )
    ]
