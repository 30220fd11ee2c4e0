"""Imported numbers on their way from one plan or campaign to another, whatever breaks."""

import re
import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from hosting import moves, sync_numbers, wire
from hosting.models import Combination, HostingDraft, ImportedNumber, NumberMove
from portal import words
from portal.operations import runner
from portal.operations.models import Operation
from portal.sandbox.clock import iso_instant
from tests.hosting.test_drafts import NEW
from tests.hosting.tools import CAMPAIGN_EVENT, DELETE, FAULTS, PHONE, PLAN_EVENT, post, told

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_a_number_moves_by_unlinking_and_linking(
    fault, both, imported, agent_client, sandbox, settle, read_imported
):
    if fault:
        sandbox.faults.add(fault, "ImportNumberService_UpdateImportedNumber")
    fields = {"do": "start", "plan": "plan-b", "campaign": "CQ2Z7LM"}
    assert post(agent_client, "imported_move", imported, **fields).status_code == 302
    for _ in range(6):
        settle()
        if any(link.is_pending for link in sandbox.hosting.link(PHONE)):
            sandbox.hosting.do_imported(PHONE, "step")
        read_imported(PHONE)
    move = NumberMove.objects.get()
    assert (move.state, move.problem) == ("done", "")
    imported.refresh_from_db()
    assert (imported.service_plan_id, imported.campaign_id) == ("plan-b", "CQ2Z7LM")
    plan, campaign = sandbox.hosting.link(PHONE)
    assert (plan.id, campaign.id) == ("plan-b", "CQ2Z7LM")
    page = agent_client.get(imported.get_absolute_url()).content.decode()
    assert "plan-b" in page


@pytest.mark.parametrize("place", ["provisioning", "scheduled"])
def test_a_move_whose_link_fails_at_sinch_stops_and_tells_why(
    place, both, sandbox, read_imported, agent, agent_client, settle
):
    sandbox.control.personality(failed_link=place)
    phone = "+12065550192"  # its campaign is full
    sandbox.hosting.add_imported(phone, "plan-a", "")
    moves.start(read_imported(phone), plan="plan-b", campaign="CQ2Z7LM", by=agent)
    for _ in range(2):
        settle()
        sandbox.hosting.do_imported(phone, "step")
        row = read_imported(phone)
    assert row.moves.get().state == "stopped"
    page = agent_client.get(row.get_absolute_url()).content.decode()
    assert "Sinch could not make the new link" in page
    assert "Too many numbers on the campaign" in page


@pytest.fixture
def unlinking(imported, sandbox, agent, settle, read_imported):
    """A move that waits for Sinch to unlink; read what becomes of the links."""
    move = moves.start(imported, plan="plan-b", campaign="CQ2Z7LM", by=agent)
    settle()

    def shows(type_, state, *, id_="", updated_at=None, after=timedelta(0)):
        for link in sandbox.hosting.link(PHONE):
            link.type, link.state = type_, state
            link.id = id_ and link.id
            if updated_at is not None:
                link.updated_at = iso_instant(updated_at)
        NumberMove.objects.filter(pk=move.pk).update(state_since=timezone.now() - after)
        read_imported(PHONE)
        settle()
        move.refresh_from_db()
        return move

    assert shows("DEPROVISIONING", "WAITING", id_="yes").state == "waiting"
    return shows


def stop(operation_pk):
    """Have a write stop whose answer was lost, and that nobody could look for."""
    stopped = {"state": "dead", "uncertain_since": timezone.now(), "next_try_at": None}
    Operation.objects.filter(pk=operation_pk).update(**stopped)


def writes(sandbox):
    return sandbox.state.calls["ImportNumberService_UpdateImportedNumber"]


@pytest.mark.parametrize(
    ("type_", "state", "id_", "expected"),
    [
        ("DEPROVISIONING", "WAITING", "", "waiting"),
        ("DEPROVISIONING", "IN_PROGRESS", "", "waiting"),
        ("DEPROVISIONING", "DONE", "yes", "waiting"),
        ("DEPROVISIONING", "DONE", "", "settling"),
        ("DEPROVISIONING", "FAILED", "", "stopped"),
        ("DEPROVISIONING", "FAILED", "yes", "stopped"),
        # What is shown is how the link was made: the unlinking is not shown yet.
        ("PROVISIONING", "DONE", "", "waiting"),
        ("PROVISIONING", "DONE", "yes", "waiting"),
        # Nothing is shown of it at all.
        ("", "", "", "settling"),
    ],
)
def test_a_move_links_only_what_sinch_has_let_go_of(
    type_, state, id_, expected, unlinking, sandbox, agent_client
):
    before = writes(sandbox)
    move = unlinking(type_, state, id_=id_)
    assert move.state == expected
    assert writes(sandbox) - before == (expected == "settling")
    page = agent_client.get(move.number.get_absolute_url()).content.decode()
    assert ("Sinch could not unlink it." in page) is (expected == "stopped")


@pytest.mark.parametrize(
    ("outcome", "code", "expected"),
    [("SUCCEEDED", "", "settling"), ("FAILED", "PARTNER_SERVICE_UNAVAILABLE", "stopped")],
)
def test_a_callback_tells_how_an_unlinking_went_that_is_not_shown(
    outcome, code, expected, unlinking, project
):
    told(project, PLAN_EVENT, outcome, code, at=timezone.now() - timedelta(hours=2))
    assert unlinking("PROVISIONING", "DONE").state == "waiting"  # that was an unlinking before
    told(project, PLAN_EVENT, outcome, code)
    told(project, CAMPAIGN_EVENT, "SUCCEEDED")
    move = unlinking("PROVISIONING", "DONE")
    assert move.state == expected
    assert ("Passing trouble at a partner" in move.problem) is (expected == "stopped")


def test_an_unlinking_of_which_sinch_says_nothing_is_judged_by_a_person(unlinking, agent, settle):
    assert unlinking("PROVISIONING", "DONE", after=timedelta(minutes=59)).state == "waiting"
    move = unlinking("PROVISIONING", "DONE", after=timedelta(minutes=61))
    assert (move.state, move.problem) == ("stopped", moves.NOT_SAID)
    moves.try_again(move, by=agent)
    settle()
    move.refresh_from_db()
    assert move.state == "settling"


def test_an_unlinking_that_failed_is_begun_anew_and_not_judged_by_its_first_try(
    unlinking, sandbox, agent, settle
):
    failed_at = timezone.now() - timedelta(hours=1)
    move = unlinking("DEPROVISIONING", "FAILED", id_="yes")
    assert move.state == "stopped"
    before = writes(sandbox)
    moves.try_again(move, by=agent)
    settle()
    move.refresh_from_db()
    assert (move.state, writes(sandbox) - before) == ("waiting", 1)
    assert unlinking("DEPROVISIONING", "FAILED", id_="yes", updated_at=failed_at).state == "waiting"
    assert unlinking("DEPROVISIONING", "FAILED", updated_at=failed_at).state == "waiting"
    assert unlinking("DEPROVISIONING", "DONE").state == "settling"


def test_a_link_that_failed_at_sinch_is_sent_anew(sandbox, read_imported, agent, settle):
    sandbox.hosting.add_imported(PHONE, "", "")
    move = moves.start(read_imported(PHONE), plan="plan-b", campaign="", by=agent)
    settle()
    plan, _ = sandbox.hosting.link(PHONE)
    plan.state = "FAILED"
    read_imported(PHONE)
    move.refresh_from_db()
    assert move.state == "stopped"
    moves.try_again(move, by=agent)
    settle()
    sandbox.hosting.do_imported(PHONE, "step")
    read_imported(PHONE)
    move.refresh_from_db()
    assert move.state == "done"


def test_a_move_is_read_back_before_it_begins(imported, agent_client, project):
    Combination.objects.get_or_create(
        project=project, service_plan_id="plan-b", campaign_id="CQ2Z7LM"
    )
    to = {"do": "ask", "plan": "plan-b", "campaign": "CQ2Z7LM"}
    page = post(agent_client, "imported_move", imported, **to).content.decode()
    told = " ".join(strip_tags(page[page.index('id="move-ask"') :]).split())
    assert "Move +1 206 555 0142 from plan-a, C3O8OGA to plan-b, CQ2Z7LM?" in told
    assert "knows no" not in told
    page = post(
        agent_client, "imported_move", imported, do="ask", plan="5b1f-nope"
    ).content.decode()
    long = "5b1f0c6ad0f94c4b8f0d3c1f5a2e7733"
    ImportedNumber.objects.update(service_plan_id=long)
    same = post(agent_client, "imported_move", imported, do="ask", plan=long, campaign="CQ2Z7LM")
    asked = same.content.decode().partition('id="move-ask"')[2]
    assert f"from {long}, C3O8OGA to {long}, CQ2Z7LM?" in " ".join(strip_tags(asked).split())
    told = " ".join(strip_tags(page[page.index('id="move-ask"') :]).split())
    assert "to 5b1f-nope without a campaign?" in told
    assert "This desk knows no plan 5b1f-nope. A wrong plan leaves the number without" in told
    assert not NumberMove.objects.exists()


def test_a_move_to_where_the_number_is_asks_nothing(imported, agent_client):
    to = {"do": "ask", "plan": "plan-a", "campaign": "C3O8OGA"}
    answer = post(agent_client, "imported_move", imported, **to)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "Choose another plan or campaign." in page
    assert 'id="move-ask"' not in page


def test_a_second_click_finds_the_move_that_is_under_way(imported, agent, settle):
    first = moves.start(imported, plan="plan-b", campaign="", by=agent)
    assert moves.start(imported, plan="plan-b", campaign="", by=agent) == first
    assert Operation.objects.count() == 1


def test_a_stopped_link_does_not_go_on_beside_a_later_move(
    imported, agent, agent_client, sandbox, settle, read_imported
):
    first = moves.start(imported, plan="plan-b", campaign="", by=agent)
    settle()
    sandbox.hosting.do_imported(PHONE, "step")
    read_imported(PHONE)
    settle()
    sandbox.hosting.do_imported(PHONE, "step")
    read_imported(PHONE)
    first.refresh_from_db()
    # The link got through while nobody could look for it.
    stopped = Operation.objects.get(pk=first.link_operation_id)
    Operation.objects.filter(pk=stopped.pk).update(state="dead", uncertain_since=timezone.now())
    NumberMove.objects.filter(pk=first.pk).update(state=NumberMove.State.STOPPED)
    second = moves.start(read_imported(PHONE), plan="plan-c", campaign="", by=agent)
    answer = agent_client.post(reverse("operations:again", args=[stopped.key]), follow=True)
    assert "It cannot be tried again" in answer.content.decode()
    assert NumberMove.objects.get(state__in=NumberMove.LIVING) == second
    stopped.refresh_from_db()
    assert stopped.state == "dead"


def test_a_stopped_unlinking_is_not_sent_after_a_later_move_has_linked_the_number(
    imported, agent, agent_client, sandbox, settle, read_imported
):
    def step():
        settle()
        sandbox.hosting.do_imported(PHONE, "step")
        return read_imported(PHONE)

    first = moves.start(imported, plan="plan-b", campaign="", by=agent)
    sandbox.faults.add("drop_after", "ImportNumberService_UpdateImportedNumber")
    assert runner.run_one()
    stop(first.unlink_operation_id)
    NumberMove.objects.filter(pk=first.pk).update(state="stopped")
    moves.start(step(), plan="plan-c", campaign="", by=agent)
    assert step().moves.first().state == "done"
    stopped = Operation.objects.get(pk=first.unlink_operation_id)
    again = reverse("operations:again", args=[stopped.key])
    html = agent_client.get(imported.get_absolute_url()).content.decode()
    assert f'action="{again}"' not in html
    why = "This number has been moved again since. Move it anew, if it is to be elsewhere."
    assert why in html
    answer = agent_client.post(again, follow=True)
    assert why in answer.content.decode()
    settle()
    assert (sandbox.hosting.link(PHONE)[0].id, writes(sandbox)) == ("plan-c", 2)


def test_a_stopped_deletion_does_not_go_on_beside_a_move(
    imported, agent, agent_client, sandbox, settle
):
    post(agent_client, "imported_delete", imported)
    stop(Operation.objects.get().pk)
    moves.start(imported, plan="plan-b", campaign="", by=agent)
    stopped = Operation.objects.get(kind="imported.delete")
    answer = agent_client.post(reverse("operations:again", args=[stopped.key]), follow=True)
    assert "It cannot be tried again" in answer.content.decode()
    settle()
    assert sandbox.state.calls[DELETE] == 0


@pytest.mark.parametrize("later", ["done", "stopped", ""])
def test_a_number_is_given_its_old_links_back_only_after_the_move_that_lost_them(
    later, agent_client, sandbox, read_imported, settle
):
    """A page that shows a stopped move may be older than the move after it."""
    sandbox.hosting.add_imported(PHONE, "" if later != "done" else "plan-c", "")
    row = read_imported(PHONE)
    for state, from_plan in (("stopped", "plan-a"), (later, "plan-b")):
        if state:
            NumberMove.objects.create(
                number=row, from_plan=from_plan, to_plan="plan-c", state=state
            )
    answer = post(agent_client, "imported_move", row, do="back")
    settle()
    if later == "done":
        assert answer.status_code == 409
        assert writes(sandbox) == 0
    else:
        assert answer.status_code == 302
        assert sandbox.hosting.link(PHONE)[0].target == ("plan-b" if later else "plan-a")


def test_a_number_that_is_linked_by_now_is_not_given_its_old_links_back(
    imported, agent_client, sandbox, settle
):
    NumberMove.objects.create(
        number=imported, from_plan="plan-b", to_plan="plan-c", state="stopped"
    )
    answer = post(agent_client, "imported_move", imported, do="back")
    assert answer.status_code == 409
    settle()
    assert writes(sandbox) == 0


IN_ORDER = "It is in an order on its way to Sinch"


@pytest.fixture
def order_of_it(agent_client, project):
    """Send an import order of the number; return the answer to the last click."""

    def send():
        pk, typed = str(uuid.uuid4()), {"numbers": PHONE, "plan": "plan-c", "version": "0"}
        ask = typed | {"draft": pk, "action": "ask"}
        page = agent_client.post(NEW["import"], ask).content.decode()
        draft = HostingDraft.objects.get(pk=pk)
        attempt = re.search(r'name="attempt" value="(\w+)"', page)[1]
        again = {"action": "send", "attempt": attempt, "version": draft.version}
        return agent_client.post(draft.get_absolute_url(), typed | again)

    return send


def test_a_number_that_is_being_moved_goes_into_no_order_that_would_link_it_elsewhere(
    imported, agent, agent_client, sandbox, read_imported, settle, order_of_it
):
    move = moves.start(imported, plan="plan-b", campaign="", by=agent)
    settle()
    for link in sandbox.hosting.link(PHONE):
        link.id = ""  # it is still being unlinked
    assert read_imported(PHONE).service_plan_id == ""
    answer = order_of_it()
    assert answer.status_code == 422
    assert "is being moved" in strip_tags(answer.content.decode()).replace("\xa0", " ")
    NumberMove.objects.filter(pk=move.pk).update(state="stopped")
    assert order_of_it().status_code == 302


@pytest.mark.parametrize("page", ["imported_move", "imported_delete"])
def test_a_number_that_goes_into_an_order_is_not_moved_or_deleted_beside_it(
    page, agent_client, sandbox, read_imported, settle, order_of_it
):
    sandbox.hosting.add_imported(PHONE, "", "")
    row = read_imported(PHONE)
    assert order_of_it().status_code == 302
    answer = post(agent_client, page, row, do="start", plan="plan-b", campaign="")
    assert answer.status_code == 409
    assert IN_ORDER in answer.content.decode()
    settle()
    assert (writes(sandbox), sandbox.state.calls[DELETE]) == (0, 0)


@pytest.mark.parametrize("first", ["order", "import"])
def test_a_number_is_not_imported_beside_an_order_of_it(
    first, agent_client, project, sandbox, settle, order_of_it
):
    def import_it():
        typed = {"number": PHONE, "name": "", "plan": "plan-a", "campaign": ""}
        return agent_client.post(reverse("hosting:import_number"), typed)

    one, other = (order_of_it, import_it) if first == "order" else (import_it, order_of_it)
    assert one().status_code == 302
    answer = other()
    assert answer.status_code == 422
    told = IN_ORDER if first == "order" else "The import of +1 206 555 0142 is still on its way"
    assert told in answer.content.decode().replace("\xa0", " ")
    settle()
    assert sandbox.state.calls["ImportNumberService_ImportNumber"] == (first == "import")
    assert sandbox.state.calls["HostingOrderService_ImportNumbers"] == (first == "order")


@pytest.fixture
def linking(sandbox, read_imported, agent, settle):
    """A move that waits for Sinch to link; read what becomes of the link."""
    sandbox.hosting.add_imported(PHONE, "plan-a", "")
    move = moves.start(read_imported(PHONE), plan="plan-a", campaign="CQ2Z7LM", by=agent)
    settle()

    def shows(type_, state, *, id_="", updated_at=None, after=timedelta(0)):
        _, link = sandbox.hosting.link(PHONE)
        link.type, link.state, link.id = type_, state, id_
        if updated_at is not None:
            link.updated_at = iso_instant(updated_at)
        NumberMove.objects.filter(pk=move.pk).update(state_since=timezone.now() - after)
        read_imported(PHONE)
        move.refresh_from_db()
        return move

    assert shows("PROVISIONING", "WAITING").state == "settling"
    return shows


def test_a_link_is_not_judged_by_how_the_one_before_it_went(linking):
    failed_at = timezone.now() - timedelta(hours=1)
    assert linking("PROVISIONING", "FAILED", updated_at=failed_at).state == "settling"
    assert linking("PROVISIONING", "FAILED", updated_at=timezone.now()).state == "stopped"


def test_a_link_to_a_campaign_is_not_judged_by_a_link_to_the_plan_that_is_left_as_it_is(
    linking, sandbox
):
    """How the link to the plan was made may be told without its time."""
    plan, _ = sandbox.hosting.link(PHONE)
    plan.type, plan.state, plan.updated_at = "PROVISIONING", "FAILED", ""
    assert linking("PROVISIONING", "IN_PROGRESS").state == "settling"


def test_a_link_that_sinch_does_not_make_is_judged_by_a_person(linking, sandbox, agent, settle):
    assert linking("PROVISIONING", "WAITING", after=timedelta(hours=3)).state == "settling"
    assert linking("", "", after=timedelta(minutes=59)).state == "settling"
    move = linking("", "", after=timedelta(minutes=61))
    assert (move.state, move.problem) == ("stopped", moves.NOT_LINKED)
    moves.try_again(move, by=agent)
    settle()
    move.refresh_from_db()
    assert move.state == "settling"


def test_a_link_that_sinch_does_not_take_away_is_judged_by_a_person(
    unlinking, sandbox, agent, settle
):
    long = timedelta(minutes=61)
    assert unlinking("DEPROVISIONING", "IN_PROGRESS", id_="yes", after=long).state == "waiting"
    assert unlinking("PROVISIONING", "DONE", id_="yes").state == "waiting"
    move = unlinking("PROVISIONING", "DONE", id_="yes", after=long)
    assert (move.state, move.problem) == ("stopped", moves.STILL_LINKED)
    moves.try_again(move, by=agent)
    settle()
    move.refresh_from_db()
    assert move.state == "waiting", "unlinked once more, and not linked beside the old link"
    assert unlinking("DEPROVISIONING", "DONE").state == "settling"


def test_a_link_that_failed_before_is_not_taken_for_one_whose_answer_was_lost(
    sandbox, read_imported, agent, settle
):
    sandbox.control.personality(failed_link="scheduled")
    phone = "+12065550192"  # its campaign is full
    sandbox.hosting.add_imported(phone, "plan-a", "")
    move = moves.start(read_imported(phone), plan="plan-a", campaign="CQ2Z7LM", by=agent)
    settle()
    sandbox.hosting.do_imported(phone, "step")
    read_imported(phone)
    move.refresh_from_db()
    assert move.state == "stopped"
    sandbox.hosting.link(phone)[1].updated_at = iso_instant(timezone.now() - timedelta(hours=1))
    sandbox.faults.add("drop_before", "ImportNumberService_UpdateImportedNumber")
    moves.try_again(move, by=agent)
    settle()
    assert sandbox.hosting.link(phone)[1].is_pending, "it was sent once more"


def test_a_number_is_not_moved_before_its_deletion_has_ended(
    imported, agent_client, sandbox, settle
):
    """The deletion whose answer was lost may be sent once more, to what has moved since."""
    sandbox.faults.add("drop_before", DELETE)
    post(agent_client, "imported_delete", imported)
    assert runner.run_one()
    answer = post(agent_client, "imported_move", imported, do="start", plan="plan-b", campaign="")
    assert answer.status_code == 409
    told = "The deletion of +1 206 555 0142 is still on its way to Sinch."
    assert told in answer.content.decode().replace("\xa0", " ")
    assert not NumberMove.objects.exists()
    settle()
    assert PHONE not in sandbox.state.hosting.imported


def test_numbers_being_moved_are_listed_once_and_those_that_have_arrived_no_more(
    imported, agent_client, project
):
    moved = sync_numbers.store_imported(project, {"phoneNumber": "+12065550143"}, timezone.now())
    for state in ("stopped", "stopped"):
        NumberMove.objects.create(number=imported, to_plan="plan-b", state=state)
    for state in ("stopped", "done"):
        NumberMove.objects.create(number=moved, to_plan="plan-b", state=state)
    listed = agent_client.get(reverse("hosting:imported_numbers"), {"show": "moving"})
    shown = listed.context["page"]
    assert ([row.pk for row in shown.rows], shown.total) == ([imported.pk], 1)


@pytest.mark.parametrize(
    ("plan", "to", "what"),
    [
        ("", ("plan-b", ""), "service plan"),
        ("plan-a", ("plan-a", "CQ2Z7LM"), "campaign"),
        ("plan-a", ("plan-b", ""), "campaign"),
    ],
)
def test_a_number_is_not_moved_before_a_link_that_is_only_scheduled_stands(
    plan, to, what, sandbox, read_imported, agent_client, settle
):
    """It cannot be given up yet, and would come to stand beside the new one."""
    number = sandbox.hosting.add_imported(PHONE, plan, "")
    link = number.campaign if plan else number.plan
    link.type, link.state, link.target = "PROVISIONING", "WAITING", "C3O8OGA" if plan else "plan-a"
    link.updated_at = iso_instant(timezone.now() - timedelta(days=2))
    row = read_imported(PHONE)
    assert (row.service_plan_id, row.campaign_id, row.is_settling) == (plan, "", True)
    since = words.moment_text(wire.read_moment(link.updated_at))
    told = f"Sinch is still at work on its link to a {what}, since {since}. Wait until that has"
    where = dict(zip(("plan", "campaign"), to, strict=True))
    for do, status in (("ask", 422), ("start", 409)):
        answer = post(agent_client, "imported_move", row, do=do, **where)
        assert answer.status_code == status
        assert told in answer.content.decode()
        assert "you can go on all the same" in answer.content.decode()
        assert 'id="move-ask"' not in answer.content.decode()
    settle()
    assert (writes(sandbox), NumberMove.objects.count()) == (0, 0)
    sandbox.hosting.do_imported(PHONE, "step")
    row = read_imported(PHONE)
    assert post(agent_client, "imported_move", row, do="start", **where).status_code == 302


@pytest.fixture
def stuck(sandbox, read_imported):
    """A number whose link to a campaign is scheduled for ever; `stuck()` has it stay so."""
    number = sandbox.hosting.add_imported(PHONE, "plan-a", "")

    def stay(days=14):
        link = number.campaign
        link.type, link.state, link.target = "PROVISIONING", "WAITING", "C3O8OGA"
        link.updated_at = iso_instant(timezone.now() - timedelta(days=days))
        return read_imported(PHONE)

    stay()
    return stay


@pytest.mark.parametrize("to", [("plan-b", ""), ("plan-a", "CQ2Z7LM")])
def test_a_number_is_moved_beside_a_link_that_does_not_end_once_somebody_has_seen_that(
    to, stuck, sandbox, agent_client, settle
):
    def asked():
        answer = post(agent_client, "imported_move", row, do="ask", **where)
        assert (
            "nothing has moved for 5 business days. Ask Sinch support first."
            in (answer.content.decode().partition('id="move-ask"')[2])
        )
        return re.search(r'name="knowing" value="(\w+)"', answer.content.decode())[1]

    row, where = stuck(), dict(zip(("plan", "campaign"), to, strict=True))
    seen = asked()
    assert post(agent_client, "imported_move", row, do="start", **where).status_code == 409
    stuck(13)  # it has moved meanwhile
    fields = {"do": "start", "knowing": seen, **where}
    assert post(agent_client, "imported_move", row, **fields).status_code == 409
    settle()
    assert (writes(sandbox), NumberMove.objects.count()) == (0, 0)
    fields["knowing"] = asked()
    assert post(agent_client, "imported_move", row, **fields).status_code == 302
    assert post(agent_client, "imported_move", row, **fields).status_code == 302, "a second click"
    settle()
    assert (writes(sandbox), NumberMove.objects.count()) == (1, 1)


def test_a_number_is_unlinked_beside_a_link_that_does_not_end_once_somebody_has_seen_that(
    stuck, sandbox, agent_client, settle
):
    def seen(told):
        page = agent_client.get(row.get_absolute_url()).content.decode()
        box = page.partition('id="unlink"')[2]
        assert told in box
        return {"do": "unlink", "knowing": re.search(r'name="knowing" value="(\w+)"', box)[1]}

    row = stuck(2)
    fields = seen("Sinch is still at work on its link to a campaign")
    assert post(agent_client, "imported_move", row, **fields).status_code == 409
    stuck()
    assert post(agent_client, "imported_move", row, do="unlink").status_code == 409
    fields = seen("nothing has moved for 5 business days")
    assert post(agent_client, "imported_move", row, **fields).status_code == 302
    settle()
    assert writes(sandbox) == 1


def test_a_move_beside_a_link_that_does_not_end_does_not_wait_for_that(
    stuck, sandbox, agent, settle
):
    work = moves.unfinished(stuck(), plan="plan-b", campaign="")
    row = stuck()
    move = moves.start(row, plan="plan-b", campaign="", by=agent, knowing=work.key)
    plan, _ = sandbox.hosting.link(PHONE)
    for expected in ("waiting", "settling"):
        settle()
        stuck()
        move.refresh_from_db()
        assert move.state == expected
        plan.state, plan.id = "DONE", plan.target if plan.type == "PROVISIONING" else ""
        stuck()
    move.refresh_from_db()
    assert (move.state, stuck().service_plan_id) == ("done", "plan-b")
    assert writes(sandbox) == 2


def test_a_move_that_sinch_does_not_end_is_judged_by_a_person(unlinking, agent, settle):
    shown = {"id_": "yes", "after": timedelta(days=14)}
    lately, long_ago = (timezone.now() - timedelta(days=days) for days in (2, 14))
    move = unlinking("DEPROVISIONING", "IN_PROGRESS", updated_at=lately, **shown)
    assert move.state == "waiting"
    move = unlinking("DEPROVISIONING", "IN_PROGRESS", updated_at=long_ago, **shown)
    assert (move.state, move.problem) == ("stopped", moves.NOT_ENDING)
    moves.try_again(move, by=agent)
    settle()
    move.refresh_from_db()
    assert move.state == "waiting", "unlinked once more"


def test_a_link_that_sinch_does_not_end_is_judged_by_a_person(linking, sandbox):
    long = timedelta(days=14)
    plan, _ = sandbox.hosting.link(PHONE)
    plan.updated_at = iso_instant(timezone.now() - long)
    lately, long_ago = (timezone.now() - timedelta(days=days) for days in (2, 14))
    assert linking("PROVISIONING", "WAITING", after=long, updated_at=lately).state == "settling"
    move = linking("PROVISIONING", "WAITING", after=long, updated_at=long_ago)
    assert (move.state, move.problem) == ("stopped", moves.NOT_ENDING)


def test_a_number_whose_link_is_only_scheduled_goes_into_no_order_that_would_link_it_elsewhere(
    agent_client, sandbox, read_imported, settle
):
    def asked():
        typed = {"numbers": PHONE, "plan": "plan-c", "version": "0", "action": "ask"}
        answer = agent_client.post(NEW["import"], typed | {"draft": str(uuid.uuid4())})
        assert 'name="attempt"' not in answer.content.decode(), "nothing is offered to be sent"
        return strip_tags(answer.content.decode())

    typed = {"number": PHONE, "name": "", "plan": "plan-a", "campaign": ""}
    agent_client.post(reverse("hosting:import_number"), typed)
    settle()
    assert ImportedNumber.objects.get().service_plan_id == ""
    assert "imported already, and its link to a service plan is being made" in asked()
    sandbox.hosting.do_imported(PHONE, "step")
    read_imported(PHONE)
    assert "imported already, on the service plan plan-a" in asked()
