"""An order as fields to edit, and an edit as changes to send; pure functions, no database.

Only what somebody changed is changed: a number keeps what it has, also where the fields of the
page cannot show it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from orders import wire
from orders.causes import ORDER_FIELDS, Cause
from orders.forms import (
    ADDRESS_FIELDS,
    NEEDED_ADDRESS,
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
_OWN_UNITS: Final = (
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
    for unit in (*_OWN_UNITS, *_SHARED_UNITS):
        shared |= dict(zip(unit, _commonest(per_number.values(), unit), strict=True))
    overrides = []
    for number, fields in per_number.items():
        own: Json = {}
        for unit in _OWN_UNITS:
            if any(fields[name] for name in unit) and _values(fields, unit) != _values(
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


def _values(fields: Mapping[str, Any], unit: Sequence[str]) -> tuple[str, ...]:
    return tuple(_text(fields.get(name)) for name in unit)


def _text(value: object) -> str:
    return " ".join(str(value or "").split())


def _commonest(entries: Iterable[Json], unit: Sequence[str]) -> tuple[str, ...]:
    counts = Counter(_values(fields, unit) for fields in entries)
    # Something beats nothing: an empty field cannot be an override.
    filled = Counter({values: count for values, count in counts.items() if any(values)})
    return (filled or counts).most_common(1)[0][0] if counts else ("",) * len(unit)


def _fields_of_number(entry: Mapping[str, Any], secrets: Mapping[str, str]) -> Json:
    end_user, info, voice = entry["endUser"], entry["portOutInfo"], entry["voiceConfiguration"]
    kind = _text(voice.get("type"))
    signed = wire.read_date(info.get("authorizingDate"))
    street = ("streetPreDir", "streetName", "streetType", "streetPostDir")
    places = [
        f"{_text(end_user.get(f'locationType{n}'))} {_text(end_user.get(f'locationValue{n}'))}"
        for n in (1, 2, 3)
    ]
    return {
        "name": _text(end_user.get("name")),
        "street_num": _text(end_user.get("streetNum")),
        "street": _text(" ".join(_text(end_user.get(key)) for key in street)),
        "unit": _text(" ".join(places)),
        "city": _text(end_user.get("city")),
        "state": _text(end_user.get("state")),
        "zip": _text(end_user.get("zipCode")),
        "service": _text(end_user.get("typeOfService")) or "B",
        "pin": secrets.get("existingPortOutPin", ""),
        "account": secrets.get("accountNum", ""),
        "btn": _text(info.get("accountPhoneNumber")),
        "signer": _text(info.get("authorizingName")),
        "signed_on": signed.isoformat() if signed else "",
        "voice": kind,
        "voice_id": _text(voice.get(VOICE_ID_KEYS.get(kind, ""))),
        "sms_app": _text(entry["smsConfiguration"].get("smsAppId")),
    }


class Edit:
    """An edit of an order: what it started from, what was typed, what that changes.

    `form` has to be valid before `changes` and `lines` are asked for.
    """

    def __init__(self, start: Json, typed: Json, form: DetailsForm, numbers: Sequence[str]) -> None:
        self.start, self.typed, self.form, self.numbers = start, typed, form, list(numbers)
        self._start_own = _by_number(start)
        self._typed_own = _by_number(typed)
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
                    _dots(name, old) if secret else self._said({name: old}, name),
                    _dots(name, new) if secret else self._said({name: new}, name),
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
        return _text(self.start.get(name)) != _text(self.typed.get(name))

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
        return entry if entry and any(_values(entry, unit)) else None

    def _unit_changes(self, number: str, unit: Sequence[str]) -> tuple[Json, Json] | None:
        """Return (fields before, fields after) of a unit that somebody changed for a number."""
        before = self._own(self._start_own, number, unit)
        after = self._own(self._typed_own, number, unit)
        old, new = before or self.start, after or self.typed
        if before is None and after is None:
            changed = _values(self.start, unit) != _values(self.typed, unit)
        else:
            changed = _values(old, unit) != _values(new, unit)
        return (old, new) if changed else None

    def _values_that_change(self, number: str) -> dict[str, tuple[str, str]]:
        found = {}
        for unit in (*_OWN_UNITS, *_SHARED_UNITS):
            if pair := self._unit_changes(number, unit):
                old, new = pair
                for name in unit:
                    if _text(old.get(name)) != _text(new.get(name)):
                        found[name] = (_text(old.get(name)), _text(new.get(name)))
        return found

    def _number_changes(self, number: str) -> Json:
        end_user: Json = {}
        port_out: Json = {}
        found: Json = {}
        for name in self._values_that_change(number):
            unit = next(u for u in (*_OWN_UNITS, *_SHARED_UNITS) if name in u)
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
            return words.day_text(wire.read_date(value)) or _text(value)
        if name == "btn":
            return words.phone_text(_text(value))
        if name == "service":
            return dict(SERVICES).get(_text(value), _text(value))
        if name == "voice":
            return dict(VOICES).get(_text(value), _text(value))
        return _text(value)


def _by_number(fields: Mapping[str, Any]) -> dict[str, Json]:
    return {
        str(entry.get("number")): entry
        for entry in fields.get("overrides") or []
        if entry.get("number")
    }


def _dots(name: str, secret: str) -> str:
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


# --- Mending what a cause of refusals names ---------------------------------------------------


class FixForm(EndUserFields):
    """Only the fields that mend a cause, once for all the numbers it is about."""

    def __init__(self, data: Mapping[str, Any], names: Sequence[str]) -> None:
        super().__init__(
            {f"fix-{name}": value for name, value in data.items()},
            saved={name: _text(data.get(name)) for name in SECRET_FIELDS},
            complete=True,
            prefix="fix",
        )
        for name in set(self.fields) - set(names):
            del self.fields[name]
        for name in names:
            if name in ORDER_FIELDS:
                self.fields[name] = deepcopy(DetailsForm.base_fields[name])

    def clean(self) -> dict[str, Any]:
        """Judge an address as a whole."""
        given = super().clean() or self.cleaned_data
        self._agree_on_country()
        if any(given.get(name) for name in ADDRESS_FIELDS):
            self._need(*NEEDED_ADDRESS)
        return given


class Fix:
    """The fields of a cause, to be typed once for the numbers that were refused for it.

    `before` are the fields that the page began with, `everyone` all numbers of the order.
    """

    def __init__(
        self,
        cause: Cause,
        before: Json,
        numbers: Sequence[str],
        everyone: Sequence[str],
        typed: Mapping[str, Any] | None = None,
    ) -> None:
        self.cause, self.before = cause, before
        self.numbers, self.everyone = list(numbers), list(everyone)
        self._own = _by_number(before)
        self.typed = {name: _text((typed or {}).get(name)) for name in cause.edits}
        shown = {} if typed is not None else {n: self.sent(n) for n in cause.edits}
        self.form = FixForm(self.typed | shown, cause.edits)

    def sent(self, name: str) -> str:
        """What Sinch has for all of these numbers; "" where they differ, and for no secret."""
        if name in ORDER_FIELDS:
            return _text(self.before.get(name))
        return "" if name in SECRET_FIELDS else (self._sent(name) or "")

    def _sent(self, name: str) -> str | None:
        """The one value that all of these numbers have; None where they differ."""
        unit = next(unit for unit in _OWN_UNITS if name in unit)
        values = set()
        for number in self.numbers:
            entry = self._own.get(number)
            has_own = entry is not None and any(_values(entry, unit))
            values.add(_text((entry if has_own and entry else self.before).get(name)))
        return values.pop() if len(values) == 1 else None

    @property
    def rows(self) -> list[tuple[Any, str, str]]:
        """Each field with its width and what was sent, for the page."""
        widths = {"street_num": "w-xs", "state": "w-xs", "zip": "w-xs", "unit": "w-sm"}
        widths |= {"signed_on": "w-sm", "port_date": "w-sm", "port_time": "w-sm", "pin": "w-sm"}
        return [
            (self.form[name], widths.get(name, "w-md"), self._hint(name))
            for name in self.cause.edits
        ]

    def _hint(self, name: str) -> str:
        sent = _text(self.before.get(name)) if name in ORDER_FIELDS else self._sent(name)
        if sent is None:
            return "Sent so far: not the same for all of them"
        if name in SECRET_FIELDS:
            sent = _dots(name, sent)
        elif name in ("port_date", "signed_on"):
            sent = words.day_text(wire.read_date(sent)) or sent
        elif name == "btn":
            sent = words.phone_text(sent)
        return f"Sent so far: {sent or 'nothing'}"

    @property
    def title(self) -> str:
        """`Fix PIN on 2 numbers`."""
        return self.cause.button(len(self.numbers))

    @property
    def digits(self) -> str:
        """Its numbers as an address of a page holds them."""
        return ".".join(number.lstrip("+") for number in self.numbers)

    def applied(self, fields: Json) -> Json:
        """Return the fields of an edit with what was typed here put in for these numbers."""
        changed = {n for n, value in self.typed.items() if value and value != self.sent(n)}
        # Emptying what may be empty, such as the unit of an address, is a change as well.
        changed |= {n for n in self.typed if n == "unit" and self.typed[n] != self.sent(n)}
        result = dict(fields)
        for name in changed & ORDER_FIELDS:
            result[name] = self.typed[name]
        for unit in _OWN_UNITS:
            if changed.intersection(unit):
                result = self._with_unit(result, {name: self.typed.get(name, "") for name in unit})
        return result

    def _with_unit(self, fields: Json, values: Json) -> Json:
        entries = [dict(entry) for entry in fields.get("overrides") or []]
        if set(self.numbers) == set(self.everyone):
            for entry in entries:
                for name in values:
                    entry.pop(name, None)
            # Nothing of its own left: the number is as all the others are.
            kept = [
                e for e in entries if any(v for k, v in e.items() if k not in ("key", "number"))
            ]
            return fields | values | {"overrides": kept}
        by_number = {entry.get("number"): entry for entry in entries}
        for number in self.numbers:
            if number not in by_number:
                by_number[number] = {"key": f"n{number.lstrip('+')}", "number": number}
                entries.append(by_number[number])
            by_number[number].update(values)
        return fields | {"overrides": entries}
