"""What no browser of ours sends: it gets an answer, never an error page of the server."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from PIL import Image

from orders import documents, sync
from orders.models import PortInDraft, PortInOrder
from portal.accounts.models import SinchProject, User
from portal.operations.models import Operation

pytestmark = pytest.mark.django_db
NUL = "a\x00b"
HUGE = "9" * 5000
FIELDS = (
    *("action", "draft", "version", "attempt", "tab", "sealed", "base", "key", "next", "numbers"),
    *("name", "pin", "account", "reference", "port_date", "port_zone", "override", "note", "sure"),
    *("why", "group", "expected", "secret", "to", "line", "take", "kind", "description", "text"),
)


@pytest.fixture
def order(
    project: SinchProject, order_json: Callable[..., dict[str, Any]], now: Any
) -> PortInOrder:
    return sync.store_port_in_order(project, order_json(), now)


@pytest.fixture
def now() -> Any:
    from django.utils import timezone

    return timezone.now()


@pytest.fixture
def draft(project: SinchProject, agent: User) -> PortInDraft:
    return PortInDraft.objects.create(project=project, by=agent, data={"numbers": ""})


@pytest.mark.parametrize("odd", [NUL, HUGE])
@pytest.mark.parametrize(
    "name", ["edit", "note", "document", "cancel", "activate", "reveal", "owner", "refresh"]
)
def test_odd_text_in_a_form_about_an_order_is_answered(
    agent_client: Client, order: PortInOrder, name: str, odd: str
) -> None:
    url = reverse(f"orders:{name}", args=[order.pk])
    answer = agent_client.post(url, dict.fromkeys(FIELDS, odd))
    assert answer.status_code in {200, 302, 404, 409, 422}


@pytest.mark.parametrize("odd", [NUL, HUGE])
@pytest.mark.parametrize("verb", ["", "send", "check", "keep_portable", "add_override", "fix"])
def test_odd_text_in_a_draft_is_answered(
    agent_client: Client, draft: PortInDraft, verb: str, odd: str
) -> None:
    for url in (draft.get_absolute_url(), reverse("orders:create")):
        answer = agent_client.post(url, {**dict.fromkeys(FIELDS, odd), "action": verb})
        assert answer.status_code in {200, 302, 409, 422}


@pytest.mark.parametrize("odd", [NUL, HUGE, "-1", "٣"])
def test_odd_text_in_an_address_is_answered(
    agent_client: Client, order: PortInOrder, draft: PortInDraft, agent: User, odd: str
) -> None:
    operation = Operation.objects.create(project=order.project, kind="port_in.note", by=agent)
    names = ("q", "sort", "page", "after", "before", "d", "event", "token", "seen", "version")
    names += ("status", "bucket", "who", "show", "rows", "timeline", "project", "look", "since")
    for url in (
        reverse("work:home"),
        reverse("work:list"),
        reverse("work:list_live"),
        order.get_absolute_url(),
        reverse("orders:live", args=[order.pk]),
        reverse("orders:activation_live", args=[order.pk]),
        reverse("orders:draft_live", args=[draft.pk]),
        reverse("operations:live", args=[operation.key]),
        reverse("projects:settings"),
    ):
        answer = agent_client.get(url, dict.fromkeys(names, odd))
        assert answer.status_code in {200, 204, 302, 400, 404}, url


@pytest.mark.parametrize(
    "name", ["detail", "live", "edit", "raw", "activate", "activation_live", "numbers"]
)
def test_an_order_number_too_long_for_the_database_is_not_found(
    agent_client: Client, name: str
) -> None:
    url = reverse(f"orders:{name}", args=[10**30])
    assert agent_client.get(url).status_code in {302, 404}


def test_a_reason_for_canceling_is_kept_without_what_the_database_refuses(
    agent_client: Client, order: PortInOrder
) -> None:
    agent_client.post(reverse("orders:cancel", args=[order.pk]), {"why": "stays\x00 with us"})
    assert Operation.objects.get().payload == {"why": "stays with us"}


def test_a_picture_whose_inside_is_of_the_wrong_kind_is_not_accepted() -> None:
    paper = io.BytesIO()
    Image.new("RGB", (40, 40)).save(paper, "TIFF")
    # Tag 273 says where the strips of the picture begin; here it says so in letters.
    strips = (273).to_bytes(2, "little")
    crafted = paper.getvalue().replace(strips + b"\4\0", strips + b"\2\0")
    crafted = crafted.replace(strips + b"\3\0", strips + b"\2\0")
    assert crafted != paper.getvalue()
    with pytest.raises(documents.NotAccepted):
        documents.check("scan.tif", crafted)
