"""The page of one write, its poll, and the panels of a thing."""

import re
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.template import RequestContext, Template
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from portal.operations import panels, runner
from portal.operations.models import Operation, Reading
from portal.sinch.errors import SinchInvalidRequest, SinchUnavailable, Violation
from portal.work.models import WorkItem

pytestmark = pytest.mark.django_db
State = Operation.State
FRAGMENT = {"HX-Request": "true"}


def url(operation, name="detail"):
    return reverse(f"operations:{name}", args=[operation.key])


def test_a_refused_write_tells_field_by_field_what_sinch_said(agent_client, agent, write, desk):
    desk.before = SinchInvalidRequest(
        status=422,
        sinch_message="Invalid <order>",
        violations=[Violation("phoneNumbers[0].endUser.state", "must be two letters")],
    )
    operation = write(by=agent, subject="Order HVD-2026-014")
    runner.run_one()
    page = agent_client.get(url(operation)).content.decode()
    for words in (
        "Order HVD-2026-014",
        "Sinch refused it: “Invalid &lt;order&gt;”",
        "phoneNumbers[0].endUser.state",
        "“must be two letters”",
        "Dana Whitfield",
        "Refused by Sinch",
    ):
        assert words in page, words
    assert "hx-get" not in page.split('id="written"')[1]


def test_a_write_under_way_asks_again_until_it_is_finished(agent_client, write, desk):
    operation = write(subject="Order HVD-2026-014")
    page = agent_client.get(url(operation)).content.decode()
    assert "Waiting to go" in page
    assert f'hx-get="{url(operation, "live")}?token=queued-0-0"' in page
    runner.run_one()
    fragment = agent_client.get(url(operation, "live") + "?token=queued-0-0", headers=FRAGMENT)
    assert fragment.status_code == 200
    text = fragment.content.decode()
    assert "<html" not in text
    assert 'id="written"' in text
    assert "Arrived at Sinch" in text
    assert "hx-get" not in text


def test_a_poll_of_what_has_not_changed_is_one_statement_and_nothing(agent_client, write):
    operation = write()
    poll = url(operation, "live") + "?token=queued-0-0"
    agent_client.get(poll, headers=FRAGMENT)
    with CaptureQueriesContext(connection) as seen:
        answer = agent_client.get(poll, headers=FRAGMENT)
    assert (answer.status_code, answer.content) == (204, b"")
    assert len(seen) == 1


def test_whoever_is_not_signed_in_is_sent_to_the_door(client, write):
    operation = write()
    assert client.get(url(operation)).status_code == 302
    answer = client.get(url(operation, "live"), headers=FRAGMENT)
    assert answer.headers["HX-Redirect"].startswith(reverse("login"))
    for name in ("seen", "again"):
        assert client.post(url(operation, name)).status_code == 302
    assert not Operation.objects.exclude(seen_at=None).exists()


def test_what_is_not_there_is_not_found_and_the_wrong_method_is_refused(agent_client, write):
    for name in ("detail", "live"):
        missing = reverse(f"operations:{name}", args=[uuid.uuid4()])
        assert agent_client.get(missing).status_code == 404
    operation = write()
    assert agent_client.post(url(operation)).status_code == 405
    assert agent_client.get(url(operation, "seen")).status_code == 405
    assert agent_client.get(url(operation, "again")).status_code == 405


def test_a_finished_write_is_closed_and_leads_back(agent_client, write, desk):
    operation = write()
    answer = agent_client.post(url(operation, "seen"))
    operation.refresh_from_db()
    assert operation.seen_at is None, "what is under way stays in sight"
    runner.run_one()
    answer = agent_client.post(url(operation, "seen"), {"next": "/orders/17/"})
    assert answer.headers["Location"] == "/orders/17/"
    operation.refresh_from_db()
    assert operation.seen_at
    answer = agent_client.post(url(operation, "seen"), {"next": "https://elsewhere.example/"})
    assert answer.headers["Location"] == url(operation)
    answer = agent_client.post(url(operation, "seen"), {"next": "/x/"}, headers=FRAGMENT)
    assert answer.headers["HX-Redirect"] == "/x/"


def test_what_has_arrived_is_told_as_one_and_closed_together(agent_client, write, desk):
    request = RequestFactory().get("/")
    shown = "{% load desk %}{% operations ops here='/orders/17/' %}"
    first, second, waiting = write(), write(), write()
    assert runner.run_one()
    assert runner.run_one()
    ops = list(Operation.objects.order_by("-pk"))
    html = Template(shown).render(RequestContext(request, {"ops": ops}))
    assert "2 arrived at Sinch" in html
    assert html.count('class="banner') == 2, "what is under way has its own panel"
    assert f'id="operation-{waiting.key}"' in html
    assert html.count('name="key"') == 2
    one = Template(shown).render(RequestContext(request, {"ops": ops[1:2]}))
    assert "operations-arrived" not in one
    keys = [str(op.key) for op in ops]
    together = reverse("operations:seen_together")
    answer = agent_client.post(together, {"key": [*keys, "odd"], "next": "/orders/17/"})
    assert answer.headers["Location"] == "/orders/17/"
    assert set(Operation.objects.exclude(seen_at=None)) == {first, second}
    assert agent_client.get(together).status_code == 405


def test_somebody_who_may_not_send_closes_only_their_own(make_agent, write, desk):
    reader = make_agent("rea")
    client = Client()
    client.force_login(reader, backend="portal.accounts.backends.EmailOrUsernameBackend")
    others, own = write(), write(by=reader)
    while runner.run_one():
        pass
    together = reverse("operations:seen_together")
    assert client.post(url(others, "seen")).status_code == 403
    assert client.post(together, {"key": [others.key, own.key]}).status_code == 403
    assert not Operation.objects.exclude(seen_at=None).exists()
    assert client.post(together, {"key": [own.key]}).status_code == 302
    assert client.post(url(own, "seen")).status_code == 302
    assert client.post(url(own, "again")).status_code == 403


def stopped(write, desk, **fields):
    desk.before = SinchUnavailable("connection refused")
    operation = write(**fields)
    Operation.objects.filter(pk=operation.pk).update(attempts=runner.MOST_SENDS)
    runner.run_one()
    desk.before = None
    operation.refresh_from_db()
    assert operation.state == State.DEAD
    return operation


def test_a_stopped_write_is_tried_again_from_its_page(agent_client, write, desk):
    operation = stopped(write, desk)
    page = agent_client.get(url(operation)).content.decode()
    assert f'action="{url(operation, "again")}"' in page
    assert "Stopped after" in page
    assert agent_client.post(url(operation, "again")).headers["Location"] == url(operation)
    runner.run_one()
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED


def test_an_older_page_does_not_close_what_nobody_has_seen(agent_client, write, desk):
    operation = stopped(write, desk)
    older = dict(re.findall(r'name="(finished)" value="([^"]+)"', page_of(agent_client, operation)))
    agent_client.post(url(operation, "again"))
    desk.before = SinchInvalidRequest(status=422, sinch_message="No such carrier")
    runner.run_one()
    answer = agent_client.post(url(operation, "seen"), older, follow=True).content.decode()
    assert "It was tried again since this page was opened." in answer
    assert "No such carrier" in answer
    operation.refresh_from_db()
    assert (operation.state, operation.seen_at) == (State.REFUSED, None)
    newer = dict(re.findall(r'name="(finished)" value="([^"]+)"', answer))
    agent_client.post(url(operation, "seen"), newer)
    operation.refresh_from_db()
    assert operation.seen_at is not None


def page_of(client: Client, operation: Operation) -> str:
    return client.get(url(operation)).content.decode()


def test_what_cannot_be_tried_again_says_so(agent_client, write, desk):
    operation = stopped(write, desk, target="draft:1")
    newer = write(target="draft:1")
    page = agent_client.get(url(operation)).content.decode()
    assert "Another one is on its way. Wait for what becomes of it." in page
    answer = agent_client.post(url(operation, "again"), headers=FRAGMENT)
    assert answer.status_code == 409
    assert answer.headers["HX-Retarget"] == "#messages"
    answer = agent_client.post(url(newer, "again"), follow=True)
    assert "It cannot be tried again" in answer.content.decode()
    operation.refresh_from_db()
    assert operation.state == State.DEAD


def test_who_may_not_send_sees_the_button_and_why_it_does_nothing(make_agent, write, desk):
    operation = stopped(write, desk)
    client = Client()
    client.force_login(make_agent("rea"), backend="portal.accounts.backends.EmailOrUsernameBackend")
    page = client.get(url(operation)).content.decode()
    assert 'aria-disabled="true"' in page
    assert "Sending to Sinch needs the agent role." in page
    assert url(operation, "again") not in page


def test_the_page_leads_to_what_the_write_is_about(agent_client, project, write, desk):
    item = WorkItem.objects.create(
        kind="port_in",
        project=project,
        target_pk=17,
        sinch_id="40118273",
        end_user="Harborview Dental LLC",
        status="PENDING",
    )
    by_order = write(target="port_in:17")
    by_draft = write(target=f"draft:{uuid.uuid4()}")
    draft_page = reverse("orders:draft", args=[by_draft.target.partition(":")[2]])
    assert f'href="{draft_page}"' in agent_client.get(url(by_draft)).content.decode()
    Operation.objects.filter(pk=by_draft.pk).update(answer={"id": "40118273"}, state="succeeded")
    for operation in (by_order, by_draft):
        page = agent_client.get(url(operation)).content.decode()
        assert f'href="{item.get_absolute_url()}"' in page
        assert "Harborview Dental LLC" in page
    settings_page = agent_client.get(url(write(target=f"project:{project.pk}")))
    assert reverse("projects:settings") in settings_page.content.decode()
    for odd in ("nonsense", "draft:no-uuid", "port_in:999", "port_in:x"):
        assert agent_client.get(url(write(target=odd))).status_code == 200


def test_read_back_is_said_once_the_order_was_read_after_the_answer(
    agent_client, project, write, desk
):
    WorkItem.objects.create(
        kind="port_in", project=project, target_pk=17, sinch_id="40118273", status="PENDING"
    )
    reading = Reading.objects.create(
        project=project,
        kind="port_in_order",
        resource_id="40118273",
        read_at=timezone.now() - timedelta(hours=1),
    )
    operation = write(target="port_in:17")
    runner.run_one()
    page = agent_client.get(url(operation)).content.decode()
    assert "Reading back" in page
    assert "hx-get" in page.split('id="written"')[1]
    reading.read_at = timezone.now()
    reading.save()
    page = agent_client.get(url(operation)).content.decode()
    assert "and read back" in page
    assert "hx-get" not in page.split('id="written"')[1]


def test_no_page_shows_what_was_sent(agent_client, write, desk, project):
    operation = write()
    operation.payload = {"existingPortOutPin": "482913"}
    operation.save()
    for name in ("detail", "live"):
        assert "482913" not in agent_client.get(url(operation, name)).content.decode()


# --- Panels -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "title", "tone", "current"),
    [
        (State.QUEUED, "Waiting to go: The note", "wait", "Waiting to go"),
        (State.SENDING, "The note is on its way to Sinch", "date", "Sending, 0 s"),
        (State.UNCERTAIN, "Sinch did not answer; we are looking it up", "us", "Looking it up"),
        (State.DEAD, "Stopped after 0 tries", "bad", "Stopped"),
        (State.REFUSED, "Not sent", "bad", "Refused here"),
        (State.SUCCEEDED, "Arrived at Sinch: The note", "done", "Reading back"),
    ],
)
def test_each_state_has_its_words(write, state, title, tone, current):
    operation = write(kind="port_in.note")
    operation.state, operation.sent_at = state, timezone.now()
    panel = panels.panel_of(operation)
    assert (panel.title, panel.tone) == (title, tone)
    (now,) = [step for step in panel.steps if step.state == "now"]
    assert now.label == current


def test_every_kind_of_write_has_a_name_on_its_page():
    for kind in runner.handlers():
        assert panels.kind_word(kind) != kind, kind
