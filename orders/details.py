"""The details of a number as text: what each may be, what goes together, what Sinch calls them.

Details are what a draft holds once for all its numbers and again for single ones: whose number
it is, what the losing carrier asks for, where calls and texts go, the emergency address. Forms
and lists of 20,000 rows judge them by the same functions; pure, no database.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.dateparse import parse_date

from portal import words
from portal.addresses import (
    CA_PROVINCES,
    PO_BOX,
    is_canadian_code,
    names_po_box,
    state_of,
    zip_of,
)
from portal.numbers import read_numbers

MAX_TEXT: Final = 100  # characters of a field; longer ones are a slip of the clipboard

# The last zone of the US in which a day begins: a date that has come there has come everywhere.
WESTERNMOST: Final = ZoneInfo("Pacific/Honolulu")

SERVICES: Final = (("B", "Business"), ("R", "Residential"))
VOICES: Final = (("EST", "SIP trunk (EST)"), ("RTC", "App (RTC)"), ("FAX", "Fax"), ("", "None yet"))
VOICE_ID_LABELS: Final = {"EST": "Trunk id", "RTC": "App id", "FAX": "Service id", "": "Trunk id"}
VOICE_ID_KEYS: Final = {"EST": "trunkId", "RTC": "appId", "FAX": "serviceId"}

SECRET_FIELDS: Final = ("pin", "account", "new_pin")
# An address goes as a whole: a number has all of it of its own, or none.
STREET_PARTS: Final = ("street_pre", "street_type", "street_post")
PLACES: Final = ("unit", "place2", "place3")
ADDRESS_FIELDS: Final = (
    "street_num",
    "street_pre",
    "street",
    "street_type",
    "street_post",
    *PLACES,
    "city",
    "state",
    "zip",
)
NEEDED_ADDRESS: Final = ("street_num", "street", "city", "state", "zip")
E911_KEYS: Final = {
    "e911_name": "name",
    "e911_street_num": "streetNum",
    "e911_street": "streetInfo",
    "e911_location": "location",
    "e911_city": "city",
    "e911_state": "state",
    "e911_zip": "postalCode",
    "e911_zip4": "postalCodePlusFour",
}
E911_FIELDS: Final = tuple(E911_KEYS)
# Sinch marks none as required; without these nobody can be found.
NEEDED_E911: Final = tuple(n for n in E911_FIELDS if n not in ("e911_location", "e911_zip4"))
END_USER_KEYS: Final = {
    "name": "name",
    "street_num": "streetNum",
    "street_pre": "streetPreDir",
    "street": "streetName",
    "street_type": "streetType",
    "street_post": "streetPostDir",
    "city": "city",
    "state": "state",
    "zip": "zipCode",
    "service": "typeOfService",
}
PLACE_KEYS: Final = {
    name: (f"locationType{n}", f"locationValue{n}") for n, name in enumerate(PLACES, start=1)
}
PORT_OUT_KEYS: Final = {
    "pin": "existingPortOutPin",
    "account": "accountNum",
    "btn": "accountPhoneNumber",
    "signer": "authorizingName",
    "signed_on": "authorizingDate",
}
# Everything a single number can have of its own.
DETAIL_FIELDS: Final = (
    "name",
    "service",
    *ADDRESS_FIELDS,
    *PORT_OUT_KEYS,
    "new_pin",
    "voice",
    "voice_id",
    "sms_app",
    *E911_FIELDS,
)

# What differs from number to number, each as a whole.
UNITS: Final = (
    ("name",),
    ("service",),
    ADDRESS_FIELDS,
    *((name,) for name in PORT_OUT_KEYS),
    ("new_pin",),
    ("voice", "voice_id"),
    ("sms_app",),
    E911_FIELDS,
)

# How the sentence under "Send" names a field, and what the field itself says while it is empty.
FIELD_WORDS: Final = {
    "numbers": ("the numbers", "Paste at least one number."),
    "name": ("the name on the bill", "Write the name as it stands on the bill."),
    "street_num": ("the street number", "Write the street number of the service address."),
    "street_pre": ("the direction before the street", ""),
    "street": ("the street", "Write the street of the service address."),
    "street_type": ("the type of street", ""),
    "street_post": ("the direction after the street", ""),
    "unit": ("the unit", ""),
    "place2": ("the second place in the building", ""),
    "place3": ("the third place in the building", ""),
    "city": ("the city", "Write the city of the service address."),
    "state": ("the state", "Write the two letters of the state, such as WA."),
    "zip": ("the ZIP", "Write the ZIP of the service address."),
    "service": ("the service", "Choose business or residential."),
    "pin": ("the PIN", "Write the port-out PIN, or else the account number."),
    "account": ("the account number", ""),
    "btn": ("the BTN", ""),
    "signer": ("the signer", ""),
    "signed_on": ("the day it was signed", ""),
    "new_pin": ("the new PIN", ""),
    "reseller": ("the reseller name", "Canadian numbers need a reseller name."),
    "port_date": ("the port date", "Choose a port date."),
    "port_time": ("the time", "Choose a time, such as 09:00."),
    "port_zone": ("the zone", "Choose a zone."),
    "on_demand": ("activate on demand", ""),
    "voice": ("voice", "Choose what the id beside it belongs to, or empty it."),
    "voice_id": ("the id for voice", ""),
    "sms_app": ("the SMS app", ""),
    "e911_name": ("the E911 name", "Write whom to look for at the E911 address."),
    "e911_street_num": ("the E911 street number", "Write the street number of the E911 address."),
    "e911_street": ("the E911 street", "Write the street of the E911 address."),
    "e911_location": ("the E911 location", ""),
    "e911_city": ("the E911 city", "Write the city of the E911 address."),
    "e911_state": ("the E911 state", "Write the two letters of the E911 state, such as WA."),
    "e911_zip": ("the E911 ZIP", "Write the ZIP of the E911 address."),
    "e911_zip4": ("the four digits of the E911 ZIP", ""),
    "loa_by": ("who uploaded the LOA", ""),
    "loa_date": ("the day the LOA was attached", ""),
    "reference": ("the reference", ""),
}

_UNIT_NAMES: Final = (
    "apartment apt basement bldg bsmt building department dept fl floor front lobby lot "
    "lower lowr lbby frnt office ofc penthouse ph pier rear rm room side slip space spc ste "
    "stop suite trailer trlr unit upper uppr wing elevation elev"
)
_UNIT_WORDS: Final = frozenset(_UNIT_NAMES.split())
# Places of which a building has one only, so that they need no number.
_ALONE_NAMES: Final = (
    "basement bsmt front frnt lobby lbby lower lowr office ofc penthouse ph rear side upper uppr"
)
_ALONE: Final = frozenset(_ALONE_NAMES.split())
_DATE_SHAPES: Final = ("%m/%d/%Y", "%m/%d/%y")
_NO_DATE: Final = "This is no date; write it as 2026-06-18."
_SERVICE_WORDS: Final = {"b": "B", "business": "B", "r": "R", "residential": "R"}
_VOICE_WORDS: Final = {
    **{kind.lower(): kind for kind in VOICE_ID_KEYS},
    **{label.lower(): kind for kind, label in VOICES if kind},
    "sip": "EST",
    "sip trunk": "EST",
    "app": "RTC",
}


# --- Single values ------------------------------------------------------------------------------


def short_text(value: object, limit: int = MAX_TEXT, *, is_secret: bool = False) -> str:
    """Return a text with its spaces collapsed. Raises ValidationError when it is too long."""
    text = " ".join(str("" if value is None else value).replace("\0", "").split())
    if len(text) > limit:
        # A secret must not stand in a sentence, and nobody can shorten what is hidden.
        do = "Type it again." if is_secret else "Shorten it."
        raise ValidationError(f"{len(text)} characters, at most {limit}. {do}")
    return text


def e911_zip_of(text: str) -> str:
    """Return a ZIP without its last four digits, which Sinch keeps apart; or a postal code."""
    code = zip_of(text)
    if "-" in code:
        raise ValidationError("5 digits here; the four after the hyphen go beside it.")
    return code


def zip4_of(text: str) -> str:
    """Return the four digits that follow a ZIP."""
    digits = text.lstrip("-")
    if digits and not re.fullmatch(r"[0-9]{4}", digits):
        raise ValidationError("The 4 digits after the ZIP, such as 1234.")
    return digits


@lru_cache(maxsize=2048)
def btn_of(text: str) -> str:
    """Return the billing number in E.164."""
    if not text:
        return ""
    lines = read_numbers(text)
    if len(lines) != 1 or not lines[0].number:
        said = lines[0].problem if len(lines) == 1 else "One number only."
        raise ValidationError(said.replace("Correct it here or leave it out.", "").strip())
    return lines[0].number


def as_number(text: str) -> str:
    """Return a number in E.164 if it is one in any spelling, else the text as it is."""
    try:
        return btn_of(text)
    except ValidationError:
        return text


def past_day(day: date | None) -> date | None:
    """Return the day of a signature, which has to have come in every zone of the US."""
    today = timezone.now().astimezone(WESTERNMOST).date()
    if day and day > today:
        if day == timezone.localdate():
            raise ValidationError(
                f"Lies in the future for some of the US, where it is still "
                f"{words.day_text(today)}. Today or earlier there, too."
            )
        raise ValidationError("Lies in the future. Today or earlier.")
    if day and day.year < 1990:
        raise ValidationError(f"The year {day.year} looks like a slip. Correct it.")
    return day


def _day_text(text: str) -> str:
    day = past_day(_read_day(text))
    return day.isoformat() if day else ""


def _read_day(text: str) -> date | None:
    if not text:
        return None
    try:
        if day := parse_date(text):
            return day
    except ValueError as slip:
        raise ValidationError(_NO_DATE) from slip
    for shape in _DATE_SHAPES:
        try:
            return datetime.strptime(text, shape).date()
        except ValueError:
            continue
    raise ValidationError(_NO_DATE)


def _one_of(known: Mapping[str, str], sentence: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text and text.lower() not in known:
            raise ValidationError(sentence)
        return known.get(text.lower(), "")

    return read


# How the text of a field is read where collapsing its spaces is not enough.
READERS: Final[dict[str, Callable[[str], str]]] = {
    "state": state_of,
    "zip": zip_of,
    "btn": btn_of,
    "signed_on": _day_text,
    "service": _one_of(_SERVICE_WORDS, "Business or residential; B or R."),
    "voice": _one_of(_VOICE_WORDS, "EST for a SIP trunk, RTC for an app, or FAX."),
    "e911_state": state_of,
    "e911_zip": e911_zip_of,
    "e911_zip4": zip4_of,
}


# --- Values together ----------------------------------------------------------------------------


def clashes(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (field, sentence) where cleaned values do not go together."""
    for prefix in ("", "e911_"):
        state, code = values.get(f"{prefix}state"), values.get(f"{prefix}zip")
        if state and code and (state in CA_PROVINCES) != is_canadian_code(code):
            kind = "a Canadian province" if state in CA_PROVINCES else "a US state"
            yield f"{prefix}zip", f"Does not go with {state}, {kind}. Correct one of the two."


def gaps(values: Mapping[str, Any], wrong: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield (field, sentence) for what is missing beside what is there.

    An address is whole or not there at all, and voice goes with an id. `wrong` are fields with a
    problem already: they are not empty, whatever `values` says.
    """
    for fields, needed in ((ADDRESS_FIELDS, NEEDED_ADDRESS), (E911_FIELDS, NEEDED_E911)):
        if any(values.get(name) or name in wrong for name in fields):
            for name in needed:
                if not values.get(name) and name not in wrong:
                    yield name, FIELD_WORDS[name][1]
    yield from voice_gaps(values, wrong)


def voice_gaps(values: Mapping[str, Any], wrong: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield (field, sentence) for a kind of voice without its id, and an id without a kind."""
    kind, voice_id = values.get("voice"), values.get("voice_id")
    if kind in VOICE_ID_KEYS and not voice_id and "voice_id" not in wrong:
        label = VOICE_ID_LABELS[str(kind)].lower()
        yield "voice_id", f"Write the {label} that goes with it."
    if voice_id and kind not in VOICE_ID_KEYS and "voice" not in wrong:
        yield "voice", FIELD_WORDS["voice"][1]


def clean_details(details: Mapping[str, str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return one number's own details, cleaned, and what is wrong with them.

    Takes the text of a draft's fields by their names (`DETAIL_FIELDS`; others are left out) and
    returns the filled ones that are right, as text (a day as 2026-06-18, a number in E.164), and
    (field, sentence) for each problem. No sentence repeats a secret.
    """
    cleaned: dict[str, str] = {}
    problems: list[tuple[str, str]] = []
    for name in DETAIL_FIELDS:
        if not (value := details.get(name)):
            continue
        try:
            text = short_text(value, is_secret=name in SECRET_FIELDS)
            if reader := READERS.get(name):
                text = reader(text)
        except ValidationError as refusal:
            problems.append((name, refusal.messages[0]))
        else:
            if text:
                cleaned[name] = text
    wrong = {name for name, _ in problems}
    problems += clashes(cleaned)
    problems += gaps(cleaned, wrong)
    return cleaned, problems


# --- What Sinch calls them ----------------------------------------------------------------------


def authorizing_moment(day: date | None) -> str:
    """Return a signature's day as a date-time that has passed in every zone of the US.

    Noon UTC is the same calendar day from Maine to Hawaii; on the day itself noon may still be to
    come, and its first minute is taken. Source: Porting API, "Create a port-in order", where the
    format of authorizingDate is uncertain.
    """
    if day is None:
        return ""
    noon = datetime.combine(day, time(12), UTC)
    if noon < timezone.now() and day < timezone.now().astimezone(WESTERNMOST).date():
        return f"{day.isoformat()}T12:00:00Z"
    return f"{day.isoformat()}T00:00:00Z"


def split_unit(unit: str) -> tuple[str, str]:
    """Return Sinch's location type and value of a unit: ("Suite", "210") for "Suite 210"."""
    if not unit:
        return "", ""
    head, _, rest = unit.partition(" ")
    if rest and head.lower().strip(".") in _UNIT_WORDS:
        return head.strip("."), rest
    if unit.lower().strip(".") in _ALONE:
        return unit.strip("."), ""
    return "Unit", unit.removeprefix("#").strip() or unit


def street_line(values: Mapping[str, Any]) -> str:
    """Return a street as it reads: "N Main Court SW"."""
    names = ("street_pre", "street", "street_type", "street_post")
    return " ".join(text for name in names if (text := str(values.get(name) or "").strip()))


def street_doubts(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is odd about a street: parts that repeat what it says already, a PO box."""
    street = str(values.get("street") or "").lower().split()
    first, last = (values.get("street_pre") or ""), (values.get("street_type") or "")
    if len(street) > 1 and (street[0] == first.lower() or street[-1] == last.lower()):
        yield f"Sinch gets “{street_line(values)}”: the parts of the street repeat it."
    places = (values.get("street_num"), street_line(values), values.get("unit"))
    if names_po_box(" ".join(filter(None, places))):
        yield PO_BOX


def end_user_body(values: Mapping[str, Any]) -> dict[str, str]:
    """Return Sinch's endUser of what is filled in."""
    body = {key: values.get(name) or "" for name, key in END_USER_KEYS.items()}
    for name, keys in PLACE_KEYS.items():
        body |= dict(zip(keys, split_unit(values.get(name) or ""), strict=True))
    return _filled(body)


def port_out_body(values: Mapping[str, Any]) -> dict[str, str]:
    """Return Sinch's portOutInfo of what is filled in."""
    body = {key: values.get(name) or "" for name, key in PORT_OUT_KEYS.items()}
    if day := body["authorizingDate"]:
        body["authorizingDate"] = authorizing_moment(
            day if isinstance(day, date) else date.fromisoformat(day)
        )
    return _filled(body)


def sections_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is filled in by the names `bodies.create_body` has for Sinch's sections."""
    found: dict[str, Any] = {
        "end_user": end_user_body(values),
        "port_out": port_out_body(values),
        "e911": _filled({key: values.get(name) or "" for name, key in E911_KEYS.items()}),
    }
    if values.get("voice") and values.get("voice_id"):
        found["voice"] = {"type": values["voice"], "id": values["voice_id"]}
    if values.get("sms_app"):
        found["sms"] = {"smsAppId": values["sms_app"]}
    if values.get("new_pin"):
        found["new_pin"] = values["new_pin"]
    return {name: section for name, section in found.items() if section}


def details_body(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections of one number's own cleaned details, for `bodies.create_body`.

    They go over the shared ones key by key, so an address of its own also empties the parts it
    does not have: a house must not inherit the suite of the order's.
    """
    found = sections_of(details)
    if any(details.get(name) for name in ADDRESS_FIELDS):
        keys = [END_USER_KEYS[name] for name in STREET_PARTS]
        keys += [key for pair in PLACE_KEYS.values() for key in pair]
        found["end_user"] = dict.fromkeys(keys, "") | found["end_user"]
    if "e911" in found:
        found["e911"] = dict.fromkeys(E911_KEYS.values(), "") | found["e911"]
    return found


def _filled(fields: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in fields.items() if value}
