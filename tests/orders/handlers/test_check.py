"""The portability check: what Sinch says of each number, asked again where that is harmless."""

import pytest
from django.utils import timezone

from orders import handlers_create
from orders.models import PortabilityResult
from portal.accounts.models import SinchProject, User
from portal.operations import heard, runner
from portal.operations.actions import submit
from portal.operations.models import Operation
from tests.orders.handlers.tools import A, B, Run, State, state_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("porting_client")]


def test_a_check_stores_what_sinch_says_of_each_number(
    project: SinchProject, agent: User, settle: Run
) -> None:
    for numbers in ([A, "+12065550199"], [A]):
        operation, _ = submit(
            project, "port_in.check", target="draft:x", payload={"numbers": numbers}, by=agent
        )
        settle()
        assert state_of(operation) == State.SUCCEEDED
    assert operation.answer == {"checked": 1}
    good = PortabilityResult.objects.get(phone_number=A)
    bad = PortabilityResult.objects.get(phone_number="+12065550199")
    assert (good.portable, bool(good.carrier)) == (True, True)
    assert (bad.portable, bad.reason) == (False, "Number is not portable")
    assert good.checked_at > bad.checked_at


def test_verdicts_in_another_spelling_or_said_twice_are_one_for_each_number(
    project: SinchProject, agent: User, settle: Run
) -> None:
    operation, _ = submit(
        project, "port_in.check", target="draft:x", payload={"numbers": [A, B]}, by=agent
    )
    handler = handlers_create.CheckHandler()
    verdicts = [
        {"phoneNumber": "+1 (206) 555-0140", "portable": False},
        {"phoneNumber": A.lstrip("+"), "portable": True},
        {"phoneNumber": B, "portable": True},
        {"phoneNumber": "", "portable": True},
    ]
    heard.remember(operation, {"verdicts": verdicts}, timezone.now())
    handler.succeeded(operation, {})
    found = PortabilityResult.objects.values_list("phone_number", "portable")
    assert sorted(found) == [(A, True), (B, True)]


def test_a_check_whose_worker_died_is_asked_again_at_once(
    project: SinchProject, agent: User, settle: Run
) -> None:
    operation, _ = submit(
        project, "port_in.check", target="draft:x", payload={"numbers": [A]}, by=agent
    )
    Operation.objects.filter(pk=operation.pk).update(state=State.SENDING)
    runner.run_one()
    assert state_of(operation) == State.SUCCEEDED
    assert PortabilityResult.objects.count() == 1
