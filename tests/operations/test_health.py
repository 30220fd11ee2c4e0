"""What tells whether the desk is healthy: checks, their page, the command, and what is kept."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from celery.signals import task_postrun
from django.core.cache import cache
from django.core.management import call_command
from django.db import OperationalError, connection, connections
from django.db.models import F
from django.db.transaction import atomic
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal import health
from portal.accounts.models import CallbackSecret, SinchProject
from portal.operations import calls, clients, loops, retention, runner, tasks
from portal.operations.models import Loop, Operation, Reading, SinchCall
from portal.sinch.errors import SinchHeldBack, SinchUnavailable
from portal.sinch.parts import CallRecord
from portal.work import context
from tests.tools import lose
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parents[2]
BACKEND = "portal.accounts.backends.EmailOrUsernameBackend"


@pytest.fixture
def kept(settings):
    """Have calls to Sinch logged; the tests write the log themselves."""
    settings.CALL_LOG_DAYS = 14
    calls._kept.clear()
    yield calls._kept
    calls._kept.clear()


@pytest.fixture
def quiet(project, settings):
    """A desk whose loops have all just gone round."""
    for name in loops.names():
        loops.note(name)
    return project


@pytest.fixture
def mara(make_agent) -> Client:
    client = Client()
    client.force_login(make_agent("mara", "manage_project"), backend=BACKEND)
    return client


def check(name: str) -> health.Check:
    return next(c for _, checks in health.checked() for c in checks if c.name == name)


def status(*options: str) -> tuple[int, str]:
    said = StringIO()
    with pytest.raises(SystemExit) as left:
        call_command("status", *options, stdout=said)
    return left.value.code, said.getvalue()


def delivery(project, **fields) -> Delivery:
    usual = {"project": project, "body": b"{}", "size": 2, "digest": "x", "headers": {}}
    return Delivery.objects.create(**usual | fields)


def call(status: int | None = 200, path: str = "/orders/portIns/40118273", **more) -> CallRecord:
    return CallRecord("GET", path, status, 0.25, more.get("error"))


# --- Checks -------------------------------------------------------------------------------------


def test_a_quiet_desk_is_well_and_says_so_to_a_monitor(quiet):
    code, said = status()
    assert code == 0, said
    assert "ok       Webhooks not dealt with: none waits" in said
    code, said = status("--json")
    assert (code, json.loads(said)["worst"]) == (0, "done")


@pytest.mark.parametrize(("minutes", "code"), [(0, 0), (2, 1), (6, 2)])
def test_the_oldest_webhook_that_waits_decides(minutes, code, quiet):
    delivery(quiet, received_at=timezone.now() - timedelta(minutes=minutes))
    assert status()[0] == code


@pytest.mark.parametrize(("minutes", "code"), [(0, 0), (2, 1), (6, 2)])
def test_the_oldest_write_under_way_decides(minutes, code, quiet):
    at = timezone.now() - timedelta(minutes=minutes)
    Operation.objects.create(project=quiet, kind="port_in.note", target="x", created_at=at)
    assert status()[0] == code


@pytest.mark.parametrize(("minutes", "tone"), [(0, "done"), (2, "us"), (6, "bad")])
def test_readings_that_are_overdue_are_told(minutes, tone, quiet):
    due = timezone.now() - timedelta(minutes=minutes)
    Reading.objects.create(project=quiet, kind="port_in", resource_id="1", next_try_at=due)
    assert check("Readings overdue").tone == tone


def test_a_sinch_that_does_not_answer_is_told_as_the_bar_above_tells_it(quiet, mara):
    row = {"project": quiet, "kind": "port_in", "last_error": "Sinch cannot be reached."}
    tried = Reading.objects.create(**row, resource_id="40118273", attempts=2)
    assert "Sinch does not answer" not in mara.get(reverse("health")).content.decode()
    assert health.worst_of([check("Readings tried in vain")]) == health.GOOD
    Reading.objects.filter(pk=tried.pk).update(attempts=3)
    cache.clear()
    assert "Sinch does not answer" in mara.get(reverse("health")).content.decode()
    found = check("Readings tried in vain")
    assert (found.found, found.tone) == ("1: Sinch cannot be reached.", health.BAD)


def test_what_has_stopped_is_told_until_somebody_has_seen_it(quiet):
    row = delivery(quiet, state="dead", next_try_at=None)
    stopped = Operation.objects.create(
        project=quiet, kind="port_in.note", target="x", state="dead", next_try_at=None
    )
    assert check("Webhooks stopped").tone == check("Writes stopped").tone == "bad"
    assert status()[0] == 2
    Delivery.objects.filter(pk=row.pk).update(seen_at=timezone.now())
    Operation.objects.filter(pk=stopped.pk).update(seen_at=timezone.now())
    assert status()[0] == 0


@pytest.fixture
def database_clock():
    """Put the clock of the database back by some seconds until the transaction ends."""

    def put_back(seconds: float) -> None:
        with connection.cursor() as cursor:
            cursor.execute("CREATE SCHEMA IF NOT EXISTS wrong_time")
            cursor.execute(
                "CREATE OR REPLACE FUNCTION wrong_time.clock_timestamp() RETURNS timestamptz AS "
                f"$$ SELECT pg_catalog.clock_timestamp() - interval '{seconds} s' $$ LANGUAGE sql"
            )
            cursor.execute("SET LOCAL search_path = wrong_time, pg_catalog, public")

    return put_back


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (7, "this machine is 7 seconds ahead of the database"),
        (-90, "this machine is 90 seconds behind the database"),
    ],
)
def test_a_machine_whose_clock_is_another_is_told(seconds, told, quiet, database_clock):
    assert check("Clocks") == health.Check("Clocks", "agree")
    database_clock(seconds)
    found = check("Clocks")
    assert (found.found, found.tone) == (told, health.WARNING)
    assert "NTP" in found.hint
    assert status()[0] == 1


def test_a_worker_whose_clock_is_another_is_told(quiet, database_clock):
    database_clock(5)
    loops.note("portal.operations.tasks.beat")
    database_clock(0)
    assert check("Clocks").found == "a worker is 5 seconds ahead of the database"
    loops.note("portal.operations.tasks.beat")
    assert check("Clocks").found == "agree"


def test_a_loop_that_stands_still_is_told_by_name(quiet):
    Loop.objects.filter(pk="portal.operations.tasks.run_readings").update(
        ran_at=timezone.now() - timedelta(minutes=3)
    )
    code, said = status()
    assert code == 2
    assert "Readings from Sinch: last round 3 min ago" in said
    assert "beat and the workers" in said


def test_a_round_noted_by_a_clock_that_is_ahead_does_not_hide_that_a_loop_stands_still(quiet):
    name, soon = "portal.operations.tasks.beat", timezone.now() + timedelta(hours=1)
    loops.note(name, soon)
    noted = loops.last_rounds()[name]
    assert noted
    assert noted <= timezone.now()
    Loop.objects.filter(pk=name).update(ran_at=soon)  # as a version before this one noted it
    loops.note(name)
    noted = loops.last_rounds()[name]
    assert noted
    assert noted <= timezone.now()


def test_every_loop_of_the_schedule_has_a_name_for_people():
    assert loops.names().keys() == health.LOOPS.keys()


def test_a_loop_that_goes_round_every_few_seconds_may_be_silent_for_a_while():
    assert min(loops.names().values()) >= loops.LEAST


def test_a_round_of_a_task_is_noted(db):
    loops._noted.clear()
    tasks.beat.apply()
    assert loops.last_rounds()["portal.operations.tasks.beat"] is not None


def test_a_round_that_failed_is_not_noted(db):
    loops._noted.clear()
    task_postrun.send(sender=tasks.beat, task=tasks.beat, state="FAILURE")
    assert loops.last_rounds()[tasks.beat.name] is None


def test_a_round_that_cannot_be_noted_is_a_round_all_the_same(db, caplog):
    def full(execute, sql, *question):
        if "operations_loop" in sql:
            raise OperationalError("no space left on device")
        return execute(sql, *question)

    loops._noted.clear()
    with connection.execute_wrapper(full):
        assert tasks.beat.apply().successful()
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    text = f"The round of {tasks.beat.name} could not be noted (OperationalError)"
    assert [one for one in said if one[0] in ("WARNING", "ERROR")] == [("WARNING", text)]


def test_a_round_that_is_noted_late_hides_no_newer_one(db):
    now = timezone.now()
    for minutes in (1, 2):
        loops.note(tasks.beat.name, now - timedelta(minutes=minutes))
    assert loops.last_rounds()[tasks.beat.name] == now - timedelta(minutes=1)


def test_a_redis_that_is_away_is_told_and_nothing_breaks(quiet, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert check("Redis").tone == "bad"


def test_a_key_whose_secret_no_key_reads_is_told_with_what_to_do(quiet, mara):
    lose(quiet, "key_secret")
    code, said = status()
    assert code == 2
    assert "bad      Access key of Test project: its secret cannot be read" in said
    assert "replace the access key in Settings" in said
    assert "its secret cannot be read" in mara.get(reverse("health")).content.decode()


def test_a_key_that_is_none_of_sinchs_is_told_with_what_to_do(quiet, mara):
    SinchProject.objects.update(key_id="key:secret")  # both typed into one field
    code, said = status()
    assert code == 2
    assert "bad      Access key of Test project: it cannot be used" in said
    assert "it cannot be used" in mara.get(reverse("health")).content.decode()


@pytest.mark.parametrize(("lost", "code"), [(None, 0), ("old", 1), ("new", 2)])
def test_a_callback_secret_that_no_key_reads_is_told_as_long_as_it_is_valid(lost, code, quiet):
    made = {name: CallbackSecret.make(quiet) for name in ("old", "new")}
    SinchProject.objects.update(callback_secret_hash=made["new"].secret_hash)
    if lost:
        lose(made[lost], "secret")
    assert status()[0] == code
    assert ("make a new secret in Settings" in status()[1]) is bool(lost)
    CallbackSecret.objects.filter(pk=made[lost or "old"].pk).update(retired_at=timezone.now())
    assert status()[0] == 0


def test_without_a_database_the_command_says_so():
    gone = os.environ | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    ran = subprocess.run(
        [sys.executable, "manage.py", "status"], cwd=ROOT, env=gone, capture_output=True, text=True
    )
    assert ran.returncode == 3, ran.stdout + ran.stderr
    assert "Database: does not answer" in ran.stdout


def test_the_page_shows_every_check_and_is_for_who_manages_projects(mara, agent_client, quiet):
    page = mara.get(reverse("health")).content.decode()
    for _, checks in health.checked():
        for one in checks:
            assert one.name in page
    assert "All is well" in page
    assert agent_client.get(reverse("health")).status_code == 403
    part = mara.get(reverse("health"), headers={"HX-Request": "true", "HX-Target": "health"})
    assert part.content.decode().lstrip().startswith("<div")


# --- Calls to Sinch -----------------------------------------------------------------------------


def test_calls_are_logged_without_ids_and_told(kept, quiet, mara):
    calls.note(quiet.pk, call())
    calls.note(quiet.pk, call(429))
    for _ in range(3):
        calls.note(quiet.pk, call(None, error="SinchUnavailable no connection"))
    calls.note(quiet.pk, call(500, "/qualifiedNumbers/%2B12065550142:sendVoiceChallenge"))
    calls.flush()
    assert set(SinchCall.objects.values_list("path", flat=True)) == {
        "/orders/portIns/…",
        "/qualifiedNumbers/…:sendVoiceChallenge",
    }
    assert check("Calls in the last hour").found == "6"
    assert check("Calls that failed at Sinch").found == "4, 67%"
    assert check("Sinch asked us to slow down (429)").found == "1 time"
    page = mara.get(reverse("health")).content.decode()
    assert "Unavailable, no connection" in page
    assert "12065550142" not in page


def test_that_sinch_does_not_answer_is_told_once_three_calls_in_a_row_failed(kept, quiet):
    assert check("Sinch answers").found == "nothing was asked in the last hour"
    calls.note(quiet.pk, call(404))
    for _ in range(2):
        calls.note(quiet.pk, call(503))
    calls.flush()
    assert check("Sinch answers").found.startswith("yes, ")
    calls.note(quiet.pk, call(None, error="SinchUnavailable no connection"))
    calls.flush()
    told = check("Sinch answers")
    assert told.found.startswith("no: the last 3 calls failed, the first ")
    assert told.tone == health.WARNING
    SinchCall.objects.update(at=F("at") - timedelta(minutes=2))
    assert check("Sinch answers").tone == health.BAD
    calls.note(quiet.pk, call())
    calls.flush()
    assert check("Sinch answers").tone == health.GOOD


def test_the_last_calls_of_a_day_that_did_not_go_well_are_named_newest_first(project):
    now = timezone.now()
    for minutes, status in ((3, 200), (2, 400), (1, None), (25 * 60, 500)):
        at = now - timedelta(minutes=minutes)
        SinchCall.objects.create(
            project=project, at=at, method="GET", path="/", milliseconds=1, status=status
        )
    assert [row.status for row in calls.troubles()] == [None, 400]
    assert [row.status for row in calls.troubles(limit=1)] == [None]


def test_a_desk_that_keeps_no_log_of_calls_keeps_none_in_memory_either(kept, settings, project):
    settings.CALL_LOG_DAYS = 0
    calls.note(project.pk, call())
    assert not kept


@pytest.mark.django_db(transaction=True)
def test_calls_are_given_up_while_the_database_is_away_and_logged_when_it_is_back(
    kept, project, caplog
):
    calls.note(project.pk, call())
    session = connection.connection.info.backend_pid
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [session])
    other.close()
    assert calls.flush() == 0
    assert "1 calls could not be logged" in caplog.text
    connection.close()
    calls.note(project.pk, call())
    assert calls.flush() == 1
    assert SinchCall.objects.count() == 1


def test_a_call_of_a_client_is_logged_with_its_token_call(kept, porting_client, project):
    list(porting_client.iter_port_in_orders())
    calls.flush()
    rows = {(row.method, row.path, row.status) for row in SinchCall.objects.all()}
    assert ("GET", "/orders/portIns", 200) in rows
    assert any(method == "POST" for method, _, _ in rows)
    left = clients.token_seconds_left(project)
    assert left is not None
    assert left > 60


def test_a_sinch_that_does_not_answer_is_left_alone_for_a_moment(porting_client, sandbox, project):
    sandbox.faults.add("status", times=100, status=503)
    for _ in range(2):
        with pytest.raises(SinchUnavailable):
            porting_client.get_order_details(1)
    asked = sandbox.state.calls["getOrderDetails"]
    with pytest.raises(SinchHeldBack) as held:
        porting_client.add_order_note(1, "Hello")
    # Nothing left, so nothing can have been done; and it is told when to come again.
    assert held.value.outcome_unknown is False
    assert 0 < held.value.retry_after < 10
    assert sandbox.state.calls["getOrderDetails"] == asked
    assert sandbox.state.calls["addOrderNote"] == 0


# --- What is kept, and for how long --------------------------------------------------------------


def test_old_rows_are_deleted_in_batches_and_others_stay(project, settings):
    settings.DELIVERY_DAYS, settings.CALL_LOG_DAYS = 90, 14
    old, new = timezone.now() - timedelta(days=91), timezone.now() - timedelta(days=89)
    done = {"state": "done", "next_try_at": None}
    for _ in range(5):
        delivery(project, received_at=old, **done)
        SinchCall.objects.create(project=project, at=old, method="GET", path="/", milliseconds=1)
    stays = [
        delivery(project, received_at=new, **done),
        delivery(project, received_at=old, state="dead", next_try_at=None),
        delivery(project, received_at=old, state="waiting"),
    ]
    recent = SinchCall.objects.create(project=project, method="GET", path="/", milliseconds=1)
    assert retention.purge_some(batch=2) == 4
    assert Delivery.objects.count() == 6
    assert tasks.purge() == 6
    assert set(Delivery.objects.all()) == set(stays)
    assert list(SinchCall.objects.all()) == [recent]
    assert tasks.purge() == 0


def test_no_days_keep_everything(project, settings):
    settings.DELIVERY_DAYS = settings.CALL_LOG_DAYS = 0
    old = timezone.now() - timedelta(days=4000)
    delivery(project, received_at=old, state="done", next_try_at=None)
    assert tasks.purge() == 0


@pytest.mark.django_db(transaction=True)
def test_a_row_that_somebody_holds_is_passed_over_without_waiting(project, settings):
    settings.DELIVERY_DAYS = 90
    old = timezone.now() - timedelta(days=91)
    held, free = (
        delivery(project, received_at=old, state="done", next_try_at=None) for _ in range(2)
    )
    other = connections.create_connection("default")
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM webhooks_delivery WHERE id = %s FOR UPDATE", [held.pk])
            with atomic():
                assert retention.purge_some() == 1
        assert list(Delivery.objects.all()) == [held]
        assert free.pk != held.pk
    finally:
        other.rollback()
        other.close()


def test_the_bar_says_that_sinch_does_not_answer_once_a_write_cannot_be_looked_up_either(
    write, desk, agent, project
):
    def bar() -> str:
        context.forget(agent)
        return context.health_of(context.counts_of(agent)).word

    def step() -> None:
        Operation.objects.update(next_try_at=timezone.now())
        assert runner.run_one()

    SinchProject.objects.update(discovered_at=timezone.now())
    desk.after = SinchUnavailable(status=503, outcome_unknown=True)
    desk.finding = SinchUnavailable(status=503)
    write()
    assert bar() == "In step with Sinch"
    step()
    assert bar() == "In step with Sinch", "one call that failed says nothing of Sinch"
    step()
    assert bar() == "Sinch does not answer"
    desk.finding = None
    step()
    assert bar() == "In step with Sinch"


def test_the_bar_says_so_of_a_write_that_could_not_leave_twice(write, desk, agent, project):
    SinchProject.objects.update(discovered_at=timezone.now())
    desk.before = SinchUnavailable("connection refused")
    write()
    for word in ("In step with Sinch", "Sinch does not answer"):
        Operation.objects.update(next_try_at=timezone.now())
        assert runner.run_one()
        context.forget(agent)
        assert context.health_of(context.counts_of(agent)).word == word
