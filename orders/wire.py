"""Where Sinch's camelCase meets our columns: pure functions, no database.

Every reading of the uncertain points is accepted, an unknown word is kept as it is, and nothing
here raises over what Sinch sent. Plain dates are never shifted by a zone. What leaves for Sinch
goes through `portal.sinch.payloads.writable_order`, so that a read-only key cannot slip in.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Protocol, cast

from portal.sinch.payloads import (
    E911,
    EndUser,
    Features,
    PhoneNumber,
    PortInOrder,
    PortInOrderWrite,
    PortOutInfo,
    SmsConfiguration,
    VoiceConfiguration,
    storable_text,
    writable_order,
)
from portal.values import (
    mapping,
    mappings,
    phone_of,
    read_date,
    read_flag,
    read_instant,
    read_status,
    spelled,
    text,
)

Json = dict[str, Any]

MASK: Final = "••••"
PIN_KEYS: Final = ("existingPortOutPin", "accountNum")  # inside portOutInfo
NEW_PIN_KEY: Final = "newPortOutPin"  # on the number itself
SECRET_KEYS: Final = (*PIN_KEYS, NEW_PIN_KEY)
_SECRET_FOLDED: Final = frozenset(key.casefold() for key in SECRET_KEYS)
# What Sinch shows instead of a value it keeps to itself.
_MASKED: Final = re.compile(r"[\s.xX•●∙·_-]*[*•●][\s\S]*|[\s.xX]+")

# What an order and a number were told by whoever ordered them, as opposed to what became of it.
_ORDERED_KEYS: Final = (
    "customerOrderReference",
    "onDemandActivation",
    "loaUploadedBy",
    "loaAttachmentDate",
    "resellerName",
)
_NUMBER_ORDERED_KEYS: Final = (
    "endUser",
    "portOutInfo",
    "voiceConfiguration",
    "smsConfiguration",
    "features",
    NEW_PIN_KEY,
)
# What became of a number, and the statuses in which an older reading's word still holds when a
# short answer does not repeat it. A status we do not know keeps everything.
_HOLDS_IN: Final[dict[str, frozenset[str]]] = {
    "focDate": frozenset({"CONFIRMED", "ACTIVATED"}),
    "confirmedDate": frozenset({"CONFIRMED", "ACTIVATED"}),
    "activatedDate": frozenset({"ACTIVATED"}),
    "activateTime": frozenset({"ACTIVATED"}),
    "activateUser": frozenset({"ACTIVATED"}),
    "rejectReason": frozenset({"REJECTED"}),
    "exclusionReason": frozenset({"EXCLUDED", "REJECTED"}),
    "exclusionTime": frozenset({"EXCLUDED", "REJECTED"}),
    "exclusionDate": frozenset({"EXCLUDED", "REJECTED"}),
    "excludedFeatures": frozenset({"CONFIRMED", "ACTIVATED"}),
}
_KNOWN_STATUSES: Final = frozenset(
    {"PENDING", "CONFIRMED", "ACTIVATED", "REJECTED", "EXCLUDED", "CANCELED"}
)
# One fact under two names: a new reading under one of them retires the other.
_TWINS: Final = {
    "exclusionTime": "exclusionDate",
    "exclusionDate": "exclusionTime",
    "activateTime": "activatedDate",
    "activatedDate": "activateTime",
}
_GROUP_NAME: Final = re.compile(r"GW\s+(\S.*?)\s+Grp\s*\d+", re.IGNORECASE)


# --- Reading single values ----------------------------------------------------------------------


def read_time(value: object) -> str:
    """Return a time of day as Sinch wrote it, without a final Z: the zone field rules."""
    return text(value).removesuffix("Z")[:8]


def carrier_of_group(group: str) -> str:
    """Return the losing carrier that a group's name holds: "Lumen" for "GW Lumen Grp1"."""
    match = _GROUP_NAME.fullmatch(group.strip())
    return match[1] if match else ""


# --- Secrets ------------------------------------------------------------------------------------


def is_masked(value: object) -> bool:
    """Tell whether a value is a mask: all dots, asterisks or x's, or with an asterisk in it."""
    return bool(_MASKED.fullmatch(text(value)))


def redact(payload: Any) -> Any:
    """Return a copy in which every PIN and account number, however deep, is a mask.

    Works on orders, single numbers and webhook bodies alike. Empty values stay empty. Characters
    that a database cannot hold are taken out on the way.
    """
    if isinstance(payload, Mapping):
        return {
            storable_text(str(key)): (
                MASK
                if str(key).casefold() in _SECRET_FOLDED and value not in (None, "")
                else redact(value)
            )
            for key, value in payload.items()
        }
    if isinstance(payload, (list, tuple)):
        return [redact(item) for item in payload]
    return storable_text(payload) if isinstance(payload, str) else payload


def order_secrets(body: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the PINs and account numbers of an order's JSON, by number; masks are left out."""
    found: dict[str, dict[str, str]] = {}
    for entry in mappings(body.get("phoneNumbers")):
        info = mapping(entry.get("portOutInfo"))
        values = {key: info.get(key) for key in PIN_KEYS} | {NEW_PIN_KEY: entry.get(NEW_PIN_KEY)}
        kept = {
            key: text(value)
            for key, value in values.items()
            if text(value) and not is_masked(value)
        }
        if kept:
            found[phone_of(entry)] = kept
    return found


def unknown_secrets(
    order: "Mapping[str, Any] | HasPayload", secrets: Mapping[str, Mapping[str, str]]
) -> dict[str, list[str]]:
    """Return the numbers for which Sinch holds a secret that we do not, with the keys of it.

    A full replacement would clear these: ask staff for them before sending one.
    """
    missing: dict[str, list[str]] = {}
    for entry in mappings(_payload_of(order).get("phoneNumbers")):
        number, info = phone_of(entry), mapping(entry.get("portOutInfo"))
        shown = {key: info.get(key) for key in PIN_KEYS} | {NEW_PIN_KEY: entry.get(NEW_PIN_KEY)}
        keys = [
            key for key, value in shown.items() if value and not secrets.get(number, {}).get(key)
        ]
        if keys:
            missing[number] = keys
    return missing


# --- Facts --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NumberFacts:
    """One number of an order as Sinch describes it; names as in `PortInNumber`."""

    phone_number: str
    position: int
    status: str
    country_code: str
    group: str
    foc_date: date | None
    reject_reason: str
    exclusion_reason: str
    excluded_at: str
    excluded_features: list[dict[str, str]]
    confirmed_at: str
    activated_at: str
    activate_user: str
    end_user: str
    city: str


@dataclass(frozen=True, slots=True)
class NoteFacts:
    """A note of the conversation. `ordinal` counts the ones with the same text and time."""

    text: str
    created_at: datetime | None
    created_time: str
    created_by: str
    ordinal: int

    @property
    def fact(self) -> str:
        """What makes the note what it is, as Sinch gives it no id."""
        parts = json.dumps([collapsed(self.text), self.created_time, self.ordinal])
        return hashlib.sha256(parts.encode()).hexdigest()

    @property
    def author(self) -> str:
        """Who wrote it, for staff: Sinch unless somebody else is named."""
        return author_of(self.created_by)


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """A document of the order, without its content; `sinch_id` may be missing."""

    sinch_id: str
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """An order as Sinch describes it; names as in `PortInOrder`."""

    sinch_id: str
    status: str
    reference: str
    desired_port_date: date | None
    desired_port_time: str
    desired_port_time_zone: str
    on_demand_activation: bool
    loa_uploaded_by: str
    loa_attachment_date: str
    reseller_name: str
    sinch_created_at: str
    numbers: tuple[NumberFacts, ...]
    notes: tuple[NoteFacts, ...]
    documents: tuple[DocumentFacts, ...]

    @property
    def end_user(self) -> str:
        """The end user most of its numbers have, the first of equals."""
        names = Counter(number.end_user for number in self.numbers if number.end_user)
        return names.most_common(1)[0][0] if names else ""

    @property
    def end_users(self) -> list[str]:
        """All end users, each once."""
        return list(dict.fromkeys(number.end_user for number in self.numbers if number.end_user))


def author_of(created_by: str) -> str:
    """Return who wrote a note, for staff: Sinch unless a person is named.

    Sinch's API may give the id or the mail address of an account there; that tells staff nothing.
    """
    name = created_by.strip()
    is_name = name[:1].isupper() and not any(c.isdigit() or c in "@_" for c in name)
    return name if is_name and "sinch" not in name.casefold() else "Sinch"


def features_text(features: Sequence[Mapping[str, Any]] | None) -> str:
    """Return the features that were left out of a number as one text to compare; "" for none."""
    return json.dumps(features, sort_keys=True) if features else ""


def collapsed(value: str) -> str:
    """Return a text with every run of white space as one space."""
    return " ".join(value.split())


def read_order(payload: Mapping[str, Any]) -> OrderFacts:
    """Return what an order's JSON says, in our terms. Never raises over what is in it.

    Source: Porting API, "Get port-in order details".
    """
    schedule = mapping(payload.get("desiredPortSchedule"))
    numbers: dict[str, NumberFacts] = {}
    for entry in mappings(payload.get("phoneNumbers")):
        number = _read_number(entry, len(numbers))
        if number.phone_number:
            numbers.setdefault(number.phone_number, number)
    return OrderFacts(
        sinch_id=text(payload.get("id"), 32),
        status=read_status(payload.get("status")),
        reference=text(payload.get("customerOrderReference"), 100),
        desired_port_date=read_date(schedule.get("desiredPortDate")),
        desired_port_time=read_time(schedule.get("desiredPortTime")),
        desired_port_time_zone=text(schedule.get("desiredPortTimeZone"), 20),
        on_demand_activation=read_flag(payload.get("onDemandActivation")),
        loa_uploaded_by=text(payload.get("loaUploadedBy"), 200),
        loa_attachment_date=text(payload.get("loaAttachmentDate"), 40),
        reseller_name=text(payload.get("resellerName"), 200),
        sinch_created_at=text(payload.get("createdDate"), 40),
        numbers=tuple(numbers.values()),
        notes=tuple(_read_notes(payload.get("notes"))),
        documents=tuple(_read_documents(payload.get("documents"))),
    )


def _read_number(entry: Mapping[str, Any], position: int) -> NumberFacts:
    end_user = mapping(entry.get("endUser"))
    return NumberFacts(
        phone_number=phone_of(entry),
        position=position,
        status=read_status(entry.get("status")),
        country_code=text(entry.get("countryCode"), 2).upper(),
        group=text(entry.get("phoneNumberGroup"), 120),
        foc_date=read_date(entry.get("focDate")),
        reject_reason=text(entry.get("rejectReason")),
        exclusion_reason=text(entry.get("exclusionReason")),
        excluded_at=text(entry.get("exclusionTime") or entry.get("exclusionDate"), 40),
        excluded_features=[
            {
                "featureName": text(feature.get("featureName")),
                "exclusionReason": text(feature.get("exclusionReason")),
            }
            for feature in mappings(entry.get("excludedFeatures"))
        ],
        confirmed_at=text(entry.get("confirmedDate"), 40),
        # "14:00" in one document, a whole date-time in the other: the fuller one wins.
        activated_at=text(entry.get("activatedDate") or entry.get("activateTime"), 40),
        activate_user=text(entry.get("activateUser"), 100),
        end_user=text(end_user.get("name"), 200),
        city=text(end_user.get("city"), 100),
    )


def _read_notes(notes: object) -> Iterator[NoteFacts]:
    seen: Counter[tuple[str, str]] = Counter()
    for entry in mappings(notes):
        words = text(entry.get("note"))
        if not words:
            continue
        time = text(entry.get("createdTime"))
        alike = (collapsed(words), time)
        yield NoteFacts(
            text=words,
            created_at=read_instant(time),
            created_time=time,
            created_by=text(entry.get("createdBy"), 200),
            ordinal=seen[alike],
        )
        seen[alike] += 1


def _read_documents(documents: object) -> Iterator[DocumentFacts]:
    seen: set[str] = set()
    for entry in mappings(documents):
        key = "id" if entry.get("id") is not None else "documentId"
        sinch_id, name = text(entry.get(key), 64), text(entry.get("documentName"), 200)
        if (sinch_id or name) and sinch_id not in seen:
            seen |= {sinch_id} if sinch_id else set()
            yield DocumentFacts(
                sinch_id, name or f"Document {sinch_id}", text(entry.get("description"), 300)
            )


def list_digest(item: Mapping[str, Any]) -> str:
    """Return what a list item says of an order, to tell whether it has changed since.

    Source: Porting API, "List port-in orders".
    """
    counters = ("phoneNumber", "foc", "activated", "rejected", "excluded")
    said = [read_status(item.get("status"))]
    said += [text(item.get(f"{name}Quantity") or 0, 6) for name in counters]
    return "|".join([*said, text(item.get("customerOrderReference"), 100)])


def expected_list_digest(order: OrderFacts) -> str:
    """Return the digest that the list should show for an order with these facts."""
    count = Counter(number.status for number in order.numbers)
    return list_digest(
        {
            "status": order.status,
            "phoneNumberQuantity": len(order.numbers),
            "focQuantity": count["CONFIRMED"],
            "activatedQuantity": count["ACTIVATED"],
            "rejectedQuantity": count["REJECTED"],
            "excludedQuantity": count["EXCLUDED"],
            "customerOrderReference": order.reference,
        }
    )


# --- What Sinch does not document ---------------------------------------------------------------

_ORDER_DOCUMENTED: Final = frozenset(PortInOrder.__annotations__)
# The keys that are documented at each place of a number's entry.
_DOCUMENTED: Final[dict[tuple[str, ...], frozenset[str]]] = {
    (): frozenset(PhoneNumber.__annotations__),
    ("endUser",): frozenset(EndUser.__annotations__),
    ("portOutInfo",): frozenset(PortOutInfo.__annotations__),
    ("voiceConfiguration",): frozenset(VoiceConfiguration.__annotations__),
    ("smsConfiguration",): frozenset(SmsConfiguration.__annotations__),
    ("features",): frozenset(Features.__annotations__),
    ("features", "e911"): frozenset(E911.__annotations__),
}


def undocumented(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (label, value) of what a number's entry says beyond the contract.

    Directory listings, A2PLC and SMSMMS are named in Sinch's guide and have no field anywhere:
    they are shown where they appear, and never sent. Secrets stay masked.
    """
    return list(_undocumented(redact(entry), ()))


def undocumented_of_order(payload: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (label, value) of what an order says beyond the contract, its numbers aside."""
    beyond = {key: value for key, value in payload.items() if key not in _ORDER_DOCUMENTED}
    return [pair for key, value in redact(beyond).items() for pair in spelled((key,), value)]


def _undocumented(entry: Mapping[str, Any], place: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    known = _DOCUMENTED[place]
    for key, value in entry.items():
        inner = (*place, key)
        if key not in known:
            yield from spelled(inner, value)
        elif inner in _DOCUMENTED:
            yield from _undocumented(mapping(value), inner)


# --- Two readings of one order ------------------------------------------------------------------


def merge_reading(stored: Mapping[str, Any], answer: Mapping[str, Any]) -> Json:
    """Return the stored JSON with a newer answer over it.

    Short answers carry number and status only, so an absent key says nothing and what we had
    stays; null is an answer. What became of a number is kept only while it fits the number's new
    status: an old refusal must not stick to a number that is confirmed now. Numbers keep their
    places, as Sinch promises no order; one that the answer leaves out is gone. An empty list of
    numbers says nothing: an order has at least one.
    """
    merged: Json = {**stored, **answer}
    if isinstance(answer.get("desiredPortSchedule"), Mapping):
        before = mapping(stored.get("desiredPortSchedule"))
        merged["desiredPortSchedule"] = {**before, **answer["desiredPortSchedule"]}
    elif "desiredPortSchedule" in stored:
        merged["desiredPortSchedule"] = stored["desiredPortSchedule"]
    for key in ("notes", "documents", "status"):
        if merged.get(key) is None and key in stored:
            merged[key] = stored[key]
    entries = _by_number(answer)
    before = _by_number(stored)
    if not entries:
        if "phoneNumbers" in stored:
            merged["phoneNumbers"] = stored["phoneNumbers"]
        return merged
    places = [*(number for number in before if number in entries)]
    places += [number for number in entries if number not in before]
    merged["phoneNumbers"] = [
        _merge_number(before.get(number, {}), entries[number]) for number in places
    ]
    return merged


def _by_number(payload: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for entry in mappings(payload.get("phoneNumbers")):
        if number := phone_of(entry):
            found.setdefault(number, entry)
    return found


def _merge_number(stored: Mapping[str, Any], answer: Mapping[str, Any]) -> Json:
    status = read_status(answer.get("status") or stored.get("status"))
    kept = dict(stored)
    if status in _KNOWN_STATUSES:
        for key, statuses in _HOLDS_IN.items():
            if status not in statuses:
                kept.pop(key, None)
    for key, twin in _TWINS.items():
        if answer.get(key) and twin not in answer:
            kept.pop(twin, None)
    merged = {**kept, **answer}
    if answer.get("status") is None and "status" in stored:
        merged["status"] = stored["status"]
    return merged


def with_sent(stored: Mapping[str, Any], sent: Mapping[str, Any], *, replaces: bool) -> Json:
    """Return the stored JSON completed by what we sent and Sinch accepted.

    Sinch need not repeat what was ordered, so this is where the end user of an order comes from
    when it answers with numbers and statuses only. `replaces` is for a full replacement: then
    what was sent wins over what was stored, and what it left out is gone.
    """
    sent = redact(sent)
    merged: Json = dict(stored)
    for key in _ORDERED_KEYS:
        if replaces:
            merged.pop(key, None)
        if key in sent and key not in merged:
            merged[key] = sent[key]
    if "desiredPortSchedule" in sent:
        before = mapping(stored.get("desiredPortSchedule"))
        schedule = sent["desiredPortSchedule"]
        merged["desiredPortSchedule"] = (
            {**before, **schedule} if replaces else {**schedule, **before}
        )
    before, entries = _by_number(stored), _by_number(sent)
    places = list(entries) if replaces or not before else list(before)
    if places:
        merged["phoneNumbers"] = [
            _number_with_sent(before.get(number, {}), entries.get(number, {}), replaces)
            for number in places
        ]
    return merged


def _number_with_sent(stored: Mapping[str, Any], sent: Mapping[str, Any], replaces: bool) -> Json:
    merged: Json = {"phoneNumber": stored.get("phoneNumber") or sent.get("phoneNumber"), **stored}
    for key in _NUMBER_ORDERED_KEYS if sent else ():
        if replaces:
            merged.pop(key, None)
        if key in sent and key not in merged:
            merged[key] = sent[key]
    return merged


# --- What is sent -------------------------------------------------------------------------------


class HasPayload(Protocol):
    """Anything that carries an order's stored JSON, such as `PortInOrder`."""

    payload: Any


def _payload_of(order: "Mapping[str, Any] | HasPayload") -> Mapping[str, Any]:
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
    order: Json = {
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


def _number_body(number: str, shared: Mapping[str, Any], own: Mapping[str, Any]) -> Json:
    def section(name: str) -> Json:
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
        NEW_PIN_KEY: own.get("new_pin") or shared.get("new_pin"),
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
    secrets: Mapping[str, Mapping[str, str]],
    changes: Mapping[str, Any] | None = None,
) -> PortInOrderWrite:
    """Return the full replacement of an order: everything it has, with some changes.

    Every number and every writable field of the stored JSON is kept, read-only keys are dropped,
    and PINs come from `secrets`; an echo of Sinch's counts only where we hold nothing and it is
    no mask. `changes` is in Sinch's own shape and holds only what changes; None or "" clears:
    order keys as they are, `desiredPortSchedule` key by key, and `phoneNumbers` as a mapping
    from E.164 number, or "*" for all, to a part of its entry. There `endUser`, `portOutInfo`,
    `smsConfiguration` and the `e911` of `features` go key by key and `voiceConfiguration` as a
    whole; a number mapped to None leaves the order, an unknown one joins it.
    Source: Porting API, "Update a port-in order".
    """
    payload, changes = in_shape(_payload_of(order)), dict(changes or {})
    wanted: Mapping[str, Mapping[str, Any] | None] = changes.pop("phoneNumbers", None) or {}
    schedule = changes.pop("desiredPortSchedule", None) or {}
    body: Json = {**payload, **changes}
    body["desiredPortSchedule"] = {**mapping(payload.get("desiredPortSchedule")), **schedule}
    entries = _by_number(payload)
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
) -> Json:
    body: Json = {**entry, "phoneNumber": number}
    info = {**mapping(entry.get("portOutInfo"))}
    for key in PIN_KEYS:
        info[key] = secrets.get(key) or info.get(key)
    body["portOutInfo"] = info
    body[NEW_PIN_KEY] = secrets.get(NEW_PIN_KEY) or entry.get(NEW_PIN_KEY)
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
        info = cast(Json, entry["portOutInfo"])
        for key in PIN_KEYS:
            if is_masked(info.get(key)):
                info.pop(key, None)
        if is_masked(entry.get(NEW_PIN_KEY)):
            cast(Json, entry).pop(NEW_PIN_KEY, None)
        # A date-time is what the first document shows, and midnight UTC is past in every zone of
        # the US. Source: Porting API, `authorizingDate`.
        signed = _iso(info.get("authorizingDate"))
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", signed):
            info["authorizingDate"] = f"{signed}T00:00:00Z"
        end_user = cast(Json, entry["endUser"])
        for key in ("state", "typeOfService"):
            if end_user.get(key):
                end_user[key] = text(end_user[key]).upper()
    return body


def in_shape(payload: Mapping[str, Any]) -> Json:
    """Return an order without the parts that are not of the kind Sinch documents for them."""
    sections = (*_NUMBER_ORDERED_KEYS[:-1],)
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


# --- Comparing what was sent with what is there -------------------------------------------------

Path = tuple[str, ...]


def comparable(payload: Mapping[str, Any]) -> dict[Path, str]:
    """Return every writable value of an order but its secrets, by where it stands.

    Spellings that mean the same come out the same: a date-time stands for its day, 09:00 for
    09:00:00, no type of service for business, no on-demand for automatic.
    """
    values: dict[Path, str] = {("onDemandActivation",): "false"}
    body: Mapping[str, Any] = cast(Mapping[str, Any], writable_order(in_shape(payload)))
    for key, value in body.items():
        if key not in ("phoneNumbers", "desiredPortSchedule"):
            values[(key,)] = _normal(key, value)
    for key, value in mapping(body.get("desiredPortSchedule")).items():
        values[("desiredPortSchedule", key)] = _normal(key, value)
    for entry in body.get("phoneNumbers", []):
        number = phone_of(entry)
        values[("phoneNumbers", number)] = ""
        if entry.get("endUser"):
            values[("phoneNumbers", number, "endUser", "typeOfService")] = "B"
        for path, value in _leaves(entry):
            if path[-1] not in SECRET_KEYS and path != ("phoneNumber",):
                values[("phoneNumbers", number, *path)] = _normal(path[-1], value)
    return values


def _leaves(value: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            for path, leaf in _leaves(inner):
                yield (key, *path), leaf
        else:
            yield (key,), inner


def _normal(key: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return collapsed(text(value))[:10] if key.endswith("Date") else collapsed(text(value))


def same_order(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Tell quickly whether two payloads were ordered in the very same words; False means maybe."""

    def ordered(payload: Mapping[str, Any]) -> list[Any]:
        entries = mappings(payload.get("phoneNumbers"))
        return [
            [payload.get(key) for key in _ORDERED_KEYS],
            [
                [entry.get(key) for key in ("phoneNumber", *_NUMBER_ORDERED_KEYS)]
                for entry in entries
            ],
        ]

    return ordered(first) == ordered(second)


def digest(order: "Mapping[str, Any] | HasPayload") -> str:
    """Return a key of all writable values but the secrets: what an edit starts from.

    Kept in the payload of a `port_in.update` as `base`, so that a change somebody else made
    meanwhile is noticed before it is overwritten.
    """
    values = sorted(
        ("/".join(path), value) for path, value in comparable(_payload_of(order)).items()
    )
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def differences(sent: Mapping[str, Any], seen: Mapping[str, Any]) -> list[Path]:
    """Return where an order that was read differs from what was sent, secrets aside.

    Only what the reading speaks of counts: a short answer says nothing about the end user. Time
    and zone that were left to the defaults do not count either.
    """
    ours, theirs = comparable(sent), comparable(seen)
    spoken = _spoken_of(seen)
    has_numbers = bool(numbers_of(seen))
    found = []
    for path in sorted(ours.keys() | theirs.keys()):
        is_number = path[0] == "phoneNumbers" and len(path) == 2
        is_spoken_of = has_numbers if is_number else _section(path) in spoken
        is_default = path[0] == "desiredPortSchedule" and path not in ours
        if ours.get(path) != theirs.get(path) and is_spoken_of and not is_default:
            found.append(path)
    return found


def _section(path: Path) -> Path:
    return path[:3] if path[0] == "phoneNumbers" else path[:1]


def _spoken_of(payload: Mapping[str, Any]) -> set[Path]:
    sections: set[Path] = {(key,) for key, value in payload.items() if value is not None}
    for number, entry in _by_number(payload).items():
        sections |= {("phoneNumbers", number, key) for key, value in entry.items() if value}
    return sections


def echoed_secrets_differ(sent: Mapping[str, Any], seen: Mapping[str, Any]) -> bool | None:
    """Tell whether PINs that Sinch shows differ from the ones sent; None when it shows none."""
    ours, theirs = order_secrets(sent), order_secrets(seen)
    pairs = [
        (ours.get(number, {}).get(key), value)
        for number, values in theirs.items()
        for key, value in values.items()
    ]
    return any(mine != value for mine, value in pairs) if pairs else None


def numbers_of(payload: Mapping[str, Any]) -> set[str]:
    """Return the numbers of an order, E.164."""
    return set(_by_number(payload))


def count_notes(payload: Mapping[str, Any], note: str) -> int:
    """Return how many notes of an order have this text, runs of white space aside."""
    wanted = collapsed(note)
    return sum(collapsed(said.text) == wanted for said in _read_notes(payload.get("notes")))


def documents_named(payload: Mapping[str, Any], name: str) -> list[DocumentFacts]:
    """Return the documents of an order that have this name."""
    return [found for found in _read_documents(payload.get("documents")) if found.name == name]


def same_numbers(payload: Mapping[str, Any], numbers: Iterable[str]) -> bool:
    """Tell whether an order holds exactly these numbers."""
    return numbers_of(payload) == set(numbers)
