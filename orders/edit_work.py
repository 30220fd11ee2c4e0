"""An edit in progress: what its page carries from one post to the next, sealed for one person.

Nothing of it is stored: what Sinch's copy was when the edit was opened, what has been typed over
it, and what was chosen where the two sides differ.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from orders import actions, bodies, edits, wire
from orders.details import SECRET_FIELDS
from orders.models import PortInOrder
from portal.accounts.models import User

Json = dict[str, Any]


def packed(values: Any) -> str:
    """Return JSON as a short text: the details of 500 numbers repeat themselves."""
    return base64.b64encode(zlib.compress(json.dumps(values).encode())).decode()


def unpacked(text: object) -> Any:
    """Return what `packed` was given; None for a text that is not of its making."""
    try:
        return json.loads(zlib.decompress(base64.b64decode(str(text))))
    except (binascii.Error, zlib.error, ValueError):
        return None


@dataclass
class Payload:
    """A body as the functions that read an order's JSON take it."""

    payload: Any


def fields_of_body(body: Mapping[str, Any]) -> Json:
    """Return the fields of an edit page that a whole body comes to."""
    return edits.fields_of(Payload(body), wire.order_secrets(body))


def fields_of_edit(base: Mapping[str, Any], body: Mapping[str, Any]) -> Json:
    """Return the fields by which an edit that begins with one whole body comes to another."""
    actual = edits.fields_by_number(Payload(base), wire.order_secrets(base))
    secrets = wire.order_secrets(body)
    return edits.fields_of(Payload(body), secrets, fields_of_body(base), actual)


def copy_of(order: PortInOrder) -> Json:
    """Return Sinch's copy of an order as it would be sent back unchanged, with our PINs."""
    return dict(bodies.write_body(order, order.secrets))


@dataclass(frozen=True)
class Work:
    """What a page of an edit holds: see above.

    `base` is a body, `typed` the fields of the page with `added` (text) and `dropped` (numbers).
    Only a reading that left after `opened_at` is fresh enough to send; `copied_at` is how old
    Sinch's copy was then. `choices` are by the keys of conflicts, `typed_at` by secret field.
    """

    base: Json
    typed: Json
    opened_at: datetime
    copied_at: datetime
    choices: dict[str, str] = field(default_factory=dict)
    typed_at: dict[str, str] = field(default_factory=dict)

    def with_typed(self, typed: Json) -> "Work":
        """Return it with other fields; a secret that differs counts as typed just now."""
        now = timezone.now().isoformat()
        fresh = {n: now for n in SECRET_FIELDS if _secrets(self.typed, n) != _secrets(typed, n)}
        return replace(self, typed=typed, typed_at=self.typed_at | fresh)

    def typed_when(self, name: str) -> datetime | None:
        """Return when a secret field was typed; None when it was not."""
        text = self.typed_at.get(name)
        return parse_datetime(text) if text else None

    def seal(self, by: User) -> str:
        """Return it as a text that only this person's next post can use."""
        return actions.sealed(
            {
                "work": packed(
                    {
                        "base": self.base,
                        "typed": self.typed,
                        "opened_at": self.opened_at.isoformat(),
                        "copied_at": self.copied_at.isoformat(),
                        "choices": self.choices,
                        "typed_at": self.typed_at,
                    }
                )
            },
            by,
        )


def _secrets(fields: Mapping[str, Any], name: str) -> list[tuple[str, str]]:
    own = [(str(e.get("number")), e.get(name)) for e in fields.get("overrides") or []]
    return [("", str(fields.get(name) or "")), *sorted((n, str(v)) for n, v in own if v)]


def opened(order: PortInOrder) -> Work:
    """Return an edit that begins now with the order as the mirror has it."""
    base = copy_of(order)
    return Work(base, fields_of_body(base), timezone.now(), order.fetched_at)


def taken_up(order: PortInOrder, payload: Mapping[str, Any]) -> Work:
    """Return an edit that goes on where a write that was not accepted left off."""
    work = opened(order)
    base = unpacked(payload.get("against", ""))
    return replace(work, base=base or work.base, typed=dict(payload.get("form") or work.typed))


def unsealed(token: str, by: User) -> Work | None:
    """Return the edit of a page; None when it is too old or not this person's."""
    found = unpacked(actions.unsealed(token, by).get("work", ""))
    if not isinstance(found, dict):
        return None
    opened_at, copied_at = (parse_datetime(found[n]) for n in ("opened_at", "copied_at"))
    if opened_at is None or copied_at is None:
        return None
    return Work(
        found["base"], found["typed"], opened_at, copied_at, found["choices"], found["typed_at"]
    )
