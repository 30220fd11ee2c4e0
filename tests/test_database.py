"""Sessions of the pool: none is handed out dead, and handing one out asks the server nothing."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from tests.tools import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def elsewhere():
    """Call something in another thread, whose connection is a session of the pool."""
    connection.ensure_connection()  # one of our own, which is not in the pool meanwhile
    with ThreadPoolExecutor(1) as thread:
        yield lambda call: thread.submit(call).result(30)


def session() -> int:
    """Take a session from the pool as a request does, ask for its process, and give it back."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])
    finally:
        connection.close()


def rows(statement: str, pids: Iterable[int]) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(pids)])
        return list(cursor.fetchall())


def test_a_session_that_the_server_ended_is_not_handed_out(elsewhere):
    def several() -> set[int]:
        return {session() for _ in range(20)}

    before = elsewhere(several)
    rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ANY(%s)", before)
    wait_for(
        lambda: not rows("SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)", before),
        what="the end of the sessions",
    )
    after = elsewhere(several)
    assert after
    assert not after & before


def test_handing_out_a_session_asks_the_server_nothing(elsewhere):
    def handed_out() -> int:
        try:
            connection.ensure_connection()
            return int(connection.connection.info.backend_pid)
        finally:
            connection.close()

    def last_asked() -> dict[object, object]:
        moments = "SELECT pid, state_change FROM pg_stat_activity WHERE pid = ANY(%s)"
        return dict(rows(moments, known))

    known = elsewhere(lambda: {session() for _ in range(20)})
    before = last_asked()
    taken = elsewhere(handed_out)

    assert last_asked()[taken] == before[taken]
