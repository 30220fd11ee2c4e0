"""The clients of a project, as a worker has them."""

import pytest

from portal.accounts.models import SinchProject
from portal.operations import clients
from portal.sinch.errors import SinchAuthError

pytestmark = pytest.mark.django_db


def ask():
    """Ask for the configuration, as a worker does that does not read the secret each time."""
    project = SinchProject.objects.defer("key_secret").get()
    return clients.porting_client(project).get_configuration()


def test_a_secret_that_was_replaced_is_used_after_a_moment(project, porting_client, monkeypatch):
    clients.forget_clients()  # as a worker that has just started
    monkeypatch.setattr(clients, "SECRET_SECONDS", 0.0)
    project.key_secret = "old-secret"
    project.save()
    with pytest.raises(SinchAuthError):
        ask()
    project.key_secret = "test-key-secret"
    project.save()
    ask()
