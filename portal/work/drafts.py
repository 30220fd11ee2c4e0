"""Drafts of either kind: what staff are still typing, and how one becomes an order."""

import uuid
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from django.conf import settings
from django.db import models
from django.utils import timezone

from portal.accounts.models import SinchProject
from portal.crypto import EncryptedJSONField
from portal.operations.heard import recall, words_of_refusal
from portal.operations.models import Operation
from portal.operations.runner import Handler, Refused
from portal.work import items
from portal.work.items import Event
from portal.work.models import TimelineEntry


class Why(Protocol):
    """An open thing of a draft; `text` names it."""

    @property
    def text(self) -> str:
        """What is open, for staff."""


class NotEditable(Exception):
    """Raised when a draft or an order cannot be changed now; its text says why."""


class ChangedElsewhere(Exception):
    """Raised when somebody else, or another tab, saved the draft meanwhile."""

    def __init__(self, draft: Any) -> None:
        self.draft = draft
        super().__init__("The draft was saved elsewhere.")


class NotSendable(Exception):
    """Raised when an order is not ready to be sent; `reasons` names each open thing."""

    def __init__(self, reasons: Sequence[Why]) -> None:
        self.reasons: list[Any] = list(reasons)
        super().__init__("; ".join(reason.text for reason in self.reasons))


class Draft(models.Model):
    """What staff are still typing; it becomes an order only through an operation."""

    class State(models.TextChoices):
        OPEN = "open"
        SENDING = "sending"  # locked while its create is under way
        SENT = "sent"
        THROWN_AWAY = "thrown_away"

    UNFINISHED = (State.OPEN, State.SENDING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(SinchProject, on_delete=models.PROTECT)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    # Form fields as typed, secrets among them: {"numbers": "…", "name": "…"}.
    data = EncryptedJSONField(default=dict)
    title = models.CharField(max_length=200, blank=True)  # for lists: end user or first number
    # The draft this one was split off from when it was sent as several orders.
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="parts")
    part = models.PositiveSmallIntegerField(default=0)  # counted from 1 within the parent
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
        ordering = ["-updated_at"]
        indexes = [
            # Those that were sent and did not become orders, for home.
            models.Index(
                fields=["by"],
                name="%(app_label)s_draft_unmade",
                condition=models.Q(state__in=["open", "sending"], operation__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.title or "Draft"

    def field(self, name: str, default: Any = "") -> Any:
        """Return a typed field."""
        return self.data.get(name, default)


class CreateHandler(Handler):
    """Makes an order of the draft whose key is the payload's `draft`; it is sent once.

    Subclasses send, look up and settle a success; what becomes of the draft otherwise is here.
    """

    drafts: ClassVar[type[Draft]]

    @abstractmethod
    def looked_up_by(self, operation: Operation) -> str:
        """Return what a lost order is looked up by: `reference HVD-1`."""

    def failed(self, operation: Operation) -> None:
        """Open the draft again, unless the order may have been made all the same.

        Then the draft stays locked: sent anew it could become a second order. Trying the
        operation again looks it up first.
        """
        recall(operation)
        may_exist = (
            operation.state == Operation.State.DEAD and operation.uncertain_since is not None
        )
        if not may_exist:
            self._draft(operation).filter(state=Draft.State.SENDING).update(
                state=Draft.State.OPEN, updated_at=timezone.now()
            )
        if operation.state == Operation.State.DEAD:
            text = f"Order stopped: {operation.staff_message}"
        elif operation.answer.get("status"):
            text = f"Order refused by Sinch{words_of_refusal(operation)}"
        else:
            text = f"Order not sent: {operation.staff_message}"
        self._wait(operation, text, "bad", "bad")

    def taken_up(self, operation: Operation) -> None:
        """Lock the draft again, so that it cannot be sent beside the order that goes on.

        Raises Refused for a draft that was sent or thrown away meanwhile.
        """
        states = (Draft.State.OPEN, Draft.State.SENDING)
        locked = (
            self._draft(operation)
            .filter(state__in=states)
            .update(state=Draft.State.SENDING, updated_at=timezone.now())
        )
        if not locked:
            raise Refused("The draft was sent or thrown away meanwhile.")

    def uncertain(self, operation: Operation) -> None:
        """Tell that the answer was lost; told again only when it was sent again."""
        how = self.looked_up_by(operation)
        text = f"Sinch did not answer our order; looking it up by {how}"
        told = TimelineEntry.objects.filter(operation=operation, item=None, text=text)
        if not told.filter(at__gte=operation.sent_at or operation.created_at).exists():
            self._wait(operation, text, "us", "unknown")

    def _draft(self, operation: Operation) -> models.QuerySet[Any]:
        return self.drafts._default_manager.filter(pk=operation.payload["draft"])

    def _wait(self, operation: Operation, text: str, tone: str, glyph: str) -> None:
        """Leave an entry on the operation; there is no order yet that it could belong to."""
        items.tell(
            None,
            [
                Event(
                    text,
                    ("operation", operation.pk, operation.state, glyph, operation.sent_at),
                    tone=tone,
                    glyph=glyph,
                    source=TimelineEntry.Source.DESK
                    if tone == "us"
                    else TimelineEntry.Source.SINCH,
                    operation=operation,
                )
            ],
        )
