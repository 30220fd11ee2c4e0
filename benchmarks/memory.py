"""Figure 14: how much memory a worker has after 10,000 mixed tasks, beside after 1,000.

The tasks are the doorbells and sweeps of the desk. There is work behind them: webhooks, the
readings they ask for, and notes to Sinch, new ones for every thousand tasks.
"""

import random
import re
import time
from pathlib import Path

from django.utils import timezone

from benchmarks import data, slow_sinch
from benchmarks.desk import held, worker
from benchmarks.result import Figure
from orders import sync
from orders.models import PortInOrder
from portal.accounts.models import SinchProject
from portal.celery import app
from portal.operations import doorbell
from portal.operations.actions import submit
from portal.operations.models import Operation, Reading
from webhooks.models import Delivery

FIRST = 3_000_000  # of the orders of data.py, away from those of other figures
ORDERS, DELIVERIES, NOTES = 40, 200, 10  # the latter two for each thousand tasks
# Each task and how many of twenty it is; the queue is the one that Celery's routes name.
MIX = {
    doorbell.DELIVERIES: 8,
    doorbell.READINGS: 2,
    doorbell.OPERATIONS: 2,
    "orders.tasks.read_lists": 1,
    "orders.tasks.check_portability": 1,
    "orders.tasks.recompute_due": 1,
    "hosting.tasks.recompute_due": 1,
    "portal.operations.tasks.beat": 4,
}


def grown(quick: bool) -> list[Figure]:
    """Resident memory of one worker process after ten rounds of tasks ÷ after the first."""
    each = 200 if quick else 1_000
    project = SinchProject.objects.create(
        name="Memory", project_id="memory", key_id="k", key_secret="s"
    )
    for number in range(FIRST, FIRST + ORDERS):
        sync.store_port_in_order(project, data.order(number, 1), fetched_at=timezone.now())
    sizes: list[float] = []
    with slow_sinch.running(0) as sinch, worker(settings=sinch) as beside:
        for _ in range(10):
            _make_work(project)
            _send(each)
            _wait(project)
            sizes.append(_resident(beside.pid))
    done = Delivery.objects.filter(project=project, state=Delivery.State.DONE).count()
    read = Reading.objects.filter(project=project, read_at__isnull=False).count()
    sent = Operation.objects.filter(project=project, state="succeeded").count()
    ratio = sizes[-1] / sizes[0]
    whole = done == DELIVERIES * 10 and sent == NOTES * 10 and read == ORDERS
    return [
        Figure(
            14,
            f"memory of a worker after {each * 10:,} mixed tasks ÷ after {each:,}",
            f"{ratio:.2f} ({sizes[-1]:.0f} ÷ {sizes[0]:.0f} MB; {done:,} webhooks dealt with, "
            f"{sent} notes sent)",
            "≤ 1.1",
            ratio <= 1.1 and whole,
        )
    ]


def _make_work(project: SinchProject) -> None:
    """Store webhooks about the orders, and notes that are to be sent."""
    bodies = [data.webhook(FIRST + n % ORDERS, 1) for n in range(DELIVERIES)]
    Delivery.objects.bulk_create(
        Delivery(project=project, body=body, size=len(body), digest=f"{n}-{time.time_ns()}")
        for n, body in enumerate(bodies)
    )
    for order in PortInOrder.objects.filter(project=project)[:NOTES]:
        submit(
            project,
            "port_in.note",
            target=order.target,
            payload={"text": "When will the numbers move?"},
            by=None,
        )


def _send(count: int) -> None:
    """Put as many tasks into the queues, in an order that is the same in every run."""
    names = [name for name, share in MIX.items() for _ in range(count * share // 20)]
    random.Random(14).shuffle(names)
    with app.producer_pool.acquire(block=True) as producer:
        for name in names:
            app.send_task(name, ignore_result=True, producer=producer)


def _wait(project: SinchProject) -> None:
    """Wait until the queues are empty and the work behind them is done."""
    until = time.monotonic() + 120
    unread = Reading.objects.filter(project=project, cause="webhook", read_at=None)
    with app.connection_for_read() as broker:
        redis = broker.default_channel.client
        while time.monotonic() < until:
            waiting = sum(redis.llen(queue) for queue in ("people", "events", "sync"))
            if not (waiting or held() or unread.exists() or _has_work(project)):
                return
            time.sleep(0.2)


def _has_work(project: SinchProject) -> bool:
    deliveries = Delivery.objects.filter(project=project, state__in=("received", "waiting"))
    operations = Operation.objects.filter(project=project, state__in=Operation.UNDER_WAY)
    return deliveries.exists() or operations.exists()


def _resident(pid: int) -> float:
    """Return the resident memory of a process in megabytes."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found, "no such process"
    return int(found[1]) / 1024
