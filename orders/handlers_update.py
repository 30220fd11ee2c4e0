"""How a change of a port-in order is sent: never over what somebody else changed meanwhile."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from orders import bodies, comparing, conflicts, sync, wire
from orders.edit_words import in_sentence, label_of, whose
from orders.edit_work import unpacked
from orders.forms import listed
from orders.handlers import REFUSALS, OrderHandler, came_through
from orders.models import PortInNumber, PortInOrder
from orders.places import one_at_a_time, taken_numbers
from portal import words
from portal.operations import clients, runner
from portal.operations.heard import Heard, recall, remember
from portal.operations.models import Operation
from portal.operations.runner import Found, Refused

_NAMED = 3  # fields that a refusal names before it counts the rest


class UpdateHandler(OrderHandler):
    """Replaces a PENDING order in full. Sent twice it does the same, so no harm is done.

    The payload holds `body`, what is sent; `base`, the digest of the copy it was made against;
    and `against`, that copy itself, so that only what would be lost keeps it from being sent.
    """

    kind = "port_in.update"
    what = "Changes"
    how_found_out = (
        "The order is read and compared with what was sent; if it is neither that nor what the "
        "edit started from, somebody else has changed it and a person decides."
    )
    # A reading and a write, each with its time-outs.
    flight_seconds = 90.0

    def send(self, operation: Operation) -> dict[str, Any]:
        """Read the order, then send the replacement unless it would undo somebody's change."""
        order, body = self.order(operation), operation.payload["body"]
        seen = self.read(operation, order)
        now = wire.merge_reading(order.payload, wire.redact(seen))
        try:
            self._refuse_if_locked(now)
            self._refuse_if_it_undoes(operation, order, now)
            at = timezone.now()
            client = clients.porting_client(operation.project)
            answer = client.update_port_in_order(order.sinch_id, body)
        except (Refused, *REFUSALS) as refusal:
            try:
                return came_through(self, operation, refusal).answer
            except Refused:
                raise refusal from None  # it names the fields; that it was looked for says less
        remember(operation, answer, at)
        return {}

    @staticmethod
    def _refuse_if_locked(now: Mapping[str, Any]) -> None:
        status = wire.read_status(now.get("status"))
        if status not in ("", PortInOrder.Status.PENDING):
            label = words.chip("order", status).label.lower()
            raise Refused(
                f"The order is {label} by now, and only a pending order can be changed. "
                "Ask Sinch by note what can still be done."
            )

    @staticmethod
    def _refuse_if_it_undoes(
        operation: Operation, order: PortInOrder, now: Mapping[str, Any]
    ) -> None:
        """Raise Refused when Sinch's copy has a change in it that the body would overwrite."""
        base, body = operation.payload.get("base"), operation.payload["body"]
        if not base or comparing.digest(now) == base:
            return
        against = unpacked(operation.payload.get("against", ""))
        if against is None:
            lost = [conflicts.Unit("", "", "")] if comparing.differences(body, now) else []
        else:
            lost = conflicts.overwritten(against, body, bodies.write_body(now, order.secrets))
        if lost:
            raise Refused(
                f"Somebody else changed {_named(lost)} at Sinch since you looked. Nothing was "
                "sent. Open the edit: it shows both, and you choose."
            )

    def find_out(self, operation: Operation) -> Found | None:
        """Compare the order with what was sent and with what the edit started from."""
        order = self.order(operation)
        base, body = operation.payload.get("base"), operation.payload["body"]
        seen = self.read(operation, order)
        now = wire.merge_reading(order.payload, wire.redact(seen))
        if comparing.differences(body, seen):
            if base and comparing.digest(now) != base:
                raise Refused(
                    "The order at Sinch is neither as it was nor as we sent it: somebody else "
                    "changed it. Open the edit: it shows both, and you choose."
                )
            if wire.read_status(seen.get("status")) != PortInOrder.Status.PENDING:
                raise Refused("The order was locked before our change arrived.")
            return None
        # A reading that says nothing of what was changed is like the old copy as well.
        against = unpacked(operation.payload.get("against", "")) or order.payload
        is_visible = bool(comparing.differences(against, seen))
        differ = comparing.echoed_secrets_differ(body, seen)
        # Where Sinch does not show what was changed, secrets above all, the carrier's taking the
        # refused numbers up again is the trace. Without one it is sent again, which does no harm.
        if differ or (
            differ is None and not is_visible and not self._went_on(operation, order, seen)
        ):
            return None
        return Found({})

    @staticmethod
    def _went_on(operation: Operation, order: PortInOrder, seen: Mapping[str, Any]) -> bool:
        """Tell whether refused numbers are pending again, or further, since this was sent."""
        status = PortInNumber.Status
        by_status: dict[str, list[str]] = defaultdict(list)
        for number in wire.read_order(seen).numbers:
            by_status[number.status].append(number.phone_number)
        pending = by_status[status.PENDING]
        further = by_status[status.CONFIRMED] + by_status[status.ACTIVATED]
        was_refused = Q(status=status.REJECTED)
        since = Q(status_since__gte=operation.sent_at or operation.created_at)
        # Of those that are further the mirror need not have seen that they were pending again.
        went_on = Q(phone_number__in=pending) & (was_refused | since)
        went_on |= Q(phone_number__in=further) & (was_refused | since & ~Q(refused_before=[]))
        return PortInNumber.objects.filter(went_on, order=order).exists()

    def hold(self, operation: Operation) -> None:
        """Lock the project, as who sends another order, when it is taken up."""
        if operation.state == Operation.State.DEAD:
            one_at_a_time(operation.project_id)

    def overtaken(self) -> Sequence[tuple[Any, str]]:
        """Change nothing beside a cancelation."""
        canceling = Operation.objects.filter(
            target=OuterRef("target"), kind="port_in.cancel", state__in=Operation.UNDER_WAY
        )
        why = "The order is being canceled. Wait for what becomes of that."
        return [(Exists(canceling), why)]

    def why_not_again(self, operation: Operation) -> str:
        """Add no number that is in another order by now."""
        order = self._order_or_none(operation)
        # One that may have left is looked up first: the number may be in this order as well.
        if order is None or operation.uncertain_since is not None:
            return ""
        known = order.numbers.values_list("phone_number", flat=True)
        added = wire.numbers_of(operation.payload["body"]).difference(known)
        taken, _ = taken_numbers(order.project, [*added], order=order)
        why = "Another order has a number that this adds by now. Open the edit and leave it out."
        return why if taken else ""

    def failed(self, operation: Operation) -> None:
        """Store what was read at Sinch, so that the edit shows it at once; then tell."""
        heard, order = recall(operation), self._order_or_none(operation)
        if heard and order:
            sync.store_reading(operation.project, {**heard.payload, "id": order.sinch_id}, heard.at)
        super().failed(operation)

    def store(
        self,
        operation: Operation,
        order: PortInOrder,
        answer: dict[str, Any],
        heard: Heard | None,
    ) -> None:
        """Take over what was sent, its PINs included, and what Sinch answered."""
        body = operation.payload["body"]
        # An answer with nothing in it still stands for what was sent.
        said = {**(heard.payload if heard else {}), "id": order.sinch_id}
        at = heard.at if heard else operation.sent_at or operation.created_at
        if at <= order.fetched_at:
            body = self._beside_a_newer_reading(operation, order)
        # A number that has left takes its PIN with it.
        numbers = {*wire.numbers_of(body), *(order.secrets or {})}
        sync.store_reading(
            operation.project,
            said,
            at,
            secrets={**{key: {} for key in numbers}, **wire.order_secrets(body)},
            sent=body,
            replaces=True,
        )

    @staticmethod
    def _beside_a_newer_reading(operation: Operation, order: PortInOrder) -> Mapping[str, Any]:
        """Return what was sent, but for what the mirror has heard anew since it left.

        What is there as it was before says nothing: the reading may have been faster than our
        change, and need not repeat what was ordered.
        """
        body: Mapping[str, Any] = operation.payload["body"]
        now = bodies.write_body(order, order.secrets)
        against = unpacked(operation.payload.get("against", ""))
        return conflicts.merge(against or now, body, now, choices={}).body


def _named(lost: list[conflicts.Unit]) -> str:
    """Return `the city of +1 …` for what would be lost, `this order` where it is not known."""
    by_field: dict[str, list[str]] = {}
    for unit in lost:
        name = f"the {in_sentence(label_of(unit))}" if unit.field else "the list of numbers"
        by_field.setdefault(name if any(unit) else "this order", []).append(unit.number)
    said = [" ".join(filter(None, (name, whose(n, 0)))) for name, n in by_field.items()]
    more = [words.count_text(len(said) - _NAMED, "more field")] if len(said) > _NAMED else []
    return listed([*said[:_NAMED], *more])


def register() -> None:
    """Make changes of orders known to the engine."""
    runner.register(UpdateHandler())
