"""What tests of several rooms share: waiting, days, lost keys, free ports, plain HTTP."""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from django.db.models import Model

ROOT = Path(__file__).resolve().parent.parent
Found = TypeVar("Found")

# An end user as Sinch's orders have it.
END_USER = {
    "name": "Harborview Dental LLC",
    "streetNum": "1420",
    "streetName": "Alder",
    "city": "Seattle",
    "state": "WA",
    "zipCode": "98101",
}


def wait_for(
    condition: Callable[[], Found], seconds: float = 30.0, what: str = "", pause: float = 0.05
) -> Found:
    """Return the first true value of the condition; AssertionError when the seconds are over."""
    deadline = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or 'the condition'} did not come true in {seconds:g} s")
        time.sleep(pause)


def port_day(days: int = 0) -> date:
    """Return the day so many days from today in US/Pacific, the zone of the orders tests make.

    For hours of every night it is another day there than on the desk's own calendar.
    """
    return datetime.now(ZoneInfo("US/Pacific")).date() + timedelta(days=days)


def somebody_waits_for_a_lock() -> bool:
    """Tell whether a transaction in the tests' database waits for another one."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def lose(row: "Model", column: str) -> None:
    """Have a column of a row encrypted with a key that is gone."""
    from cryptography.fernet import Fernet
    from django.db.models import BinaryField, Value

    sealed = Value(Fernet(Fernet.generate_key()).encrypt(b"{}"), output_field=BinaryField())
    type(row)._base_manager.filter(pk=row.pk).update(**{column: sealed})


def free_port() -> int:
    """Return a port of this machine on which nobody listens at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(url: str, seconds: float = 10.0) -> tuple[int, str]:
    """Return status and text of a page; (0, reason) when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError as error:
        return 0, str(error)
