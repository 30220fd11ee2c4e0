"""What a porting webhook says, as far as we believe it: which event, about which order."""

import json
import re
from dataclasses import dataclass
from typing import Any

# Source: Porting API, "Webhooks".
EVENTS = frozenset(
    {
        "ORDER_UPDATED",
        "NUMBERS_ACTIVATED",
        "NUMBERS_CONFIRMED",
        "NUMBERS_REJECTED",
        "NEW_ORDER_NOTE",
    }
)
MOST_DIGITS = 20  # of an order id; longer ones are not ids

_WORD = re.compile(r"[^\w.:\-]+")


@dataclass(frozen=True)
class Notice:
    """A webhook as it was understood.

    `order_id` is text of digits, "" when no order is named; `event` is "" when none is named.
    """

    is_json: bool
    event: str = ""
    order_id: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the event is one that Sinch documents."""
        return self.event in EVENTS


def read_notice(body: bytes) -> Notice:
    """Return what a body says; never raises, whatever the body is.

    The event is under `type`, on an earlier page of Sinch's under `event`. The order id comes as
    a number or as text, at the top or only inside `order`.
    Source: Porting API, "Webhooks".
    """
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return Notice(is_json=False)
    if not isinstance(said, dict):
        return Notice(is_json=True)
    order = said.get("order")
    inner = order if isinstance(order, dict) else {}
    ids = (said.get("orderId"), inner.get("id"), inner.get("orderId"))
    words = (said.get("type"), said.get("event"))
    return Notice(
        is_json=True,
        event=next((word for word in map(_event, words) if word), ""),
        order_id=next((digits for digits in map(_digits, ids) if digits), ""),
    )


def _event(value: Any) -> str:
    return _WORD.sub("", value.upper())[:60] if isinstance(value, str) else ""


def _digits(value: Any) -> str:
    if isinstance(value, bool):
        return ""
    if isinstance(value, float):
        value = int(value) if value.is_integer() and abs(value) < 10**MOST_DIGITS else ""
    if isinstance(value, int):
        # An absurdly long number cannot even be written out; that many digits are no id.
        value = str(value) if 0 < value < 10**MOST_DIGITS else ""
    text = value.strip() if isinstance(value, str) else ""
    is_id = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
    return (text.lstrip("0") or "") if is_id else ""
