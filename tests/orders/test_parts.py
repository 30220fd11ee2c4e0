"""One draft becomes several orders: which, with what in each, and none of them twice."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from orders import actions_parts, portability
from orders.models import (
    ListRow,
    NumberList,
    PortabilityResult,
    PortInDraft,
    PortInNumber,
    PortInOrder,
)
from orders.parts import Plan
from orders.review import review
from portal.accounts.models import SinchProject, User
from portal.operations import runner
from portal.operations.models import Operation
from portal.work.drafts import NotSendable
from portal.work.models import TimelineEntry, WorkItem
from tests.orders.test_drafts import CREATE, HTMX, Desk, desk, details, in_days, live_url

pytestmark = pytest.mark.django_db

__all__ = ["desk"]

LUMEN = [f"+1206555{n:02d}4{d}" for n in range(10, 100) for d in range(10)]
BELL = [f"+1204555{n:02d}4{d}" for n in range(10, 100) for d in range(10)]
TELUS = [f"+1604555{n:02d}4{d}" for n in range(10, 100) for d in range(10)]
CAN_BE_SENT = 'id="send-open" name="action" value="ask"'


def answered(project: SinchProject, **numbers: list[str]) -> None:
    """Let Sinch have said that numbers can move away from carriers."""
    PortabilityResult.objects.bulk_create(
        PortabilityResult(
            project=project,
            phone_number=number,
            portable=True,
            carrier=carrier.replace("_", " "),
            checked_at=timezone.now(),
        )
        for carrier, listed in numbers.items()
        for number in listed
    )


def typed(project: SinchProject, by: User, numbers: list[str], **changed: Any) -> PortInDraft:
    """A draft with pasted numbers and everything else that an order needs."""
    data = details(reseller="Alder Voice Inc", **changed) | {"numbers": "\n".join(numbers)}
    return PortInDraft.objects.create(project=project, by=by, data=data, title=data["name"])


def listed(
    project: SinchProject, by: User, rows: list[dict[str, Any]], **changed: Any
) -> PortInDraft:
    """A draft whose numbers are the rows of a file that has been read."""
    draft = typed(project, by, [], **changed)
    numbers = NumberList.objects.create(
        project=project,
        by=by,
        draft=draft,
        name="pike-street-sites.xlsx",
        state=NumberList.State.READY,
        total=len(rows),
        done=len(rows),
        content=b"the file",
        next_try_at=None,
        finished_at=timezone.now(),
    )
    ListRow.objects.bulk_create(
        ListRow(list=numbers, position=position, **row) for position, row in enumerate(rows, 1)
    )
    return draft


def row(number: str, **own: str) -> dict[str, Any]:
    return {"number": number, "data": {"cells": [number], "details": own}, "problems": []}


def send(draft: PortInDraft) -> list[Operation]:
    return actions_parts.submit_orders(draft, attempt=1, by=draft.by)


def numbers_sent(operation: Operation) -> list[str]:
    operation.refresh_from_db()
    return [entry["phoneNumber"] for entry in operation.payload["body"]["phoneNumbers"]]


def page_of(client: Client, draft: PortInDraft, query: str = "") -> str:
    answer = client.get(draft.get_absolute_url() + query)
    assert answer.status_code == 200
    return answer.content.decode()


# --- Which orders -------------------------------------------------------------------------------


def test_one_order_for_each_carrier_in_the_order_of_the_list(project, agent):
    mixed = [LUMEN[0], BELL[0], LUMEN[1], BELL[1], LUMEN[2]]
    answered(project, Lumen=LUMEN[:3], Bell_MTS=BELL[:2])
    draft = typed(project, agent, mixed)
    found = [(p.reference, p.carriers, p.numbers) for p in Plan(review(draft)).parts]
    assert found == [
        ("PSB-2026-003-1", ("Lumen",), tuple(LUMEN[:3])),
        ("PSB-2026-003-2", ("Bell MTS",), tuple(BELL[:2])),
    ]
    draft.data["split"] = "one"
    found = [(p.reference, p.carriers, p.numbers) for p in Plan(review(draft)).parts]
    assert found == [("PSB-2026-003", ("Lumen", "Bell MTS"), tuple(mixed))]


def test_no_order_takes_more_than_500_and_unknown_carriers_go_together_at_the_end(project, agent):
    answered(project, Lumen=LUMEN[:501], **{"": TELUS[:2]})
    draft = typed(project, agent, [*TELUS[:2], *LUMEN[:501]])
    plan = Plan(review(draft))
    assert [(p.carriers, p.count) for p in plan.parts] == [
        (("Lumen",), 500),
        (("Lumen",), 1),
        (("",), 2),
    ]
    assert plan.parts[0].numbers == tuple(LUMEN[:500])
    assert plan.parts[2].carrier_text == "Not said"


def test_a_file_is_planned_as_pasted_numbers_are(project, agent):
    numbers = [*LUMEN[:3], *BELL[:2], *TELUS[:1]]
    answered(project, Lumen=LUMEN[:3], Bell_MTS=BELL[:2])
    PortabilityResult.objects.filter(phone_number=BELL[0]).update(portable=False)
    from_file = Plan(review(listed(project, agent, [row(n) for n in numbers])))
    pasted = Plan(review(typed(project, agent, numbers)))
    for plan in (from_file, pasted):
        assert [(p.carriers, p.count) for p in plan.parts] == [
            (("Lumen",), 3),
            (("Bell MTS",), 1),
            (("",), 1),
        ]
        assert [c.hint for c in plan.choices] == [
            "Lumen, 3 numbers · Bell MTS, 1 number · Carrier not said, 1 number",
            "5 numbers; dates may drift apart",
        ]


def test_references_stay_within_100_characters_and_differ(project, agent):
    answered(project, Lumen=LUMEN[:1], Telus=TELUS[:1])
    draft = typed(project, agent, [LUMEN[0], TELUS[0]], reference="R" * 100)
    references = Plan(review(draft)).references
    assert references == ["R" * 98 + "-1", "R" * 98 + "-2"]


def test_a_reference_that_another_order_has_keeps_all_of_them_here(project, agent):
    WorkItem.objects.create(
        kind="port_in",
        project=project,
        target_pk=1,
        sinch_id="40118273",
        reference="psb-2026-003-2",
    )
    answered(project, Lumen=LUMEN[:1], Telus=TELUS[:1])
    draft = typed(project, agent, [LUMEN[0], TELUS[0]])
    with pytest.raises(NotSendable) as refusal:
        send(draft)
    assert str(refusal.value) == (
        "Order 40118273 has the reference PSB-2026-003-2 already; begin with another one."
    )
    assert not Operation.objects.exists()


def test_what_is_open_is_named_at_the_order_it_is_about(project, agent):
    answered(project, Lumen=LUMEN[:1], Telus=TELUS[:1])
    draft = typed(project, agent, [LUMEN[0], TELUS[0]])
    draft.data |= {"reseller": "", "pin": "", "account": ""}
    american, canadian = Plan(review(draft)).parts
    assert [reason.short for reason in american.reasons] == ["PIN"]
    assert [reason.short for reason in canadian.reasons] == ["PIN", "Reseller name"]


def test_a_number_in_another_order_is_open_only_where_it_would_go(project, agent, porting_client):
    answered(project, Lumen=LUMEN[:2], Telus=TELUS[:2])
    draft = typed(project, agent, [*LUMEN[:2], *TELUS[:2]])
    send(typed(project, agent, LUMEN[1:2], reference="FIRST"))
    runner.run_one()
    american, canadian = Plan(review(draft)).parts
    assert american.briefs == ["Number in another order"]
    assert canadian.briefs == []


def test_only_the_order_with_unchecked_numbers_waits_for_portability(project, agent):
    answered(project, Lumen=LUMEN[:1], Telus=TELUS[:1])
    PortabilityResult.objects.filter(carrier="Telus").update(
        checked_at=timezone.now() - timedelta(days=2)
    )
    draft = typed(project, agent, [LUMEN[0], TELUS[0]])
    assert [part.briefs for part in Plan(review(draft)).parts] == [[], ["Portability"]]


def test_what_is_open_is_told_once_and_what_is_not_shown_is_counted(agent_client, project, agent):
    answered(project, Lumen=LUMEN[:1], Telus=TELUS[:1])
    draft = typed(project, agent, [LUMEN[0], TELUS[0]])
    empty = ("name", "city", "state", "zip", "street", "port_time", "voice", "pin", "account")
    draft.data |= dict.fromkeys(empty, "")
    part = Plan(review(draft)).parts[0]
    assert len(part.briefs) == len(set(part.briefs))
    assert len(part.briefs) > 6
    draft.save()
    html = page_of(agent_client, draft)
    assert f"and {len(part.briefs) - 6} more</span>" in html


# --- The page -----------------------------------------------------------------------------------


def test_the_choice_is_offered_as_in_the_mock_up_and_kept(desk, project):
    answered(project, Lumen=LUMEN[:2], Telus=TELUS[:1])
    fields = {"numbers": "\n".join([*LUMEN[:2], *TELUS[:1]])}
    desk.post(fields | details(reseller="Alder Voice Inc"), "save")
    for said in (
        "2 losing carriers answer at different speeds.",
        "Make 2 orders",
        "Lumen, 2 numbers · Telus, 1 number",
        "Keep one order",
        "3 numbers; dates may drift apart",
        "Send 2 orders to Sinch…",
        "PSB-2026-003-1",
    ):
        assert said in desk.html
    assert re.search(r'name="split" value="carrier" checked', desk.html)
    said = desk.post({"split": "one"}, **HTMX).content.decode()
    assert "Send 1 order to Sinch…" in said
    assert 'id="s2"' not in said, "the buttons somebody has just pressed are left alone"
    assert re.search(r'value="one" checked', desk.open(desk.draft.get_absolute_url()))


def test_sending_several_asks_once_more(desk, project):
    answered(project, Lumen=LUMEN[:2], Telus=TELUS[:1])
    fields = {"numbers": "\n".join([*LUMEN[:2], *TELUS[:1]])}
    desk.post(fields | details(reseller="Alder Voice Inc"), "ask")
    html = desk.open(f"{desk.draft.get_absolute_url()}?ask=1")
    assert "Send these 2 orders, 3 numbers in all, to Sinch?" in html
    assert "Yes, send 2 orders" in html
    assert not Operation.objects.exists()


def test_a_file_is_shown_added_up_and_its_missing_answers_are_asked_for(
    agent_client, project, agent, porting_client
):
    rows = [row(n) for n in [*LUMEN[:40], *TELUS[:3]]] + [row("+12065550199")]
    draft = listed(project, agent, rows)
    html = page_of(agent_client, draft)
    assert "Portability is not checked yet." in html
    desk = Desk(agent_client)
    desk.open(draft.get_absolute_url())
    desk.post({}, "check")
    assert "0 of 44 asked" in desk.html
    url = live_url(desk.html)
    while portability.run_one():
        pass
    text = agent_client.get(url, headers=HTMX).content.decode()
    assert "1 of 44 numbers cannot move" in text
    assert "Number is not portable" in text
    assert LUMEN[5][-7:] not in re.sub(r"\D", "", text), "numbers that can move are not listed"
    desk.open(draft.get_absolute_url())
    desk.post({}, "keep_portable")
    assert ListRow.objects.get(number="+12065550199").left_out == "Number is not portable"
    assert "Send 2 orders to Sinch…" in desk.html
    assert CAN_BE_SENT in desk.html


def test_wrong_rows_and_a_file_that_is_being_read_keep_the_orders_here(
    agent_client, project, agent
):
    bad = {"data": {"cells": ["206555"]}, "problems": [{"field": "number", "text": "6 digits"}]}
    draft = listed(project, agent, [row(LUMEN[0]), bad, bad])
    answered(project, Lumen=LUMEN[:1])
    html = page_of(agent_client, draft)
    assert "2 rows to correct or leave out." in html
    assert CAN_BE_SENT not in html
    ListRow.objects.filter(number="").update(left_out="Left out by hand")
    assert CAN_BE_SENT in page_of(agent_client, draft)
    NumberList.objects.update(state=NumberList.State.READING)
    html = page_of(agent_client, draft)
    assert "pike-street-sites.xlsx is still being read." in html
    assert CAN_BE_SENT not in html


def test_a_page_made_while_the_last_row_is_read_asks_again(
    agent_client, project, agent, monkeypatch
):
    answered(project, Lumen=LUMEN[:1])
    draft = listed(project, agent, [row(LUMEN[0])])
    NumberList.objects.update(state=NumberList.State.READING)

    def outrun(*args, **options):
        found = review(*args, **options)
        NumberList.objects.update(state=NumberList.State.READY)
        return found

    monkeypatch.setattr("orders.views.review", outrun)
    html = page_of(agent_client, draft)
    assert "pike-street-sites.xlsx is still being read." in html
    box = html[html.index('id="list-box"') :].partition(">")[0]
    assert 'hx-trigger="every 1s, wake"' in box


def test_a_field_that_every_row_has_is_not_asked_for(agent_client, project, agent):
    answered(project, Lumen=LUMEN[:2])
    draft = listed(
        project,
        agent,
        [row(n, name="Pike Street Books LLC", pin="4821") for n in LUMEN[:2]],
        name="",
        pin="",
        account="",
    )
    assert CAN_BE_SENT in page_of(agent_client, draft)
    second = ListRow.objects.get(number=LUMEN[1])
    second.data = {"cells": [], "details": {"name": "Pike Street Books LLC"}}
    second.save()
    html = page_of(agent_client, draft)
    assert 'href="#id_pin"' in html, "one row has neither a PIN nor an account number"
    assert 'href="#id_name"' not in html


def test_numbers_of_a_file_that_are_on_their_way_are_named_and_can_be_left_out(
    agent_client, project, agent, porting_client
):
    answered(project, Lumen=LUMEN[:6])
    send(typed(project, agent, LUMEN[:1], reference="FIRST"))
    runner.run_one()
    order = PortInOrder.objects.get()
    send(listed(project, agent, [row(n) for n in LUMEN[1:3]], reference="SECOND"))
    draft = listed(project, agent, [row(n) for n in LUMEN[:6]])
    html = page_of(agent_client, draft)
    assert "3 numbers are in another order already" in html
    assert order.get_absolute_url() in html
    assert "being sent" in html
    assert CAN_BE_SENT not in html
    desk = Desk(agent_client)
    desk.open(draft.get_absolute_url())
    desk.post({}, "keep_free")
    assert review(draft).count == 3
    assert CAN_BE_SENT in desk.html


def test_pasted_numbers_that_are_on_their_way_can_be_left_out(desk, project, agent, porting_client):
    answered(project, Lumen=LUMEN[:3])
    send(typed(project, agent, LUMEN[:1], reference="FIRST"))
    PortInDraft.objects.update(title="Harborview Dental LLC")
    desk.post({"numbers": "\n".join(LUMEN[:3])} | details(), "save")
    draft = PortInDraft.objects.get(state=PortInDraft.State.OPEN)
    assert "1 number is in another order already" in desk.html
    assert "Harborview Dental LLC, being sent" in desk.html
    desk.post({}, "keep_free")
    draft.refresh_from_db()
    assert draft.field("numbers").splitlines() == LUMEN[1:3]


# --- Sending ------------------------------------------------------------------------------------


def test_pasted_numbers_become_orders_with_their_own_details(
    project, agent, sandbox, porting_client
):
    answered(project, Lumen=LUMEN[:2], Telus=TELUS[:2])
    draft = typed(project, agent, [TELUS[0], LUMEN[0], LUMEN[1], TELUS[1]])
    draft.data["overrides"] = [
        {"key": "o1", "number": LUMEN[1], "pin": "9931"},
        {"key": "o2", "number": TELUS[1], "name": "Pike Annex"},
    ]
    draft.save()
    sent = send(draft)
    assert [numbers_sent(one) for one in sent] == [LUMEN[:2], TELUS[:2]]
    first, second = (one.payload["body"]["phoneNumbers"] for one in sent)
    assert first[1]["portOutInfo"]["existingPortOutPin"] == "9931"
    assert first[0]["portOutInfo"]["existingPortOutPin"] == details()["pin"]
    assert second[1]["endUser"]["name"] == "Pike Annex"
    draft.refresh_from_db()
    assert draft.state == PortInDraft.State.SENT
    while runner.run_one():
        pass
    orders = PortInOrder.objects.order_by("reference")
    assert [order.reference for order in orders] == ["PSB-2026-003-1", "PSB-2026-003-2"]
    assert not sandbox.violations
    told = list(TimelineEntry.objects.filter(source="staff").values_list("text", flat=True))
    assert "Order 1 of 2, 2 numbers, sent on its way to Sinch, reference PSB-2026-003-1" in told


def test_a_double_click_a_reload_and_an_old_page_make_nothing_twice(
    desk, project, sandbox, porting_client
):
    answered(project, Lumen=LUMEN[:2], Telus=TELUS[:1])
    fields = {"numbers": "\n".join([*LUMEN[:2], *TELUS[:1]])}
    desk.post(fields | details(reseller="Alder Voice Inc"), "save")
    page = desk.hidden()
    draft = PortInDraft.objects.get(parent=None)
    for _ in range(2):
        answer = desk.client.post(CREATE, page | {"action": "send"})
        assert answer["Location"] == draft.get_absolute_url()
    again = send(draft)
    assert len(again) == Operation.objects.filter(kind="port_in.create").count() == 2
    while runner.run_one():
        pass
    desk.client.post(CREATE, page | {"action": "send"})
    assert Operation.objects.filter(kind="port_in.create").count() == 2
    assert sandbox.state.calls["orderPortIn"] == 2
    typed_late = desk.client.post(CREATE, page | {"name": "Late"}, headers=HTMX)
    assert typed_late.status_code == 409
    assert "This draft has become orders" in typed_late.content.decode()


def test_while_anything_is_open_nothing_at_all_is_sent(project, agent):
    answered(project, Lumen=LUMEN[:2])
    draft = listed(project, agent, [row(n) for n in [*LUMEN[:2], TELUS[0]]])
    with pytest.raises(NotSendable):
        send(draft)
    assert not Operation.objects.exists()
    assert not PortInDraft.objects.filter(parent=draft).exists()
    assert not ListRow.objects.exclude(part=None).exists()


def test_the_page_of_the_parts_is_live_and_leads_to_each_order(
    agent_client, project, agent, sandbox, porting_client
):
    answered(project, Lumen=LUMEN[:2], Telus=TELUS[:1])
    draft = typed(project, agent, [*LUMEN[:2], *TELUS[:1]])
    send(draft)
    html = page_of(agent_client, draft)
    assert "0 of 2 orders made" in html
    assert "You can leave this page" in html
    url = live_url(html)
    assert agent_client.get(url, headers=HTMX).status_code == 204
    sandbox.control.faults.add("402", "orderPortIn", times=1)
    assert runner.run_one()
    answer = agent_client.get(url, headers=HTMX)
    assert "Refused" in answer.content.decode()
    assert runner.run_one()
    order, refused = PortInOrder.objects.get(), PortInDraft.objects.get(state="open")
    html = page_of(agent_client, draft)
    assert "1 of 2 orders made" in html
    assert order.get_absolute_url() in html
    assert "Open this part" in html
    assert refused.get_absolute_url() in html
    assert 'hx-trigger="every 1s' not in html
    own = Desk(agent_client)
    own.open(refused.get_absolute_url())
    assert "All of them" in own.html
    assert CAN_BE_SENT in own.html
    own.post({}, "send")
    assert runner.run_one()
    assert "2 of 2 orders made" in page_of(agent_client, draft)
    assert len(sandbox.state.orders) == 2


def test_a_poll_of_unchanged_parts_costs_one_statement(agent_client, project, agent):
    answered(project, Lumen=LUMEN[:2], Telus=TELUS[:1])
    draft = typed(project, agent, [*LUMEN[:2], *TELUS[:1]])
    send(draft)
    url = live_url(page_of(agent_client, draft))
    agent_client.get(url)
    with CaptureQueriesContext(connection) as queries:
        answer = agent_client.get(url, headers=HTMX)
    assert answer.status_code == 204
    assert len(queries) == 1


def test_a_refused_part_of_a_file_keeps_its_rows_and_is_sent_again(
    agent_client, project, agent, sandbox, porting_client
):
    answered(project, Lumen=LUMEN[:3], Telus=TELUS[:1])
    rows = [row(n, pin=f"77{i:02d}") for i, n in enumerate([*LUMEN[:3], *TELUS[:1]])]
    draft = listed(project, agent, rows)
    send(draft)
    assert NumberList.objects.get().content is None
    sandbox.control.faults.add("402", "orderPortIn", times=1)
    while runner.run_one():
        pass
    refused = PortInDraft.objects.get(state=PortInDraft.State.OPEN)
    assert refused.part == 1
    desk = Desk(agent_client)
    desk.open(refused.get_absolute_url())
    assert "3 numbers out of the file that was split" in desk.html
    desk.post({}, f"leave_row_out:{LUMEN[0]}")
    desk.post({"city": "Tacoma"}, "save")
    desk.post({}, "send")
    refused.refresh_from_db()
    assert refused.operation is not None
    while runner.run_one():
        pass
    assert numbers_sent(refused.operation) == LUMEN[1:3]
    entries = refused.operation.payload["body"]["phoneNumbers"]
    assert [e["portOutInfo"]["existingPortOutPin"] for e in entries] == ["7701", "7702"]
    assert {e["endUser"]["city"] for e in entries} == {"Tacoma"}
    assert PortInOrder.objects.count() == 2
    assert refused.field("count") == 2


def test_a_short_file_of_one_carrier_becomes_one_order(project, agent, sandbox, porting_client):
    answered(project, Lumen=LUMEN[:2])
    draft = listed(project, agent, [row(LUMEN[0]), row(LUMEN[1], city="Tacoma")])
    (operation,) = send(draft)
    assert "body" not in operation.payload
    assert runner.run_one()
    assert numbers_sent(operation) == LUMEN[:2]
    order = PortInOrder.objects.get()
    draft.refresh_from_db()
    assert draft.order == order
    assert order.reference == "PSB-2026-003"


def test_a_worker_that_dies_before_the_body_is_made_loses_nothing(
    project, agent, sandbox, porting_client, settle
):
    answered(project, Lumen=LUMEN[:2])
    draft = listed(project, agent, [row(n) for n in LUMEN[:2]])
    (operation,) = send(draft)
    Operation.objects.filter(pk=operation.pk).update(
        state=Operation.State.SENDING, sent_at=timezone.now(), attempts=1
    )
    settle()
    assert PortInOrder.objects.count() == len(sandbox.state.orders) == 1
    assert numbers_sent(operation) == LUMEN[:2]


def test_drafts_on_their_way_as_parts_stand_as_one_in_the_list(desk, project, agent):
    answered(project, Lumen=LUMEN[:2], Telus=TELUS[:1])
    draft = typed(project, agent, [*LUMEN[:2], *TELUS[:1]])
    send(draft)
    html = desk.open()
    assert html.count("being sent") == 1
    assert draft.get_absolute_url() in html


# --- Numbers taken up from an order that refused them ---------------------------------------------


@pytest.mark.parametrize("kind", ["refused", "copy"])
def test_an_order_of_refused_numbers_follows_the_one_that_refused_them(
    agent_client, project, agent, sandbox, porting_client, kind
):
    answered(project, Lumen=LUMEN[:3])
    send(typed(project, agent, LUMEN[:2], reference="FIRST"))
    runner.run_one()
    before = PortInOrder.objects.get()
    sandbox.control.cancel(before.sinch_id)
    PortInNumber.objects.filter(order=before).update(status="EXCLUDED")
    draft = typed(project, agent, LUMEN[:2], follows_kind=kind)
    PortInDraft.objects.filter(pk=draft.pk).update(follows=before)
    html = page_of(agent_client, draft)
    assert before.get_absolute_url() in html
    assert ("Takes up 2 refused numbers of" in html) == (kind == "refused")
    assert ("Copied from" in html) == (kind == "copy")
    send(draft)
    runner.run_one()
    after = PortInOrder.objects.exclude(pk=before.pk).get()
    told = set(TimelineEntry.objects.values_list("item_id", "text"))
    new = (after.item_id, f"Takes up 2 refused numbers of order {before.sinch_id}")
    old = (before.item_id, f"2 refused numbers are taken up by order {after.sinch_id}")
    if kind == "refused":
        assert after.follows == before
        assert {new, old} <= told
    else:
        assert after.follows is None
        assert not {new, old} & told


# --- Size ---------------------------------------------------------------------------------------


def test_the_page_of_a_file_costs_no_more_statements_for_more_rows(agent_client, project, agent):
    answered(project, Lumen=LUMEN, Telus=TELUS)

    def cost(numbers: list[str], reference: str) -> int:
        draft = listed(project, agent, [row(n) for n in numbers], reference=reference)
        page_of(agent_client, draft)
        with CaptureQueriesContext(connection) as queries:
            page_of(agent_client, draft)
        return len(queries)

    few = cost([LUMEN[0], TELUS[0]], "FEW")
    assert cost([*LUMEN, *TELUS], "MANY") == few


def test_an_old_answer_is_asked_for_again_and_only_that_one(
    agent_client, project, agent, sandbox, porting_client
):
    answered(project, Lumen=LUMEN[:4])
    PortabilityResult.objects.filter(phone_number=LUMEN[2]).update(
        checked_at=timezone.now() - timedelta(hours=25)
    )
    draft = listed(project, agent, [row(n) for n in LUMEN[:4]], port_date=in_days(9))
    html = page_of(agent_client, draft)
    assert "1 number not checked for portability." in html
    assert "Check the 1 without a fresh answer" in html
    desk = Desk(agent_client)
    desk.open(draft.get_absolute_url())
    desk.post({}, "check")
    run = draft.portability_runs.get()
    assert run.numbers == [LUMEN[2]]
    while portability.run_one():
        pass
    assert CAN_BE_SENT in page_of(agent_client, draft)
