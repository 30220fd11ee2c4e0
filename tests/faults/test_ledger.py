"""The ledger: everything that was sent is stored and dealt with, whatever dies in the middle.

Sixteen clients send events about forty orders while Sinch misbehaves, Redis is ended twice and
PostgreSQL once. `make faults` sends 20,000, `make test` 2,000.
"""

import hashlib
import json
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.desk import RunningDesk
from tests.faults.test_crash_matrix import Ledger
from tests.tools import wait_for

EVENTS = 20_000 if os.environ.get("FAULTS") == "long" else 2_000
CLIENTS, ORDERS = 16, 40
AREAS = "303 304 305 307 308 309 310 312 313 314"


def test_what_was_sent_is_stored_and_dealt_with(desk: RunningDesk):
    ledger = Ledger(desk)
    line = next(r for r in desk.manage("webhook_urls").splitlines() if r.startswith("porting "))
    address = line.split()[1]
    orders = [
        int(
            desk.ask_sandbox(
                "orders",
                {"numbers": [f"+1{area}55501{n}{digit}" for digit in (0, 1)], "reference": "L"},
            )["id"]
        )
        for area in AREAS.split()
        for n in range(ORDERS // 10)
    ]
    before, begun = desk.ask_sandbox("calls"), time.monotonic()
    lock, local = threading.Lock(), threading.local()
    sent: list[str] = []
    tried_again = [0]

    def send(number: int) -> None:
        """Send one event until it is answered 200, as Sinch may or may not do."""
        if not hasattr(local, "session"):
            local.session = requests.Session()
            local.session.trust_env = False
        body = {"type": "ORDER_UPDATED", "orderId": orders[number % ORDERS], "event": number}
        raw = json.dumps(body).encode()

        def taken() -> bool:
            try:
                return bool(local.session.post(address, data=raw, timeout=60).status_code == 200)
            except requests.RequestException:
                return False

        while not taken():
            with lock:
                tried_again[0] += 1
            time.sleep(0.2)
        with lock:
            sent.append(hashlib.sha256(raw).hexdigest())

    dice = random.Random(7)
    numbers = list(range(EVENTS))
    dice.shuffle(numbers)
    with ThreadPoolExecutor(CLIENTS) as clients:
        for part, name in enumerate(["", "Redis", "PostgreSQL", "Redis"]):
            # Each quarter is sent while the server that has just been ended is coming back.
            for order in dice.sample(orders, 8):
                desk.ask_sandbox(f"orders/{order}/note", {"note": f"Part {part}"})
            for kind in ("500", "429", "drop_after"):
                fault = {"kind": kind, "operation": "getOrderDetails", "times": 3}
                desk.ask_sandbox("faults", fault)
            was = desk.pid(name) if name else None
            if name:
                desk.kill(name)
            list(clients.map(send, numbers[part::4]))
            if name:
                wait_for(lambda n=name, w=was: desk.pid(n) not in (None, w), 60, f"a new {name}")
    sending = time.monotonic() - begun
    desk.ask_sandbox("faults/clear", {})
    wait_for(
        lambda: (
            ledger.ask(
                "SELECT count(*) FROM webhooks_delivery WHERE state NOT IN ('done', 'set_aside')"
            )
            == [(0,)]
        ),
        180,
        "every delivery dealt with",
        pause=0.5,
    )
    rows, stored = ledger.ask(
        "SELECT count(*), count(DISTINCT digest) FROM webhooks_delivery WHERE digest = ANY(%s)",
        sent,
    )[0]
    calls = desk.ask_sandbox("calls")
    reads = calls["getOrderDetails"] - before.get("getOrderDetails", 0)
    print(
        f"\n{len(sent)} sent by {CLIENTS} clients in {sending:.0f} s, {stored} stored and dealt "
        f"with, {reads} reads at Sinch; {tried_again[0]} tries were not answered, "
        f"{rows - stored} of them had been stored all the same"
    )
    assert len(sent) == stored == EVENTS
    assert rows - stored <= tried_again[0]
    assert reads < EVENTS / 2
    for order in orders:
        there = desk.ask_sandbox(f"orders/{order}")
        wait_for(
            lambda order=order, there=there: (
                ledger.ask("SELECT status FROM orders_portinorder WHERE sinch_id = %s", str(order))
                == [(there["status"],)]
            ),
            30,
            f"order {order} as at Sinch",
        )
