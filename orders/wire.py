"""Where Sinch's camelCase meets our columns: pure functions, no database.

Every reading of the uncertain points is accepted, an unknown word is kept as it is, and nothing
here raises over what Sinch sent. Plain dates are never shifted by a zone. What leaves for Sinch is
put together in `bodies`, and compared with what is there in `comparing`.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from portal.sinch.payloads import (
    E911,
    EndUser,
    Features,
    PhoneNumber,
    PortInOrder,
    PortOutInfo,
    SmsConfiguration,
    VoiceConfiguration,
    storable_text,
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
ORDERED_KEYS: Final = (
    "customerOrderReference",
    "onDemandActivation",
    "loaUploadedBy",
    "loaAttachmentDate",
    "resellerName",
)
NUMBER_ORDERED_KEYS: Final = (
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
    def phones(self) -> set[str]:
        """Its numbers, E.164."""
        return {number.phone_number for number in self.numbers}

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


# Sinch's names of features that are not words; others are shown as they are.
_FEATURES: Final = {"SMSMMS": "SMS and MMS", "": "A feature"}


def feature_text(name: object) -> str:
    """Return what a feature is called on screen."""
    told = text(name)
    return _FEATURES.get(told, told)


def collapsed(value: str) -> str:
    """Return a text with every run of white space as one space."""
    return " ".join(value.split())


def country_of(entry: Mapping[str, Any]) -> str:
    """Return the country that Sinch names for a number: US, CA, "" for none."""
    return text(entry.get("countryCode")).upper()[:2]


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
        country_code=country_of(entry),
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
    stays. Null says as little of what was ordered; of what Sinch alone knows it is an answer.
    What became of a number is kept only while it fits the number's new status: an old refusal
    must not stick to a number that is confirmed now. Numbers keep their places, as Sinch promises
    no order; one that the answer leaves out is gone. An empty list of numbers says nothing: an
    order has at least one.
    """
    merged: Json = {**stored, **answer}
    merged |= _merge_ordered(
        stored, answer, ("desiredPortSchedule", *ORDERED_KEYS, "notes", "documents", "status")
    )
    entries = by_number(answer)
    before = by_number(stored)
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


def by_number(payload: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the entries of an order by number, E.164; the first of two for one number."""
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
    return merged | _merge_ordered(kept, answer, (*NUMBER_ORDERED_KEYS, "status"))


# A section with all of these is a whole one and goes over what was there; of any other that Sinch
# shows only what it holds is known, such as a PIN behind a mask.
_WHOLE: Final[dict[str, frozenset[str]]] = {
    "endUser": frozenset({"name", "streetNum", "streetName", "city", "state", "zipCode"}),
    "e911": frozenset({"name", "streetNum", "city", "state", "postalCode"}),
}


def _merge_ordered(
    stored: Mapping[str, Any], answer: Mapping[str, Any], keys: Iterable[str]
) -> Json:
    """Return what to keep of keys that were ordered: nothing is overwritten with nothing."""
    kept: Json = {}
    for key in keys:
        if key in answer and key in stored and answer[key] != stored[key]:
            kept[key] = _merge_section(key, stored[key], answer[key])
    return kept


def _merge_section(key: str, stored: Any, answer: Any) -> Any:
    if _says_nothing(key, answer):
        return stored
    if not isinstance(answer, Mapping) or not isinstance(stored, Mapping):
        # What is of no shape that Sinch documents says nothing either.
        return stored if isinstance(stored, Mapping) else answer
    said = {name: value for name, value in answer.items() if not _says_nothing(name, value)}
    whole = _WHOLE.get(key)
    if whole is not None and all(said.get(name) for name in whole):
        return dict(answer)
    if key == "voiceConfiguration" and said.get("type") not in (None, stored.get("type")):
        return dict(answer)  # the id of another type is none of this one's
    merged = {**stored, **said}
    if "e911" in said and "e911" in stored:
        merged["e911"] = _merge_section("e911", stored["e911"], said["e911"])
    return merged


def _says_nothing(key: str, value: Any) -> bool:
    # An empty PIN need not be one that is not set: Sinch may just not show it.
    return value is None or (key in SECRET_KEYS and value == "")


def with_sent(stored: Mapping[str, Any], sent: Mapping[str, Any], *, replaces: bool) -> Json:
    """Return the stored JSON completed by what we sent and Sinch accepted.

    Sinch need not repeat what was ordered, so this is where the end user of an order comes from
    when it answers with numbers and statuses only. `replaces` is for a full replacement: then
    what was sent wins over what was stored, and what it left out is gone.
    """
    sent = redact(sent)
    merged: Json = dict(stored)
    for key in ORDERED_KEYS:
        if replaces:
            merged.pop(key, None)
        if key in sent and key not in merged:
            merged[key] = sent[key]
    if "desiredPortSchedule" in sent:
        before = {} if replaces else mapping(stored.get("desiredPortSchedule"))
        merged["desiredPortSchedule"] = {**sent["desiredPortSchedule"], **before}
    before, entries = by_number(stored), by_number(sent)
    places = list(entries) if replaces or not before else list(before)
    if places:
        merged["phoneNumbers"] = [
            _number_with_sent(before.get(number, {}), entries.get(number, {}), replaces)
            for number in places
        ]
    return merged


def _number_with_sent(stored: Mapping[str, Any], sent: Mapping[str, Any], replaces: bool) -> Json:
    merged: Json = {"phoneNumber": stored.get("phoneNumber") or sent.get("phoneNumber"), **stored}
    for key in NUMBER_ORDERED_KEYS if sent else ():
        if replaces:
            merged.pop(key, None)
        if key in sent and key not in merged:
            merged[key] = sent[key]
    return merged


# --- Looking for what was sent ------------------------------------------------------------------


def numbers_of(payload: Mapping[str, Any]) -> set[str]:
    """Return the numbers of an order, E.164."""
    return set(by_number(payload))


def countries_of(payload: Mapping[str, Any]) -> dict[str, str]:
    """Return the country that Sinch names for each number, by number; "" where it names none."""
    return {number: country_of(entry) for number, entry in by_number(payload).items()}


def count_notes(payload: Mapping[str, Any], note: str) -> int:
    """Return how many notes of an order have this text, runs of white space aside."""
    wanted = collapsed(note)
    return sum(collapsed(said.text) == wanted for said in _read_notes(payload.get("notes")))


def documents_named(payload: Mapping[str, Any], name: str) -> list[DocumentFacts]:
    """Return the documents of an order that have this name."""
    return [found for found in _read_documents(payload.get("documents")) if found.name == name]
