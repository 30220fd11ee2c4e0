"""How an operation is carried out, once and only once, whatever breaks on the way.

queued → sending → succeeded | refused | uncertain. A write whose answer was lost is uncertain: its
outcome is looked up at Sinch, several times and with growing pauses, before it may be sent again.
An operation found in `sending` by a claim belonged to a worker that died: uncertain as well.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Case, CharField, Exists, OuterRef, Q, QuerySet, Value, When
from django.utils import timezone

from portal.accounts.guards import MAY_SEND, NO_SENDING
from portal.operations import doorbell, heard
from portal.operations.leases import LEASE_SECONDS, held, pause_after
from portal.operations.models import Operation
from portal.sinch.errors import SinchError, SinchUnavailable, SinchUnexpectedReply
from portal.sinch.parts import flying_until

log = logging.getLogger(__name__)

FLIGHT_SECONDS = 45.0  # longer than a token fetch plus a write with its time-outs
LOOK_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)  # seconds before each look for a lost write
# How long an uncertain write is looked for before a person is asked.
PATIENCE = timedelta(minutes=15)
OUT_OF_USE = (
    "This Sinch project is out of use; nothing was sent. An administrator can put it back into use."
)
ILLEGIBLE = "No key of this desk decrypts what it sends. Make it anew, then close this one."
ANOTHER = "Another one is on its way. Wait for what becomes of it."
NEWER = "A newer one has arrived since. Close this one."
MOST_SENDS = 30  # attempts that certainly did nothing before the desk stops trying by itself


class Refused(Exception):
    """Raised by a handler when the write must not be sent (any more); a person decides.

    Args: the sentence for staff; `status` and `judged` where Sinch took the write and its state
    said no: what it answered with, and in a few words what it did not accept.
    """

    def __init__(self, message: str, *, status: int | None = None, judged: str = "") -> None:
        super().__init__(message)
        self.answer = {"status": status, "judged": judged} if judged else {}


@dataclass(frozen=True)
class Found:
    """The trace an uncertain write left at Sinch."""

    answer: dict[str, Any]


class Handler(ABC):
    """How one kind of operation is sent, looked up and settled. Subclass and `register`."""

    kind: ClassVar[str]
    # How the outcome is found out after a lost answer, in a sentence for staff and docs.
    how_found_out: ClassVar[str]
    # Whether several about one thing may be meant at once, as with notes; otherwise a newer one
    # takes the place of one that has stopped.
    stands_alone: ClassVar[bool] = False
    # What it takes to try a stopped one again, the same as to ask for one, and what to say without.
    permission: ClassVar[str] = MAY_SEND
    no_right: ClassVar[str] = NO_SENDING
    # How long its write may take, time-outs included. When its worker is gone without a word it
    # is looked for at once, and not sent again for so long.
    flight_seconds: ClassVar[float] = FLIGHT_SECONDS

    @abstractmethod
    def send(self, operation: Operation) -> dict[str, Any]:
        """Do the write at Sinch and return its answer. Outside any transaction."""

    @abstractmethod
    def find_out(self, operation: Operation) -> Found | None:
        """Look for the write at Sinch; None when there is no trace of it. Outside a transaction.

        Raises SinchError when Sinch can't be asked, Refused when sending again would do harm.
        """

    def succeeded(self, operation: Operation, answer: dict[str, Any]) -> None:
        """Settle a success: store, tell. In the transaction that ends the operation."""

    def failed(self, operation: Operation) -> None:
        """Settle a refusal or a stop, in the transaction that ends the operation."""

    def hold(self, operation: Operation) -> None:
        """Lock what an operation was made of, before its own row is locked to end or go on.

        Whoever sends the same anew locks that first, and the operations behind it afterwards.
        """

    def overtaken(self) -> Sequence[tuple[Any, str]]:
        """Return what keeps a stopped one from going on: conditions on its row, and what to say.

        Pages ask them with the row. Each sentence says why, and what to do instead.
        """
        return ()

    def why_not_again(self, operation: Operation) -> str:
        """Return such a sentence for what no condition can tell; "" when it may go on."""
        return ""

    def taken_up(self, operation: Operation) -> None:
        """Undo what `failed` settled: a stopped operation goes on. In the transaction of that.

        Raises Refused when it must not go on any more.
        """
        self.refuse_to_go_on(operation)

    def refuse_to_go_on(self, operation: Operation) -> None:
        """Raise Refused with why a stopped one must not go on; call with what decides locked."""
        if why := _why_overtaken(operation) or self.why_not_again(operation):
            raise Refused(why)

    def uncertain(self, operation: Operation) -> None:
        """Tell that the outcome is being looked up, in the transaction that notes it."""

    def seen(self, operation: Operation) -> None:
        """Settle that somebody has looked at the outcome, in the transaction of that."""


_handlers: dict[str, Handler] = {}


def register(handler: Handler) -> None:
    """Make a kind of operation known; called when the app of that kind starts."""
    _handlers[handler.kind] = handler


def handler_of(kind: str) -> Handler:
    """Return the handler of a kind; KeyError for one that nobody registered."""
    return _handlers[kind]


def handlers() -> dict[str, Handler]:
    """Return all handlers by kind."""
    return dict(_handlers)


@cache
def _queue() -> QuerySet[Operation]:
    # What is encrypted is read later, row by row: one that no key decrypts must not stop the queue.
    rows = Operation.objects.select_related("project", "by")
    return rows.defer("payload", "project__key_secret")


def run_one() -> bool:
    """Claim one due operation and take it a step further; False when none was due."""
    claimed = Operation.claim(_queue(), limit=1, seconds=LEASE_SECONDS)
    with held(claimed):
        for operation in claimed:
            _step(operation)
    return bool(claimed)


def _step(operation: Operation) -> None:
    state = Operation.State
    handler = _handlers.get(operation.kind)
    if handler is None:
        log.error("Nobody here carries out %s; is an app missing?", operation.kind)
        operation.try_later("No handler of this kind")
        return
    try:
        if operation.state == state.QUEUED:
            _send(operation, handler)
        elif operation.state in (state.SENDING, state.UNCERTAIN):
            _look(operation, handler)
        else:
            operation.let_go()
    except Exception as error:
        # A fault of ours: the row is kept, told, and tried again as what it then is.
        log.exception("Operation %s (%s) failed here", operation.pk, operation.kind)
        _trouble(operation, handler, type(error).__name__)


def _send(operation: Operation, handler: Handler) -> None:
    state = Operation.State
    if not operation.project.is_active:
        _end(operation, handler, state.REFUSED, message=OUT_OF_USE)
        return
    _ = operation.payload  # what no key decrypts stays what it is: it certainly did not leave
    mine = Operation.objects.filter(pk=operation.pk, lease_id=operation.lease_id)
    # On disk before the request leaves: whoever finds `sending` knows that it may have been done.
    now = timezone.now()
    flies_until = now + timedelta(seconds=handler.flight_seconds)
    if not mine.update(state=state.SENDING, sent_at=now, flies_until=flies_until):
        return
    operation.refresh_from_db(fields=["state", "sent_at", "flies_until"])
    try:
        # A worker that was stopped for longer, and wakes up, must not send what others look for.
        with flying_until(flies_until):
            answer = handler.send(operation)
    except Refused as refusal:
        _end(operation, handler, state.REFUSED, answer=refusal.answer, message=str(refusal))
    except SinchError as error:
        if error.outcome_unknown:
            _be_uncertain(operation, handler, error)
        elif isinstance(error, (SinchUnavailable, SinchUnexpectedReply)):
            # An odd answer to the write itself leaves its outcome unknown. This one came to what is
            # asked before, a token or the order that a change is compared with: no refusal.
            _send_later(operation, handler, error)
        else:
            _end(
                operation,
                handler,
                state.REFUSED,
                message=error.staff_message,
                error=error,
            )
    else:
        _end(operation, handler, state.SUCCEEDED, answer=answer)


def _look(operation: Operation, handler: Handler) -> None:
    state = Operation.State
    if operation.state == state.SENDING and not _note_uncertain(operation, handler):
        return
    try:
        found = handler.find_out(operation)
    except Refused as refusal:
        _end(operation, handler, state.REFUSED, answer=refusal.answer, message=str(refusal))
        return
    except SinchError as error:
        _look_again_or_ask(operation, handler, error.question_message)
        return
    if found is not None:
        _end(operation, handler, state.SUCCEEDED, answer=found.answer)
        return
    if operation.flies_until is not None and operation.flies_until > timezone.now():
        # Its worker may be cut off and not dead: the request could still arrive.
        operation.try_later("No trace at Sinch yet", LOOK_PAUSES[1])
        return
    operation.looks += 1
    if operation.looks >= len(LOOK_PAUSES) and operation.attempts >= MOST_SENDS:
        _end(
            operation,
            handler,
            state.DEAD,
            message="Its answer was lost each time, and Sinch shows no trace of it.",
        )
    elif operation.looks >= len(LOOK_PAUSES):
        # Nothing there, looked for long enough: it was never done and may be sent.
        operation.let_go(
            next_try_at=timezone.now(), state=state.QUEUED, looks=0, uncertain_since=None
        )
    else:
        operation.try_later(
            "No trace at Sinch yet", LOOK_PAUSES[operation.looks], looks=operation.looks
        )


def _note_uncertain(operation: Operation, handler: Handler) -> bool:
    """Note that nobody knows what became of the write; False when it is not ours any more.

    Another worker may have taken it up, and even settled it, while our request hung.
    """
    with operation.all_or_nothing():
        since = timezone.now()
        ours = Operation.objects.filter(
            pk=operation.pk, lease_id=operation.lease_id, state__in=Operation.UNDER_WAY
        )
        if not ours.update(state=Operation.State.UNCERTAIN, uncertain_since=since):
            return False
        operation.state, operation.uncertain_since = Operation.State.UNCERTAIN, since
        handler.uncertain(operation)
    return True


def _be_uncertain(operation: Operation, handler: Handler, error: SinchError) -> None:
    if _note_uncertain(operation, handler):
        operation.try_later(error.staff_message, LOOK_PAUSES[0], flies_until=None)


def _look_again_or_ask(operation: Operation, handler: Handler, message: str) -> None:
    since = operation.uncertain_since or timezone.now()
    if timezone.now() - since > PATIENCE:
        _end(
            operation,
            handler,
            Operation.State.DEAD,
            message=f"Sinch could not be asked what became of it. {message}",
        )
    else:
        operation.try_later(message, min(pause_after(operation.attempts), 30.0))


def _send_later(operation: Operation, handler: Handler, error: SinchError) -> None:
    if operation.attempts >= MOST_SENDS:
        _end(
            operation,
            handler,
            Operation.State.DEAD,
            message=error.staff_message,
            error=error,
        )
        return
    pause = max(error.retry_after or 0.0, min(pause_after(operation.attempts), 60.0))
    operation.try_later(
        error.staff_message,
        pause,
        state=Operation.State.QUEUED,
        staff_message=error.staff_message[:500],
    )


def _trouble(operation: Operation, handler: Handler, error: str) -> None:
    """Have it tried again as what it is; after long enough somebody is told and asked."""
    is_sending = operation.state == Operation.State.SENDING
    since_sent = timezone.now() - (operation.sent_at or operation.created_at)
    if is_sending and since_sent < PATIENCE:
        # One that failed while it was sent is looked up first, however often it was tried. Somebody
        # waits for it, and it is most likely done: the count of earlier looks is no reason to wait
        # longer with the first look after this try.
        operation.try_later(error, min(max(LOOK_PAUSES[0], since_sent.total_seconds() / 4), 60.0))
    elif is_sending or operation.attempts >= MOST_SENDS:
        _give_up(operation, handler, error)
    else:
        operation.try_later(error)


def _give_up(operation: Operation, handler: Handler, error: str) -> None:
    """Stop trying, even when telling so fails as well: then the row alone says that it stopped."""
    message = "The desk itself failed on it."
    if operation.state == Operation.State.SENDING:
        # Nobody knows what became of it: whoever tries again has it looked up first.
        operation.uncertain_since = operation.sent_at or operation.created_at
    try:
        _end(operation, handler, Operation.State.DEAD, message=message)
    except Exception:
        log.exception("Operation %s (%s) could not be settled", operation.pk, operation.kind)
        operation.let_go(
            state=Operation.State.DEAD,
            uncertain_since=operation.uncertain_since,
            staff_message=message,
            finished_at=timezone.now(),
            last_error=error[:500],
        )


def _end(
    operation: Operation,
    handler: Handler,
    state: str,
    *,
    answer: dict[str, Any] | None = None,
    message: str = "",
    error: SinchError | None = None,
) -> None:
    """End an operation, and settle what follows from it, in one transaction."""
    if error is not None:
        answer = {
            "status": error.status,
            "message": error.sinch_message,
            "violations": [
                {"field": v.field, "description": v.description} for v in error.violations
            ],
        }
    with operation.all_or_nothing():
        _settle(operation, handler, state, answer or {}, message)


def _settle(
    operation: Operation, handler: Handler, state: str, answer: dict[str, Any], message: str
) -> None:
    handler.hold(operation)
    # Not a key's lock: a reading that holds the order may just be naming this operation beside a
    # note of ours, and we are about to wait for that order.
    row = Operation.objects.select_for_update(no_key=True).defer("payload").get(pk=operation.pk)
    if not row.is_under_way:
        return  # another worker has settled it meanwhile
    if state != Operation.State.SUCCEEDED and row.lease_id != operation.lease_id:
        return  # another worker has it in hand; what ours came to is not the last word
    operation.state = state
    operation.answer = answer
    operation.staff_message = message[:500]
    operation.finished_at = timezone.now()
    operation.last_error = ""
    operation.lease_id = operation.lease_until = operation.next_try_at = None
    operation.save(
        update_fields=[
            "state",
            "uncertain_since",
            "answer",
            "staff_message",
            "finished_at",
            "last_error",
            "lease_id",
            "lease_until",
            "next_try_at",
        ]
    )
    if state == Operation.State.SUCCEEDED:
        handler.succeeded(operation, operation.answer)
    else:
        handler.failed(operation)


def why_not_again(operation: Operation) -> str:
    """Return why an operation cannot be taken up, and what to do instead; "" when it can.

    What no key decrypts can neither be sent nor looked up.
    """
    if operation.is_under_way:
        return "It is on its way already. Wait for what becomes of it."
    if operation.state != Operation.State.DEAD:
        return "It has ended by now. Its page says what became of it."
    if not _is_legible(operation):
        return ILLEGIBLE
    handler = _handlers.get(operation.kind)
    why = _why_overtaken(operation)
    return why or (handler.why_not_again(operation) if handler is not None else "")


def why_may_not(person: Any, operation: Operation) -> str:
    """Return why somebody may not try an operation again, stopped or not; "" when they may."""
    handler = _handlers.get(operation.kind, Handler)
    return "" if person.has_perm(handler.permission) else handler.no_right


def may_close(person: Any, operation: Operation) -> bool:
    """Tell whether somebody may close the panel of a write: who asked for it, or may send."""
    return person.has_perm(MAY_SEND) or operation.by_id == person.pk


def obstacle() -> Case:
    """Return why a stopped operation cannot be taken up, as a column, as far as rows can tell."""
    return Case(When(state=Operation.State.DEAD, then=_overtaken()), default=Value(""))


def with_obstacle(operation: Operation | None) -> None:
    """Ask for `obstacle` of an operation that somebody may want to try again; all that is known."""
    if operation is not None and operation.state == Operation.State.DEAD:
        operation.obstacle = why_not_again(operation)


def _overtaken() -> Case:
    """Return why an operation may not go on beside others, "" when it may.

    No newer one may have taken its place, nor an older one be under way again: nobody knows which
    of the two would arrive first. A draft that was sent anew after its create had stopped must not
    be sent a second time.
    """
    others = Operation.objects.filter(target=OuterRef("target"), kind=OuterRef("kind")).exclude(
        pk=OuterRef("pk")
    )
    alone = ~Q(kind__in=[one.kind for one in _handlers.values() if one.stands_alone])
    newer = others.filter(pk__gt=OuterRef("pk"), state=Operation.State.SUCCEEDED)
    return Case(
        When(alone & Exists(others.filter(state__in=Operation.UNDER_WAY)), then=Value(ANOTHER)),
        When(alone & Exists(newer), then=Value(NEWER)),
        *(
            When(Q(kind=handler.kind) & condition, then=Value(why))
            for handler in _handlers.values()
            for condition, why in handler.overtaken()
        ),
        default=Value(""),
        output_field=CharField(),
    )


def _why_overtaken(operation: Operation) -> str:
    rows = Operation.objects.filter(pk=operation.pk)
    return rows.values_list(_overtaken(), flat=True).first() or ""


def _is_legible(operation: Operation) -> bool:
    sends = Operation.objects.filter(pk=operation.pk).values_list(heard.SENDS, flat=True)
    return sends.first() is not None


def unanswered() -> QuerySet[Operation]:
    """Return the writes under way for which Sinch could not be reached twice or more often.

    The second time is most often the question what became of the first; one failed call says
    nothing of Sinch.
    """
    tried = Operation.objects.filter(state__in=Operation.UNDER_WAY, attempts__gte=2)
    return tried.filter(last_error__startswith=SinchUnavailable().question_message)


def mark_seen(operation: Operation) -> None:
    """Note that somebody has looked at the outcome; one still under way stays open."""
    with transaction.atomic():
        finished = Operation.objects.exclude(state__in=Operation.UNDER_WAY)
        if finished.filter(pk=operation.pk, seen_at=None).update(seen_at=timezone.now()):
            handler_of(operation.kind).seen(operation)


def take_up(operation: Operation) -> str:
    """Take up a stopped operation once more: look it up if it may have been done, else send it.

    Returns why it cannot be, and what to do instead; "" when it was.
    """
    state = Operation.State
    handler = _handlers.get(operation.kind)
    with transaction.atomic():
        if not _is_legible(operation):
            return ILLEGIBLE
        if handler is not None:
            handler.hold(operation)
        row = Operation.objects.select_for_update(no_key=True).defer("payload").get(pk=operation.pk)
        if why := why_not_again(row):
            return why
        asked_before = row.uncertain_since is not None
        row.state = state.UNCERTAIN if asked_before else state.QUEUED
        row.uncertain_since = timezone.now() if asked_before else None
        row.attempts = row.looks = 0
        row.finished_at = row.seen_at = None
        row.staff_message = ""
        row.next_try_at = timezone.now()
        row.save(
            update_fields=[
                "state",
                "uncertain_since",
                "attempts",
                "looks",
                "finished_at",
                "seen_at",
                "staff_message",
                "next_try_at",
            ]
        )
        if handler is not None:
            try:
                handler.taken_up(row)
            except Refused as refusal:
                transaction.set_rollback(True)
                return str(refusal)
        doorbell.ring_on_commit(doorbell.OPERATIONS)
    return ""
