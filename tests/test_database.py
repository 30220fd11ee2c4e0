"""Sessions of the pool: none is handed out dead, and handing one out asks the server nothing."""

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import DatabaseError, OperationalError, connection
from django.test.utils import CaptureQueriesContext

from hosting.tasks import recompute_due as recompute_hosting
from orders.tasks import recompute_due as recompute_orders
from portal.database.base import soon_on_disk
from portal.operations.tasks import purge, run_operations, run_readings
from tests.tools import wait_for
from webhooks.tasks import process_deliveries

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


# --- Commits that do not wait for the disk ----------------------------------------------------


def waits_for_disk() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        return bool(cursor.fetchone()[0] == "on")


def test_commits_do_not_wait_for_the_disk_as_long_as_is_said_and_no_longer():
    assert waits_for_disk()
    with soon_on_disk():
        assert not waits_for_disk()
        with soon_on_disk():
            assert not waits_for_disk()
        assert not waits_for_disk()
    assert waits_for_disk()


def test_commits_wait_again_after_a_fault():
    with pytest.raises(DatabaseError), soon_on_disk(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")
    assert waits_for_disk()


def test_a_session_given_back_early_is_not_handed_out_again(elsewhere):
    def given_back() -> int:
        with soon_on_disk():
            return session()

    pids = elsewhere(given_back, 1)
    wait_for(
        lambda: not rows("SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)", pids),
        what="the end of the session",
    )


def test_a_session_that_ends_meanwhile_hides_no_fault(elsewhere):
    def ended() -> None:
        with soon_on_disk(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(OperationalError):
        elsewhere(ended, 1)


@pytest.mark.parametrize(
    "task", [run_readings, process_deliveries, purge, recompute_orders, recompute_hosting]
)
def test_what_is_done_again_anyway_does_not_wait_for_the_disk(task):
    with CaptureQueriesContext(connection) as queries:
        task()
    said = [query["sql"] for query in queries]
    assert said[0] == "SET synchronous_commit = off"
    assert said[-1] == "RESET synchronous_commit"


def test_a_write_to_sinch_waits_for_the_disk_at_every_step():
    with CaptureQueriesContext(connection) as queries:
        run_operations()
    assert queries.captured_queries
    assert not any("synchronous_commit" in query["sql"] for query in queries)
