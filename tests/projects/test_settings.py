"""The settings page: who may do what, secrets that stay secret, one's own account and look."""

import re
from datetime import date, timedelta
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import CallbackSecret, SinchProject, User, WebhookToken
from portal.operations import clients, readings, runner
from portal.operations.actions import submit
from portal.operations.models import Operation, Reading
from portal.projects import callbacks, configuration
from portal.work.models import WorkItem
from tests.tools import lose

SETTINGS = "/settings/"
BACKEND = "portal.accounts.backends.EmailOrUsernameBackend"


@pytest.fixture
def supervisor_client(make_agent) -> Client:
    """A client in which somebody is signed in who may manage projects."""
    person = make_agent("mara", "send_to_sinch", "manage_project", first_name="Mara")
    client = Client()
    client.force_login(person, backend=BACKEND)
    return client


@pytest.fixture
def token(project) -> WebhookToken:
    return WebhookToken.make(project)


def url(name: str, project: SinchProject, *more: int) -> str:
    return reverse(f"projects:{name}", args=[project.pk, *more])


def get(client: Client, address: str = SETTINGS) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


# --- Who may ------------------------------------------------------------------------------------


def test_settings_ask_for_a_sign_in(client, db):
    assert client.get(SETTINGS).status_code == 302


def test_what_somebody_may_not_do_is_shown_disabled_with_the_reason(agent_client, token):
    html = get(agent_client)
    assert "You may look; changing it needs the supervisor role." in html
    assert "Changing a Sinch project needs the supervisor role." in html
    assert 'aria-label="Show the webhook address' not in html
    assert "Yes, make a new token" not in html
    for label in ("Test the connection", "Replace the key…", "Make a new token…"):
        assert re.search(rf'aria-disabled="true"[^>]*>{label}', html), label


@pytest.mark.parametrize(
    "name",
    [
        "test",
        "configure",
        "register",
        "add_day_off",
        "remove_day_off",
        "expect_loa",
        "make_token",
        "show_token",
        "end_token",
    ],
)
def test_managing_a_project_is_refused_in_the_look_to_whoever_may_not(
    agent_client, client, project, token, name
):
    more = (token.pk,) if name.endswith("_token") and name != "make_token" else ()
    address = url(name, project, *more)
    answer = agent_client.post(address)
    assert answer.status_code == 403
    assert "needs the supervisor role" in answer.content.decode()
    assert client.post(address).status_code == 302
    assert client.get(address).status_code == 405
    assert WebhookToken.objects.count() == 1
    assert not LogEntry.objects.exists()


# --- Secrets ------------------------------------------------------------------------------------


def test_secrets_are_never_in_the_page(supervisor_client, agent_client, project, token):
    project.porting_configuration = None
    for client in (supervisor_client, agent_client):
        html = get(client)
        assert project.key_secret not in html
        assert token.token not in html
        assert token.token_hash not in html
        assert "/webhooks/porting/••••/" in html


def test_showing_the_address_takes_a_post_and_is_logged(supervisor_client, project, token):
    answer = supervisor_client.post(url("show_token", project, token.pk))
    html = answer.content.decode()
    assert configuration.webhook_address(token.token) in html
    assert "Hidden again after 30 s. Your look was logged." in html
    assert "no-store" in answer["Cache-Control"]
    entry = LogEntry.objects.get()
    assert entry.user.username == "mara"
    assert "Looked at the webhook address" in entry.get_change_message()
    assert token.token not in entry.get_change_message()


def test_two_tokens_are_valid_at_once_and_the_old_one_is_ended(supervisor_client, project, token):
    answer = supervisor_client.post(url("make_token", project), follow=True)
    assert "Both are valid" in answer.content.decode()
    assert configuration.valid_tokens(project).count() == 2
    html = get(supervisor_client)
    assert "Two are valid already." in html
    answer = supervisor_client.post(url("make_token", project), follow=True)
    assert "End the old one first." in answer.content.decode()
    assert configuration.valid_tokens(project).count() == 2
    supervisor_client.post(url("end_token", project, token.pk))
    supervisor_client.post(url("end_token", project, token.pk))
    left = configuration.valid_tokens(project).get()
    assert left.pk != token.pk
    answer = supervisor_client.post(url("end_token", project, left.pk), follow=True)
    assert "This is the only valid token." in answer.content.decode()
    assert configuration.valid_tokens(project).get() == left


def test_an_ended_token_cannot_be_shown(supervisor_client, project, token):
    WebhookToken.make(project)
    supervisor_client.post(url("end_token", project, token.pk))
    assert supervisor_client.post(url("show_token", project, token.pk)).status_code == 404


# --- The connection -----------------------------------------------------------------------------


def test_testing_the_connection_asks_sinch_and_shows_the_outcome(
    supervisor_client, project, token, porting_client
):
    assert "Not tested" in get(supervisor_client)
    answer = supervisor_client.post(url("test", project), follow=True)
    html = answer.content.decode()
    assert "Asking Sinch…" in html
    live = url("connection", project)
    assert f'hx-get="{live}"' in html
    assert readings.run_one()
    html = get(supervisor_client, live)
    assert "Works" in html
    assert "hx-trigger" not in html, "nothing is awaited any more"
    assert 'id="configuration-live" hx-swap-oob="true"' in html


def test_a_wrong_key_is_told_in_words(supervisor_client, project, token, porting_client):
    project.key_secret = "wrong"
    project.save()
    supervisor_client.post(url("test", project))
    assert readings.run_one()
    html = get(supervisor_client)
    assert "Does not work" in html
    assert "Sinch could not be asked" in html
    assert "Works" not in html
    supervisor_client.post(url("test", project))
    assert "Asking Sinch…" in get(supervisor_client), "a new try starts without the old error"


def test_a_key_whose_secret_no_key_reads_is_told_and_what_waits_goes_out_once_it_is_replaced(
    supervisor_client, project, token, porting_client, sandbox, settle
):
    lose(project, "key_secret")
    clients.forget_clients()  # as a worker does that starts without the key
    html = get(supervisor_client)
    assert "Does not work" in html
    assert "Cannot be read: no key in ENCRYPTION_KEYS decrypts it. Replace the key." in html
    supervisor_client.post(url("test", project))
    write = submit(
        project,
        configuration.CONFIGURE,
        target=f"project:{project.pk}",
        payload={"configuration": {"defaultPortTimeZone": "US/Pacific"}},
        by=None,
    )[0]
    while readings.run_one() or runner.run_one():
        pass
    html = get(supervisor_client)
    assert html.count("The secret of this project&#x27;s access key cannot be read") == 2
    write.refresh_from_db()
    assert write.state == Operation.State.QUEUED
    assert sandbox.state.calls["getConfiguration"] == 0
    project.key_secret = "test-key-secret"
    project.save()
    Operation.objects.update(next_try_at=timezone.now())
    Reading.objects.update(next_try_at=timezone.now())
    settle()
    assert "Works" in get(supervisor_client)
    write.refresh_from_db()
    assert write.state == Operation.State.SUCCEEDED


def test_addresses_and_writes_that_no_key_reads_keep_the_settings_from_nobody(
    supervisor_client, project, token, capsys, porting_client, settings
):
    settings.PUBLIC_URL = "https://desk.example"
    hosting = WebhookToken.make(project, "hosting")
    write = submit(
        project, configuration.CONFIGURE, target=f"project:{project.pk}", payload={}, by=None
    )[0]
    for row, column in ((token, "token"), (hosting, "token"), (write, "payload")):
        lose(row, column)
    for state in (Operation.State.SUCCEEDED, Operation.State.REFUSED):
        Operation.objects.update(state=state, next_try_at=None, finished_at=timezone.now())
        assert "/webhooks/porting/••••/" in get(supervisor_client)
    for row in (token, hosting):
        answer = supervisor_client.post(url("show_token", project, row.pk), follow=True)
        assert "This address cannot be read any more." in answer.content.decode()
    call_command("webhook_urls")
    assert capsys.readouterr().out == ""
    values = form_of(get(supervisor_client), "register")
    answer = supervisor_client.post(url("register", project), values, follow=True)
    assert "There is no valid webhook token. Make a new one first." in answer.content.decode()
    made = callbacks.callback_url(project)
    callbacks.prepare(project, "start")
    assert made == callbacks.callback_url(project) == configuration.own_address(project, "hosting")
    assert made.startswith("https://desk.example/webhooks/hosting/")
    assert configuration.own_address(project)
    assert project.tokens.count() == 4


def test_the_configuration_at_sinch_is_kept_without_our_token(project, token):
    ours = configuration.webhook_address(token.token)
    now = timezone.now()
    configuration.store(project, {"webhookUrl": ours, "defaultPortTime": "10:30:00"}, now)
    configuration.store(project, {"webhookUrl": "older"}, now - timedelta(seconds=1))
    project.refresh_from_db()
    assert project.default_port_time == "10:30"
    assert token.token not in str(project.porting_configuration)
    assert project.porting_configuration["webhookUrl"].endswith("/webhooks/porting/••••/")


@pytest.mark.parametrize(
    ("at_sinch", "said"),
    [
        ("{ours}", "This desk"),
        ("{bare}", "This desk"),
        ("127.0.0.1:8000", "This desk"),
        ("https://old.alder.example/hook", "Another address"),
        ("{stranger}", "a token it does not know"),
        ("", "None"),
    ],
)
def test_the_webhook_address_at_sinch_is_compared_loosely(
    supervisor_client, project, token, at_sinch, said
):
    ours = configuration.webhook_address(token.token)
    address = at_sinch.format(
        ours=ours,
        bare=ours.split("//")[1].rstrip("/"),
        stranger=configuration.webhook_address("x" * 43),
    )
    configuration.store(project, {"webhookUrl": address, "contact": None}, timezone.now())
    html = get(supervisor_client)
    assert said in html
    assert ("hears of changes only by its own sweep" in html) == (said != "This desk")


# --- Contact, defaults and the webhook address ---------------------------------------------------

FIELDS = {
    "email": "ports@alder.example",
    "name": "Mara Lindqvist",
    "phone": "(206) 555-0142",
    "time": "10:00",
    "zone": "US/Pacific",
}
WRITTEN = {
    "contact": {
        "email": "ports@alder.example",
        "name": "Mara Lindqvist",
        "phone": "+12065550142",
    },
    "defaultPortTime": "10:00:00",
    "defaultPortTimeZone": "US/Pacific",
}
OLD = {
    "contact": {"email": "old@alder.example", "name": "Somebody"},
    "webhookUrl": "https://old.alder.example/hook",
    "defaultPortTime": "08:30:00",
    "defaultPortTimeZone": "US/Central",
}


@pytest.fixture
def read(project, porting_client):
    """Have the configuration read as it is at Sinch now."""

    def run() -> None:
        configuration.ask(project, "staff")
        while readings.run_one():
            pass
        project.refresh_from_db()

    return run


def form_of(html: str, form_id: str) -> dict[str, str]:
    """Return the hidden fields of one of the two forms."""
    part = html[html.index(f'id="{form_id}"') :]
    part = part[: part.index("</form>")]
    found = dict(re.findall(r'type="hidden" name="(attempt|base)" value="([^"]+)"', part))
    assert set(found) == {"attempt", "base"}
    return {name: unescape(value) for name, value in found.items()}


@pytest.fixture(params=["empty", "not_found"])
def absent(request, sandbox):
    """The two ways in which Sinch may say that nothing is configured yet."""
    sandbox.control.personality(configuration_absent=request.param)


def test_contact_and_defaults_are_created_where_there_are_none(
    supervisor_client, project, token, porting_client, read, work_off, absent
):
    read()
    html = get(supervisor_client)
    assert "Nothing is set at Sinch yet" in html
    values = FIELDS | form_of(html, "defaults")
    for _ in range(2):
        supervisor_client.post(url("configure", project), values)
    assert Operation.objects.count() == 1
    assert "Waiting to go: Porting configuration of" in get(supervisor_client)
    work_off()
    assert porting_client.get_configuration() == WRITTEN
    project.refresh_from_db()
    assert (project.default_port_time, project.default_port_time_zone) == ("10:00", "US/Pacific")
    html = get(supervisor_client)
    assert "Arrived at Sinch" in html
    assert "Differs" not in html


def test_an_update_sends_all_four_keys_and_keeps_the_address(
    supervisor_client, project, token, porting_client, read, work_off
):
    porting_client.create_configuration(OLD)
    read()
    html = get(supervisor_client)
    assert 'value="old@alder.example"' in html
    values = FIELDS | form_of(html, "defaults") | {"phone": ""}
    supervisor_client.post(url("configure", project), values)
    work_off()
    contact = {"email": "ports@alder.example", "name": "Mara Lindqvist"}
    assert porting_client.get_configuration() == {
        **WRITTEN,
        "contact": contact,
        "webhookUrl": OLD["webhookUrl"],
    }


def test_registering_needs_https_and_says_so(supervisor_client, project, token):
    html = get(supervisor_client)
    assert "Sinch takes addresses with https:// only." in html
    assert "Yes, register and read back" not in html
    values = {"attempt": "2b0c5a52-6c2f-4f43-9d3a-7f1f0d4f9a10", "base": ""}
    answer = supervisor_client.post(url("register", project), values, follow=True)
    assert "https:// only" in answer.content.decode()
    assert not Operation.objects.exists()


@pytest.mark.parametrize("there", [None, OLD])
def test_registering_creates_or_replaces_the_address_once_and_nothing_else(
    supervisor_client, project, token, porting_client, settings, read, work_off, there
):
    settings.PUBLIC_URL = "https://desk.alder.example"
    if there:
        porting_client.create_configuration(there)
    read()
    values = form_of(get(supervisor_client), "register")
    for _ in range(2):
        supervisor_client.post(url("register", project), values)
    operation = Operation.objects.get()
    html = get(supervisor_client)
    assert "Waiting to go: Porting configuration of" in html
    assert token.token not in html
    work_off()
    operation.refresh_from_db()
    assert operation.state == "succeeded", operation.staff_message
    before = there or {
        "contact": {},
        "defaultPortTime": "09:00:00",
        "defaultPortTimeZone": "US/Eastern",
    }
    assert porting_client.get_configuration() == before | {
        "webhookUrl": f"https://desk.alder.example/webhooks/porting/{token.token}/"
    }
    html = get(supervisor_client)
    assert "This desk" in html
    assert "Arrived at Sinch" in html
    assert token.token not in html


@pytest.mark.parametrize("has_stopped", [True, False])
def test_an_address_that_has_ended_meanwhile_is_not_given_to_sinch(
    has_stopped, supervisor_client, project, token, porting_client, settings, read, work_off
):
    """Everything sent to it would be turned away."""
    settings.PUBLIC_URL = "https://desk.alder.example"
    porting_client.create_configuration(OLD)
    read()
    values = form_of(get(supervisor_client), "register")
    supervisor_client.post(url("register", project), values)
    if has_stopped:
        Operation.objects.update(state="dead", next_try_at=None, finished_at=timezone.now())
    supervisor_client.post(url("make_token", project))
    supervisor_client.post(url("end_token", project, token.pk))
    write = Operation.objects.get()
    if has_stopped:
        assert "The address in it has ended" in get(supervisor_client)
        assert runner.take_up(write).endswith("Register this desk’s present address.")
    work_off()
    write.refresh_from_db()
    if not has_stopped:
        assert write.state == "refused"
        assert "has ended" in write.staff_message
    assert porting_client.get_configuration() == OLD


@pytest.mark.parametrize("kind", [configuration.CONFIGURE, callbacks.CONFIGURE])
def test_a_stopped_settings_write_is_tried_again_by_whoever_may_make_it_only(
    kind, agent_client, make_agent, project, token
):
    if kind == callbacks.CONFIGURE:
        payload = {"secret": CallbackSecret.make(project).pk}
    else:
        payload = {"configuration": {"defaultPortTime": "09:00:00"}}
    target = f"project:{project.pk}"
    operation, _ = submit(project, kind, target=target, payload=payload, by=None)
    Operation.objects.update(state="dead", next_try_at=None, finished_at=timezone.now())
    again = reverse("operations:again", args=[operation.key])
    manager = Client()
    manager.force_login(make_agent("mara", "manage_project"), backend=BACKEND)
    for client, may in ((agent_client, False), (manager, True)):
        for page in (reverse("projects:settings"), operation.get_absolute_url()):
            html = client.get(page).content.decode()
            assert (f'action="{again}"' in html) == may
            assert ('aria-disabled="true" tabindex="0">Try again</span>' in html) != may
            assert ("needs the supervisor role" in html) != may
        assert client.post(again).status_code == (302 if may else 403)
        operation.refresh_from_db()
        assert operation.is_under_way == may


def test_what_is_typed_into_a_form_that_was_sent_before_is_not_dropped(
    supervisor_client, project, token, porting_client, read, work_off
):
    read()
    values = FIELDS | form_of(get(supervisor_client), "defaults")
    supervisor_client.post(url("configure", project), values)
    work_off()
    answer = supervisor_client.post(url("configure", project), values)
    assert answer.status_code == 302, "the very same is a second click"
    answer = supervisor_client.post(url("configure", project), values | {"time": "11:30"})
    assert answer.status_code == 409
    html = answer.content.decode()
    assert 'value="11:30"' in html
    supervisor_client.post(
        url("configure", project), values | form_of(html, "defaults") | {"time": "11:30"}
    )
    work_off()
    assert porting_client.get_configuration()["defaultPortTime"] == "11:30:00"


def test_a_change_beside_one_on_its_way_is_told_and_keeps_what_was_typed(
    supervisor_client, project, token, porting_client, settings, read, work_off
):
    """Each is sent whole: of two that leave together the later puts back what it began with."""
    settings.PUBLIC_URL = "https://desk.alder.example"
    read()
    html = get(supervisor_client)
    supervisor_client.post(url("register", project), form_of(html, "register"))
    answer = supervisor_client.post(url("configure", project), FIELDS | form_of(html, "defaults"))
    assert answer.status_code == 409
    html = answer.content.decode()
    assert "is on its way to Sinch" in html
    assert FIELDS["email"] in html
    work_off()
    values = FIELDS | form_of(get(supervisor_client), "defaults")
    supervisor_client.post(url("configure", project), values)
    work_off()
    assert porting_client.get_configuration() == WRITTEN | {
        "webhookUrl": configuration.webhook_address(token.token)
    }


def test_our_address_shown_as_a_host_only_is_sent_back_whole(
    supervisor_client, project, token, porting_client, settings, read, work_off, monkeypatch
):
    settings.PUBLIC_URL = "https://desk.alder.example"
    ours = configuration.webhook_address(token.token)
    porting_client.create_configuration(OLD | {"webhookUrl": ours})
    told = porting_client.get_configuration
    monkeypatch.setattr(
        type(porting_client),
        "get_configuration",
        lambda _: told() | {"webhookUrl": "desk.alder.example"},
    )
    read()
    values = FIELDS | form_of(get(supervisor_client), "defaults")
    supervisor_client.post(url("configure", project), values)
    work_off()
    assert told()["webhookUrl"] == ours


def test_our_address_that_is_not_shown_at_all_is_sent_again(
    supervisor_client, project, token, porting_client, settings, read, work_off, monkeypatch
):
    settings.PUBLIC_URL = "https://desk.alder.example"
    porting_client.create_configuration(OLD)
    told = porting_client.get_configuration
    monkeypatch.setattr(
        type(porting_client),
        "get_configuration",
        lambda _: {name: value for name, value in told().items() if name != "webhookUrl"},
    )
    read()
    html = get(supervisor_client)
    supervisor_client.post(url("configure", project), FIELDS | form_of(html, "defaults"))
    work_off()
    # Nobody here knows of one that was registered elsewhere.
    assert not told().get("webhookUrl")
    supervisor_client.post(url("register", project), form_of(get(supervisor_client), "register"))
    work_off()
    values = FIELDS | {"email": "other@alder.example"} | form_of(get(supervisor_client), "defaults")
    supervisor_client.post(url("configure", project), values)
    work_off()
    assert told()["contact"]["email"] == "other@alder.example"
    assert told()["webhookUrl"] == configuration.webhook_address(token.token)


def test_a_strangers_address_shown_as_a_host_only_is_not_cut_to_it(
    supervisor_client, project, token, porting_client, read, work_off, monkeypatch
):
    porting_client.create_configuration(OLD)
    told = porting_client.get_configuration
    monkeypatch.setattr(
        type(porting_client),
        "get_configuration",
        lambda _: told() | {"webhookUrl": "old.alder.example"},
    )
    read()
    values = FIELDS | form_of(get(supervisor_client), "defaults")
    supervisor_client.post(url("configure", project), values)
    work_off()
    assert Operation.objects.get().state == "refused"
    assert "shows only the host of the webhook address" in get(supervisor_client)
    assert told() == OLD


def test_a_change_since_the_form_was_opened_is_told_and_nothing_is_sent(
    supervisor_client, project, token, porting_client, read, work_off
):
    porting_client.create_configuration(OLD)
    read()
    values = FIELDS | form_of(get(supervisor_client), "defaults")
    porting_client.update_configuration(OLD | {"defaultPortTime": "11:15:00"})
    read()
    answer = supervisor_client.post(url("configure", project), values)
    html = answer.content.decode()
    assert answer.status_code == 409
    assert "Somebody changed it meanwhile; nothing was sent" in html
    assert "11:15" in html, "what is there now"
    assert 'value="10:00"' in html, "what was typed"
    assert not Operation.objects.exists()
    # Having seen it, the person may send all the same.
    again = supervisor_client.post(url("configure", project), FIELDS | form_of(html, "defaults"))
    assert again.status_code == 302
    work_off()
    assert porting_client.get_configuration()["defaultPortTime"] == "10:00:00"


def test_a_change_that_this_desk_has_not_read_yet_is_noticed_before_sending(
    supervisor_client, project, token, porting_client, read, work_off
):
    porting_client.create_configuration(OLD)
    read()
    values = FIELDS | form_of(get(supervisor_client), "defaults")
    changed = OLD | {"webhookUrl": "https://third.alder.example/hook"}
    porting_client.update_configuration(changed)
    supervisor_client.post(url("configure", project), values)
    work_off()
    assert Operation.objects.get().state == "refused"
    assert porting_client.get_configuration() == changed
    html = get(supervisor_client)
    assert "was changed meanwhile" in html
    assert "third.alder.example" in html, "read again, to stand beside it"


def test_what_others_changed_afterwards_is_shown_and_ours_can_be_sent_again(
    supervisor_client, project, token, porting_client, read, work_off
):
    read()
    values = FIELDS | form_of(get(supervisor_client), "defaults")
    supervisor_client.post(url("configure", project), values)
    work_off()
    theirs = {"contact": {"email": "else@alder.example"}, "defaultPortTimeZone": "US/Central"}
    porting_client.update_configuration(porting_client.get_configuration() | theirs)
    read()
    html = get(supervisor_client)
    assert html.count("Differs") == 4  # name, e-mail, phone, zone
    assert "Somebody changed this at Sinch since this desk sent it." in html
    html = get(supervisor_client, f"{SETTINGS}?project={project.pk}&ours=1")
    assert 'value="ports@alder.example"' in html
    supervisor_client.post(url("configure", project), FIELDS | form_of(html, "defaults"))
    work_off()
    assert "Differs" not in get(supervisor_client)


def test_what_sinch_refuses_comes_back_beside_its_field(
    supervisor_client, project, token, read, work_off, agent
):
    read()
    # The form lets nothing through that the contract forbids; Sinch may forbid more one day.
    wanted = WRITTEN | {"defaultPortTime": "10 o'clock"}
    submit(
        project,
        configuration.CONFIGURE,
        target=f"project:{project.pk}",
        payload={"configuration": wanted},
        by=agent,
    )
    work_off()
    html = get(supervisor_client)
    assert "Sinch refused it" in html
    assert 'value="ports@alder.example"' in html, "what was sent is kept"
    field = html[html.index('for="id_time"') :]
    assert "Sinch: “" in field[: field.index("</div>")]


@pytest.mark.parametrize("fault", ["drop_after", "drop_before"])
def test_a_lost_answer_is_found_out_by_reading(
    supervisor_client, project, token, porting_client, read, work_off, sandbox, fault
):
    porting_client.create_configuration(OLD)
    read()
    sandbox.control.faults.add(fault, "updateConfiguration")
    values = FIELDS | form_of(get(supervisor_client), "defaults")
    supervisor_client.post(url("configure", project), values)
    for _ in range(10):
        work_off()
        Operation.objects.filter(next_try_at__isnull=False).update(next_try_at=timezone.now())
    assert Operation.objects.get().state == "succeeded"
    assert porting_client.get_configuration() == WRITTEN | {"webhookUrl": OLD["webhookUrl"]}
    assert runner.handler_of("porting.configure").how_found_out


AS_SINCH_WRITES_IT = {
    "email": "PORTS@alder.example",
    "name": "MARA  LINDQVIST",
    "phone": "1 (206) 555-0142",
}


@pytest.mark.parametrize("written", AS_SINCH_WRITES_IT)
def test_a_lost_answer_is_found_out_though_sinch_writes_it_in_a_way_of_its_own(
    supervisor_client, project, token, porting_client, read, work_off, sandbox, written
):
    porting_client.create_configuration(OLD)
    read()
    sandbox.control.faults.add("drop_after", "updateConfiguration")
    values = FIELDS | form_of(get(supervisor_client), "defaults")
    supervisor_client.post(url("configure", project), values)
    assert runner.run_one()
    there = porting_client.get_configuration()
    there["contact"] |= {written: AS_SINCH_WRITES_IT[written]}
    porting_client.update_configuration(there)
    for _ in range(10):
        work_off()
        Operation.objects.filter(next_try_at__isnull=False).update(next_try_at=timezone.now())
    assert Operation.objects.get().state == "succeeded"
    assert porting_client.get_configuration() == there


def test_reading_again_comes_back_to_the_configuration(supervisor_client, project, token):
    answer = supervisor_client.post(url("test", project), {"from": "configuration"})
    assert answer["Location"].endswith("#configuration")
    assert Reading.objects.get().kind == "configuration"


def test_wrong_defaults_come_back_beside_their_fields(supervisor_client, project, token):
    values = FIELDS | form_of(get(supervisor_client), "defaults")
    values |= {"email": "nobody", "phone": "12", "name": "Typed and kept"}
    answer = supervisor_client.post(url("configure", project), values)
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "A phone number such as +1 206 555 0142." in html
    assert "Typed and kept" in html
    assert "2 things to put right; nothing was sent" in html
    assert not Operation.objects.exists()


@pytest.mark.parametrize("name", ["configure", "register"])
def test_a_form_without_its_key_sends_nothing(supervisor_client, project, token, settings, name):
    settings.PUBLIC_URL = "https://desk.alder.example"
    answer = supervisor_client.post(url(name, project), FIELDS | {"attempt": "x"}, follow=True)
    assert "The form was not complete." in answer.content.decode()
    assert not Operation.objects.exists()


# --- Dates and clocks ---------------------------------------------------------------------------


def a_weekday() -> date:
    """Return a day to come that is no weekend."""
    day = timezone.localdate() + timedelta(days=3)
    while day.weekday() > 4:
        day += timedelta(days=1)
    return day


def test_a_day_off_is_added_shown_and_removed(supervisor_client, project, token):
    day = a_weekday()
    values = {"day": day.isoformat(), "day_name": "Stocktaking"}
    supervisor_client.post(url("add_day_off", project), values)
    project.refresh_from_db()
    assert project.extra_days_off == {day: "Stocktaking"}
    html = get(supervisor_client)
    assert "Stocktaking" in html
    again = supervisor_client.post(url("add_day_off", project), values | {"day_name": "Typed"})
    assert again.status_code == 422
    assert "is in the list already, as “Stocktaking”." in again.content.decode()
    assert 'value="Typed"' in again.content.decode()
    for _ in range(2):
        supervisor_client.post(url("remove_day_off", project), {"day": day.isoformat()})
    project.refresh_from_db()
    assert project.extra_days_off == {}
    told = [entry.get_change_message() for entry in LogEntry.objects.all()]
    assert len(told) == 2


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"day": ""}, "Which day?"),
        ({"day": "soon"}, "A day such as"),
        ({"day": "2020-01-02"}, "This day has passed"),
        ({"day": "2999-01-02"}, "within the next five years"),
        ({"day_name": ""}, "What the day is called"),
    ],
)
def test_a_day_off_that_is_none_is_refused_beside_its_field(
    supervisor_client, project, token, typed, said
):
    values = {"day": a_weekday().isoformat(), "day_name": "Typed and kept"} | typed
    answer = supervisor_client.post(url("add_day_off", project), values)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    project.refresh_from_db()
    assert project.days_off == []


def test_a_day_off_that_is_clicked_twice_is_there_once_and_told_as_added(
    supervisor_client, project, token
):
    values = {"day": a_weekday().isoformat(), "day_name": "Founder’s Day"}
    for _ in range(2):
        answer = supervisor_client.post(url("add_day_off", project), values)
        assert answer.status_code == 302
    project.refresh_from_db()
    assert len(project.days_off) == 1
    assert LogEntry.objects.count() == 1
    other = supervisor_client.post(
        url("add_day_off", project), values | {"day_name": "Stocktaking"}
    )
    assert other.status_code == 422, "what somebody else calls it is told"


def test_a_weekend_needs_no_day_off(supervisor_client, project, token):
    day = a_weekday()
    while day.weekday() != 5:
        day += timedelta(days=1)
    values = {"day": day.isoformat(), "day_name": "Saturday"}
    answer = supervisor_client.post(url("add_day_off", project), values)
    assert "A weekend; nobody works then anyway." in answer.content.decode()


def test_a_day_off_that_has_passed_is_greyed(supervisor_client, project, token):
    project.days_off = [{"day": "2020-01-02", "name": "Long ago"}]
    project.save()
    html = get(supervisor_client)
    assert re.search(r'muted">Long ago <span class="hint">passed</span>', html)


def test_an_loa_is_expected_or_not_and_waiting_orders_are_looked_at_again(
    supervisor_client, project, token
):
    living, over = (
        WorkItem.objects.create(
            kind="port_in", project=project, target_pk=n, sinch_id=str(n), bucket=bucket
        )
        for n, bucket in enumerate(("wait", "done"), 1)
    )
    supervisor_client.post(url("expect_loa", project), {})
    project.refresh_from_db()
    assert project.expects_loa is False
    living.refresh_from_db()
    over.refresh_from_db()
    assert living.next_change_at is not None
    assert over.next_change_at is None
    supervisor_client.post(url("expect_loa", project), {"expects_loa": "yes"})
    project.refresh_from_db()
    assert project.expects_loa is True


# --- One's own account --------------------------------------------------------------------------


def test_name_and_zone_are_kept_and_times_follow_the_zone(agent_client, agent, project):
    configuration.ask(project, "start")
    Reading.objects.update(read_at="2026-06-09T18:05:00Z", requested_at="2026-06-09T18:05:00Z")
    values = {"first_name": "Dana", "last_name": "Holt", "time_zone": "US/Pacific"}
    answer = agent_client.post(reverse("projects:account"), values, follow=True)
    assert "Saved." in answer.content.decode()
    agent.refresh_from_db()
    assert (agent.last_name, agent.time_zone) == ("Holt", "US/Pacific")
    assert "11:05 Pacific" in get(agent_client)
    assert timezone.get_current_timezone_name() == "America/New_York", "for the next in line"


def test_a_zone_nobody_knows_is_refused_and_what_was_typed_is_kept(agent_client, agent, project):
    values = {"first_name": "Typed", "last_name": "", "time_zone": "Mars/Olympus"}
    answer = agent_client.post(reverse("projects:account"), values)
    assert answer.status_code == 422
    assert 'value="Typed"' in answer.content.decode()
    agent.refresh_from_db()
    assert agent.time_zone == "US/Eastern"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "America"], ids=["gone", "a folder of zones"])
def test_a_person_whose_stored_zone_is_none_still_gets_pages(agent_client, agent, zone):
    User.objects.filter(pk=agent.pk).update(time_zone=zone)
    get(agent_client)


@pytest.mark.parametrize(("theme", "said"), [("dark", ' data-theme="dark"'), ("purple", "")])
def test_the_look_is_kept_in_a_cookie(agent_client, theme, said):
    agent_client.post(reverse("projects:look"), {"theme": theme})
    assert f'<html lang="en"{said}>' in get(agent_client)
    agent_client.post(reverse("projects:look"), {"theme": ""})
    assert '<html lang="en">' in get(agent_client)


def test_the_password_is_changed_and_other_sessions_end(agent_client, agent):
    elsewhere = Client()
    elsewhere.force_login(agent, backend=BACKEND)
    address = reverse("projects:password")
    wrong = {"old_password": "no", "new_password1": "abc", "new_password2": "abd"}
    answer = agent_client.post(address, wrong)
    assert answer.status_code == 422
    assert "to put right" in answer.content.decode()
    new = "seven-green-lanterns"
    right = {"old_password": "a-long-test-word", "new_password1": new, "new_password2": new}
    answer = agent_client.post(address, right, follow=True)
    assert "Your password is changed." in answer.content.decode()
    assert elsewhere.get(SETTINGS).status_code == 302
    agent.refresh_from_db()
    assert agent.check_password(new)


# --- Commands -----------------------------------------------------------------------------------


def test_webhook_urls_prints_kind_address_and_name_of_each_project(project, token, capsys):
    SinchProject.objects.create(name="Old one", project_id="o", key_id="k", key_secret="s",
                                is_active=False)  # fmt: skip
    call_command("webhook_urls")
    public = configuration.webhook_address(token.token)
    assert capsys.readouterr().out == f"porting {public} Test project\n"
    assert public.startswith("http://127.0.0.1:8000/webhooks/porting/")


def test_ensure_project_connects_the_project_once_and_follows_its_key(db, settings, capsys):
    call_command("ensure_project")
    project = SinchProject.objects.get()
    assert (project.project_id, project.key_secret) == ("test-project", "test-key-secret")
    assert project.name == "Project test-pro"
    assert sorted(token.kind for token in project.tokens.all()) == ["hosting", "porting"]
    read = set(Reading.objects.values_list("kind", flat=True))
    assert read == {"configuration", "callback_configuration"}
    assert project.callback_secrets.count() == 1
    SinchProject.objects.update(name="Alder Voice US")
    before = project.key_changed_at
    call_command("ensure_project")
    settings.SINCH_KEY_SECRET = "another-secret"
    call_command("ensure_project")
    project.refresh_from_db()
    assert project.name == "Alder Voice US"
    assert project.key_secret == "another-secret"
    assert project.key_changed_at > before
    assert project.tokens.count() == 2
    assert project.callback_secrets.count() == 1
    assert "secret" not in capsys.readouterr().out


def test_ensure_project_has_a_project_that_was_out_of_use_read_at_once(project):
    readings.want_one(project, "configuration", "defaults", "staff")
    SinchProject.objects.update(is_active=False)
    readings.run_one()
    assert Reading.objects.get().next_try_at > timezone.now() + timedelta(minutes=30)
    call_command("ensure_project")
    waiting = Reading.objects.get(resource_id="defaults")
    assert waiting.next_try_at <= timezone.now()


def test_ensure_project_without_credentials_says_so_and_does_nothing(db, settings, capsys):
    settings.SINCH_PROJECT_ID = ""
    call_command("ensure_project")
    assert "are not set" in capsys.readouterr().out
    assert not SinchProject.objects.exists()


def test_the_sandbox_is_called_by_its_name(db, monkeypatch):
    monkeypatch.setenv("SINCH_SANDBOX", "1")
    call_command("ensure_project")
    assert SinchProject.objects.get().name == "Sandbox"
