"""Pasted numbers: any North American spelling in, one `Line` for each number out.

Pure text work, no database: what our own orders say about a number is added by `actions`.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import phonenumbers

MAX_LINES: Final = 5_000  # more is no paste but a file; the rest is not read
MOST_SOUGHT: Final = 40  # characters kept of what was typed where digits are looked for
MAX_PIECE: Final = 80  # characters of one number as written, label and extension included

_SEPARATORS = re.compile(r"[\t,;|](?!\s*(?:ext|extension|x\s*\d|isub|phone-context))", re.I)
_EXTENSION = re.compile(
    r"[\s,;]*(?P<words>(?:\bextension|\bextn|\bext|\bx|(?<=\d)x|#)\s*[.:=]?\s*\d{1,7})\s*$", re.I
)
_PARAMETERS = re.compile(r";\s*(?:isub|phone-context)=[^;]*", re.I)
_SCHEME = re.compile(r"^\s*(?:tel|sms|callto)\s*:\s*(?://)?", re.I)
_LIST_MARK = re.compile(r"^\s*(?:[-*•·–—>]+\s+|#?\d{1,3}[.)]\s+(?=[+(\d]))")
_ONE = r"(?:\+?1[\s.\-]*)?(?:\(\s*\d{3}\s*\)|\d{3})[\s.\-]*\d{3}[\s.\-]*\d{4}"
_SEVERAL = re.compile(rf"(?<!\d){_ONE}(?!\d)")
_RANGE = re.compile(r"\d{4}\s*(?:-|–|to|thru|through|\.\.+)\s*\d{2,4}\s*$", re.I)
_WORD = re.compile(r"[^\W\d_]+")
_KEYPAD: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")

PROVINCES: Final = {
    "Alberta": "368 403 587 780 825",
    "British Columbia": "236 250 257 604 672 778",
    "Manitoba": "204 431 584",
    "New Brunswick": "428 506",
    "Newfoundland and Labrador": "709 879",
    "Nova Scotia or Prince Edward Island": "782 902",
    "Ontario": "226 249 289 343 365 382 387 416 437 519 548 613 647 683 705 742 753 807 905 942",
    "Quebec": "263 354 367 418 438 450 468 514 579 581 819 873",
    "Saskatchewan": "306 474 639",
    "The northern territories": "867",
}
_PROVINCE_OF: Final = {code: name for name, codes in PROVINCES.items() for code in codes.split()}
TOLL_FREE: Final = frozenset({"800", "833", "844", "855", "866", "877", "888"})
# Shares +1 with the US and Canada without belonging to either.
_ELSEWHERE: Final = {
    "AG": "Antigua and Barbuda",
    "AI": "Anguilla",
    "BB": "Barbados",
    "BM": "Bermuda",
    "BS": "the Bahamas",
    "DM": "Dominica",
    "DO": "the Dominican Republic",
    "GD": "Grenada",
    "JM": "Jamaica",
    "KN": "Saint Kitts and Nevis",
    "KY": "the Cayman Islands",
    "LC": "Saint Lucia",
    "MS": "Montserrat",
    "SX": "Sint Maarten",
    "TC": "the Turks and Caicos Islands",
    "TT": "Trinidad and Tobago",
    "VC": "Saint Vincent and the Grenadines",
    "VG": "the British Virgin Islands",
}
_TERRITORIES: Final = {
    "AS": "American Samoa",
    "GU": "Guam",
    "MP": "the Northern Mariana Islands",
    "PR": "Puerto Rico",
    "VI": "the US Virgin Islands",
}


@dataclass(frozen=True, slots=True)
class Line:
    """What was read at one place of the text.

    `position` is the line, counted from 1; `part` the place in it, counted from 1; `start` and
    `end` where `text` stands in the whole. `number` is E.164 or None, then `problem` says why.
    `remark` is worth a look and blocks nothing. A repeated number has `repeats`, the line it
    stands on first, and is not counted.
    """

    position: int
    part: int
    text: str
    start: int
    end: int
    number: str | None = None
    problem: str = ""
    remark: str = ""
    repeats: int = 0

    @property
    def key(self) -> str:
        """How a form field names it: "4", or "9-2" for the second number of line 9."""
        return str(self.position) if self.part == 1 else f"{self.position}-{self.part}"

    @property
    def place(self) -> str:
        """How a sentence names it: "line 4"."""
        return f"line {self.position}"


def read_numbers(text: str) -> list[Line]:
    """Return one Line for each number or unreadable piece, in the order they were written.

    Numbers are separated by line ends, tabs, commas, semicolons, bars and slashes. A bad piece
    never hides its neighbours. At most MAX_LINES lines are read; see `is_too_long`.
    """
    lines: list[Line] = []
    first_seen: dict[str, int] = {}
    start = 0
    for position, row in enumerate(text.splitlines(keepends=True)[:MAX_LINES], 1):
        body = row.rstrip("\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029")
        for part, line in enumerate(_read_row(body, position, start), 1):
            lines.append(_counted(line, part, first_seen))
        start += len(row)
    return lines


def is_too_long(text: str) -> bool:
    """Tell whether the text has more lines than are read."""
    return len(text.splitlines()) > MAX_LINES


def numbers_of(lines: list[Line]) -> list[str]:
    """Return the distinct E.164 numbers in the order they were written."""
    return [line.number for line in lines if line.number and not line.repeats]


def replaced(text: str, line: Line, by: str) -> str:
    """Return the text with another spelling in the line's place; "" takes the piece out."""
    if by.strip():
        return text[: line.start] + by.strip() + text[line.end :]
    return _only(text, lambda other: other.start != line.start)


def without(text: str, numbers: set[str]) -> str:
    """Return the text without these E.164 numbers, whatever way they are spelled in it."""
    return _only(text, lambda line: line.number not in numbers)


def _only(text: str, keeps: Callable[[Line], bool]) -> str:
    """Return the text with the rows that lose something written anew, from what stays in them."""
    rows = text.splitlines()
    by_row: dict[int, list[Line]] = {}
    for line in read_numbers(text):
        by_row.setdefault(line.position, []).append(line)
    for position, lines in by_row.items():
        kept = [line for line in lines if keeps(line)]
        if len(kept) < len(lines):
            rows[position - 1] = ", ".join(map(_spelled_out, kept)) if kept else "\0"
    return "\n".join(row for row in rows if row != "\0")


def _spelled_out(line: Line) -> str:
    """Return the piece as written, or in full when it leaned on the number before it."""
    if line.number and _count(line.text) < 10:
        return f"+1 {line.number[2:5]} {line.number[5:8]} {line.number[8:]}"
    return line.text


def area_code(number: str) -> str:
    """Return the three digits after +1."""
    return number[2:5]


def is_canadian(number: str) -> bool:
    """Tell whether an E.164 number has a Canadian area code: +1 alone does not say."""
    return _region(area_code(number)) == "CA"


@lru_cache(maxsize=1024)
def _region(code: str) -> str:
    """Return the country of an area code, "" for one that is not in the tables.

    Any exchange will do: 555-01xx, kept for examples, has a country as well.
    """
    if code in _PROVINCE_OF:
        return "CA"
    for exchange in ("555", "234"):
        probe = phonenumbers.PhoneNumber(
            country_code=1, national_number=int(f"{code}{exchange}0142")
        )
        if region := phonenumbers.region_code_for_number(probe):
            return region
    return ""


def _plain(text: str) -> str:
    """Return the text with plain digits, spaces and dashes; as long as it was."""
    if text.isascii():
        return text
    return "".join(map(_plain_character, text))


def _plain_character(character: str) -> str:
    if character.isascii():
        return character
    digit = unicodedata.digit(character, None)
    if digit is not None and unicodedata.category(character) == "Nd":
        return str(digit)
    category = unicodedata.category(character)
    if category == "Pd" or character == "\u2212":  # dashes, and the minus sign
        return "-"
    if category in {"Zs", "Cf", "Zl", "Zp"}:  # unbreakable and zero-width spaces, text direction
        return " "
    same = unicodedata.normalize("NFKC", character)
    return same if len(same) == 1 else character


def _read_row(row: str, position: int, start: int) -> list[Line]:
    plain = _PARAMETERS.sub(lambda match: " " * len(match[0]), _plain(row))
    found: list[Line] = []
    begin = 0
    for end in [match.start() for match in _SEPARATORS.finditer(plain)] + [len(plain)]:
        _read_chunk(plain, begin, end, row, position, start, found)
        begin = end + 1
    return found


def _read_chunk(
    plain: str, begin: int, end: int, row: str, position: int, start: int, found: list[Line]
) -> None:
    """Read what stands between two separators; mostly one number."""
    before = found[-1].number if found else None
    for piece_begin, piece_end, slashed in _pieces(plain, begin, end):
        while piece_begin < piece_end and plain[piece_begin].isspace():
            piece_begin += 1
        while piece_end > piece_begin and plain[piece_end - 1].isspace():
            piece_end -= 1
        if not plain[piece_begin:piece_end].strip(" .-/()"):
            continue
        number, problem, remark = _read_piece(plain[piece_begin:piece_end], before, slashed)
        found.append(
            Line(
                position=position,
                part=0,
                text=row[piece_begin:piece_end],
                start=start + piece_begin,
                end=start + piece_end,
                number=number,
                problem=problem,
                remark=remark,
            )
        )
        before = number


def _pieces(plain: str, begin: int, end: int) -> list[tuple[int, int, bool]]:
    """Split a chunk at slashes, and at spaces between whole numbers."""
    chunk = plain[begin:end]
    if _count(chunk) <= 10 or (_count(chunk) == 11 and _digits(chunk)[0] == "1"):
        return [(begin, end, False)]  # "206/555-0142" is one number
    pieces: list[tuple[int, int, bool]] = []
    at = begin
    for index, part in enumerate(chunk.split("/")):
        inner = [(at + m.start(), at + m.end()) for m in _SEVERAL.finditer(part)]
        rest = _SEVERAL.sub("", part)
        if len(inner) > 1 and not rest.strip(" .-"):
            pieces += [(b, e, False) for b, e in inner]
        else:
            pieces.append((at, at + len(part), index > 0))
        at += len(part) + 1
    return pieces


def _read_piece(piece: str, before: str | None, slashed: bool) -> tuple[str | None, str, str]:
    """Return (number, problem, remark) of one piece."""
    if len(piece) > MAX_PIECE:
        return None, "Too long for a number. Correct it here or leave it out.", ""
    remarks: list[str] = []
    text = _SCHEME.sub("", piece)
    if match := _EXTENSION.search(text):
        head = text[: match.start()]
        if _count(head) >= 7:
            remarks.append(f"“{match['words'].strip()}” dropped")
            text = head
    text = _LIST_MARK.sub("", text) if _count(text) > 10 or not text[:1].isdigit() else text
    digits = _digits(text)
    if foreign := _foreign(text, digits):
        return None, foreign, ""
    words = _WORD.findall(text)
    national = _national(digits)
    if not national and before and not words:
        national = _continued(digits, before, slashed)
    if not national:
        return None, _what_is_wrong(text, digits, words), ""
    if words:
        remarks.append(f"“{' '.join(words)}” dropped")
    if problem := _impossible(national):
        return None, problem, ""
    if remark := _about(national):
        remarks.append(remark)
    return f"+1{national}", "", "; ".join(remarks)


def _digits(text: str) -> str:
    return "".join(character for character in text if character in "0123456789")


def _count(text: str) -> int:
    return len(_digits(text))


def _national(digits: str) -> str:
    """Return the ten digits, "" when there are not ten."""
    if len(digits) == 14 and digits.startswith("0111"):
        digits = digits[3:]  # dialled from abroad
    if len(digits) == 13 and digits.startswith("001"):
        digits = digits[2:]
    if len(digits) == 11 and digits.startswith("1"):
        digits = digits[1:]
    return digits if len(digits) == 10 else ""


def _continued(digits: str, before: str, slashed: bool) -> str:
    """Return the number that shares its beginning with the one before: "… 0146 / 0147"."""
    if len(digits) in ((2, 3, 4, 7) if slashed else (4, 7)):
        return before[2:][: 10 - len(digits)] + digits
    return ""


def _foreign(text: str, digits: str) -> str:
    code = ""
    if text.lstrip(" (").startswith("+") and digits and not digits.startswith("1"):
        code = digits
    elif digits.startswith("011") and len(digits) > 11 and digits[3] != "1":
        code = digits[3:]
    elif digits.startswith("00") and len(digits) > 11 and digits[2] != "1":
        code = digits[2:]
    if not code:
        return ""
    known = next(
        (code[:size] for size in (1, 2, 3) if int(code[:size]) in _COUNTRY_CODES), code[:2]
    )
    return f"+{known} is outside the US and Canada; only numbers there can move. Leave it out."


_COUNTRY_CODES: Final = frozenset(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


def _what_is_wrong(text: str, digits: str, words: list[str]) -> str:
    end = "Correct it here or leave it out."
    if words and (spelled := _spelled(text)):
        return f"Letters; on a keypad this is {spelled}. Write the digits, or leave it out."
    if not digits:
        return f"No digits; a number has 10. {end}"
    if _RANGE.search(text) and len(digits) > 10:
        return "This reads like a range; write each number out, one a line."
    noun = "digit" if len(digits) == 1 else "digits"
    if len(digits) == 11:
        return f"11 digits, but the first is not 1; a number has 10. {end}"
    if len(digits) == 7:
        return f"7 digits: the area code is missing. {end}"
    return f"{len(digits)} {noun}; a number has 10. {end}"


def _spelled(text: str) -> str:
    """Return what 1-800-FLOWERS dials, "" when letters do not make a number of it."""
    typed = "".join(c for c in text.upper() if c.isascii() and c.isalnum())
    dialled = typed.translate(_KEYPAD).removeprefix("1")
    if not typed[:1].isdigit() or not 10 <= len(dialled) <= 14 or _impossible(dialled[:10]):
        return ""
    return f"+1 {dialled[:3]} {dialled[3:6]} {dialled[6:10]}"


def _impossible(national: str) -> str:
    code, exchange = national[:3], national[3:6]
    end = "Correct it here or leave it out."
    if code[0] in "01" or code[1:] == "11":
        return f"No area code is {code}. {end}"
    if exchange[0] in "01" or exchange[1:] == "11":
        return f"{exchange} cannot follow an area code. {end}"
    if elsewhere := _ELSEWHERE.get(_region(code)):
        return f"{code} is {elsewhere}; only US and Canadian numbers can move. Leave it out."
    return ""


def _about(national: str) -> str:
    code = national[:3]
    region = _region(code)
    if region == "CA":
        return f"{_PROVINCE_OF.get(code, 'Canada')}: needs a reseller name"
    if code in TOLL_FREE:
        return "Toll-free: Sinch may not take it yet"
    if region in _TERRITORIES:
        return f"{_TERRITORIES[region]}: Sinch may not take it"
    if not region:
        return f"Area code {code} is new to this desk; is it right?"
    return ""


def _counted(line: Line, part: int, first_seen: dict[str, int]) -> Line:
    repeats, remark = 0, line.remark
    if line.number:
        if line.number in first_seen:
            repeats = first_seen[line.number]
            where = "earlier in this line" if repeats == line.position else f"line {repeats}"
            remark = f"Same as {where}; counted once"
        else:
            first_seen[line.number] = line.position
    return Line(
        position=line.position,
        part=part,
        text=line.text,
        start=line.start,
        end=line.end,
        number=line.number,
        problem=line.problem,
        remark=remark,
        repeats=repeats,
    )


def sought(typed: str) -> str:
    """Return the digits to look for, else what was typed in their place; "" for nothing."""
    digits = "".join(c for c in typed if c.isascii() and c.isdigit())
    return digits[:15] or (typed[:MOST_SOUGHT] if typed.strip() else "")


def why_no_number(sought: str) -> str:
    """Return why no number can fit: `There are no digits in “abc”.`; "" when some may."""
    return "" if not sought or sought.isdigit() else f"There are no digits in “{sought}”."
