"""Addresses in the US and Canada: what a state and a ZIP may be, for both kinds of order. Pure."""

import re
from typing import Final

from django.core.exceptions import ValidationError

_STATE_LETTERS: Final = (
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV "
    "NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR VI"
)
US_STATES: Final = frozenset(_STATE_LETTERS.split())
_PROVINCE_LETTERS: Final = "AB BC MB NB NL NS NT NU ON PE QC SK YT"
CA_PROVINCES: Final = frozenset(_PROVINCE_LETTERS.split())

_US_ZIP = re.compile(r"(\d{5})(?:[- ]?(\d{4}))?")
_CA_POSTCODE = re.compile(r"([ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z])[ -]?(\d[ABCEGHJ-NPRSTV-Z]\d)")
PO_BOX: Final = "A PO box is no service address. Write where the line is."
_PO_BOX: Final = re.compile(r"\bp\.?\s*o\.?\s*box\b|\bpost office box\b", re.I)


def state_of(text: str) -> str:
    """Return the two letters of a US state or a Canadian province."""
    letters = text.upper().replace(".", "")
    if letters and letters not in US_STATES | CA_PROVINCES:
        raise ValidationError("Two letters of a US state or Canadian province, such as WA.")
    return letters


def zip_of(text: str) -> str:
    """Return a ZIP as 98101 or 98101-1234, a postal code as K1A 0B1."""
    text = text.upper()
    if not text:
        return ""
    if match := _US_ZIP.fullmatch(text):
        return "-".join(part for part in match.groups() if part)
    if match := _CA_POSTCODE.fullmatch(text):
        return f"{match[1]} {match[2]}"
    raise ValidationError("5 digits, such as 98101; in Canada a code such as K1A 0B1.")


def is_canadian_code(code: str) -> bool:
    """Tell whether a code has the form of a Canadian postal code."""
    return bool(_CA_POSTCODE.fullmatch(code.upper()))


def is_in_canada(state: str, code: str) -> bool:
    """Tell whether an address is Canadian, by its province or its postal code."""
    return state.upper() in CA_PROVINCES or is_canadian_code(code)


def names_po_box(street: str) -> bool:
    """Tell whether a street is a PO box, which no carrier takes as a service address."""
    return bool(_PO_BOX.search(street))
