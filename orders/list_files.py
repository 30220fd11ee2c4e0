"""Files of numbers: told apart by their content, opened with care, and given out row by row.

Pure work on bytes, no database. Nothing here holds a whole sheet: rows come one at a time.
"""

import csv
import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any, Final
from xml.etree.ElementTree import ParseError

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

MOST_BYTES: Final = 20 * 1024 * 1024
MOST_ROWS: Final = 20_000
MOST_COLUMNS: Final = 100  # what stands further right is not looked at
LONGEST_CELL: Final = 1_000  # characters of a cell that are kept
ACCEPTED: Final = ".csv,.xlsx"

# What a spreadsheet may unpack to. 20,000 rows of 100 columns stay far below.
MOST_UNPACKED: Final = 250 * 1024 * 1024
MOST_TEXTS: Final = 60 * 1024 * 1024  # the one part of an XLSX that has to be held as a whole
MOST_PARTS: Final = 2_000
LAST_ROW: Final = 1_048_576  # of any spreadsheet

CSV: Final = "csv"
XLSX: Final = "xlsx"

Numbered = tuple[int, list[str]]  # the row as the spreadsheet counts it, and its cells as text


class NotReadable(ValueError):
    """Raised for a file that is no list; its text is the sentence for staff."""


_ELSE: Final = "Save it as XLSX or CSV and add it again."
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_KNOWN: Final = (
    (b"%PDF-", f"This is a PDF. {_ELSE}"),
    (b"\x89PNG", "This is a picture. Type the numbers, or ask for the list itself."),
    (b"\xff\xd8\xff", "This is a picture. Type the numbers, or ask for the list itself."),
    (b"MZ", "This is a program. Nothing of it was read."),
    (b"\x7fELF", "This is a program. Nothing of it was read."),
    (b"\x1f\x8b", "This is a packed file. Unpack it and add what is inside."),
    (b"Rar!", "This is a packed file. Unpack it and add what is inside."),
    (b"7z\xbc\xaf", "This is a packed file. Unpack it and add what is inside."),
    (b"{\\rtf", f"This is a text document. {_ELSE}"),
)


def kind_of(content: bytes) -> str:
    """Return CSV or XLSX, whatever the file is called.

    Quick: nothing is unpacked. Raises NotReadable with what to do about it.
    """
    if not content.strip(b"\0 \t\r\n"):
        raise NotReadable("The file is empty. Choose it again.")
    if len(content) > MOST_BYTES:
        raise NotReadable("The file is larger than 20 MB. Split it, or take the pictures out.")
    if content.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in content:
            raise NotReadable(
                "The spreadsheet is locked with a password. Save it without and add it again."
            )
        raise NotReadable(f"This is an old Excel file (.xls). {_ELSE}")
    if content.startswith(b"PK"):
        _check_package(content)
        return XLSX
    for start, said in _KNOWN:
        if content.startswith(start):
            raise NotReadable(said)
    head = content[:400].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise NotReadable(f"This is a web page or XML, whatever its name. {_ELSE}")
    encoding = encoding_of(content)
    if not encoding.startswith("utf-16") and b"\0" in content:
        raise NotReadable(f"This is neither CSV nor XLSX. {_ELSE}")
    return CSV


def _check_package(content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            parts = package.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise NotReadable("The file is cut off or damaged. Save it anew and add it.") from error
    names = {part.filename for part in parts}
    if any(name.lower().endswith("vbaproject.bin") for name in names):
        raise NotReadable("The spreadsheet holds macros. Save it as .xlsx, without them.")
    if "xl/workbook.bin" in names:
        raise NotReadable(f"This is a binary Excel file (.xlsb). {_ELSE}")
    if "xl/workbook.xml" not in names:
        kind = "an OpenDocument file" if "mimetype" in names else "a packed file of another kind"
        raise NotReadable(f"This is {kind}. {_ELSE}")
    texts = sum(part.file_size for part in parts if "sharedstrings" in part.filename.lower())
    unpacked = sum(part.file_size for part in parts)
    if len(parts) > MOST_PARTS or unpacked > MOST_UNPACKED or texts > MOST_TEXTS:
        raise NotReadable(
            "The spreadsheet unpacks to more than any list of 20,000 rows. Copy the rows into a "
            "new one and add that."
        )


def rows_of(content: bytes) -> Iterator[Numbered]:
    """Yield every row in which something stands, as (its number in the file, its cells).

    Numbers count from 1 and include empty rows and titles, as a spreadsheet shows them. Raises
    NotReadable, if need be in the middle.
    """
    if kind_of(content) == XLSX:
        yield from _rows_of_xlsx(content)
    else:
        yield from _rows_of_csv(content)


# --- Spreadsheets -------------------------------------------------------------------------------

# A damaged or hostile spreadsheet brings the reader out of step in more ways than it names.
_DAMAGE: Final = (
    *(InvalidFileException, zipfile.BadZipFile, ParseError, ValueError, LookupError),
    *(TypeError, AttributeError, OSError, ArithmeticError, AssertionError, EOFError),
    *(RecursionError, NotImplementedError),
)


def _rows_of_xlsx(content: bytes) -> Iterator[Numbered]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and validations that do not matter here
            yield from _rows_of_book(content)
    except NotReadable:
        raise
    except _DAMAGE as error:
        raise NotReadable(
            "The spreadsheet does not open. Save it anew, or as CSV, and add it again."
        ) from error


def _rows_of_book(content: bytes) -> Iterator[Numbered]:
    """Yield the rows of the first sheet in sight that has any; formulas give their last value."""
    book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    try:
        for sheet in book.worksheets:
            if sheet.sheet_state != "visible":
                continue
            sheet.reset_dimensions()  # what a file says of its own size is often wrong
            found = False
            for position, cells in enumerate(sheet.iter_rows(), 1):
                if position > LAST_ROW:
                    break
                texts = [_text_of(cell) for cell in cells[:MOST_COLUMNS]]
                if any(texts):
                    found = True
                    yield position, _filled(texts)
            if found:
                return
    finally:
        book.close()


_ZEROS: Final = re.compile(r"0{2,}")


def _text_of(cell: Any) -> str:
    """Return a cell as its reader sees it: no ".0" behind a number, a date as 2026-06-18."""
    value = cell.value
    if value is None or cell.data_type == "e":
        return ""
    if isinstance(value, str):
        return _tidy(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time(0) else value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float):
        if not value.is_integer() or abs(value) >= 1e16:
            return repr(value)
        value = int(value)
    text = str(value)
    # A column formatted as 00000 shows the zeros a ZIP or a PIN begins with.
    shown = str(cell.number_format or "")
    return text.zfill(len(shown)) if _ZEROS.fullmatch(shown) else text


def _filled(texts: list[str]) -> list[str]:
    """Return the cells up to the last one in which something stands; there is one."""
    while not texts[-1]:
        texts.pop()
    return texts


_BLANK: Final = re.compile(r"[\s\u00a0\u200b\u2060\ufeff]+")


def _tidy(text: str) -> str:
    """Return the text without outer and doubled blanks and without the mark of a text cell."""
    if len(text) > LONGEST_CELL:
        text = text[:LONGEST_CELL]
    text = _BLANK.sub(" ", text.replace("\0", "")).strip()
    if text[:1] == "'" and text[1:2] in "=+-@0123456789(" and text[1:]:
        return text[1:].strip()
    return text


# --- Text ---------------------------------------------------------------------------------------


def encoding_of(content: bytes) -> str:
    """Return the encoding of a text file, by its mark, else by whether it can be UTF-8."""
    if content.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    head = content[:4096]
    if head.count(0) > len(head) // 4:  # every second byte of plain text in UTF-16
        return "utf-16-be" if head[::2].count(0) > head[1::2].count(0) else "utf-16-le"
    try:
        content.decode()
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


_SEPARATORS: Final = ",;\t|"


def _separator_of(head: str) -> str:
    """Return what separates the cells: the sign found most often, and alike, in the first rows."""
    best, most = ",", 0.0
    lines = [line for line in re.sub(r'"[^"]*"', "", head).splitlines() if line.strip()][:30]
    for sign in _SEPARATORS:
        counts = [line.count(sign) for line in lines]
        with_it = [count for count in counts if count]
        if not with_it:
            continue
        usual = max(set(with_it), key=with_it.count)
        score = with_it.count(usual) / len(lines) * (1 + min(usual, 20) / 20)
        if score > most:
            best, most = sign, score
    return best


def _rows_of_csv(content: bytes) -> Iterator[Numbered]:
    encoding = encoding_of(content)
    # A few bytes have no meaning in cp1252; they are not worth refusing a list.
    text = io.TextIOWrapper(io.BytesIO(content), encoding, errors="replace", newline="")
    head = text.read(65_536)
    text.seek(0)
    skipped = 0
    if match := re.match(r"\s*sep=(.)\r?\n", head.lstrip("\ufeff"), re.I):  # how Excel is told
        separator, skipped = match[1], 1
    else:
        separator = _separator_of(head)
    # Strict: a quotation mark that is never closed must not swallow the rows behind it.
    reader = csv.reader(text, delimiter=separator, strict=True)
    try:
        for position, cells in enumerate(reader, 1):
            if position <= skipped:
                continue
            if position > LAST_ROW:
                return
            texts = [_tidy(cell) for cell in cells[:MOST_COLUMNS]]
            if any(texts):
                yield position, _filled(texts)
    except csv.Error as error:
        raise NotReadable(
            f"Line {reader.line_num:,} cannot be told apart; a quotation mark is missing or too "
            "many. Correct it and add the file again."
        ) from error
    except UnicodeError as error:
        raise NotReadable(f"The text is in no encoding known here. {_ELSE}") from error
