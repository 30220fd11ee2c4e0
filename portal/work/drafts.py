"""Drafts of either kind: what staff are still typing, and how one becomes an order."""

import uuid
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, TypeVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import ExpressionWrapper, F, Q
from django.utils import timezone

from portal.accounts.models import SinchProject, User
from portal.crypto import EncryptedJSONField, LegibleJSONField
from portal.operations.heard import recall, words_of_refusal
from portal.operations.models import Operation
from portal.operations.runner import LOOK_PAUSES, Found, Handler, Refused
from portal.sinch.errors import SinchError, SinchUnexpectedReply
from portal.work import items
from portal.work.items import Event
from portal.work.models import TimelineEntry

# Drafts of one person that are listed. An order that was split may come back as a hundred of them,
# and there is no other way to one than this list.
MOST_OPEN: Final = 500


class Why(Protocol):
    """An open thing of a draft; `text` names it."""

    @property
    def text(self) -> str:
        """What is open, for staff."""


class OpenOrSaid:
    """Parts the `reasons` why a draft cannot be sent, for a sentence and for sentences."""

    @property
    @abstractmethod
    def reasons(self) -> Sequence[Any]:
        """All of them."""

    @property
    def open_reasons(self) -> list[Any]:
        """The ones named in a row: fields that are empty or wrong."""
        return [reason for reason in self.reasons if reason.is_open]

    @property
    def said_reasons(self) -> list[Any]:
        """The ones that are sentences of their own."""
        return [reason for reason in self.reasons if not reason.is_open]


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

    # Both kinds have these, each called differently from the other side.
    operation: Any
    order_id: Any
    # What is read together with a draft that is about to change.
    beside: ClassVar[tuple[str, ...]] = ("project", "operation", "order")

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
            # Those that somebody goes on with, among all they ever sent.
            models.Index(
                fields=["by", "-updated_at"],
                name="%(app_label)s_draft_open",
                condition=models.Q(state__in=["open", "sending"]),
            ),
        ]

    def __str__(self) -> str:
        return self.title or "Draft"

    def field(self, name: str, default: Any = "") -> Any:
        """Return a typed field."""
        return self.data.get(name, default)

    @property
    def is_sending(self) -> bool:
        """Whether its order is under way to Sinch."""
        return self.operation is not None and self.operation.is_under_way

    @property
    def why_sent(self) -> str:
        """Why nothing can be typed in it any more once it was sent."""
        raise NotImplementedError


AnyDraft = TypeVar("AnyDraft", bound=Draft)


@dataclass(frozen=True)
class Typed:
    """What one posted page says: fields as typed, and which version of the draft it began with.

    `tab` tells pages apart, so that a page's own autosave is not taken for somebody else.
    `overwrite` is the version that somebody has been told of and saves over, 0 for none.
    """

    fields: Mapping[str, Any]
    version: int = 0
    tab: str = ""
    overwrite: int = 0

    def merged(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return a draft's fields with what was typed."""
        return {**data, **self.fields}


# --- What is done with drafts of either kind ----------------------------------------------------


def project_for_new_orders() -> SinchProject | None:
    """Return the Sinch project a new order goes to: the first active one; None without any."""
    return SinchProject.objects.filter(is_active=True).order_by("pk").first()


def open_drafts(drafts: type[AnyDraft], by: User) -> list[AnyDraft]:
    """Return the drafts a person can go on with, the latest first.

    One that is being sent as several orders stands for all of them, until the last has arrived.
    """
    state, rows = Draft.State, drafts._default_manager
    mine = rows.filter(by=by).order_by().values("pk")
    whole = mine.filter(
        Q(state=state.OPEN) | Q(state=state.SENDING, parent=None), state__in=Draft.UNFINISHED
    )
    # Looked up apart: in one condition they would have every draft ever sent looked at.
    split = mine.filter(parts__state=state.SENDING)
    return list(rows.filter(pk__in=whole.union(split)).defer("data")[:MOST_OPEN])


def locked_draft(draft: AnyDraft) -> AnyDraft:
    """Return the draft as it is now, locked; call inside a transaction."""
    return (
        type(draft)
        ._default_manager.select_for_update(of=("self",))
        .select_related(*draft.beside)
        .get(pk=draft.pk)
    )


def being_sent(
    drafts: type[AnyDraft], project: SinchProject, but: AnyDraft | None
) -> list[AnyDraft]:
    """Return the drafts that are being sent; one that no key reads says nothing."""
    rows = drafts._default_manager.filter(project=project, state=Draft.State.SENDING)
    if but is not None:
        rows = rows.exclude(pk=but.pk)
    kept = ExpressionWrapper(F("data"), output_field=LegibleJSONField())
    found: list[Any] = list(rows.defer("data").annotate(kept=kept))
    for draft in found:
        draft.data = draft.kept or {}
    return found


def refuse_unless_open(draft: Draft) -> None:
    """Raise NotEditable when a draft is not there to be typed in."""
    if draft.state == Draft.State.SENDING or draft.is_sending:
        raise NotEditable("This draft is on its way to Sinch; it opens again if Sinch refuses it.")
    if draft.state == Draft.State.SENT:
        raise NotEditable(draft.why_sent)
    if draft.state == Draft.State.THROWN_AWAY:
        raise NotEditable("This draft was thrown away.")


def save_draft(
    drafts: type[AnyDraft],
    pk: uuid.UUID,
    typed: Typed,
    *,
    by: User,
    new: Mapping[str, Any],
    store: Callable[[AnyDraft, dict[str, Any]], None],
) -> AnyDraft:
    """Save what was typed, whatever it is, and return the draft; the first time makes it.

    `new` is what a new draft begins with, `store` writes the fields and the title. Raises
    ChangedElsewhere when the page began with an older version, NotEditable when the draft is being
    sent or gone.
    """
    with transaction.atomic():
        # A click and an autosave may both be the first: the id comes from the page.
        found, made = drafts._default_manager.get_or_create(pk=pk, defaults={"by": by, **new})
        draft = locked_draft(found)
        refuse_unless_open(draft)
        own = typed.tab and draft.data.get("tab") == typed.tab
        if not made and not own and draft.version not in (typed.version, typed.overwrite):
            raise ChangedElsewhere(draft)
        data = typed.merged(draft.data)
        if data != draft.data:
            if not made:
                draft.version += 1
            store(draft, data | {"tab": typed.tab, "saved_by": by.short_name})
    return draft


def throw_draft_away(draft: Draft, seen: Typed | None = None) -> None:
    """Throw a draft away; its text and secrets are gone.

    `seen` says which version somebody had before them. Raises NotEditable while it is sent, and
    when somebody else has saved it since.
    """
    with transaction.atomic():
        draft = locked_draft(draft)
        if draft.state == Draft.State.THROWN_AWAY:
            return
        refuse_unless_open(draft)
        is_older = seen is not None and seen.version not in (0, draft.version)
        if is_older and seen and not (seen.tab and draft.data.get("tab") == seen.tab):
            raise NotEditable(
                "This draft was saved again since your page was opened; it is still here. Look at "
                "what stands in it now."
            )
        draft.state, draft.data = Draft.State.THROWN_AWAY, {}
        draft.version += 1
        draft.save(update_fields=["state", "data", "version", "updated_at"])


class CreateHandler(Handler):
    """Makes an order of the draft whose key is the payload's `draft`; it is sent once.

    Subclasses send, look up and settle a success; what becomes of the draft otherwise is here.
    """

    drafts: ClassVar[type[Draft]]

    @abstractmethod
    def looked_up_by(self, operation: Operation) -> str:
        """Return what a lost order is looked up by: `reference HVD-1`."""

    def taken_without_id(self, operation: Operation) -> dict[str, Any]:
        """Look for an order that Sinch took without saying its id; return its id as an answer.

        It is noted first, so that the order is never sent again by itself. Raises SinchError with
        an unknown outcome when it is not found at once.
        """
        operation.payload = {**operation.payload, "taken": True}
        Operation.objects.filter(pk=operation.pk).update(payload=operation.payload)
        found = self.found_now(operation)
        if found is None:
            raise SinchUnexpectedReply(
                "the answer names no order", method="POST", outcome_unknown=True
            )
        return found.answer

    def found_now(self, operation: Operation) -> Found | None:
        """Look for an order right after sending; what cannot be told is for a look-up to say.

        Raises SinchError with an unknown outcome when Sinch cannot be asked.
        """
        try:
            return self.find_out(operation)
        except Refused:
            return None
        except SinchError as error:
            # Asking changed nothing, but what was sent before it may have been done.
            error.outcome_unknown = True
            raise

    @staticmethod
    def is_last_look(operation: Operation) -> bool:
        """Tell whether an order that is not found now would be sent again."""
        return operation.looks + 1 >= len(LOOK_PAUSES)

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
        if operation.answer.get("status") and operation.state != Operation.State.DEAD:
            text = f"Order refused by Sinch{words_of_refusal(operation)}"
        elif operation.state == Operation.State.DEAD or operation.uncertain_since is not None:
            text = f"Order stopped: {operation.staff_message}"
        else:
            text = f"Order not sent: {operation.staff_message}"
        self._wait(operation, text, "bad", "bad")

    def hold(self, operation: Operation) -> None:
        """Lock the draft: whoever sends it anew at this moment comes first, or waits."""
        self._draft(operation).select_for_update().values_list("pk").first()

    def taken_up(self, operation: Operation) -> None:
        """Lock the draft again, so that it cannot be sent beside the order that goes on.

        Raises Refused for a draft that was sent, also anew, changed or thrown away meanwhile.
        """
        self.refuse_to_go_on(operation)
        self._draft(operation).update(state=Draft.State.SENDING, updated_at=timezone.now())

    def why_not_again(self, operation: Operation) -> str:
        """Send no draft that was sent, also anew, changed or thrown away meanwhile."""
        draft = self._draft(operation).first()
        if draft is None or draft.state == Draft.State.THROWN_AWAY:
            return "Its draft was thrown away. Begin a new one, if the order is still wanted."
        if draft.state == Draft.State.SENT:
            return "Its draft has become an order since. Close this one."
        if draft.operation_id != operation.pk:
            return "Its draft was sent anew since. Close this one."
        if operation.payload.get("version", draft.version) not in (None, draft.version):
            return "Its draft was changed since. Open the draft and send it as it is now."
        return ""

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
        # One that is tried again and stops again need not have been sent in between.
        moments = (operation.sent_at, operation.finished_at)
        items.tell(
            None,
            [
                Event(
                    text,
                    ("operation", operation.pk, operation.state, glyph, *moments),
                    tone=tone,
                    glyph=glyph,
                    source=TimelineEntry.Source.DESK
                    if tone == "us"
                    else TimelineEntry.Source.SINCH,
                    operation=operation,
                )
            ],
        )
