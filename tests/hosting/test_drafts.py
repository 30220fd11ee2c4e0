"""From pasted numbers to orders at Sinch."""

import re
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction
from django.urls import reverse
from django.utils.html import strip_tags

from hosting import actions
from hosting.models import HostingDraft, HostingOrder
from hosting.review import Review
from portal.accounts.models import SinchProject
from portal.operations import runner
from portal.operations.models import Operation
from portal.work import drafts
from tests.tools import lose, somebody_waits_for_a_lock, wait_for

pytestmark = pytest.mark.django_db
PLAN = "07d6c2621f364b68856fe4938b7bb78f"
NEW = {kind: f"/hosting/new/{kind}/" for kind in ("import", "text-enable", "toll-free")}


def send(client, fields, kind="text-enable"):
    """Type a draft and send it; return the draft as it then is."""
    pk = str(uuid.uuid4())
    answer = client.post(NEW[kind], fields | {"draft": pk, "action": "ask"})
    assert answer.status_code == 200, answer.content.decode()[-3000:]
    html = answer.content.decode()
    attempt = re.search(r'name="attempt" value="(\w+)"', html)[1]
    version = re.search(r'name="version" value="(\d+)"', html)[1]
    again = fields | {"draft": pk, "action": "send", "attempt": attempt, "version": version}
    answer = client.post(reverse("hosting:draft", args=[pk]), again)
    assert answer.status_code == 302, answer.content.decode()[-3000:]
    return HostingDraft.objects.get(pk=pk)


def test_a_draft_being_sent_stops_others_of_its_numbers_unless_no_key_reads_it(
    agent_client, agent, project, typed
):
    lost, sent = (
        HostingDraft.objects.create(
            project=project, by=agent, state="sending", title=name, data={"numbers": numbers}
        )
        for name, numbers in (("Lost", "206 555 0177"), ("Front desk", "206 555 0142"))
    )
    lose(lost, "data")
    fields = typed(numbers="206 555 0142") | {"draft": str(uuid.uuid4()), "action": "ask"}
    html = agent_client.post(NEW["text-enable"], fields).content.decode()
    hidden = {
        name: re.search(rf'name="{name}" value="(\w+)"', html)[1] for name in ("attempt", "version")
    }
    draft = reverse("hosting:draft", args=[fields["draft"]])
    answer = agent_client.post(draft, fields | hidden | {"action": "send"})
    assert "1 number on its way in the draft “Front desk”" in answer.content.decode()
    sent.delete()
    assert agent_client.post(draft, fields | hidden | {"action": "send"}).status_code == 302


def test_errors_come_and_go_beside_the_fields_while_somebody_types(agent_client, project, typed):
    url = NEW["text-enable"]
    fields = typed(state="Washington", email="nonsense", email2="") | {"draft": str(uuid.uuid4())}
    answer = agent_client.post(url, fields, headers={"HX-Request": "true"}).content.decode()
    assert "Two letters of a US state or Canadian province" in answer
    assert "This is no e-mail address" in answer
    assert 'id="id_state"' not in answer, "a field is never replaced"
    blamed = re.search(r'name="blamed" value="([^"]*)"', answer)[1]
    assert blamed.split() == ["id_email", "id_state"]
    version = re.search(r'name="version" value="(\d+)"', answer)[1]
    fields |= {"state": "WA", "blamed": blamed, "version": version}
    answer = agent_client.post(url, fields, headers={"HX-Request": "true"}).content.decode()
    place = re.search(r'<span id="id_state_error"[^>]*>', answer)[0]
    assert "hidden" in place
    assert "This is no e-mail address" in answer


@pytest.mark.parametrize("kind", ["text-enable", "toll-free"])
@pytest.mark.parametrize(
    ("changes", "said", "target"),
    [
        ({"postal": "1"}, "5 digits, such as 98101", "id_postal"),
        ({"postal": "981011"}, "5 digits, such as 98101", "id_postal"),
        ({"postal": "K1A 0B1"}, "Does not go with the US. Correct it or the country.", "id_postal"),
        ({"country": "CA", "state": "ON"}, "Does not go with Canada.", "id_postal"),
        ({"country": "CA", "postal": "K1A 0B1"}, "Does not go with Canada.", "id_state"),
        ({"state": "ZZ"}, "Two letters of a US state or Canadian province", "id_state"),
    ],
)
def test_an_address_that_cannot_be_one_is_not_sent(
    kind, changes, said, target, agent_client, project, typed
):
    fields = typed(**changes) | {"draft": str(uuid.uuid4()), "action": "ask"}
    if kind == "toll-free":
        fields["numbers"] = "+18335550142"
    answer = agent_client.post(NEW[kind], fields)
    html = answer.content.decode()
    assert answer.status_code == 422
    assert said in html[html.index(f'id="{target}_error"') :][:400]
    assert changes.get("postal", "98101") in html, "what was typed is kept"
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"postal": "981011234"}, ("WA", "98101-1234")),
        ({"country": "CA", "state": "on", "postal": "k1a0b1"}, ("ON", "K1A 0B1")),
    ],
)
def test_an_address_is_sent_as_it_is_written_there(
    changes, kept, agent_client, project, sandbox, typed, work_off
):
    send(agent_client, typed(**changes))
    work_off()
    made = sandbox.hosting.order(HostingOrder.objects.get().sinch_id)
    assert (made.loa["address"]["state"], made.loa["address"]["postalCode"]) == kept


NEEDED = ("plan", "first_name", "last_name", "email", "email2", "building", "street", "carrier")


@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        ("import", {"numbers": "", "plan": ""}, "the numbers and the service plan are open."),
        ("import", {"plan": ""}, "the service plan is open."),
        ("import", {"numbers": ""}, "the numbers are open."),
        ("import", {"plan": "two words"}, "the service plan is open or wrong."),
        ("import", {"numbers": "+12065550101 12"}, "1 line cannot be read as a number."),
        (
            "import",
            {"numbers": "+12065550101\n12", "plan": ""},
            "the service plan is open. 1 line cannot be read as a number.",
        ),
        (
            "text-enable",
            dict.fromkeys(NEEDED, ""),
            "the service plan, the signer’s first name, the signer’s last name, "
            "the signer’s e-mail and 4 more fields are open.",
        ),
    ],
)
def test_why_it_cannot_be_sent_yet_is_a_sentence(kind, changes, told, agent_client, project, typed):
    fields = typed(**changes) | {"draft": str(uuid.uuid4())}
    if kind == "import":
        del fields["loa"]  # its page does not ask
    answer = agent_client.post(NEW[kind], fields, headers={"HX-Request": "true"}).content.decode()
    said = answer.partition('id="why-not-yet">')[2].partition("</p>")[0]
    assert " ".join(strip_tags(said).split()) == f"Not yet: {told}"


def test_nobody_is_asked_for_an_address_that_a_blanket_loa_does_not_show(
    agent_client, project, typed
):
    assert send(agent_client, typed(loa="blanket", state="Washington", postal="1"))


def test_what_is_worth_a_look_is_said_while_somebody_types(agent_client, project, typed):
    def typing(**changes):
        fields = typed(draft=pk, version=version, **changes)
        return agent_client.post(NEW["text-enable"], fields, headers={"HX-Request": "true"})

    def place(answer, name):
        found = re.search(rf'<span[^>]* id="id_{name}_caution".*', answer.content.decode())
        assert "hx-swap-oob" in found[0]
        return found[0]

    pk, version = str(uuid.uuid4()), "0"
    opened = agent_client.get(NEW["text-enable"]).content.decode()
    for name in ("street", "on_date", "at_time"):
        assert f'id="id_{name}_caution" hidden' in opened, "there is a place for it"
    answer = typing(street="PO Box 5", on_date="2024-11-01")
    assert "A PO box is no service address." in place(answer, "street")
    assert "This has passed" in place(answer, "on_date")
    assert "Without a time 09:00 is sent." in place(answer, "at_time")
    told = "Routing at Fri 1 Nov 2024, 09:00 Eastern, sent to Sinch as Fri 1 Nov 2024, 13:00 UTC."
    assert told in answer.content.decode()
    version = re.search(r'name="version" value="(\d+)"', answer.content.decode())[1]
    answer = typing(on_date="2024-11-01", at_time="10:00")
    assert "hidden" in place(answer, "street")
    assert "This has passed" in place(answer, "on_date")
    assert "hidden" in place(answer, "at_time")


def test_a_text_enable_order_goes_from_paste_to_its_page(
    agent_client, project, sandbox, typed, work_off, agent
):
    draft = send(agent_client, typed())
    work_off()
    order = HostingOrder.objects.select_related("item").get()
    made = sandbox.hosting.order(order.sinch_id)
    assert [n.phone_number for n in made.numbers] == ["+12065550101", "+12065550102"]
    assert made.loa["authorisedPerson"]["email"] == "dana.holt@harborview.example"
    assert made.loa["address"]["state"] == "WA"
    draft.refresh_from_db()
    assert (draft.state, draft.order) == ("sent", order)
    assert order.item.assignee == agent
    assert (order.signer_name, order.loa, order.campaign_id) == ("Dana Holt", "direct", "C3O8OGA")
    assert list(sandbox.violations) == []
    page = agent_client.get(order.get_absolute_url())
    assert page.status_code == 200
    html = page.content.decode()
    assert "Harborview texting" in html
    assert "+1 206 555 0101" in html
    assert agent_client.get(draft.get_absolute_url()).url == order.get_absolute_url()
    assert Operation.objects.get(kind="hosting.text_enable").state == "succeeded"


def test_a_draft_is_saved_over_only_what_somebody_was_told_of(agent_client, project, typed):
    pk = str(uuid.uuid4())
    path = reverse("hosting:draft", args=[pk])
    fields = {"draft": pk, "action": "save"}
    agent_client.post(NEW["text-enable"], typed() | fields | {"tab": "a", "display_name": "First"})

    def saved(name, action, version, tab):
        more = {"display_name": name, "action": action, "version": version, "tab": tab}
        return agent_client.post(path, typed() | fields | more)

    assert saved("Second", "save", 1, "b").status_code == 302
    page = saved("Mine", "save", 1, "a")
    assert page.status_code == 409
    assert 'value="overwrite:2"' in page.content.decode()
    assert saved("Third", "save", 2, "c").status_code == 302
    assert saved("Mine", "overwrite:2", 1, "a").status_code == 409
    assert HostingDraft.objects.get().field("display_name") == "Third"
    assert saved("Mine", "overwrite:3", 1, "a").status_code == 302
    assert HostingDraft.objects.get().field("display_name") == "Mine"


def test_a_draft_that_was_never_saved_can_be_thrown_away(agent_client, project):
    typed = {"draft": str(uuid.uuid4()), "action": "throw_away"}
    answer = agent_client.post(NEW["import"], typed)
    assert (answer.status_code, answer["Location"]) == (302, reverse("hosting:choose"))
    assert not HostingDraft.objects.exists()


# --- Side by side -------------------------------------------------------------------------------


def test_a_number_in_another_order_stops_a_draft_however_many_stand_where_they_may(
    agent, project, sandbox, read_order
):
    phones = [f"+1929555{line:04d}" for line in range(1000, 1250)]
    followed = read_order(sandbox.hosting.make_order(phones))
    others = [f"+1646555{line:04d}" for line in range(1000, 1250)]
    read_order(sandbox.hosting.make_order([*others, phones[-1]]))
    draft = HostingDraft.objects.create(
        project=project,
        by=agent,
        kind="import",
        follows=followed,
        data={"numbers": "\n".join(phones)},
    )
    assert Review(draft, "UTC").blocked == phones[-1:]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("hosting_client")
def test_a_draft_sent_anew_while_its_stopped_create_is_tried_again_makes_one_order(
    agent, agent_client, sandbox, typed, settle
):
    draft = send(agent_client, typed())
    stopped = Operation.objects.get()
    sandbox.faults.add("429", "TextEnableNumbers")
    Operation.objects.update(attempts=runner.MOST_SENDS)
    assert runner.run_one()
    stopped.refresh_from_db()
    draft.refresh_from_db()
    assert (stopped.state, draft.state) == ("dead", HostingDraft.State.OPEN)

    def tries_again():
        try:
            return not runner.take_up(stopped)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():  # somebody sends the draft anew, about to commit
            assert actions.send(draft, "US/Pacific", by=agent, attempt="another page")
            taken_up = pool.submit(tries_again)
            wait_for(somebody_waits_for_a_lock, what="who tries again")
        assert taken_up.result(20) is False
    settle()
    assert len(sandbox.hosting.orders()) == 1


@pytest.mark.usefixtures("hosting_client")
@pytest.mark.parametrize("name", ["Harborview Dental", "Harborview Dental LLC"])
def test_a_stopped_order_is_not_sent_once_its_draft_says_something_else(agent_client, typed, name):
    fields = typed(display_name="Harborview Dental")
    send(agent_client, fields)
    stopped = Operation.objects.get()
    Operation.objects.update(state="dead", next_try_at=None)
    HostingDraft.objects.update(state=HostingDraft.State.OPEN)
    draft = HostingDraft.objects.get()
    saved = {"draft": str(draft.pk), "version": draft.version, "display_name": name}
    agent_client.post(reverse("hosting:create", args=["text-enable"]), fields | saved)
    draft.refresh_from_db()
    assert draft.data["display_name"] == name
    assert (not runner.take_up(stopped)) == (name == "Harborview Dental")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("hosting_client")
def test_numbers_whose_order_arrives_while_another_with_them_is_sent_are_ordered_once(
    agent, agent_client, project, sandbox, typed, settle
):
    send(agent_client, typed())
    pk = str(uuid.uuid4())
    agent_client.post(NEW["text-enable"], typed(draft=pk, action="ask"))
    second = HostingDraft.objects.get(pk=pk)

    def sends_it_too():
        try:
            return actions.send(second, "US/Pacific", by=agent, attempt="another page")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            SinchProject.objects.select_for_update(no_key=True).get(pk=project.pk)
            other = pool.submit(sends_it_too)
            wait_for(somebody_waits_for_a_lock, what="who sends it too")
            assert runner.run_one()
        with pytest.raises(drafts.NotSendable):
            other.result(20)
    settle()
    assert len(sandbox.hosting.orders()) == 1
