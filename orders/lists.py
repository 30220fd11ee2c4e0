"""One row of a list: its number and details read from the cells, and what is wrong with them.

Pure, no database; 20,000 rows take seconds. Which column holds what is for `orders.list_columns`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orders.details import SECRET_FIELDS, clean_details
from portal.addresses import US_STATES
from portal.numbers import read_numbers

MASK: Final = "••••"
NO_NUMBER: Final = "No number in this row. Write it, or leave the row out."

# Spreadsheets write a long number as 2.065550142E9, and a shown one as 2.06555E+09.
_SCIENTIFIC: Final = re.compile(r"(\d)[.,]?(\d*)[eE]\+?(\d{1,2})")
_TRAILING: Final = re.compile(r"(\+?\d[\d ().-]*\d)[.,]0+")
_NEW_ENGLAND: Final = frozenset(["CT", "MA", "ME", "NH", "NJ", "PR", "RI", "VI", "VT"])
_HOUSE: Final = re.compile(r"(\d+(?:[-/]\d+)?[A-Za-z]?(?: \d/\d)?)[ ,]+(.+)")
_UNIT_AT_END: Final = re.compile(
    r"(.+?)[ ,]+((?:suite|ste|unit|apt|apartment|floor|fl|room|rm|bldg|building)\b\.? ?\S+.*|#.+)",
    re.I,
)
_DAY_WITH_TIME: Final = re.compile(r"(\d{4}-\d{2}-\d{2})[ T].*")

_STATES: Final = (
    "alabama:AL alaska:AK arizona:AZ arkansas:AR california:CA colorado:CO connecticut:CT "
    "delaware:DE florida:FL georgia:GA hawaii:HI idaho:ID illinois:IL indiana:IN iowa:IA "
    "kansas:KS kentucky:KY louisiana:LA maine:ME maryland:MD massachusetts:MA michigan:MI "
    "minnesota:MN mississippi:MS missouri:MO montana:MT nebraska:NE nevada:NV new_hampshire:NH "
    "new_jersey:NJ new_mexico:NM new_york:NY north_carolina:NC north_dakota:ND ohio:OH "
    "oklahoma:OK oregon:OR pennsylvania:PA rhode_island:RI south_carolina:SC south_dakota:SD "
    "tennessee:TN texas:TX utah:UT vermont:VT virginia:VA washington:WA west_virginia:WV "
    "wisconsin:WI wyoming:WY district_of_columbia:DC puerto_rico:PR alberta:AB "
    "british_columbia:BC manitoba:MB new_brunswick:NB newfoundland_and_labrador:NL "
    "newfoundland:NL nova_scotia:NS ontario:ON prince_edward_island:PE quebec:QC québec:QC "
    "saskatchewan:SK yukon:YT nunavut:NU northwest_territories:NT"
)
_STATE_NAMES: Final = {
    name.replace("_", " "): code
    for name, _, code in (pair.partition(":") for pair in _STATES.split())
}
_SERVICE_WORDS: Final = {"bus": "B", "biz": "B", "commercial": "B", "res": "R", "consumer": "R"}
_VOICE_OF: Final = {"est": "EST", "rtc": "RTC", "fax": "FAX"}


@dataclass(frozen=True, slots=True)
class Row:
    """A row as read: E.164 or "", details as a draft holds them, what is wrong, what to know.

    `written` is the number as it stands in the file. A detail that is wrong keeps its text.
    """

    number: str
    written: str
    details: dict[str, str]
    problems: list[dict[str, str]]
    remark: str = ""


def read_number(text: str) -> tuple[str, str, str]:
    """Return (E.164 or "", problem, remark) of the cell that holds a number."""
    text = text.strip()
    if not text:
        return "", NO_NUMBER, ""
    if match := _SCIENTIFIC.fullmatch(text):
        digits, power = match[1] + match[2], int(match[3])
        # The digits that were cut off are gone: guessing zeros would move somebody else's number.
        if power not in (9, 10) or len(digits) != power + 1:
            return (
                "",
                f"The spreadsheet has cut this number off ({text[:20]}). Write it out, or leave "
                "it out.",
                "",
            )
        text = digits
    elif match := _TRAILING.fullmatch(text):
        text = match[1]
    lines = read_numbers(text)
    if not lines:
        return "", NO_NUMBER, ""
    if len(lines) > 1:
        return "", f"{len(lines)} numbers in one cell. Give each a row of its own.", ""
    line = lines[0]
    return line.number or "", line.problem, line.remark


def read_row(cells: Sequence[str], columns: Mapping[int, str]) -> Row:
    """Return what stands in the cells of one row; `columns` maps indexes to names of columns."""
    held = {name: cells[i] for i, name in columns.items() if i < len(cells) and cells[i]}
    written = held.pop("number", "")
    return judged(written, as_fields(held))


def judged(written: str, details: Mapping[str, str]) -> Row:
    """Return a row of this number and these details, judged; also for one corrected by hand."""
    number, problem, remark = read_number(written)
    remarks = [remark] if remark else []
    texts = _eased(details, remarks)
    cleaned, wrong = clean_details(texts)
    problems = [{"field": "number", "text": problem}] if problem else []
    problems += [{"field": name, "text": text} for name, text in wrong]
    return Row(number, written, texts | cleaned, problems, "; ".join(remarks)[:200])


def as_fields(held: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of a draft for what stands in columns, compound ones taken apart."""
    fields = dict(held)
    if address := fields.pop("address", ""):
        fields |= split_address(address) | {
            name: value for name, value in fields.items() if name == "unit"
        }
    for place in ("unit", "place2", "place3"):
        kind = fields.pop(f"{place}_type", "")
        if kind:
            fields[place] = f"{kind} {fields.get(place, '')}".strip()
    for name, kind in _VOICE_OF.items():
        if voice_id := fields.pop(name, ""):
            fields |= {"voice": kind, "voice_id": voice_id}
    return fields


def split_address(text: str) -> dict[str, str]:
    """Return number, street and unit of "88 Pike St, Suite 210"; without a number all is street."""
    fields: dict[str, str] = {}
    text = text.strip(" ,")
    if match := _HOUSE.fullmatch(text):
        fields["street_num"], text = match[1], match[2].strip(" ,")
    if match := _UNIT_AT_END.fullmatch(text):
        text, fields["unit"] = match[1].strip(" ,"), match[2].strip(" ,")
    return fields | {"street": text}


def _eased(details: Mapping[str, str], remarks: list[str]) -> dict[str, str]:
    """Return the details without what spreadsheets and people do to them; say what was changed."""
    fields = {name: text for name, value in details.items() if (text := value.strip())}
    for prefix in ("", "e911_"):
        state = fields.get(f"{prefix}state", "")
        if len(state) > 3 and (code := _STATE_NAMES.get(state.lower())):
            fields[f"{prefix}state"] = state = code
        code = fields.get(f"{prefix}zip", "")
        if match := re.fullmatch(r"(\d{3,5})\.0+", code):
            fields[f"{prefix}zip"] = code = match[1]
        # A spreadsheet drops the zero that a ZIP in New England begins with.
        if len(code) in (3, 4) and code.isdecimal() and state.upper() in _NEW_ENGLAND & US_STATES:
            fields[f"{prefix}zip"] = code.zfill(5)
            remarks.append(f"ZIP {code} read as {code.zfill(5)}")
    if word := _SERVICE_WORDS.get(fields.get("service", "").lower().strip(".")):
        fields["service"] = word
    if match := _DAY_WITH_TIME.fullmatch(fields.get("signed_on", "")):
        fields["signed_on"] = match[1]
    for name in (*SECRET_FIELDS, "street_num"):
        if match := re.fullmatch(r"(\d+)\.0+", fields.get(name, "")):
            fields[name] = match[1]
    if btn := fields.get("btn", ""):
        number, _, _ = read_number(btn)
        fields["btn"] = number or btn
    return fields


def masked(name: str, text: str) -> str:
    """Return what may be seen of a secret: dots, and the end of a long account number."""
    if not text:
        return ""
    return MASK + (text[-4:] if name == "account" and len(text) >= 8 else "")


def is_masked(text: str) -> bool:
    """Tell whether this is a masked secret on its way back."""
    return text.startswith(MASK)


def cells_kept(cells: Sequence[str], columns: Mapping[int, str]) -> list[str]:
    """Return the cells as a row keeps them: without secrets, which stand in its details."""
    return ["" if columns.get(i) in SECRET_FIELDS else cell for i, cell in enumerate(cells)]


def written_of(data: Mapping[str, Any], columns: Mapping[int, str], number: str) -> str:
    """Return the number of a kept row as it stands in its file, or as it was corrected to."""
    if text := data.get("written"):
        return str(text)
    at = next((i for i, name in columns.items() if name == "number"), -1)
    cells = data.get("cells") or []
    return str(cells[at]) if 0 <= at < len(cells) else number
