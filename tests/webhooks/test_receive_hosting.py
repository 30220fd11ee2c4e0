"""The door for hosting callbacks: who is let in, and that nothing else leaves a trace."""

import hashlib
import hmac
import json
import logging
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import CallbackSecret, WebhookToken
from portal.operations import doorbell
from tests.tools import lose
from webhooks import dispatch, log, receive, refused, tokens
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db
EVENT = {
    "eventId": "01hpa0mww4m79q8j2dwn3ggbgz",
    "timestamp": "2026-06-09T10:11:12.123456789",
    "projectId": "test-project",
    "resourceType": "HOSTING_ORDER_NUMBER",
    "resourceId": "+12065550142",
    "eventType": "OSR_UPDATE",
    "status": "SUCCEEDED",
}


def sign(body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()


@pytest.fixture
def secret(project):
    return CallbackSecret.make(project)


@pytest.fixture
def address(project):
    token = WebhookToken.make(project, "hosting").token
    return reverse("webhooks:hosting", args=[token])


@pytest.fixture
def call(address, secret, client):
    def post(body=EVENT, signature=None, **extra):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = sign(raw, secret.secret) if signature is None else signature
        if given:
            extra["HTTP_X_SINCH_SIGNATURE"] = given
        return client.post(address, data=raw, content_type="application/json", **extra)

    return post


def test_a_signed_callback_is_on_disk_as_it_came_before_it_is_answered(call, project, rung):
    answer = call()
    assert (answer.status_code, answer.content) == (200, b"")
    row = Delivery.objects.get()
    assert json.loads(row.raw) == EVENT
    assert (row.kind, row.project, row.event_id) == ("hosting", project, EVENT["eventId"])
    assert (row.state, row.source) == (Delivery.State.RECEIVED, "127.0.0.1")
    assert rung == [doorbell.DELIVERIES]


@pytest.mark.parametrize("signature", ["", "0" * 40, "nonsense"])
def test_a_missing_or_wrong_signature_is_a_401_and_nothing_is_stored(
    call, signature, rung, caplog, project
):
    with caplog.at_level(logging.WARNING):
        assert call(signature=signature).status_code == 401
    assert not Delivery.objects.exists()
    assert rung == []
    assert "+12065550142" not in caplog.text
    assert EVENT["eventId"] not in caplog.text
    assert refused.last_day([project.pk]) == 1


def test_what_was_turned_away_is_counted_in_the_log_and_nothing_else_of_it(call):
    call(signature="0" * 40)
    assert log.figures().turned_away == 1
    assert log.figures().day == 0


def test_the_signature_is_compared_before_anything_is_parsed(call):
    assert call(b"[" * 100_000, signature="0" * 40).status_code == 401


def test_without_a_secret_no_callback_is_let_in(address, client, project):
    raw = json.dumps(EVENT).encode()
    answer = client.post(
        address, raw, content_type="application/json", HTTP_X_SINCH_SIGNATURE=sign(raw, "")
    )
    assert answer.status_code == 401
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("lost", [0, 1])
def test_a_secret_that_no_key_reads_silences_nobody_who_signs_with_another(lost, call, project):
    made = [CallbackSecret.make(project), CallbackSecret.make(project)]
    lose(made[lost], "secret")
    raw = json.dumps(EVENT).encode()
    assert call(signature=sign(raw, made[lost].secret)).status_code == 401
    assert call(signature=sign(raw, "None")).status_code == 401
    assert not Delivery.objects.exists()
    assert call(signature=sign(raw, made[1 - lost].secret)).status_code == 200
    assert Delivery.objects.count() == 1


def test_a_repeated_event_is_a_200_and_is_kept_once_with_a_count(call):
    assert [call().status_code for _ in range(3)] == [200, 200, 200]
    row = Delivery.objects.get()
    assert row.repeats == 2


@pytest.mark.parametrize("ending", ["1", "2" * 300, "\ud83d", "\0"])
def test_events_whose_ids_only_begin_alike_are_each_kept(call, ending):
    for event in ("E" * 64, "E" * 64 + ending) * 2:
        raw = json.dumps(EVENT | {"eventId": event}).encode()
        assert call(raw).status_code == 200
    assert list(Delivery.objects.values_list("repeats", flat=True)) == [1, 1]


def test_two_events_that_share_an_id_are_both_kept(call):
    other = EVENT | {"resourceId": "+12065550143"}
    assert [call(event).status_code for event in (EVENT, other, EVENT)] == [200, 200, 200]
    first, second = Delivery.objects.order_by("pk")
    assert (first.repeats, json.loads(second.raw)) == (1, other)


def test_two_projects_may_have_the_same_event_id(call, project):
    from portal.accounts.models import SinchProject

    call()
    other = SinchProject.objects.create(
        name="Other", project_id="other", key_id="k", key_secret="s"
    )
    Delivery.objects.create(project=other, body=b"{}", size=2, event_id=EVENT["eventId"])
    assert Delivery.objects.count() == 2


def test_events_without_an_id_are_all_kept(call):
    nameless = {name: value for name, value in EVENT.items() if name != "eventId"}
    assert [call(nameless).status_code for _ in range(2)] == [200, 200]
    assert Delivery.objects.count() == 2


@pytest.mark.parametrize("body", [b"", b"{broken", b"null", b"\xff\x00", b"[" * 100_000])
def test_what_is_signed_and_not_readable_is_kept(call, body):
    assert call(body).status_code == 200
    assert Delivery.objects.get().raw == body


@pytest.mark.parametrize("odd", ["\ud800", "\0"], ids=["half a letter", "NUL"])
def test_what_a_database_refuses_in_an_event_loses_nothing(call, odd, rung):
    body = json.dumps(EVENT | {"eventId": f"01hpa{odd}", "resourceId": f"order{odd}1"}).encode()
    assert call(body).status_code == 200
    assert Delivery.objects.get().raw == body
    assert dispatch.process_some()
    row = Delivery.objects.get()
    assert (row.state, row.last_error) == (Delivery.State.WAITING, "")
    assert call(body).status_code == 200
    assert Delivery.objects.get().repeats == 1


def test_a_known_token_costs_one_insert_and_no_select(call):
    call()
    with CaptureQueriesContext(connection) as seen:
        call(EVENT | {"eventId": "another"})
    assert [query["sql"].split()[0] for query in seen.captured_queries] == ["INSERT"]


def test_a_secret_made_a_moment_ago_by_another_process_is_known_at_once(call, project, monkeypatch):
    call()
    newer = CallbackSecret.make(project)
    raw = json.dumps(EVENT | {"eventId": "second"}).encode()
    # This process has just asked: it asks again only after FRESH_SECONDS.
    monkeypatch.setattr(tokens, "FRESH_SECONDS", 0.0)
    assert call(raw, signature=sign(raw, newer.secret)).status_code == 200


def test_wrong_signatures_do_not_ask_the_database_each_time(call):
    call()
    call(signature="0" * 40)
    with CaptureQueriesContext(connection) as seen:
        for _ in range(5):
            call(signature="0" * 40)
    assert len(seen) == 0


def test_a_retired_secret_signs_no_more_and_its_successor_does(call, project, secret):
    newer = CallbackSecret.make(project)
    raw = json.dumps(EVENT).encode()
    assert call(raw, signature=sign(raw, newer.secret)).status_code == 200
    assert call(raw, signature=sign(raw, secret.secret)).status_code == 200
    for left, status in ((timedelta(hours=1), 200), (timedelta(), 401)):
        secret.retired_at = timezone.now() + left
        secret.save()
        tokens.forget()
        assert call(raw, signature=sign(raw, secret.secret)).status_code == status
    assert call(raw, signature=sign(raw, newer.secret)).status_code == 200


def test_the_token_of_a_porting_address_does_not_open_this_door(client, project, secret):
    token = WebhookToken.make(project).token
    raw = json.dumps(EVENT).encode()
    answer = client.post(
        reverse("webhooks:hosting", args=[token]),
        raw,
        content_type="application/json",
        HTTP_X_SINCH_SIGNATURE=sign(raw, secret.secret),
    )
    assert answer.status_code == 404


def test_a_token_that_is_known_opens_the_door_of_its_own_kind_only(call, client, address, token):
    """The porting door asks for no signature."""
    assert call().status_code == 200
    assert (
        client.post(reverse("webhooks:porting", args=[token]), b"{}", "text/plain").status_code
        == 200
    )
    hosting = address.rstrip("/").rpartition("/")[2]
    wrong = reverse("webhooks:porting", args=[hosting])
    assert client.post(wrong, b"{}", content_type="text/plain").status_code == 404
    assert tokens.door_of(token, "hosting") is None


def test_an_unknown_token_is_a_404_and_another_method_a_405(client, address, project):
    unknown = reverse("webhooks:hosting", args=["no-such-token-no-such-token"])
    assert client.post(unknown, EVENT, content_type="application/json").status_code == 404
    assert client.get(address).status_code == 405


def test_more_than_the_limit_is_refused(call):
    assert call(b"x" * (receive.LIMIT + 1)).status_code == 413
    assert not Delivery.objects.exists()


def test_an_address_without_its_last_slash_is_the_same(client, address, secret):
    raw = json.dumps(EVENT).encode()
    answer = client.post(
        address.rstrip("/"),
        raw,
        content_type="application/json",
        HTTP_X_SINCH_SIGNATURE=sign(raw, secret.secret),
    )
    assert answer.status_code == 200


def test_only_listed_addresses_may_call_when_there_is_a_list(call, project, settings):
    project.callback_sources = ["54.76.19.159", "10.1.0.0/16"]
    project.save()
    settings.TRUSTED_PROXIES = 1
    said = [
        call(EVENT | {"eventId": caller}, HTTP_X_FORWARDED_FOR=caller).status_code
        for caller in ("54.76.19.159", "10.1.2.3", "54.76.19.160", "54.76.19.159, 203.0.113.9")
    ]
    assert said == [200, 200, 403, 403]
    assert call(HTTP_X_FORWARDED_FOR="", REMOTE_ADDR="").status_code == 403
    assert Delivery.objects.count() == 2


def test_a_list_that_nobody_can_read_lets_nobody_in(call, project):
    project.callback_sources = ["not an address"]
    project.save()
    assert call().status_code == 403
