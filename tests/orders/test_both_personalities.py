"""The life of an order against each reading of what Sinch's documents leave open.

What an order is and what staff may do with it must not depend on how Sinch spells it.
"""

import io
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pypdf import PdfWriter

from orders import (
    actions_activation,
    actions_documents,
    actions_order,
    bodies,
    comparing,
    documents,
)
from orders.models import OrderDocument, OrderNote, PortabilityResult, PortInDraft, PortInOrder
from portal.accounts.models import SinchProject, User, WebhookToken
from portal.operations import readings, runner
from portal.operations.actions import submit
from portal.operations.clients import porting_client as client_of
from portal.operations.models import Operation, Reading
from portal.sandbox import Sandbox
from portal.work.models import TimelineEntry, WorkItem
from tests.tools import END_USER, port_day
from webhooks import dispatch, tokens
from webhooks.models import Delivery

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("porting_client")]
# Two numbers at each of two losing carriers.
NUMBERS = ["+12065550140", "+12065550141", "+12065550150", "+12065550151"]
PIN, NEW_PIN, ACCOUNT = "482193", "775310", "ACC-99812"
SHORT = {"numbers_on_read": "short", "numbers_in_answers": "short", "event_numbers": "short"}
PERSONALITIES = [
    pytest.param("seed", {}, id="seed"),
    pytest.param("reference", {}, id="reference"),
    pytest.param("seed", SHORT, id="numbers and statuses only"),
    pytest.param("seed", {"write_bodies": "none", "first_page": "0"}, id="empty answers"),
    pytest.param("reference", {"pin_on_read": "masked", "blanks": "null"}, id="masks and nulls"),
    pytest.param(
        "seed",
        {"event_key": "event", "event_status": "capitalised", "event_port_time": "with_z"},
        id="older webhooks",
    ),
    pytest.param(
        "reference", {"numbers_on_read": "short", "write_bodies": "none"}, id="hardly a word"
    ),
]


class Desk:
    """A desk whose work is done by hand, and the Sinch it speaks to."""

    def __init__(self, project: SinchProject, agent: User, sandbox: Sandbox) -> None:
        self.project, self.agent, self.sandbox = project, agent, sandbox
        self._url = reverse("webhooks:porting", args=[WebhookToken.make(project).token])
        self._heard = 0

    def work_off(self) -> None:
        """Deliver the webhooks sent since, and do all that is due or waits for its turn."""
        for _ in range(20):
            sent = [entry.body for entry in self.sandbox.webhooks.log]
            for body in sent[self._heard :]:
                answer = Client().post(self._url, data=body, content_type="application/json")
                assert answer.status_code == 200
            self._heard = len(sent)
            while dispatch.process_some() or runner.run_one() or readings.run_one():
                pass
            now = timezone.now()
            soon = now + timedelta(seconds=30)
            waiting = Operation.objects.filter(next_try_at__isnull=False).update(next_try_at=now)
            waiting += Reading.objects.filter(next_try_at__lt=soon).update(next_try_at=now)
            if not waiting and len(self.sandbox.webhooks.log) == self._heard:
                return
        raise AssertionError("the desk does not come to rest")

    def create(self, reference: str, *, on_demand: bool = True) -> PortInOrder:
        """Check the numbers, send an order of them, and return it as the desk then has it."""
        for kind, payload in (
            ("port_in.check", {"numbers": NUMBERS}),
            ("port_in.create", {"body": self._body(reference, on_demand=on_demand)}),
        ):
            draft = PortInDraft.objects.create(
                project=self.project, by=self.agent, state=PortInDraft.State.SENDING
            )
            operation, _ = submit(
                self.project,
                kind,
                target=draft.target,
                payload={**payload, "draft": str(draft.pk)},
                by=self.agent,
            )
            self.work_off()
            self.assert_done(operation)
        return PortInOrder.objects.get(reference=reference)

    def _body(self, reference: str, *, on_demand: bool) -> dict[str, object]:
        return dict(
            bodies.create_body(
                numbers=NUMBERS,
                shared={
                    "end_user": END_USER,
                    "port_out": {
                        "existingPortOutPin": PIN,
                        "accountNum": ACCOUNT,
                        "authorizingName": "Dana Holt",
                        "authorizingDate": port_day(-3),
                    },
                    "voice": {"type": "EST", "id": "01HX0TRUNK0000000000007QK2"},
                    "sms": {"smsAppId": "sms-service-01"},
                },
                overrides={NUMBERS[3]: {"end_user": {"name": "Alder Street Pharmacy"}}},
                schedule={
                    "date": port_day(14),
                    "time": "09:00",
                    "zone": "US/Pacific",
                },
                reference=reference,
                on_demand=on_demand,
                reseller="",
                loa={"uploaded_by": "dana holt", "attachment_date": port_day()},
            )
        )

    def assert_done(self, operation: Operation) -> None:
        """Require that Sinch took a write, and that it left once."""
        operation.refresh_from_db()
        assert operation.state == Operation.State.SUCCEEDED, operation.staff_message

    def at_sinch(self, order: PortInOrder) -> dict[str, dict[str, object]]:
        """Return what Sinch really holds of each number, whatever it shows."""
        numbers = self.sandbox.control.order(order.sinch_id).numbers
        return {number.phone_number: dict(number.details) for number in numbers}


@pytest.fixture
def desk(
    project: SinchProject, agent: User, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    from portal.operations import doorbell

    monkeypatch.setattr(doorbell, "ring", lambda task, after=0.0: None)
    tokens.forget()
    yield Desk(project, agent, sandbox)
    tokens.forget()


@pytest.fixture
def speaks(sandbox: Sandbox) -> Callable[..., None]:
    """Have Sinch speak in one way or another."""
    return lambda preset, switches: sandbox.control.personality(preset, **switches)


def a_pdf() -> bytes:
    writer, file = PdfWriter(), io.BytesIO()
    writer.add_blank_page(200, 200)
    writer.write(file)
    return file.getvalue()


@pytest.mark.parametrize(("preset", "switches"), PERSONALITIES)
def test_an_order_lives_from_create_to_complete(desk, speaks, sandbox, agent, preset, switches):
    speaks(preset, switches)
    order = desk.create("HVD-2026-014")
    assert PortabilityResult.objects.filter(portable=True).count() == len(NUMBERS)
    assert len(sandbox.control.orders()) == 1
    assert (order.status, order.numbers.count()) == ("PENDING", len(NUMBERS))
    item = order.item
    assert (item.end_user, item.assignee) == ("Harborview Dental LLC", agent)

    # A change keeps everything else, also what Sinch does not show: PINs and account numbers.
    before = desk.at_sinch(order)
    changes = {"phoneNumbers": {NUMBERS[0]: {"portOutInfo": {"existingPortOutPin": NEW_PIN}}}}
    change, _ = submit(
        order.project,
        "port_in.update",
        target=order.target,
        payload={
            "body": bodies.write_body(order, order.secrets, changes),
            "base": comparing.digest(order),
        },
        by=agent,
    )
    desk.work_off()
    desk.assert_done(change)
    after = desk.at_sinch(order)
    assert list(after) == NUMBERS
    assert after[NUMBERS[0]]["portOutInfo"] == {
        **before[NUMBERS[0]]["portOutInfo"],
        "existingPortOutPin": NEW_PIN,
    }
    assert {n: after[n] for n in NUMBERS[1:]} == {n: before[n] for n in NUMBERS[1:]}
    assert after[NUMBERS[3]]["portOutInfo"]["accountNum"] == ACCOUNT
    order.refresh_from_db()
    assert order.secrets[NUMBERS[0]]["existingPortOutPin"] == NEW_PIN
    assert (order.on_demand_activation, order.reference) == (True, "HVD-2026-014")
    assert order.loa_uploaded_by == "dana holt"

    # Notes go both ways, each once; the document can be read back.
    sandbox.control.note(order.sinch_id, "Is the alarm line moving?")
    note = actions_order.add_note(order, "No, the alarm line stays.", by=agent)
    (upload,) = actions_documents.upload_documents(
        order, [documents.check("loa-harborview.pdf", a_pdf())], kind="loa", by=agent
    )
    desk.work_off()
    desk.assert_done(note)
    desk.assert_done(upload)
    assert sorted(OrderNote.objects.values_list("text", "operation")) == [
        ("Is the alarm line moving?", None),
        ("No, the alarm line stays.", note.pk),
    ]
    document = OrderDocument.objects.get()
    content = client_of(order.project).get_port_in_order_document(order.sinch_id, document.sinch_id)
    assert content.content == a_pdf()

    # Confirmed by webhook, then live group by group at our word.
    sandbox.control.confirm(order.sinch_id, port_day())
    desk.work_off()
    order.refresh_from_db()
    assert order.status == "CONFIRMED"
    assert set(order.numbers.values_list("status", flat=True)) == {"CONFIRMED"}
    assert set(order.numbers.values_list("foc_date", flat=True)) == {port_day()}
    sandbox.control.make_ready(order.sinch_id)
    actions_order.check_now(order)
    desk.work_off()
    order.refresh_from_db()
    assert len(order.offered_groups) == 2
    for live in (2, 4):
        order.refresh_from_db()
        key = order.offered_groups[0]["key"]
        desk.assert_done(_activated(desk, order, key))
        assert order.numbers.filter(status="ACTIVATED").count() == live
    order.refresh_from_db()
    assert order.status == "COMPLETED"
    assert not order.numbers.filter(activated_at="").exists()
    item = WorkItem.objects.get(pk=order.item_id)
    assert (item.bucket, item.live_count, item.counted) == (WorkItem.Bucket.DONE, 4, 4)
    assert not Delivery.objects.exclude(state=Delivery.State.DONE).exists()
    _assert_no_secret_is_told()


def _activated(desk: Desk, order: PortInOrder, key: str) -> Operation:
    operation = actions_activation.activate_groups(order, [key], by=desk.agent)
    desk.work_off()
    desk.sandbox.control.next(order.sinch_id)
    actions_order.check_now(order)
    desk.work_off()
    return operation


def _assert_no_secret_is_told() -> None:
    told = "\n".join(TimelineEntry.objects.values_list("text", flat=True))
    shown = str(list(PortInOrder.objects.values_list("payload", flat=True)))
    for secret in (PIN, NEW_PIN, ACCOUNT):
        assert secret not in told
        assert secret not in shown


@pytest.mark.parametrize(("preset", "switches"), PERSONALITIES)
def test_an_order_is_canceled_and_ends(desk, speaks, sandbox, agent, preset, switches):
    speaks(preset, switches)
    order = desk.create("HVD-2026-015", on_demand=False)
    operation = actions_order.cancel_order(order, why="The customer stays.", by=agent)
    desk.work_off()
    desk.assert_done(operation)
    while sandbox.control.order(order.sinch_id).status != "CANCELED":
        sandbox.control.next(order.sinch_id)
    actions_order.check_now(order)
    desk.work_off()
    order.refresh_from_db()
    assert order.status == "CANCELED"
    item = WorkItem.objects.get(pk=order.item_id)
    assert item.bucket == WorkItem.Bucket.ENDED
    # Nobody is told that it ended without us: we asked for it.
    assert [reason["code"] for reason in item.reasons] == []


@pytest.mark.parametrize(("preset", "switches"), PERSONALITIES)
def test_a_lost_answer_makes_no_second_order(desk, speaks, sandbox, preset, switches):
    speaks(preset, switches)
    sandbox.control.faults.add("drop_after", "orderPortIn", times=1)
    order = desk.create("HVD-2026-016")
    assert len(sandbox.control.orders()) == 1
    assert order.numbers.count() == len(NUMBERS)
    assert order.secrets[NUMBERS[0]]["existingPortOutPin"] == PIN
