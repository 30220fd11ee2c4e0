"""How each write about an order at Sinch is sent, looked up after a lost answer, and settled.

HTTP happens in `send` and `find_out` only, never inside a transaction.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from orders import buckets, standing, sync, wire
from orders.actions_activation import activations, taken_groups, today_there
from orders.models import OrderDocument, OrderNote, PortInOrder
from portal import words
from portal.operations import clients, readings, runner
from portal.operations.heard import SENDS, Heard, after_sending, recall, remember, words_of_refusal
from portal.operations.models import Operation
from portal.operations.runner import Found, Handler, Refused
from portal.sinch.errors import (
    SinchConflict,
    SinchError,
    SinchInvalidRequest,
    SinchNotFound,
)
from portal.sinch.porting import ActivationGroup, PortingClient
from portal.work import search
from portal.work.items import Event
from portal.work.models import TimelineEntry

# --- What the handlers share --------------------------------------------------------------------

REFUSALS: Final = (SinchInvalidRequest, SinchConflict)


def _client(operation: Operation) -> PortingClient:
    return clients.porting_client(operation.project)


def came_through(handler: Handler, operation: Operation, refusal: Exception) -> Found:
    """Return the trace of an earlier try whose answer was lost, when a later one is refused.

    It may have come through after everybody had looked for it: Sinch then refuses to do the same
    twice. Without a trace the refusal is raised again.
    """
    if operation.attempts > 1 and (found := handler.find_out(operation)) is not None:
        return found
    raise refusal


class OrderHandler(Handler):
    """What all writes about an order have in common; `what` is how the timeline names it."""

    what: ClassVar[str]

    def order(self, operation: Operation) -> PortInOrder:
        """Return the order it is about. Raises Refused when there is none."""
        order = self._order_or_none(operation)
        if order is None:
            raise Refused("This order is not in the desk any more.")
        return order

    def name(self, operation: Operation) -> str:
        """Return how the timeline names what was sent."""
        return self.what

    def accepted(self, operation: Operation) -> str:
        """Return the sentence that tells a success."""
        return f"{self.name(operation)} accepted by Sinch"

    def read(self, operation: Operation, order: PortInOrder) -> dict[str, Any]:
        """Read the order at Sinch to look for a trace, and keep it for settling."""
        at = timezone.now()
        payload: dict[str, Any] = dict(_client(operation).get_order_details(order.sinch_id))
        remember(operation, payload, at)
        return payload

    def succeeded(self, operation: Operation, answer: dict[str, Any]) -> None:
        """Store what Sinch said, tell it, and ask for a reading."""
        order = self._lock(self.order(operation))
        self.store(operation, order, answer, recall(operation))
        self._tell(operation, order, self.accepted(operation), "done", "done")
        standing.recompute(order)
        readings.want_one(operation.project, sync.READER, order.sinch_id, "staff")

    def store(
        self,
        operation: Operation,
        order: PortInOrder,
        answer: dict[str, Any],
        heard: Heard | None,
    ) -> None:
        """Make use of what Sinch said at once, as far as it says anything."""
        if heard and heard.payload.get("id") == order.sinch_id and heard.payload.get("status"):
            sync.store_reading(operation.project, heard.payload, heard.at)

    def failed(self, operation: Operation) -> None:
        """Tell the refusal, and have the order read: Sinch may know more than the mirror."""
        recall(operation)
        order = self._order_or_none(operation)
        if order is None:
            return
        order = self._lock(order)
        name, status = self.name(operation), operation.answer.get("status")
        if operation.state == Operation.State.DEAD:
            self._tell(operation, order, f"{name} stopped: {operation.staff_message}", "bad", "out")
        elif status:
            said = words_of_refusal(operation)
            self._tell(operation, order, f"{name} refused by Sinch{said}", "bad", "bad")
        else:
            self._tell(
                operation, order, f"{name} not sent: {operation.staff_message}", "bad", "bad"
            )
        standing.recompute(order)
        readings.want_one(operation.project, sync.READER, order.sinch_id, "staff")

    def uncertain(self, operation: Operation) -> None:
        """Tell that the answer was lost."""
        order = self._order_or_none(operation)
        if order:
            order = self._lock(order)
            text = f"{self.name(operation)}: Sinch did not answer; looking it up"
            self._tell(operation, order, text, "us", "unknown")
            standing.recompute(order)

    def taken_up(self, operation: Operation) -> None:
        """Work out the bucket anew: the stopped write is on its way again."""
        order = self._order_or_none(operation)
        if order is not None:
            order = self._lock(order)
        self.refuse_to_go_on(operation)
        if order is not None:
            standing.recompute(order)

    def seen(self, operation: Operation) -> None:
        """Work out the bucket anew: an outcome that somebody has looked at asks nothing more."""
        if order := self._order_or_none(operation):
            standing.recompute(order)

    @staticmethod
    def _order_or_none(operation: Operation) -> PortInOrder | None:
        return PortInOrder.objects.filter(pk=operation.target.removeprefix("port_in:")).first()

    @staticmethod
    def _lock(order: PortInOrder) -> PortInOrder:
        # Before its work item is touched, as every reading does: two that took the two rows the
        # other way round would wait for each other.
        return PortInOrder.objects.select_for_update().order_by().get(pk=order.pk)

    def _tell(
        self, operation: Operation, order: PortInOrder, text: str, tone: str, glyph: str
    ) -> None:
        is_ours = tone == "us" or operation.state == Operation.State.DEAD
        # One that is tried again and stops again need not have been sent in between.
        moments = (operation.sent_at, operation.finished_at)
        sync.tell(
            order,
            [
                Event(
                    text,
                    ("operation", operation.pk, operation.state, glyph, *moments),
                    tone=tone,
                    glyph=glyph,
                    source=TimelineEntry.Source.DESK if is_ours else TimelineEntry.Source.SINCH,
                    cause=after_sending(operation) if tone == "done" else "",
                    operation=operation,
                )
            ],
        )


# --- Cancel -------------------------------------------------------------------------------------


class CancelHandler(OrderHandler):
    """Asks Sinch to cancel a PENDING order."""

    kind = "port_in.cancel"
    what = "Cancelation"
    how_found_out = "The order is read: one that is canceling, canceled or gone was reached."

    def send(self, operation: Operation) -> dict[str, Any]:
        """Ask for the cancelation."""
        order, at = self.order(operation), timezone.now()
        try:
            said = _client(operation).delete_order(order.sinch_id)
        except REFUSALS:
            # Sinch cancels nothing twice: an earlier cancelation that stopped may have arrived.
            try:
                found = self.find_out(operation)
            except (Refused, SinchError):
                found = None
            if found is None:
                raise
            return found.answer
        remember(operation, said, at)
        return {}

    def find_out(self, operation: Operation) -> Found | None:
        """Tell by the status."""
        try:
            seen = self.read(operation, self.order(operation))
        except SinchNotFound:
            return Found({})
        status = wire.read_status(seen.get("status"))
        if status in (PortInOrder.Status.PENDING_CANCELATION, PortInOrder.Status.CANCELED):
            return Found({})
        if status in (PortInOrder.Status.CONFIRMED, PortInOrder.Status.COMPLETED):
            label = words.chip("order", status).label.lower()
            raise Refused(f"The order is {label} by now and cannot be canceled any more.")
        return None

    def overtaken(self) -> Sequence[tuple[Any, str]]:
        """Cancel nothing that somebody has gone on with since: they want it to live."""
        went_on = Operation.objects.filter(
            target=OuterRef("target"),
            pk__gt=OuterRef("pk"),
            kind="port_in.update",
            state__in=(*Operation.UNDER_WAY, Operation.State.SUCCEEDED),
        )
        why = "The order has been changed since. Cancel it anew, if it is still to end."
        return [(Exists(went_on), why)]


# --- Note ---------------------------------------------------------------------------------------


class NoteHandler(OrderHandler):
    """Adds a note to the conversation with Sinch."""

    kind = "port_in.note"
    stands_alone = True
    what = "Our note"
    how_found_out = (
        "The order’s notes are read: one more with this text than others wrote and we are known to "
        "have sent is ours."
    )

    def accepted(self, operation: Operation) -> str:
        """Return the sentence that tells a success."""
        return "Our note arrived at Sinch"

    def send(self, operation: Operation) -> dict[str, Any]:
        """Add the note."""
        order = self.order(operation)
        note = _client(operation).add_order_note(order.sinch_id, operation.payload["text"])
        return {"id": note["id"]} if note.get("id") else {}

    def find_out(self, operation: Operation) -> Found | None:
        """Count the notes with this text."""
        note = operation.payload["text"]
        order = self.order(operation)
        seen = wire.count_notes(self.read(operation, order), note)
        # One that nobody looks for any more counts where it was seen.
        stored = OrderNote.objects.filter(order=order, operation__state=Operation.State.DEAD)
        there = Q(state=Operation.State.SUCCEEDED) | Q(pk__in=stored.values("operation"))
        ours = _others_like(operation).filter(there).defer("payload").annotate(sends=SENDS)
        twins = sum(_says(twin, note) for twin in ours)
        return Found({}) if seen > operation.payload.get("alike_of_others", 0) + twins else None

    def why_not_again(self, operation: Operation) -> str:
        """Send nothing that has been sent anew since."""
        later = _sent_since(operation).defer("payload").annotate(sends=SENDS)
        if any(_says(other, operation.payload["text"]) for other in later):
            return "This note has been sent anew since. Close this one."
        return ""


def _says(note: Any, text: str) -> bool:
    """Tell whether a note, an operation with `sends`, has this text but for its spaces."""
    return wire.collapsed(str((note.sends or {}).get("text", ""))) == wire.collapsed(text)


def _others_like(operation: Operation) -> QuerySet[Operation]:
    """Return our other writes of this kind about the same order."""
    same = Operation.objects.filter(kind=operation.kind, target=operation.target)
    return same.exclude(pk=operation.pk)


def _sent_since(operation: Operation) -> QuerySet[Operation]:
    """Return our writes of this kind about the same order that arrived later, or may yet."""
    arrived = Q(state=Operation.State.SUCCEEDED, pk__gt=operation.pk)
    return _others_like(operation).filter(arrived | Q(state__in=Operation.UNDER_WAY))


# --- Document -----------------------------------------------------------------------------------


class DocumentHandler(OrderHandler):
    """Sends a document of ours to Sinch."""

    kind = "port_in.document"
    stands_alone = True
    what = "Document"
    how_found_out = (
        "The order’s documents are read: one more with this name than others added and we are "
        "known to have sent is ours."
    )
    # 10 MB leave slowly over a narrow line, and a second worker would send them beside the first.
    flight_seconds = 180.0

    def name(self, operation: Operation) -> str:
        """Return it with its name."""
        row = OrderDocument.objects.filter(pk=operation.payload.get("document_pk")).first()
        return f"Document “{row.name}”" if row else self.what

    def accepted(self, operation: Operation) -> str:
        """Return the sentence that tells a success."""
        return f"{self.name(operation)} arrived at Sinch"

    def send(self, operation: Operation) -> dict[str, Any]:
        """Send the document with its content."""
        order, row = self.order(operation), self._row(operation)
        meta = _client(operation).add_order_documents(
            order.sinch_id, row.name, row.description, row.content or b""
        )
        return {"id": meta["id"]} if meta.get("id") else {}

    def find_out(self, operation: Operation) -> Found | None:
        """Count the documents with this name; the newest one that no row of ours has is it."""
        order, row = self.order(operation), self._row(operation)
        alike = wire.documents_named(self.read(operation, order), row.name)
        states = Operation.State
        there = Q(operation__state=states.SUCCEEDED) | (
            Q(operation__state=states.DEAD) & ~Q(sinch_id="")
        )
        twins = order.documents.filter(there, name=row.name).exclude(pk=row.pk).count()
        if len(alike) <= operation.payload.get("alike_of_others", 0) + twins:
            return None
        taken = set(
            OrderDocument.objects.filter(order=order, operation__isnull=False)
            .exclude(Q(pk=row.pk) | Q(operation__state=states.REFUSED))
            .values_list("sinch_id", flat=True)
        )
        free = [found.sinch_id for found in alike if found.sinch_id and found.sinch_id not in taken]
        return Found({"id": free[-1]} if free else {})

    def store(
        self,
        operation: Operation,
        order: PortInOrder,
        answer: dict[str, Any],
        heard: Heard | None,
    ) -> None:
        """Give our row Sinch's id; a reading that was faster may have made another row for it."""
        if sinch_id := answer.get("id"):
            pk = operation.payload["document_pk"]
            twins = OrderDocument.objects.filter(order=order, sinch_id=sinch_id).exclude(pk=pk)
            twins.filter(operation=None).delete()
            # What was refused, or stopped unsent, cannot be what stands there.
            twins.exclude(operation__state=Operation.State.SUCCEEDED).update(sinch_id="")
            OrderDocument.objects.filter(pk=pk).update(sinch_id=sinch_id)
        super().store(operation, order, answer, heard)

    def failed(self, operation: Operation) -> None:
        """Give back the id of another's document that a reading took for ours on its way."""
        if operation.answer.get("status"):
            OrderDocument.objects.filter(pk=operation.payload["document_pk"]).update(sinch_id="")
        super().failed(operation)

    def why_not_again(self, operation: Operation) -> str:
        """Send nothing that has been sent anew since."""
        later = OrderDocument.objects.filter(operation__in=_sent_since(operation))
        for row in OrderDocument.objects.filter(operation=operation):
            if any(it.content == row.content for it in later.filter(name=row.name, size=row.size)):
                return "This document has been sent anew since. Close this one."
        return ""

    @staticmethod
    def _row(operation: Operation) -> OrderDocument:
        row = OrderDocument.objects.filter(pk=operation.payload["document_pk"]).first()
        if row is None or not row.content:
            raise Refused("The document is not in the desk any more.")
        return row


# --- Activate -----------------------------------------------------------------------------------


# Where a number stands that was confirmed once and will not go live as it is.
_FELL_BACK: Final = frozenset(
    {buckets.PENDING, buckets.REJECTED, buckets.EXCLUDED, buckets.CANCELED}
)


def _refuse_if_regrouped(
    groups: Sequence[ActivationGroup],
    waiting: Sequence[wire.NumberFacts],
    offered: Sequence[ActivationGroup],
) -> None:
    """Raise Refused when confirmed numbers are not in the group any more that was to go live.

    That its key is not offered then says nothing of them, and it may stand for other numbers.
    """
    keys = {group.key for group in groups}
    named = {group.key for group in groups if group.shape == "phoneNumberGroups"}
    ours = {number for group in groups for number in group.numbers}
    phones = {number.phone_number for number in waiting}
    has_left = any(
        (phones if group.key not in keys else {*group.numbers} - ours).intersection(group.numbers)
        for group in offered
    )
    # The key of the other shape is no name that a number could have.
    is_renamed = bool(named) and any(n.group and n.group not in keys for n in waiting)
    if ours and (has_left or is_renamed):
        raise Refused(
            "Sinch has these numbers in another group by now, and they are not live. Look at what "
            "the order offers before you activate it again."
        )


class ActivateHandler(OrderHandler):
    """Activates carrier groups of an on-demand order; never sent twice for one group."""

    kind = "port_in.activate"
    stands_alone = True  # groups go live each by itself; `taken_up` looks for others of the same
    what = "Activation"
    how_found_out = (
        "What Sinch offers is read: a group that is no longer offered, or whose numbers are "
        "live, was activated. One whose FOC date has moved to a later day, whose numbers have "
        "all fallen back, or are in another group by now, is left to a person."
    )

    def name(self, operation: Operation) -> str:
        """Return it with how many numbers it is about."""
        numbers = {n for group in self._groups(operation) for n in group.numbers}
        return f"Activation of {words.count_text(len(numbers), 'number')}" if numbers else self.what

    def send(self, operation: Operation) -> dict[str, Any]:
        """Ask for the activation of the chosen groups, or of the whole order."""
        groups, order = self._groups(operation), self.order(operation)
        try:
            answer = _client(operation).activate_port_in(order.sinch_id, groups or None)
        except REFUSALS as refusal:
            return came_through(self, operation, refusal).answer
        return {"groups": answer.get("phoneNumberGroups") or []}

    def find_out(self, operation: Operation) -> Found | None:
        """Look at the numbers first, then at what is still offered."""
        order = self.order(operation)
        facts = wire.read_order(self.read(operation, order))
        if facts.status == PortInOrder.Status.CANCELED:
            raise Refused("The order was canceled before it could be activated.")
        groups = self._groups(operation)
        ours = {n for group in groups for n in group.numbers}
        about = [n for n in facts.numbers if not ours or n.phone_number in ours]
        if all(n.status in _FELL_BACK for n in about):
            # Not one of them is live: that none is confirmed any more is no trace of an activation.
            raise Refused(
                "None of these numbers is confirmed any more, and none went live. The order says "
                "what became of them."
            )
        waiting = [n for n in about if n.status == buckets.CONFIRMED]
        if not waiting:
            return Found({"groups": []})
        today = today_there(order)
        later = max((n.foc_date for n in waiting if n.foc_date), default=today)
        if later > today:
            # Sinch activates nothing before its date: that it offers nothing says nothing.
            raise Refused(
                f"The FOC date is {words.day_text(later, today)} by now; nothing can be activated "
                "before that day."
            )
        offered = _client(operation).get_port_in_available_activation(order.sinch_id)
        if groups:
            _refuse_if_regrouped(groups, waiting, sync.with_numbers(offered, facts))
        keys = {group.key for group in groups}
        still = [group for group in offered if not keys or group.key in keys]
        return None if still else Found({"groups": []})

    def why_not_again(self, operation: Operation) -> str:
        """Activate nothing but what was chosen, and nothing that was activated anew since.

        One that may have left is looked up first, and that looks for the same.
        """
        order = self._order_or_none(operation)
        if order is None:
            return ""
        chosen = self._groups(operation)
        others = [*_sent_since(operation).defer("payload").annotate(sends=SENDS)]
        if operation.uncertain_since is None:
            others += activations([order.target])[order.target]
        others = [other for other in others if other != operation]
        taken = taken_groups(order, others)
        if not taken.isdisjoint(group.key for group in chosen) or (others and not chosen):
            return (
                "It has been activated anew since, or may have been. Look at what became of that."
            )
        offered = {
            str(group["key"]): {*(group.get("numbers") or ())} for group in order.offered_groups
        }
        are_there = all(offered.get(group.key) == {*group.numbers} for group in chosen)
        if operation.uncertain_since is None and not (offered and are_there):
            return (
                "Sinch does not offer what was chosen any more. Look at what the order offers, and "
                "choose anew."
            )
        return ""

    @staticmethod
    def _groups(operation: Operation) -> list[ActivationGroup]:
        return [
            ActivationGroup(
                key=str(group["key"]),
                numbers=tuple(group.get("numbers") or ()),
                shape=group.get("shape") or "phoneNumberGroups",
            )
            for group in operation.payload.get("groups") or []
        ]


def register() -> None:
    """Make the writes known to the engine, and the numbers of orders to the search."""
    for handler in (CancelHandler(), NoteHandler(), DocumentHandler(), ActivateHandler()):
        runner.register(handler)
    search.register_numbers(sync.items_with_number)
    search.register_matches(sync.matching_numbers, sync.status_text)
