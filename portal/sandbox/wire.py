"""Orders as Sinch would write them, in the reading the personality has chosen."""

import mimetypes
from typing import Any
from urllib.parse import urlsplit

from portal.sandbox.config import Personality
from portal.sandbox.state import (
    ACTIVATED,
    CONFIRMED,
    EXCLUDED,
    NUMBER_KEYS,
    REJECTED,
    Json,
    Number,
    Order,
)

MASK = "****"
PIN_KEY = "existingPortOutPin"


class Wire:
    """Writes answers and webhooks in one personality."""

    def __init__(self, personality: Personality) -> None:
        self._how = personality

    def order_id(self, order: Order) -> int | str:
        """Return an order's id, as a number or as text."""
        return self._id(order.id)

    def order(self, order: Order, *, short_numbers: bool | None = None) -> Json:
        """Return a whole order as it is read."""
        if short_numbers is None:
            short_numbers = self._how.numbers_on_read == "short"
        body: Json = {
            "id": self._id(order.id),
            "status": order.status,
            "desiredPortSchedule": dict(order.schedule),
            "onDemandActivation": order.on_demand,
            "createdDate": self._created(order.created_at),
            "phoneNumbers": [self.number(n, short=short_numbers) for n in order.numbers],
            "notes": [
                {key: note[key] for key in ("note", "createdTime", "createdBy")}
                for note in order.notes
            ],
            "documents": [self.document(d) for d in order.documents],
        }
        self._put(body, "customerOrderReference", order.reference)
        self._put(body, "resellerName", order.reseller_name)
        self._put(body, "loaUploadedBy", order.loa_uploaded_by)
        if order.loa_attachment_date:
            body["loaAttachmentDate"] = order.loa_attachment_date
        return body

    def answer_to_write(self, order: Order) -> Json:
        """Return an order as create and update answer it."""
        return self.order(order, short_numbers=self._how.numbers_in_answers == "short")

    def number(self, number: Number, *, short: bool) -> Json:
        """Return one number; a short one has only what became of it, not what was sent."""
        body: Json = {"phoneNumber": number.phone_number, "status": number.status}
        if not short:
            body["countryCode"] = number.country
            body |= self._details(number)
        body["phoneNumberGroup"] = number.group
        if number.foc_date:
            body["focDate"] = self._foc(number.foc_date, "T12:00:00Z")
        self._put(body, "rejectReason", number.reject_reason, always=number.status == REJECTED)
        self._put(body, "exclusionReason", number.exclusion_reason)
        if number.excluded_at and number.status in {EXCLUDED, REJECTED}:
            body[self._how.exclusion_time] = number.excluded_at
        if number.excluded_features:
            body["excludedFeatures"] = [dict(entry) for entry in number.excluded_features]
        if number.confirmed_at and self._how.confirmed_date == "present":
            body["confirmedDate"] = number.confirmed_at
        if number.status == ACTIVATED and number.activated_at:
            if self._how.activation_time == "activateTime":
                body["activateTime"] = number.activated_at[11:16]
            else:
                body["activatedDate"] = number.activated_at
            body["activateUser"] = number.activate_user
        return body

    def list_item(self, order: Order) -> Json:
        """Return an order as the list shows it: short, with counters."""
        body: Json = {
            "id": self._id(order.id),
            "status": order.status,
            "createdDate": self._created(order.created_at),
            "phoneNumberQuantity": len(order.numbers),
            "focQuantity": len(order.in_status(CONFIRMED)),
            "activatedQuantity": len(order.in_status(ACTIVATED)),
            "rejectedQuantity": len(order.in_status(REJECTED)),
            "excludedQuantity": len(order.in_status(EXCLUDED)),
        }
        self._put(body, "customerOrderReference", order.reference)
        return body

    def phone_groups(self, order: Order) -> Any:
        """Return the numbers by carrier group, as a list or wrapped."""
        groups = []
        for name in order.groups:
            numbers = [n for n in order.numbers if n.group == name]
            if not numbers:
                continue
            foc_date = next((n.foc_date for n in numbers if n.foc_date), None)
            group: Json = {
                "phoneNumberGroup": name,
                "focDate": self._foc(foc_date, "T00:00:00Z") if foc_date else None,
            }
            if self._how.phone_groups == "wrapped":
                group["status"] = numbers[0].status
                group["phoneNumbers"] = [n.phone_number for n in numbers]
            else:
                group["phoneNumbers"] = [self.number(n, short=True) for n in numbers]
            groups.append(group)
        return {"phoneNumberGroups": groups} if self._how.phone_groups == "wrapped" else groups

    def available_activations(self, order: Order, ready: dict[str, list[Number]]) -> Any:
        """Return the groups that can be activated now."""
        if self._how.activations == "wrapped":
            return {
                "activationGroups": [
                    {
                        "groupId": order.group_id(name),
                        "phoneNumbers": [n.phone_number for n in numbers],
                        "status": "READY",
                    }
                    for name, numbers in ready.items()
                ]
            }
        return [
            {
                "phoneNumberGroup": name,
                # Midnight UTC of a plain date: whoever shifts it by zone gets the day before.
                "focDate": f"{numbers[0].foc_date}T00:00:00Z",
                "phoneNumbers": [
                    {
                        "phoneNumber": n.phone_number,
                        **{
                            key: n.details[key]
                            for key in ("voiceConfiguration", "smsConfiguration")
                            if n.details.get(key)
                        },
                    }
                    for n in numbers
                ],
            }
            for name, numbers in ready.items()
        ]

    def document(self, document: Json, *, content: bool = False) -> Json:
        """Return a document's metadata, with its content when asked."""
        body: Json = {}
        if self._how.document_id in {"id", "both"}:
            body["id"] = self._id(document["id"])
        if self._how.document_id in {"documentId", "both"}:
            body["documentId"] = self._id(document["id"])
        body["documentName"] = document["documentName"]
        self._put(body, "description", document["description"])
        if content:
            body["fileContent"] = document["fileContent"]
            kind, _encoding = mimetypes.guess_type(document["documentName"])
            if kind:
                body["contentType"] = kind
        return body

    def configuration(self, stored: Json) -> Json:
        """Return the project's porting settings."""
        body = dict(stored)
        if self._how.webhook_url_read == "bare_host" and body.get("webhookUrl"):
            body["webhookUrl"] = urlsplit(body["webhookUrl"]).netloc
        return body

    def event(
        self,
        name: str,
        order: Order,
        *,
        numbers: list[Number] | None = None,
        note: str | None = None,
    ) -> Json:
        """Return a webhook body."""
        ids = self._how.event_order_ids
        as_text = ids == "string" or (ids == "mixed" and name == "ORDER_UPDATED")
        body: Json = {
            self._how.event_key: name,
            "orderId": str(order.id) if as_text else order.id,
        }
        if name == "ORDER_UPDATED":
            inner = self.order(order)
            # The page about webhooks shows a number here even beside a text orderId.
            inner["id"] = order.id
            if self._how.event_order_inner_id == "absent":
                del inner["id"]
            time = inner["desiredPortSchedule"].get("desiredPortTime")
            if time and self._how.event_port_time == "with_z":
                inner["desiredPortSchedule"]["desiredPortTime"] = f"{time}Z"
            body["order"] = inner
        if numbers is not None:
            body["phoneNumbers"] = [self._event_number(n) for n in numbers]
        if note is not None:
            body["note"] = note
        return body

    def _event_number(self, number: Number) -> Json:
        body: Json = {}
        if self._how.event_numbers == "full":
            body = self.number(number, short=False)
        body["phoneNumber"] = number.phone_number
        capitalised = self._how.event_status == "capitalised"
        body["status"] = number.status.capitalize() if capitalised else number.status
        if number.status == ACTIVATED and number.activated_at:
            body["activatedDate"] = number.activated_at
        if number.confirmed_at and number.status in {CONFIRMED, ACTIVATED}:
            body["confirmedDate"] = number.confirmed_at
        if number.status == REJECTED:
            body["rejectReason"] = number.reject_reason
        return body

    def _details(self, number: Number) -> Json:
        body = {key: number.details[key] for key in NUMBER_KEYS if number.details.get(key)}
        info = dict(body.get("portOutInfo") or {})
        if self._how.pin_on_read != "echo":
            pin = info.pop(PIN_KEY, None)
            new_pin = body.pop("newPortOutPin", None)
            if self._how.pin_on_read == "masked":
                if pin:
                    info[PIN_KEY] = MASK
                if new_pin:
                    body["newPortOutPin"] = MASK
        body["portOutInfo"] = info
        e911 = (body.get("features") or {}).get("e911")
        if e911:
            body["features"] = {
                **body["features"],
                "e911": {**e911, **_validated(e911)},
            }
        return body

    def _put(self, body: Json, key: str, value: str | None, *, always: bool = False) -> None:
        """Set a value, or what this personality says when there is none."""
        if value or always:
            body[key] = value
        elif self._how.blanks == "empty":
            body[key] = ""
        elif self._how.blanks == "null":
            body[key] = None

    def _id(self, number: int) -> int | str:
        return str(number) if self._how.order_ids == "string" else number

    def _created(self, created_at: str) -> str:
        return created_at if self._how.created_date == "datetime" else created_at[:10]

    def _foc(self, foc_date: str, time: str) -> str:
        return f"{foc_date}{time}" if self._how.foc_date == "datetime" else foc_date


def _validated(e911: Json) -> Json:
    """Return the emergency address in the upper-case form in which it comes back checked."""
    keys = {
        "streetNum": "enhStreetNum",
        "streetInfo": "enhStreetInfo",
        "location": "enhLocation",
        "city": "enhCity",
        "state": "enhState",
        "postalCode": "enhPostalCode",
        "postalCodePlusFour": "enhPostalCodePlusFour",
    }
    return {enhanced: e911[key].upper() for key, enhanced in keys.items() if e911.get(key)}
