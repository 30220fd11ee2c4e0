"""Figure 5: how often Sinch is read for many webhooks about one order."""

import time
from collections import Counter

from django.test import Client
from django.urls import reverse

from benchmarks.result import Figure
from portal.accounts.models import SinchProject, WebhookToken
from portal.operations import clients, readings
from portal.sandbox import create_app
from portal.sandbox.adapter import SandboxAdapter
from portal.sandbox.config import SandboxConfig
from webhooks import dispatch

DELIVERIES = 500


def coalesced(quick: bool) -> list[Figure]:
    """Readings at Sinch for 500 deliveries about one order that come in while workers work."""
    sandbox = create_app(SandboxConfig(project_id="readings", key_id="key", key_secret="secret"))
    clients.mount = lambda transport: transport.mount(SandboxAdapter(sandbox))
    project = SinchProject.objects.create(
        name="Readings", project_id="readings", key_id="key", key_secret="secret"
    )
    order = sandbox.control.create_order(["+12065550142"])
    path = reverse("webhooks:porting", args=[WebhookToken.make(project).token])
    client = Client(SERVER_NAME="127.0.0.1")
    body = {"type": "ORDER_UPDATED", "orderId": order.id}
    for number in range(DELIVERIES):
        client.post(path, body | {"n": number}, content_type="application/json")
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if not (dispatch.process_some() or readings.run_one()):
            time.sleep(0.05)
    reads = Counter(sandbox.state.calls)["getOrderDetails"]
    clients.mount = None
    clients.forget_clients()
    return [
        Figure(
            5,
            f"reads at Sinch for {DELIVERIES} deliveries about one order",
            str(reads),
            "≤ 2",
            1 <= reads <= 2,
        )
    ]
