"""An activation: accepted once, never of numbers it was not meant for."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from orders import actions_activation, actions_order, page_activation, sync
from orders.models import PortInOrder
from portal.accounts.models import SinchProject, User
from portal.operations import readings, runner
from portal.operations.models import Operation
from portal.sandbox import Sandbox
from portal.sinch.porting import ActivationGroup
from portal.values import phone_of
from portal.work.models import WorkItem
from tests.orders.handlers.tools import A, B, Run, State, count, state_of, timeline
from tests.tools import port_day

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("porting_client")]


@pytest.mark.parametrize("shape", ["wrapped", "list"])
@pytest.mark.parametrize("fault", [None, "drop_after", "drop_before"])
@pytest.mark.parametrize("whole", [True, False])
def test_an_activation_is_accepted_once_and_numbers_are_live_only_when_sinch_says_so(
    offered: PortInOrder,
    send: Callable[..., Operation],
    sandbox: Sandbox,
    settle: Run,
    shape: str,
    fault: str | None,
    whole: bool,
) -> None:
    sandbox.control.personality(activations=shape)
    readings.want_one(offered.project, "port_in_order", offered.sinch_id, "staff")
    settle()
    offered.refresh_from_db()
    if fault:
        sandbox.control.faults.add(fault, "activatePortIn")
    operation = send("activate", {"groups": [] if whole else offered.offered_groups})
    settle()
    assert state_of(operation) == State.SUCCEEDED
    assert count(sandbox, "activatePortIn") == (2 if fault == "drop_before" else 1)
    item = WorkItem.objects.get()
    assert (item.bucket, item.live_count, item.move) == ("wait", 0, "sinch")
    sandbox.control.next(offered.sinch_id)
    readings.want_one(offered.project, "port_in_order", offered.sinch_id, "staff")
    settle()
    assert WorkItem.objects.get().live_count == 2


def test_an_activation_that_got_through_after_it_was_looked_for_is_no_refusal(
    offered: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_before", "activatePortIn")
    operation = send("activate", {"groups": offered.offered_groups})
    runner.run_one()
    while state_of(operation) == State.UNCERTAIN:
        Operation.objects.update(next_try_at=timezone.now())
        runner.run_one()
    # Sinch has it by now, and says to a second try that it has begun.
    sandbox.control.faults.add("status", "activatePortIn", status=422, after=True)
    settle()
    assert state_of(operation) == State.SUCCEEDED
    assert not any("refused" in text for text in timeline(offered))


def test_a_refused_activation_asks_nothing_more_once_its_numbers_are_live(
    offered: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("status", "activatePortIn", status=422, after=True)
    operation = send("activate", {"groups": offered.offered_groups})
    settle()
    assert state_of(operation) == State.REFUSED
    assert WorkItem.objects.get().reasons[0]["code"] == "P1"
    sandbox.control.next(offered.sinch_id)
    readings.want_one(offered.project, "port_in_order", offered.sinch_id, "staff")
    settle()
    item = WorkItem.objects.get()
    assert item.live_count == 2
    assert "P1" not in [reason["code"] for reason in item.reasons]


@pytest.mark.parametrize("spelling", ["+{}", "{}", ""])
def test_a_group_is_offered_in_whatever_way_its_numbers_are_named(
    offered: PortInOrder, project: SinchProject, spelling: str
) -> None:
    """A group need have nothing but its key; a key need not be what the numbers call it."""
    named = tuple(phone_of({"phoneNumber": spelling.format(n[1:])}) for n in (A, B) if spelling)
    group = ActivationGroup("grp-001", named, None, "groupIds")
    sync.store_offers(offered, [group], timezone.now())
    item = WorkItem.objects.get()
    assert (item.bucket, item.reasons[0]["text"]) == ("ready", "Activate 2 numbers")
    offered.refresh_from_db()
    assert sorted(offered.offered_groups[0]["numbers"]) == [A, B]


def test_a_refused_activation_comes_before_everything_else(
    offered: PortInOrder, send: Callable[..., Operation], settle: Run
) -> None:
    send("activate", {"groups": [{"key": "no such group", "shape": "groupIds", "numbers": [A]}]})
    settle()
    item = WorkItem.objects.get()
    assert (item.bucket, item.reasons[0]["code"]) == ("us", "P1")
    assert item.rank < 50


def test_an_activation_that_never_left_is_refused_when_its_date_has_moved(
    offered: PortInOrder, agent: User, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_before", "activatePortIn")
    operation = actions_activation.activate_whole(offered, by=agent, key="one page")
    assert runner.run_one()
    assert state_of(operation) == State.UNCERTAIN
    sandbox.control.move_foc_date(offered.sinch_id, port_day(5))
    settle()
    assert state_of(operation) == State.REFUSED
    operation.refresh_from_db()
    assert "nothing can be activated before that day" in operation.staff_message


def test_an_activation_that_never_left_is_refused_when_the_date_of_one_number_has_moved(
    offered: PortInOrder, agent: User, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_before", "activatePortIn")
    operation = actions_activation.activate_whole(offered, by=agent, key="one page")
    assert runner.run_one()
    sandbox.control.move_foc_date(offered.sinch_id, port_day(5), [B])
    settle()
    assert state_of(operation) == State.REFUSED
    assert "nothing can be activated before that day" in operation.staff_message


def test_an_activation_that_never_left_is_refused_when_its_order_was_canceled(
    offered: PortInOrder, agent: User, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_before", "activatePortIn")
    operation = actions_activation.activate_whole(offered, by=agent, key="one page")
    assert runner.run_one()
    sandbox.control.cancel(offered.sinch_id)
    settle()
    assert state_of(operation) == State.REFUSED
    assert operation.staff_message == "The order was canceled before it could be activated."


@pytest.mark.parametrize("status", ["PENDING", "REJECTED", "EXCLUDED", "CANCELED"])
@pytest.mark.parametrize("whole", [True, False])
def test_an_activation_that_never_left_is_no_success_because_its_numbers_fell_back(
    offered: PortInOrder,
    send: Callable[..., Operation],
    sandbox: Sandbox,
    settle: Run,
    status: str,
    whole: bool,
) -> None:
    sandbox.control.faults.add("drop_before", "activatePortIn")
    operation = send("activate", {"groups": [] if whole else offered.offered_groups})
    assert runner.run_one()
    assert state_of(operation) == State.UNCERTAIN
    for number in sandbox.control.order(offered.sinch_id).numbers:
        number.status = status
    settle()
    assert state_of(operation) == State.REFUSED
    assert "none went live" in operation.staff_message
    assert not any("accepted" in text for text in timeline(offered) if "Activation" in text)
    assert count(sandbox, "activatePortIn") == 1


def test_an_activation_that_got_through_stays_a_success_though_a_number_fell_back_since(
    offered: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_after", "activatePortIn")
    operation = send("activate", {"groups": offered.offered_groups})
    assert runner.run_one()
    first, second = sandbox.control.order(offered.sinch_id).numbers
    first.status, second.status = "ACTIVATED", "REJECTED"
    settle()
    assert state_of(operation) == State.SUCCEEDED


@pytest.mark.parametrize("shape", ["wrapped", "list"])
@pytest.mark.parametrize("offers", [True, False])
def test_an_activation_of_a_group_that_has_another_name_by_now_is_left_to_a_person(
    offered: PortInOrder,
    send: Callable[..., Operation],
    sandbox: Sandbox,
    settle: Run,
    shape: str,
    offers: bool,
) -> None:
    sandbox.control.personality(activations=shape)
    readings.want_one(offered.project, sync.READER, offered.sinch_id, "staff")
    settle()
    offered.refresh_from_db()
    sandbox.control.faults.add("drop_before", "activatePortIn")
    operation = send("activate", {"groups": offered.offered_groups})
    assert runner.run_one()
    theirs = sandbox.control.order(offered.sinch_id)
    theirs.groups.append("GW Lumen Grp9")
    for number in theirs.numbers:
        number.group = "GW Lumen Grp9"
        number.ready_at = number.ready_at if offers or shape == "wrapped" else None
    settle()
    assert state_of(operation) == State.REFUSED
    assert "in another group by now" in operation.staff_message
    assert count(sandbox, "activatePortIn") == 1


def test_an_activation_is_not_sent_again_for_numbers_that_joined_its_group_meanwhile(
    order: PortInOrder, send: Callable[..., Operation], sandbox: Sandbox, settle: Run
) -> None:
    first, second = sandbox.control.order(order.sinch_id).numbers
    second.group = "GW Lumen Grp9"
    sandbox.control.order(order.sinch_id).groups.append(second.group)
    sandbox.control.make_ready(order.sinch_id)
    readings.want_one(order.project, sync.READER, order.sinch_id, "staff")
    settle()
    order.refresh_from_db()
    (group,) = [g for g in order.offered_groups if g["numbers"] == [first.phone_number]]
    sandbox.control.faults.add("drop_before", "activatePortIn")
    operation = send("activate", {"groups": [group]})
    assert runner.run_one()
    second.group = first.group
    settle()
    assert state_of(operation) == State.REFUSED
    assert count(sandbox, "activatePortIn") == 1


@pytest.mark.parametrize("since", ["", "other numbers", "not offered", "perhaps done"])
def test_a_stopped_activation_that_never_left_goes_on_only_for_the_group_it_was_meant_for(
    offered: PortInOrder, agent: User, sandbox: Sandbox, settle: Run, since: str
) -> None:
    (group,) = offered.offered_groups
    stopped = actions_activation.activate_groups(offered, [group["key"]], by=agent)
    dead = Operation.objects.filter(pk=stopped.pk)
    dead.update(state=State.DEAD, next_try_at=None, finished_at=timezone.now())
    if since == "other numbers":
        changed = [group | {"numbers": group["numbers"][:1]}]
        PortInOrder.objects.filter(pk=offered.pk).update(offered_groups=changed)
    elif since == "not offered":
        PortInOrder.objects.filter(pk=offered.pk).update(offered_groups=[])
    elif since == "perhaps done":
        later = actions_activation.activate_groups(offered, [group["key"]], by=agent)
        lost = {"state": State.DEAD, "uncertain_since": timezone.now(), "next_try_at": None}
        Operation.objects.filter(pk=later.pk).update(**lost)
    assert bool(runner.take_up(stopped)) == bool(since)
    settle()
    assert count(sandbox, "activatePortIn") == (not since)


def test_a_stopped_activation_of_a_whole_order_goes_on_while_something_is_offered(
    offered: PortInOrder, agent: User, sandbox: Sandbox, settle: Run
) -> None:
    groups = offered.offered_groups
    stopped = actions_activation.activate_whole(offered, by=agent)
    Operation.objects.filter(pk=stopped.pk).update(state=State.DEAD, next_try_at=None)
    PortInOrder.objects.filter(pk=offered.pk).update(offered_groups=[])
    assert runner.take_up(stopped)
    PortInOrder.objects.filter(pk=offered.pk).update(offered_groups=groups)
    assert not runner.take_up(stopped)
    settle()
    assert count(sandbox, "activatePortIn") == 1


def test_a_group_that_may_have_been_activated_is_not_activated_beside_it(
    offered: PortInOrder, agent: User, sandbox: Sandbox, settle: Run
) -> None:
    key = offered.offered_groups[0]["key"]
    sandbox.control.faults.add("drop_after", "activatePortIn")
    stopped = actions_activation.activate_groups(offered, [key], by=agent, key="one page")
    assert runner.run_one()
    sandbox.control.faults.add("500", times=None)  # nobody can be asked what became of it
    Operation.objects.filter(pk=stopped.pk).update(
        uncertain_since=timezone.now() - runner.PATIENCE * 2, next_try_at=timezone.now()
    )
    assert runner.run_one()
    assert state_of(stopped) == State.DEAD
    sandbox.control.faults.clear()
    with pytest.raises(actions_order.NotPossible, match="Press “Try again” on it"):
        actions_activation.activate_groups(offered, [key], by=agent, key="another page")
    (choice,) = page_activation.choices_of(
        offered, [], actions_activation.activations([offered.target])[offered.target]
    )
    assert (choice.ready, choice.under_way) == (False, False)
    assert choice.why_not == "An earlier activation may have been done; try that one again."
    runner.mark_seen(stopped)  # somebody has looked, and knows
    assert not actions_activation.activations([offered.target])[offered.target]
    assert not runner.take_up(stopped)
    settle()
    assert state_of(stopped) == State.SUCCEEDED
    assert sandbox.control.calls()["activatePortIn"] == 1


def test_numbers_that_may_have_been_activated_are_not_activated_in_another_group(
    offered: PortInOrder, agent: User, sandbox: Sandbox, settle: Run
) -> None:
    sandbox.control.faults.add("drop_before", "activatePortIn")
    key = offered.offered_groups[0]["key"]
    actions_activation.activate_groups(offered, [key], by=agent, key="one page")
    assert runner.run_one()
    theirs = sandbox.control.order(offered.sinch_id)
    theirs.groups.append("GW Lumen Grp9")
    for number in theirs.numbers:
        number.group = "GW Lumen Grp9"
    readings.want_one(offered.project, sync.READER, offered.sinch_id, "staff")
    assert readings.run_one()
    offered.refresh_from_db()
    (group,) = offered.offered_groups
    assert group["key"] != key
    with pytest.raises(actions_order.NotPossible, match="under way already"):
        actions_activation.activate_groups(offered, [group["key"]], by=agent, key="another page")
    settle()  # the first one is left to a person, who may activate what there is now
    again = actions_activation.activate_groups(offered, [group["key"]], by=agent, key="third")
    settle()
    assert state_of(again) == State.SUCCEEDED
