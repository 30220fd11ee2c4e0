"""The operations of the Porting API, worked on the sandbox's state.

Each method answers one operation of the description and is named after it. Rules that a schema
cannot hold (a number in another living order, a date in the future) are checked here.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from portal.sandbox.clock import DEFAULT_PORT_ZONE, iso_instant, parse_instant, today_in
from portal.sandbox.config import SandboxConfig
from portal.sandbox.life import Life
from portal.sandbox.rules import (
    TOLL_FREE_AREA_CODES,
    area_code,
    country_code,
    is_north_american,
    losing_carrier,
    why_not_portable,
)
from portal.sandbox.state import (
    CONFIRMED,
    EXCLUDED,
    NUMBER_KEYS,
    PENDING,
    REJECTED,
    Json,
    Number,
    Order,
    State,
)
from portal.sandbox.wire import Wire

DEFAULT_PAGE_SIZE = 100
DEFAULT_PORT_TIME = "09:00:00"
# What Sinch may charge for is refused while the balance is zero.
PAID_OPERATIONS = frozenset(
    {"checkPortingAvailability", "orderPortIn", "updatePortInOrder", "activatePortIn"}
)
ERROR_NAMES = {
    400: ("Bad Request", "INVALID_ARGUMENT", "The request could not be understood by the server."),
    402: ("Payment required", "FAILED_PRECONDITION", "Account balance is zero."),
    404: ("Not found", "NOT_FOUND", "The resource is not found."),
    405: ("Method not allowed", "UNIMPLEMENTED", "This method is not known here."),
    409: ("Conflict", "FAILED_PRECONDITION", "The order's status does not allow this."),
    413: ("Request too large", "INVALID_ARGUMENT", "The request is too large."),
    422: ("Invalid parameters", "INVALID_ARGUMENT", "The request holds invalid values."),
    429: ("Too many requests", "RESOURCE_EXHAUSTED", "Back off and try again later."),
    500: ("Internal service error", "INTERNAL", "Most likely temporary."),
    503: ("Service unavailable", "UNAVAILABLE", "Most likely temporary."),
}


@dataclass
class Reply:
    """An answer before it is written down; a `body` of None stands for an empty one."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """The request is refused with an HTTP status, a message, and the fields it is about."""

    def __init__(
        self, status: int, message: str = "", violations: list[tuple[str, str]] | None = None
    ) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message
        self.violations = violations or []


@dataclass(frozen=True)
class Call:
    """A request that the contract has nothing against."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    key_id: str


def error_reply(shape: str, refusal: Refusal) -> Reply:
    """Return a refusal as an answer, in the personality's error shape.

    Source: Porting API, "Error messages". The documented body of a 400 says 404; so does ours.
    """
    status = refusal.status
    name, word, default = ERROR_NAMES.get(status, ("Error", "UNKNOWN", "The request failed."))
    message = refusal.message or default
    fields = [{"field": f, "description": d} for f, d in refusal.violations]
    if shape == "none":
        return Reply(status)
    if shape == "reference":
        body: Json = {"code": status, "status": word, "message": message}
        if fields:
            body["details"] = [{"type": "BadRequest", "fieldViolations": fields}]
        return Reply(status, body)
    if shape in ("flat", "enveloped"):
        body = {
            "code": status if shape == "enveloped" else str(status),
            "message": message,
            "status": "ALREADY_EXISTS" if status == 409 else word,
        }
        if fields:
            body["details"] = [{"type": "BadRequest", "fieldViolations": fields}]
        return Reply(status, {"error": body} if shape == "enveloped" else body)
    body = {"code": "404" if status == 400 else str(status), "error": name, "message": message}
    if fields:
        body["details"] = {"fieldViolations": fields}
    return Reply(status, body)


class PortingApi:
    """Sinch's Porting API on a state. Callers hold the state's lock."""

    def __init__(
        self, state: State, config: SandboxConfig, life: Life, emit: Callable[..., None]
    ) -> None:
        self._state = state
        self._config = config
        self._life = life
        self._emit = emit
        self._handlers: dict[str, Callable[[Call], Reply]] = {
            "checkPortingAvailability": self.check_porting_availability,
            "orderPortIn": self.order_port_in,
            "getPortInOrders": self.get_port_in_orders,
            "getOrderDetails": self.get_order_details,
            "updatePortInOrder": self.update_port_in_order,
            "deleteOrder": self.delete_order,
            "getPortInPhoneGroups": self.get_port_in_phone_groups,
            "addOrderNote": self.add_order_note,
            "addOrderDocuments": self.add_order_documents,
            "getPortInOrderDocument": self.get_port_in_order_document,
            "getOrderDocumentContent": self.get_order_document_content,
            "getPortInAvailableActivation": self.get_port_in_available_activation,
            "activatePortIn": self.activate_port_in,
            "getConfiguration": self.get_configuration,
            "createConfiguration": self.create_configuration,
            "updateConfiguration": self.update_configuration,
        }

    def handle(self, operation_id: str, call: Call) -> Reply:
        """Answer one call; raises Refusal."""
        if self._state.zero_balance and operation_id in PAID_OPERATIONS:
            raise Refusal(402)
        return self._handlers[operation_id](call)

    # Numbers and orders

    def check_porting_availability(self, call: Call) -> Reply:
        """Tell for each number whether it can be ported, and who holds it."""
        numbers = call.body["phoneNumbers"]
        self._refuse(
            (f"phoneNumbers[{i}]", f"The ({number}) is not a valid phone number")
            for i, number in enumerate(numbers)
            if not is_north_american(number)
        )
        results = []
        for number in numbers:
            reason = why_not_portable(number)
            result: Json = {"phoneNumber": number, "portable": not reason}
            if area_code(number) not in TOLL_FREE_AREA_CODES:
                result["carrier"] = losing_carrier(number)
            if reason or self._how.blanks == "empty":
                result["reason"] = reason
            results.append(result)
        return Reply(200, {"phoneNumbers": results})

    def order_port_in(self, call: Call) -> Reply:
        """Create an order."""
        order = self.make_order(call.body, origin="api")
        self._emit("ORDER_UPDATED", order)
        return self._written(int(self._how.create_status), self._wire.answer_to_write(order))

    def make_order(self, body: Json, *, origin: str) -> Order:
        """Store an order from a checked body; raises Refusal when a rule forbids it."""
        self._check_order(body)
        order = Order(
            id=self._state.next_order_id(),
            created_at=iso_instant(self._now),
            numbers=[self._new_number(entry) for entry in body["phoneNumbers"]],
            origin=origin,
        )
        self._fill(order, body)
        return self._state.add_order(order)

    def announce(self, order: Order) -> None:
        """Tell by webhook of an order that was not made through this API."""
        self._emit("ORDER_UPDATED", order)

    def get_port_in_orders(self, call: Call) -> Reply:
        """List the orders that match the filters, a page of them."""
        query = call.query
        orders = [o for o in self._candidates(query) if self._matches(o, query)]
        orders.sort(key=lambda o: o.id, reverse=self._how.list_order == "newest")
        size = int(query.get("pageSize", DEFAULT_PAGE_SIZE))
        first = int(self._how.first_page)
        page = int(query.get("page", first))
        start = (page - first) * size
        return Reply(
            200,
            {
                "orders": [
                    self._wire.list_item(o) for o in orders[start : start + size] if start >= 0
                ],
                "page": page,
                "totalPages": math.ceil(len(orders) / size),
                "pageSize": size,
                "totalItems": len(orders),
            },
        )

    def get_order_details(self, call: Call) -> Reply:
        """Read one order."""
        return Reply(200, self._wire.order(self._order(call)))

    def update_port_in_order(self, call: Call) -> Reply:
        """Replace a PENDING order; refused numbers go back to the carrier."""
        order = self._order(call)
        self._need_pending(order, "Order cannot be changed in its present status.")
        self._check_order(call.body, besides=order.id)
        kept = {number.phone_number: number for number in order.numbers}
        numbers = []
        for entry in call.body["phoneNumbers"]:
            number = kept.get(entry["phoneNumber"]) or self._new_number(entry)
            number.details = self._details(entry)
            if number.status == REJECTED:
                number.status = PENDING
                number.reject_reason = ""
                number.excluded_at = None
            numbers.append(number)
        order.numbers = numbers
        for number in numbers:
            if not number.group:
                order.join_group(number)
        order.waited = 0
        self._fill(order, call.body)
        self._state.index(order)
        self._state.touch()
        self._emit("ORDER_UPDATED", order)
        return self._written(200, self._wire.answer_to_write(order))

    def delete_order(self, call: Call) -> Reply:
        """Begin to cancel a PENDING order."""
        order = self._order(call)
        self._need_pending(order, "Order cannot be canceled in its present status.")
        self._life.ask_cancel(order)
        if self._how.cancel_answer == "no_content":
            return Reply(204)
        whole = self._how.cancel_answer == "order"
        return self._written(200, self._wire.answer_to_write(order) if whole else {})

    def get_port_in_phone_groups(self, call: Call) -> Reply:
        """Read the numbers by carrier group, where this personality has that operation."""
        order = self._order(call)
        if self._how.phone_groups == "missing":
            raise Refusal(404)
        return Reply(200, self._wire.phone_groups(order))

    # Notes and documents

    def add_order_note(self, call: Call) -> Reply:
        """Add the customer's note; it fires NEW_ORDER_NOTE like any other."""
        order = self._order(call)
        if not call.body["note"].strip():
            self._refuse([("note", "Must not be empty")])
        note = self._life.note(order, call.body["note"], by=call.key_id)
        answer = {"id": self._id(note["id"]), "note": note["note"]}
        return self._written(int(self._how.added_status), answer)

    def add_order_documents(self, call: Call) -> Reply:
        """Store a document sent as base64."""
        order, body = self._order(call), call.body
        try:
            content = base64.b64decode(body["fileContent"], validate=True)
        except (binascii.Error, ValueError):
            self._refuse([("fileContent", "Not valid base64")])
            raise
        if len(content) > self._config.document_limit:
            self._refuse([("fileContent", "The document is too large")])
        document = self._state.add_document(
            order, body["documentName"], body.get("description"), body["fileContent"]
        )
        self._emit("ORDER_UPDATED", order)
        return self._written(int(self._how.added_status), self._wire.document(document))

    def get_port_in_order_document(self, call: Call) -> Reply:
        """Read a document under the path of the seed documents."""
        return self._document(call, "port_ins")

    def get_order_document_content(self, call: Call) -> Reply:
        """Read a document under the path of the reference."""
        return self._document(call, "orders")

    # Activation

    def get_port_in_available_activation(self, call: Call) -> Reply:
        """List the groups that can be activated now."""
        order = self._order(call)
        ready = self._life.ready_groups(order)
        return Reply(200, self._wire.available_activations(order, ready))

    def activate_port_in(self, call: Call) -> Reply:
        """Accept the activation of chosen groups, or of the whole order without a body."""
        order = self._order(call)
        if order.status != CONFIRMED:
            raise Refusal(422, "Order cannot be activated in its present status.")
        if not order.on_demand:
            raise Refusal(422, "Order is not set to on-demand activation.")
        ready = self._life.ready_groups(order)
        if call.body is None:
            waiting = [n for n in order.in_status(CONFIRMED, PENDING) if not n.activating_at]
            if not ready or any(n.group not in ready for n in waiting):
                raise Refusal(422, "FOC date must be today or earlier.")
            names = list(ready)
        else:
            names = self._chosen_groups(order, call.body, ready)
        for name in names:
            self._life.begin_activation(order, ready[name], by=call.key_id)
        groups = [{"phoneNumberGroup": name, "status": "ACTIVATING"} for name in names]
        return self._written(200, {"phoneNumberGroups": groups})

    def _chosen_groups(self, order: Order, body: Json, ready: dict[str, list[Number]]) -> list[str]:
        wrapped = self._how.activations == "wrapped"
        key, wrong = ("groupIds", "phoneNumberGroups")[:: 1 if wrapped else -1]
        if wrong in body:
            self._refuse([(wrong, "Unknown field"), (key, "This field is required")])
        names = {order.group_id(name): name for name in ready} if wrapped else {n: n for n in ready}
        violations = [
            (f"{key}[{i}]", "Group is not available for activation")
            for i, chosen in enumerate(body[key])
            if chosen not in names
        ]
        if violations:
            raise Refusal(422, "FOC date must be today or earlier.", violations)
        return list(dict.fromkeys(names[chosen] for chosen in body[key]))

    # Settings

    def get_configuration(self, call: Call) -> Reply:
        """Read the project's porting settings."""
        if self._state.configuration is None:
            if self._how.configuration_absent == "not_found":
                raise Refusal(404)
            return Reply(200, {})
        return Reply(200, self._wire.configuration(self._state.configuration))

    def create_configuration(self, call: Call) -> Reply:
        """Store the project's porting settings."""
        return self._store_configuration(call, int(self._how.added_status))

    def update_configuration(self, call: Call) -> Reply:
        """Replace the project's porting settings."""
        absent = self._state.configuration is None
        if absent and self._how.configuration_absent == "not_found":
            raise Refusal(404)
        return self._store_configuration(call, 200)

    def _store_configuration(self, call: Call, status: int) -> Reply:
        self._state.configuration = dict(call.body)
        self._state.touch()
        return self._written(status, self._wire.configuration(self._state.configuration))

    # Helpers

    @property
    def _how(self) -> Any:
        return self._state.personality

    @property
    def _wire(self) -> Wire:
        return Wire(self._state.personality)

    @property
    def _now(self) -> datetime:
        return self._config.clock.now()

    def _id(self, number: int) -> int | str:
        return str(number) if self._how.order_ids == "string" else number

    def _written(self, status: int, body: Any) -> Reply:
        return Reply(status, None if self._how.write_bodies == "none" else body)

    def _order(self, call: Call) -> Order:
        order = self._state.orders.get(int(call.path["orderId"]))
        if order is None:
            raise Refusal(404)
        return order

    def _need_pending(self, order: Order, message: str) -> None:
        if order.status != PENDING:
            raise Refusal(int(self._how.locked_status), message)

    def _document(self, call: Call, path: str) -> Reply:
        order = self._order(call)
        if self._how.document_path not in {path, "both"}:
            raise Refusal(404)
        for document in order.documents:
            if document["id"] == int(call.path["documentId"]):
                return Reply(200, self._wire.document(document, content=True))
        raise Refusal(404)

    @staticmethod
    def _refuse(violations: Any) -> None:
        found = list(violations)
        if found:
            raise Refusal(422, violations=found)

    def _check_order(self, body: Json, besides: int | None = None) -> None:
        """Refuse what no schema can see. Source: Porting API, "Create a port-in order"."""
        violations: list[tuple[str, str]] = []
        seen: set[str] = set()
        # The day counts where it begins last: a client that takes the date of the office in the
        # East just after midnight is refused, as it may be at Sinch.
        latest_today = today_in("US/Pacific", self._now)
        for i, entry in enumerate(body["phoneNumbers"]):
            number, place = entry["phoneNumber"], f"phoneNumbers[{i}]"
            where = f"{place}.phoneNumber"
            if not is_north_american(number):
                violations.append((where, f"The ({number}) is not a valid phone number"))
                continue
            if number in seen:
                violations.append((where, "The number appears twice"))
            seen.add(number)
            if reason := why_not_portable(number):
                violations.append((where, reason))
            if self._state.order_holding(number, besides=besides):
                violations.append((where, "The number is in another order that is not finished"))
            authorized = entry["portOutInfo"].get("authorizingDate")
            if authorized:
                try:
                    moment = parse_instant(authorized)
                except ValueError:
                    violations.append((f"{place}.portOutInfo.authorizingDate", "Not a valid date"))
                    continue
                dated = len(authorized) == 10
                late = moment.date() > latest_today if dated else moment > self._now
                if late:
                    violations.append(
                        (f"{place}.portOutInfo.authorizingDate", "Must be today or earlier")
                    )
        canadian = any(country_code(n) == "CA" for n in seen)
        if canadian and not (body.get("resellerName") or "").strip():
            violations.append(("resellerName", "Required for Canadian numbers"))
        self._refuse(violations)

    def _details(self, entry: Json) -> Json:
        details = {key: entry[key] for key in NUMBER_KEYS if key in entry}
        details["endUser"] = {"typeOfService": "B", **details["endUser"]}
        return details

    def _new_number(self, entry: Json) -> Number:
        return Number(entry["phoneNumber"], self._details(entry))

    def _fill(self, order: Order, body: Json) -> None:
        defaults = self._state.configuration or {}
        order.schedule = {
            "desiredPortTime": defaults.get("defaultPortTime") or DEFAULT_PORT_TIME,
            "desiredPortTimeZone": defaults.get("defaultPortTimeZone") or DEFAULT_PORT_ZONE,
            **body["desiredPortSchedule"],
        }
        order.reference = body.get("customerOrderReference")
        order.on_demand = bool(body.get("onDemandActivation"))
        order.loa_uploaded_by = body.get("loaUploadedBy")
        order.loa_attachment_date = body.get("loaAttachmentDate")
        order.reseller_name = body.get("resellerName")

    def _candidates(self, query: Mapping[str, str]) -> list[Order]:
        """Return the orders an exact filter leaves, without looking at every order."""
        if "orderId" in query:
            order = self._state.orders.get(int(query["orderId"]))
            return [order] if order else []
        if "phoneNumber" in query:
            return list(self._state.orders_of(query["phoneNumber"]))
        return list(self._state.orders.values())

    def _matches(self, order: Order, query: Mapping[str, str]) -> bool:
        if "phoneNumber" in query and not order.number(query["phoneNumber"]):
            return False
        if "orderStatus" in query and order.status != query["orderStatus"]:
            return False
        reference = query.get("customerOrderReference")
        if reference is not None and order.reference != reference:
            return False
        created = parse_instant(order.created_at)
        if "createdDateStart" in query and created < parse_instant(query["createdDateStart"]):
            return False
        if "createdDateEnd" in query and created > parse_instant(query["createdDateEnd"]):
            return False
        if "focStartDate" in query or "focEndDate" in query:
            dates = [n.foc_date for n in order.numbers if n.foc_date and n.status != EXCLUDED]
            start = _day(query.get("focStartDate")) or "0000-00-00"
            end = _day(query.get("focEndDate")) or "9999-99-99"
            return any(start <= day <= end for day in dates)
        return True


def _day(text: str | None) -> str | None:
    match = re.match(r"\d{4}-\d{2}-\d{2}", text or "")
    return match[0] if match else None
