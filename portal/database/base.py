"""Django's PostgreSQL backend, with sessions of its pool that are not asked whether they live.

And whose commits need not wait for the disk where what they say is done again anyway.
"""

import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import psycopg
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.postgresql import base
from psycopg_pool import ConnectionPool


def check(pool: ConnectionPool, session: psycopg.Connection) -> None:
    """Return if a session of the pool can be used; raise `psycopg.OperationalError` if not.

    A server that ends a session says so and hangs up: its socket has something to read then,
    which a session at rest has not. Only in that case is the server asked. psycopg's own check
    asks it each time, one round trip for every request and every task.
    """
    look = select.poll()
    look.register(session.fileno(), select.POLLIN)
    if not look.poll(0):
        return
    try:
        pool.check_connection(session)
    except psycopg.OperationalError:
        # Mostly all of them ended together. Left to itself the pool comes upon one after the
        # other, with a pause that doubles, and gives up at the fifth.
        pool.check()
        raise


@contextmanager
def soon_on_disk() -> Iterator[None]:
    """Let commits return before they are on disk, for work that is done again when they are lost.

    A server that crashes loses the last of them, the newest first, and so whatever was claimed,
    read or dealt with in them is due as before. Any commit elsewhere takes those before it to the
    disk. Nothing that leaves the desk may hang on them: no write to Sinch, no answer to anybody.
    """
    database = connections[DEFAULT_DB_ALIAS]
    assert isinstance(database, DatabaseWrapper)
    database.ensure_connection()
    if database.hasty is database.connection:
        yield
        return
    session = database.hasty = database.connection
    try:
        with database.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")
        yield
    finally:
        if database.hasty is session:  # it was not given back, and has not ended
            with suppress(Error), database.cursor() as cursor:
                cursor.execute("RESET synchronous_commit")
                database.hasty = None


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, but for how its pool checks a session, and which it does not take back."""

    # The session whose commits return before they are on disk.
    hasty: psycopg.Connection | None = None

    @property
    def pool(self) -> ConnectionPool | None:
        """Return the pool of this process; None where the settings ask for none."""
        pool: ConnectionPool | None = super().pool
        if pool is not None and pool._check is ConnectionPool.check_connection:
            # Django names a check when it makes the pool and lets none be set.
            pool._check = partial(check, pool)
        return pool

    def _close(self) -> None:
        if self.hasty is not None and self.hasty is self.connection:
            # Given back early, or broken: nobody else gets a session whose commits do not wait.
            self.hasty.close()
        self.hasty = None
        super()._close()  # type: ignore[misc] # the stubs do not know it
