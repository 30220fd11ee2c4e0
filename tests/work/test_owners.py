"""Whose an order is, what becomes of it when somebody leaves, and what is written to colleagues."""

import pytest
from django.test import Client
from django.urls import reverse

from orders.forms_order import Composer
from portal.work import actions
from portal.work.forms import HandOverForm, TeamComposer
from portal.work.models import TimelineEntry, WorkItem


def owner_of(item: WorkItem) -> object:
    item.refresh_from_db()
    return item.assignee


@pytest.fixture
def boss_client(make_agent) -> Client:
    """A client in which an administrator is signed in."""
    person = make_agent("priya", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(person, backend="portal.accounts.backends.EmailOrUsernameBackend")
    return client


def test_living_orders_of_somebody_who_leaves_are_nobodys_and_seen_by_everybody(
    boss_client, agent_client, agent, make_agent, make_item
):
    tom = make_agent("tom", first_name="Tom", last_name="Okafor")
    left, done = make_item(bucket="us", assignee=tom), make_item(bucket="done", assignee=tom)
    others = make_item(bucket="us", assignee=agent)
    address = reverse("admin:accounts_user_change", args=[tom.pk])
    values = {
        "username": "tom",
        "first_name": "Tom",
        "last_name": "Okafor",
        "time_zone": "US/Eastern",
        "date_joined_0": "2026-01-05",
        "date_joined_1": "09:00:00",
    }
    assert boss_client.post(address, values | {"is_active": "on"}).status_code == 302
    assert owner_of(left) == tom
    before = left.version
    answer = boss_client.post(address, values, follow=True)
    assert "1 living order of Tom Okafor is nobody’s now." in answer.content.decode()
    assert owner_of(left) is None
    assert left.version > before, "open pages show it"
    assert owner_of(done) == tom, "what is over stays theirs"
    assert owner_of(others) == agent
    assert TimelineEntry.objects.get().text == "Tom Okafor has left the desk; nobody owns it now"
    assert left.end_user in agent_client.get("/").content.decode()


def test_a_line_for_whoever_owns_it_already_is_not_lost(agent, make_agent, make_item):
    item, tom = make_item(), make_agent("tom", first_name="Tom")
    for to, said in ((None, "Nobody owns it now"), (tom, "Tom owns it now")):
        WorkItem.objects.filter(pk=item.pk).update(assignee=to)
        with pytest.raises(actions.NotSendable, match=said):
            actions.hand_over(item, to=to, line="Owen Marsh calls at 17:00", by=agent)
    assert not TimelineEntry.objects.exists()


def test_handing_over_twice_with_the_same_line_is_done_once(agent, make_agent, make_item):
    item, tom = make_item(), make_agent("tom")
    for _ in range(2):
        actions.hand_over(item, to=tom, line="Owen Marsh calls at 17:00", by=agent)
    assert owner_of(item) == tom
    assert TimelineEntry.objects.count() == 1


def test_a_line_end_counts_once_as_in_the_browser(db):
    """A browser sends two characters for it, and lets somebody type as if it were one."""
    text = "x" * 1999 + "\r\n" + "y" * 2000
    assert Composer({"note": text}).is_valid()
    note = TeamComposer({"text": text})
    assert note.is_valid(), note.errors
    assert note.cleaned_data["text"] == "x" * 1999 + "\n" + "y" * 2000
    assert HandOverForm({"line": "x" * 149 + "\r\n" + "y" * 150}).is_valid()
