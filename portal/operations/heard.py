"""What Sinch said in the course of an operation, kept until the operation is settled.

HTTP happens while an operation is sent or looked up, never inside a transaction; settling is a
transaction. What was heard is kept in this thread in between, so that a page shows it before the
thing has been read again.
"""

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import ExpressionWrapper, F
from django.utils import timezone

from portal.crypto import LegibleJSONField
from portal.operations.models import Operation
from portal.prepared import Prepared

# What an operation sends, beside its row: None where no key decrypts it.
SENDS = ExpressionWrapper(F("payload"), output_field=LegibleJSONField())


@dataclass(frozen=True)
class Heard:
    """What Sinch said, and when the request left."""

    operation_pk: int
    payload: Mapping[str, Any]
    at: datetime


class _Ear(threading.local):
    """Sending and settling happen in one thread, one operation after the other."""

    heard: Heard | None = None


_ear = _Ear()


def remember(operation: Operation, payload: Mapping[str, Any], at: datetime) -> None:
    """Keep what Sinch said at a moment until the operation is settled."""
    _ear.heard = Heard(operation.pk, payload, at)


def recall(operation: Operation) -> Heard | None:
    """Return what was kept for an operation, once."""
    heard, _ear.heard = _ear.heard, None
    return heard if heard and heard.operation_pk == operation.pk else None


def is_being_made(project: int, kinds: Collection[str], name: str, said: str) -> bool:
    """Tell whether a create is about to hear of what it has made: a webhook was faster.

    `kinds` are those of the creates, `name` the field of a body by which the thing is known, `said`
    what Sinch says there.
    """
    return bool(said) and any(
        operation.kind in kinds and (operation.sends or {}).get("body", {}).get(name) == said
        for operation in _sent.all(project)
    )


_sent = Prepared(
    lambda project: (
        Operation.objects.filter(
            project=project, state__in=Operation.UNDER_WAY, sent_at__isnull=False
        )
        .defer("payload")
        .annotate(sends=SENDS)
    )
)


def after_sending(operation: Operation) -> str:
    """Return how long the answer took, for a timeline."""
    if operation.uncertain_since:
        return "looked up after a lost answer"
    if not operation.sent_at:
        return ""
    return f"{(timezone.now() - operation.sent_at).total_seconds():.1f} s after sending"


def words_of_refusal(operation: Operation) -> str:
    """Return what Sinch said against a write, ready to follow a sentence: `: “…”`."""
    said = [f"{v['field']}: {v['description']}" for v in operation.answer.get("violations") or []]
    message = operation.answer.get("message") or ""
    found = "; ".join(said[:3]) or message or operation.staff_message
    return f": “{found}”" if found else ""
