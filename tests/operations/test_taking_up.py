"""A stopped create taken up once more, beside the draft it was made of."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction
from django.utils import timezone

from orders.models import PortInDraft
from portal.operations import runner
from portal.operations.actions import submit
from portal.operations.models import Operation
from portal.work import drafts
from portal.work.models import TimelineEntry
from tests.tools import lose, somebody_waits_for_a_lock, wait_for

pytestmark = pytest.mark.django_db
State = PortInDraft.State


@pytest.fixture
def stopped(project, agent, write):
    """A create that has stopped, and its draft, open again."""
    draft = PortInDraft.objects.create(project=project, by=agent, title="Harborview Dental LLC")
    operation = write(kind="port_in.create", target=draft.target)
    operation.payload = {"body": {}, "draft": str(draft.pk)}
    operation.state, operation.next_try_at = Operation.State.DEAD, None
    operation.save()
    PortInDraft.objects.filter(pk=draft.pk).update(operation=operation)
    return operation, draft


def test_the_draft_is_locked_while_its_order_goes_on(stopped):
    operation, draft = stopped
    assert not runner.take_up(operation)
    draft.refresh_from_db()
    assert draft.state == State.SENDING


@pytest.mark.parametrize("state", [State.SENT, State.THROWN_AWAY])
def test_a_draft_that_is_sent_or_thrown_away_is_not_sent_again(stopped, state):
    operation, draft = stopped
    PortInDraft.objects.update(state=state)
    assert runner.take_up(operation)
    operation.refresh_from_db()
    draft.refresh_from_db()
    assert (operation.state, draft.state) == (Operation.State.DEAD, state)
    assert operation.next_try_at is None


def test_a_draft_that_was_sent_anew_and_refused_goes_on_with_the_newer_write_only(stopped, write):
    operation, draft = stopped
    newer = write(kind=operation.kind, target=draft.target)
    Operation.objects.filter(pk=newer.pk).update(state=Operation.State.REFUSED)
    PortInDraft.objects.update(operation=newer)
    assert runner.take_up(operation)
    draft.refresh_from_db()
    assert draft.state == State.OPEN


@pytest.mark.parametrize("state", [State.SENT, State.THROWN_AWAY])
def test_a_draft_that_went_its_way_is_not_opened_by_a_create_that_was_not_sent(
    stopped, project, state
):
    operation, draft = stopped
    Operation.objects.update(state=Operation.State.QUEUED, next_try_at=timezone.now())
    PortInDraft.objects.update(state=state)
    project.is_active = False
    project.save()
    assert runner.run_one()
    operation.refresh_from_db()
    draft.refresh_from_db()
    assert (operation.state, draft.state) == (Operation.State.REFUSED, state)


def test_each_answer_that_was_lost_is_told_once(stopped):
    operation, _ = stopped
    handler, told = runner.handler_of(operation.kind), TimelineEntry.objects
    operation.sent_at = timezone.now()
    for _ in range(2):
        handler.uncertain(operation)
    assert told.count() == 1
    operation.sent_at = timezone.now()  # nothing was found, and it was sent once more
    handler.uncertain(operation)
    assert told.count() == 2


def test_one_that_no_key_decrypts_is_not_taken_up_and_its_page_opens(stopped, agent_client):
    operation, _ = stopped
    lose(operation, "payload")
    answer = agent_client.post(f"{operation.get_absolute_url()}again/", follow=True)
    assert "It cannot be tried again" in answer.content.decode()
    assert Operation.objects.defer("payload").get().state == Operation.State.DEAD


def test_notes_and_documents_do_not_take_each_others_place(write):
    for kind in ("port_in.note", "port_in.document"):
        first = write(kind=kind, target="port_in:1")
        stopped = {"state": Operation.State.DEAD, "payload": {"text": "Another one"}}
        Operation.objects.filter(pk=first.pk).update(**stopped)
        write(kind=kind, target="port_in:1")
        assert not runner.take_up(first)


@pytest.mark.django_db(transaction=True)
def test_who_tries_again_and_who_sends_anew_never_wait_for_each_other(project, agent):
    draft = PortInDraft.objects.create(project=project, by=agent, title="Harborview Dental LLC")
    stopped, _ = submit(
        project, "port_in.create", target=draft.target, payload={"draft": str(draft.pk)}, by=agent
    )
    Operation.objects.update(state=Operation.State.DEAD, next_try_at=None)
    PortInDraft.objects.update(operation=stopped)

    def tries_again():
        try:
            return not runner.take_up(stopped)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            locked = drafts.locked_draft(draft)
            taken_up = pool.submit(tries_again)
            wait_for(somebody_waits_for_a_lock, what="who tries again")
            # As `submit_orders` does: the stopped one is out of the way of the new one.
            Operation.objects.filter(pk=locked.operation_id).update(state=Operation.State.REFUSED)
        assert taken_up.result(20) is False


@pytest.mark.django_db(transaction=True)
def test_who_tries_again_and_the_end_of_that_try_never_wait_for_each_other(stopped):
    operation, draft = stopped
    last = {"attempts": runner.MOST_SENDS, "next_try_at": timezone.now()}
    Operation.objects.update(state=Operation.State.QUEUED, **last)
    PortInDraft.objects.update(state=State.SENDING)

    def ends():
        try:
            return runner.run_one()  # Sinch cannot be reached, once too often
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():  # a second click, on its way to the operation
            drafts.locked_draft(draft)
            ended = pool.submit(ends)
            wait_for(somebody_waits_for_a_lock, what="the end of the try")
            Operation.objects.select_for_update(nowait=True).get(pk=operation.pk)
        assert ended.result(20)
    operation.refresh_from_db()
    assert operation.state == Operation.State.DEAD
