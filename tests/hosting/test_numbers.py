"""Imported and qualified numbers: made, renamed, moved, proven and deleted, whatever breaks."""

import html
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from hosting import actions_qualified as qualified
from hosting import moves, number_list, overview, sync, sync_numbers, tasks, wire
from hosting.models import (
    Combination,
    HostingDraft,
    HostingOrder,
    ImportedNumber,
    NumberMove,
    QualifiedNumber,
)
from portal.accounts.models import SinchProject
from portal.operations import clients, readings, runner
from portal.operations.models import Operation, Reading
from portal.sandbox.clock import iso_instant
from tests.hosting.test_drafts import NEW
from tests.tools import lose, somebody_waits_for_a_lock, wait_for

pytestmark = pytest.mark.django_db
PHONE = "+12065550142"
FAULTS = ["drop_after", "drop_before", "500"]
VERIFY = "QualifiedNumberService_VerifyVoiceChallenge"
IMPORT = "ImportNumberService_ImportNumber"
DELETE = "ImportNumberService_DeleteImportedNumber"
DELETE_QUALIFIED = "QualifiedNumberService_DeleteQualifiedNumber"


@pytest.fixture
def imported(sandbox, read_imported):
    """One number that is imported and linked."""
    sandbox.hosting.add_imported(PHONE, "plan-a", "C3O8OGA", display_name="Front desk")
    return read_imported(PHONE)


def told(project, event_type, status, code="", at=None, about="IMPORTED_NUMBER"):
    """Have a callback about the number applied."""
    sync.apply_event(
        project.pk,
        resource_type=about,
        resource_id=PHONE,
        event_type=event_type,
        status=status,
        failure_code=code,
        at=at or timezone.now(),
        event_id=event_type,
    )


def told_plainly(client, row):
    """The words of a number's page, their spaces collapsed."""
    page = client.get(row.get_absolute_url()).content.decode()
    return " ".join(html.unescape(strip_tags(page)).replace("\xa0", " ").split())


def post(client, page, row, **fields):
    return client.post(reverse(f"hosting:{page}", args=[row.pk]), fields)


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_a_number_is_imported_once(fault, agent_client, project, sandbox, settle, read_imported):
    if fault:
        sandbox.faults.add(fault, IMPORT)
    typed = {"number": "206 555 0142", "name": "Front desk", "plan": "plan-a", "campaign": ""}
    answer = agent_client.post(reverse("hosting:import_number"), typed)
    assert answer.status_code == 302, answer.content.decode()[-2000:]
    settle()
    assert Operation.objects.get().state == "succeeded"
    assert ImportedNumber.objects.get().is_settling
    sandbox.hosting.do_imported(PHONE, "step")
    row = read_imported(PHONE)
    assert (row.phone_number, row.display_name, row.service_plan_id) == (
        PHONE,
        "Front desk",
        "plan-a",
    )
    assert sandbox.hosting.imported(PHONE).display_name == "Front desk"
    assert list(sandbox.violations) == []


def test_a_second_click_finds_the_import_and_another_plan_is_told_of_it(
    agent_client, project, sandbox, settle
):
    typed = {"number": "206 555 0142", "name": "Front desk", "plan": "plan-a", "campaign": ""}
    first = agent_client.post(reverse("hosting:import_number"), typed)
    again = agent_client.post(reverse("hosting:import_number"), typed)
    assert (again.status_code, again["Location"]) == (302, first["Location"])
    answer = agent_client.post(reverse("hosting:import_number"), typed | {"plan": "plan-b"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "The import of +1 206 555 0142 is still on its way to Sinch" in page.replace("\xa0", " ")
    assert 'value="plan-b"' in page
    assert 'value="Front desk"' in page
    settle()
    assert sandbox.state.calls[IMPORT] == 1


def test_a_wrong_number_is_named_beside_its_field(agent_client, project, sandbox):
    typed = {"number": "206 555", "name": "Front desk", "plan": "plan a", "campaign": ""}
    answer = agent_client.post(reverse("hosting:import_number"), typed)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "An id has letters and digits and no spaces" in page
    assert 'value="Front desk"' in page
    assert Operation.objects.count() == 0


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_a_number_is_renamed(fault, imported, agent_client, sandbox, settle):
    if fault:
        sandbox.faults.add(fault, "ImportNumberService_UpdateImportedNumber")
    assert post(agent_client, "imported_rename", imported, name="Back office").status_code == 302
    settle()
    imported.refresh_from_db()
    assert imported.display_name == "Back office"
    assert sandbox.hosting.imported(PHONE).display_name == "Back office"


@pytest.mark.parametrize("name", ["Warehouse", "Front desk"])
def test_another_name_is_refused_and_kept_while_one_is_on_its_way(
    name, imported, agent_client, sandbox, settle
):
    post(agent_client, "imported_rename", imported, name="Back office")
    assert post(agent_client, "imported_rename", imported, name="Back  office").status_code == 302
    # The name it has still is another one, too.
    answer = post(agent_client, "imported_rename", imported, name=name)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "The name “Back office” is still on its way to Sinch." in page
    field = re.search(r'<input[^>]*id="new-name"[^>]*>', page)[0]
    assert f'value="{name}"' in field
    assert 'aria-invalid="true"' in field, "news leave it alone"
    settle()
    assert sandbox.hosting.imported(PHONE).display_name == "Back office"
    assert Operation.objects.count() == 1
    assert post(agent_client, "imported_rename", imported, name=name).status_code == 302
    settle()
    assert sandbox.hosting.imported(PHONE).display_name == name


def test_an_open_page_is_sent_the_new_name_for_its_field(imported, agent_client, settle):
    opened = agent_client.get(imported.get_absolute_url()).content.decode()
    live = html.unescape(re.search(r'id="live"[^>]*hx-get="([^"]+)"', opened)[1])
    assert agent_client.get(live).status_code == 204
    post(agent_client, "imported_rename", imported, name="Back office")
    settle()
    news = agent_client.get(live).content.decode()
    field = re.search(r'<input[^>]*id="new-name"[^>]*>', news)[0]
    assert 'value="Back office"' in field
    assert 'hx-swap-oob="true"' in field
    assert "data-keep" in field, "what somebody types in it stays"


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


SCHEDULED = {"servicePlanId": "plan-b", "campaignId": "CQ2Z7LM"}
DONE = {"type": "PROVISIONING", "state": "DONE"}


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({}, ""),
        (SCHEDULED, "IN_PROGRESS"),
        ({**SCHEDULED, "status": 1, "errorCodes": []}, "IN_PROGRESS"),
        ({**SCHEDULED, "status": "WAITING", "errorCodes": None}, "IN_PROGRESS"),
        ({**SCHEDULED, "status": "PROVISIONING_STATUS_IN_PROGRESS"}, "IN_PROGRESS"),
        ({**SCHEDULED, "status": "SOMETHING_NEW"}, "IN_PROGRESS"),
        ({**SCHEDULED, "status": "FAILED"}, "FAILED"),
        ({**SCHEDULED, "status": "provisioning_status_failed", "errorCodes": []}, "FAILED"),
        ({**SCHEDULED, "status": 3, "errorCodes": [7]}, "FAILED"),
        ({**SCHEDULED, "status": 1, "errorCodes": [0]}, "IN_PROGRESS"),
        ({**SCHEDULED, "status": "DONE"}, "DONE"),
    ],
)
def test_a_scheduled_provisioning_is_read_by_names_and_by_integers(said, state):
    assert wire.state_of_scheduled(said) == state
    configuration = {"servicePlanId": "", "campaignId": "", "scheduledProvisioning": said}
    facts = wire.read_imported({"phoneNumber": PHONE, "smsConfiguration": configuration})
    assert facts.is_settling is (state == "IN_PROGRESS")
    assert (facts.steps.verdict == "failed") is (state == "FAILED")


def test_a_failed_scheduled_provisioning_tells_all_its_causes(project, agent_client):
    codes = ["EXCEEDED_10DLC_LIMIT", 7, "INSUFFICIENT_BALANCE"]
    configuration = {
        "servicePlanId": "plan-b",
        "campaignId": "",
        "scheduledProvisioning": {**SCHEDULED, "status": "FAILED", "errorCodes": codes},
    }
    payload = {
        "phoneNumber": PHONE,
        "smsConfiguration": configuration,
        "smsProvisioning": DONE,
        "campaignProvisioning": DONE,
    }
    row = sync_numbers.store_imported(project, payload, timezone.now())
    assert (row.verdict, row.is_settling) == ("failed", False)
    assert (row.platform, row.campaign) == ("DONE", "FAILED")
    page = agent_client.get(row.get_absolute_url()).content.decode()
    assert "Too many numbers on the campaign" in page
    assert "There is not enough credit on the Sinch account" in page
    assert "EXCEEDED_10DLC_LIMIT, 7, INSUFFICIENT_BALANCE" in page
    assert "Provisioning is scheduled at Sinch" not in page
    shown = agent_client.get(reverse("hosting:imported_numbers"), {"show": "failed"})
    assert PHONE[-4:] in shown.content.decode()


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


PLAN_EVENT, CAMPAIGN_EVENT = "DEPROVISIONING_TO_SMS_PLATFORM", "UNLINK_TO_10DLC_CAMPAIGN"


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


@pytest.mark.parametrize("status", [1, "PROVISIONING_STATUS_WAITING"])
def test_what_is_scheduled_at_sinch_is_said_without_its_code(status, project, agent_client):
    scheduled = {"servicePlanId": "plan-b", "status": status}
    configuration = {"servicePlanId": "", "campaignId": "", "scheduledProvisioning": scheduled}
    payload = {"phoneNumber": PHONE, "smsConfiguration": configuration}
    row = sync_numbers.store_imported(project, payload, timezone.now())
    page = agent_client.get(row.get_absolute_url()).content.decode()
    assert "<p>Provisioning is scheduled at Sinch</p>" in page


def test_a_list_of_numbers_says_what_was_looked_for_and_read(
    imported, sandbox, agent_client, project
):
    def told(**asked):
        page = agent_client.get(reverse("hosting:imported_numbers"), asked).content.decode()
        return " ".join(strip_tags(page).split())

    Combination.objects.all().delete()
    assert "1 imported number. Sinch’s lists have not been read yet." in told()
    sync.remember_pair(project, "plan-a", "C3O8OGA")
    Combination.objects.update(walked_at=timezone.now())
    assert "Every list of Sinch was read since" in told()
    sync.remember_pair(project, "plan-b", "")
    assert "1 list of Sinch has not been read yet, the others since" in told()
    unlinked = told(show="unlinked")
    assert "0 imported numbers match." in unlinked
    assert "linked to a service plan" not in unlinked
    assert "No imported number matches.The filters above fit none of them." in unlinked
    assert "We looked at numbers" not in unlinked
    assert "We looked at numbers, in any spelling, and at names." in told(q="Lobby")
    assert "1 imported number matches." in told(q="Front")


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


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_a_number_is_deleted_at_sinch(fault, imported, agent_client, sandbox, settle):
    if fault:
        sandbox.faults.add(fault, DELETE)
    assert post(agent_client, "imported_delete", imported).status_code == 302
    settle()
    imported.refresh_from_db()
    assert imported.gone_at is not None
    assert PHONE not in sandbox.state.hosting.imported
    assert post(agent_client, "imported_rename", imported, name="Late").status_code == 409


@pytest.fixture
def deletion(imported, agent_client, sandbox, read_imported):
    """The deletion of a number: done, its answer lost, and seen to be gone before it is looked up.

    So it is when Sinch's callback DELETE has the number read.
    """
    sandbox.faults.add("drop_after", DELETE)
    post(agent_client, "imported_delete", imported)
    assert runner.run_one()
    Operation.objects.update(next_try_at=None)
    assert read_imported(PHONE).gone_at is not None
    return Operation.objects.get(kind="imported.delete")


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("uncertain", "The deletion of +1 206 555 0142 is still on its way to Sinch."),
        ("dead", "The deletion of +1 206 555 0142 has stopped, and may have arrived at Sinch."),
    ],
)
def test_a_number_is_not_imported_anew_before_its_deletion_has_ended(
    state, told, deletion, project, agent_client, sandbox, settle, read_imported
):
    Operation.objects.update(state=state)
    typed = {"number": "206 555 0142", "name": "Front desk", "plan": "plan-b", "campaign": ""}
    answer = agent_client.post(reverse("hosting:import_number"), typed)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert told in page.replace("\xa0", " ")
    assert 'value="plan-b"' in page
    if state == "dead":
        assert runner.try_again(Operation.objects.get())
    Operation.objects.update(next_try_at=timezone.now())
    settle()
    assert agent_client.post(reverse("hosting:import_number"), typed).status_code == 302
    settle()
    assert sandbox.state.calls[DELETE] == 1
    assert read_imported(PHONE).gone_at is None


def test_an_order_of_a_number_is_not_sent_before_its_deletion_has_ended(
    deletion, agent_client, sandbox, settle, typed
):
    fields = typed(numbers="206 555 0142", draft=str(uuid.uuid4()), action="ask")
    del fields["loa"]
    page = agent_client.post(NEW["import"], fields).content.decode()
    hidden = {
        name: re.search(rf'name="{name}" value="(\w+)"', page)[1] for name in ("attempt", "version")
    }
    draft = reverse("hosting:draft", args=[fields["draft"]])
    again = fields | hidden | {"action": "send"}
    answer = agent_client.post(draft, again)
    assert answer.status_code == 422
    told = "The deletion of +1 206 555 0142 is still on its way to Sinch."
    assert told in answer.content.decode().replace("\xa0", " ")
    Operation.objects.update(next_try_at=timezone.now())
    settle()
    assert agent_client.post(draft, again).status_code == 302
    settle()
    assert sandbox.state.calls[DELETE] == 1
    assert len(sandbox.hosting.orders()) == 1


def test_a_number_imported_anew_elsewhere_is_not_deleted_by_the_deletion_before(
    deletion, sandbox, settle, read_imported
):
    sandbox.hosting.add_imported(PHONE, "plan-b", "")
    Operation.objects.update(next_try_at=timezone.now())
    settle()
    deletion.refresh_from_db()
    assert deletion.state == "succeeded"
    assert sandbox.state.calls[DELETE] == 1
    assert read_imported(PHONE).service_plan_id == "plan-b"


def test_what_was_made_anew_is_not_deleted_by_a_deletion_that_was_closed(
    deletion, agent_client, sandbox, settle, read_imported
):
    Operation.objects.update(state="dead")
    runner.mark_seen(deletion)
    sandbox.hosting.add_imported(PHONE, "plan-b", "")
    assert read_imported(PHONE).gone_at is None
    agent_client.post(reverse("operations:again", args=[deletion.key]))
    settle()
    deletion.refresh_from_db()
    assert deletion.state == "succeeded"
    assert sandbox.state.calls[DELETE] == 1
    assert ImportedNumber.objects.get(phone_number=PHONE).gone_at is None


@pytest.mark.parametrize("made_anew", [True, False])
def test_a_deletion_that_never_left_is_not_sent_to_what_was_made_anew(
    made_anew, imported, agent_client, sandbox, settle, read_imported
):
    post(agent_client, "imported_delete", imported)
    Operation.objects.update(state="dead", next_try_at=None)
    if made_anew:
        del sandbox.state.hosting.imported[PHONE]
        assert read_imported(PHONE).gone_at is not None
        sandbox.hosting.add_imported(PHONE, "plan-b", "")
        assert read_imported(PHONE).gone_at is None
    again = reverse("operations:again", args=[Operation.objects.get().key])
    answer = agent_client.post(again, follow=True)
    settle()
    assert sandbox.state.calls[DELETE] == (not made_anew)
    assert ("was made anew since. Nothing was sent." in answer.content.decode()) == made_anew


def test_a_number_is_not_qualified_anew_before_its_deletion_has_ended(
    project, agent_client, sandbox, settle, read_qualified
):
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_FAILED")
    number = read_qualified(PHONE)
    sandbox.faults.add("drop_after", DELETE_QUALIFIED)
    post(agent_client, "qualified_delete", number)
    assert runner.run_one()
    Operation.objects.update(next_try_at=None)
    assert read_qualified(PHONE).gone_at is not None
    typed = {"numbers": "206 555 0142\n206 555 0143", "key": "a" * 32}
    answer = agent_client.post(reverse("hosting:qualify"), typed)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "The deletion of +1 206 555 0142 is still on its way" in page.replace("\xa0", " ")
    assert "206 555 0143" in page
    Operation.objects.update(next_try_at=timezone.now())
    settle()
    assert agent_client.post(reverse("hosting:qualify"), typed).status_code == 302
    settle()
    assert sandbox.state.calls[DELETE_QUALIFIED] == 1
    assert read_qualified(PHONE).gone_at is None


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_numbers_are_qualified_once(fault, agent_client, project, sandbox, settle):
    if fault:
        sandbox.faults.add(fault, "QualifiedNumberService_BatchCreateQualifiedNumbers")
    typed = {"numbers": "206 555 0142\n206-555-0143", "key": "a" * 32}
    assert agent_client.post(reverse("hosting:qualify"), typed).status_code == 302
    agent_client.post(reverse("hosting:qualify"), typed)
    settle()
    assert set(QualifiedNumber.objects.values_list("phone_number", flat=True)) == {
        PHONE,
        "+12065550143",
    }
    assert Operation.objects.filter(state="succeeded").count() == 1


def test_a_key_that_the_database_refuses_is_kept_without_what_it_refuses(agent_client, project):
    typed = {"numbers": "206 555 0142", "key": "a\x00b"}
    assert agent_client.post(reverse("hosting:qualify"), typed).status_code == 302
    assert Operation.objects.get().marker == f"qualified:{project.pk}:ab:1"


def test_a_wrong_code_is_told_and_the_right_one_verifies(
    both, agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "ELIGIBLE")
    number = read_qualified(PHONE)
    assert post(agent_client, "qualified_call", number).status_code == 302
    settle()
    number = read_qualified(PHONE)
    assert number.state == "VERIFICATION_PENDING"
    assert post(agent_client, "qualified_verify", number, code="1111").status_code == 302
    settle()
    number = read_qualified(PHONE)
    assert number.state != "VERIFIED"
    page = told_plainly(agent_client, number)
    assert "Sinch did not accept the code" in page
    assert "The code for +1 206 555 0142: Ask again what was read out" in page
    assert "Refused by Sinch" in page
    assert "Sinch did not accept the code. Ask again" in page.partition("What was done")[2]
    for untrue in ("Not sent", "Refused here", "Nothing changed at Sinch", "typed is kept"):
        assert untrue not in page
    assert post(agent_client, "qualified_verify", number, code="0142").status_code == 302
    settle()
    assert read_qualified(PHONE).state == "VERIFIED"
    refused = Operation.objects.get(kind="qualified.verify", state="refused")
    assert "1111" not in str(refused.payload)


@pytest.mark.parametrize(
    ("code", "verdict"), [("0142", "VERIFIED"), ("1111", "VERIFICATION_FAILED")]
)
def test_a_code_that_sinch_took_without_a_verdict_is_not_told_as_accepted(
    code, verdict, agent_client, project, sandbox, read_qualified, work_off
):
    sandbox.control.personality(wrong_code="later")
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    number = read_qualified(PHONE)
    post(agent_client, "qualified_verify", number, code=code)
    assert runner.run_one()
    operation = Operation.objects.get(kind="qualified.verify")
    assert "code" not in operation.payload
    page = agent_client.get(number.get_absolute_url()).content.decode()
    assert "has not said yet whether it is right" in page
    assert "Accepted" not in page
    # As long as Sinch does not say it is asked again, soon.
    sandbox.hosting.do_qualified(PHONE, "set", {"state": "VERIFICATION_PENDING"})
    assert read_qualified(PHONE).state == "VERIFICATION_PENDING"
    reading = Reading.objects.get(kind=sync.QUALIFIED_READER)
    assert reading.next_try_at - timezone.now() < timedelta(minutes=1)
    sandbox.hosting.do_qualified(PHONE, "set", {"state": verdict})
    assert read_qualified(PHONE).state == verdict
    assert sandbox.state.calls[VERIFY] == 1


@pytest.mark.parametrize("fault", ["drop_after", "drop_before"])
def test_whether_sinch_called_is_asked_of_a_person_when_the_answer_is_lost(
    fault, agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "ELIGIBLE")
    number = read_qualified(PHONE)
    sandbox.faults.add(fault, "QualifiedNumberService_SendVoiceChallenge")
    post(agent_client, "qualified_call", number)
    settle()
    operation = Operation.objects.get()
    # It was sent once, and either the state tells or a person is asked; it never rings twice.
    assert sandbox.state.calls["QualifiedNumberService_SendVoiceChallenge"] <= 1
    assert operation.state == ("succeeded" if fault == "drop_after" else "refused")
    page = agent_client.get(number.get_absolute_url()).content.decode()
    assert ("nobody knows whether Sinch called" in page) is (fault == "drop_before")
    assert "Nothing changed at Sinch" not in page


def test_another_code_is_refused_and_kept_while_one_is_on_its_way(
    agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    number = read_qualified(PHONE)
    post(agent_client, "qualified_verify", number, code="1111")
    # A second click is one though the number has moved meanwhile.
    sandbox.hosting.do_qualified(PHONE, "set", {"state": "VERIFICATION_FAILED"})
    QualifiedNumber.objects.update(state="VERIFICATION_FAILED")
    assert post(agent_client, "qualified_verify", number, code="11 11").status_code == 302
    answer = post(agent_client, "qualified_verify", number, code="0142")
    page = answer.content.decode()
    assert answer.status_code == 409
    told = "The code for +1 206 555 0142 is still on its way to Sinch. Wait until it has arrived."
    assert told in page.replace("\xa0", " ")
    assert 'value="0142"' in page
    settle()
    assert sandbox.state.calls[VERIFY] == Operation.objects.count() == 1


@pytest.mark.parametrize(("code", "state"), [("0142", "succeeded"), ("1111", "refused")])
def test_a_code_is_judged_once_though_its_answer_is_lost(
    code, state, both, agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "ELIGIBLE")
    number = read_qualified(PHONE)
    post(agent_client, "qualified_call", number)
    settle()
    sandbox.faults.add("drop_after", VERIFY)
    post(agent_client, "qualified_verify", number, code=code)
    settle()
    operation = Operation.objects.get(kind="qualified.verify")
    assert operation.state == state
    assert "code" not in operation.payload
    number.refresh_from_db()
    assert (number.state == "VERIFIED") is (state == "succeeded")
    page = told_plainly(agent_client, number)
    # That its answer was lost is over: what became of it was found out.
    assert ("Sinch did not accept the code" in page) is (state == "refused")
    assert "its answer was lost" not in page


@pytest.mark.parametrize(
    ("wrong_before", "fault"),
    [(1, "drop_after"), (1, "drop_before"), (0, "drop_before"), (0, "500")],
)
def test_a_code_whose_answer_is_lost_is_not_handed_in_twice(
    wrong_before, fault, agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    number = read_qualified(PHONE)
    for _ in range(wrong_before):
        post(agent_client, "qualified_verify", number, code="1111")
        settle()
    before = read_qualified(PHONE).state
    sandbox.faults.add(fault, VERIFY)
    post(agent_client, "qualified_verify", number, code="2222")
    settle()
    # Its state stays, whether the code came to Sinch and was wrong or did not come at all.
    assert read_qualified(PHONE).state == before
    assert sandbox.state.calls[VERIFY] <= wrong_before + 1
    operation = Operation.objects.filter(kind="qualified.verify").latest("pk")
    assert operation.state == "refused"
    assert "code" not in operation.payload
    page = told_plainly(agent_client, number)
    assert "does not tell whether Sinch judged the code" in page
    assert "Nothing changed at Sinch" not in page
    assert ("1 code not accepted so far" in page) is bool(wrong_before)


def test_a_code_that_sinch_judges_late_is_waited_for_though_its_answer_is_lost(
    agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    number = read_qualified(PHONE)
    sandbox.faults.add("drop_after", VERIFY)
    post(agent_client, "qualified_verify", number, code="1111")
    assert runner.run_one()
    sandbox.hosting.do_qualified(PHONE, "set", {"state": "VERIFICATION_PENDING"})
    settle()
    assert Operation.objects.get().state == "refused"
    assert sandbox.state.calls[VERIFY] == 1
    # A person was asked; the verdict may come all the same and is read then.
    reading = Reading.objects.get(kind=sync.QUALIFIED_READER)
    assert reading.next_try_at - timezone.now() < timedelta(minutes=1)


@pytest.mark.parametrize("wrong_code", ["state", "error"])
def test_a_code_is_handed_in_once_though_its_state_cannot_be_read(
    wrong_code, agent_client, project, sandbox, read_qualified, settle
):
    sandbox.control.personality(wrong_code=wrong_code)
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    number = read_qualified(PHONE)
    if wrong_code == "state":
        # The answer says nothing, not even the state.
        sandbox.faults.add("status", VERIFY, status=200, after=True)
    sandbox.faults.add("500", "QualifiedNumberService_GetQualifiedNumber", times=None)
    post(agent_client, "qualified_verify", number, code="1111")
    assert runner.run_one()
    sandbox.faults.clear()
    settle()
    assert sandbox.state.calls[VERIFY] == 1
    assert read_qualified(PHONE).state == "VERIFICATION_FAILED"


def test_a_code_for_a_number_that_is_verified_meanwhile_is_not_told_as_wrong(
    agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    row = read_qualified(PHONE)
    sandbox.hosting.do_qualified(PHONE, "accept_invoices")
    sandbox.faults.add("status", VERIFY, status=400)
    post(agent_client, "qualified_verify", row, code="1234")
    settle()
    row.refresh_from_db()
    assert (row.state, Operation.objects.get().state) == ("VERIFIED", "succeeded")
    assert qualified.tries_of(row) == 0


def test_a_code_that_no_balance_is_left_for_is_not_told_as_wrong(
    agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    row = read_qualified(PHONE)
    sandbox.faults.add("402", VERIFY)
    post(agent_client, "qualified_verify", row, code="1234")
    settle()
    operation = Operation.objects.get()
    assert operation.state == "refused"
    assert "no balance left" in operation.staff_message
    assert qualified.tries_of(row) == 0


def test_a_blocked_number_offers_invoices_and_no_call(
    agent_client, project, sandbox, read_qualified
):
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_BLOCKED")
    number = read_qualified(PHONE)
    assert post(agent_client, "qualified_call", number).status_code == 409
    page = agent_client.get(number.get_absolute_url()).content.decode()
    assert "use invoices" in page
    mail = agent_client.post(reverse("hosting:qualified_invoices"), {"phone": PHONE})
    assert PHONE in mail.content.decode() or "206 555 0142" in mail.content.decode()
    noted = agent_client.post(
        reverse("hosting:qualified_invoices"), {"phone": PHONE, "do": "mailed"}
    )
    assert noted.status_code == 302
    number.refresh_from_db()
    assert number.invoices_sent_at is not None


def test_counts_of_qualified_numbers_carry_their_noun(
    agent_client, project, sandbox, read_qualified
):
    def told(**asked):
        page = agent_client.get(reverse("hosting:qualified_numbers"), asked).content.decode()
        return " ".join(strip_tags(page).split())

    for line, state in ((1, "ELIGIBLE"), (2, "VERIFIED"), (3, "HOSTING_DONE")):
        sandbox.hosting.add_qualified(f"+1206555014{line}", state)
        read_qualified(f"+1206555014{line}")
    assert "3 qualified numbers. 2 numbers need us." in told()
    assert "0 qualified numbers match. 2 numbers in all need us." in told(q="9999")
    assert "We looked at numbers, in any spelling." in told(q="9999")
    none = told(state="NOT_ELIGIBLE")
    assert "The filters above fit none of them." in none
    assert "We looked at" not in none


def test_numbers_whose_invoices_are_under_review_need_us_only_when_they_are_refused(
    agent_client, project, sandbox, read_qualified
):
    phones = [f"+1206555014{line}" for line in range(1, 4)]
    for phone in phones:
        sandbox.hosting.add_qualified(phone, "VERIFICATION_PENDING")
        read_qualified(phone)
    mailed = {"phone": phones[:2], "do": "mailed"}
    agent_client.post(reverse("hosting:qualified_invoices"), mailed)
    sandbox.hosting.do_qualified(phones[0], "refuse_invoices")
    read_qualified(phones[0])
    shown = agent_client.get(reverse("hosting:qualified_numbers"), {"state": "us"}).context
    assert [line.number.phone_number for line in shown["lines"]] == [phones[0], phones[2]]
    assert (shown["us"], [line.move for line in shown["lines"]]) == (2, ["us", "us"])


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_a_qualified_number_is_deleted(
    fault, agent_client, project, sandbox, read_qualified, settle
):
    sandbox.hosting.add_qualified(PHONE, "ELIGIBLE")
    number = read_qualified(PHONE)
    if fault:
        sandbox.faults.add(fault, DELETE_QUALIFIED)
    assert post(agent_client, "qualified_delete", number).status_code == 302
    settle()
    number.refresh_from_db()
    assert number.gone_at is not None
    assert PHONE not in sandbox.state.hosting.qualified


@pytest.mark.parametrize(
    ("phones", "operation"),
    [
        ((PHONE, "+12065550143"), "QualifiedNumberService_TextEnableNumbers"),
        (("+18335550142", "+18335550143"), "QualifiedNumbersTextEnableTollFreeNumbers"),
    ],
)
@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_verified_numbers_go_into_an_order(
    fault, phones, operation, agent_client, project, sandbox, read_qualified, typed, settle
):
    for phone in phones:
        sandbox.hosting.add_qualified(phone, "VERIFIED")
        read_qualified(phone)
    if fault:
        sandbox.faults.add(fault, operation)
    answer = agent_client.post(reverse("hosting:qualified_text_enable"), {"all": "1"})
    page = agent_client.get(answer.url).content.decode()
    version = re.search(r'name="version" value="(\d+)"', page)[1]
    fields = typed() | {"numbers": "\n".join(phones), "version": version, "action": "ask"}
    page = agent_client.post(answer.url, fields, follow=True).content.decode()
    attempt = re.search(r'name="attempt" value="(\w+)"', page)[1]
    version = re.search(r'name="version" value="(\d+)"', page)[1]
    fields |= {"action": "send", "attempt": attempt, "version": version}
    assert agent_client.post(answer.url, fields).status_code == 302
    settle()
    if operation.endswith("TollFreeNumbers") and fault in ("drop_before", "500"):
        # Without a campaign no list is sure to hold it: a person decides what is sent again.
        assert Operation.objects.get(kind="hosting.toll_free_qualified").state == "refused"
        assert sandbox.hosting.orders() == []
        return
    (made,) = sandbox.hosting.orders()
    assert sorted(n.phone_number for n in made.numbers) == sorted(phones)
    assert made.toll_free is operation.endswith("TollFreeNumbers")
    assert sandbox.state.calls[operation] >= 1
    assert list(sandbox.violations) == []


def test_the_walk_finds_what_was_made_elsewhere(project, sandbox, work_off, agent_client):
    from hosting.models import HostingOrder

    made = sandbox.hosting.make_order([PHONE], service_plan="plan-x", campaign="CABC123")
    sandbox.hosting.add_imported("+12065550150", "plan-x", "CABC123")
    sandbox.hosting.add_qualified("+12065550151", "VERIFIED")
    page = reverse("hosting:overview")
    typed = {"plan": "plan-x", "campaign": "CABC123", "name": "Clinics"}
    assert agent_client.post(page, typed).status_code == 302
    work_off()
    assert HostingOrder.objects.get().sinch_id == made.id
    assert ImportedNumber.objects.get().phone_number == "+12065550150"
    assert QualifiedNumber.objects.get().phone_number == "+12065550151"
    picture = overview.picture_of(project)
    assert (picture.never, picture.failing) == (0, 0)
    html = agent_client.get(page).content.decode()
    assert "Clinics" in html
    # What changes without an event is seen by the next walk.
    sandbox.hosting.do(made.id, "finish")
    overview.want_walks(project)
    work_off()
    assert HostingOrder.objects.get().state == "COMPLETED"


def test_a_number_that_comes_without_its_state_keeps_the_one_it_is_known_by(
    project,
):
    """No field of an answer is sure to be there."""
    row = sync_numbers.store_qualified(
        project, {"phoneNumber": PHONE, "globalProcessState": "VERIFIED"}, timezone.now()
    )
    for said in ({}, {"globalProcessState": None}):
        sync_numbers.store_qualified(project, {"phoneNumber": PHONE, **said}, timezone.now())
        row.refresh_from_db()
        assert row.state == "VERIFIED"


class Moving(dict):
    """Qualified numbers, one of which is verified once the first list was asked for."""

    lists = 0

    def values(self):
        if self.lists:
            self[PHONE].state = "VERIFIED"
        self.lists += 1
        return super().values()


def test_a_number_that_moves_between_the_lists_of_a_walk_has_the_state_of_the_later_one(
    project, sandbox, work_off
):
    sandbox.hosting.add_qualified(PHONE, "ELIGIBLE_CHECK_PENDING")
    sandbox.state.hosting.qualified = Moving(sandbox.state.hosting.qualified)
    readings.want_one(project, overview.WALK_READER, overview.QUALIFIED, "staff")
    work_off()
    assert QualifiedNumber.objects.get().state == "VERIFIED"


def test_a_project_whose_secret_no_key_reads_keeps_no_other_from_being_walked(project, work_off):
    other = SinchProject.objects.create(name="A", project_id="other", key_id="k", key_secret="s")
    lose(other, "key_secret")
    tasks.walk()
    work_off()
    walks = Reading.objects.filter(kind=overview.WALK_READER)
    assert dict(walks.values_list("project__name", "last_error")) == {
        project.name: "",
        "A": clients.KEY_LOST,
    }


@pytest.fixture
def reader_client(make_agent):
    """A client in which somebody without any rights is signed in."""
    client = Client()
    client.force_login(
        make_agent("robin"), backend="portal.accounts.backends.EmailOrUsernameBackend"
    )
    return client


SEARCH = {"plan": "plan-x", "campaign": "CABC123", "where": "CONTAIN", "digits": "0142"}


def test_a_search_at_sinch_brings_numbers_and_the_plan_is_walked_from_then_on(
    project, sandbox, work_off, agent_client
):
    sandbox.hosting.add_imported(PHONE, "plan-x", "CABC123")
    assert agent_client.post(reverse("hosting:imported_numbers"), SEARCH).status_code == 302
    work_off()
    assert ImportedNumber.objects.get().phone_number == PHONE
    assert Combination.objects.get().service_plan_id == "plan-x"


def test_whoever_may_not_send_searches_only_in_plans_that_the_desk_knows(
    project, sandbox, work_off, reader_client
):
    sandbox.hosting.add_imported(PHONE, "plan-x", "CABC123")
    address = reverse("hosting:imported_numbers")
    answer = reader_client.post(address, SEARCH)
    assert answer.status_code == 422
    assert "adding them needs the agent role" in answer.content.decode()
    assert not Combination.objects.exists()
    sync.remember_pair(project, "plan-x", "CABC123")
    assert reader_client.post(address, SEARCH).status_code == 302
    work_off()
    assert ImportedNumber.objects.get().phone_number == PHONE


def test_a_plan_that_was_typed_wrong_is_taken_out_and_not_asked_for_any_more(
    project, sandbox, agent_client, reader_client, imported, work_off
):
    address = reverse("hosting:overview")
    agent_client.post(address, {"plan": "plan-aa", "campaign": "C3O8OGA"})
    work_off()
    wrong, used = Combination.objects.order_by("-service_plan_id")
    assert (wrong.service_plan_id, used.service_plan_id) == ("plan-aa", "plan-a")
    page = agent_client.get(address).content.decode()
    assert f'name="forget" value="{wrong.pk}"' in page
    assert f'name="forget" value="{used.pk}"' not in page
    assert reader_client.post(address, {"forget": wrong.pk}).status_code == 403
    for key in (used.pk, "x", "9" * 30, ""):
        agent_client.post(address, {"forget": key})
    assert Combination.objects.count() == 2
    told = agent_client.post(address, {"forget": wrong.pk}, follow=True).content.decode()
    assert "Sinch is not asked for it any more" in told
    assert Combination.objects.get() == used
    sandbox.state.calls.clear()
    overview.want_walks(project)
    work_off()
    assert sandbox.state.calls["HostingOrderService_ListHostingOrders"] == 12


def test_whoever_may_not_send_adds_no_plan(project, reader_client):
    address = reverse("hosting:overview")
    answer = reader_client.post(address, {"plan": "plan-x", "campaign": "CABC123"})
    assert answer.status_code == 403
    assert "needs the agent role" in answer.content.decode()
    assert not Combination.objects.exists()
    assert reader_client.get(address).status_code == 200


def test_the_walk_reads_an_order_that_nobody_has_ever_meant_to_read(
    project, sandbox, work_off, hosting_client
):
    """A row can be there without a reading of it; its numbers would never come."""

    made = sandbox.hosting.make_order([PHONE], service_plan="plan-x", campaign="CABC123")
    sync.store_reading(project, hosting_client.get_hosting_order(made.id), timezone.now())
    order = HostingOrder.objects.get()
    assert (order.numbers.count(), order.numbers_read_at) == (0, None)
    overview.want_walks(project)
    work_off()
    assert order.numbers.get().phone_number == PHONE


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


# --- Side by side -------------------------------------------------------------------------------


def meanwhile(pool, work):
    """Begin something that another transaction keeps waiting; return its future."""

    def do():
        try:
            with transaction.atomic():
                work()
        finally:
            connections.close_all()

    found = pool.submit(do)
    wait_for(somebody_waits_for_a_lock, what="the other transaction")
    return found


def failed(project, event_type, code):
    told(project, event_type, "FAILED", code)


@pytest.mark.django_db(transaction=True)
def test_the_codes_of_two_events_at_the_same_time_are_both_kept_and_open_pages_told(project):
    """No reading repeats the code of a callback."""
    row = sync_numbers.store_imported(project, {"phoneNumber": PHONE}, timezone.now())
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            failed(project, "PROVISIONING_TO_SMS_PLATFORM", "NUMBER_PROVISIONING_FAILED")
            other = meanwhile(
                pool,
                lambda: failed(project, "LINK_TO_10DLC_CAMPAIGN", "EXCEEDED_10DLC_LIMIT"),
            )
        other.result()
    after = ImportedNumber.objects.get()
    assert after.failure_codes == {
        "platform": "NUMBER_PROVISIONING_FAILED",
        "campaign": "EXCEEDED_10DLC_LIMIT",
    }
    assert after.version > row.version + 1


def test_a_code_that_was_faster_than_its_number_is_kept_for_it(project):
    failed(project, "PROVISIONING_TO_SMS_PLATFORM", "NUMBER_PROVISIONING_FAILED")
    failed(project, "LINK_TO_10DLC_CAMPAIGN", "EXCEEDED_10DLC_LIMIT")
    failed(project, "DEPROVISIONING_TO_SMS_PLATFORM", "")
    row = sync_numbers.store_imported(project, {"phoneNumber": PHONE}, timezone.now())
    assert row.failure_codes == {"campaign": "EXCEEDED_10DLC_LIMIT"}
    assert ImportedNumber.objects.get().failure_codes == row.failure_codes


@pytest.mark.django_db(transaction=True)
def test_a_number_that_is_gone_and_a_write_of_its_move_never_wait_for_each_other(project, agent):
    payload = {"phoneNumber": PHONE, "smsConfiguration": {"servicePlanId": "plan-a"}}
    row = sync_numbers.store_imported(project, payload, timezone.now())
    move = moves.start(row, plan="plan-b", campaign="", by=agent)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            number = moves.locked(row.pk)  # as a reading begins
            write = meanwhile(pool, lambda: moves.stopped(move.unlink_operation))
            moves.number_is_gone(number)  # as it ends when Sinch answers 404
        write.result()
    move.refresh_from_db()
    assert (move.state, move.problem) == (NumberMove.State.STOPPED, moves.GONE)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("follows_already", [True, False])
def test_an_event_about_two_orders_and_a_reading_of_one_never_wait_for_each_other(
    follows_already, project
):
    read_at, step = timezone.now() - timedelta(minutes=5), {"state": "FAILED"}
    numbers = [{"phoneNumber": PHONE, "campaignProvisioning": step}]

    def read(sinch_id, at, state="IN_PROGRESS", **more):
        payload = {"hostingOrderId": sinch_id, "state": state}
        return sync.store_reading(project, payload, at, numbers=numbers, **more).order

    first = read("first", read_at)
    second = read("second", read_at, follows=first if follows_already else None)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            HostingOrder.objects.select_for_update().get(pk=second.pk)  # as a reading begins
            event = meanwhile(
                pool,
                lambda: told(
                    project,
                    "LINK_TO_10DLC_CAMPAIGN",
                    "FAILED",
                    "CAMPAIGN_EXPIRED",
                    about="HOSTING_ORDER_NUMBER",
                ),
            )
            read("second", timezone.now(), "COMPLETED", follows=first)
        event.result()
    second.refresh_from_db()
    assert (second.state, second.follows_id) == ("COMPLETED", first.pk)
    for order in (first, second):
        assert order.numbers.get().failure_codes == {"campaign": "CAMPAIGN_EXPIRED"}


def test_a_reading_that_left_before_a_number_was_gone_does_not_bring_it_back(project):
    now, second = timezone.now(), timedelta(seconds=1)
    payload = {"phoneNumber": PHONE}
    for store, gone in (
        (sync_numbers.store_imported, sync_numbers.mark_imported_gone),
        (sync_numbers.store_qualified, sync_numbers.mark_qualified_gone),
    ):
        store(project, payload, now)
        gone(project, PHONE, now + 2 * second)
        assert store(project, payload, now + second).gone_at == now + 2 * second
        assert store(project, payload, now + 3 * second).gone_at is None


def test_a_404_that_something_newer_contradicts_is_asked_once_more(
    project, sandbox, read_imported, read_qualified
):
    sandbox.hosting.add_imported(PHONE, "plan-a", "C3O8OGA")
    sandbox.hosting.add_qualified(PHONE, "VERIFICATION_PENDING")
    for kind, row in (
        (sync.IMPORTED_READER, read_imported(PHONE)),
        (sync.QUALIFIED_READER, read_qualified(PHONE)),
    ):
        reading = Reading.objects.get(kind=kind)
        left_at = row.fetched_at - timedelta(seconds=1)  # what is known left later
        sandbox.faults.add("status", status=404)
        assert readings.readers()[kind].read(reading, left_at) == readings.CONTRADICTED
        row.refresh_from_db()
        reading.refresh_from_db()
        assert (row.gone_at, reading.is_gone) == (None, False)


def test_a_reading_that_left_before_a_change_does_not_undo_what_its_answer_said(project):
    left_at, second = timezone.now(), timedelta(seconds=1)
    before = {
        "phoneNumber": PHONE,
        "displayName": "Front desk",
        "smsConfiguration": {"servicePlanId": "plan-a", "campaignId": "C3O8OGA"},
        "smsProvisioning": DONE,
    }
    after = {
        "phoneNumber": PHONE,
        "displayName": "Back office",
        "smsConfiguration": {"servicePlanId": "plan-b", "campaignId": ""},
    }
    sync_numbers.store_imported(project, before, left_at)
    sync_numbers.store_imported(project, after, left_at + 3 * second, partial=True)
    # What left before the change comes after its answer: a reading, another change, a 404.
    sync_numbers.store_imported(project, before, left_at + second)
    sync_numbers.store_imported(project, before, left_at + 2 * second, partial=True)
    sync_numbers.mark_imported_gone(project, PHONE, left_at + second)
    row = ImportedNumber.objects.get()
    assert (row.display_name, row.service_plan_id, row.campaign_id) == ("Back office", "plan-b", "")
    assert (row.platform, row.gone_at) == ("DONE", None), "the short answer took nothing away"
    assert row.fetched_at == left_at, "the whole number has not been read since"
    row = sync_numbers.store_imported(project, before, left_at + 4 * second)
    assert (row.display_name, row.fetched_at) == ("Front desk", left_at + 4 * second)


def test_the_answer_of_a_change_that_left_before_a_reading_does_nothing(project):
    left_at, second = timezone.now(), timedelta(seconds=1)
    answer = {"phoneNumber": PHONE, "displayName": "Front desk"}
    read = {"phoneNumber": PHONE, "displayName": "Back office"}
    sync_numbers.store_imported(project, read, left_at + second)
    before = ImportedNumber.objects.values().get()
    sync_numbers.store_imported(project, answer, left_at, partial=True)
    assert ImportedNumber.objects.values().get() == before


@pytest.mark.parametrize("kind", ["imported", "qualified"])
def test_a_poll_of_a_page_on_which_nothing_has_changed_is_one_statement(
    kind, agent_client, project, django_assert_num_queries
):
    store = getattr(sync_numbers, f"store_{kind}")
    row = store(project, {"phoneNumber": PHONE}, timezone.now())
    page = agent_client.get(row.get_absolute_url()).content.decode()
    (address,) = re.findall(rf'hx-get="([^"]*/{kind}/[^"]*/live/[^"]*)"', page)
    with django_assert_num_queries(1):
        assert agent_client.get(address).status_code == 204
    assert post(agent_client, f"{kind}_refresh", row).status_code == 302
    assert agent_client.get(address).status_code == 200


# --- The search of the desk ---------------------------------------------------------------------


def test_a_number_in_no_order_is_found_where_it_stands(
    imported, agent_client, sandbox, read_qualified, read_order
):
    told = " ".join(strip_tags(agent_client.get("/work/?q=206+555+0142").content.decode()).split())
    assert "Not in an order. Imported number +1 206 555 0142, Front desk" in told
    page = agent_client.get("/work/?q=0142&bucket=us").content.decode()
    assert "Not in an order" not in page, "it may stand in one that is not looked at"
    assert f'<a href="{imported.get_absolute_url()}">' in page
    for phone in (PHONE, "+14255550142"):
        made = sandbox.hosting.make_order([phone, "+13125550199"], display_name=f"Order {phone}")
        sandbox.hosting.do(made.id, "finish")
        read_order(made)
    told = " ".join(strip_tags(agent_client.get("/work/?q=0142").content.decode()).split())
    assert "+1 206 555 0142, Done" in told
    assert "+1 425 555 0142, Done" in told


def test_the_walk_reads_the_numbers_that_have_left_the_list_of_their_plan(
    project, sandbox, work_off
):
    """Nobody but the walk reads a number that was made elsewhere."""
    for phone in (PHONE, "+12065550143", "+12065550144"):
        sandbox.hosting.add_imported(phone, "plan-x", "CABC123")
    sync.remember_pair(project, "plan-x", "CABC123")
    overview.want_walks(project)
    work_off()
    assert ImportedNumber.objects.filter(service_plan_id="plan-x", gone_at=None).count() == 3
    del sandbox.state.hosting.imported[PHONE]
    sandbox.state.hosting.imported["+12065550143"].plan.id = "plan-y"
    sandbox.state.calls.clear()
    overview.want_walks(project)
    work_off()
    found = {number.phone_number: number for number in ImportedNumber.objects.all()}
    assert found[PHONE].gone_at is not None
    assert found["+12065550143"].service_plan_id == "plan-y"
    assert found["+12065550144"].service_plan_id == "plan-x"
    assert sandbox.state.calls["ImportNumberService_GetImportedNumber"] == 2, "and no other"


def test_a_batch_of_which_only_a_part_was_taken_in_is_kept_though_the_rest_is_refused(
    agent_client, project, sandbox, settle, work_off
):
    """The answer was lost, so nobody has told the desk of those that Sinch took in."""
    batch = "QualifiedNumberService_BatchCreateQualifiedNumbers"
    sandbox.faults.add("drop_after", batch)
    typed = {"numbers": "206 555 0142\n206-555-0143", "key": "a" * 32}
    agent_client.post(reverse("hosting:qualify"), typed)
    work_off()
    del sandbox.state.hosting.qualified["+12065550143"]
    sandbox.faults.add("status", batch, status=400)
    settle()
    assert Operation.objects.get().state == "refused"
    assert QualifiedNumber.objects.get().phone_number == PHONE


def test_the_newest_event_about_a_step_tells_its_code_whatever_comes_first(project):
    """Making a link and taking it away are events of two kinds about one step."""
    sync_numbers.store_imported(project, {"phoneNumber": PHONE}, timezone.now())
    now = timezone.now()
    told(project, CAMPAIGN_EVENT, "FAILED", "PARTNER_SERVICE_UNAVAILABLE", at=now)
    earlier = now - timedelta(hours=1)
    told(project, "LINK_TO_10DLC_CAMPAIGN", "FAILED", "EXCEEDED_10DLC_LIMIT", at=earlier)
    row = ImportedNumber.objects.get()
    assert row.failure_codes == {"campaign": "PARTNER_SERVICE_UNAVAILABLE"}


@pytest.mark.parametrize("is_late", [False, True])
def test_the_end_of_the_whole_process_leaves_the_cause_of_its_step_alone(
    is_late, project, sandbox, read_order, agent_client
):
    """The failure of the process has no cause of its own; that of the routing had one."""
    made = sandbox.hosting.make_order([PHONE])
    sandbox.hosting.do(made.id, "set", {"step": "osrUpdate", "state": "FAILED"})
    order = read_order(made)
    now = timezone.now()
    events = [("OSR_UPDATE", "INVALID_NNID", now), ("HOSTING_PROCESS", "", now + timedelta(0, 1))]
    for event_type, code, at in reversed(events) if is_late else events:
        told(project, event_type, "FAILED", code, at=at, about="HOSTING_ORDER_NUMBER")
    assert order.numbers.get().failure_codes == {"osr": "INVALID_NNID"}
    # The same is known when the order is read for the first time only after its callbacks.
    assert sync.codes_told(project.pk, [PHONE], of_order=True) == {PHONE: {"osr": "INVALID_NNID"}}


@pytest.fixture(params=["HOSTING_ORDER_NUMBER", "IMPORTED_NUMBER"])
def campaign_step(request, project, sandbox, read_order, read_imported):
    """Read the link to a campaign in a state; return the codes kept for the number."""
    if request.param == "HOSTING_ORDER_NUMBER":
        made = sandbox.hosting.make_order([PHONE])

        def read(state):
            sandbox.hosting.do(made.id, "set", {"step": "campaignProvisioning", "state": state})
            return read_order(made).numbers.get().failure_codes

    else:
        sandbox.hosting.add_imported(PHONE, "plan-a", "C3O8OGA")

        def read(state):
            sandbox.hosting.link(PHONE)[1].state = state
            return read_imported(PHONE).failure_codes

    def tell(code, ago):
        at = timezone.now() - timedelta(minutes=ago)
        told(project, "LINK_TO_10DLC_CAMPAIGN", "FAILED", code, at=at, about=request.param)

    return read, tell


def test_a_step_that_failed_went_well_and_failed_anew_is_not_told_with_its_first_cause(
    campaign_step,
):
    read, tell = campaign_step
    read("IN_PROGRESS")
    tell("EXCEEDED_10DLC_LIMIT", 20)
    assert read("FAILED") == {"campaign": "EXCEEDED_10DLC_LIMIT"}
    assert read("DONE") == {}
    assert read("FAILED") == {}
    tell("CAMPAIGN_EXPIRED", 10)
    assert read("FAILED") == {"campaign": "CAMPAIGN_EXPIRED"}


def test_a_cause_that_was_told_before_a_reading_without_it_came_in_is_kept(campaign_step):
    read, tell = campaign_step
    read("IN_PROGRESS")
    tell("EXCEEDED_10DLC_LIMIT", 0)
    read("DONE")
    assert read("FAILED") == {"campaign": "EXCEEDED_10DLC_LIMIT"}


def test_a_number_imported_anew_has_no_cause_of_the_one_that_was_deleted(project):
    def fails(at):
        link = {"serviceType": "CAMPAIGN", "type": "PROVISIONING", "state": "FAILED"}
        payload = {"phoneNumber": PHONE, "campaignProvisioning": link}
        return sync_numbers.store_imported(project, payload, at).failure_codes

    now = timezone.now()
    told(project, "LINK_TO_10DLC_CAMPAIGN", "FAILED", "EXCEEDED_10DLC_LIMIT", at=now)
    assert fails(now) == {"campaign": "EXCEEDED_10DLC_LIMIT"}
    sync_numbers.mark_imported_gone(project, PHONE, now + timedelta(minutes=5))
    assert fails(now + timedelta(minutes=10)) == {}


def test_a_cause_that_comes_late_is_not_kept_for_a_step_that_went_well_since(campaign_step):
    read, tell = campaign_step
    assert read("DONE") == {}
    tell("EXCEEDED_10DLC_LIMIT", 10)
    assert read("FAILED") == {}


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


def test_invoices_that_were_refused_are_not_told_as_being_reviewed(
    agent_client, project, sandbox, read_qualified
):
    sandbox.hosting.add_qualified(PHONE, "ELIGIBLE")
    read_qualified(PHONE)
    agent_client.post(reverse("hosting:qualified_invoices"), {"phone": PHONE, "do": "mailed"})
    sandbox.hosting.do_qualified(PHONE, "refuse_invoices")
    row = read_qualified(PHONE)
    assert row.state == "VERIFICATION_FAILED"
    assert "The review mostly takes" not in told_plainly(agent_client, row)


@pytest.fixture
def proof_failed(project):
    """Read the number with a proof that failed for a reason, so many minutes ago if Sinch says."""

    def read(error, minutes=None):
        payload = {"phoneNumber": PHONE, "globalProcessState": "VERIFICATION_FAILED"}
        payload["ownershipVerification"] = {"status": "FAILED", "error": error}
        if minutes is not None:
            payload["updatedTime"] = iso_instant(timezone.now() - timedelta(minutes=minutes))
        return sync_numbers.store_qualified(project, payload, timezone.now())

    return read


@pytest.mark.parametrize(("before", "now"), [(60, 0), (None, None)])
def test_invoices_that_were_refused_after_a_wrong_code_are_not_told_as_being_reviewed(
    before, now, proof_failed, agent_client
):
    proof_failed("Wrong code", before)
    agent_client.post(reverse("hosting:qualified_invoices"), {"phone": PHONE, "do": "mailed"})
    row = proof_failed("Wrong code", before)
    assert "The review mostly takes" in told_plainly(agent_client, row)
    row = proof_failed("The invoices do not list the number", now)
    assert "The review mostly takes" not in told_plainly(agent_client, row)


def test_a_wrong_code_that_is_read_only_after_the_invoices_were_mailed_refuses_none(
    proof_failed, agent_client
):
    proof_failed("Wrong code", 60)
    agent_client.post(reverse("hosting:qualified_invoices"), {"phone": PHONE, "do": "mailed"})
    row = proof_failed("Wrong code, one try left", 30)
    assert "The review mostly takes" in told_plainly(agent_client, row)


def test_a_search_that_sinch_refuses_is_not_asked_for_ever(
    project, sandbox, work_off, agent_client
):
    sandbox.faults.add("status", "ImportNumberService_ListImportedNumbers", status=400, times=None)
    assert agent_client.post(reverse("hosting:imported_numbers"), SEARCH).status_code == 302
    work_off()
    assert not Reading.objects.filter(
        kind=overview.SEARCH_READER, next_try_at__isnull=False
    ).exists()
    assert Combination.objects.get().trouble


def test_a_number_qualified_anew_has_nothing_of_the_proof_before(
    agent_client, project, sandbox, read_qualified, settle
):
    first = sandbox.hosting.add_qualified(PHONE, "VERIFICATION_BLOCKED")
    first.created_at = iso_instant(timezone.now() - timedelta(hours=2))
    row = read_qualified(PHONE)
    typed = {"phone": PHONE, "do": "mailed"}
    agent_client.post(reverse("hosting:qualified_invoices"), typed)
    Operation.objects.create(
        project=project,
        kind="qualified.verify",
        target=row.target,
        payload={"phone": PHONE},
        state="refused",
        answer={"judged": "no"},
        created_at=timezone.now() - timedelta(hours=1),
    )
    assert "Mailed" in told_plainly(agent_client, row)
    assert qualified.tries_of(row) == 1
    QualifiedNumber.objects.update(
        invoices_sent_at=timezone.now() - timedelta(hours=1),
        called_at=timezone.now() - timedelta(hours=1),
    )
    agent_client.post(reverse("hosting:qualified_delete", args=[row.pk]))
    settle()
    sandbox.hosting.add_qualified(PHONE, "ELIGIBLE")
    row = read_qualified(PHONE)
    assert (row.gone_at, row.state) == (None, "ELIGIBLE")
    assert (row.invoices_sent_at, row.invoices_sent_by, row.called_at) == (None, None, None)
    assert qualified.tries_of(row) == 0
    assert "Mailed" not in told_plainly(agent_client, row)


def test_qualified_numbers_of_two_projects_are_as_old_as_the_lists_of_the_one_read_first(
    project, agent_client
):
    minutes = {"second": 40, "out of use": 55}
    for name, is_active in (("second", True), ("out of use", False)):
        SinchProject.objects.create(
            name=name, project_id=name, key_id="k", key_secret="s", is_active=is_active
        )
    for one in SinchProject.objects.all():
        readings.want_one(one, overview.WALK_READER, overview.QUALIFIED, "sweep")
        read_at = timezone.now() - timedelta(minutes=minutes.get(one.name, 10))
        Reading.objects.filter(project=one).update(read_at=read_at)
    page = strip_tags(agent_client.get(reverse("hosting:qualified_numbers")).content.decode())
    assert "Sinch’s lists were read 40 min ago." in page.replace("\xa0", " ")


def test_the_same_number_of_two_projects_is_on_a_page_though_they_come_where_it_ends(
    project, agent_client
):
    other = SinchProject.objects.create(name="B", project_id="other", key_id="k", key_secret="s")
    for place in range(number_list.PAGE):
        payload = {"phoneNumber": f"+1206555{place:04}"}
        sync_numbers.store_imported(project, payload, timezone.now())
    last = sync_numbers.store_imported(other, payload, timezone.now())
    listed = agent_client.get(reverse("hosting:imported_numbers"))
    assert last.get_absolute_url() not in listed.content.decode()
    shown = listed.context["page"]
    onward = agent_client.get(reverse("hosting:imported_numbers") + shown.on_url)
    assert last.get_absolute_url() in onward.content.decode()
    back = onward.context["page"].back_url
    first = agent_client.get(reverse("hosting:imported_numbers") + back)
    assert [row.pk for row in first.context["page"].rows] == [row.pk for row in shown.rows]


def test_numbers_of_a_pair_that_sinch_lists_no_more_are_read_by_themselves(
    project, sandbox, work_off
):
    sandbox.hosting.add_imported(PHONE, "plan-x", "CABC123")
    sync.remember_pair(project, "plan-x", "CABC123")
    overview.want_walks(project)
    work_off()
    assert ImportedNumber.objects.get().gone_at is None
    del sandbox.state.hosting.imported[PHONE]
    lists = "HostingOrderService_ListHostingOrders"
    sandbox.faults.add("status", lists, status=400, times=None)
    overview.want_walks(project)
    work_off()
    assert Combination.objects.get().trouble
    assert ImportedNumber.objects.get().gone_at is not None


@pytest.fixture
def verified(agent_client, sandbox, read_qualified, typed):
    """A verified number, and a click that sends the order that is typed for it."""
    sandbox.hosting.add_qualified(PHONE, "VERIFIED")
    row = read_qualified(PHONE)
    draft = agent_client.post(reverse("hosting:qualified_text_enable"), {"all": "1"}).url
    fields = typed(numbers=PHONE, action="ask")
    page = agent_client.get(draft).content.decode()
    fields["version"] = re.search(r'name="version" value="(\d+)"', page)[1]
    said = agent_client.post(draft, fields, follow=True).content.decode()
    fields["version"] = re.search(r'name="version" value="(\d+)"', said)[1]
    fields["attempt"] = re.search(r'name="attempt" value="(\w+)"', said)[1]
    return row, lambda: agent_client.post(draft, fields | {"action": "send"})


def test_verified_numbers_go_into_no_order_before_their_deletion_has_ended(
    verified, agent_client, sandbox, settle
):
    row, send = verified
    assert post(agent_client, "qualified_delete", row).status_code == 302
    answer = send()
    assert answer.status_code == 422
    told = "The deletion of +1 206 555 0142 is still on its way to Sinch."
    assert told in answer.content.decode().replace("\xa0", " ")
    settle()
    assert sandbox.hosting.orders() == []


def test_a_verified_number_that_sinch_refuses_as_unknown_is_read_again(verified, sandbox, settle):
    row, send = verified
    del sandbox.state.hosting.qualified[PHONE]
    assert send().status_code == 302
    settle()
    assert Operation.objects.get().state == "refused"
    row.refresh_from_db()
    assert row.gone_at is not None


def test_a_number_that_goes_into_an_order_is_not_deleted_beside_it(
    verified, agent_client, sandbox, settle
):
    row, send = verified
    assert send().status_code == 302
    answer = post(agent_client, "qualified_delete", row)
    assert answer.status_code == 409
    assert "It is in an order on its way to Sinch" in answer.content.decode()
    settle()
    assert sandbox.state.calls[DELETE_QUALIFIED] == 0
    assert len(sandbox.hosting.orders()) == 1


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


def test_a_number_that_no_list_shows_comes_back_after_a_404_that_was_wrong(
    sandbox, read_imported, agent_client, work_off
):
    sandbox.hosting.add_imported(PHONE, "", "")
    row = read_imported(PHONE)
    sandbox.faults.add("status", "ImportNumberService_GetImportedNumber", status=404)
    assert read_imported(PHONE).gone_at is not None
    due_at = Reading.objects.get(kind=sync.IMPORTED_READER).next_try_at
    assert due_at is not None
    assert due_at - timezone.now() < timedelta(minutes=6)
    Reading.objects.filter(kind=sync.IMPORTED_READER).update(next_try_at=timezone.now())
    work_off()
    row.refresh_from_db()
    assert row.gone_at is None
    assert not Reading.objects.get(kind=sync.IMPORTED_READER).is_gone
