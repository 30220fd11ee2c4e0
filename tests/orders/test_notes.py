"""Notes to Sinch: templates with gaps, what to mind shortly before a date, and the team's own."""

import datetime
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orders import actions_order, notes
from orders.models import NoteTemplate, PortInOrder
from portal import words
from portal.accounts.models import SinchProject
from portal.operations.models import Operation
from portal.work.models import TeamNote
from tests.orders.test_order_page import PIN, at, make_order

__all__ = ["make_order"]  # a fixture

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
Make = Callable[..., PortInOrder]


def typed_in(html: str) -> str:
    """Return what the composer holds."""
    found = re.search(r'<textarea[^>]*id="composer_note"[^>]*>(.*?)</textarea>', html, re.S)
    assert found
    return found[1]


def note(client: Client, order: PortInOrder, **typed: str) -> Any:
    return client.post(at("note", order), {"key": "k1"} | typed)


# --- Templates --------------------------------------------------------------------------------


def test_a_project_without_templates_is_offered_some(
    agent_client: Client, make_order: Make
) -> None:
    html = agent_client.get(make_order().get_absolute_url()).content.decode()
    for title in ("Ask how it stands", "A new PIN was sent", "Cancel a confirmed order"):
        assert f">{title}</button>" in html


def test_its_own_templates_take_their_place(
    agent_client: Client, make_order: Make, project: SinchProject
) -> None:
    NoteTemplate.objects.create(project=project, title="Say hello", text="Hello about {reference}")
    html = agent_client.get(make_order().get_absolute_url()).content.decode()
    assert ">Say hello</button>" in html
    assert "Ask how it stands" not in html


def test_gaps_are_filled_with_what_the_order_has(make_order: Make, project: SinchProject) -> None:
    text = "{reference} {sinch_id} {end_user} {numbers} {port_date} {foc_date} {other}"
    template = NoteTemplate.objects.create(project=project, title="All", text=text)
    rejected = {"status": "REJECTED", "reject_reason": "PIN"}
    order = make_order(
        numbers=[rejected, rejected, {"status": "CONFIRMED"}],
        item={"foc_date": datetime.date(2026, 6, 18)},
    )
    filled = notes.filled(order, str(template.pk))
    asked, foc = (words.day_text(datetime.date(2026, 6, day)) for day in (16, 18))
    assert filled == (
        f"HVD-2026-014 {order.sinch_id} Harborview Dental LLC +1 206 555 0100 to 0101 "
        f"{asked} {foc} {{other}}"
    )
    assert notes.filled(order, "no such") == ""
    quiet = make_order(numbers=[{"status": "PENDING"}] * 2)
    assert "+1 206 555 0100 to 0101" in notes.filled(quiet, str(template.pk))
    assert "{foc_date}" in notes.filled(quiet, str(template.pk)), "nothing to fill it with"


def test_a_template_goes_behind_what_is_typed_and_nothing_is_sent(
    agent_client: Client, make_order: Make
) -> None:
    order = make_order()
    answer = note(agent_client, order, note="Good morning.", template="d1")
    text = typed_in(answer.content.decode())
    assert text.startswith("Good morning.")
    assert order.sinch_id in text
    assert 'name="key" value="k1"' in answer.content.decode()
    under_htmx = agent_client.post(at("note", order), {"template": "d1"}, headers=HTMX)
    assert order.sinch_id in typed_in(under_htmx.content.decode())
    assert "<html" not in under_htmx.content.decode()
    assert not Operation.objects.exists()


def test_the_composer_is_an_answer_only_where_somebody_has_written(
    make_order: Make, agent_client: Any
) -> None:
    order = make_order()
    page = agent_client.get(order.get_absolute_url()).content.decode()
    assert "Nobody has written yet" in page
    assert ">Write to Sinch</label>" in page
    order.notes.create(text="Which line?", created_by="Sinch", created_at=timezone.now())
    page = agent_client.get(order.get_absolute_url()).content.decode()
    assert ">Answer Sinch</label>" in page


def test_an_address_opens_the_composer_with_a_template(
    agent_client: Client, make_order: Make
) -> None:
    order = make_order()
    html = agent_client.get(order.get_absolute_url(), {"template": "d1"}).content.decode()
    assert order.sinch_id in typed_in(html)
    plain = agent_client.get(order.get_absolute_url(), {"template": "<b>"}).content.decode()
    assert typed_in(plain) == ""


def test_a_gap_that_nothing_filled_does_not_leave(agent_client: Client, make_order: Make) -> None:
    answer = note(agent_client, make_order(), note="Moved to {foc_date}.", sure="yes")
    assert answer.status_code == 422
    assert "{foc_date} is a gap" in answer.content.decode()
    assert not Operation.objects.exists()


# --- Shortly before the date ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "days", "warned"),
    [
        ("Move it to another date.", 1, True),
        ("The customer wants to cancel.", 1, True),
        ("The bill is attached.", 1, False),
        ("Move it to another date.", 30, False),
    ],
)
def test_a_note_about_a_date_is_warned_of_shortly_before_it(
    agent_client: Client, make_order: Make, text: str, days: int, warned: bool
) -> None:
    day = timezone.localdate() + datetime.timedelta(days=days)
    order = make_order("CONFIRMED", desired_port_date=day, item={"foc_date": day})
    html = note(agent_client, order, note=text).content.decode()
    assert "Send this to Sinch?" in html
    form = html[html.index('id="composer"') : html.index('id="timeline"')]
    assert ("error caution" in form) is warned


# --- Both composers ---------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["  ", "x" * 4001, f"Take {PIN}", "Her passcode: 4821"])
def test_both_composers_refuse_the_same(make_order: Make, agent: Any, text: str) -> None:
    order = make_order()
    with pytest.raises(actions_order.NotSendable):
        actions_order.check_note(order, text)
    with pytest.raises(actions_order.NotSendable):
        actions_order.add_team_note(order, text, by=agent)
    assert not TeamNote.objects.exists()


def test_the_two_composers_cannot_be_taken_for_each_other(
    agent_client: Client, make_order: Make
) -> None:
    order = make_order()
    html = agent_client.get(order.get_absolute_url()).content.decode()
    out, paper = html.index('class="panel note-out"'), html.index('class="panel note-paper"')
    assert "Leaves the desk and cannot be taken back" in html[out:paper]
    assert "Only your team reads these" in html[paper:]
    team = agent_client.post(reverse("orders:team_note", args=[order.pk]), {"text": "Call Dana."})
    assert team.status_code == 302
    assert TeamNote.objects.get().text == "Call Dana."
    assert not Operation.objects.exists()
