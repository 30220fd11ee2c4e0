"""Fields for chosen numbers of an order, numbers that come and numbers that go."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orders import actions, actions_order, actions_parts, bodies, chosen, places
from orders.models import PortabilityResult, PortInDraft, PortInOrder
from orders.review import review
from orders.verdicts import CHECK_HOLDS
from portal.accounts.models import SinchProject, User
from portal.operations import readings, runner
from portal.operations.actions import submit
from portal.operations.models import Operation
from portal.sandbox import Sandbox
from tests.orders.lists import ListDesk, csv_text
from tests.orders.test_drafts import ACCOUNT, PIN, Desk, details, in_days
from tests.orders.test_edit import FIRST, SECOND, THIRD, EditPage
from tests.orders.test_edit import order as order
from tests.orders.test_edit_conflicts import at_sinch, updates, work_off
from tests.tools import somebody_waits_for_a_lock, wait_for

pytestmark = pytest.mark.django_db
NEW = "+12065550145"


def press(page: EditPage, action: str, **typed: Any) -> Any:
    """Press a button with ticks among what is posted."""
    fields: dict[str, Any] = page.fields() | typed | {"action": action}
    for name in ("pick", "f"):
        if name not in typed:
            fields.pop(name, None)
    answer = page.client.post(page.url, fields)
    if answer.content:
        page.html = answer.content.decode()
    return answer


# --- Choosing ------------------------------------------------------------------------------------

ROWS = [
    chosen.Row(f"+1206555{n:04d}", "PENDING" if n < 120 else "REJECTED", "Lumen")
    for n in range(100, 140)
]


@pytest.mark.parametrize(
    ("typed", "count"),
    [
        ("+1 206 555 0117 to 0124", 8),
        ("206-555-0117 – 206-555-0124", 8),
        ("(206) 555-0117 through 0124", 8),
        ("206 555 0124 to 0117", 8),
        ("206-555-0117", 1),
        ("0117\n0118, 0119", 3),
        ("+1 206 555 0117 to 0999", 23),
    ],
)
def test_numbers_are_written_down_one_by_one_and_in_ranges(typed: str, count: int) -> None:
    found = chosen.choose(ROWS, typed=typed)
    assert len(found.numbers) == count
    assert not found.problems


def test_what_is_not_in_the_order_is_named_and_never_chosen() -> None:
    found = chosen.choose(ROWS, typed="206 555 0190\n206 555 0101\nnonsense")
    assert found.numbers == ["+12065550101"]
    assert found.problems == [
        "“206 555 0190” is no number of this order.",
        "“nonsense” is no number of this order.",
    ]


def test_four_digits_that_end_several_numbers_choose_none_of_them() -> None:
    rows = [*ROWS, chosen.Row("+14255550101", "PENDING", "Frontier")]
    found = chosen.choose(rows, typed="0101")
    assert not found.numbers
    assert found.problems == ["“0101” is the end of 2 numbers; write it whole."]


def test_groups_ticks_and_writing_add_up() -> None:
    rejected = chosen.choose(ROWS, group="s:REJECTED", ticked=["12065550100"], typed="0101")
    assert len(rejected.numbers) == 22
    assert len(chosen.choose(ROWS, group="all").numbers) == 40
    assert not chosen.choose(ROWS, group="s:nothing", ticked=["12125550100"]).numbers


def test_an_address_holds_hundreds_of_numbers_as_ranges() -> None:
    everyone = [row.number for row in ROWS]
    pieces = [f"{first[1:]}-{last[1:]}" for first, last in chosen.runs(everyone[5:], everyone)]
    assert pieces == ["12065550105-12065550139"]
    assert chosen.from_address(pieces, everyone) == everyone[5:]
    assert chosen.from_address(["12065550105", "x.\0.1-2"], everyone) == [everyone[5]]


# --- Fields for some numbers ---------------------------------------------------------------------


def test_fields_of_ticked_numbers_are_typed_once_and_sent_for_these_only(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    page = EditPage(agent_client, order)
    answer = press(page, "pick", pick=[FIRST[1:], THIRD[1:]], f=["pin", "signer"], city="Renton")
    assert answer.status_code == 200
    assert "Change port-out PIN and signer of 2 numbers" in page.html
    assert 'name="fix-city"' not in page.html
    page.post("check", **{"fix-pin": "5566", "fix-signer": "Ben Renner"})
    assert "<ins>Renton</ins>" in page.html, "what was typed before is kept"
    assert page.post("send").status_code == 302
    work_off()
    sent = at_sinch(sandbox)
    pins = [sent[n]["portOutInfo"]["existingPortOutPin"] for n in (FIRST, SECOND, THIRD)]
    assert pins == ["5566", PIN, "5566"]
    signers = [sent[n]["portOutInfo"]["authorizingName"] for n in (FIRST, SECOND, THIRD)]
    assert signers == ["Ben Renner", "Ada Renner", "Ben Renner"]
    assert {d["endUser"]["city"] for d in sent.values()} == {"Renton"}
    assert {d["portOutInfo"]["accountNum"] for d in sent.values()} == {ACCOUNT}


def test_the_order_page_leads_to_the_fields_by_the_address(
    agent_client: Client, order: PortInOrder
) -> None:
    page = EditPage(agent_client, order, f"?n={FIRST[1:]}&n={SECOND[1:]}&f=account&f=name")
    assert "Change name on the bill and account number of 2 numbers" in page.html
    assert ACCOUNT not in page.html
    page = EditPage(agent_client, order, f"?n={FIRST[1:]}-{SECOND[1:]}")
    assert 'id="fix"' not in page.html
    assert "2 ticked" in page.html
    assert len(re.findall(r'name="pick" value="\d+" checked', page.html)) == 2


def test_a_group_is_chosen_without_script_and_without_ticks(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    sandbox.control.reject(order.sinch_id, "Invalid PIN", [SECOND])
    readings.want_one(order.project, "port_in_order", order.sinch_id, "staff")
    work_off()
    page = EditPage(agent_client, order)
    assert "Rejected: 1 number" in page.html
    press(page, "pick", group="s:REJECTED", f=["zip"])
    assert "Change service address of 1 number" in page.html
    press(page, "check", **{"fix-zip": "98188"})
    page.post("send")
    work_off()
    zips = [at_sinch(sandbox)[n]["endUser"]["zipCode"] for n in (FIRST, SECOND)]
    assert zips == ["98101", "98188"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"f": ["pin"]}, "Choose a group, tick numbers, or write them down."),
        ({"pick": [FIRST[1:]]}, "Tick which fields these numbers should get."),
        ({"pick_text": "0199", "f": ["pin"]}, "“0199” is no number of this order."),
    ],
)
def test_an_unfinished_choice_is_told_and_keeps_what_was_typed(
    agent_client: Client, order: PortInOrder, typed: dict[str, Any], said: str
) -> None:
    page = EditPage(agent_client, order)
    assert press(page, "pick", city="Renton", **typed).status_code == 422
    assert said in page.html
    assert page.fields()["city"] == "Renton"


# --- Numbers that go and come --------------------------------------------------------------------


def test_a_number_is_dropped_after_one_more_question(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    page = EditPage(agent_client, order)
    press(page, "drop", pick=[SECOND[1:]])
    assert "1 number will leave this order" in page.html
    page.post("check")
    assert "1 number dropped." in page.html
    assert "Drop 1 number from this order?" in page.html
    assert "Yes, send it and drop it" in page.html
    assert "The LOA names more numbers" in page.html
    before = {n: d for n, d in at_sinch(sandbox).items() if n != SECOND}
    page.post("send")
    work_off()
    assert at_sinch(sandbox) == before
    assert list(order.numbers.values_list("phone_number", flat=True)) == [FIRST, THIRD]
    order.refresh_from_db()
    assert {n for n, kept in order.secrets.items() if kept} == {FIRST, THIRD}


def test_a_dropped_number_is_kept_after_all_with_everything_of_its_own(
    agent_client: Client, order: PortInOrder
) -> None:
    page = EditPage(agent_client, order)
    press(page, "drop", pick=[SECOND[1:], THIRD[1:]])
    page.post("check", city="Renton", zip="98188")
    undo = re.search(r'value="(undo:\w+)" aria-label="Undo the change of the city"', page.html)
    assert undo
    page.post(undo[1])
    page.post("undo:dropped")
    assert "dropped" not in page.html
    page.post("edit")
    press(page, "drop", pick=[SECOND[1:], THIRD[1:]])
    press(page, f"keep:{SECOND[1:]}")
    assert "1 number will leave" in page.html
    press(page, "keep:all")
    page.post("check")
    page.post("send")
    body = updates()[0].payload["body"]
    pins = [e["portOutInfo"]["existingPortOutPin"] for e in body["phoneNumbers"]]
    assert pins == [PIN, PIN, "771248"]
    assert {e["endUser"]["zipCode"] for e in body["phoneNumbers"]} == {"98188"}
    assert {e["endUser"]["city"] for e in body["phoneNumbers"]} == {"Seattle"}


def test_one_number_at_least_stays(agent_client: Client, order: PortInOrder) -> None:
    page = EditPage(agent_client, order)
    assert press(page, "drop", group="all").status_code == 422
    assert "At least one number stays in an order." in page.html


def test_one_number_stays_though_the_others_left_at_sinch_while_it_was_dropped(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    page = EditPage(agent_client, order)
    press(page, "drop", pick=[FIRST[1:]])
    numbers = sandbox.control.orders()[0].numbers
    numbers[:] = [number for number in numbers if number.phone_number == FIRST]
    readings.want_one(order.project, "port_in_order", order.sinch_id, "staff")
    work_off()
    page.post("check")
    assert "At least one number stays in an order." in page.html
    assert "Yes, send it and drop it" not in page.html
    assert page.post("send").status_code == 422
    assert "At least one number stays in an order." in page.html
    assert not updates()


def test_a_number_that_is_added_gets_the_details_of_the_others(
    agent_client: Client, order: PortInOrder, sandbox: Sandbox
) -> None:
    page = EditPage(agent_client, order)
    page.post("check", added="206 555 0145", city="Renton")
    assert "1 number added" in page.html
    assert "<ins>Renton</ins>" in page.html
    page.post("send")
    work_off()
    first, new = at_sinch(sandbox)[FIRST], at_sinch(sandbox)[NEW]
    assert new == first
    assert new["portOutInfo"]["existingPortOutPin"] == PIN
    order.refresh_from_db()
    assert order.secrets[NEW]["accountNum"] == ACCOUNT
    assert list(order.numbers.values_list("phone_number", flat=True)) == [FIRST, SECOND, THIRD, NEW]
    assert not sandbox.violations


@pytest.mark.parametrize("since", ["", "ordered elsewhere", "added elsewhere", "canceling"])
def test_a_stopped_change_is_not_sent_once_its_new_number_is_elsewhere_or_the_order_is_canceled(
    agent_client: Client,
    agent: User,
    order: PortInOrder,
    project: SinchProject,
    sandbox: Sandbox,
    since: str,
) -> None:
    page = EditPage(agent_client, order)
    page.post("check", added=NEW)
    page.post("send")
    stopped = Operation.objects.filter(kind="port_in.update").get()
    Operation.objects.filter(pk=stopped.pk).update(state="dead", next_try_at=None)
    if since == "ordered elsewhere":
        made = sandbox.control.create_order([NEW])
        readings.want_one(project, "port_in_order", str(made.id), "staff")
        work_off()
    elif since == "added elsewhere":
        form = {"added": NEW}
        submit(project, "port_in.update", target="port_in:0", payload={"form": form}, by=agent)
    elif since == "canceling":
        actions_order.cancel_order(order, why="The customer stays.", by=agent)
    assert bool(runner.take_up(stopped)) == bool(since)
    work_off()
    assert sandbox.control.calls().get("updatePortInOrder", 0) == (not since)


@pytest.fixture
def change(agent_client: Client, order: PortInOrder) -> Operation:
    """A change on its way to Sinch that adds a number to the order."""
    page = EditPage(agent_client, order)
    page.post("check", added=NEW)
    page.post("send")
    return updates()[0]


@pytest.mark.parametrize("state", ["queued", "sending", "uncertain"])
def test_a_number_that_a_change_on_its_way_adds_is_in_no_other_order_until_sinch_refuses_it(
    agent_client: Client, order: PortInOrder, change: Operation, state: str
) -> None:
    Operation.objects.filter(pk=change.pk).update(state=state)
    where = f"a change of order {order.sinch_id} on its way to Sinch"
    desk = Desk(agent_client)
    desk.open()
    desk.pk = desk.hidden()["draft"]
    desk.post({"numbers": "206 555 0145"} | details(reference="PSB-2", btn=NEW), "check")
    assert f'is in <a href="{order.get_absolute_url()}">{where}</a>' in desk.html
    draft = PortInDraft.objects.get(pk=desk.pk)
    PortabilityResult.objects.create(
        project=order.project, phone_number=NEW, portable=True, checked_at=timezone.now()
    )
    PortInDraft.objects.filter(pk=desk.pk).update(check_operation=None)
    with pytest.raises(actions.NumberInLiveOrder) as refused:
        actions_parts.submit_orders(draft, attempt=1, by=draft.by)
    assert [reason.text for reason in refused.value.reasons] == [
        f"+1 206 555 0145 is in {where} already. "
        "Leave it out, or wait: it is free again if Sinch refuses that change."
    ]
    Operation.objects.filter(pk=change.pk).update(state="refused")
    assert actions_parts.submit_orders(draft, attempt=1, by=draft.by)


def test_a_row_of_a_file_whose_number_a_change_on_its_way_adds_is_left_out(
    agent_client: Client, agent: User, project: SinchProject, change: Operation
) -> None:
    draft = PortInDraft.objects.create(project=project, by=agent)
    rows = ListDesk(agent_client, draft)
    rows.added(csv_text("Number", "206-555-0145", "206-555-0146"))
    assert "a change of order" in rows.page()
    assert review(draft).taken_count == 1
    actions.continue_without_taken(draft)
    assert [row.number for row in rows.list.rows.going()] == ["+12065550146"]


def test_a_number_is_not_added_to_two_orders_at_once(
    agent_client: Client,
    order: PortInOrder,
    project: SinchProject,
    sandbox: Sandbox,
    change: Operation,
) -> None:
    made = sandbox.control.create_order(["+12065550146"])
    readings.want_one(project, "port_in_order", str(made.id), "staff")
    while readings.run_one():
        pass
    other = EditPage(agent_client, PortInOrder.objects.get(sinch_id=str(made.id)))
    assert other.post("check", added=NEW).status_code == 422
    assert f"already in a change of order {order.sinch_id} on its way to Sinch." in other.html


def test_a_number_of_a_draft_that_is_being_sent_is_added_to_no_order(
    agent_client: Client, agent: User, order: PortInOrder, project: SinchProject
) -> None:
    page = EditPage(agent_client, order)
    page.post("check", added=NEW)
    PortInDraft.objects.create(
        project=project, by=agent, state="sending", title="Lakemont Cycles", data={"numbers": NEW}
    )
    assert page.post("send").status_code == 422
    assert "is on its way already: already in Lakemont Cycles, being sent." in page.html
    assert not updates()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_change_that_adds_a_number_waits_for_who_is_ordering_at_the_same_moment(
    agent_client: Client,
    agent: User,
    order: PortInOrder,
    project: SinchProject,
    is_stopped: bool,
) -> None:
    page = EditPage(agent_client, order)
    page.post("check", added=NEW)
    if is_stopped:
        page.post("send")
        Operation.objects.filter(kind="port_in.update").update(state="dead", next_try_at=None)

    def send() -> None:
        try:
            _ = runner.take_up(updates()[0]) if is_stopped else page.post("send")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as colleague:
        with transaction.atomic():
            places.one_at_a_time(project.pk)
            PortInDraft.objects.create(
                project=project, by=agent, state="sending", data={"numbers": NEW}
            )
            sent = colleague.submit(send)
            wait_for(somebody_waits_for_a_lock, what="the change")
        sent.result()
    assert not [change for change in updates() if change.is_under_way]


def test_a_number_that_cannot_be_added_is_told_with_its_reason(
    agent_client: Client, order: PortInOrder, project: SinchProject
) -> None:
    page = EditPage(agent_client, order)
    assert page.post("check", added="206 555 01", city="Renton").status_code == 422
    assert "“206 555 01” cannot be added" in page.html
    assert page.fields()["city"] == "Renton"
    PortabilityResult.objects.create(
        project=project,
        phone_number=NEW,
        portable=False,
        reason="No coverage",
        checked_at=order.fetched_at,
    )
    assert page.post("check", added=NEW).status_code == 422
    assert "+1 206 555 0145 cannot move to Sinch: “No coverage”." in page.html
    PortabilityResult.objects.update(checked_at=timezone.now() - CHECK_HOLDS * 2)
    assert page.post("check", added=NEW).status_code == 200, "an answer that old blocks no draft"
    PortabilityResult.objects.update(checked_at=timezone.now())
    page.post("check", added="")
    assert page.post("send").status_code == 302


# --- 500 numbers ---------------------------------------------------------------------------------


@pytest.fixture
def big(project: SinchProject, agent: User, sandbox: Sandbox, porting_client: Any) -> PortInOrder:
    """A pending order of 500 numbers, every tenth with a PIN of its own."""
    numbers = [f"+1{code}555{n:04d}" for code in (206, 425, 253, 360, 509) for n in range(200, 295)]
    numbers += [f"+1971555{n:04d}" for n in range(200, 225)]
    body = bodies.create_body(
        numbers=numbers,
        shared={
            "end_user": {
                "name": "Lakemont Cycles",
                "streetNum": "88",
                "streetName": "Pike St",
                "city": "Seattle",
                "state": "WA",
                "zipCode": "98101",
            },
            "port_out": {"existingPortOutPin": PIN},
        },
        overrides={n: {"port_out": {"existingPortOutPin": f"9{n[-4:]}"}} for n in numbers[::10]},
        schedule={"date": in_days(14)},
        reference="BIG-500",
        on_demand=False,
        reseller="",
        loa={},
    )
    draft = PortInDraft.objects.create(project=project, by=agent, state="sending")
    payload = {"body": body, "draft": str(draft.pk)}
    submit(project, "port_in.create", target=draft.target, payload=payload, by=agent)
    work_off()
    return PortInOrder.objects.get(reference="BIG-500")


def test_500_numbers_are_fixed_and_checked_in_a_moment_and_nothing_else_changes(
    agent_client: Client, big: PortInOrder, sandbox: Sandbox
) -> None:
    before = {n: dict(d["portOutInfo"]) for n, d in at_sinch(sandbox).items()}
    page = EditPage(agent_client, big)
    press(page, "pick", pick_text="+1 425 555 0200 to 0299\n+1 206 555 0250 to 0279", f=["pin"])
    assert "Change port-out PIN of 125 numbers" in page.html
    press(page, "check", **{"fix-pin": "5566"})
    assert "1 field on 125 numbers." in page.html
    assert page.post("send").status_code == 302
    work_off()
    after = {n: d["portOutInfo"] for n, d in at_sinch(sandbox).items()}
    mended = [n for n in before if n[2:5] == "425" or ("2065550250" <= n[2:] <= "2065550279")]
    assert len(mended) == 125
    for number, info in before.items():
        wanted = "5566" if number in mended else info["existingPortOutPin"]
        assert after[number] == info | {"existingPortOutPin": wanted}
    assert not sandbox.violations


def test_the_pages_of_500_numbers_take_no_more_statements_than_those_of_three(
    agent_client: Client, big: PortInOrder, order: PortInOrder
) -> None:
    def statements(which: PortInOrder) -> list[int]:
        counts = []
        page = EditPage(agent_client, which)
        for action, typed in (("check", {"zip": "98102"}), ("edit", {})):
            cache.clear()  # the counts beside the menu are kept for a few seconds
            with CaptureQueriesContext(connection) as seen:
                page.post(action, **typed)
            counts.append(len(seen))
        return counts

    assert statements(big) == statements(order)
