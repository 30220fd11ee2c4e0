"""The Porting API: one method for each of Sinch's operations.

Where Sinch's documents differ or are silent, every reading is accepted here and the caller sees
one shape. Order ids and document ids come out as text; everything else stays as Sinch sent it.
All methods raise SinchError; see `portal.sinch.errors` for which and for `outcome_unknown`.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote

from portal.sinch.errors import SinchNotFound, SinchUnexpectedReply
from portal.sinch.payloads import (
    ActivateKey,
    ActivateResponse,
    Configuration,
    ConfigurationContact,
    DocumentMeta,
    Note,
    OrderListItem,
    PortabilityResult,
    PortInOrder,
    PortInOrderWrite,
    writable_order,
)
from portal.sinch.transport import Transport
from portal.values import phone_of

CHECK_BATCH = 500  # numbers in one portability check: the most an order takes
PAGE_SIZE = 1000  # orders in one list page: the most Sinch gives
ORDERS = "/orders/portIns"
CONFIGURATION = "/configuration"
# Sinch's two documents about reading a document name two paths.
_DOCUMENT_PATHS = (
    "/orders/portIns/{order}/documents/{doc}",
    "/orders/{order}/documents/{doc}",
)


@dataclass(frozen=True)
class ActivationGroup:
    """A group Sinch says is ready to activate.

    `key` is what to send back, under the request key named by `shape`. `numbers` are E.164,
    `foc_date` is Sinch's text (date or date-time) and `status` Sinch's word, where given.
    """

    key: str
    numbers: tuple[str, ...] = ()
    foc_date: str | None = None
    shape: ActivateKey = "phoneNumberGroups"
    status: str | None = None


@dataclass(frozen=True)
class PhoneGroup:
    """The numbers of an order at one losing carrier; `foc_date` is Sinch's text."""

    name: str
    numbers: tuple[str, ...] = ()
    foc_date: str | None = None
    status: str | None = None


@dataclass(frozen=True)
class DocumentContent:
    """A document with its bytes; `content_type` is Sinch's word for it and may be missing."""

    id: str
    name: str
    description: str
    content_type: str | None
    content: bytes = field(repr=False)


class PortingClient:
    """The porting operations of one Sinch project; safe to share between threads."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._document_path = _DOCUMENT_PATHS[0]

    def __repr__(self) -> str:
        """Return what may be told: the project, never the key."""
        return f"<PortingClient {self._transport!r}>"

    # Port-in numbers

    def check_porting_availability(self, numbers: Sequence[str]) -> list[PortabilityResult]:
        """Return Sinch's verdict on each distinct E.164 number, asking 500 at a time.

        A number Sinch says nothing about is missing from the result: it is not checked. The
        check changes nothing at Sinch and is repeated like a read.
        Source: Porting API, "Check porting availability".
        """
        path = "/portabilityChecks"
        distinct = list(dict.fromkeys(numbers))
        results: list[PortabilityResult] = []
        for start in range(0, len(distinct), CHECK_BATCH):
            body = {"phoneNumbers": distinct[start : start + CHECK_BATCH]}
            answer = self._transport.post(path, body, is_read=True)
            found = answer.get("phoneNumbers") if isinstance(answer, dict) else None
            if not isinstance(found, list) or not all(_is_verdict(item) for item in found):
                raise _unexpected("POST", path, "no verdict for each number")
            results.extend(found)
        return results

    def order_port_in(self, order: Mapping[str, Any]) -> PortInOrder:
        """Create an order, sent once, and return it as Sinch answers; {} when it says nothing.

        After an unknown outcome look for it with `find_orders_by_reference` before trying again:
        Sinch knows no idempotency key. Only writable keys of `order` are sent.
        Source: Porting API, "Create a port-in order".
        """
        body: PortInOrderWrite = writable_order(order)
        return self._order_written("POST", ORDERS, self._transport.post(ORDERS, body))

    def iter_port_in_orders(
        self,
        *,
        order_id: str | int | None = None,
        order_status: str | None = None,
        customer_order_reference: str | None = None,
        phone_number: str | None = None,
        created_from: datetime | None = None,
        created_until: datetime | None = None,
        foc_from: datetime | None = None,
        foc_until: datetime | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Iterator[OrderListItem]:
        """Yield every order that fits, once, fetching pages as they are needed.

        Instants must have a time zone. No order of sorting is promised.
        Source: Porting API, "List port-in orders".
        """
        for page in self.get_port_in_orders(
            order_id=order_id,
            order_status=order_status,
            customer_order_reference=customer_order_reference,
            phone_number=phone_number,
            created_from=created_from,
            created_until=created_until,
            foc_from=foc_from,
            foc_until=foc_until,
            page_size=page_size,
        ):
            yield from page

    def get_port_in_orders(
        self,
        *,
        order_id: str | int | None = None,
        order_status: str | None = None,
        customer_order_reference: str | None = None,
        phone_number: str | None = None,
        created_from: datetime | None = None,
        created_until: datetime | None = None,
        foc_from: datetime | None = None,
        foc_until: datetime | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Iterator[list[OrderListItem]]:
        """Yield the orders that fit page by page, each order once; as `iter_port_in_orders`.

        Source: Porting API, "List port-in orders" and "Pagination".
        """
        # The latest reference does not know this status as a filter; it is sorted out here.
        is_own_filter = order_status == "PENDING_CANCELATION"
        query: dict[str, object] = {
            "orderId": None if order_id is None else _order_id(order_id),
            "orderStatus": None if is_own_filter else order_status,
            "customerOrderReference": customer_order_reference,
            "phoneNumber": phone_number,
            "createdDateStart": _instant(created_from),
            "createdDateEnd": _instant(created_until),
            "focStartDate": _instant(foc_from),
            "focEndDate": _instant(foc_until),
            "pageSize": page_size,
        }
        for page in self._walk(query):
            yield [
                item
                for item in page
                if order_status is None or str(item.get("status", "")).upper() == order_status
            ]

    def get_order_details(self, order_id: str | int) -> PortInOrder:
        """Return one order with its numbers, notes and documents.

        Raises SinchNotFound for an order unknown to this project.
        Source: Porting API, "Get port-in order details".
        """
        path = f"{ORDERS}/{_order_id(order_id)}"
        answer = self._transport.get(path)
        if not isinstance(answer, dict):
            raise _unexpected("GET", path, "no order in the answer")
        order = _with_text_ids(answer)
        # Another order's facts must never be stored under this one.
        if order.setdefault("id", _order_id(order_id)) != _order_id(order_id):
            raise _unexpected("GET", path, "the answer is about another order")
        return order

    def get_port_in_phone_groups(self, order_id: str | int) -> list[PhoneGroup] | None:
        """Return the order's numbers by carrier group; None where Sinch has no such list.

        None also stands for an unknown order: Sinch answers 404 to both. The caller then groups
        the order's own numbers by `phoneNumberGroup`.
        Source: Porting API guide, "Get phone number groups"; not in the latest reference.
        """
        path = f"{ORDERS}/phoneGroups/{_order_id(order_id)}"
        try:
            answer = self._transport.get(path)
        except SinchNotFound:
            return None
        return [
            PhoneGroup(
                name=_text(entry.get("phoneNumberGroup") or entry.get("groupId")),
                numbers=_numbers_in(entry),
                foc_date=_text(entry.get("focDate")) or None,
                status=_text(entry.get("status")) or None,
            )
            for entry in _entries(path, answer, "phoneNumberGroups")
        ]

    def update_port_in_order(self, order_id: str | int, body: Mapping[str, Any]) -> PortInOrder:
        """Replace a PENDING order, sent once, and return it; {} when Sinch says nothing.

        Whatever `body` leaves out is cleared at Sinch. Keys that can only be read are not sent.
        Source: Porting API, "Update a port-in order".
        """
        path = f"{ORDERS}/{_order_id(order_id)}"
        return self._order_written("PUT", path, self._transport.put(path, writable_order(body)))

    def delete_order(self, order_id: str | int) -> PortInOrder:
        """Ask Sinch to cancel a PENDING order; return the order, or {} when Sinch says nothing.

        Any 2xx is a yes; read the order afterwards to see how far it is.
        Source: Porting API, "Cancel a port-in order".
        """
        path = f"{ORDERS}/{_order_id(order_id)}"
        answer = self._transport.delete(path)
        return _with_text_ids(answer) if isinstance(answer, dict) else {}

    def add_order_note(self, order_id: str | int, text: str) -> Note:
        """Add a note to an order, sent once; return it, or {} when Sinch says nothing.

        Raises ValueError for a blank text. Source: Porting API, "Add a note".
        """
        if not text.strip():
            raise ValueError("a note needs a text")
        path = f"{ORDERS}/{_order_id(order_id)}/notes"
        answer = self._transport.post(path, {"note": text})
        return cast(Note, _with_text_id(answer)) if isinstance(answer, dict) else {}

    def add_order_documents(
        self, order_id: str | int, name: str, description: str, content: bytes
    ) -> DocumentMeta:
        """Attach a document, sent once; return its metadata, or {} when Sinch says nothing.

        Keep the extension in `name`: no content type is sent. Raises ValueError without a name
        or without content. Source: Porting API, "Add documents".
        """
        if not name.strip() or not content:
            raise ValueError("a document needs a name and content")
        path = f"{ORDERS}/{_order_id(order_id)}/documents"
        body = {"documentName": name, "fileContent": base64.b64encode(content).decode()}
        if description:
            body["description"] = description
        answer = self._transport.post(path, body)
        return cast(DocumentMeta, _document(answer)) if isinstance(answer, dict) else {}

    def get_port_in_order_document(
        self, order_id: str | int, document_id: str | int
    ) -> DocumentContent:
        """Return one document with its bytes.

        Two paths are documented; the one that answers is asked first from then on. Raises
        SinchNotFound when neither knows the document.
        Source: Porting API guide, "Get document details"; reference, "Get document content".
        """
        remembered = self._document_path
        other = next(path for path in _DOCUMENT_PATHS if path != remembered)
        try:
            return self._document_at(remembered, order_id, document_id)
        except SinchNotFound:
            document = self._document_at(other, order_id, document_id)
            self._document_path = other
            return document

    # On-demand activation

    def get_port_in_available_activation(self, order_id: str | int) -> list[ActivationGroup]:
        """Return the groups that can be activated now; none means not yet.

        Source: Porting API, "Get available activations"; guide, "Activate numbers".
        """
        path = f"{ORDERS}/{_order_id(order_id)}/availableActivations"
        groups = []
        for entry in _entries(
            path, self._transport.get(path), "activationGroups", "phoneNumberGroups"
        ):
            is_by_id = bool(entry.get("groupId"))
            key = _text(entry.get("groupId") or entry.get("phoneNumberGroup"))
            if not key:
                raise _unexpected("GET", path, "a group without a name")
            groups.append(
                ActivationGroup(
                    key=key,
                    numbers=_numbers_in(entry),
                    foc_date=_text(entry.get("focDate")) or None,
                    shape="groupIds" if is_by_id else "phoneNumberGroups",
                    status=_text(entry.get("status")) or None,
                )
            )
        return groups

    def activate_port_in(
        self, order_id: str | int, groups: Sequence[ActivationGroup] | None = None
    ) -> ActivateResponse:
        """Activate these groups, or the whole order with None; sent once.

        Returns what Sinch says about the groups, {} when nothing. A number is live only when it
        reads ACTIVATED. Raises ValueError for an empty list, which must not come to mean the
        whole order, and for groups of two shapes.
        Source: Porting API, "Activate a port-in order".
        """
        body: dict[str, list[str]] | None = None
        if groups is not None:
            shapes = {group.shape for group in groups}
            if len(shapes) != 1:
                raise ValueError("activate at least one group, all of one shape")
            body = {shapes.pop(): list(dict.fromkeys(group.key for group in groups))}
        try:
            answer = self._transport.post(f"{ORDERS}/{_order_id(order_id)}/activate", body)
        except SinchUnexpectedReply as reply:
            # Any 2xx is a yes, and nothing tells an accepted activation from one not yet begun.
            if not 200 <= (reply.status or 0) < 300:
                raise
            return {}
        return cast(ActivateResponse, answer) if isinstance(answer, dict) else {}

    # Port-in settings

    def get_configuration(self) -> Configuration | None:
        """Return the project's porting defaults; None when nothing has been configured.

        Source: Porting API, "Get configuration".
        """
        try:
            answer = self._transport.get(CONFIGURATION)
        except SinchNotFound:
            return None
        if answer is not None and not isinstance(answer, dict):
            raise _unexpected("GET", CONFIGURATION, "no configuration in the answer")
        return _read_configuration(answer) if answer and any(answer.values()) else None

    def create_configuration(self, configuration: Mapping[str, Any]) -> Configuration:
        """Store the porting defaults where there are none yet; send all four keys.

        Source: Porting API, "Create configuration".
        """
        answer = self._transport.post(CONFIGURATION, dict(configuration))
        return cast(Configuration, answer) if isinstance(answer, dict) else {}

    def update_configuration(self, configuration: Mapping[str, Any]) -> Configuration:
        """Replace the porting defaults; send all four keys. Moves all events to `webhookUrl`.

        Source: Porting API, "Update configuration".
        """
        answer = self._transport.put(CONFIGURATION, dict(configuration))
        return cast(Configuration, answer) if isinstance(answer, dict) else {}

    # Finding a lost answer

    def find_orders_by_reference(
        self, reference: str, created_from: datetime | None = None
    ) -> list[OrderListItem]:
        """Return the orders that carry exactly this reference, to see whether a create was done.

        Sinch's filter may be loose or ignored, so every item is compared here as well. An item
        that does not say its reference is read in full. `created_from` bounds the search.
        Source: Porting API, "List port-in orders".
        """
        wanted = reference.strip()
        found: list[OrderListItem] = []
        for item in self.iter_port_in_orders(
            customer_order_reference=reference, created_from=created_from
        ):
            said = item.get("customerOrderReference")
            if not isinstance(said, str):
                said = self.get_order_details(item["id"]).get("customerOrderReference")
            if isinstance(said, str) and said.strip() == wanted:
                found.append(item)
        return found

    # Within

    def _walk(self, query: dict[str, object]) -> Iterator[list[OrderListItem]]:
        """Yield pages of items not seen before.

        Whether the first page is 0 or 1 is not documented: it is asked for without a number and
        the next is one above the number it came back with. Totals, where Sinch gives them, save
        the request for an empty last page.
        """
        seen: set[str] = set()
        page: int | None = None
        pages_read = 0
        repeats = 0
        while True:
            answer = self._transport.get(ORDERS, {**query, "page": page})
            orders = answer.get("orders") if isinstance(answer, dict) else None
            if not isinstance(orders, list):
                raise _unexpected("GET", ORDERS, "no list of orders in the answer")
            fresh = []
            for entry in orders:
                item = cast(OrderListItem, _with_text_id(_dict(entry)))
                if "id" not in item:
                    raise _unexpected("GET", ORDERS, "an order without an id")
                if item["id"] not in seen:
                    seen.add(item["id"])
                    fresh.append(item)
            if not orders:
                return
            total_items, total_pages = (
                _count(answer, "totalItems"),
                _count(answer, "totalPages"),
            )
            if fresh:
                pages_read += 1
                repeats = 0
                yield fresh
            else:
                # The first page again, because we misjudged its number? One more try tells.
                repeats += 1
                is_more_promised = len(seen) < (total_items or 0)
                if repeats > 1 or not (is_more_promised or _count(answer, "page") is None):
                    return
            if (
                total_items is not None
                and len(seen) >= total_items
                and pages_read >= (total_pages or 0)
            ):
                return
            if page is None:
                returned = _count(answer, "page")
                page = 1 if returned is None else returned + 1
            else:
                page += 1

    def _document_at(
        self, template: str, order_id: str | int, document_id: str | int
    ) -> DocumentContent:
        doc = str(document_id).strip()
        if not re.fullmatch(r"[A-Za-z0-9_-]+", doc):
            raise ValueError("a document id is digits")
        path = template.format(order=_order_id(order_id), doc=quote(doc, safe=""))
        answer = self._transport.get(path)
        encoded = answer.get("fileContent") if isinstance(answer, dict) else None
        if not isinstance(encoded, str) or (content := _decoded(encoded)) is None:
            raise _unexpected("GET", path, "no readable file in the answer")
        meta = _document(answer)
        return DocumentContent(
            id=meta.get("id", doc),
            name=_text(meta.get("documentName")),
            description=_text(meta.get("description")),
            content_type=_text(meta.get("contentType")) or None,
            content=content,
        )

    def _order_written(self, method: str, path: str, answer: object) -> PortInOrder:
        if answer is None:
            return {}
        if not isinstance(answer, dict):
            raise SinchUnexpectedReply(
                "no order in the answer", method=method, path=path, outcome_unknown=True
            )
        return _with_text_ids(answer)


def _order_id(order_id: str | int) -> str:
    text = str(order_id).strip()
    if not re.fullmatch(r"[0-9]+", text):
        raise ValueError("an order id is digits")
    return text


def _read_configuration(answer: Mapping[str, Any]) -> Configuration:
    """Return a configuration with texts where texts belong, whatever stands there."""

    def texts(found: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
        odd = {name: found[name] for name in names if not isinstance(found.get(name, ""), str)}
        return {
            name: str(value) if type(value) in (int, float) else None for name, value in odd.items()
        }

    contact = answer.get("contact")
    contact = contact if isinstance(contact, dict) else {}
    return cast(
        Configuration,
        {
            **answer,
            **texts(answer, ("webhookUrl", "defaultPortTime", "defaultPortTimeZone")),
            "contact": contact | texts(contact, ConfigurationContact.__annotations__),
        },
    )


def _unexpected(method: str, path: str, reason: str) -> SinchUnexpectedReply:
    return SinchUnexpectedReply(reason, method=method, path=path)


def _is_verdict(item: object) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("phoneNumber"), str)
        and isinstance(item.get("portable"), bool)
    )


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _count(answer: Mapping[str, Any], key: str) -> int | None:
    text = str(answer.get(key))
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _instant(at: datetime | None) -> str | None:
    if at is None:
        return None
    if at.tzinfo is None:
        raise ValueError("an instant needs its time zone")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _with_text_id(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy whose `id`, where there is one, is text."""
    copy = dict(payload)
    if copy.get("id") is None:
        copy.pop("id", None)
    else:
        copy["id"] = str(copy["id"]).strip()
    return copy


def _document(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy whose `id` is text, taken from `documentId` where Sinch calls it so."""
    key = "id" if payload.get("id") is not None else "documentId"
    return _with_text_id({**payload, "id": payload.get(key)})


def _with_text_ids(payload: Mapping[str, Any]) -> PortInOrder:
    order = _with_text_id(payload)
    if isinstance(order.get("documents"), list):
        order["documents"] = [_document(_dict(entry)) for entry in order["documents"]]
    return cast(PortInOrder, order)


def _entries(path: str, answer: object, *wrappers: str) -> list[dict[str, Any]]:
    """Return the groups of an answer, be it a bare list, a wrapped one, or nothing at all."""
    if isinstance(answer, dict):
        if answer and not any(key in answer for key in wrappers):
            raise _unexpected("GET", path, "no list of groups in the answer")
        answer = next((answer[key] for key in wrappers if answer.get(key)), None)
    entries = [] if answer is None else answer
    if not isinstance(entries, list) or not all(isinstance(item, dict) for item in entries):
        raise _unexpected("GET", path, "no list of groups in the answer")
    return entries


def _numbers_in(entry: Mapping[str, Any]) -> tuple[str, ...]:
    numbers = entry.get("phoneNumbers")
    found = (
        phone_of(item if isinstance(item, dict) else {"phoneNumber": item})
        for item in (numbers if isinstance(numbers, list) else [])
    )
    return tuple(number for number in found if number)


def _decoded(encoded: str) -> bytes | None:
    """Return the bytes of base64 text, with or without data-URL lead, breaks and padding."""
    if encoded.startswith("data:"):
        encoded = encoded.partition(",")[2]
    text = re.sub(r"\s+", "", encoded).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
