"""What was sent beside what is there: the writable values of two orders, secrets aside.

Pure functions. An edit starts from a digest of them, and a lost answer is looked up by them.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from orders import bodies, wire
from portal.sinch.payloads import writable_order
from portal.values import mapping, mappings, phone_of, text

Path = tuple[str, ...]


def comparable(payload: Mapping[str, Any]) -> dict[Path, str]:
    """Return every writable value of an order but its secrets, by where it stands.

    Spellings that mean the same come out the same: a date-time stands for its day, 09:00 for
    09:00:00, no type of service for business, no on-demand for automatic.
    """
    values: dict[Path, str] = {("onDemandActivation",): "false"}
    body: Mapping[str, Any] = cast(Mapping[str, Any], writable_order(bodies.in_shape(payload)))
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
            if path[-1] not in wire.SECRET_KEYS and path != ("phoneNumber",):
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
    return wire.collapsed(text(value))[:10] if key.endswith("Date") else wire.collapsed(text(value))


def same_order(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Tell quickly whether two payloads were ordered in the very same words; False means maybe."""

    def ordered(payload: Mapping[str, Any]) -> list[Any]:
        entries = mappings(payload.get("phoneNumbers"))
        return [
            [payload.get(key) for key in wire.ORDERED_KEYS],
            [
                [entry.get(key) for key in ("phoneNumber", *wire.NUMBER_ORDERED_KEYS)]
                for entry in entries
            ],
        ]

    return ordered(first) == ordered(second)


def digest(order: Mapping[str, Any] | bodies.HasPayload) -> str:
    """Return a key of all writable values but the secrets: what an edit starts from.

    Kept in the payload of a `port_in.update` as `base`, so that a change somebody else made
    meanwhile is noticed before it is overwritten.
    """
    values = sorted(
        ("/".join(path), value) for path, value in comparable(bodies.payload_of(order)).items()
    )
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def differences(sent: Mapping[str, Any], seen: Mapping[str, Any]) -> list[Path]:
    """Return where an order that was read differs from what was sent, secrets aside.

    Only what the reading speaks of counts: a short answer says nothing about the end user. Time
    and zone that were left to the defaults do not count either.
    """
    ours, theirs = comparable(sent), comparable(seen)
    spoken = _spoken_of(seen)
    has_numbers = bool(wire.numbers_of(seen))
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
    for number, entry in wire.by_number(payload).items():
        sections |= {("phoneNumbers", number, key) for key, value in entry.items() if value}
    return sections


def echoed_secrets_differ(sent: Mapping[str, Any], seen: Mapping[str, Any]) -> bool | None:
    """Tell whether PINs that Sinch shows differ from the ones sent; None when it shows none."""
    ours, theirs = wire.order_secrets(sent), wire.order_secrets(seen)
    pairs = [
        (ours.get(number, {}).get(key), value)
        for number, values in theirs.items()
        for key, value in values.items()
    ]
    return any(mine != value for mine, value in pairs) if pairs else None
