"""One number of an order with everything Sinch says of it, for a page of its own."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import F
from django.http import Http404
from django.shortcuts import get_object_or_404

from orders import page_marks, wire
from orders.causes import CAUSES, names_of
from orders.models import PortInNumber, PortInOrder
from orders.page_marks import RefusalCare
from orders.page_numbers import Refusal, refusal_of
from portal import words
from portal.values import mapping

_Status = PortInNumber.Status

# Sinch's keys with the words staff know them by, in the order of the page.
_END_USER: Final = {
    "name": "Name on the bill",
    "streetNum": "Street number",
    "streetPreDir": "Direction before the street",
    "streetName": "Street",
    "streetType": "Street type",
    "streetPostDir": "Direction after the street",
    "locationType1": "Unit type",
    "locationValue1": "Unit",
    "locationType2": "Second place type",
    "locationValue2": "Second place",
    "locationType3": "Third place type",
    "locationValue3": "Third place",
    "city": "City",
    "state": "State",
    "zipCode": "ZIP",
    "typeOfService": "Service",
}
_SERVICES: Final = {"B": "Business", "R": "Residential"}
_E911: Final = {
    "name": ("Name", ""),
    "streetNum": ("Street number", "enhStreetNum"),
    "streetInfo": ("Street", "enhStreetInfo"),
    "location": ("Place", "enhLocation"),
    "city": ("City", "enhCity"),
    "state": ("State", "enhState"),
    "postalCode": ("Postal code", "enhPostalCode"),
    "postalCodePlusFour": ("ZIP + 4", "enhPostalCodePlusFour"),
}
_VOICE: Final = {"RTC": "App (RTC)", "EST": "SIP trunk (EST)", "FAX": "Fax"}
# What is kept encrypted: our name for it, Sinch's key, the label, how a sentence names it.
SECRETS: Final = (
    ("pin", "existingPortOutPin", "Port-out PIN", "the port-out PIN"),
    ("account", "accountNum", "Account number", "the account number"),
    ("new_pin", "newPortOutPin", "New PIN", "the PIN this number gets at Sinch"),
)


@dataclass
class Line:
    """A label with what Sinch has; `is_id` for what is read letter by letter."""

    label: str
    value: str
    is_id: bool = False
    is_phone: bool = False


@dataclass
class Secret:
    """A value shown as dots; `is_kept` False when Sinch has one that this desk does not know."""

    name: str
    label: str
    what: str
    ending: str = ""
    shown: str | None = None
    is_kept: bool = True


@dataclass
class Beside:
    """A part of the emergency address: what was ordered and what Sinch made of it."""

    label: str
    ours: str
    validated: str

    @property
    def differs(self) -> bool:
        """Whether the validated spelling is another one."""
        return bool(self.validated) and self.validated.casefold() != self.ours.casefold()


@dataclass
class NumberPage:
    """What the page of a number shows."""

    row: PortInNumber
    life: list[Line]
    end_user: list[Line]
    carrier: list[Line]
    secrets: list[Secret]
    routing: list[Line]
    e911: list[Beside]
    features: list[Line]
    more: list[tuple[str, str]] = field(default_factory=list)
    sentence: str = ""  # what its status says, with Sinch's own words in it
    since: str = ""  # since when it is so; "" where the sentence says it
    move: str = ""  # a key of `words.MOVES`
    refusal: Refusal | None = None  # why it does not move, and how that is mended
    care: RefusalCare | None = None  # what was decided about that

    @property
    def is_validated(self) -> bool:
        """Whether Sinch has validated the emergency address."""
        return any(part.validated for part in self.e911)


def number_row(order: PortInOrder, digits: str) -> PortInNumber:
    """Return the number of an order by its digits. Raises Http404."""
    return get_object_or_404(PortInNumber, order=order, phone_number=f"+{digits}")


def number_page(
    order: PortInOrder, row: PortInNumber, revealed: Mapping[str, str] | None = None
) -> NumberPage:
    """Return all there is about a number; one statement, whatever the size of the order."""
    path = f"payload__phoneNumbers__{row.position}"
    kept = page_marks.columns()
    found = PortInOrder.objects.filter(pk=order.pk).annotate(**kept, entry=F(path))
    told_of = found.values("entry", *kept).first() or {}
    raw: Any = told_of.get("entry")
    if wire.phone_of(raw if isinstance(raw, Mapping) else {}) != row.phone_number:
        raise Http404  # replaced between the two looks; the next one finds it
    told = mapping(raw)
    user, info = mapping(told.get("endUser")), mapping(told.get("portOutInfo"))
    refusal = refusal_of(order, row)
    care = _care(order, row, refusal, told_of) if refusal else None
    at = _moment(_said_at(row))
    return NumberPage(
        row=row,
        sentence=_sentence(order, row, refusal),
        since="" if row.status == _Status.ACTIVATED and at else at or _seen(row),
        move=_move(order, row, care),
        refusal=refusal,
        care=care,
        life=_life(row, refusal.reason if refusal else ""),
        end_user=[
            Line(label, _SERVICES.get(text, text) if key == "typeOfService" else text)
            for key, label in _END_USER.items()
            if (text := wire.text(user.get(key)))
        ],
        carrier=_carrier(row, info),
        secrets=_secrets(order, row, told, revealed or {}),
        routing=_routing(told),
        e911=_beside(mapping(mapping(told.get("features")).get("e911"))),
        features=[
            Line(
                wire.feature_text(feature.get("featureName")),
                wire.text(feature.get("exclusionReason")) or "no reason given",
            )
            for feature in row.excluded_features
            if isinstance(feature, dict)
        ],
        more=wire.undocumented(told),
    )


def _care(
    order: PortInOrder, row: PortInNumber, refusal: Refusal, kept: Mapping[str, Any]
) -> RefusalCare:
    """Return what was decided about a number that was refused or left out."""
    # Which numbers a draft takes up is told on the order's page, where all of them stand.
    for name, value in {**kept, "draft_keys": []}.items():
        setattr(order, name, value)
    return page_marks.Care(order).of(row.status, [row.phone_number], refusal.causes)


def _sentence(order: PortInOrder, row: PortInNumber, refusal: Refusal | None) -> str:
    """Return what the status of a number means, in one sentence with what Sinch says of it."""
    general = words.chip("number", row.status).sentence
    if refusal and row.status == _Status.REJECTED:
        return f"Refused: “{refusal.reason}”." if refusal.reason else "Refused; no reason given."
    if refusal and refusal.reason:
        return f"{general.rstrip('.')}: “{refusal.reason}”."
    if row.status == _Status.CONFIRMED and row.foc_date:
        day = words.day_text(row.foc_date)
        when = f"once we activate it, from {day} on" if order.on_demand_activation else f"on {day}"
        return f"The losing carrier agreed: it moves {when}."
    if row.status == _Status.ACTIVATED and row.activated_at:
        return f"Live at Sinch since {_moment(row.activated_at)}."
    return general


def _said_at(row: PortInNumber) -> str:
    """Return since when a number stands as it does, as Sinch tells it; "" when it does not."""
    return {
        _Status.CONFIRMED: row.confirmed_at,
        _Status.ACTIVATED: row.activated_at,
        _Status.REJECTED: row.excluded_at,
        _Status.EXCLUDED: row.excluded_at,
    }.get(_Status(row.status) if row.status in _Status else _Status.PENDING, "")


def _seen(row: PortInNumber) -> str:
    return words.moment_text(row.status_since)


def _move(order: PortInOrder, row: PortInNumber, care: RefusalCare | None) -> str:
    """Return whose move it is about a number; "" for nobody's."""
    if care is None:
        return words.chip("number", row.status).move
    if not care.needs_us:
        return words.chip("order", order.status).move
    if not care.open:
        return ""
    return "customer" if care.asked else "us"


def _life(row: PortInNumber, told: str) -> list[Line]:
    """Return what happened to a number, without what the head of its page says: `told`, its time.

    `told` is why it was refused or left out.
    """
    country = {"US": "United States", "CA": "Canada"}.get(row.country_code, row.country_code)
    lines = [
        Line("FOC date", words.day_text(row.foc_date) if row.foc_date else ""),
        Line("Confirmed", "" if row.status == _Status.CONFIRMED else _moment(row.confirmed_at)),
        Line("Live since", "" if row.status == _Status.ACTIVATED else _moment(row.activated_at)),
        Line("Activated by", row.activate_user),
        Line("Refused", row.reject_reason if row.reject_reason != told else ""),
        Line("Left out", row.exclusion_reason if row.exclusion_reason != told else ""),
        Line("Refused before for", names_of([c for c in CAUSES if c.key in row.refused_before])),
        Line(
            "Left out on",
            "" if row.status in (_Status.REJECTED, _Status.EXCLUDED) else _moment(row.excluded_at),
        ),
        Line("Losing carrier", row.losing_carrier),
        Line("Carrier group", row.group),
        Line("Country", country),
    ]
    return [line for line in lines if line.value]


def _moment(text: str) -> str:
    """Return an instant as it is read here; a plain day or a time alone stays what it is."""
    if day := wire.read_date(text):
        at = wire.read_instant(text)
        return words.moment_text(at) if at and "T" in text else words.day_text(day)
    return f"{text} UTC" if text else ""


def _carrier(row: PortInNumber, info: Mapping[str, Any]) -> list[Line]:
    signed = wire.read_date(info.get("authorizingDate"))
    lines = [
        Line("BTN", wire.text(info.get("accountPhoneNumber")), is_phone=True),
        Line("Signer", wire.text(info.get("authorizingName"))),
        Line("Signed on", words.day_text(signed) if isinstance(signed, datetime.date) else ""),
    ]
    return [line for line in lines if line.value]


def _secrets(
    order: PortInOrder, row: PortInNumber, told: Mapping[str, Any], revealed: Mapping[str, str]
) -> list[Secret]:
    kept = (order.secrets or {}).get(row.phone_number, {})
    echoed = wire.order_secrets({"phoneNumbers": [told]}).get(row.phone_number, {})
    has = mapping(told.get("portOutInfo"))
    found = []
    for name, key, label, what in SECRETS:
        value = str(kept.get(key) or "")
        if value:
            ending = value[-4:] if name == "account" and len(value) >= 8 else ""
            found.append(Secret(name, label, what, ending, revealed.get(name)))
        elif echoed.get(key) or has.get(key) or told.get(key):
            found.append(Secret(name, label, what, is_kept=False))
    return found


def _routing(told: Mapping[str, Any]) -> list[Line]:
    voice, sms = mapping(told.get("voiceConfiguration")), mapping(told.get("smsConfiguration"))
    kind = wire.text(voice.get("type"))
    ids = [wire.text(voice.get(key)) for key in ("appId", "trunkId", "serviceId")]
    lines = [
        Line("Voice", _VOICE.get(kind, kind)),
        Line("Voice id", next((value for value in ids if value), ""), is_id=True),
        Line("SMS app", wire.text(sms.get("smsAppId")), is_id=True),
    ]
    return [line for line in lines if line.value]


def _beside(e911: Mapping[str, Any]) -> list[Beside]:
    found = [
        Beside(label, wire.text(e911.get(key)), wire.text(e911.get(enhanced)) if enhanced else "")
        for key, (label, enhanced) in _E911.items()
    ]
    return [part for part in found if part.ours or part.validated]
