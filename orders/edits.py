"""An order as fields to edit, and an edit as changes to send; pure functions, no database.

Only what somebody changed is changed: a number keeps what it has, also where the fields of the
page cannot show it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orders import wire
from orders.forms import (
    ADDRESS_FIELDS,
    SECRET_FIELDS,
    SERVICES,
    VOICE_ID_KEYS,
    VOICES,
    DetailsForm,
    EndUserFields,
    OverrideForm,
    authorizing_moment,
    ends_of,
    split_unit,
)
from portal import words

Json = dict[str, Any]

# What can differ from number to number on the page; an address goes as a whole.
OWN_UNITS: Final = (
    ("name",),
    ADDRESS_FIELDS,
    ("pin",),
    ("account",),
    ("btn",),
    ("signer",),
    ("signed_on",),
)
# What the page has once for all numbers.
_SHARED_UNITS: Final = (("service",), ("voice", "voice_id"), ("sms_app",))
_ORDER_FIELDS: Final = (
    "port_date",
    "port_time",
    "port_zone",
    "on_demand",
    "reseller",
    "reference",
)
_PORT_OUT_KEYS: Final = {
    "pin": "existingPortOutPin",
    "account": "accountNum",
    "btn": "accountPhoneNumber",
    "signer": "authorizingName",
}
_END_USER_KEYS: Final = {
    "name": "name",
    "street_num": "streetNum",
    "city": "city",
    "state": "state",
    "zip": "zipCode",
    "service": "typeOfService",
}


@dataclass(frozen=True)
class Change:
    """One line of "what will change": a field, what Sinch has, what will be sent, for whom.

    `numbers` is empty for a field of the order itself. Secrets are dots, with their visible end.
    """

    label: str
    old: str
    new: str
    numbers: tuple[str, ...] = ()
    is_secret: bool = False


def fields_of(order: wire.HasPayload, secrets: Mapping[str, Mapping[str, str]]) -> Json:
    """Return the fields that an order has now, as a draft would hold them.

    What most numbers have is in the shared fields; numbers that differ have an override.
    """
    payload = wire.in_shape(order.payload)
    facts = wire.read_order(payload)
    per_number = {
        number: _fields_of_number(entry, secrets.get(number, {}))
        for entry in payload["phoneNumbers"]
        if (number := wire.phone_of(entry))
    }
    shared: Json = {}
    for unit in (*OWN_UNITS, *_SHARED_UNITS):
        shared |= dict(zip(unit, _commonest(per_number.values(), unit), strict=True))
    overrides = []
    for number, fields in per_number.items():
        own: Json = {}
        for unit in OWN_UNITS:
            if any(fields[name] for name in unit) and values_of(fields, unit) != values_of(
                shared, unit
            ):
                own |= {name: fields[name] for name in unit}
        if own:
            overrides.append({"key": f"n{number.lstrip('+')}", "number": number, **own})
    return shared | {
        "port_date": facts.desired_port_date.isoformat() if facts.desired_port_date else "",
        "port_time": facts.desired_port_time[:5],
        "port_zone": facts.desired_port_time_zone,
        "on_demand": facts.on_demand_activation,
        "reseller": facts.reseller_name,
        "reference": facts.reference,
        "overrides": overrides,
    }


def values_of(fields: Mapping[str, Any], unit: Sequence[str]) -> tuple[str, ...]:
    return tuple(plain(fields.get(name)) for name in unit)


def plain(value: object) -> str:
    return " ".join(str(value or "").split())


def _commonest(entries: Iterable[Json], unit: Sequence[str]) -> tuple[str, ...]:
    counts = Counter(values_of(fields, unit) for fields in entries)
    # Something beats nothing: an empty field cannot be an override.
    filled = Counter({values: count for values, count in counts.items() if any(values)})
    return (filled or counts).most_common(1)[0][0] if counts else ("",) * len(unit)


def _fields_of_number(entry: Mapping[str, Any], secrets: Mapping[str, str]) -> Json:
    end_user, info, voice = entry["endUser"], entry["portOutInfo"], entry["voiceConfiguration"]
    kind = plain(voice.get("type"))
    signed = wire.read_date(info.get("authorizingDate"))
    street = ("streetPreDir", "streetName", "streetType", "streetPostDir")
    places = [
        f"{plain(end_user.get(f'locationType{n}'))} {plain(end_user.get(f'locationValue{n}'))}"
        for n in (1, 2, 3)
    ]
    return {
        "name": plain(end_user.get("name")),
        "street_num": plain(end_user.get("streetNum")),
        "street": plain(" ".join(plain(end_user.get(key)) for key in street)),
        "unit": plain(" ".join(places)),
        "city": plain(end_user.get("city")),
        "state": plain(end_user.get("state")),
        "zip": plain(end_user.get("zipCode")),
        "service": plain(end_user.get("typeOfService")) or "B",
        "pin": secrets.get("existingPortOutPin", ""),
        "account": secrets.get("accountNum", ""),
        "btn": plain(info.get("accountPhoneNumber")),
        "signer": plain(info.get("authorizingName")),
        "signed_on": signed.isoformat() if signed else "",
        "voice": kind,
        "voice_id": plain(voice.get(VOICE_ID_KEYS.get(kind, ""))),
        "sms_app": plain(entry["smsConfiguration"].get("smsAppId")),
    }


class Edit:
    """An edit of an order: what it started from, what was typed, what that changes.

    `form` has to be valid before `changes` and `lines` are asked for.
    """

    def __init__(self, start: Json, typed: Json, form: DetailsForm, numbers: Sequence[str]) -> None:
        self.start, self.typed, self.form, self.numbers = start, typed, form, list(numbers)
        self._start_own = by_number(start)
        self._typed_own = by_number(typed)
        self._own_forms = {own.phone_number: own for own in form.overrides}

    @property
    def changes(self) -> Json:
        """The changes in the shape `wire.write_body` takes; empty when nothing changes."""
        found = self._order_changes()
        numbers = {n: change for n in self.numbers if (change := self._number_changes(n))}
        return found | ({"phoneNumbers": numbers} if numbers else {})

    @property
    def lines(self) -> list[Change]:
        """The changes in words: the order's own first, then by field with their numbers."""
        labels = {name: str(field.label) for name, field in self.form.fields.items()}
        labels |= {"street_num": "Street number"}
        found = [
            Change(labels[name], self._said(self.start, name), self._said(self.typed, name))
            for name in _ORDER_FIELDS
            if self._differs(name)
        ]
        whose: dict[tuple[str, str, str, bool], list[str]] = {}
        for number in self.numbers:
            for name, (old, new) in self._values_that_change(number).items():
                secret = name in SECRET_FIELDS
                key = (
                    labels[name],
                    dots(name, old) if secret else self._said({name: old}, name),
                    dots(name, new) if secret else self._said({name: new}, name),
                    secret,
                )
                whose.setdefault(key, []).append(number)
        return found + [
            Change(label, old, new, tuple(numbers), secret)
            for (label, old, new, secret), numbers in whose.items()
        ]

    def _differs(self, name: str) -> bool:
        if name == "on_demand":
            return bool(self.start.get(name)) != bool(self.typed.get(name))
        return plain(self.start.get(name)) != plain(self.typed.get(name))

    def _order_changes(self) -> Json:
        given = self.form.cleaned_data
        found: Json = {}
        for name, key, value in (
            ("on_demand", "onDemandActivation", given["on_demand"]),
            ("reseller", "resellerName", given["reseller"]),
            ("reference", "customerOrderReference", given["reference"]),
        ):
            if self._differs(name):
                found[key] = value
        schedule, sent = {}, self.form.schedule()
        for name, key in (
            ("port_date", "desiredPortDate"),
            ("port_time", "desiredPortTime"),
            ("port_zone", "desiredPortTimeZone"),
        ):
            if self._differs(name):
                schedule[key] = sent.get(key, "")
        return found | ({"desiredPortSchedule": schedule} if schedule else {})

    def _own(self, own: Mapping[str, Json], number: str, unit: Sequence[str]) -> Json | None:
        entry = own.get(number)
        return entry if entry and any(values_of(entry, unit)) else None

    def _unit_changes(self, number: str, unit: Sequence[str]) -> tuple[Json, Json] | None:
        """Return (fields before, fields after) of a unit that somebody changed for a number."""
        before = self._own(self._start_own, number, unit)
        after = self._own(self._typed_own, number, unit)
        old, new = before or self.start, after or self.typed
        if before is None and after is None:
            changed = values_of(self.start, unit) != values_of(self.typed, unit)
        else:
            changed = values_of(old, unit) != values_of(new, unit)
        return (old, new) if changed else None

    def _values_that_change(self, number: str) -> dict[str, tuple[str, str]]:
        found = {}
        for unit in (*OWN_UNITS, *_SHARED_UNITS):
            if pair := self._unit_changes(number, unit):
                old, new = pair
                for name in unit:
                    if plain(old.get(name)) != plain(new.get(name)):
                        found[name] = (plain(old.get(name)), plain(new.get(name)))
        return found

    def _number_changes(self, number: str) -> Json:
        end_user: Json = {}
        port_out: Json = {}
        found: Json = {}
        for name in self._values_that_change(number):
            unit = next(u for u in (*OWN_UNITS, *_SHARED_UNITS) if name in u)
            form: EndUserFields = self.form
            if self._own(self._typed_own, number, unit) and number in self._own_forms:
                form = self._own_forms[number]
            given = form.cleaned_data
            if name in _END_USER_KEYS:
                end_user[_END_USER_KEYS[name]] = given[name]
            elif name == "street":
                # The page has one field for what Sinch keeps in four.
                end_user |= {"streetName": given[name]}
                end_user |= dict.fromkeys(("streetPreDir", "streetType", "streetPostDir"), "")
            elif name == "unit":
                kind, value = split_unit(given[name])
                end_user |= {"locationType1": kind, "locationValue1": value}
                end_user |= {f"location{part}{n}": "" for part in ("Type", "Value") for n in (2, 3)}
            elif name in _PORT_OUT_KEYS:
                port_out[_PORT_OUT_KEYS[name]] = given[name]
            elif name == "signed_on":
                port_out["authorizingDate"] = authorizing_moment(given[name])
            elif name in ("voice", "voice_id"):
                kind = given["voice"]
                found["voiceConfiguration"] = (
                    {"type": kind, VOICE_ID_KEYS[kind]: given["voice_id"]} if kind else None
                )
            elif name == "sms_app":
                found["smsConfiguration"] = {"smsAppId": given[name]}
        if end_user:
            found["endUser"] = end_user
        if port_out:
            found["portOutInfo"] = port_out
        return found

    def _said(self, fields: Mapping[str, Any], name: str) -> str:
        value = fields.get(name)
        if name == "on_demand":
            return "Yes" if value else "No"
        if name in ("port_date", "signed_on"):
            return words.day_text(wire.read_date(value)) or plain(value)
        if name == "btn":
            return words.phone_text(plain(value))
        if name == "service":
            return dict(SERVICES).get(plain(value), plain(value))
        if name == "voice":
            return dict(VOICES).get(plain(value), plain(value))
        return plain(value)


def by_number(fields: Mapping[str, Any]) -> dict[str, Json]:
    return {
        str(entry.get("number")): entry
        for entry in fields.get("overrides") or []
        if entry.get("number")
    }


def dots(name: str, secret: str) -> str:
    if not secret:
        return ""
    return f"••••{ends_of(secret) if name == 'account' else ''}"


def override_forms(
    entries: Iterable[Mapping[str, Any]], numbers: Sequence[str], *, complete: bool
) -> list[OverrideForm]:
    """Return the forms of single numbers' own details, each knowing the numbers before it."""
    forms: list[OverrideForm] = []
    for entry in entries:
        forms.append(
            OverrideForm(
                entry,
                prefix=str(entry.get("key")),
                numbers=numbers,
                saved=entry,
                complete=complete,
                taken=[form.phone_number for form in forms],
            )
        )
    return forms
