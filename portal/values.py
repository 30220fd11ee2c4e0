"""Single values, whatever shape they come in: of Sinch's JSON, forms and addresses. Pure."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from django.utils.dateparse import parse_datetime

from portal.sinch.payloads import storable_text

# Whatever lies outside stands for "none", and breaks whoever reckons with it.
_YEARS: Final = range(1900, 9000)

MOST: Final = 2**63 - 1  # what the database keeps as a bigint, keys among it


def text(value: object, limit: int = 100_000) -> str:
    """Return a value as text of at most so many characters that a database takes; "" for nothing.

    Whoever wants another case changes it first and cuts then: ß is one letter, SS are two.
    """
    return "" if value is None else storable_text(str(value)).strip()[:limit]


def whole(written: str, most: int = MOST) -> int | None:
    """Return the whole number of digits 0 to 9 alone, at most so large; None for anything else.

    "17" and "017" are 17. "", "-1", "+1", "1.0", " 1" and the digits of other scripts are none:
    "²" is a digit to Python and no number, and "٣" is no digit to whoever compares text.
    """
    # Python refuses to read thousands of digits, with an error.
    is_number = written.isascii() and written.isdigit() and len(written) <= len(str(MOST))
    return number if is_number and (number := int(written)) <= most else None


def read_date(value: object) -> date | None:
    """Return the day that is written in a date or date-time, whatever its zone says.

    Source: Porting API, `focDate`: a date in one document, a date-time at noon or midnight UTC
    in others. The written day is the day; shifted by a zone it would become the day before. A
    year that cannot be meant, such as 1 for "none", is no day.
    """
    try:
        day = date.fromisoformat(text(value)[:10])
    except ValueError:
        return None
    return day if day.year in _YEARS else None


def read_instant(value: object) -> datetime | None:
    """Return a date-time in UTC; one without a zone counts as UTC. None for anything else."""
    try:
        moment = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    if moment.year not in _YEARS:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def read_status(value: object) -> str:
    """Return a status word in capitals, known or not."""
    return text(value).upper()[:32]


def read_flag(value: object) -> bool:
    """Return a yes or no, which may come as a word."""
    return value.strip().lower() == "true" if isinstance(value, str) else bool(value)


def mapping(value: object) -> Mapping[str, Any]:
    """Return an object of Sinch's, an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: object) -> list[Mapping[str, Any]]:
    """Return the objects of a list, none for anything else."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def phone_of(entry: Mapping[str, Any]) -> str:
    """Return the number an entry of Sinch's is about, E.164 in whatever spelling it came."""
    number = re.sub(r"[\s().-]", "", text(entry.get("phoneNumber")))
    return f"+{number}"[:16] if number[:1].isdigit() else number[:16]


def spelled(place: tuple[str, ...], value: object) -> Iterator[tuple[str, str]]:
    """Yield (label, value) for everything a value holds: what no document of Sinch's names."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from spelled((*place, str(key)), inner)
    elif isinstance(value, list) and any(isinstance(item, (Mapping, list)) for item in value):
        for index, inner in enumerate(value, start=1):
            yield from spelled((*place, str(index)), inner)
    elif isinstance(value, list):
        yield from spelled(place, ", ".join(text(item) for item in value))
    elif value is not None and value != "":
        said = ("yes" if value else "no") if isinstance(value, bool) else text(value, 1000)
        yield " · ".join(_label(key) for key in place if key != "features"), said


def _label(key: str) -> str:
    """Return a key as words: "Directory listing" for directoryListing, A2PLC as it is."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", " ", key).split()
    spoken = " ".join(part if part.isupper() else part.lower() for part in parts)
    return spoken[:1].upper() + spoken[1:]


def stored_moment(value: object) -> datetime | None:
    """Return a moment that the database gave back inside JSON; None for nothing."""
    return parse_datetime(value) if isinstance(value, str) else None
