"""An order that was created here, and writes about it in the queue."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.tools import END_USER, port_day

# What reads settings is imported by the fixtures: this file may be read before there are any.
if TYPE_CHECKING:
    from orders.models import PortInDraft, PortInOrder
    from portal.accounts.models import SinchProject, User
    from portal.operations.models import Operation
    from portal.sandbox import Sandbox


@pytest.fixture
def body(sandbox: "Sandbox") -> dict[str, Any]:
    """A body of a new order of two numbers."""
    from orders import bodies
    from tests.orders.handlers.tools import PIN, A, B

    return dict(
        bodies.create_body(
            numbers=[A, B],
            shared={
                "end_user": END_USER,
                "port_out": {"existingPortOutPin": PIN},
                "voice": {"type": "EST", "id": "01HX0TRUNK0000000000007QK2"},
            },
            overrides={},
            schedule={"date": port_day(14), "time": "09:00", "zone": "US/Pacific"},
            reference="HVD-2026-014",
            on_demand=True,
            reseller="",
            loa={},
        )
    )


@pytest.fixture
def draft(project: "SinchProject", agent: "User") -> "PortInDraft":
    """A draft that is being sent."""
    from orders.models import PortInDraft

    return PortInDraft.objects.create(project=project, by=agent, state=PortInDraft.State.SENDING)


@pytest.fixture
def create(
    project: "SinchProject", agent: "User", draft: "PortInDraft", body: dict[str, Any]
) -> "Operation":
    """A create that waits to be sent."""
    from orders.models import PortInDraft
    from portal.operations.actions import submit

    operation, _ = submit(
        project,
        "port_in.create",
        target=draft.target,
        payload={"body": body, "draft": str(draft.pk)},
        by=agent,
        subject="Order HVD-2026-014",
        marker=f"{draft.target}:create:1",
    )
    PortInDraft.objects.filter(pk=draft.pk).update(operation=operation)
    return operation


@pytest.fixture
def order(create: "Operation", settle: Callable[[], None]) -> "PortInOrder":
    """An order that was created here and read back."""
    from orders.models import PortInOrder

    settle()
    return PortInOrder.objects.get()


@pytest.fixture
def send(order: "PortInOrder", agent: "User") -> Callable[..., "Operation"]:
    """Put a write about the order into the queue: `send("note", {"text": …})`."""
    from portal.operations.actions import submit

    def put(kind: str, payload: dict[str, Any]) -> "Operation":
        operation, _ = submit(
            order.project, f"port_in.{kind}", target=order.target, payload=payload, by=agent
        )
        return operation

    return put


@pytest.fixture
def update(order: "PortInOrder", send: Callable[..., "Operation"]) -> Callable[..., "Operation"]:
    """Queue a change of the order as it is in the mirror now."""
    from orders import bodies, comparing

    def put(changes: dict[str, Any]) -> "Operation":
        order.refresh_from_db()
        new = bodies.write_body(order, order.secrets, changes)
        return send("update", {"body": new, "base": comparing.digest(order)})

    return put


@pytest.fixture
def offered(order: "PortInOrder", sandbox: "Sandbox", settle: Callable[[], None]) -> "PortInOrder":
    """The order, with its group offered for activation."""
    from orders import sync
    from portal.operations import readings
    from portal.work.models import WorkItem

    sandbox.control.make_ready(order.sinch_id)
    readings.want_one(order.project, sync.READER, order.sinch_id, "staff")
    settle()
    order.refresh_from_db()
    assert WorkItem.objects.get().bucket == "ready"
    return order
