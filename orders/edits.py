"""An order as fields to edit, and an edit as changes to send; pure functions, no database.

Only what somebody changed is changed: a number keeps what it has, also where the fields of the
page cannot show it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from orders import bodies, wire
from orders.details import (
    ADDRESS_FIELDS,
    E911_FIELDS,
    E911_KEYS,
    END_USER_KEYS,
    PLACE_KEYS,
    PORT_OUT_KEYS,
    UNITS,
    VOICE_ID_KEYS,
    authorizing_moment,
    end_user_body,
    split_unit,
)
from orders.forms import DetailsForm
from orders.forms_fields import ends_of
from orders.forms_own import Overrides
from portal import words

Json = dict[str, Any]

# Every order has these, so that one number without them says nothing about the others. Of the
# rest a number may well have none on purpose: what most numbers have is what is shared.
_EXPECTED: Final = frozenset({"name", "street_num", "service", *PORT_OUT_KEYS})
_VALIDATED: Final = {
    "enhStreetNum": "Number",
    "enhStreetInfo": "Street",
    "enhLocation": "Location",
    "enhCity": "City",
    "enhState": "State",
    "enhPostalCode": "ZIP",
    "enhPostalCodePlusFour": "Last four",
}


def fields_of(
    order: bodies.HasPayload,
    secrets: Mapping[str, Mapping[str, str]] | None,
    before: Json | None = None,
    actual: Mapping[str, Json] | None = None,
) -> Json:
    """Return the fields that an order has now, as a draft would hold them.

    What most numbers have is in the shared fields; numbers that differ have an override. None for
    `secrets` where no key reads ours: their fields are empty. With `before` and `actual`, the
    fields and details (`fields_by_number`) that an edit begins with, they are the fields by which
    that edit comes to this order.
    """
    facts = wire.read_order(bodies.in_shape(order.payload))
    per_number = fields_by_number(order, secrets or {})
    shared: Json = {}
    own: dict[str, Json] = {}
    for unit in UNITS:
        values = {number: values_of(fields, unit) for number, fields in per_number.items()}
        usual = _commonest(values.values(), unit)
        if before is not None and any(usual):
            usual = _shared_beside_none(usual, values, unit, before, actual or {})
        shared |= dict(zip(unit, usual, strict=True))
        for number, said in values.items():
            if said != usual and any(said):
                fields = per_number[number]
                own.setdefault(number, {}).update({name: fields[name] for name in unit})
    overrides = [
        {"key": f"n{number.lstrip('+')}", "number": number, **own[number]}
        for number in per_number
        if number in own
    ]
    return shared | {
        "port_date": facts.desired_port_date.isoformat() if facts.desired_port_date else "",
        "port_time": facts.desired_port_time[:5],
        "port_zone": facts.desired_port_time_zone,
        "on_demand": facts.on_demand_activation,
        "reseller": facts.reseller_name,
        "loa_by": facts.loa_uploaded_by,
        "loa_date": day.isoformat() if (day := wire.read_date(facts.loa_attachment_date)) else "",
        "reference": facts.reference,
        "overrides": overrides,
    }


def fields_by_number(
    order: bodies.HasPayload, secrets: Mapping[str, Mapping[str, str]]
) -> dict[str, Json]:
    """Return the details each number has at Sinch, by the names of a draft's fields."""
    return {
        number: _fields_of_number(entry, secrets.get(number, {}))
        for entry in bodies.in_shape(order.payload)["phoneNumbers"]
        if (number := wire.phone_of(entry))
    }


def validated_of(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (label, value) of the emergency address of a number as Sinch has validated it."""
    return _validated(bodies.in_shape({"phoneNumbers": [entry]})["phoneNumbers"][0])


def _validated(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    e911 = entry["features"]["e911"]
    return [(label, said) for key, label in _VALIDATED.items() if (said := plain(e911.get(key)))]


def validated_by_number(order: bodies.HasPayload) -> dict[str, list[tuple[str, str]]]:
    """Return `validated_of` each number that has an emergency address Sinch has validated."""
    return {
        wire.phone_of(entry): seen
        for entry in bodies.in_shape(order.payload)["phoneNumbers"]
        if (seen := _validated(entry))
    }


def values_of(fields: Mapping[str, Any], unit: Sequence[str]) -> tuple[str, ...]:
    return tuple(plain(fields.get(name)) for name in unit)


def plain(value: object) -> str:
    return " ".join(str(value or "").split())


def _commonest(entries: Iterable[tuple[str, ...]], unit: Sequence[str]) -> tuple[str, ...]:
    counts = Counter(entries)
    # Something beats nothing: an empty field cannot be an override.
    filled = Counter({values: count for values, count in counts.items() if any(values)})
    if not filled:
        return ("",) * len(unit)
    usual, count = filled.most_common(1)[0]
    is_rare = count * 2 < sum(counts.values()) and not _EXPECTED.intersection(unit)
    return ("",) * len(unit) if is_rare else usual


def _shared_beside_none(
    usual: tuple[str, ...],
    values: Mapping[str, tuple[str, ...]],
    unit: Sequence[str],
    before: Json,
    actual: Mapping[str, Json],
) -> tuple[str, ...]:
    """Return what to share of a unit so that the numbers with none of it do not get it as well.

    A change of what is shared is one for all numbers: shared stays what it was before where these
    had none then either, else nothing is.
    """
    without = [number for number, said in values.items() if not any(said)]
    if not without:
        return usual
    had = any(n not in actual or any(values_of(actual[n], unit)) for n in without)
    return ("",) * len(unit) if had else values_of(before, unit)


def _fields_of_number(entry: Mapping[str, Any], secrets: Mapping[str, str]) -> Json:
    end_user, info, voice = entry["endUser"], entry["portOutInfo"], entry["voiceConfiguration"]
    e911, kind = entry["features"]["e911"], plain(voice.get("type"))
    signed = wire.read_date(info.get("authorizingDate"))
    places = {
        name: plain(f"{plain(end_user.get(kind_key))} {plain(end_user.get(value_key))}")
        for name, (kind_key, value_key) in PLACE_KEYS.items()
    }
    return {
        **{name: plain(end_user.get(key)) for name, key in END_USER_KEYS.items()},
        **places,
        "service": plain(end_user.get("typeOfService")) or "B",
        **{name: plain(info.get(key)) for name, key in PORT_OUT_KEYS.items()},
        "pin": secrets.get("existingPortOutPin", ""),
        "account": secrets.get("accountNum", ""),
        "new_pin": secrets.get(wire.NEW_PIN_KEY, ""),
        "signed_on": signed.isoformat() if signed else "",
        "voice": kind,
        "voice_id": plain(voice.get(VOICE_ID_KEYS.get(kind, ""))),
        "sms_app": plain(entry["smsConfiguration"].get("smsAppId")),
        **{name: plain(e911.get(key)) for name, key in E911_KEYS.items()},
    }


class Edit:
    """An edit of an order: what it started from, what was typed, what that changes.

    `actual` is what each number has at Sinch (`fields_by_number`), `validated` the emergency
    addresses that Sinch has checked (`validated_by_number`). `form` has to be valid before
    `changes` and `lines` are asked for.
    """

    def __init__(
        self,
        start: Json,
        typed: Json,
        form: DetailsForm,
        actual: Mapping[str, Json],
        validated: Mapping[str, list[tuple[str, str]]],
    ) -> None:
        self.start, self.typed, self.form, self.actual = start, typed, form, actual
        self.numbers = list(actual)
        self._start_own = by_number(start)
        self._typed_own = by_number(typed)
        self._shared = form.values() if form.is_valid() else {}
        for unit in UNITS:
            if said := self._missing(unit):
                form.cautions.setdefault(unit[0], []).append(said)
        own = by_number(start)
        form.validated = next(
            (seen for n, seen in validated.items() if not self._own(own, n, E911_FIELDS)), []
        )
        for other in form.overrides:
            if self._own(own, other.phone_number, E911_FIELDS):
                other.validated = validated.get(other.phone_number, [])

    def _missing(self, unit: Sequence[str]) -> str:
        """Say that some numbers have none of what most have; "" when all do."""
        if not any(values_of(self.start, unit)):
            return ""
        count = sum(not any(values_of(fields, unit)) for fields in self.actual.values())
        if not count:
            return ""
        return (
            f"{words.count_text(count, 'number')} of {len(self.numbers)} "
            f"{'has' if count == 1 else 'have'} none at Sinch; a change here is for all of them."
        )

    @property
    def changes(self) -> Json:
        """The changes in the shape `bodies.write_body` takes; empty when nothing changes."""
        found = self._order_changes()
        numbers = {n: change for n in self.numbers if (change := self._number_changes(n))}
        return found | ({"phoneNumbers": numbers} if numbers else {})

    def _differs(self, name: str) -> bool:
        if name == "on_demand":
            return bool(self.start.get(name)) != bool(self.typed.get(name))
        return plain(self.start.get(name)) != plain(self.typed.get(name))

    def _order_changes(self) -> Json:
        given, loa = self.form.cleaned_data, self.form.loa()
        found: Json = {}
        for name, key, value in (
            ("on_demand", "onDemandActivation", given["on_demand"]),
            ("reseller", "resellerName", given.get("reseller", "")),
            ("reference", "customerOrderReference", given.get("reference", "")),
            ("loa_by", "loaUploadedBy", loa["loaUploadedBy"]),
            ("loa_date", "loaAttachmentDate", loa["loaAttachmentDate"]),
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

    def _is_changed(self, number: str, unit: Sequence[str]) -> bool:
        """Tell whether somebody changed a unit of fields for a number."""
        before = self._own(self._start_own, number, unit) or self.start
        after = self._own(self._typed_own, number, unit) or self.typed
        return values_of(before, unit) != values_of(after, unit)

    def _cleaned(self, number: str, unit: Sequence[str]) -> dict[str, str]:
        """Return what a number will have of a unit, cleaned."""
        if not self._is_changed(number, unit):
            return {name: plain(self.actual[number].get(name)) for name in unit}
        own = self._own(self._typed_own, number, unit)
        values = self.form.overrides.values_of(number) if own else self._shared
        return {name: values.get(name, "") for name in unit}

    def _values_that_change(self, number: str) -> dict[str, tuple[str, str]]:
        """Return by field what a number has and what it will have, where the two differ."""
        found = {}
        for unit in UNITS:
            after = self._cleaned(number, unit)
            if unit == E911_FIELDS and self._is_like_service_address(number):
                service = self._cleaned(number, ("name",)) | self._cleaned(number, ADDRESS_FIELDS)
                like = bodies.e911_like(end_user_body(service))
                after = {name: like[key] for name, key in E911_KEYS.items()}
            for name in unit:
                old = plain(self.actual[number].get(name))
                if old != after[name]:
                    found[name] = (old, after[name])
        return found

    def _is_like_service_address(self, number: str) -> bool:
        typed_own = self._own(self._typed_own, number, E911_FIELDS)
        return bool(self.typed.get("e911_same")) and not typed_own

    def _number_changes(self, number: str) -> Json:
        found: Json = {}
        sections: dict[str, Json] = {"endUser": {}, "portOutInfo": {}, "e911": {}}
        for name, (_, new) in self._values_that_change(number).items():
            if name in END_USER_KEYS:
                sections["endUser"][END_USER_KEYS[name]] = new
            elif name in PLACE_KEYS:
                sections["endUser"] |= dict(zip(PLACE_KEYS[name], split_unit(new), strict=True))
            elif name in PORT_OUT_KEYS:
                value = authorizing_moment(wire.read_date(new)) if name == "signed_on" else new
                sections["portOutInfo"][PORT_OUT_KEYS[name]] = value
            elif name in E911_KEYS:
                sections["e911"][E911_KEYS[name]] = new
            elif name in ("voice", "voice_id"):
                voice = self._cleaned(number, ("voice", "voice_id"))
                kind = voice["voice"]
                found["voiceConfiguration"] = (
                    {"type": kind, VOICE_ID_KEYS[kind]: voice["voice_id"]} if kind else None
                )
            elif name == "sms_app":
                found["smsConfiguration"] = {"smsAppId": new}
            else:
                found[wire.NEW_PIN_KEY] = new
        if e911 := sections.pop("e911"):
            found["features"] = {"e911": e911}
        return found | {key: section for key, section in sections.items() if section}


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
    entries: Iterable[Mapping[str, Any]],
    numbers: Sequence[str],
    *,
    complete: bool,
    every: bool = False,
    before: Mapping[str, Any] | None = None,
) -> Overrides:
    """Return the forms of single numbers' own details, the first and the wrong ones, or all.

    `before` are the fields that an order has at Sinch (`fields_of`): what nobody changed in them
    is not judged again.
    """
    own = None if before is None else by_number(before)
    return Overrides(entries, numbers, complete=complete, every=every, before=own)
