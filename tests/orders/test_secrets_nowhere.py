"""A PIN and an account number go to Sinch and nowhere else: no table, log, page or session."""

import json
import logging
import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse

from orders.models import PortInDraft, PortInOrder
from portal.accounts.models import SinchProject, WebhookToken
from portal.operations import readings, runner
from portal.operations.models import Operation
from portal.sandbox import Sandbox
from tests.conftest import SINCH_KEY
from tests.orders.test_drafts import Desk, details
from tests.orders.test_edit import EditPage
from webhooks import dispatch
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db
PINS = {"pin": "482193", "account": "77310-ALDER-5", "new pin": "918273"}
SECRETS = {*PINS.values(), "664422", SINCH_KEY["SINCH_KEY_SECRET"]}


def tables() -> list[str]:
    """Return every row of every table as text."""
    with connection.cursor() as cursor:
        rows = []
        for name in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT '{name} ' || t::text FROM \"{name}\" t")  # noqa: S608
            rows += [row[0] for row in cursor.fetchall()]
    return rows


def in_clear(text: str) -> set[str]:
    """Return the secrets that a text holds."""
    return {secret for secret in SECRETS if secret in text}


@pytest.fixture
def story(
    agent_client: Client, porting_client: Any, sandbox: Sandbox, project: SinchProject
) -> PortInOrder:
    """An order made, refused in an edit, edited, told of by webhook with its PINs in it."""
    desk = Desk(agent_client)
    desk.open()
    numbers = {"numbers": "206 555 0142\n206 555 0143"}
    desk.post(numbers | details(pin=PINS["pin"], account=PINS["account"]), "check")
    runner.run_one()
    desk.post({}, "send")
    sandbox.control.faults.add("drop_after", "orderPortIn")
    while runner.run_one() or readings.run_one():
        pass
    Operation.objects.exclude(next_try_at=None).update(next_try_at="2020-01-01T00:00:00Z")
    while runner.run_one() or readings.run_one():
        pass
    order = PortInOrder.objects.get()
    for fault in ("402", None):
        if fault:
            sandbox.control.faults.add(fault, "updatePortInOrder")
        page = EditPage(agent_client, order)
        page.post("check", pin="664422", zip="98109")
        assert page.post("send").status_code == 302
        while runner.run_one() or readings.run_one():
            pass
    token = WebhookToken.make(project).token
    entry = {"phoneNumber": "+12065550142", "newPortOutPin": PINS["new pin"]}
    entry["portOutInfo"] = {"existingPortOutPin": "664422", "accountNum": PINS["account"]}
    body = {"type": "ORDER_UPDATED", "order": {"id": order.sinch_id, "phoneNumbers": [entry]}}
    agent_client.post(
        reverse("webhooks:porting", args=[token]), json.dumps(body), "application/json"
    )
    agent_client.post(
        reverse("webhooks:porting", args=[token]), json.dumps(body)[:-9], "application/json"
    )
    while dispatch.process_some() or readings.run_one():
        pass
    return order


def test_no_secret_is_in_the_database_in_clear(story: PortInOrder) -> None:
    story.refresh_from_db()
    assert story.secrets["+12065550142"]["existingPortOutPin"] == "664422", "Sinch has them"
    rows = tables()
    assert any(row.startswith("orders_portinorder ") for row in rows)
    assert [(row[:60], in_clear(row)) for row in rows if in_clear(row)] == []
    for session in Session.objects.all():
        assert not in_clear(json.dumps(session.get_decoded()))


def test_no_secret_is_in_a_log(caplog: pytest.LogCaptureFixture, request: Any) -> None:
    with caplog.at_level(logging.DEBUG):
        request.getfixturevalue("story")
    assert "PUT" in caplog.text, "the calls are logged"
    assert not in_clear(caplog.text)


def test_no_secret_is_in_a_page(story: PortInOrder, make_agent: Any) -> None:
    boss = make_agent("boss", "send_to_sinch", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(boss, backend="portal.accounts.backends.EmailOrUsernameBackend")
    pages = [reverse(f"orders:{name}", args=[story.pk]) for name in ("detail", "edit", "raw")]
    pages += [story.get_absolute_url() + "?rows=all&timeline=all", "/", "/work/", "/settings/"]
    pages += [operation.get_absolute_url() for operation in Operation.objects.all()]
    pages += [draft.get_absolute_url() for draft in PortInDraft.objects.all()]
    pages += [reverse("webhooks:delivery", args=[found.pk]) for found in Delivery.objects.all()]
    for model in admin.site._registry:
        meta = model._meta
        name = f"admin:{meta.app_label}_{meta.model_name}"
        pages.append(reverse(f"{name}_changelist"))
        pages += [
            reverse(f"{name}_change", args=[row.pk]) for row in model._default_manager.all()[:20]
        ]
    for url in pages:
        answer = client.get(url)
        html = answer.content.decode()
        assert answer.status_code in {200, 302}, url
        assert not in_clear(html), url
        assert not re.search(r'type="password"[^>]*value="[^"]', html), url
