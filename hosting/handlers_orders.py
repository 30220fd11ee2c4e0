"""How a hosting order is made at Sinch, looked up after a lost answer, and settled."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, timedelta
from typing import Any, ClassVar

from django.utils import timezone

from hosting import standing, sync, wire
from hosting.models import HostingDraft, HostingOrder, QualifiedNumber
from portal import words
from portal.operations import clients, readings, runner
from portal.operations.heard import after_sending, recall, remember
from portal.operations.models import Operation
from portal.operations.runner import Found, Refused
from portal.sinch.errors import (
    SinchConflict,
    SinchError,
    SinchInvalidRequest,
    SinchNotFound,
)
from portal.sinch.hosting import HostingClient
from portal.work import drafts, items
from portal.work.items import Event
from portal.work.models import WorkItem

# Sinch's clock may be behind ours.
CREATED_SLACK = timedelta(hours=1)
STATES = tuple(HostingOrder.State.values)


def register() -> None:
    """Make the writes known to the engine."""
    for handler in (
        ImportHandler(),
        TextEnableHandler(),
        TollFreeHandler(),
        QualifiedTextEnableHandler(),
        QualifiedTollFreeHandler(),
    ):
        runner.register(handler)


class NumbersNotShown(SinchError):
    """What may be the order looked for is there, and does not show all its numbers yet."""

    @property
    def staff_message(self) -> str:
        """What stands at Sinch, and what is missing."""
        return self.reason


class CreateHandler(drafts.CreateHandler):
    """Makes one hosting order. Payload: {"draft": its key, "body": the request}.

    Sinch knows no idempotency key: it is sent once, and looked for among the orders of its plan
    and campaign by name and numbers.
    """

    drafts = HostingDraft
    order_type: ClassVar[str]
    how_found_out = (
        "Orders of the plan and campaign are listed at Sinch; a new one with our name and exactly "
        "our numbers is ours. Without a campaign no list is sure to hold it: when none does, or "
        "Sinch took the order without saying its id, a person decides."
    )

    @abstractmethod
    def create(self, client: HostingClient, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send the request and return what Sinch says of the order."""

    def send(self, operation: Operation) -> dict[str, Any]:
        """Make the order; when the answer does not say its id, look for it."""
        at, client = timezone.now(), clients.hosting_client(operation.project)
        try:
            order = self.create(client, operation.payload["body"])
        except (SinchInvalidRequest, SinchConflict, SinchNotFound):
            # A try before this one may have come through later than anybody looked for it.
            if operation.attempts > 1 and (found := self.found_now(operation)) is not None:
                return found.answer
            raise
        if not order.get("hostingOrderId"):
            return self.taken_without_id(operation)
        remember(operation, order, at)
        return {"id": str(order["hostingOrderId"])}

    def find_out(self, operation: Operation) -> Found | None:
        """Look for a new order with our name and exactly our numbers.

        Raises NumbersNotShown for one that may be ours, Refused when no list can tell.
        """
        client = clients.hosting_client(operation.project)
        body = operation.payload["body"]
        wanted, at = set(body["numbers"]), timezone.now()
        unclear = ""
        for order in self._candidates(operation, client, body):
            said = _numbers_of(client, order["hostingOrderId"])
            if said == wanted:
                remember(operation, order, at)
                return Found({"id": order["hostingOrderId"]})
            if said < wanted:
                unclear = order["hostingOrderId"]
        if unclear:
            raise NumbersNotShown(
                f"The order {unclear} there may be “{body['displayName']}”, but it does not show "
                "all its numbers yet.",
                outcome_unknown=True,
            )
        is_last_look = self.is_last_look(operation)
        if operation.payload.get("taken") and is_last_look:
            raise Refused(
                "Sinch took this order without saying its id, and none of its lists shows it. "
                f"{_look_for(operation)}"
            )
        if not body.get("campaignId") and is_last_look:
            raise Refused(
                "Sinch’s answer was lost, and its lists need not show an order without a campaign: "
                f"nobody knows whether this one was made. {_look_for(operation)}"
            )
        return None

    def _candidates(
        self, operation: Operation, client: HostingClient, body: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Yield new orders with our name; one that a list shows without a name is read."""
        known = set(
            HostingOrder.objects.filter(
                project=operation.project, first_seen_at__lt=operation.created_at
            ).values_list("sinch_id", flat=True)
        )
        for order in self._listed(operation, client, body):
            if order["hostingOrderId"] in known or not _is_new(order, operation):
                continue
            if not order.get("displayName"):
                # One that is not to be read yet is told by its numbers, as soon as they are shown.
                with suppress(SinchNotFound):
                    order |= client.get_hosting_order(order["hostingOrderId"])
            has_our_name = order.get("displayName") in (None, "", body["displayName"])
            if has_our_name and _is_new(order, operation):
                yield order

    def _listed(
        self, operation: Operation, client: HostingClient, body: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        try:
            for state in STATES:
                for entry in client.iter_hosting_orders(
                    state=state,
                    order_type=self.order_type,
                    service_plan_id=body["servicePlanId"],
                    campaign_id=body.get("campaignId", ""),
                ):
                    yield dict(entry)
        except SinchInvalidRequest as error:
            if body.get("campaignId"):
                raise
            raise Refused(
                "Sinch lists no orders without a campaign, so this one cannot be looked up. "
                f"{_look_for(operation)}"
            ) from error

    def looked_up_by(self, operation: Operation) -> str:
        """Return our name for the order."""
        return f"its name, “{operation.payload['body']['displayName']}”"

    def succeeded(self, operation: Operation, answer: dict[str, Any]) -> None:
        """Store the order, hand it to who sent it, and close the draft."""
        heard, body = recall(operation), operation.payload["body"]
        draft = HostingDraft.objects.select_related("follows").get(pk=operation.payload["draft"])
        read = {"hostingOrderId": answer["id"], "type": self.order_type}
        if heard is not None:
            read |= {key: value for key, value in heard.payload.items() if value is not None}
        order = sync.store_reading(
            operation.project,
            read,
            heard.at if heard else operation.sent_at or operation.created_at,
            sent=body,
            follows=draft.follows,
        ).order
        item = WorkItem.objects.get(pk=order.item_id)
        items.give_to_sender(item, operation)
        HostingDraft.objects.filter(pk=draft.pk).update(
            state=HostingDraft.State.SENT, order=order, updated_at=timezone.now()
        )
        items.adopt(item, operation)
        sync.tell(
            order,
            [
                Event(
                    f"Order accepted by Sinch as {answer['id']}",
                    ("operation", operation.pk, "accepted"),
                    tone="done",
                    glyph="done",
                    cause=after_sending(operation),
                    operation=operation,
                )
            ],
        )
        if draft.follows is not None:
            text = f"{len(body['numbers'])} of its numbers move to Sinch at T-Mobile by {item}"
            fact = ("operation", operation.pk, "follows")
            sync.tell(draft.follows, [Event(text, fact, tone="date", glyph="half")])
        readings.want_one(operation.project, sync.ORDER_READER, order.sinch_id, "staff")
        self._read_qualified(operation)

    def uncertain(self, operation: Operation) -> None:
        """Tell that the answer was lost, and judge the order anew whose numbers were to move."""
        super().uncertain(operation)
        self._judge_followed(operation)

    def _judge_followed(self, operation: Operation) -> None:
        followed = self._draft(operation).exclude(follows=None).values_list("follows", flat=True)
        for pk in followed:
            standing.wake(pk)

    @staticmethod
    def _read_qualified(operation: Operation) -> None:
        rows = QualifiedNumber.objects.filter(
            project=operation.project, phone_number__in=operation.payload["body"]["numbers"]
        )
        wishes = dict.fromkeys(rows.values_list("phone_number", flat=True), timezone.now())
        readings.want(operation.project, sync.QUALIFIED_READER, wishes, "staff")

    def failed(self, operation: Operation) -> None:
        """Open the draft again; what Sinch says is imported already, or not known, is read."""
        super().failed(operation)
        self._judge_followed(operation)
        if operation.answer.get("status") == 409:
            wishes = dict.fromkeys(operation.payload["body"]["numbers"], timezone.now())
            readings.want(operation.project, sync.IMPORTED_READER, wishes, "staff")
        if operation.answer.get("status") == 404:
            self._read_qualified(operation)


def _is_new(order: Mapping[str, Any], operation: Operation) -> bool:
    """Tell whether an order can be ours by its age; one without an age can."""
    created = wire.read_moment(order.get("createdTime"))
    return created is None or created >= operation.created_at - CREATED_SLACK


def _numbers_of(client: HostingClient, order_id: str) -> set[str]:
    """Return the numbers an order shows; none may be shown for a while after it was made."""
    try:
        return {wire.phone_of(number) for number in client.iter_hosting_order_numbers(order_id)}
    except SinchNotFound:
        return set()


def _look_for(operation: Operation) -> str:
    """Return what a person is to look for where the desk cannot, and what is known of it."""
    body = operation.payload["body"]
    count = words.count_text(len(body["numbers"]), "number")
    sent_at = (operation.sent_at or operation.created_at).astimezone(UTC)
    return (
        f"Look for “{body['displayName']}” in Sinch’s dashboard before sending it again: {count} "
        f"for the service plan {body['servicePlanId']}, sent "
        f"{sent_at:%Y-%m-%d %H:%M} UTC."
    )


class ImportHandler(CreateHandler):
    """Makes an import order."""

    kind = "hosting.import"
    order_type = "IMPORT"

    def create(self, client: HostingClient, body: Mapping[str, Any]) -> dict[str, Any]:
        """Import."""
        return dict(client.import_numbers(body))


class TextEnableHandler(CreateHandler):
    """Makes a text-enable order."""

    kind = "hosting.text_enable"
    order_type = "TYPE_TEXT_ENABLE"

    def create(self, client: HostingClient, body: Mapping[str, Any]) -> dict[str, Any]:
        """Text-enable."""
        return dict(client.text_enable_numbers(body))


class TollFreeHandler(CreateHandler):
    """Makes a toll-free order."""

    kind = "hosting.toll_free"
    order_type = "TYPE_TEXT_ENABLE"

    def create(self, client: HostingClient, body: Mapping[str, Any]) -> dict[str, Any]:
        """Text-enable toll-free numbers."""
        return dict(client.text_enable_toll_free_numbers(body))


class QualifiedTextEnableHandler(CreateHandler):
    """Makes a text-enable order of verified numbers; Sinch answers with its id alone."""

    kind = "hosting.text_enable_qualified"
    order_type = "TYPE_TEXT_ENABLE"

    def create(self, client: HostingClient, body: Mapping[str, Any]) -> dict[str, Any]:
        """Text-enable verified numbers."""
        return {"hostingOrderId": client.text_enable_qualified_numbers(body)}


class QualifiedTollFreeHandler(CreateHandler):
    """Makes a toll-free order of verified numbers."""

    kind = "hosting.toll_free_qualified"
    order_type = "TYPE_TEXT_ENABLE"

    def create(self, client: HostingClient, body: Mapping[str, Any]) -> dict[str, Any]:
        """Text-enable verified toll-free numbers."""
        return dict(client.text_enable_qualified_toll_free_numbers(body))
