"""A token, a way to deliver, and a reader that counts instead of asking Sinch.

Django's models are imported inside the fixtures: this file is read before the settings are.
"""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from django.test import Client

    from portal.accounts.models import SinchProject
    from tests.webhooks.tools import CountingReader


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    """Each test asks the database for its tokens anew."""
    from webhooks import tokens

    tokens.forget()
    yield
    tokens.forget()


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The doorbells rung, and none of them heard: the tests call the work themselves."""
    from portal.operations import doorbell

    heard: list[str] = []
    monkeypatch.setattr(doorbell, "ring", lambda task, after=0.0: heard.append(task))
    return heard


@pytest.fixture
def token(project: "SinchProject") -> str:
    """The secret part of the project's webhook address."""
    from portal.accounts.models import WebhookToken

    return WebhookToken.make(project).token


@pytest.fixture
def deliver(token: str, client: "Client") -> Callable[..., Any]:
    """Post a body to the project's webhook address: `deliver({"type": …})` or raw bytes."""
    from django.urls import reverse

    def post(body: Any, **extra: Any) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = reverse("webhooks:porting", args=[token])
        return client.post(url, data=raw, content_type="application/json", **extra)

    return post


@pytest.fixture
def reader() -> "Iterator[CountingReader]":
    """Stands in for the reading of orders."""
    from portal.operations import readings
    from tests.webhooks.tools import CountingReader

    before = readings.readers()
    ours = CountingReader()
    readings.register(ours)
    yield ours
    readings._readers.clear()
    readings._readers.update(before)


@pytest.fixture
def make_order(project: "SinchProject") -> Callable[..., Any]:
    """Put an order into the mirror: `make_order("40118273", end_user="Harborview Dental LLC")`."""
    from django.utils import timezone

    from orders.models import PortInOrder
    from portal.work.models import WorkItem

    def make(sinch_id: str, end_user: str = "Harborview Dental LLC") -> PortInOrder:
        item = WorkItem.objects.create(
            kind=WorkItem.Kind.PORT_IN,
            project=project,
            target_pk=int(sinch_id),
            sinch_id=sinch_id,
            end_user=end_user,
            status="PENDING",
        )
        order = PortInOrder.objects.create(
            project=project,
            item=item,
            sinch_id=sinch_id,
            status="PENDING",
            fetched_at=timezone.now(),
        )
        WorkItem.objects.filter(pk=item.pk).update(target_pk=order.pk)
        return order

    return make
