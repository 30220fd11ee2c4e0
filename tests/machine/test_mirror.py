"""A state machine plays Sinch, its webhooks, the workers, their deaths and the staff, in any order.

However an example went: after rest the mirror equals Sinch, every write has come to its end and
was done once, each event stands once in the timeline, and no status ever went back to an older
one. `make faults` plays 2,000 examples, `make test` 30.
"""

import os
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from orders import actions_order, discovery, sync
from orders.models import OrderNote, PortInOrder
from portal.accounts.models import WebhookToken
from portal.operations import clients, readings, runner
from portal.operations.models import Operation, Reading
from portal.sandbox import create_app
from portal.sandbox.adapter import SandboxAdapter
from portal.sandbox.config import SandboxConfig
from portal.sandbox.life import NotPossible as NotPossibleAtSinch
from portal.sinch.errors import SinchError
from portal.work.actions import NotPossible
from portal.work.models import TimelineEntry
from webhooks import dispatch, tokens
from webhooks.models import Delivery

EXAMPLES = 2000 if os.environ.get("FAULTS") == "long" else 30
STEPS = 25
MOST_ORDERS = 2
FAULTS = ["500", "503", "429", "drop_after", "drop_before", "garbage"]
VERBS = ["confirm", "reject", "exclude", "note", "ready", "activate", "complete", "cancel"]
Json = dict[str, Any]


@pytest.mark.django_db
def test_the_mirror_ends_as_sinch_is(project, agent, servers, settings_of_machine):
    class Machine(Mirror):
        its_project, staff, redis_url = project, agent, servers.redis.url

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize=EXAMPLES < 100,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def settings_of_machine(settings, monkeypatch):
    """Let nothing wait: thousands of examples share one database and one Redis."""
    settings.SINCH_REQUESTS_PER_SECOND = 1000
    monkeypatch.setattr(clients, "sleep", lambda seconds: None)
    monkeypatch.setattr(clients, "mount", None)
    yield
    clients.forget_clients()
    tokens.forget()


class Mirror(RuleBasedStateMachine):
    """One desk and one Sinch; every example begins with both empty."""

    its_project: Any
    staff: Any
    redis_url: str

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.sandbox = create_app(
            SandboxConfig(
                project_id=self.its_project.project_id,
                key_id=self.its_project.key_id,
                key_secret=self.its_project.key_secret,
            )
        )
        clients.mount = lambda transport: transport.mount(SandboxAdapter(self.sandbox))
        clients.forget_clients()
        tokens.forget()
        with redis.Redis.from_url(self.redis_url) as server:
            server.flushall()
        token = WebhookToken.make(self.its_project).token
        self.address = reverse("webhooks:porting", args=[token])
        self.http = Client()
        self.made = 0
        self.written: list[tuple[int, str]] = []
        self.snapshots: list[tuple[Any, Json]] = []
        # What each order was at Sinch, one after the other, and how far the mirror has come.
        self.history: dict[str, list[Json]] = {}
        self.shown: dict[str, int] = {}

    def teardown(self) -> None:
        try:
            self.rest()
        finally:
            self.sandbox.webhooks.stop()
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    # --- Sinch ---

    @precondition(lambda self: self.made < MOST_ORDERS)
    @rule()
    def an_order_is_made_elsewhere(self) -> None:
        self.made += 1
        numbers = [f"+1206555{self.made}{n:03d}" for n in range(110, 113)]
        self.sandbox.control.create_order(numbers, reference=f"M-{self.made}")
        self.remember()

    @precondition(lambda self: self.made)
    @rule(data=st.data(), verb=st.sampled_from(VERBS))
    def sinch_changes_an_order(self, data: Any, verb: str) -> None:
        order = data.draw(st.sampled_from(self.at_sinch()))
        numbers = [n["phoneNumber"] for n in self.said(order)["phoneNumbers"]]
        chosen = data.draw(st.lists(st.sampled_from(numbers), unique=True))
        values = {
            "numbers": chosen,
            "reason": "Wrong PIN",
            "note": f"Note {data.draw(st.integers(1, 3))}",
        }
        try:
            self.sandbox.control.do(order.id, verb, values)
        except NotPossibleAtSinch:
            return
        self.remember()

    @rule(kind=st.sampled_from(FAULTS), times=st.integers(1, 5))
    def sinch_misbehaves(self, kind: str, times: int) -> None:
        self.sandbox.faults.add(kind, times=times)

    @rule()
    def sinch_behaves(self) -> None:
        self.sandbox.faults.clear()

    # --- Webhooks: any one, at any time, any number of times; those never drawn are lost ---

    @precondition(lambda self: self.sandbox.webhooks.log)
    @rule(data=st.data())
    def a_webhook_comes(self, data: Any) -> None:
        sent = data.draw(st.sampled_from(list(self.sandbox.webhooks.log)))
        self.post(sent.body)

    @rule(body=st.sampled_from([b"", b"{", b"[]", b'{"type": "NEW", "orderId": "40000001"}']))
    def an_odd_webhook_comes(self, body: bytes) -> None:
        self.post(body)

    def post(self, body: bytes) -> None:
        answer = self.http.post(self.address, data=body, content_type="application/json")
        assert answer.status_code == 200

    # --- Workers, and their deaths ---

    @rule(steps=st.integers(1, 6))
    def workers_work(self, steps: int) -> None:
        for _ in range(steps):
            if not (dispatch.process_some() or readings.run_one() or runner.run_one()):
                return

    @rule()
    def time_passes(self) -> None:
        now = timezone.now()
        for model in (Delivery, Reading, Operation):
            model.objects.filter(next_try_at__isnull=False, lease_id=None).update(next_try_at=now)

    @rule(model=st.sampled_from([Delivery, Reading, Operation]))
    def a_worker_dies_with_what_it_claimed(self, model: Any) -> None:
        model.claim(model.objects.all(), limit=5, seconds=60)

    @rule()
    def a_worker_dies_before_it_hears_of_its_write(self) -> None:
        rows = Operation.objects.select_related("project", "by").filter(state="queued")
        for operation in Operation.claim(rows, limit=1, seconds=60):
            Operation.objects.filter(pk=operation.pk).update(
                state=Operation.State.SENDING, sent_at=timezone.now(), looks=0
            )
            operation.refresh_from_db()
            with suppress(SinchError, runner.Refused):
                runner.handler_of(operation.kind).send(operation)
            self.remember()

    @rule()
    def leases_end(self) -> None:
        now = timezone.now()
        for model in (Delivery, Reading, Operation):
            model.objects.exclude(lease_id=None).update(lease_until=now, next_try_at=now)

    @rule()
    def the_list_is_walked(self) -> None:
        with suppress(SinchError):
            discovery.discover(self.its_project)

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def somebody_reads_and_is_slow_to_store(self, data: Any) -> None:
        order, at = data.draw(st.sampled_from(self.at_sinch())), timezone.now()
        with suppress(SinchError):
            client = clients.porting_client(self.its_project)
            self.snapshots.append((at, dict(client.get_order_details(order.id))))

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def an_old_reading_is_stored(self, data: Any) -> None:
        at, payload = self.snapshots.pop(data.draw(st.integers(0, len(self.snapshots) - 1)))
        sync.store_port_in_order(self.its_project, payload, fetched_at=at)

    # --- Staff ---

    @precondition(lambda self: PortInOrder.objects.exists())
    @rule(data=st.data())
    def staff_write_a_note(self, data: Any) -> None:
        order = data.draw(st.sampled_from(list(PortInOrder.objects.order_by("pk"))))
        text = f"From the desk {len(self.written) + 1}"
        try:
            operation = actions_order.add_note(order, text, by=self.staff)
        except NotPossible:
            return
        self.written.append((operation.pk, text))

    @precondition(lambda self: PortInOrder.objects.exists())
    @rule(data=st.data())
    def staff_cancel_an_order(self, data: Any) -> None:
        order = data.draw(st.sampled_from(list(PortInOrder.objects.order_by("pk"))))
        with suppress(NotPossible):
            actions_order.cancel_order(order, why="Changed their mind", by=self.staff)

    # --- What must hold ---

    def at_sinch(self) -> list[Any]:
        return sorted(self.sandbox.state.orders.values(), key=lambda order: order.id)

    def said(self, order: Any) -> Json:
        """Return an order as Sinch would tell it."""
        return dict(self.sandbox.control.order_json(order))

    def remember(self) -> None:
        """Keep what each order is at Sinch now, if it is something new."""
        for order in self.at_sinch():
            past = self.history.setdefault(str(order.id), [])
            if not past or past[-1] != standing(self.said(order)):
                past.append(standing(self.said(order)))

    @invariant()
    def no_status_goes_back(self) -> None:
        self.remember()
        for row in PortInOrder.objects.prefetch_related("numbers"):
            shown = {n.phone_number: n.status for n in row.numbers.all()} | {"order": row.status}
            past = self.history[row.sinch_id]
            since = self.shown.get(row.sinch_id, 0)
            later = [at for at in range(since, len(past)) if past[at] == shown]
            assert later, f"{shown} is nothing that Sinch was since {past[since:]}"
            self.shown[row.sinch_id] = later[0]

    def rest(self) -> None:
        """Let Sinch behave and all work be done, and compare."""
        self.sandbox.faults.clear()
        clients.forget_clients()  # the moment passes for which a silent Sinch is left alone
        self.leases_end()
        discovery.discover(self.its_project)
        # The sweep of open orders comes by in the end, for what the list does not show.
        Reading.objects.filter(is_gone=False).update(
            requested_at=timezone.now(), next_try_at=timezone.now(), lease_id=None
        )
        for _ in range(60):
            while dispatch.process_some() or readings.run_one() or runner.run_one():
                pass
            now = timezone.now()
            waiting = 0
            for model in (Delivery, Operation):
                rows = model.objects.filter(next_try_at__isnull=False)
                waiting += rows.update(next_try_at=now)
            soon = Reading.objects.filter(next_try_at__lt=now + timedelta(seconds=20))
            if not waiting + soon.update(next_try_at=now):
                break
        else:
            raise AssertionError("the desk does not come to rest")
        self.compare()

    def compare(self) -> None:
        assert not Operation.objects.filter(state__in=Operation.UNDER_WAY).exists()
        open_ones = Delivery.objects.exclude(state__in=("done", "set_aside"))
        assert not open_ones.exists(), list(open_ones.values("state", "outcome", "last_error"))
        for order in self.at_sinch():
            said = self.said(order)
            row = PortInOrder.objects.get(sinch_id=str(order.id))
            numbers = dict(row.numbers.values_list("phone_number", "status"))
            assert numbers | {"order": row.status} == standing(said)
            notes = OrderNote.objects.filter(order=row).values_list("text", flat=True)
            assert sorted(notes) == sorted(note["note"] for note in said["notes"])
            facts = list(TimelineEntry.objects.filter(item=row.item).values_list("fact", flat=True))
            assert len(facts) == len(set(facts))
        at_sinch = [n["note"] for o in self.at_sinch() for n in self.said(o)["notes"]]
        for pk, text in self.written:
            succeeded = Operation.objects.get(pk=pk).state == Operation.State.SUCCEEDED
            assert at_sinch.count(text) == int(succeeded), text


def standing(said: Json) -> Json:
    """Return the statuses of an order and its numbers."""
    return {n["phoneNumber"]: n["status"] for n in said["phoneNumbers"]} | {"order": said["status"]}
