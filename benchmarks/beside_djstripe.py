"""Figure 15: receiving signed events, the desk beside dj-stripe.

Both stand on the same server with the same number of threads and sessions, on the same PostgreSQL
with a database each, and are sent as many events by the same clients. dj-stripe gets events of a
type that it stores without asking Stripe; the desk gets hosting callbacks, which are signed and
have an id as well. A 200 of dj-stripe's means stored and handled, one of ours stored: what looking
into them takes is told beside it.
"""

import hashlib
import hmac
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from django.db import connection
from psycopg.conninfo import make_conninfo

from benchmarks import load
from benchmarks.desk import ROOT, Served, served
from benchmarks.result import Figure
from portal.accounts.models import CallbackSecret, SinchProject, WebhookToken
from webhooks import dispatch
from webhooks.models import Delivery

PINS = Path(__file__).resolve().parent / "djstripe" / "requirements.txt"
HOME = Path(sys.prefix) / "djstripe"  # kept for the next run; `make clean` takes it away
DATABASE = "djstripe"
NAME = "signed events received: ours ÷ dj-stripe's, events/s"


@dataclass(frozen=True)
class _Side:
    """One of the two: where it is served, how an event is written, how often it stored each."""

    site: Served
    written: Callable[[str], bytes]
    stored: Callable[[Sequence[str]], list[int]]

    def deliver(self, ids: Sequence[str], midway: Callable[[], None] = lambda: None) -> load.Load:
        """Send the events until each is answered 200."""
        return load.deliver(self.site.port, [self.written(key) for key in ids], midway=midway)


@dataclass(frozen=True)
class _Fate:
    """What became of events sent while the process that answers was ended."""

    lost: int
    doubled: int
    again: int

    def __str__(self) -> str:
        return f"{self.lost} lost, {self.doubled} doubled ({self.again} sent again)"


def receiving(quick: bool) -> list[Figure]:
    """Events a second of both; lost and doubled when the process that answers is killed."""
    try:
        return _measured(_environment(), quick)
    except (OSError, subprocess.SubprocessError) as error:
        told = " ".join(["not measured here:", type(error).__name__, *_last_line(error)])
        return [Figure(15, NAME, told, "≥ 1", False)]


def _last_line(error: Exception) -> list[str]:
    """Return what a process that failed said last, if anything."""
    return (getattr(error, "stderr", None) or "").strip().splitlines()[-1:]


def _measured(python: str, quick: bool) -> list[Figure]:
    count, rounds = (100, 3) if quick else (300, 3)
    with _ours() as ours, _theirs(python) as theirs:
        sides = {"ours": ours, "theirs": theirs}
        rates: dict[str, list[float]] = {"ours": [], "theirs": [], "all": []}
        for side in sides.values():
            side.deliver(_ids(50))
        _look_into()
        for _ in range(rounds):
            for key, side in sides.items():
                rates[key].append(side.deliver(_ids(count)).per_second)
            begun = time.perf_counter()
            _look_into()
            rates["all"].append(count / (count / rates["ours"][-1] + time.perf_counter() - begun))
        fates = {key: _killed(side, count * 2) for key, side in sides.items()}
        kept_again = _kept_again(theirs)
    rate = {key: median(values) for key, values in rates.items()}
    fate, other = fates["ours"], fates["theirs"]
    return [
        Figure(
            15,
            f"{NAME}, {rounds} × {count} each",
            f"{rate['ours'] / rate['theirs']:.1f} ({rate['ours']:.0f} ÷ {rate['theirs']:.0f}); "
            f"looking into them included {rate['all'] / rate['theirs']:.1f}",
            "≥ 1",
            rate["ours"] >= rate["theirs"],
        ),
        Figure(
            15,
            f"web worker killed amid {count * 2} events, each sent until answered 200, then "
            f"{count} again",
            f"ours {fate}; dj-stripe {other}, {kept_again} bodies kept more than once",
            "ours 0 lost, 0 doubled",
            not fate.lost and not fate.doubled,
        ),
    ]


def _ids(count: int) -> list[str]:
    return [f"evt_{secrets.token_hex(12)}" for _ in range(count)]


def _killed(side: _Side, count: int) -> _Fate:
    """Send events, kill the process that answers amid them, send half of them once more."""
    ids = _ids(count)
    sent = side.deliver(ids, midway=side.site.kill_workers)
    side.deliver(ids[::2])
    rows = side.stored(ids)
    return _Fate(rows.count(0), sum(number > 1 for number in rows), sent.dropped)


# --- The desk -----------------------------------------------------------------------------------


@contextmanager
def _ours() -> Iterator[_Side]:
    project = SinchProject.objects.create(
        name="Beside", project_id="beside", key_id="k", key_secret="s"
    )
    secret = CallbackSecret.make(project).secret.encode()
    path = f"/webhooks/hosting/{WebhookToken.make(project, 'hosting').token}/"

    def written(key: str, port: int) -> bytes:
        event = {
            "eventId": key,
            "timestamp": "2026-06-09T10:11:12.123456789",
            "projectId": project.project_id,
            "resourceType": "HOSTING_ORDER_NUMBER",
            "resourceId": "+12065550142",
            "eventType": "OSR_UPDATE",
            "status": "SUCCEEDED",
        }
        body = json.dumps(event).encode()
        signature = hmac.new(secret, body, hashlib.sha1).hexdigest()
        return load.request_bytes(path, body, port, X_Sinch_Signature=signature)

    def stored(ids: Sequence[str]) -> list[int]:
        rows = list(Delivery.objects.filter(project=project).values_list("event_id", flat=True))
        return _counts(rows, ids)

    with served("portal.wsgi:application") as site:
        yield _Side(site, partial(written, port=site.port), stored)


def _look_into() -> None:
    """Do what our workers do with what has come in."""
    while dispatch.process_some():
        pass


# --- dj-stripe ----------------------------------------------------------------------------------


def _environment() -> str:
    """Return the Python of an environment with dj-stripe, made when the pins have changed."""
    python, stamp = HOME / "bin" / "python", HOME / ".installed"
    wanted = hashlib.sha256(PINS.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        run = partial(subprocess.run, check=True, timeout=180, capture_output=True, text=True)
        run([sys.executable, "-m", "venv", "--clear", HOME])
        quietly = ("--quiet", "--disable-pip-version-check", "--no-input")
        run([python, "-m", "pip", "install", *quietly, "--require-hashes", "-r", PINS])
        stamp.write_text(wanted)
    return str(python)


@contextmanager
def _theirs(python: str) -> Iterator[_Side]:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {DATABASE}")
    given = connection.settings_dict
    place = {key: given[key] for key in ("HOST", "PORT", "USER", "PASSWORD")}
    secret = f"whsec_{secrets.token_hex(16)}"
    settings = {
        "DJANGO_SETTINGS_MODULE": "benchmarks.djstripe.settings",
        "DJSTRIPE_DATABASE": json.dumps({**place, "NAME": DATABASE}),
        "DJSTRIPE_KEY": f"sk_test_{secrets.token_hex(16)}",
        "DJSTRIPE_SIGNING_SECRET": secret,
    }
    made = subprocess.run(
        [python, "-m", "benchmarks.djstripe.prepare"],
        cwd=ROOT,
        env={**os.environ, **settings},
        check=True,
        timeout=120,
        capture_output=True,
        text=True,
    )
    path = made.stdout.split()[-1]

    def written(key: str, port: int) -> bytes:
        money = {"amount": 0, "currency": "usd", "source_types": {"card": 0}}
        balance = {"object": "balance", "livemode": False, "available": [money], "pending": []}
        event = {
            "id": key,
            "object": "event",
            "api_version": "2026-05-27.dahlia",
            "created": int(time.time()),
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": "balance.available",
            "data": {"object": balance},
        }
        body, now = json.dumps(event).encode(), int(time.time())
        digest = hmac.new(secret.encode(), b"%d.%s" % (now, body), hashlib.sha256).hexdigest()
        return load.request_bytes(path, body, port, Stripe_Signature=f"t={now},v1={digest}")

    def stored(ids: Sequence[str]) -> list[int]:
        return _counts(_asked("SELECT id FROM djstripe_event"), ids)

    with served("benchmarks.djstripe.wsgi:application", python=python, settings=settings) as site:
        yield _Side(site, partial(written, port=site.port), stored)


def _kept_again(theirs: _Side) -> int:
    """Return how many of its rows of bodies are of an event that has one already."""
    rows = _asked("SELECT body::json->>'id' FROM djstripe_webhookeventtrigger")
    return len(rows) - len(set(rows))


def _asked(question: str) -> list[str]:
    given: dict[str, Any] = connection.settings_dict
    place = make_conninfo(
        host=given["HOST"],
        port=given["PORT"] or None,
        user=given["USER"],
        password=given["PASSWORD"] or None,
        dbname=DATABASE,
    )
    with psycopg.connect(place) as asked:
        return [value for (value,) in asked.execute(question).fetchall()]


def _counts(rows: Sequence[str], ids: Sequence[str]) -> list[int]:
    found = dict.fromkeys(ids, 0)
    for row in rows:
        if row in found:
            found[row] += 1
    return list(found.values())
