"""Hosting callbacks on the settings page: the secret at Sinch, who may call, what may be typed."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import CallbackSecret, SinchProject, WebhookToken
from portal.operations.models import Operation
from portal.projects import callbacks
from tests.tools import lose

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hosting_client")]
BACKEND = "portal.accounts.backends.EmailOrUsernameBackend"
OF_SOMEBODY = "a-secret-set-by-somebody-else-0001"


@pytest.fixture
def mara(make_agent) -> Client:
    """A client in which somebody is signed in who may manage projects."""
    client = Client()
    client.force_login(make_agent("mara", "manage_project"), backend=BACKEND)
    return client


@pytest.fixture
def ours(project, sandbox, settle) -> CallbackSecret:
    """A secret that this desk made and Sinch signs with."""
    secret = CallbackSecret.make(project)
    callbacks.set_at_sinch(secret, by=None)
    settle()
    assert sandbox.state.hosting.secret == secret.secret
    return secret


def url(name: str, project: SinchProject, *more: int) -> str:
    return reverse(f"projects:{name}", args=[project.pk, *more])


def settings(client: Client, project: SinchProject) -> str:
    page = client.get(f"/settings/?project={project.pk}").content.decode()
    return page.split('id="callbacks"')[1].split("</section>")[0]


def valid(project: SinchProject) -> list[CallbackSecret]:
    return list(callbacks.valid_secrets(project))


def test_the_secret_at_sinch_is_read_and_shown_as_dots(mara, project, ours, sandbox, settle):
    assert mara.post(url("read_callbacks", project)).status_code == 302
    settle()
    project.refresh_from_db()
    assert project.callback_secret_hash == ours.secret_hash
    assert sandbox.state.calls["GetCallbackConfiguration"] >= 1
    panel = settings(mara, project)
    assert "Signing secret" in panel
    assert ours.secret not in panel


@pytest.mark.parametrize("fault", ["", "drop_after", "drop_before", "500"])
def test_a_new_secret_is_set_at_sinch_and_the_old_one_accepted_a_while(
    fault, mara, project, ours, sandbox, settle
):
    if fault:
        sandbox.faults.add(fault, "UpdateCallbackConfiguration")
    assert mara.post(url("make_secret", project)).status_code == 302
    settle()
    new, old = valid(project)
    assert sandbox.state.hosting.secret == new.secret != old.secret
    assert old == ours
    assert old.retired_at is not None
    assert old.retired_at > timezone.now() + callbacks.OVERLAP / 2
    assert Operation.objects.filter(kind=callbacks.CONFIGURE).latest("pk").state == "succeeded"
    # What is kept of the write names the secret by its key only.
    assert new.secret not in str(list(Operation.objects.values()))
    assert list(sandbox.violations) == []


def test_a_refused_secret_is_told_and_the_present_one_stays(mara, project, ours, sandbox, settle):
    sandbox.faults.add("status", "UpdateCallbackConfiguration", status=400)
    mara.post(url("make_secret", project))
    settle()
    assert sandbox.state.hosting.secret == ours.secret
    assert ours in valid(project)
    assert "refused" in settings(mara, project).lower()


def test_a_secret_of_somebody_else_is_told_and_accepted_on_request(
    mara, project, ours, sandbox, settle
):
    sandbox.state.hosting.secret = OF_SOMEBODY
    mara.post(url("read_callbacks", project))
    settle()
    assert [secret.secret for secret in valid(project)] == [ours.secret]
    assert "Accept the secret at Sinch" in settings(mara, project)
    assert mara.post(url("take_secret", project)).status_code == 302
    assert {secret.secret for secret in valid(project)} == {OF_SOMEBODY, ours.secret}
    assert "Accept the secret at Sinch" not in settings(mara, project)


def test_a_secret_is_shown_once_and_the_look_is_logged(mara, project, ours):
    answer = mara.post(url("show_secret", project, ours.pk))
    assert ours.secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert "Looked at the callback secret" in str(LogEntry.objects.latest("pk").change_message)
    assert ours.secret not in settings(mara, project)


def test_a_secret_that_is_shown_is_not_taken_away_by_the_news(mara, project, ours):
    mara.post(url("read_callbacks", project))
    assert "data-poll" in settings(mara, project)
    page = mara.post(url("show_secret", project, ours.pk)).content.decode()
    panel = page.split('id="callbacks"')[1].split("</section>")[0]
    assert ours.secret in panel
    assert "data-poll" not in panel


def test_a_secret_that_no_key_reads_is_told_and_a_new_one_takes_its_place(
    mara, project, ours, sandbox, settle
):
    settle()
    lose(ours, "secret")
    panel = settings(mara, project)
    assert "Sinch signs with a secret that this desk cannot read any more" in panel
    assert "No key in ENCRYPTION_KEYS decrypts it" in panel
    assert url("show_secret", project, ours.pk) not in panel
    answer = mara.post(url("show_secret", project, ours.pk), follow=True)
    assert "cannot be read any more" in answer.content.decode()
    mara.post(url("make_secret", project))
    settle()
    new, old = valid(project)
    assert sandbox.state.hosting.secret == new.secret
    assert (old.secret, old.retired_at is None) == (None, False)
    panel = settings(mara, project)
    assert "In step" in panel
    mara.post(url("end_secret", project, old.pk))
    assert valid(project) == [new]


def test_a_secret_that_no_key_reads_is_taken_from_what_sinch_says(mara, project, ours, settle):
    settle()
    lose(ours, "secret")
    mara.post(url("read_callbacks", project))
    settle()
    assert [secret.secret for secret in valid(project)] == [ours.secret]
    assert "In step" in settings(mara, project)


def test_a_secret_that_no_key_reads_is_not_given_to_sinch(project, sandbox, settle):
    secret = CallbackSecret.make(project)
    operation = callbacks.set_at_sinch(secret, by=None)
    lose(secret, "secret")
    settle()
    operation.refresh_from_db()
    assert operation.state == "refused"
    assert sandbox.state.calls["UpdateCallbackConfiguration"] == 0


def test_the_secret_that_sinch_signs_with_cannot_be_ended_an_old_one_can(
    mara, project, ours, settle
):
    settle()
    mara.post(url("end_secret", project, ours.pk))
    assert valid(project) == [ours]
    mara.post(url("make_secret", project))
    settle()
    mara.post(url("end_secret", project, ours.pk))
    assert ours not in valid(project)
    # A second click changes nothing.
    assert mara.post(url("end_secret", project, ours.pk)).status_code == 302


def test_no_more_than_three_secrets_are_valid_at_once(mara, project, ours, settle):
    for _ in range(3):
        mara.post(url("make_secret", project))
        settle()
    assert len(valid(project)) == 3


def test_a_second_address_is_made_and_no_third(mara, project, ours):
    before = WebhookToken.objects.filter(kind="hosting").count()
    for _ in range(3):
        mara.post(url("make_address", project))
    assert WebhookToken.objects.filter(kind="hosting").count() == max(2, before)
    assert "Old address" in settings(mara, project)


def test_sources_are_kept_as_addresses_and_what_is_none_is_named(mara, project, ours):
    typed = "54.76.19.159, 10.0.0.7/8\n54.76.19.159 2001:db8::1"
    assert mara.post(url("sources", project), {"sources": typed}).status_code == 302
    project.refresh_from_db()
    assert project.callback_sources == ["54.76.19.159", "10.0.0.0/8", "2001:db8::1"]
    answer = mara.post(url("sources", project), {"sources": "54.76.19.159 nonsense"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "“nonsense” is no address" in page
    assert "54.76.19.159 nonsense" in page
    project.refresh_from_db()
    assert len(project.callback_sources) == 3


def test_sources_that_somebody_else_has_changed_meanwhile_are_told_and_kept(mara, project, ours):
    address, was = url("sources", project), {"was": ""}
    assert 'name="was" value=""' in settings(mara, project)
    mara.post(address, was | {"sources": "54.76.19.159"})
    answer = mara.post(address, was | {"sources": "10.0.0.0/8"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Somebody changed it meanwhile; now it is 54.76.19.159." in page
    assert ">10.0.0.0/8</textarea>" in page, "what was typed stays"
    project.refresh_from_db()
    assert project.callback_sources == ["54.76.19.159"]
    assert 'name="was" value="54.76.19.159"' in page
    assert mara.post(address, {"sources": "10.0.0.0/8", "was": "54.76.19.159"}).status_code == 302
    project.refresh_from_db()
    assert project.callback_sources == ["10.0.0.0/8"]


def test_what_somebody_types_is_not_in_the_part_that_brings_itself_up_to_date(mara, project, ours):
    """A write on its way to a silent Sinch has it asked for every two seconds."""
    mara.post(url("read_callbacks", project))
    assert "data-poll" in settings(mara, project)
    part = mara.get(url("callbacks", project)).content.decode()
    assert "Signing secret" in part
    assert 'name="sources"' not in part
    assert 'name="import_limit"' not in part


@pytest.mark.parametrize(("typed", "said"), [("0", "Between 1"), ("many", "such as 5")])
def test_an_import_limit_that_is_none_is_named(typed, said, mara, project, ours):
    answer = mara.post(url("import_limit", project), {"import_limit": typed})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert said in page
    assert f'value="{typed}"' in page
    project.refresh_from_db()
    assert project.import_limit == 5


def test_an_import_limit_is_kept(mara, project, ours):
    assert mara.post(url("import_limit", project), {"import_limit": "25"}).status_code == 302
    project.refresh_from_db()
    assert project.import_limit == 25


VERBS = ["read_callbacks", "make_secret", "take_secret", "make_address", "sources", "import_limit"]


@pytest.mark.parametrize("verb", VERBS)
def test_only_who_manages_projects_may_change_it(verb, agent_client, project, ours):
    assert agent_client.post(url(verb, project)).status_code == 403
    assert valid(project) == [ours]


@pytest.mark.parametrize("verb", ["show_secret", "end_secret"])
def test_secrets_are_for_who_manages_projects(verb, agent_client, project, ours):
    answer = agent_client.post(url(verb, project, ours.pk))
    assert answer.status_code == 403
    assert ours.secret not in answer.content.decode()
    panel = settings(agent_client, project)
    assert ours.secret not in panel
    assert not re.search(r'action="[^"]*secrets', panel)


def test_an_older_secret_that_waited_does_not_take_the_place_of_a_newer_one(
    mara, project, ours, sandbox, settle, work_off
):
    """It would be what Sinch signs with, and this desk would accept it for a day only."""
    sandbox.faults.add("503", "UpdateCallbackConfiguration")
    mara.post(url("make_secret", project))
    work_off()
    mara.post(url("make_secret", project))
    work_off()
    newest = valid(project)[0]
    assert sandbox.state.hosting.secret == newest.secret
    settle()
    assert sandbox.state.hosting.secret == newest.secret
    waited = Operation.objects.filter(kind=callbacks.CONFIGURE).order_by("-pk")[1]
    assert (waited.state, waited.staff_message) == ("refused", callbacks.NEWER)
    assert [secret.retired_at is None for secret in valid(project)] == [True, False, False]
    assert "In step" in settings(mara, project)


def test_a_secret_on_its_way_to_sinch_cannot_be_ended(mara, project, ours, sandbox, settle):
    mara.post(url("make_secret", project))
    new, _ = valid(project)
    page = mara.post(url("end_secret", project, new.pk), follow=True).content.decode()
    assert "on its way to Sinch" in page
    settle()
    assert sandbox.state.hosting.secret == new.secret
    assert new in valid(project)
    assert "In step" in settings(mara, project)


def test_a_page_makes_one_secret_and_one_address_however_often_it_is_sent(
    mara, project, ours, sandbox, settle
):
    settle()
    WebhookToken.make(project, "hosting")
    for name in ("make_secret", "make_address"):
        before = settings(mara, project)
        form = before[before.index(url(name, project)) :]
        newest = re.search(r'name="newest" value="(\d+)"', form)
        assert newest is not None
        mara.post(url(name, project), {"newest": newest[1]})
        settle()
        page = mara.post(url(name, project), {"newest": newest[1]}, follow=True)
        assert "since this page was opened" in page.content.decode()
    assert len(valid(project)) == 2
    assert WebhookToken.objects.filter(kind="hosting").count() == 2
    assert sandbox.state.calls["UpdateCallbackConfiguration"] == 2


def test_a_secret_just_given_to_sinch_cannot_be_ended_before_it_is_read_back(
    mara, project, ours, sandbox, settle, work_off
):
    settle()
    mara.post(url("make_secret", project))
    sandbox.faults.add("503", "GetCallbackConfiguration", times=50)
    work_off()
    new, _ = valid(project)
    assert sandbox.state.hosting.secret == new.secret
    assert url("end_secret", project, new.pk) not in settings(mara, project)
    mara.post(url("end_secret", project, new.pk))
    assert new in valid(project)


def test_an_old_secret_that_sinch_signs_with_again_does_not_run_out(
    mara, project, ours, sandbox, settle
):
    settle()
    mara.post(url("make_secret", project))
    settle()
    ours.refresh_from_db()
    assert ours.retired_at is not None
    sandbox.state.hosting.secret = ours.secret
    mara.post(url("read_callbacks", project))
    settle()
    ours.refresh_from_db()
    assert ours.retired_at is None
    # A reading that left before Sinch took a newer one does not keep the old one.
    mara.post(url("make_secret", project))
    settle()
    SinchProject.objects.update(callback_configuration_read_at=None)
    before = CallbackSecret.objects.latest("pk").set_at - callbacks.OVERLAP
    callbacks.store(project, ours.secret, before)
    ours.refresh_from_db()
    assert ours.retired_at is not None
