"""What the sandbox makes of a phone number: country, losing carrier, and what becomes of it.

Everything follows from the digits, so that tests and trainees know beforehand what will happen:

- ending 99: not portable, "Number is not portable" (and an order holding it is refused)
- ending 98: rejected, "Invalid passcode/PIN supplied", until an update brings another PIN
- ending 97: rejected, "End user name does not match CSR", until an update brings another name
- ending 96: excluded, "Number not on account"
- ending 95: confirmed, but its messaging feature is left out (`excludedFeatures`)
- toll-free numbers: not portable
- everything else: confirmed

The losing carrier of a US number is (area code + second-last digit) modulo 5 into `US_CARRIERS`,
so the ten numbers 555-014x share one carrier. Canadian numbers are with Bell MTS in Manitoba and
with Telus elsewhere.
"""

import re
from dataclasses import dataclass
from typing import Any

US_CARRIERS = ("Lumen", "Comcast Business", "T-Mobile", "Verizon", "Frontier")

_CANADIAN = """
204 226 236 249 250 257 263 289 306 343 354 365 367 368 382 403 416 418 428 431 437 438 450 468 474
506 514 519 548 568 579 581 584 587 604 613 639 647 672 683 705 709 742 753 778 780 782 807 819 825
867 873 879 902 905 942
"""
CANADIAN_AREA_CODES = frozenset(_CANADIAN.split())
MANITOBA_AREA_CODES = frozenset({"204", "431", "584"})
TOLL_FREE_AREA_CODES = frozenset({"800", "833", "844", "855", "866", "877", "888"})

NOT_PORTABLE = "Number is not portable"

_NANP = re.compile(r"\+1([0-9]{10})")


@dataclass(frozen=True)
class Fate:
    """What the losing carrier will say about a number.

    `outcome` is "confirm", "reject" or "exclude". `corrected_by` is the path, inside the number,
    of the value that has to change before a rejection is lifted.
    """

    ending: str
    outcome: str
    reason: str = ""
    corrected_by: tuple[str, str] | None = None
    excluded_feature: str = ""


CONFIRMED = Fate("", "confirm")
FATES = (
    Fate(
        "98",
        "reject",
        "Invalid passcode/PIN supplied",
        ("portOutInfo", "existingPortOutPin"),
    ),
    Fate("97", "reject", "End user name does not match CSR", ("endUser", "name")),
    Fate("96", "exclude", "Number not on account"),
    Fate(
        "95",
        "confirm",
        "Messaging not available in this rate center",
        excluded_feature="SMSMMS",
    ),
)
_FATE_BY_ENDING = {fate.ending: fate for fate in FATES}

# Shown on the sandbox's page, in the words of a trainee.
RULES_IN_WORDS = (
    ("…99", f"Not portable: “{NOT_PORTABLE}”. An order that holds it is refused."),
    ("…98", f"Rejected: “{FATES[0].reason}”, until an update brings another PIN."),
    ("…97", f"Rejected: “{FATES[1].reason}”, until an update brings another name."),
    ("…96", f"Excluded: “{FATES[2].reason}”."),
    ("…95", "Confirmed, but messaging is left out (excluded feature)."),
    ("800, 888 and other toll-free", "Not portable."),
    ("anything else", "Confirmed."),
)


def is_north_american(phone_number: str) -> bool:
    """Say whether this is +1 and ten digits with a possible area code."""
    match = _NANP.fullmatch(phone_number)
    return bool(match) and phone_number[2] not in "01"


def area_code(phone_number: str) -> str:
    """Return the three digits after +1."""
    return phone_number[2:5]


def country_code(phone_number: str) -> str:
    """Return CA for a Canadian area code, else US."""
    return "CA" if area_code(phone_number) in CANADIAN_AREA_CODES else "US"


def losing_carrier(phone_number: str) -> str:
    """Return the carrier that holds the number now; see the module's first lines for the rule."""
    code = area_code(phone_number)
    if code in MANITOBA_AREA_CODES:
        return "Bell MTS"
    if code in CANADIAN_AREA_CODES:
        return "Telus"
    return US_CARRIERS[(int(code) + int(phone_number[-2])) % len(US_CARRIERS)]


def why_not_portable(phone_number: str) -> str:
    """Return Sinch's reason why a number cannot be ported, or nothing when it can."""
    if phone_number.endswith("99") or area_code(phone_number) in TOLL_FREE_AREA_CODES:
        return NOT_PORTABLE
    return ""


def value_at(details: dict[str, Any], path: tuple[str, str] | None) -> str:
    """Return the text at a two-part path inside a number's details, or nothing."""
    if path is None:
        return ""
    return str((details.get(path[0]) or {}).get(path[1]) or "")


def fate_of(phone_number: str, details: dict[str, Any], refused: list[str]) -> Fate:
    """Return what the carrier answers now.

    `refused` are the values it refused before; another value than those lifts a rejection.
    """
    fate = _FATE_BY_ENDING.get(phone_number[-2:], CONFIRMED)
    if fate.outcome == "reject" and refused:
        value = value_at(details, fate.corrected_by)
        if value and value not in refused:
            return CONFIRMED
    return fate
