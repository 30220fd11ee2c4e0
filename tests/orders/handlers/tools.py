"""What the tests of the writes share: two numbers, what became of a write, late answers."""

from collections.abc import Callable
from typing import Any

import requests

from orders.models import PortInOrder
from portal.operations.models import Operation
from portal.sandbox import Sandbox
from portal.sandbox.adapter import SandboxAdapter
from portal.work.models import TimelineEntry

A, B = "+12065550140", "+12065550141"
PIN = "482193"
NEW_STREET = {"phoneNumbers": {"*": {"endUser": {"streetNum": "1422"}}}}
Run = Callable[[], None]
State = Operation.State


def state_of(operation: Operation) -> str:
    operation.refresh_from_db()
    return str(operation.state)


def timeline(order: PortInOrder) -> list[str]:
    """Return what was told, oldest first."""
    entries = TimelineEntry.objects.filter(item=order.item_id).order_by("pk")
    return list(entries.values_list("text", flat=True))


def count(sandbox: Sandbox, operation: str) -> int:
    return sandbox.control.calls().get(operation, 0)


class LateAnswers(SandboxAdapter):
    """Lets something happen after a write has been done and before its answer arrives."""

    def __init__(self, app: Sandbox, method: str, meanwhile: Run) -> None:
        super().__init__(app)
        self.method, self.meanwhile = method, meanwhile

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        answer = super().send(request, *args, **more)
        if request.method == self.method:
            self.meanwhile()
        return answer
