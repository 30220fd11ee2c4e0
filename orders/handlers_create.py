"""How a draft is checked and becomes an order at Sinch, once."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from orders import parts, portability, standing, sync, wire
from orders.handlers import REFUSALS, came_through
from orders.models import ListRow, PortInDraft, PortInNumber, PortInOrder
from orders.places import one_at_a_time, reference_owner, taken_numbers
from portal import words
from portal.operations import clients, readings, runner
from portal.operations.heard import after_sending, recall, remember
from portal.operations.models import Operation
from portal.operations.runner import Found, Handler, Refused
from portal.sinch.errors import SinchError
from portal.work import drafts, items
from portal.work.items import Event
from portal.work.models import TimelineEntry, WorkItem

# Sinch's clock may be behind ours, and its dates may be plain days.
CREATED_SLACK = timedelta(days=2)
# How long an order that Sinch took may stay out of its lists before a person is asked. Shorter than
# the patience with writes of which nobody knows, so that this is the sentence they end with.
SHOWN_WITHIN = runner.PATIENCE / 2


# --- Portability check --------------------------------------------------------------------------


class CheckHandler(Handler):
    """Asks Sinch which numbers of a draft can move; changes nothing there."""

    kind = "port_in.check"
    how_found_out = "A portability check changes nothing at Sinch; it is asked again."

    def send(self, operation: Operation) -> dict[str, Any]:
        """Ask, and keep the verdicts for settling."""
        at = timezone.now()
        numbers = operation.payload["numbers"]
        verdicts = clients.porting_client(operation.project).check_porting_availability(numbers)
        remember(operation, {"verdicts": verdicts}, at)
        return {"checked": len(verdicts)}

    def find_out(self, operation: Operation) -> Found | None:
        """Ask again: nothing can have been done twice."""
        return Found(self.send(operation))

    def succeeded(self, operation: Operation, answer: dict[str, Any]) -> None:
        """Store the verdicts, one row for each number of the project."""
        heard = recall(operation)
        if heard is None:
            return
        portability.store_verdicts(operation.project, heard.payload["verdicts"], heard.at)


# --- Create -------------------------------------------------------------------------------------


class NotShown(SinchError):
    """An order that Sinch took is not in its lists yet."""

    @property
    def staff_message(self) -> str:
        """What is known, and what is waited for."""
        return "Sinch took the order without saying its id, and does not show it yet."


class CreateHandler(drafts.CreateHandler):
    """Makes an order of a draft. Sinch knows no idempotency key: it is sent once."""

    drafts = PortInDraft
    kind = "port_in.create"
    how_found_out = (
        "Orders at Sinch are looked up by our reference; one with the same numbers is ours, and "
        "so is one that shows only some of them yet. One that shares some of ours and has others "
        "is left to a person, and so is one that Sinch took without saying its id and does not "
        "show for minutes."
    )

    def send(self, operation: Operation) -> dict[str, Any]:
        """Create the order; when the answer does not say its id, look it up by reference."""
        at = timezone.now()
        try:
            created = clients.porting_client(operation.project).order_port_in(self._body(operation))
        except REFUSALS as refusal:
            return came_through(self, operation, refusal).answer
        order: dict[str, Any] = dict(created)
        if not order.get("id"):
            return self.taken_without_id(operation)
        remember(operation, order, at)
        return {"id": order["id"]}

    def hold(self, operation: Operation) -> None:
        """Lock the project before the draft, as who sends another order, when it is taken up."""
        if operation.state == Operation.State.DEAD:
            one_at_a_time(operation.project_id)
        super().hold(operation)

    def why_not_again(self, operation: Operation) -> str:
        """Send none that never left when its rows, or the orders beside it, have changed.

        One that may have left has kept them from others, and is looked up first.
        """
        why = super().why_not_again(operation)
        if why or operation.uncertain_since is not None:
            return why
        draft = PortInDraft.objects.select_related("project").get(pk=operation.payload["draft"])
        # What would be sent, without keeping it: pages ask this too.
        body = operation.payload.get("body") or parts.body_of(draft)
        reference = self._reference(operation)
        if ListRow.objects.filter(part=draft).exists() and parts.body_of(draft) != body:
            return (
                "The rows of its list have been changed since. Open the draft and send them anew."
            )
        numbers = wire.numbers_of(body)
        taken, _ = taken_numbers(draft.project, sorted(numbers), but=draft)
        if taken:
            return "Another order has some of its numbers by now. Open the draft: it names them."
        if reference and reference_owner(draft.project, reference, but=draft):
            return "Another order has its reference by now. Open the draft and choose another one."
        return ""

    def find_out(self, operation: Operation) -> Found | None:
        """Look for an order with our reference and exactly our numbers."""
        client, body = clients.porting_client(operation.project), self._body(operation)
        reference = self._reference(operation)
        if not reference:
            raise Refused(
                "This order went without a reference, so it cannot be looked up. "
                "Look for it in Sinch’s dashboard before sending it again."
            )
        ours = wire.numbers_of(body)
        since = operation.created_at - CREATED_SLACK
        begun: tuple[dict[str, Any], datetime] | None = None
        shared = ""
        for item in client.find_orders_by_reference(reference, created_from=since):
            at = timezone.now()
            order: dict[str, Any] = {**client.get_order_details(item["id"]), "id": item["id"]}
            theirs = wire.numbers_of(order)
            if theirs == ours:
                begun = order, at
                break
            if theirs < ours:
                begun = begun or (order, at)  # Sinch is still making it, and shows it in parts
            elif theirs & ours:
                shared = item["id"]
        if begun is not None:
            remember(operation, *begun)
            return Found({"id": begun[0]["id"]})
        if shared:
            raise Refused(
                f"Order {shared} at Sinch has this reference and some of these numbers, beside "
                "others. Look at it before you send this again; another reference makes it an "
                "order of its own."
            )
        if operation.payload.get("taken") and self.is_last_look(operation):
            since = operation.uncertain_since or timezone.now()
            if timezone.now() - since < SHOWN_WITHIN:
                raise NotShown(outcome_unknown=True)
            raise Refused(
                "Sinch took this order without saying its id, and shows none with the reference "
                f"{reference}. Look for it in Sinch’s dashboard before you send it again."
            )
        return None

    @staticmethod
    def _body(operation: Operation) -> Mapping[str, Any]:
        """Return what is sent. Raises Refused when the draft it is made of is gone.

        For numbers out of a file it is put together here, out of rows that nobody can change
        while their draft is being sent, and is on disk before it leaves.
        """
        if "body" not in operation.payload:
            draft = PortInDraft.objects.select_related("project").filter(
                pk=operation.payload["draft"]
            )
            found = draft.first()
            if found is None:
                raise Refused("The draft is not in the desk any more.")
            operation.payload = {**operation.payload, "body": parts.body_of(found)}
            Operation.objects.filter(pk=operation.pk).update(payload=operation.payload)
        body: Mapping[str, Any] = operation.payload["body"]
        return body

    @staticmethod
    def _reference(operation: Operation) -> str:
        """Return our reference, which is known before the body is."""
        payload = operation.payload
        body = payload.get("body") or {}
        return str(payload.get("reference") or body.get("customerOrderReference") or "")

    def succeeded(self, operation: Operation, answer: dict[str, Any]) -> None:
        """Store the order, hand it to who sent it, and close the draft."""
        heard = recall(operation)
        body = self._body(operation)
        sinch_id = str(answer["id"])
        read: dict[str, Any] = {"id": sinch_id, "status": PortInOrder.Status.PENDING}
        order = sync.store_reading(
            operation.project,
            read | dict(heard.payload) if heard else read,
            heard.at if heard else operation.sent_at or operation.created_at,
            secrets=wire.order_secrets(body),
            sent=body,
        ).order
        item = WorkItem.objects.get(pk=order.item_id)
        items.give_to_sender(item, operation)
        PortInDraft.objects.filter(pk=operation.payload["draft"]).update(
            state=PortInDraft.State.SENT, order=order, updated_at=timezone.now()
        )
        items.adopt(item, operation)
        sync.tell(
            order,
            [
                Event(
                    f"Order accepted by Sinch as {sinch_id}",
                    ("operation", operation.pk, "accepted"),
                    tone="done",
                    glyph="done",
                    cause=after_sending(operation),
                    operation=operation,
                )
            ],
        )
        self._take_up(operation, order, wire.numbers_of(body))
        readings.want_one(operation.project, sync.READER, sinch_id, "staff")

    @staticmethod
    def _take_up(operation: Operation, order: PortInOrder, numbers: set[str]) -> None:
        """Link an order to the one whose refused numbers it takes up, and tell both."""
        draft = PortInDraft.objects.filter(pk=operation.payload["draft"]).first()
        if draft is None or not draft.follows_id or draft.field("follows_kind") != "refused":
            return  # a copy stands for itself
        before = PortInOrder.objects.select_for_update().get(pk=draft.follows_id)
        PortInOrder.objects.filter(pk=order.pk).update(follows=before)
        sync.remember_refusals(order, before)
        shared = PortInNumber.objects.filter(order=before, phone_number__in=numbers).count()
        what = words.count_text(shared, "refused number")
        fact = ("operation", operation.pk, "follows")
        taken = "is" if shared == 1 else "are"
        sync.tell(
            order,
            [
                Event(
                    f"Takes up {what} of order {before.sinch_id}",
                    (*fact, "new"),
                    source=TimelineEntry.Source.DESK,
                    operation=operation,
                )
            ],
        )
        sync.tell(
            before,
            [
                Event(
                    f"{what} {taken} taken up by order {order.sinch_id}",
                    (*fact, "old"),
                    source=TimelineEntry.Source.DESK,
                    operation=operation,
                )
            ],
        )
        standing.recompute(before)

    def looked_up_by(self, operation: Operation) -> str:
        """Return our reference."""
        return f"reference {self._reference(operation)}"


def register() -> None:
    """Make checks and new orders known to the engine."""
    runner.register(CheckHandler())
    runner.register(CreateHandler())
