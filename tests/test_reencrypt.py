"""A key is rotated: what the old one wrote is read when only the new one is left."""

from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command

from orders.models import PortInDraft
from portal.accounts.models import SinchProject, User, WebhookToken
from portal.operations.models import Operation
from tests.tools import lose
from webhooks.models import Delivery

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
BODY = b'{"orderId": "40118273"}'


def reencrypt() -> tuple[int, str]:
    """Run the command; return its exit code and what it said."""
    said = StringIO()
    try:
        call_command("reencrypt", stdout=said, stderr=said)
    except SystemExit as stop:
        return int(stop.code or 0), said.getvalue()
    return 0, said.getvalue()


@pytest.fixture
def project(db, settings):
    """A project whose secrets and rows the old key wrote."""
    settings.ENCRYPTION_KEYS = [OLD]
    project = SinchProject.objects.create(
        name="Main", project_id="main", key_id="key", key_secret="not a real secret"
    )
    WebhookToken.make(project)
    # More rows than are looked at together.
    for number in range(45):
        Operation.objects.create(
            project=project, kind="port_in.note", payload={"text": f"Note {number}"}
        )
    by = User.objects.create_user("robin")
    PortInDraft.objects.create(project=project, by=by, data={"pin": "0000"})
    Delivery.objects.create(project=project, body=BODY, size=len(BODY), digest="")
    return project


def everything() -> list[object]:
    """What the encrypted columns hold, in the clear."""
    return [
        SinchProject.objects.get().key_secret,
        WebhookToken.objects.get().token,
        *(row.payload for row in Operation.objects.order_by("pk")),
        PortInDraft.objects.get().data,
        bytes(Delivery.objects.get().body),
    ]


def test_an_old_key_can_go_once_everything_is_encrypted_anew(project, settings):
    before = everything()
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    code, said = reencrypt()
    assert code == 0
    assert "operations.Operation.payload: 45 values encrypted anew" in said
    assert "The first key decrypts everything; the others may go." in said
    settings.ENCRYPTION_KEYS = [NEW]
    assert everything() == before


def test_what_is_under_the_new_key_already_is_not_written_again(project, settings):
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    reencrypt()
    SinchProject.objects.update(key_secret="not a real secret either")
    code, said = reencrypt()
    assert code == 0
    assert all(": 0 values" in line for line in said.splitlines()[:-1])


def test_what_no_key_decrypts_is_told_and_left_as_it_is(project, settings):
    lose(Operation.objects.first(), "payload")
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    code, said = reencrypt()
    assert code == 1
    assert "1 value left as it was: no key in ENCRYPTION_KEYS decrypts it." in said
    settings.ENCRYPTION_KEYS = [NEW]
    assert SinchProject.objects.get().key_secret == "not a real secret"
    assert Operation.objects.last().payload == {"text": "Note 44"}
