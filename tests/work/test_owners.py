"""Whose an order is, what becomes of it when somebody leaves, and what is written to colleagues."""

import pytest
from django.contrib.auth.models import Group
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


def page_of(client: Client, address: str) -> dict[str, list[str]]:
    """Return what the form of a page of the admin sends when nothing is typed into it."""
    page = client.get(address)
    form = page.context["adminform"].form
    values: dict[str, list[str]] = {}
    for bound in form:
        value = bound.value()
        if value is True:
            values[bound.html_name] = ["on"]
        elif isinstance(value, list):
            values[bound.html_name] = [str(getattr(one, "pk", one)) for one in value]
        elif value:
            values[bound.html_name] = [str(value)]
    return values


def test_an_older_page_of_a_person_does_not_let_somebody_in_again(boss_client, make_agent):
    tom = make_agent("tom", "send_to_sinch", first_name="Tom")
    address = reverse("admin:accounts_user_change", args=[tom.pk])
    older = page_of(boss_client, address)
    answer = boss_client.post(address, {k: v for k, v in older.items() if k != "is_active"})
    assert answer.status_code == 302
    answer = boss_client.post(address, older | {"last_name": ["Okafor"]})
    assert answer.status_code == 200
    assert "was changed since this page was opened" in answer.content.decode()
    tom.refresh_from_db()
    assert (tom.is_active, tom.last_name) == (False, "")
    answer = boss_client.post(address, page_of(boss_client, address) | {"last_name": ["Okafor"]})
    assert answer.status_code == 302
    tom.refresh_from_db()
    assert (tom.is_active, tom.last_name) == (False, "Okafor")


def test_an_older_page_of_a_person_gives_no_role_back(boss_client, make_agent):
    tom, group = make_agent("tom"), Group.objects.get(name="Support agents")
    tom.groups.add(group)
    address = reverse("admin:accounts_user_change", args=[tom.pk])
    older = page_of(boss_client, address)
    assert older["groups"] == [str(group.pk)]
    tom.groups.clear()
    assert boss_client.post(address, older).status_code == 200
    assert not tom.groups.exists()
