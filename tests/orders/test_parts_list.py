"""A file of 1,240 rows with three carriers becomes the right orders, with the right details."""

import re
from typing import Any

import pytest
from django.utils import timezone

from orders import portability
from orders.models import ListRow, PortInDraft, PortInNumber, PortInOrder
from orders.parts import Plan, rows_by_part
from orders.review import review
from portal.operations import runner
from portal.operations.models import Operation
from portal.work.drafts import NotSendable
from tests.orders.lists import ListDesk, book, read_all
from tests.orders.test_drafts import Desk, details
from tests.orders.test_parts import BELL, CAN_BE_SENT, LUMEN, TELUS, page_of, typed

pytestmark = pytest.mark.django_db

TITLES = ["Number", "Name on the bill", "PIN", "ZIP", "City", "State", "Street number", "Street"]
BAD_NUMBERS, REPEATED = 17, 9


def rows_of_1240() -> list[list[Any]]:
    """1,214 good rows of three carriers, well mixed, 17 that are no number and 9 repeats."""
    numbers = [*LUMEN[:800], *BELL[:300], *TELUS[:114]]
    mixed = [numbers[(index * 617) % len(numbers)] for index in range(len(numbers))]
    rows: list[list[Any]] = [own_row(number) for number in mixed]
    for index in range(BAD_NUMBERS):
        rows.insert(index * 70, ["206-555-01", *own_row(LUMEN[0])[1:]])
    rows += [own_row(number) for number in mixed[:REPEATED]]
    assert len(rows) == 1240
    return rows


def own_row(number: str) -> list[str]:
    """A row whose name and PIN tell which number they belong to; every third has an address."""
    digits = number[-7:]
    address = ["98402", "Tacoma", "WA", "410", "Dock St"] if int(digits) % 3 == 0 else [""] * 5
    return [number, f"Site {digits}", digits[-6:], *address]


def test_no_row_is_left_behind_when_sinch_names_another_carrier_while_orders_are_sent(
    agent_client, project, agent
):
    draft = typed(project, agent, [], name="", pin="", account="")
    numbers = [*LUMEN[:3], *BELL[:2]]
    ListDesk(agent_client, draft).added(book([TITLES, *map(own_row, numbers)]))

    def answered(carriers: dict[str, str]) -> None:
        said = [{"phoneNumber": n, "portable": True, "carrier": c} for n, c in carriers.items()]
        portability.store_verdicts(project, said, timezone.now())

    answered(dict.fromkeys(numbers[:3], "Lumen") | dict.fromkeys(numbers[3:], "Bell MTS"))
    plan = Plan(review(draft, complete=True))
    rows = ListRow.objects.going()
    assert [len(keys) for keys in rows_by_part(plan, rows)] == [3, 2]
    answered({numbers[2]: "Frontier"})
    with pytest.raises(NotSendable, match="answered anew"):
        rows_by_part(plan, rows)


def test_1240_rows_with_three_carriers_become_the_right_orders(
    agent_client, project, agent, sandbox, porting_client
):
    draft = typed(project, agent, [], name="", pin="", account="")
    assert ListDesk(agent_client, draft).added(book([TITLES, *rows_of_1240()])).total == 1240
    html = page_of(agent_client, draft)
    assert "17 rows to correct or leave out." in html
    assert CAN_BE_SENT not in html

    ListDesk(agent_client, draft).press("leave_wrong")
    read_all()
    desk = Desk(agent_client)
    desk.open(draft.get_absolute_url())
    desk.post({}, "check")
    while portability.run_one():
        pass
    desk.open(draft.get_absolute_url())
    assert re.search(r"Lumen, 800 numbers in 2 orders · Bell MTS, 300 numbers · Telus", desk.html)
    assert CAN_BE_SENT in desk.html, re.search(r'id="notyet">(.*?)</p>', desk.html, re.S)
    assert "Send 4 orders to Sinch…" in desk.html

    desk.post({}, "send")
    desk.post({}, "send")
    while runner.run_one():
        pass
    assert sandbox.state.calls["orderPortIn"] == 4
    assert not sandbox.violations
    orders = list(PortInOrder.objects.order_by("reference"))
    assert [order.reference for order in orders] == [f"PSB-2026-003-{n}" for n in range(1, 5)]
    sent = [list(order.numbers.values_list("phone_number", flat=True)) for order in orders]
    assert [len(numbers) for numbers in sent] == [500, 300, 300, 114]
    assert set(sent[0]) | set(sent[1]) == set(LUMEN[:800])
    assert set(sent[2]) == set(BELL[:300])
    assert set(sent[3]) == set(TELUS[:114])
    in_file = list(ListRow.objects.going().values_list("number", flat=True))
    for numbers in sent:
        assert numbers == [number for number in in_file if number in set(numbers)]
    assert PortInNumber.objects.count() == 1214

    for operation in Operation.objects.filter(kind="port_in.create"):
        for entry in operation.payload["body"]["phoneNumbers"]:
            number = entry["phoneNumber"]
            digits = number[-7:]
            assert entry["endUser"]["name"] == f"Site {digits}"
            assert entry["portOutInfo"]["existingPortOutPin"] == digits[-6:]
            has_own = int(digits) % 3 == 0
            assert entry["endUser"]["city"] == ("Tacoma" if has_own else "Seattle")
            assert ("locationValue1" in entry["endUser"]) != has_own
            assert entry["voiceConfiguration"]["trunkId"] == details()["voice_id"]

    html = page_of(agent_client, draft)
    assert "4 of 4 orders made" in html
    for order in orders:
        assert order.get_absolute_url() in html
    children = PortInDraft.objects.filter(parent=draft)
    assert {child.state for child in children} == {PortInDraft.State.SENT}
    assert review(children[0]).count in {500, 300, 114}


@pytest.mark.parametrize("changes", [True, False])
def test_a_stopped_order_of_a_list_is_not_sent_once_a_row_has_been_left_out(
    agent_client, project, agent, sandbox, porting_client, settle, changes
):
    draft = typed(project, agent, [], name="", pin="", account="")
    rows = ListDesk(agent_client, draft)
    rows.added(book([TITLES, *(own_row(number) for number in LUMEN[:3])]))
    desk = Desk(agent_client)
    desk.open(draft.get_absolute_url())
    desk.post({}, "check")
    while portability.run_one():
        pass
    desk.open(draft.get_absolute_url())
    desk.post({}, "send")
    sandbox.control.faults.add("429", "orderPortIn")
    Operation.objects.update(attempts=runner.MOST_SENDS)
    assert runner.run_one()
    stopped = Operation.objects.get(kind="port_in.create")
    assert stopped.state == "dead"
    calls = sandbox.state.calls["orderPortIn"]
    if changes:
        rows.press("leave_out:3")
        assert ListRow.objects.going().count() == 2
    assert bool(runner.take_up(stopped)) == changes
    settle()
    assert sandbox.state.calls["orderPortIn"] - calls == (not changes)
