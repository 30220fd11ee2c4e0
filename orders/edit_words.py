"""Fields of an order in words: what they are called and what stands in them. Pure functions."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from orders import wire
from orders.conflicts import SINCH, Merge, Unit
from orders.details import SERVICES, VOICES
from orders.edits import dots
from portal import words

# By Sinch's section and key, in the order of the pages.
LABELS: Final = {
    ("", "customerOrderReference"): "Our reference",
    ("desiredPortSchedule", "desiredPortDate"): "Port date",
    ("desiredPortSchedule", "desiredPortTime"): "Time",
    ("desiredPortSchedule", "desiredPortTimeZone"): "Zone",
    ("", "onDemandActivation"): "Activate on demand",
    ("", "resellerName"): "Reseller name",
    ("", "loaUploadedBy"): "LOA uploaded by",
    ("", "loaAttachmentDate"): "LOA date",
    ("endUser", "name"): "Name on the bill",
    ("endUser", "typeOfService"): "Service",
    ("endUser", "streetNum"): "Street number",
    ("endUser", "street"): "Street",
    ("endUser", "place1"): "Unit",
    ("endUser", "place2"): "Second place",
    ("endUser", "place3"): "Third place",
    ("endUser", "city"): "City",
    ("endUser", "state"): "State",
    ("endUser", "zipCode"): "ZIP",
    ("portOutInfo", "existingPortOutPin"): "Port-out PIN",
    ("portOutInfo", "accountNum"): "Account number",
    ("portOutInfo", "accountPhoneNumber"): "BTN",
    ("portOutInfo", "authorizingName"): "Signer",
    ("portOutInfo", "authorizingDate"): "Signed on",
    ("", "newPortOutPin"): "New PIN at Sinch",
    ("voiceConfiguration", "voice"): "Voice",
    ("smsConfiguration", "smsAppId"): "SMS app",
    ("e911", "name"): "E911 name",
    ("e911", "streetNum"): "E911 street number",
    ("e911", "streetInfo"): "E911 street",
    ("e911", "location"): "E911 location",
    ("e911", "city"): "E911 city",
    ("e911", "state"): "E911 state",
    ("e911", "postalCode"): "E911 ZIP",
    ("e911", "postalCodePlusFour"): "E911 ZIP, last four",
}
_RANK: Final = {place: rank for rank, place in enumerate(LABELS)}
_SECRET_NAMES: Final = {
    "existingPortOutPin": "pin",
    "accountNum": "account",
    "newPortOutPin": "new_pin",
}
_LETTERS_ONLY: Final = re.compile(r"[A-Z]{2,}\b")
# What the paper the customer signed is about.
LOA_FIELDS: Final = frozenset(
    {"name", "streetNum", "street", "place1", "place2", "place3", "city", "state", "zipCode"}
    | {"authorizingName"}
)


def label_of(unit: Unit) -> str:
    """Return what a field is called; one we have no word for by Sinch's key."""
    known = LABELS.get((unit.section, unit.field))
    if known:
        return known
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", unit.field).lower()
    return spaced[:1].upper() + spaced[1:]


def in_sentence(label: str) -> str:
    """Return a label as it goes on after "the": `city`, `reference`, but `ZIP` and `E911 city`."""
    label = label.removeprefix("Our ")
    if _LETTERS_ONLY.match(label) or label[1:2].isdigit():
        return label
    return label[:1].lower() + label[1:]


def secret_name(unit: Unit) -> str:
    """Return the field of ours that holds a secret of Sinch's: `pin` for existingPortOutPin."""
    return _SECRET_NAMES[unit.field]


def rank_of(unit: Unit) -> tuple[int, str]:
    """Return where a field comes on a page."""
    return _RANK.get((unit.section, unit.field), len(_RANK)), unit.field


def text_of(unit: Unit, values: Mapping[str, Any], beside: Mapping[str, Any] | None = None) -> str:
    """Return what stands in a field, "" for nothing; secrets are dots.

    `beside` is what it is compared with: a street that reads the same and is divided otherwise
    is shown in its parts.
    """
    if not values:
        return ""
    if unit.is_secret:
        return dots(_SECRET_NAMES[unit.field], wire.text(values[unit.field]))
    if unit.field == "street":
        said = _street(values)
        if beside and _street(beside) == said:
            return f"{said} ({', '.join(f'{_part(k)} {v}' for k, v in sorted(values.items()))})"
        return said
    if unit.field == "voice":
        kind = wire.text(values.get("type"))
        ids = [wire.text(value) for key, value in values.items() if key != "type"]
        return " ".join([dict(VOICES).get(kind, kind), *ids])
    if unit.field.startswith("place"):
        return " ".join(wire.text(values[key]) for key in sorted(values))
    return _said(unit.field, next(iter(values.values())))


def _street(values: Mapping[str, Any]) -> str:
    keys = ("streetPreDir", "streetName", "streetType", "streetPostDir")
    return wire.collapsed(" ".join(wire.text(values.get(key)) for key in keys))


def _part(key: str) -> str:
    return {
        "streetPreDir": "direction before",
        "streetName": "name",
        "streetType": "type",
        "streetPostDir": "direction after",
    }[key]


def _said(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    text = wire.text(value)
    if name in ("desiredPortDate", "authorizingDate", "loaAttachmentDate"):
        return words.day_text(wire.read_date(text)) or text
    if name == "desiredPortTime":
        return words.clock_text(text)
    if name == "desiredPortTimeZone":
        return words.zone_word(text)
    if name == "accountPhoneNumber":
        return words.phone_text(text)
    return dict(SERVICES).get(text, text) if name == "typeOfService" else text


def secret_remark(old: str, new: str, age: str) -> str:
    """Say of a secret what may be known without seeing it: how long it is, when it was typed."""
    digits = "digit" if new.isdigit() else "character"
    parts = [words.count_text(len(new), digits) if new else "nothing"]
    if age:
        parts.append(f"you typed it {age}")
    if old and new and len(old) != len(new):
        more = len(new) - len(old)
        count = "one" if abs(more) == 1 else str(abs(more))
        noun = digits if abs(more) == 1 else f"{digits}s"
        parts.append(f"{count} {noun} {'more' if more > 0 else 'fewer'} than before")
    return "; ".join(parts)


def labels_of(merged: Merge) -> list[str]:
    """Return what an edit changes, each field once, for the timeline."""
    units = [change.unit for change in merged.changes]
    units += [c.unit for c in merged.conflicts if c.choice != SINCH]
    found = list(dict.fromkeys(label_of(unit) for unit in sorted(units, key=rank_of)))
    for verb, numbers in (("added", merged.added), ("dropped", merged.dropped)):
        if numbers:
            found.append(f"{words.count_text(len(numbers), 'number')} {verb}")
    return found


def whose(numbers: Iterable[str], total: int) -> str:
    """Return whose a field is: `of +1 …`, `of all 12 numbers`, "" for the order's own."""
    chosen = [number for number in numbers if number]
    if not chosen:
        return ""
    if len(chosen) == 1:
        return f"of {words.phone_text(chosen[0])}"
    count = words.count_text(len(chosen), "number")
    return f"of all {count}" if len(chosen) == total else f"of {count}"


def stays(merged: Merge) -> list[tuple[str, str]]:
    """Return the fields that are sent as Sinch has them: (label, what stands there)."""
    changed = {change.unit for change in merged.changes} | {c.unit for c in merged.conflicts}
    new = set(merged.added)
    values: dict[tuple[str, str], list[str]] = {}
    units: dict[tuple[str, str], Unit] = {}
    for unit, leaves in merged.units.items():
        if unit in changed or unit.number in new:
            continue
        place = (unit.section, unit.field)
        units.setdefault(place, unit)
        values.setdefault(place, []).append(text_of(unit, leaves))
    found = []
    for place in sorted(units, key=lambda place: rank_of(units[place])):
        unit, texts = units[place], values[place]
        found.append((label_of(unit), _stay_text(unit, texts)))
    return found


def _stay_text(unit: Unit, texts: Sequence[str]) -> str:
    count = words.count_text(len(texts), "number")
    if unit.is_secret:
        return f"of {count}: sent again from our store, unchanged"
    seen = Counter(texts).most_common()
    if len(seen) == 1:
        return seen[0][0]
    shown = ", ".join(f"{text} ({times})" for text, times in seen[:3])
    return shown if len(seen) <= 3 else f"{shown} and {len(seen) - 3} more"
