"""Whatever breaks while an order is made: one order at Sinch, the right state, nothing stuck."""

import json
import os
import signal
from typing import Any

import pytest

from tests.desk import RunningDesk
from tests.staff import Staff
from tests.tools import wait_for


def numbers_of(area: int) -> list[str]:
    return [f"+1{area}5550{150 + n}" for n in range(4)]


def orders_at_sinch(desk: RunningDesk, reference: str) -> list[dict[str, Any]]:
    return [o for o in desk.ask_sandbox("orders") if o["customerOrderReference"] == reference]


def send(staff: Staff, path: str) -> None:
    answer = staff.submit(path, "draft-form", action="send")
    assert answer.ok, answer.text[:2000]


def arrived(staff: Staff, path: str, seconds: float = 90) -> str:
    """Wait until the draft leads to the page of its order; return that page's path."""

    def order_page() -> str:
        url = staff.get(path).url.removeprefix(staff.desk.address)
        return url if "/drafts/" not in url else ""

    return wait_for(order_page, seconds, f"the order of {path}")


def unfinished(desk: RunningDesk) -> dict[str, int]:
    """Count what the engine has not brought to an end: operations, deliveries, wanted readings."""
    code = (
        "import json\n"
        "from django.db.models import F\n"
        "from portal.operations.models import Operation, Reading\n"
        "from webhooks.models import Delivery\n"
        "print(json.dumps({"
        "'operations': Operation.objects.filter(state__in=Operation.UNDER_WAY).count(),"
        "'dead': Operation.objects.filter(state='dead').count(),"
        "'deliveries': Delivery.objects.filter(state__in=('received','waiting','dead')).count(),"
        "'readings': Reading.objects.filter(is_gone=False, read_at__lt=F('requested_at')).count(),"
        "}))"
    )
    return json.loads(desk.manage("shell", "-v", "0", "-c", code).splitlines()[-1])


def told_once(desk: RunningDesk, words: str) -> dict[str, int]:
    """Count the notes that say something, and the timeline entries that quote it."""
    code = (
        "import json\n"
        "from orders.models import OrderNote\n"
        "from portal.work.models import TimelineEntry\n"
        "print(json.dumps({"
        f"'notes': OrderNote.objects.filter(text={words!r}).count(),"
        f"'entries': TimelineEntry.objects.filter(text__contains={words!r}).count(),"
        "}))"
    )
    return json.loads(desk.manage("shell", "-v", "0", "-c", code).splitlines()[-1])


def test_a_worker_killed_while_it_sends_makes_one_order(desk: RunningDesk, staff: Staff):
    path = staff.draft("KILLED-1", numbers_of(206))
    # Sinch does the work and answers late; the worker is gone before it could hear of it.
    desk.ask_sandbox("faults", {"kind": "slow", "operation": "orderPortIn", "seconds": 6})
    send(staff, path)
    wait_for(lambda: orders_at_sinch(desk, "KILLED-1"), what="the order at Sinch")
    desk.kill_and_wait("people")
    desk.kill_and_wait("worker")
    page = arrived(staff, path)
    assert "Harborview Dental LLC" in staff.get(page).text
    assert len(orders_at_sinch(desk, "KILLED-1")) == 1
    wait_for(lambda: not any(unfinished(desk).values()), 60, "everything finished", pause=1)


def test_workers_that_are_told_to_stop_hear_what_they_have_sent(desk: RunningDesk, staff: Staff):
    path = staff.draft("STOPPED-1", numbers_of(312))
    desk.ask_sandbox("faults", {"kind": "slow", "operation": "orderPortIn", "seconds": 4})
    send(staff, path)
    wait_for(lambda: orders_at_sinch(desk, "STOPPED-1"), what="the order at Sinch")
    for name in ("people", "worker"):
        number = desk.pid(name)
        assert number
        os.kill(number, signal.SIGTERM)
    arrived(staff, path)
    assert len(orders_at_sinch(desk, "STOPPED-1")) == 1
    code = (
        "from portal.operations.models import Operation\n"
        "made = Operation.objects.filter(kind='port_in.create').latest('pk')\n"
        "print(made.state, made.attempts, made.uncertain_since)"
    )
    told = desk.manage("shell", "-v", "0", "-c", code).splitlines()[-1]
    assert told == "succeeded 1 None", "nobody had to look for it"


@pytest.mark.parametrize("fault", ["drop_after", "garbage"])
def test_a_lost_answer_is_looked_up_and_makes_one_order(
    desk: RunningDesk, staff: Staff, fault: str
):
    reference = f"LOST-{fault}"
    path = staff.draft(reference, numbers_of(425 if fault == "garbage" else 253))
    desk.ask_sandbox("faults", {"kind": fault, "operation": "orderPortIn"})
    send(staff, path)
    arrived(staff, path)
    assert len(orders_at_sinch(desk, reference)) == 1


def test_a_request_that_never_arrived_is_sent_again_once_it_is_sure(
    desk: RunningDesk, staff: Staff
):
    path = staff.draft("NEVER-1", numbers_of(360))
    desk.ask_sandbox("faults", {"kind": "drop_before", "operation": "orderPortIn"})
    send(staff, path)
    arrived(staff, path)
    assert len(orders_at_sinch(desk, "NEVER-1")) == 1


def test_a_double_click_makes_one_order(desk: RunningDesk, staff: Staff):
    path = staff.draft("TWICE-1", numbers_of(509))
    send(staff, path)
    again = staff.http.post(
        f"{desk.address}{path}",
        {"action": "send", "csrfmiddlewaretoken": staff.http.cookies["csrftoken"]},
        headers={"Referer": f"{desk.address}{path}"},
        timeout=60,
    )
    assert again.status_code < 500
    arrived(staff, path)
    assert len(orders_at_sinch(desk, "TWICE-1")) == 1


def test_webhooks_three_times_in_random_order_end_in_the_right_state(
    desk: RunningDesk, staff: Staff
):
    path = staff.draft("STORM-1", [*numbers_of(541), "+15415550198"], split="one")
    send(staff, path)
    page = arrived(staff, path)
    (order,) = orders_at_sinch(desk, "STORM-1")
    verb = f"orders/{order['id']}"
    desk.ask_sandbox(f"{verb}/answer", {})
    desk.ask_sandbox(f"{verb}/note", {"note": "The carrier wants another PIN for 0198."})
    desk.ask_sandbox(f"{verb}/confirm", {"numbers": ["+15415550198"]})
    desk.ask_sandbox(f"{verb}/complete", {})
    # Every webhook of this story again, three times each, shuffled.
    desk.ask_sandbox("webhooks/resend", {"times": 3, "shuffle": True})

    def settled() -> bool:
        text = staff.get(page).text
        return "Completed" in text and "5 of 5 live" in text

    wait_for(settled, 60, "the completed order")
    wait_for(lambda: not any(unfinished(desk).values()), 60, "everything finished", pause=1)
    assert settled()
    note = "The carrier wants another PIN for 0198."
    assert told_once(desk, note) == {"notes": 1, "entries": 1}
