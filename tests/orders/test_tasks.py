"""What beat and cron ask for: discovering orders, moving buckets on, a full sync by hand."""

import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from orders import tasks
from orders.models import PortInOrder
from portal.accounts.models import SinchProject
from portal.operations import clients
from portal.operations.models import Reading
from portal.sandbox import Sandbox
from portal.sinch.porting import PortingClient
from portal.work.models import TimelineEntry, WorkItem
from tests.tools import lose

pytestmark = pytest.mark.django_db


@pytest.fixture
def elsewhere(porting_client: PortingClient, sandbox: Sandbox) -> list[str]:
    """Five orders that were made in Sinch's own dashboard."""
    return [
        str(sandbox.control.create_order([f"+1206555{n:04d}"], reference=f"EL-{n}").id)
        for n in range(100, 105)
    ]


class Terminal(io.StringIO):
    """An output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def run(*options: str, out: io.StringIO | None = None) -> tuple[str, str, int]:
    """Return what the command printed, its complaint, and its exit code."""
    out, err = out or io.StringIO(), io.StringIO()
    try:
        call_command("sync_orders", *options, stdout=out, stderr=err)
    except SystemExit as end:
        return out.getvalue(), err.getvalue(), int(end.code or 0)
    return out.getvalue(), err.getvalue(), 0


# --- Beat -----------------------------------------------------------------------------------


def test_orders_made_elsewhere_are_discovered_and_read(
    elsewhere: list[str], work_off: Callable[[], None]
) -> None:
    assert tasks.discover() == 5
    work_off()
    assert set(PortInOrder.objects.values_list("sinch_id", flat=True)) == set(elsewhere)
    # What was there before anybody could be told of it is no webhook that went missing.
    assert set(TimelineEntry.objects.values_list("cause", flat=True)) == {""}
    assert tasks.discover() == 0


def test_discovering_reads_the_settings_of_the_project_now_and_then(
    elsewhere: list[str], project: SinchProject, sandbox: Sandbox
) -> None:
    sandbox.state.configuration = {"defaultPortTimeZone": "US/Pacific"}
    tasks.discover()
    project.refresh_from_db()
    assert project.default_port_time_zone == "US/Pacific"
    tasks.discover()
    assert sandbox.control.calls()["getConfiguration"] == 1


def test_a_project_out_of_reach_does_not_keep_the_others_waiting(
    elsewhere: list[str], project: SinchProject
) -> None:
    SinchProject.objects.create(name="A", project_id="other", key_id="k", key_secret="s")
    assert tasks.discover() == 5


def test_a_project_whose_secret_no_key_reads_is_logged_and_the_others_are_walked(
    elsewhere: list[str], project: SinchProject, caplog: pytest.LogCaptureFixture
) -> None:
    other = SinchProject.objects.create(name="A", project_id="other", key_id="k", key_secret="s")
    lose(other, "key_secret")
    assert tasks.discover() == 5
    assert "The orders of A could not be listed" in caplog.text
    assert "Traceback" not in caplog.text
    _, err, code = run("--project", "other")
    assert (code, err) == (1, f"A: {clients.KEY_LOST}\n")


def test_settings_that_sinch_does_not_tell_keep_no_order_from_being_found(
    elsewhere: list[str], sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.control.faults.add("500", "getConfiguration", times=None)
    assert tasks.discover() == 5
    assert "The settings of Test project could not be read" in caplog.text


def test_settings_that_cannot_be_stored_keep_no_order_from_being_found(
    elsewhere: list[str], sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.state.configuration = {"defaultPortTime": "09:00", "new": float("nan")}  # no JSON
    assert tasks.discover() == 5
    assert "The settings of Test project could not be read" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_orders_that_fail_here_do_not_keep_the_next_project_waiting(
    porting_client: PortingClient, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    SinchProject.objects.create(name="Z", project_id="other", key_id="k", key_secret="s")
    sandbox.control.create_order(["+12065550100"]).id = 10**70  # longer than a column of ours
    assert tasks.discover() == 0
    assert "The orders of Test project could not be listed" in caplog.text
    assert "The orders of Z could not be listed" in caplog.text


def test_an_inactive_project_is_left_alone(elsewhere: list[str], project: SinchProject) -> None:
    SinchProject.objects.update(is_active=False)
    assert tasks.discover() == 0


def test_buckets_move_when_their_time_has_come(
    elsewhere: list[str], work_off: Callable[[], None]
) -> None:
    tasks.discover()
    work_off()
    WorkItem.objects.update(next_change_at=timezone.now(), bucket="done")
    assert tasks.recompute_due() == 5
    assert not WorkItem.objects.filter(bucket="done").exists()
    assert tasks.recompute_due() == 0


# --- By hand --------------------------------------------------------------------------------


def test_a_full_sync_reads_what_is_missing_and_says_so(
    elsewhere: list[str], project: SinchProject
) -> None:
    out, err, code = run()
    assert (code, err) == (0, "")
    assert PortInOrder.objects.count() == 5
    assert "5 of 5" in out
    assert f"{project.name}: 5 orders here, 5 read again" in out
    assert "\r" not in out
    assert Reading.objects.filter(next_try_at__gt=timezone.now()).count() == 5
    out, _, code = run()
    assert "0 read again" in out
    out, _, code = run("--all")
    assert "5 read again" in out


def test_the_progress_bar_stays_in_its_line_on_a_terminal(elsewhere: list[str]) -> None:
    out, _, _ = run(out=Terminal())
    assert out.count("\r") == 6
    assert "[##############################] 5 of 5" in out


def test_a_sync_without_sinch_says_so_in_a_sentence(
    elsewhere: list[str], project: SinchProject, sandbox: Sandbox
) -> None:
    sandbox.control.faults.add("401", times=None)
    _, err, code = run()
    assert code == 1
    assert err.startswith(f"{project.name}: Sinch does not accept the access key")
    assert "Traceback" not in err


def test_a_project_out_of_reach_keeps_no_other_from_being_synced_by_hand(
    elsewhere: list[str], project: SinchProject
) -> None:
    SinchProject.objects.create(name="A", project_id="other", key_id="k", key_secret="s")
    out, err, code = run()
    assert code == 1
    assert err.startswith("A: Sinch does not accept the access key")
    assert f"{project.name}: 5 orders here, 5 read again" in out


def test_orders_that_could_not_be_read_are_counted_and_tried_again(
    elsewhere: list[str], sandbox: Sandbox
) -> None:
    sandbox.control.faults.add("402", "getOrderDetails", times=2)
    _, err, code = run()
    assert code == 1
    assert err.startswith("2 orders could not be read")
    assert PortInOrder.objects.count() == 3
    soon = timezone.now() + timedelta(minutes=1)
    assert Reading.objects.filter(next_try_at__lt=soon).count() == 2


def test_an_unknown_project_is_named_in_a_sentence(project: SinchProject) -> None:
    _, err, code = run("--project", "nobody")
    assert (code, err) == (1, "There is no such active Sinch project in the desk.\n")
