"""What Sinch said in the course of a write, and what tells that a write is making something."""

import pytest
from django.utils import timezone

from portal.operations import actions, heard
from portal.operations.models import Operation

pytestmark = pytest.mark.django_db
State = Operation.State


def test_what_was_heard_of_a_write_is_recalled_once_and_for_no_other(write):
    one, other = write(), write(target="thing:2")
    heard.remember(one, {"id": "7"}, timezone.now())
    assert heard.recall(other) is None
    heard.remember(one, {"id": "8"}, timezone.now())
    assert heard.recall(one).payload == {"id": "8"}
    assert heard.recall(one) is None


def test_what_is_being_made_is_known_by_what_is_sent(project, rung):
    operation, _ = actions.submit(
        project, "test.create", target="draft:1", payload={"body": {"name": "HVD-1"}}, by=None
    )

    def is_being_made(said="HVD-1", kind="test.create", pk=project.pk):
        return heard.is_being_made(pk, (kind, "test.other"), "name", said)

    Operation.objects.update(state=State.SENDING)
    assert not is_being_made(), "it has not left yet"
    Operation.objects.update(sent_at=timezone.now())
    assert is_being_made()
    assert not is_being_made(said="HVD-2")
    assert not is_being_made(kind="test.write")
    assert not is_being_made(pk=project.pk + 1)
    operation.payload = {"body": {"name": ""}}
    operation.save(update_fields=["payload"])
    assert not is_being_made(said=""), "what has no name is known by none"
    operation.payload = {"body": {"name": "HVD-1"}}
    operation.save(update_fields=["payload"])
    Operation.objects.update(state=State.SUCCEEDED)
    assert not is_being_made(), "what it made has been heard of"
