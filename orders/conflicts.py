"""Three copies of an order compared field by field; pure functions, no database.

An edit begins with Sinch's copy (the base), somebody types over it (mine), and meanwhile Sinch's
copy may have become another one (now). What I did not touch stays as it is now; what both sides
changed is a conflict and is chosen by a person. Each copy is a body as `bodies.write_body` makes
it, PINs of our own store included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, cast

from django.utils.crypto import salted_hmac

from orders import wire
from portal.sinch.payloads import PortInOrderWrite, writable_order

Json = dict[str, Any]
OURS, SINCH = "ours", "sinch"

# What a person sees and changes as one field although Sinch keeps it in several.
_TOGETHER: Final = {
    **dict.fromkeys(("streetPreDir", "streetName", "streetType", "streetPostDir"), "street"),
    **{f"location{part}{n}": f"place{n}" for part in ("Type", "Value") for n in (1, 2, 3)},
}
_WHOLE_SECTIONS: Final = {"voiceConfiguration": "voice"}
E911: Final = "e911"
# What Sinch takes for granted where nothing is said: the two mean the same.
_DEFAULTS: Final = {"typeOfService": "B", "onDemandActivation": "false"}


class Unit(NamedTuple):
    """Where a field stands: of a number (E.164) or of the order (""), in which section of it."""

    number: str
    section: str
    field: str

    @property
    def is_secret(self) -> bool:
        """Whether it is a PIN or an account number."""
        return self.field in wire.SECRET_KEYS


Values = Mapping[str, Any]  # the leaves of a unit by Sinch's keys; empty when nobody filled it in


@dataclass(frozen=True)
class Change:
    """A field that two copies have differently."""

    unit: Unit
    old: Values
    new: Values


@dataclass(frozen=True)
class Conflict:
    """A field that both sides changed, each in its own way; `choice` is OURS, SINCH or ""."""

    unit: Unit
    base: Values
    now: Values
    mine: Values
    choice: str = ""

    @property
    def key(self) -> str:
        """What names the choice on a page: other values are another question."""
        return key_of(self.unit, self.now, self.mine)


def key_of(*parts: object) -> str:
    """Return a short name of values that does not give a PIN among them away."""
    return salted_hmac("orders.conflicts", repr(parts), algorithm="sha256").hexdigest()[:20]


@dataclass
class Merge:
    """What an edit comes to beside Sinch's copy of now.

    `changes` will be sent, `meanwhile` were made by others and stay. `added` and `dropped` are
    numbers of mine, `gone` numbers I touched that left the order meanwhile, `joined` numbers that
    others added. In `body` an open conflict stands as Sinch has it.
    """

    numbers: list[str]
    before: dict[Unit, Json]
    units: dict[Unit, Json]
    changes: list[Change] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    meanwhile: list[Change] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)

    @property
    def body(self) -> PortInOrderWrite:
        """The full replacement to send."""
        return body_of(self.units, self.numbers)

    @property
    def open(self) -> list[Conflict]:
        """The conflicts nobody has chosen in yet."""
        return [conflict for conflict in self.conflicts if not conflict.choice]

    @property
    def is_nothing(self) -> bool:
        """Whether sending it would change nothing at Sinch."""
        ours = any(conflict.choice != SINCH for conflict in self.conflicts)
        return not (self.changes or ours or self.added or self.dropped)

    @property
    def touched(self) -> list[str]:
        """The numbers that will read differently, in their order."""
        found = {change.unit.number for change in self.changes}
        found |= {c.unit.number for c in self.conflicts if c.choice != SINCH}
        return [number for number in self.numbers if number in found]


# --- A body in fields, and back -----------------------------------------------------------------


def _entries(body: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {wire.phone_of(entry): entry for entry in body.get("phoneNumbers") or []}


def numbers_of(body: Mapping[str, Any]) -> list[str]:
    """Return the numbers of a body in their order."""
    return list(_entries(body))


def units_of(body: Mapping[str, Any]) -> dict[Unit, Json]:
    """Return every filled-in field of a body."""
    found: dict[Unit, Json] = {}

    def put(number: str, section: str, values: Mapping[str, Any]) -> None:
        for key, value in values.items():
            if key == "features":
                put(number, E911, value.get("e911") or {})
            elif isinstance(value, Mapping):
                put(number, key, value)
            elif value not in (None, "") and key not in ("phoneNumber", "phoneNumbers"):
                name = _WHOLE_SECTIONS.get(section) or _TOGETHER.get(key, key)
                found.setdefault(Unit(number, section, name), {})[key] = value

    put("", "", body)
    for number, entry in _entries(body).items():
        put(number, "", entry)
    return found


def body_of(units: Mapping[Unit, Values], numbers: Sequence[str]) -> PortInOrderWrite:
    """Return the body that has these fields for these numbers; fields of others are left out."""
    body: Json = {"desiredPortSchedule": {}}
    entries: dict[str, Json] = {
        number: {"phoneNumber": number, "endUser": {}, "portOutInfo": {}} for number in numbers
    }
    for unit, values in units.items():
        home = entries.get(unit.number) if unit.number else body
        if home is None:
            continue
        if unit.section == E911:
            home = home.setdefault("features", {}).setdefault("e911", {})
        elif unit.section:
            home = home.setdefault(unit.section, {})
        home.update(values)
    return writable_order(body | {"phoneNumbers": list(entries.values())})


def same(first: Values, second: Values) -> bool:
    """Tell whether two values of a field mean the same."""
    return first == second or _normal(first) == _normal(second)


def _normal(values: Values) -> dict[str, str]:
    said = {key: _plain(key, value) for key, value in values.items()}
    return {key: text for key, text in said.items() if text and text != _DEFAULTS.get(key)}


def _plain(key: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = wire.collapsed(wire.text(value))
    return text[:10] if key.endswith("Date") else text


# --- Comparing ----------------------------------------------------------------------------------


def merge(
    base: Mapping[str, Any],
    mine: Mapping[str, Any],
    now: Mapping[str, Any],
    choices: Mapping[str, str],
) -> Merge:
    """Return what an edit comes to; `choices` are OURS or SINCH by the key of a conflict."""
    began, typed, seen = units_of(base), units_of(mine), units_of(now)
    base_numbers, mine_numbers, now_numbers = numbers_of(base), numbers_of(mine), numbers_of(now)
    dropped = {n for n in base_numbers if n not in set(mine_numbers)}
    added = [n for n in mine_numbers if n not in {*base_numbers, *now_numbers}]
    numbers = [n for n in now_numbers if n not in dropped] + added
    known = {*base_numbers, *mine_numbers}
    found = Merge(
        numbers,
        before=seen,
        units={},
        added=added,
        dropped=[n for n in now_numbers if n in dropped],
        joined=[n for n in now_numbers if n not in known],
    )
    staying, new, lost = {"", *numbers}, {*added, *found.joined}, set[str]()
    for unit in dict.fromkeys((*seen, *typed, *began)):
        b, m, n = began.get(unit, {}), typed.get(unit, {}), seen.get(unit, {})
        i_changed = not same(b, m)
        if unit.number not in staying:
            if i_changed and unit.number not in dropped:
                lost.add(unit.number)
            continue
        value: Values = n
        if unit.number in new:
            value = m or n
        elif not i_changed:
            if not same(b, n):
                found.meanwhile.append(Change(unit, b, n))
        elif same(b, n):
            value = m
            found.changes.append(Change(unit, n, m))
        elif not same(m, n):
            conflict = Conflict(unit, b, n, m)
            choice = choices.get(conflict.key, "")
            conflict = Conflict(unit, b, n, m, choice if choice in (OURS, SINCH) else "")
            found.conflicts.append(conflict)
            value = m if conflict.choice == OURS else n
        if value:
            found.units[unit] = dict(value)
    found.gone = [number for number in base_numbers if number in lost]
    return found


def without(base: Mapping[str, Any], mine: Mapping[str, Any], undone: set[Unit]) -> Json:
    """Return an edit with some of its fields as they were when it began."""
    units, began = units_of(mine), units_of(base)
    for unit in undone:
        units.pop(unit, None)
        if unit in began:
            units[unit] = began[unit]
    return cast(Json, body_of(units, numbers_of(mine)))


def overwritten(
    against: Mapping[str, Any], body: Mapping[str, Any], now: Mapping[str, Any]
) -> list[Unit]:
    """Return what others changed since `against` was read and `body` would undo.

    A number that came or went meanwhile is a unit without a field.
    """
    before, sent, seen = units_of(against), units_of(body), units_of(now)
    in_all = set(numbers_of(against)), set(numbers_of(body)), set(numbers_of(now))
    old_numbers, our_numbers, new_numbers = in_all
    came_or_went = old_numbers ^ new_numbers
    lost = [Unit(n, "", "") for n in came_or_went if (n in our_numbers) != (n in new_numbers)]
    both = {"", *(old_numbers & our_numbers & new_numbers)}
    return sorted(lost) + [
        unit
        for unit in dict.fromkeys((*seen, *before))
        if unit.number in both
        and not same(before.get(unit, {}), seen.get(unit, {}))
        and not same(sent.get(unit, {}), seen.get(unit, {}))
    ]
