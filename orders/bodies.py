"""What leaves for Sinch of an order: a new one, and the full replacement of one.

Pure functions. What leaves goes through `portal.sinch.payloads.writable_order`, so that a
read-only key cannot slip in.
"""

import re
from collections.abc import Mapping
from typing import Any, Protocol, cast

from orders import wire
from portal.sinch.payloads import PortInOrderWrite, writable_order
from portal.values import mapping, mappings, phone_of, text


class HasPayload(Protocol):
    """Anything that carries an order's stored JSON, such as `PortInOrder`."""

    payload: Any


def payload_of(order: "Mapping[str, Any] | HasPayload") -> Mapping[str, Any]:
    """Return an order's JSON, given as it is or on a row."""
    return order if isinstance(order, Mapping) else cast(Mapping[str, Any], order.payload)


def create_body(
    *,
    numbers: list[str],
    shared: Mapping[str, Any],
    overrides: Mapping[str, Mapping[str, Any]],
    schedule: Mapping[str, Any],
    reference: str,
    on_demand: bool,
    reseller: str,
    loa: Mapping[str, Any],
) -> PortInOrderWrite:
    """Return the body of a new order.

    `shared` and each of `overrides` (by E.164 number) may hold `end_user`, `port_out`, `voice`
    (`type` and `id`, or Sinch's own key for it), `sms`, `e911` and `new_pin`; what an override
    names goes over the shared value key by key. A true `e911_same` of `shared` gives each number
    without an `e911` of its own the emergency address that its service address is. `schedule`
    takes `date`, `time` and `zone`, `loa` takes `uploaded_by` and `attachment_date`; Sinch's own
    keys do as well. Dates may be dates.
    Source: Porting API, "Create a port-in order".
    """
    order: wire.Json = {
        "customerOrderReference": reference,
        "onDemandActivation": on_demand,
        "resellerName": reseller,
        "loaUploadedBy": loa.get("uploaded_by") or loa.get("loaUploadedBy"),
        "loaAttachmentDate": _iso(loa.get("attachment_date") or loa.get("loaAttachmentDate")),
        "desiredPortSchedule": {
            "desiredPortDate": _iso(schedule.get("date") or schedule.get("desiredPortDate")),
            "desiredPortTime": _iso(schedule.get("time") or schedule.get("desiredPortTime")),
            "desiredPortTimeZone": schedule.get("zone") or schedule.get("desiredPortTimeZone"),
        },
        "phoneNumbers": [
            _number_body(number, shared, overrides.get(number, {})) for number in numbers
        ],
    }
    return _sendable(order)


def _number_body(number: str, shared: Mapping[str, Any], own: Mapping[str, Any]) -> wire.Json:
    def section(name: str) -> wire.Json:
        return {**mapping(shared.get(name)), **mapping(own.get(name))}

    e911 = section("e911")
    if shared.get("e911_same") and not own.get("e911"):
        e911 = e911_like(section("end_user"))
    voice = section("voice")
    kind = text(voice.get("type"))
    id_key = {"RTC": "appId", "EST": "trunkId", "FAX": "serviceId"}.get(kind, "")
    voice_id = voice.get("id") or voice.get(id_key)
    return {
        "phoneNumber": number,
        "endUser": section("end_user"),
        "portOutInfo": section("port_out"),
        "voiceConfiguration": {"type": kind, id_key: voice_id} if kind and voice_id else {},
        "smsConfiguration": section("sms"),
        "features": {"e911": e911},
        wire.NEW_PIN_KEY: own.get("new_pin") or shared.get("new_pin"),
    }


def e911_like(end_user: Mapping[str, Any]) -> dict[str, str]:
    """Return Sinch's e911 for the service address of an endUser of Sinch's."""

    def joined(*keys: str) -> str:
        return " ".join(found for key in keys if (found := text(end_user.get(key))))

    code, _, last_four = text(end_user.get("zipCode")).partition("-")
    places = [f"location{part}{n}" for n in (1, 2, 3) for part in ("Type", "Value")]
    return {
        "name": joined("name"),
        "streetNum": joined("streetNum"),
        "streetInfo": joined("streetPreDir", "streetName", "streetType", "streetPostDir"),
        "location": joined(*places),
        "city": joined("city"),
        "state": joined("state"),
        "postalCode": code,
        "postalCodePlusFour": last_four,
    }


def write_body(
    order: "Mapping[str, Any] | HasPayload",
    secrets: Mapping[str, Mapping[str, str]] | None,
    changes: Mapping[str, Any] | None = None,
) -> PortInOrderWrite:
    """Return the full replacement of an order: everything it has, with some changes.

    Every number and every writable field of the stored JSON is kept, read-only keys are dropped,
    and PINs come from `secrets`; an echo of Sinch's counts only where we hold nothing and it is
    no mask. None for `secrets`, as for an order whose secrets no key reads, is as none at all.
    `changes` is in Sinch's own shape and holds only what changes; None or "" clears:
    order keys as they are, `desiredPortSchedule` key by key, and `phoneNumbers` as a mapping
    from E.164 number, or "*" for all, to a part of its entry. There `endUser`, `portOutInfo`,
    `smsConfiguration` and the `e911` of `features` go key by key and `voiceConfiguration` as a
    whole; a number mapped to None leaves the order, an unknown one joins it.
    Source: Porting API, "Update a port-in order".
    """
    payload, changes, secrets = in_shape(payload_of(order)), dict(changes or {}), secrets or {}
    wanted: Mapping[str, Mapping[str, Any] | None] = changes.pop("phoneNumbers", None) or {}
    schedule = changes.pop("desiredPortSchedule", None) or {}
    body: wire.Json = {**payload, **changes}
    body["desiredPortSchedule"] = {**mapping(payload.get("desiredPortSchedule")), **schedule}
    entries = wire.by_number(payload)
    new = [number for number in wanted if number != "*" and number not in entries]
    body["phoneNumbers"] = [
        _replaced(number, entries.get(number, {}), secrets.get(number, {}), wanted)
        for number in [*entries, *new]
        if wanted.get(number, {}) is not None
    ]
    return _sendable(body)


def _replaced(
    number: str,
    entry: Mapping[str, Any],
    secrets: Mapping[str, str],
    wanted: Mapping[str, Mapping[str, Any] | None],
) -> wire.Json:
    body: wire.Json = {**entry, "phoneNumber": number}
    info = {**mapping(entry.get("portOutInfo"))}
    for key in wire.PIN_KEYS:
        info[key] = secrets.get(key) or info.get(key)
    body["portOutInfo"] = info
    body[wire.NEW_PIN_KEY] = secrets.get(wire.NEW_PIN_KEY) or entry.get(wire.NEW_PIN_KEY)
    for change in (wanted.get("*"), wanted.get(number)):
        for key, value in (change or {}).items():
            if key == "features":
                value = {"e911": {**_e911_of(body), **_e911_of({key: value})}}
            elif isinstance(value, Mapping) and key != "voiceConfiguration":
                value = {**mapping(body.get(key)), **value}
            body[key] = value
    return body


def _e911_of(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(mapping(entry.get("features")).get("e911"))


def _sendable(order: Mapping[str, Any]) -> PortInOrderWrite:
    """Return the writable part of an order in the form Sinch is sure to take."""
    body = writable_order(order)
    for entry in body["phoneNumbers"]:
        info = cast(wire.Json, entry["portOutInfo"])
        for key in wire.PIN_KEYS:
            if wire.is_masked(info.get(key)):
                info.pop(key, None)
        if wire.is_masked(entry.get(wire.NEW_PIN_KEY)):
            cast(wire.Json, entry).pop(wire.NEW_PIN_KEY, None)
        # A date-time is what the first document shows, and midnight UTC is past in every zone of
        # the US. Source: Porting API, `authorizingDate`.
        signed = _iso(info.get("authorizingDate"))
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", signed):
            info["authorizingDate"] = f"{signed}T00:00:00Z"
        end_user = cast(wire.Json, entry["endUser"])
        for key in ("state", "typeOfService"):
            if end_user.get(key):
                end_user[key] = text(end_user[key]).upper()
    return body


def in_shape(payload: Mapping[str, Any]) -> wire.Json:
    """Return an order without the parts that are not of the kind Sinch documents for them."""
    sections = (*wire.NUMBER_ORDERED_KEYS[:-1],)
    return {
        **payload,
        "desiredPortSchedule": mapping(payload.get("desiredPortSchedule")),
        "phoneNumbers": [
            {
                **entry,
                **{key: mapping(entry.get(key)) for key in sections},
                "features": {"e911": _e911_of(entry)},
            }
            for entry in mappings(payload.get("phoneNumbers"))
        ],
    }


def _iso(value: object) -> str:
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat()) if isoformat else text(value)


def unknown_secrets(
    order: "Mapping[str, Any] | HasPayload", secrets: Mapping[str, Mapping[str, str]] | None
) -> dict[str, list[str]]:
    """Return the numbers for which Sinch holds a secret that we do not, with the keys of it.

    A full replacement would clear these: ask staff for them before sending one. None for `secrets`
    where no key reads ours.
    """
    missing: dict[str, list[str]] = {}
    secrets = secrets or {}
    for entry in mappings(payload_of(order).get("phoneNumbers")):
        number, info = phone_of(entry), mapping(entry.get("portOutInfo"))
        shown = {key: info.get(key) for key in wire.PIN_KEYS} | {
            wire.NEW_PIN_KEY: entry.get(wire.NEW_PIN_KEY)
        }
        keys = [
            key for key, value in shown.items() if value and not secrets.get(number, {}).get(key)
        ]
        if keys:
            missing[number] = keys
    return missing
