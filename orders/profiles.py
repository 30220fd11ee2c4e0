"""What is kept for the next order: end users and routings, and how one fills a draft.

Pure functions over a draft's fields by their names. What belongs together (an address, voice with
its id) is taken as a whole. A PIN is never kept: it is good for one port.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from orders.details import ADDRESS_FIELDS, E911_FIELDS, SERVICES, VOICES
from orders.edits import dots, plain
from orders.models import EndUserProfile, RoutingPreset
from portal import words

Unit = tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """One of the two kinds of things that are kept.

    `key` stands in addresses, `one` and `many` in sentences; `units` are the fields it holds, with
    the label of each unit. `untouched` is what an empty draft holds without anybody having typed.
    """

    key: str
    article: str
    one: str
    many: str
    model: type[EndUserProfile] | type[RoutingPreset]
    units: Mapping[Unit, str]
    untouched: Mapping[str, str]

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of all its fields."""
        return tuple(name for unit in self.units for name in unit)


END_USERS: Final = Kind(
    key="end-users",
    article="an",
    one="end user",
    many="end users",
    model=EndUserProfile,
    units={
        ("name",): "Name on the bill",
        ("service",): "Service",
        ADDRESS_FIELDS: "Service address",
        ("account",): "Account number",
        ("btn",): "BTN",
        ("signer",): "Signer",
        ("reseller",): "Reseller name",
    },
    untouched={"service": "B"},
)
ROUTINGS: Final = Kind(
    key="routing",
    article="a",
    one="routing",
    many="routings",
    model=RoutingPreset,
    units={("voice", "voice_id"): "Voice", ("sms_app",): "SMS app", E911_FIELDS: "E911 address"},
    untouched={},
)
KINDS: Final = {kind.key: kind for kind in (END_USERS, ROUTINGS)}


@dataclass(frozen=True)
class Difference:
    """A unit that is typed in a draft and kept otherwise; `key` names it in a form."""

    key: str
    label: str
    typed: str
    saved: str


def kept_of(kind: Kind, data: Mapping[str, Any]) -> dict[str, str]:
    """Return what of a draft's fields is kept: the filled ones, without any PIN."""
    return {name: text for name in kind.fields if (text := plain(data.get(name)))}


def differences(kind: Kind, data: Mapping[str, Any], kept: Mapping[str, Any]) -> list[Difference]:
    """Return the units that would be typed over, in the order of the page."""
    return [
        Difference(unit[0], label, said(unit, data), said(unit, kept))
        for unit, label in kind.units.items()
        if _has(unit, kept) and _is_typed(kind, unit, data) and _differ(unit, data, kept)
    ]


def filled(
    kind: Kind, data: Mapping[str, Any], kept: Mapping[str, Any], *, replaced: Collection[str] = ()
) -> dict[str, str]:
    """Return the fields of a draft that change when something kept is used.

    What is not typed yet is filled; what is typed stays, but for the units named in `replaced`.
    """
    changes: dict[str, str] = {}
    for unit in kind.units:
        if _has(unit, kept) and (not _is_typed(kind, unit, data) or unit[0] in replaced):
            changes |= {name: plain(kept.get(name)) for name in unit}
    return changes


def _has(unit: Unit, fields: Mapping[str, Any]) -> bool:
    return any(plain(fields.get(name)) for name in unit)


def _is_typed(kind: Kind, unit: Unit, data: Mapping[str, Any]) -> bool:
    values = {name: plain(data.get(name)) for name in unit}
    return any(value and value != kind.untouched.get(name) for name, value in values.items())


def _differ(unit: Unit, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return any(plain(one.get(name)) != plain(other.get(name)) for name in unit)


def said(unit: Unit, fields: Mapping[str, Any]) -> str:
    """Return a unit's values as a sentence has them; an account number is dots and its end."""
    values = {name: plain(fields.get(name)) for name in unit}
    if unit == ("account",):
        return dots("account", values["account"])
    if unit == ("service",):
        return dict(SERVICES).get(values["service"], values["service"])
    if unit == ("btn",):
        return words.phone_text(values["btn"])
    if unit == ("voice", "voice_id"):
        voice = dict(VOICES).get(values["voice"], values["voice"])
        return " ".join(part for part in (voice, values["voice_id"]) if part)
    if unit == ADDRESS_FIELDS:
        return _address(values)
    return ", ".join(value for value in values.values() if value)


def _address(values: Mapping[str, str]) -> str:
    street = ("street_num", "street_pre", "street", "street_type", "street_post")
    lines = (
        " ".join(values[name] for name in street if values[name]),
        *(values[name] for name in ("unit", "place2", "place3")),
        values["city"],
        f"{values['state']} {values['zip']}".strip(),
    )
    return ", ".join(line for line in lines if line)
