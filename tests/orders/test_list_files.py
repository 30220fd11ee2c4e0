"""Files told apart by their content, their columns guessed, their rows read: without a database."""

import io
import zipfile
from datetime import date, datetime
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook

from orders.details import DETAIL_FIELDS
from orders.list_catalog import COLUMNS, column_of
from orders.list_columns import cautions, objections, survey
from orders.list_files import CSV, XLSX, NotReadable, kind_of, rows_of
from orders.list_out import (
    csv_file,
    template_csv,
    template_rows,
    template_xlsx,
    xlsx_file,
)
from orders.lists import read_number, read_row, split_address
from portal import csvfile
from tests.orders.lists import book, csv_text


def texts(content: bytes) -> list[list[str]]:
    return [cells for _, cells in rows_of(content)]


def package(**parts: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in parts.items():
            made.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return content.getvalue()


# --- What a file is -------------------------------------------------------------------------------


def test_a_file_is_what_its_content_says_whatever_its_name():
    assert kind_of(book([["Number"]])) == XLSX
    assert kind_of(b"Number\r\n2065550142\r\n") == CSV


OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
BOOK = {"xl__workbook_dot_xml": b"<workbook/>"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "The file is empty."),
        (b"\0 \r\n\0", "The file is empty."),
        (b"%PDF-1.7 sites", "This is a PDF."),
        (b"\x89PNG\r\n\x1a\n", "This is a picture."),
        (b"MZ\x90\0", "This is a program."),
        (b"\x1f\x8b\x08", "This is a packed file."),
        (OLD, "This is an old Excel file (.xls)."),
        (OLD + "EncryptedPackage".encode("utf-16-le"), "locked with a password"),
        (b"PK\x03\x04 cut off", "cut off or damaged"),
        (package(**BOOK, xl__vbaProject_dot_bin=b"x"), "holds macros"),
        (package(xl__workbook_dot_bin=b"x"), "binary Excel file (.xlsb)"),
        (package(mimetype=b"application/vnd.oasis.opendocument.spreadsheet"), "OpenDocument"),
        (package(word__document_dot_xml=b"x"), "a packed file of another kind"),
        (package(**BOOK, xl__worksheets__sheet1_dot_xml=b"0" * (260 << 20)), "unpacks to more"),
        (package(**BOOK, xl__sharedStrings_dot_xml=b"0" * (61 << 20)), "unpacks to more"),
        (b"<!DOCTYPE html><table><tr><td>2065550142", "This is a web page or XML"),
        (b"\x00\x01\x02binary\x00\x00\xff", "neither CSV nor XLSX"),
        (b"1" * (20 * 1024 * 1024 + 1), "larger than 20 MB"),
    ],
)
def test_what_is_no_list_is_refused_with_what_to_do(content, said):
    with pytest.raises(NotReadable, match=said.replace("(", r"\(").replace(")", r"\)")):
        kind_of(content)


def test_a_spreadsheet_with_entities_is_refused_and_not_expanded():
    source = io.BytesIO(book([["Number"], ["2065550142"]]))
    bomb = io.BytesIO()
    with zipfile.ZipFile(source) as whole, zipfile.ZipFile(bomb, "w") as made:
        for part in whole.namelist():
            data = whole.read(part)
            if part == "xl/worksheets/sheet1.xml":
                head = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
                data = head + data.replace(b"Number", b"&b;")
            made.writestr(part, data)
    with pytest.raises(NotReadable, match="does not open"):
        texts(bomb.getvalue())


# --- Text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_every_usual_encoding_and_separator_is_read(encoding, separator):
    content = csv_text(
        "Number|Name", "206-555-0142|Café Zoé", encoding=encoding, separator=separator
    )
    assert texts(content) == [["Number", "Name"], ["206-555-0142", "Café Zoé"]]


def test_quotes_hold_separators_and_line_ends_and_rows_keep_their_numbers():
    content = b'Number,Name,Note\r\n\r\n2065550142,"Pike, Street\r\nBooks","say ""hi"""\r\n'
    assert list(rows_of(content)) == [
        (1, ["Number", "Name", "Note"]),
        (3, ["2065550142", "Pike, Street Books", 'say "hi"']),
    ]


def test_the_hint_for_excel_in_the_first_line_is_heeded():
    assert texts(b"sep=;\r\nNumber;Name\r\n2065550142;Pike, Inc\r\n") == [
        ["Number", "Name"],
        ["2065550142", "Pike, Inc"],
    ]


@pytest.mark.parametrize("rows", [2, 20_000])
def test_a_quotation_mark_that_is_never_closed_is_told_and_swallows_no_rows(rows):
    content = b'Number,Name\r\n2065550142,"Pike\r\n' + b"2065550143,Pike\r\n" * rows
    with pytest.raises(NotReadable, match="a quotation mark is missing or too many"):
        texts(content)


def test_quotation_marks_inside_a_cell_are_only_marks():
    assert texts(b'Number,Name\r\n2065550142,5" Pipes\r\n')[1] == ["2065550142", '5" Pipes']


# --- Spreadsheets ---------------------------------------------------------------------------------


def test_numbers_dates_and_formats_read_as_people_see_them():
    made = Workbook()
    sheet = made.active
    sheet.append(["Number", "ZIP", "PIN", "Signed on", "Street number", "Name"])
    sheet.append([2065550142.0, 2134, 21, datetime(2026, 6, 18), 88.5, "  Pike\u00a0 Street "])
    sheet["B2"].number_format = "00000"
    sheet["C2"].number_format = "0000"
    sheet.append([2.065550143e9, "'02134", "'0021", date(2026, 6, 18), 88, "'=1+1"])
    content = io.BytesIO()
    made.save(content)
    assert texts(content.getvalue())[1:] == [
        ["2065550142", "02134", "0021", "2026-06-18", "88.5", "Pike Street"],
        ["2065550143", "02134", "0021", "2026-06-18", "88", "=1+1"],
    ]


def test_the_first_sheet_in_sight_that_has_rows_is_read():
    content = book([["hidden"]], [], [["Number"], ["2065550142"]], [["other"]], hidden=[0])
    assert texts(content) == [["Number"], ["2065550142"]]


def test_a_formula_gives_the_value_it_last_had():
    made = io.BytesIO()
    source = book([["Number"], ["=1+1"]])
    with zipfile.ZipFile(io.BytesIO(source)) as whole, zipfile.ZipFile(made, "w") as target:
        for part in whole.namelist():
            data = whole.read(part)
            if part == "xl/worksheets/sheet1.xml":
                data = data.replace(b"<v></v>", b"<v>2065550142</v>").replace(
                    b"<v />", b"<v>2065550142</v>"
                )
            target.writestr(part, data)
    assert texts(made.getvalue())[1] == ["2065550142"]


# --- Columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("phoneNumber", "number"),
        ("Phone Number(s)", "number"),
        ("TN", "number"),
        ("Numbers to port", "number"),
        ("endUser.name", "name"),
        ("Customer Name", "name"),
        ("phoneNumbers[0].endUser.streetNum", "street_num"),
        ("endUser.streetPreDir", "street_pre"),
        ("endUser.locationValue1", "unit"),
        ("Service Address", "address"),
        ("Service City", "city"),
        ("Zip/Postal Code", "zip"),
        ("Province", "state"),
        ("portOutInfo.accountNum", "account"),
        ("portOutInfo.existingPortOutPin", "pin"),
        ("Acct #", "account"),
        ("Billing Telephone Number", "btn"),
        ("portOutInfo.authorizingDate", "signed_on"),
        ("newPortOutPin", "new_pin"),
        ("voiceConfiguration.est.trunkId", "est"),
        ("smsConfiguration.smsAppId", "sms_app"),
        ("e911.postalCode", "e911_zip"),
        ("E911 City", "e911_city"),
        ("Site manager", ""),
        ("Customer number", ""),
        ("Billing city", ""),
    ],
)
def test_titles_are_known_in_many_wordings(title, name):
    assert column_of(title) == name


def test_every_column_of_the_template_is_known_by_its_title():
    titles, example = template_rows()
    assert [column_of(title) for title in titles] == [
        column.name for column in COLUMNS.values() if column.in_template
    ]
    found = survey([(1, titles), (2, example)])
    assert found.is_certain
    row = read_row(example, found.columns)
    assert row.problems == []


def test_every_detail_of_a_number_has_a_column():
    assert set(DETAIL_FIELDS) <= set(COLUMNS)


def test_headings_and_empty_rows_above_the_titles_do_no_harm():
    rows = [(1, ["Numbers of Pike Street", "", ""]), (3, ["TN", "Customer", ""]), (4, ["x"])]
    rows += [(5, ["206-555-0142", "Pike", "a"])]
    found = survey(rows)
    assert found.titles == ["TN", "Customer", ""]
    assert (found.first, found.columns) == (4, {0: "number", 1: "name"})


def test_titles_in_two_rows_are_joined():
    rows = [
        (1, ["Number", "Service address", "", ""]),
        (2, ["", "Street", "City", "State"]),
        (3, ["206-555-0142", "Pike St", "Seattle", "WA"]),
    ]
    found = survey(rows)
    assert found.titles == ["Number", "Street", "City", "State"]
    assert found.columns == {0: "number", 1: "street", 2: "city", 3: "state"}


def test_a_file_without_titles_is_told_by_what_stands_in_it():
    rows = [(n, ["Pike", f"206-555-01{n:02d}", "WA", "98101"]) for n in range(1, 9)]
    found = survey(rows)
    assert found.columns == {1: "number", 2: "state", 3: "zip"}
    assert found.first == 1
    assert not found.is_certain


def test_numbers_and_nothing_else_need_no_question():
    found = survey([(n, [f"206-555-01{n:02d}"]) for n in range(1, 9)])
    assert found.is_certain
    assert found.columns == {0: "number"}


def test_a_column_of_house_numbers_is_not_taken_for_the_numbers_to_move():
    rows = [(1, ["Number", "Street", "Line to move"])]
    rows += [(n, [str(n), "Pike St", f"206-555-01{n:02d}"]) for n in range(2, 9)]
    found = survey(rows)
    assert found.columns[2] == "number"
    assert 0 not in found.columns
    assert not found.is_certain


def test_two_columns_of_one_name_are_asked_about():
    found = survey([(1, ["Number", "City", "City"]), (2, ["206-555-0142", "Seattle", "Kent"])])
    assert not found.is_certain
    assert list(found.columns.values()).count("city") == 1


def test_a_choice_of_columns_is_refused_or_advised_in_words():
    assert list(objections({0: "number", 1: "number"})) == [
        "Two columns are “Number”. One of them can be."
    ]
    assert list(objections({1: "city"})) == ["No column is the number. Say which one it is."]
    assert "say the same" in next(objections({0: "number", 1: "address", 2: "street"}))
    assert list(objections({0: "number", 1: "address"})) == []
    assert "no column for street number, street" in next(
        cautions({0: "number", 1: "city", 2: "state", 3: "zip"})
    )
    assert list(cautions({0: "number", 1: "address", 2: "city", 3: "state", 4: "zip"})) == []


# --- Rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2065550142", "+12065550142"),
        ("2065550142.0", "+12065550142"),
        ("2.065550142E9", "+12065550142"),
        ("2.065550142E+09", "+12065550142"),
        ("1.2065550142e10", "+12065550142"),
        ("+1 (206) 555-0142", "+12065550142"),
        ("206 555 0142 ext 3", "+12065550142"),
    ],
)
def test_numbers_are_read_however_a_spreadsheet_writes_them(text, number):
    assert read_number(text)[:2] == (number, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "No number in this row."),
        ("-", "No number in this row."),
        ("2.06555E+09", "has cut this number off (2.06555E+09)"),
        ("206 555 0142 / 0143", "2 numbers in one cell."),
        ("206-555-014", "9 digits; a number has 10."),
        ("+44 20 7946 0000", "+44 is outside the US and Canada"),
    ],
)
def test_what_is_no_number_is_told_and_never_guessed(text, said):
    number, problem, _ = read_number(text)
    assert number == ""
    assert said in problem


def read(**cells: str) -> Any:
    names = list(cells)
    return read_row(list(cells.values()), dict(enumerate(names)))


def test_compound_columns_are_taken_apart():
    row = read(number="2065550142", address="88 Pike St, Suite 210", city="Seattle", state="WA")
    assert row.details["street_num"] == "88"
    assert row.details["street"] == "Pike St"
    assert row.details["unit"] == "Suite 210"
    row = read(number="2065550142", unit_type="Floor", unit="3", est="01HX0TRUNK", fax="")
    assert row.details["unit"] == "Floor 3"
    assert (row.details["voice"], row.details["voice_id"]) == ("EST", "01HX0TRUNK")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("88 Pike St", ("88", "Pike St", "")),
        ("88-90 Pike St #210", ("88-90", "Pike St", "#210")),
        ("1420A Alder Ave Apt. 3", ("1420A", "Alder Ave", "Apt. 3")),
        ("Old Mill Road", ("", "Old Mill Road", "")),
    ],
)
def test_an_address_in_one_cell_is_split(text, parts):
    found = split_address(text)
    assert (found.get("street_num", ""), found["street"], found.get("unit", "")) == parts


def test_what_spreadsheets_do_to_values_is_undone_and_said():
    whole = {"street_num": "88.0", "street": "Elm St", "city": "Boston"}
    row = read(number="6175550142", **whole, state="Massachusetts", zip="2134", pin="21.0")
    assert row.details["state"] == "MA"
    assert row.details["zip"] == "02134"
    assert (row.details["street_num"], row.details["pin"]) == ("88", "21")
    assert row.remark == "ZIP 2134 read as 02134"
    assert row.problems == []
    # Elsewhere a short ZIP is a slip and stays one.
    row = read(number="2065550142", **whole, state="WA", zip="2134")
    assert [problem["field"] for problem in row.problems] == ["zip"]
    assert row.details["zip"] == "2134"


def test_a_problem_never_repeats_a_secret():
    row = read(number="2065550142", pin="4" * 120)
    assert [problem["field"] for problem in row.problems] == ["pin"]
    assert "444" not in row.problems[0]["text"]


# --- Files made here ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["=1+1", "+1 206 555 0142", "-2+3", "@SUM(A1)", "\t=1", "=", "-"])
def test_no_cell_is_a_formula_and_every_cell_comes_back_as_it_was(text):
    cell = csvfile.safe(text)
    assert len(cell) == 1 or cell[0] not in "=+-@\t"
    back = texts(csv_file([["Number", "x"], [text, "y"]]))[1][0]
    assert back == text.strip()
    sheet = load_workbook(io.BytesIO(xlsx_file(("A", [["Number"], [text]])))).active
    assert sheet["A2"].data_type == "s"


def test_the_template_opens_as_both_kinds_and_explains_its_columns():
    assert texts(template_csv()) == texts(template_xlsx())
    workbook = load_workbook(io.BytesIO(template_xlsx()))
    assert workbook.sheetnames == ["Numbers", "Columns explained"]
    explained = [row[0].value for row in workbook["Columns explained"].iter_rows()]
    assert set(template_rows()[0]) <= set(explained)
    assert "555 01" in str(workbook["Numbers"]["A2"].value)
