"""Django's PostgreSQL backend, whose pool looks at a session without asking the server."""

import select
from functools import partial

import psycopg
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


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, but for how the pool checks a session that it hands out."""

    @property
    def pool(self) -> ConnectionPool | None:
        """Return the pool of this process; None where the settings ask for none."""
        pool: ConnectionPool | None = super().pool
        if pool is not None and pool._check is ConnectionPool.check_connection:
            # Django names a check when it makes the pool and lets none be set.
            pool._check = partial(check, pool)
        return pool
