"""Imported numbers: made, renamed, listed and deleted, whatever breaks."""

import html
import re
import uuid

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from hosting import number_list, sync, sync_numbers, wire
from hosting.models import Combination, ImportedNumber
from portal.accounts.models import SinchProject
from portal.operations import runner
from portal.operations.models import Operation
from tests.hosting.test_drafts import NEW
from tests.hosting.tools import DELETE, DONE, FAULTS, PHONE, post

pytestmark = pytest.mark.django_db
IMPORT = "ImportNumberService_ImportNumber"


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


@pytest.mark.parametrize("fault", ["", "drop_after"])
@pytest.mark.parametrize(
    ("there", "told"),
    [
        (("plan-b", ""), "It was imported already, on the service plan plan-b, and is left"),
        (("plan-a", "CQ2Z7LM"), "on the service plan plan-a with the campaign CQ2Z7LM, and is"),
        (("plan-a", ""), ""),
    ],
)
def test_a_number_that_was_imported_elsewhere_is_not_told_as_imported_where_it_was_asked_for(
    there, told, fault, agent_client, project, sandbox, settle
):
    sandbox.hosting.add_imported(PHONE, *there)
    if fault:
        sandbox.faults.add(fault, IMPORT)
    typed = {"number": "206 555 0142", "name": "Front desk", "plan": "plan-a", "campaign": ""}
    answer = agent_client.post(reverse("hosting:import_number"), typed)
    settle()
    assert Operation.objects.get().state == "succeeded"
    page = agent_client.get(answer.url, follow=True).content.decode()
    assert ("It was imported already" in page) is bool(told)
    assert told in page


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


SCHEDULED = {"servicePlanId": "plan-b", "campaignId": "CQ2Z7LM"}


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


def test_a_number_that_sinch_has_not_deleted_yet_is_not_called_gone(
    imported, agent_client, sandbox, settle, read_imported
):
    # Taken, and done later: Sinch tells of it by a callback.
    sandbox.faults.add("status", DELETE, status=200)
    post(agent_client, "imported_delete", imported)
    settle()
    imported.refresh_from_db()
    assert imported.gone_at is None
    assert Operation.objects.get(kind="imported.delete").state == "succeeded"
    sandbox.state.hosting.imported.clear()
    assert read_imported(PHONE).gone_at is not None


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
        assert not runner.take_up(Operation.objects.get())
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
    why = "The number was made anew at Sinch since. Delete it anew, if it is to go."
    assert (why in answer.content.decode()) == made_anew


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
