"""From pasted numbers to orders at Sinch."""

import re
import uuid

import pytest
from django.urls import reverse

from hosting.models import HostingDraft, HostingOrder
from portal.operations.models import Operation

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


def test_errors_come_and_go_beside_the_fields_while_somebody_types(agent_client, project, typed):
    url = NEW["text-enable"]
    fields = typed(state="Washington", email="nonsense", email2="") | {"draft": str(uuid.uuid4())}
    answer = agent_client.post(url, fields, headers={"HX-Request": "true"}).content.decode()
    assert "Two letters, such as WA or ON." in answer
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


def test_a_draft_that_was_never_saved_can_be_thrown_away(agent_client, project):
    typed = {"draft": str(uuid.uuid4()), "action": "throw_away"}
    answer = agent_client.post(NEW["import"], typed)
    assert (answer.status_code, answer["Location"]) == (302, reverse("hosting:choose"))
    assert not HostingDraft.objects.exists()
