"""Django's PostgreSQL backend, whose pool looks at a session without asking the server."""

import select

import psycopg
from django.db.backends.postgresql import base
from psycopg_pool import ConnectionPool


def check(session: psycopg.Connection) -> None:
    """Return if a session of the pool can be used; raise `psycopg.OperationalError` if not.

    A server that ends a session says so and hangs up: its socket has something to read then,
    which a session at rest has not. Only in that case is the server asked. psycopg's own check
    asks it each time, one round trip for every request and every task.
    """
    look = select.poll()
    look.register(session.fileno(), select.POLLIN)
    if look.poll(0):
        ConnectionPool.check_connection(session)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, but for how the pool checks a session that it hands out."""

    @property
    def pool(self) -> ConnectionPool | None:
        """Return the pool of this process; None where the settings ask for none."""
        pool: ConnectionPool | None = super().pool
        if pool is not None and pool._check is not None:
            # Django names a check when it makes the pool and lets none be set.
            pool._check = check
        return pool
