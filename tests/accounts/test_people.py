"""Sign-in, roles, the session in one statement, and the admin of people and projects."""

import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import Value
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.accounts.models import SinchProject, User, WebhookToken
from portal.accounts.sessions import signed_in_user
from portal.operations.models import Operation, Reading
from portal.projects import actions, callbacks, configuration
from tests.tools import lose, somebody_waits_for_a_lock, wait_for

PASSWORD = "a-long-test-word"


def sign_in(client: Client, name: str, password: str = PASSWORD):
    return client.post(reverse("login"), {"username": name, "password": password})


@pytest.mark.parametrize("name", ["dana", "DANA", "dana@desk.example", "Dana@Desk.Example"])
def test_people_sign_in_by_user_name_or_e_mail_in_any_case(client, agent, name):
    answer = sign_in(client, name)
    assert answer.status_code == 302
    assert answer["Location"] == "/"
    assert client.get("/settings/").status_code == 200


def test_a_wrong_password_says_so_and_keeps_the_name(client, agent):
    answer = sign_in(client, "dana", "wrong")
    html = answer.content.decode()
    assert "That did not let you in" in html
    assert 'value="dana"' in html


def test_somebody_deactivated_is_not_let_in_and_not_kept(client, agent_client, agent):
    agent.is_active = False
    agent.save()
    assert "That did not let you in" in sign_in(client, "dana").content.decode()
    assert agent_client.get("/settings/").status_code == 302


def test_an_address_that_a_deactivated_person_has_as_well_lets_the_other_in(client, make_agent):
    make_agent("dana.old", email="dana@desk.example", is_active=False)
    person = make_agent("dana")
    assert sign_in(client, "dana@desk.example").status_code == 302
    assert client.session["_auth_user_id"] == str(person.pk)


def test_two_people_with_one_address_are_told_apart_by_their_passwords(client, make_agent):
    for name in ("front.desk", "back.desk"):
        person = make_agent(name, email="desk@desk.example")
        person.set_password(f"{PASSWORD} of {name}")
        person.save()
    for name in ("front.desk", "back.desk", "back.desk"):
        sign_in(client, "desk@desk.example", f"{PASSWORD} of {name}")
        assert User.objects.get(pk=client.session["_auth_user_id"]).username == name
        client.post(reverse("logout"))
    assert sign_in(client, "desk@desk.example", "wrong").status_code == 200


@pytest.mark.parametrize(
    ("came_from", "next_page"),
    [
        ("http://testserver/settings/?project=1", "/settings/?project=1"),
        ("http://testserver/", "/"),
        ("", "/"),
    ],
)
def test_a_form_sent_after_the_session_ended_leads_back_to_its_page(
    client, project, came_from, next_page
):
    """The address of the form itself takes only what is posted."""
    headers = {"Referer": came_from} if came_from else {}
    answer = client.post(reverse("projects:test", args=[project.pk]), headers=headers)
    login, _, query = answer["Location"].partition("?")
    assert (login, parse_qs(query)) == (reverse("login"), {"next": [next_page]})


def test_an_address_that_takes_only_what_a_form_sends_says_so_when_it_is_opened(
    client, agent_client, project
):
    """It stands in the address bar once a form was wrong, and where a session ended on that."""
    for somebody in (client, agent_client):
        answer = somebody.get(reverse("projects:test", args=[project.pk]), HTTP_ACCEPT="text/html")
        assert (answer.status_code, answer["Allow"]) == (405, "POST")
        html = answer.content.decode()
        assert "This page comes from a form" in html
        assert 'href="/"' in html


def test_many_wrong_tries_are_throttled_in_the_look(client, agent):
    answers = [sign_in(client, "dana", f"wrong {number}") for number in range(9)]
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 429
    html = answers[-1].content.decode()
    assert "<h1" in html
    assert "Too many tries" in html
    assert sign_in(client, "dana").status_code == 429, "the right password waits as well"


def test_tries_are_counted_for_the_person_however_their_name_is_spelled(client, agent):
    names = ["dana", "Dana", "DANA", " dana", "danA", "dAna", "ＤＡＮＡ", "daNa", "DaNa", "DANa"]
    answers = [sign_in(client, name, "wrong") for name in names]
    assert answers[-1].status_code == 429


def test_behind_proxies_the_tries_of_one_address_lock_nobody_out_at_another(
    client, agent, settings
):
    settings.TRUSTED_PROXIES = 2
    wrote, attacker, office = "198.51.100.1", "203.0.113.9", "203.0.113.20"

    def tried(password, *places):
        forwarded = ", ".join((*places, "10.0.0.9"))
        return client.post(
            reverse("login"),
            {"username": "dana", "password": password},
            HTTP_X_FORWARDED_FOR=forwarded,
            REMOTE_ADDR="10.0.0.7",
        ).status_code

    # What the caller writes in front changes each time, and is not believed.
    answers = [tried("wrong", f"{wrote}{n}", attacker) for n in range(9)]
    assert answers[-1] == 429
    assert tried(PASSWORD, office, attacker) == 429
    assert tried("wrong", attacker, office) == 200
    assert tried(PASSWORD, attacker, office) == 302


def test_tries_that_went_around_the_proxies_are_counted_together(client, agent, settings):
    settings.TRUSTED_PROXIES = 1
    assert [sign_in(client, "dana", f"wrong {n}") for n in range(9)][-1].status_code == 429


def test_signing_out_takes_a_post(agent_client):
    assert agent_client.get(reverse("logout")).status_code == 405
    assert agent_client.post(reverse("logout")).status_code == 302
    assert agent_client.get("/settings/").status_code == 302


def test_the_three_roles_are_there_with_their_rights(db):
    rights = {
        group.name: set(group.permissions.values_list("codename", flat=True))
        for group in Group.objects.all()
    }
    agents = {"send_to_sinch", "reveal_secrets", "read_deliveries"}
    assert rights == {
        "Support agents": agents,
        "Supervisors": agents | {"manage_project"},
        "Readers": set(),
    }


def test_a_role_gives_its_rights_to_whoever_has_it(client, make_agent):
    person = make_agent("jonas")
    person.groups.add(Group.objects.get(name="Supervisors"))
    found = User.objects.get(pk=person.pk)
    assert found.has_perm("accounts.manage_project")
    sign_in(client, "jonas")
    assert "Supervisors" in client.get("/settings/").content.decode()


# --- The session --------------------------------------------------------------------------------


def request_of(client: Client, rf):
    from importlib import import_module

    from django.conf import settings

    request = rf.get("/")
    engine = import_module(settings.SESSION_ENGINE)
    request.session = engine.SessionStore(client.cookies["sessionid"].value)
    return request


def test_the_person_their_rights_and_a_question_are_one_statement(agent_client, agent, rf):
    agent.groups.add(Group.objects.get(name="Readers"))
    request = request_of(agent_client, rf)
    with CaptureQueriesContext(connection) as queries:
        person = signed_in_user(request, answer=Value(42))
        assert person.answer == 42
        assert request.user == agent
        assert person.has_perm("accounts.send_to_sinch")
        assert not person.has_perm("accounts.manage_project")
        assert not person.has_module_perms("orders")
    assert len(queries) == 1


def test_a_page_asks_once_for_the_person_and_their_rights(agent_client):
    agent_client.get("/settings/password/")
    with CaptureQueriesContext(connection) as queries:
        agent_client.get("/settings/password/")
    people = [q for q in queries.captured_queries if "auth_permission" in q["sql"]]
    assert len(people) == 1


def test_nobody_is_nobody(rf, client, agent_client, agent, db):
    request = request_of(agent_client, rf)
    agent.set_password("another one")
    agent.save()
    assert signed_in_user(request) is None
    request.session["_auth_user_backend"] = "gone.Backend"
    assert signed_in_user(request) is None
    request.session.clear()
    assert signed_in_user(request) is None


def test_a_session_survives_the_loss_of_the_cache(agent_client):
    cache.clear()
    assert agent_client.get("/settings/").status_code == 200
    assert Session.objects.count() == 1


# --- The admin ----------------------------------------------------------------------------------


@pytest.fixture
def boss_client(make_agent) -> Client:
    """A client in which an administrator is signed in."""
    person = make_agent("priya", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(person, backend="portal.accounts.backends.EmailOrUsernameBackend")
    return client


def test_the_page_of_components_is_for_those_who_look_after_the_desk(
    client, agent_client, boss_client
):
    address = reverse("components")
    assert "/sign-in/" in client.get(address).url
    assert agent_client.get(address).status_code == 403
    assert address not in agent_client.get("/").content.decode()
    page = boss_client.get(address)
    assert page.status_code == 200
    assert f'href="{address}"' in page.content.decode()


def test_the_key_secret_is_set_in_the_admin_and_never_shown(boss_client, project):
    address = reverse("admin:accounts_sinchproject_change", args=[project.pk])
    html = boss_client.get(address).content.decode()
    assert "test-key-secret" not in html
    assert "test-key" in html
    values = {"name": "Alder", "project_id": "test-project", "key_id": "k2", "is_active": "on"}
    assert boss_client.post(address, values | {"new_secret": ""}).status_code == 302
    project.refresh_from_db()
    assert (project.key_id, project.key_secret) == ("k2", "test-key-secret")
    before = project.key_changed_at
    assert boss_client.post(address, values | {"new_secret": "fresh-secret"}).status_code == 302
    project.refresh_from_db()
    assert project.key_secret == "fresh-secret"
    assert project.key_changed_at > before
    for page in (address, reverse("admin:accounts_sinchproject_history", args=[project.pk])):
        assert "fresh-secret" not in boss_client.get(page).content.decode()


@pytest.mark.django_db(transaction=True)
def test_what_others_store_of_a_project_meanwhile_outlives_a_change_in_the_admin(
    boss_client, project
):
    address = reverse("admin:accounts_sinchproject_change", args=[project.pk])
    values = {"name": "Alder", "project_id": "test-project", "key_id": "k2", "is_active": "on"}
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            SinchProject.objects.filter(pk=project.pk).update(import_limit=40)
            saved = pool.submit(_posted, boss_client, address, values | {"new_secret": ""})
            wait_for(somebody_waits_for_a_lock, what="the administrator")
        assert saved.result().status_code == 302
    project.refresh_from_db()
    assert (project.name, project.import_limit) == ("Alder", 40)


def test_an_older_page_of_a_project_puts_nothing_back(boss_client, project):
    address = reverse("admin:accounts_sinchproject_change", args=[project.pk])
    values = {"name": "Alder", "project_id": "test-project", "key_id": "k2", "is_active": "on"}
    was = boss_client.get(address).context["adminform"].form["was"].value()
    SinchProject.objects.update(is_active=False)
    page = boss_client.post(address, values | {"was": was}).content.decode()
    assert "was changed since this page was opened" in page
    project.refresh_from_db()
    assert (project.is_active, project.key_id) == (False, "test-key")
    was = boss_client.get(address).context["adminform"].form["was"].value()
    assert boss_client.post(address, values | {"was": was}).status_code == 302
    project.refresh_from_db()
    assert (project.is_active, project.key_id) == (True, "k2"), "who has seen it may change it"


def _posted(client: Client, address: str, values: dict[str, str]):
    try:
        return client.post(address, values)
    finally:
        connection.close()


def test_a_key_secret_that_no_key_reads_is_told_kept_and_replaced_in_the_admin(
    boss_client, project
):
    tokens = [WebhookToken.make(project, kind) for kind in ("porting", "hosting")]
    for row, column in ((project, "key_secret"), *((token, "token") for token in tokens)):
        lose(row, column)
    address = reverse("admin:accounts_sinchproject_change", args=[project.pk])
    assert "cannot be read" in boss_client.get(address).content.decode()
    for name in ("sinchproject", "webhooktoken"):
        page = reverse(f"admin:accounts_{name}_changelist")
        assert boss_client.get(page).status_code == 200
    values = {"name": "Alder", "project_id": "test-project", "key_id": "k2", "is_active": "on"}
    before = stored_secret()
    assert boss_client.post(address, values | {"new_secret": ""}).status_code == 302
    project.refresh_from_db()
    assert (project.name, project.key_secret, stored_secret()) == ("Alder", None, before)
    assert boss_client.post(address, values | {"new_secret": "fresh-secret"}).status_code == 302
    project.refresh_from_db()
    assert project.key_secret == "fresh-secret"
    assert "cannot be read" not in boss_client.get(address).content.decode()


def stored_secret() -> bytes:
    """Return the key secret of the one project as it lies in the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT key_secret FROM accounts_sinchproject")
        return bytes(cursor.fetchone()[0])


def test_a_key_typed_into_one_field_is_refused_with_what_to_do(boss_client, project):
    address = reverse("admin:accounts_sinchproject_change", args=[project.pk])
    values = {"name": "Alder", "project_id": "test-project", "key_id": "k2:s", "is_active": "on"}
    page = boss_client.post(address, values).content.decode()
    assert "An access key id has no colon." in page
    assert 'value="k2:s"' in page
    project.refresh_from_db()
    assert project.key_id == "test-key"


def test_a_new_project_needs_its_secret_and_can_be_called_back_at_once(boss_client, db):
    """A callback of hosting that no secret has signed is turned away."""
    address = reverse("admin:accounts_sinchproject_add")
    values = {"name": "Alder", "project_id": "p", "key_id": "k", "is_active": "on"}
    assert "A new project needs its secret." in boss_client.post(address, values).content.decode()
    assert boss_client.post(address, values | {"new_secret": "s3cret"}).status_code == 302
    project = SinchProject.objects.get()
    assert project.key_secret == "s3cret"
    assert set(project.tokens.values_list("kind", flat=True)) == {"porting", "hosting"}
    assert callbacks.valid_secrets(project).count() == 1
    assert Operation.objects.get().kind == "hosting.configure"
    assert set(Reading.objects.values_list("kind", flat=True)) == {
        "configuration",
        "callback_configuration",
    }


def test_the_actions_on_a_project_work(boss_client, project):
    address = reverse("admin:accounts_sinchproject_changelist")
    chosen = {"_selected_action": [project.pk]}
    boss_client.post(address, chosen | {"action": "test_connection"})
    assert Reading.objects.get().kind == "configuration"
    for _ in range(3):
        boss_client.post(address, chosen | {"action": "make_token"})
    assert configuration.valid_tokens(project).count() == 2


def test_tokens_are_listed_and_ended_in_the_admin_but_never_shown(boss_client, project):
    old, new = WebhookToken.make(project), WebhookToken.make(project)
    listing = reverse("admin:accounts_webhooktoken_changelist")
    pages = [
        listing,
        reverse("admin:accounts_webhooktoken_change", args=[new.pk]),
        reverse("admin:accounts_user_changelist"),
    ]
    for page in pages:
        answer = boss_client.get(page)
        assert answer.status_code == 200
        html = answer.content.decode()
        assert new.token not in html
        assert new.token_hash not in html
    chosen = {"action": "end", "_selected_action": [old.pk, new.pk]}
    answer = boss_client.post(listing, chosen, follow=True)
    assert "This is the only valid token." in answer.content.decode()
    assert configuration.valid_tokens(project).count() == 1
    assert boss_client.get(reverse("admin:accounts_webhooktoken_add")).status_code == 403


def test_people_are_made_and_given_roles_in_the_admin(boss_client, db):
    group = Group.objects.get(name="Support agents")
    values = {
        "username": "jonas",
        "usable_password": "true",
        "password1": "seven-green-lanterns",
        "password2": "seven-green-lanterns",
        "email": "jonas@desk.example",
        "groups": [group.pk],
    }
    answer = boss_client.post(reverse("admin:accounts_user_add"), values)
    assert answer.status_code == 302, re.findall("errorlist.*", answer.content.decode())
    assert User.objects.get(username="jonas").has_perm("accounts.send_to_sinch")


def test_people_are_deactivated_and_not_deleted(boss_client, make_agent, project):
    """What somebody did to a project would go with them."""
    mara = make_agent("mara", "manage_project")
    actions.make_token(project, by=mara)
    address = reverse("admin:accounts_user_delete", args=[mara.pk])
    assert boss_client.post(address, {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [mara.pk], "post": "yes"}
    boss_client.post(reverse("admin:accounts_user_changelist"), chosen)
    assert LogEntry.objects.get(user=mara).get_change_message() == "Made a new webhook token."


def test_work_items_can_be_looked_at_in_the_admin_and_not_changed(boss_client, project):
    from portal.work.models import WorkItem

    item = WorkItem.objects.create(project=project, kind="port_in", target_pk=1, sinch_id="1")
    for model in ("workitem", "timelineentry", "teamnote"):
        page = reverse(f"admin:work_{model}_changelist")
        assert boss_client.get(page).status_code == 200
        assert boss_client.get(reverse(f"admin:work_{model}_add")).status_code == 403
    page = reverse("admin:work_workitem_change", args=[item.pk])
    assert boss_client.get(page).status_code == 200
    assert boss_client.post(page, {"status": "X"}).status_code == 403
