"""Thousands of numbers asked about in the background."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orders import portability, tasks
from orders.models import PortabilityResult, PortabilityRun, PortInDraft
from portal.accounts.models import SinchProject, User
from portal.numbers import read_numbers
from portal.sandbox import Sandbox
from portal.sinch.porting import PortingClient
from tests.tools import somebody_waits_for_a_lock, wait_for

pytestmark = pytest.mark.django_db


AREAS = [str(c) for c in range(212, 320) if read_numbers(f"{c}5550100")[0].number]


def numbers(count: int, area: str = "206") -> list[str]:
    """Return invented numbers: 555-0100 to 555-0199 of one area code after the other."""
    codes = [area, *AREAS]
    return [f"+1{codes[n // 100]}5550{100 + n % 100}" for n in range(count)]


@pytest.fixture
def asked(sandbox: Sandbox) -> Callable[[], int]:
    """Count the portability checks Sinch was sent."""
    return lambda: sandbox.control.calls().get("checkPortingAvailability", 0)


@pytest.fixture
def run_of(project: SinchProject, agent: User, porting_client: PortingClient) -> Any:
    """Start a run: `run_of(numbers, only_stale=…)`."""
    return lambda wanted, **more: portability.start(project, wanted, by=agent, **more)


def answered(project: SinchProject, wanted: list[str], hours: float, **fields: Any) -> None:
    """Have answers in the desk that are so many hours old."""
    PortabilityResult.objects.bulk_create(
        PortabilityResult(
            project=project,
            phone_number=number,
            checked_at=timezone.now() - timedelta(hours=hours),
            **{"portable": True, "carrier": "Lumen"} | fields,
        )
        for number in wanted
    )


def test_a_run_asks_about_everything_five_hundred_at_a_time(run_of: Any, asked: Any) -> None:
    run = run_of(numbers(1240))
    assert (run.done, run.total, run.is_under_way) == (0, 1240, True)
    steps = []
    while portability.run_one():
        run.refresh_from_db()
        steps.append((run.done, run.attempts))
    assert steps == [(500, 0), (1000, 0), (1240, 0)]
    assert asked() == 3
    assert not run.is_under_way
    assert run.finished_at
    assert PortabilityResult.objects.count() == 1240
    # Numbers that end in 99 cannot move.
    assert PortabilityResult.objects.filter(portable=False).count() == 12


def test_answers_younger_than_a_day_are_not_asked_for_again(
    run_of: Any, asked: Any, project: SinchProject
) -> None:
    wanted = numbers(30)
    answered(project, wanted[:10], hours=23)
    answered(project, wanted[10:20], hours=25)
    run = run_of([*wanted, wanted[0]])
    assert (run.done, run.total) == (10, 30)
    assert set(run.numbers) == set(wanted)
    assert tasks.check_portability() == 1
    assert asked() == 1
    since = timezone.now() - timedelta(minutes=1)
    assert PortabilityResult.objects.filter(checked_at__gt=since).count() == 20


def test_with_nothing_to_ask_a_run_is_over_at_once(
    run_of: Any, asked: Any, project: SinchProject
) -> None:
    answered(project, numbers(5), hours=1)
    run = run_of(numbers(5))
    assert (run.done, run.total, run.is_under_way) == (5, 5, False)
    assert run.finished_at
    assert not portability.run_one()
    assert asked() == 0
    again = portability.ask_again(run, only_stale=False)
    assert again.done == 0
    assert portability.run_one()
    assert asked() == 1


def test_a_click_that_arrives_twice_makes_one_run(run_of: Any) -> None:
    first = run_of(numbers(3))
    assert run_of(numbers(3), pk=first.pk).pk == first.pk
    assert PortabilityRun.objects.count() == 1


def test_a_run_under_way_for_a_draft_gets_the_missing_numbers(
    run_of: Any, project: SinchProject, agent: User
) -> None:
    draft = PortInDraft.objects.create(project=project, by=agent)
    wanted = numbers(40)
    answered(project, wanted[30:], hours=1)
    first = run_of(wanted[:20], draft=draft)
    second = run_of(wanted[10:], draft=draft)
    assert second.pk == first.pk
    assert (second.done, second.total) == (10, 40)
    assert sorted(second.numbers) == sorted(wanted)
    assert set(second.numbers[:10]) == set(wanted[30:])
    while portability.run_one():
        pass
    assert PortabilityResult.objects.filter(checked_at__isnull=False).count() == 40
    assert run_of(wanted, draft=draft).pk != first.pk


def test_numbers_added_while_sinch_is_asked_are_asked_about_as_well(
    run_of: Any, project: SinchProject, agent: User
) -> None:
    draft = PortInDraft.objects.create(project=project, by=agent)
    wanted = numbers(60)
    answered(project, wanted[50:], hours=1)
    run_of(wanted[:20], draft=draft)
    (at_work,) = PortabilityRun.claim(PortabilityRun.objects.all(), limit=1, seconds=60)
    run_of(wanted, draft=draft)
    portability._ask_next(at_work)
    run = PortabilityRun.objects.get()
    assert (run.done, run.total, run.is_under_way) == (30, 60, True)
    while portability.run_one():
        pass
    run.refresh_from_db()
    assert (run.done, run.is_under_way) == (60, False)
    assert PortabilityResult.objects.count() == 60


def test_a_sinch_out_of_reach_is_told_and_asked_again(run_of: Any, sandbox: Sandbox) -> None:
    run = run_of(numbers(600))
    assert portability.run_one()
    sandbox.control.faults.add("drop_before", "checkPortingAvailability", times=None)
    assert portability.run_one()
    run.refresh_from_db()
    assert (run.done, run.is_under_way) == (500, True)
    assert run.problem == "Sinch cannot be reached at the moment. Nothing was changed there."
    assert not portability.run_one()
    sandbox.control.faults.clear()
    PortabilityRun.objects.update(next_try_at=timezone.now())
    assert portability.run_one()
    run.refresh_from_db()
    assert (run.done, run.is_under_way, run.problem) == (600, False, "")


def test_a_refusal_stops_the_run_and_says_why(run_of: Any, sandbox: Sandbox) -> None:
    sandbox.control.faults.add("402", "checkPortingAvailability", times=1)
    run = run_of(numbers(3))
    portability.run_one()
    run.refresh_from_db()
    assert (run.done, run.is_under_way) == (0, False)
    assert run.problem.startswith("The Sinch account has no balance left.")
    portability.ask_again(run, only_stale=True)
    portability.run_one()
    run.refresh_from_db()
    assert (run.done, run.problem) == (3, "")


def test_a_run_of_a_project_out_of_use_stops_says_why_and_goes_on_when_it_is_back(
    run_of: Any, project: SinchProject, asked: Any
) -> None:
    run = run_of(numbers(1100))
    assert portability.run_one()
    SinchProject.objects.filter(pk=project.pk).update(is_active=False)
    while portability.run_one():
        pass
    run.refresh_from_db()
    assert (asked(), run.done, run.is_under_way) == (1, 500, False)
    assert run.problem.startswith("This Sinch project is out of use.")
    SinchProject.objects.filter(pk=project.pk).update(is_active=True)
    run = portability.ask_again(run, only_stale=True)
    while portability.run_one():
        pass
    run.refresh_from_db()
    assert (asked(), run.done, run.problem) == (3, 1100, "")


def test_a_worker_that_died_costs_one_question(run_of: Any, asked: Any) -> None:
    run = run_of(numbers(700))
    portability.run_one()
    (dead,) = PortabilityRun.claim(PortabilityRun.objects.all(), limit=1, seconds=60)
    assert not portability.run_one()
    PortabilityRun.objects.update(next_try_at=timezone.now())
    assert portability.run_one()
    run.refresh_from_db()
    assert (run.done, run.is_under_way) == (700, False)
    # Should the dead one come back after all, it counts nothing.
    portability._store(dead, [], timezone.now(), 200)
    run.refresh_from_db()
    assert run.done == 700
    assert asked() == 2


def test_runs_take_turns(run_of: Any) -> None:
    long, short = run_of(numbers(1400)), run_of(numbers(5, "425"))
    portability.run_one()
    portability.run_one()
    short.refresh_from_db()
    long.refresh_from_db()
    assert (short.done, long.done) == (5, 500)


def test_an_older_answer_does_not_replace_a_newer_one(project: SinchProject) -> None:
    (number,) = numbers(1)
    now = timezone.now()
    verdict = {"phoneNumber": number, "portable": False, "reason": "Number is not portable"}
    portability.store_verdicts(project, [verdict], now)
    portability.store_verdicts(
        project, [{"phoneNumber": number, "portable": True}], now - timedelta(seconds=1)
    )
    assert PortabilityResult.objects.get().portable is False
    portability.store_verdicts(
        project, [{"phoneNumber": number, "portable": True}], now + timedelta(seconds=1)
    )
    assert PortabilityResult.objects.get().portable is True


@pytest.mark.django_db(transaction=True)
def test_of_two_answers_stored_at_the_same_time_the_newer_one_stays(project: SinchProject) -> None:
    (number,) = numbers(1)
    now = timezone.now()

    def older() -> None:
        try:
            verdict = {"phoneNumber": number, "portable": True}
            portability.store_verdicts(project, [verdict], now - timedelta(seconds=1))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            portability.store_verdicts(project, [{"phoneNumber": number, "portable": False}], now)
            stored = pool.submit(older)
            wait_for(somebody_waits_for_a_lock, what="the older answer")
        stored.result()
    assert PortabilityResult.objects.get().portable is False


def test_a_number_sinch_says_nothing_about_counts_as_asked(run_of: Any) -> None:
    run = run_of(numbers(3))
    (at_work,) = PortabilityRun.claim(PortabilityRun.objects.all(), limit=1, seconds=60)
    verdict = {"phoneNumber": run.numbers[0], "portable": True}
    portability._store(at_work, [verdict], timezone.now(), 3)
    run.refresh_from_db()
    assert (run.done, run.is_under_way) == (3, False)
    assert PortabilityResult.objects.count() == 1


def test_a_batch_costs_the_same_number_of_statements_whatever_its_size(run_of: Any) -> None:
    counts = []
    for size, area in ((3, "206"), (500, "425")):
        run_of(numbers(size, area))
        with CaptureQueriesContext(
            connection,
        ) as statements:
            portability.run_one()
        counts.append(len(statements))
    assert counts[0] == counts[1]
