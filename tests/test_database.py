"""Sessions of the pool: none is handed out dead, and handing one out asks the server nothing."""

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from tests.tools import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
MANY = 8


@pytest.fixture
def elsewhere():
    """Call something in so many threads at once, each of which takes a session from the pool."""
    connection.ensure_connection()  # one of our own, which is not in the pool meanwhile
    with ThreadPoolExecutor(MANY) as threads:
        yield lambda call, times=MANY: list(threads.map(lambda _: call(), range(times), timeout=30))


def session(together: threading.Barrier | None = None) -> int:
    """Take a session from the pool as a request does, ask for its process, and give it back."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            if together:
                together.wait(20)
            return int(cursor.fetchone()[0])
    finally:
        connection.close()


def rows(statement: str, pids: Iterable[int]) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(pids)])
        return list(cursor.fetchall())


@pytest.fixture
def at_rest(elsewhere) -> set[int]:
    """The processes of several sessions that lie in the pool."""
    together = threading.Barrier(MANY)
    return set(elsewhere(lambda: session(together)))


def test_who_is_stopped_inside_a_transaction_does_not_hold_its_rows_for_long():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setting::int FROM pg_settings"
            " WHERE name = 'idle_in_transaction_session_timeout'"
        )
        (milliseconds,) = cursor.fetchone()
    assert 0 < milliseconds <= 60_000


def test_a_session_that_the_server_ended_is_not_handed_out(elsewhere, at_rest):
    assert len(at_rest) == MANY
    rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ANY(%s)", at_rest)
    wait_for(
        lambda: not rows("SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)", at_rest),
        what="the end of the sessions",
    )
    # A single one would come upon one dead session after the other.
    assert not at_rest.intersection(elsewhere(session, 1))
    assert not at_rest.intersection(elsewhere(session))


def test_handing_out_a_session_asks_the_server_nothing(elsewhere, at_rest):
    def handed_out() -> int:
        try:
            connection.ensure_connection()
            return int(connection.connection.info.backend_pid)
        finally:
            connection.close()

    def last_asked() -> dict[object, object]:
        moments = "SELECT pid, state_change FROM pg_stat_activity WHERE pid = ANY(%s)"
        return dict(rows(moments, at_rest))

    before = last_asked()
    taken = at_rest.intersection(elsewhere(handed_out))
    assert taken
    after = last_asked()
    assert {pid: after[pid] for pid in taken} == {pid: before[pid] for pid in taken}
