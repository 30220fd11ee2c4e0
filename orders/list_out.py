"""Lists as files: the template, and rows to be corrected. Pure, no database."""

import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

from orders.list_catalog import COLUMNS
from portal import csvfile

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_WIDEST: Final = 60  # characters of a column of a spreadsheet

XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def csv_file(rows: Iterable[Sequence[str]]) -> bytes:
    """Return a CSV that spreadsheets open as it is meant; the first row has the titles."""
    titles, *rest = rows
    return "".join(csvfile.lines(titles, rest)).encode()


def xlsx_file(*sheets: tuple[str, Iterable[Iterable[str]]]) -> bytes:
    """Return a spreadsheet of text cells, so that no number is rounded and no formula runs.

    Each sheet is (title, rows); the first row is in bold and stays in sight.
    """
    book = Workbook(write_only=True)
    for title, rows in sheets:
        lines = [[_CONTROL.sub(" ", cell) for cell in row] for row in rows]
        sheet = book.create_sheet(title)
        sheet.freeze_panes = "A2"
        for i in range(max(map(len, lines), default=0)):
            longest = max(len(line[i]) for line in lines if i < len(line))
            sheet.column_dimensions[get_column_letter(i + 1)].width = min(longest + 3, _WIDEST)
        for at, line in enumerate(lines):
            cells = []
            for text in line:
                cell = WriteOnlyCell(sheet, text)
                cell.data_type = "s"  # "=1+1" is text as well
                cell.number_format = "@"
                cell.alignment = Alignment(vertical="top", wrap_text=len(text) > _WIDEST)
                if not at:
                    cell.font = Font(bold=True)
                cells.append(cell)
            sheet.append(cells)
    answer = io.BytesIO()
    book.save(answer)
    return answer.getvalue()


def template_rows() -> list[list[str]]:
    """Return the titles of the template and one row of example."""
    columns = [column for column in COLUMNS.values() if column.in_template]
    return [[column.title for column in columns], [column.example for column in columns]]


def explained_rows() -> list[list[str]]:
    """Return what each column of the template means, and the other columns that are understood."""
    rows = [["Column", "What stands in it", "Also understood as"]]
    for column in COLUMNS.values():
        about = column.about or f"{column.title}, as the losing carrier has it."
        if column.group in ("Emergency address", "Street in parts", "At Sinch"):
            about = column.about or f"{column.group}: {column.title.lower()}."
        rows.append([column.title, about, ", ".join(column.like.split()[:4])])
    return rows


def template_csv() -> bytes:
    """Return the template as CSV."""
    return csv_file(template_rows())


def template_xlsx() -> bytes:
    """Return the template as a spreadsheet, with a second sheet that explains its columns."""
    return xlsx_file(("Numbers", template_rows()), ("Columns explained", explained_rows()))
