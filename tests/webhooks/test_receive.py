"""The door for webhooks: what is let in, what it costs, and what never leaks."""

import json
import logging
import zlib
from datetime import timedelta
from io import BytesIO

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from portal.accounts.models import WebhookToken
from portal.operations import doorbell
from webhooks import logs, receive, tokens
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db
EVENT = {"type": "ORDER_UPDATED", "orderId": 40118273, "pin": "482913"}


def test_a_webhook_is_on_disk_as_it_came_before_it_is_answered(deliver, project, rung):
    answer = deliver(EVENT, HTTP_USER_AGENT="Sinch/1", HTTP_AUTHORIZATION="Bearer word")
    assert (answer.status_code, answer.content) == (200, b"")
    row = Delivery.objects.get()
    assert json.loads(row.raw) == EVENT
    assert row.project == project
    assert row.state == Delivery.State.RECEIVED
    assert row.size == len(row.raw)
    assert row.headers == {"content-type": "application/json", "user-agent": "Sinch/1"}
    assert row.source == "127.0.0.1"
    assert rung == [doorbell.DELIVERIES]


def test_a_body_is_encrypted_on_disk(deliver):
    deliver(EVENT)
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM webhooks_delivery")
        assert b"482913" not in bytes(cursor.fetchone()[0])


def test_a_known_token_costs_one_insert_and_no_select(deliver):
    deliver(EVENT)
    with CaptureQueriesContext(connection) as seen:
        deliver(EVENT)
    said = [query["sql"].split()[0] for query in seen.captured_queries]
    assert said == ["INSERT"]


def test_an_address_without_its_last_slash_is_the_same_address(client, token):
    url = reverse("webhooks:porting", args=[token]).rstrip("/")
    assert client.post(url, EVENT, content_type="application/json").status_code == 200
    assert Delivery.objects.count() == 1


def test_no_cookie_and_no_csrf_token_is_needed(token):
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post(
        reverse("webhooks:porting", args=[token]), EVENT, content_type="application/json"
    )
    assert answer.status_code == 200
    assert not answer.cookies


def test_an_unknown_token_is_not_found_and_asked_about_once(client, project):
    url = reverse("webhooks:porting", args=["no-such-token-no-such-token"])
    with CaptureQueriesContext(connection) as seen:
        answers = [client.post(url, EVENT, content_type="application/json") for _ in range(3)]
    assert {answer.status_code for answer in answers} == {404}
    assert len(seen) == 1
    assert not Delivery.objects.exists()


def test_refused_tokens_do_not_fill_the_memory(project):
    for number in range(tokens.MOST_UNKNOWN + 5):
        assert tokens.project_of(f"guess-{number}") is None
    assert len(tokens._unknown) <= tokens.MOST_UNKNOWN


def test_a_retired_token_is_not_found_and_its_successor_is_taken(client, project, token):
    old = WebhookToken.objects.get()
    successor = WebhookToken.make(project).token
    both = [reverse("webhooks:porting", args=[word]) for word in (token, successor)]
    said = [client.post(url, EVENT, content_type="application/json").status_code for url in both]
    assert said == [200, 200]
    for left, first in ((timedelta(hours=1), 200), (timedelta(), 404)):
        old.retired_at = timezone.now() + left
        old.save()
        tokens.forget()
        said = [client.post(url, EVENT, content_type="application/json") for url in both]
        assert [answer.status_code for answer in said] == [first, 200]


def test_what_a_process_knows_of_a_token_holds_for_a_while_only(deliver, project, monkeypatch):
    monkeypatch.setattr(tokens, "VALID_SECONDS", 0.0)
    monkeypatch.setattr(tokens, "UNKNOWN_SECONDS", 0.0)
    assert deliver(EVENT).status_code == 200
    WebhookToken.objects.update(retired_at=timezone.now())
    assert deliver(EVENT).status_code == 404
    WebhookToken.objects.update(retired_at=None)
    assert deliver(EVENT).status_code == 200


def test_a_token_of_a_project_that_is_switched_off_is_not_found(deliver, project):
    project.is_active = False
    project.save()
    assert deliver(EVENT).status_code == 404


def test_more_than_the_limit_is_refused_before_it_is_read(deliver):
    assert deliver(b"x" * (receive.LIMIT + 1)).status_code == 413
    assert deliver(b"x" * receive.LIMIT).status_code == 200
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize("declared", ["²", "9" * 30, "9" * 5000])
def test_a_length_that_cannot_be_meant_is_refused(deliver, declared):
    assert deliver(EVENT, CONTENT_LENGTH=declared).status_code == 413
    assert not Delivery.objects.exists()


def test_a_body_sent_in_chunks_is_taken_and_measured(token):
    class InPieces(BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 100_000))

    def chunked(body):
        request = RequestFactory().generic("POST", "/", b"", HTTP_TRANSFER_ENCODING="chunked")
        request.META["wsgi.input"] = InPieces(body)
        return receive.porting(request, token).status_code

    assert chunked(b"y" * (receive.LIMIT + 1)) == 413
    long = EVENT | {"more": "z" * 300_000}
    assert chunked(json.dumps(long).encode()) == 200
    assert json.loads(Delivery.objects.get().raw) == long


def test_a_sender_that_hangs_up_is_no_fault_of_ours_and_nothing_is_stored(deliver):
    class HungUp(BytesIO):
        def read(self, *args):
            raise ConnectionResetError

    assert deliver(EVENT, **{"wsgi.input": HungUp()}).status_code == 400
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("body", [b"", b"{broken", b"\xff\xfe\x00", b"null", b"[" * 100_000])
def test_what_is_not_readable_is_kept_and_answered(deliver, body):
    assert deliver(body).status_code == 200
    assert Delivery.objects.get().raw == body


def test_a_large_body_is_compressed_and_comes_back_whole(deliver):
    body = {"type": "ORDER_UPDATED", "numbers": [f"+1206555{n:04}" for n in range(500)]}
    deliver(body)
    row = Delivery.objects.get()
    assert row.is_compressed
    assert len(row.body) < row.size / 2
    assert json.loads(zlib.decompress(row.body)) == json.loads(row.raw) == body


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "head"])
def test_only_a_post_is_a_webhook(client, token, method):
    answer = getattr(client, method)(reverse("webhooks:porting", args=[token]))
    assert answer.status_code == 405
    assert answer["Allow"] == "POST"


def test_a_sender_without_an_address_is_stored_without_one(deliver):
    assert deliver(EVENT, REMOTE_ADDR="").status_code == 200
    assert deliver(EVENT, REMOTE_ADDR="unix:").status_code == 200
    assert set(Delivery.objects.values_list("source", flat=True)) == {None}


def test_an_address_with_the_name_of_its_network_card_loses_no_webhook(deliver):
    assert deliver(EVENT, REMOTE_ADDR="fe80::1%eth0").status_code == 200
    assert Delivery.objects.get().source == "fe80::1"


def test_a_header_that_no_database_takes_is_cleaned(deliver):
    assert deliver(EVENT, HTTP_USER_AGENT="a\x00b" + "c" * 500).status_code == 200
    assert Delivery.objects.get().headers["user-agent"] == "ab" + "c" * 197


def test_the_token_never_reaches_a_log(client, token, caplog):
    wrong = "another-secret-word-of-somebody"
    with caplog.at_level(logging.DEBUG):
        client.get(reverse("webhooks:porting", args=[token]))
        client.post(f"/webhooks/porting/{token}/more/", {})
        client.post(reverse("webhooks:porting", args=[wrong]), {})
        client.post(
            reverse("webhooks:porting", args=[token]),
            b"x" * (receive.LIMIT + 1),
            content_type="text/plain",
        )
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "Not Found: /webhooks/porting/••••••••" in said
    assert token not in said
    assert wrong not in said


def test_a_trace_of_a_failure_names_no_token(token, caplog, monkeypatch):
    monkeypatch.setattr(receive, "LIMIT", "not a number")
    careless = Client(raise_request_exception=False)
    with caplog.at_level(logging.DEBUG):
        answer = careless.post(reverse("webhooks:porting", args=[token]), {})
    assert answer.status_code == 500
    assert token not in caplog.text


def test_words_around_an_address_stay_as_they_are():
    text = "GET /webhooks/log/17/ and POST /webhooks/porting/abcdefgh12345/?x=1 200"
    assert logs.without_token(text) == (
        "GET /webhooks/log/17/ and POST /webhooks/porting/••••••••/?x=1 200"
    )


def test_redis_being_away_refuses_no_webhook(deliver, servers):
    deliver(EVENT)
    servers.redis.stop()
    try:
        answers = [deliver(EVENT).status_code for _ in range(100)]
    finally:
        servers.redis.start()
    assert set(answers) == {200}
    assert Delivery.objects.count() == 101
