"""A real list in a real browser: added, left, come back to, corrected, with and without scripts."""

import io
from pathlib import Path

from openpyxl import load_workbook
from playwright.sync_api import Page, expect

from tests.desk import RunningDesk
from tests.orders.lists import book
from tests.staff import Staff
from tests.tools import wait_for

TITLES = ("Number", "Name on the bill", "Street number", "Street", "City", "State", "ZIP")
TITLES = (*TITLES, "Port-out PIN")
AREAS = ("206", "425", "312")  # of three carriers
BAD, REPEATED, ALL = 17, 9, 1240


def line(number: str, zip_code: str = "98101") -> list[str]:
    return [number, "Pike Street Books", "88", "Pike St", "Seattle", "WA", zip_code, "4821"]


def real_list() -> bytes:
    """Return 1,240 rows: 17 of them bad in two ways, 9 with a number that stood before."""
    good = [f"{AREAS[n % 3]} 555 {n // 3:04d}" for n in range(ALL - BAD - REPEATED)]
    rows = [line(number) for number in good]
    rows += [
        line(f"206-555-{n:03d}") if n % 3 else line(f"206 556 {n:04d}", "981") for n in range(BAD)
    ]
    rows += [line(number) for number in good[:REPEATED]]
    return book([TITLES, *rows])


def test_a_real_list_is_read_while_its_draft_is_typed_and_corrected_in_a_spreadsheet(
    page: Page, tmp_path: Path
):
    page.goto("/orders/new/")
    page.get_by_label("Signer").fill("Ada Renner")
    file = tmp_path / "pike-street-sites.xlsx"
    file.write_bytes(real_list())
    page.get_by_label("Or a list").set_input_files(file)
    expect(page.get_by_text("You can leave this page.")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_be_visible()
    draft = page.url
    page.goto("/")  # left …
    page.goto(draft)  # … and come back to
    expect(page.get_by_label("Signer")).to_have_value("Ada Renner")
    page.get_by_role("link", name="Correct 17 rows").click()
    expect(
        page.get_by_role("heading", name="1,240 rows: 1,214 good, 17 to correct, 9 repeated")
    ).to_be_visible()

    with page.expect_download() as download:
        page.get_by_role("link", name="Rows to correct, XLSX").click()
    sheet = load_workbook(io.BytesIO(download.value.path().read_bytes()))
    rows = [[str(cell or "") for cell in row] for row in sheet.active.iter_rows(values_only=True)]
    assert len(rows) == BAD + 1
    number, zip_code = rows[0].index("Number"), rows[0].index("ZIP")
    for n, row in enumerate(rows[1:]):
        row[zip_code] = "98101"
        row[number] = row[number] if len(row[number]) == 12 else f"206-557-{n:04d}"
    file = tmp_path / "corrected.xlsx"
    file.write_bytes(book(rows))
    page.get_by_label("Corrected rows").set_input_files(file)
    page.get_by_role("button", name="Take over the rows").click()
    expect(page.get_by_role("heading", name="1,240 rows: 1,231 good, 9 repeated")).to_be_visible()
    expect(page.get_by_text("17 rows, ")).to_be_visible()


def test_rows_are_corrected_in_place_and_left_out(page: Page, tmp_path: Path):
    page.goto("/orders/new/")
    file = tmp_path / "sites.csv"
    file.write_text("Number\n206-555-0142\n206-555-014\n206-555-01\n206 555 0142\n")
    page.get_by_label("Or a list").set_input_files(file)
    page.get_by_role("link", name="Correct 2 rows").click()
    page.get_by_label("Number of row 3").fill("206-555-0144")
    page.get_by_label("Number of row 4").fill("206-555-01")
    page.get_by_role("button", name="Save what is corrected here").click()
    expect(page.get_by_text("1 row corrected.")).to_be_visible()
    page.get_by_role("button", name="Leave out row 4").click()
    expect(
        page.get_by_role("heading", name="4 rows: 2 good, 1 repeated, 1 left out")
    ).to_be_visible()
    page.get_by_role("link", name="Repeated 1").click()
    expect(page.get_by_role("link", name="row 2")).to_be_visible()
    page.get_by_role("link", name="Back to the draft").click()
    page.get_by_text("Remove the file…").click()
    page.get_by_role("button", name="Yes, remove it").click()
    expect(page.get_by_label("Numbers, one a line")).to_be_visible()


def test_without_scripts_a_list_is_added_confirmed_and_corrected(plain_page: Page, tmp_path: Path):
    page = plain_page
    page.goto("/orders/new/")
    file = tmp_path / "sites.csv"
    file.write_text("TN,Manager\n206-555-0142,Rosa\n206-555-014,Rosa\n")
    page.get_by_label("Or a list").set_input_files(file)
    page.get_by_role("button", name="Read this list").click()
    page.wait_for_url("**/orders/drafts/**")
    draft = page.url.partition("#")[0]

    def columns_are_asked() -> bool:
        page.goto(draft)
        return page.get_by_role("link", name="Look at the columns").is_visible()

    wait_for(columns_are_asked, 20, "the question about the columns")
    page.get_by_role("link", name="Look at the columns").click()
    page.get_by_role("button", name="Read 2 rows").click()
    # The page loads itself again while the rows are read.
    expect(page.get_by_role("heading", name="2 rows: 1 good, 1 to correct")).to_be_visible()
    page.get_by_label("Number of row 3").fill("206-555-0144")
    page.get_by_role("button", name="Save what is corrected here").click()
    expect(page.get_by_role("heading", name="2 rows: 2 good")).to_be_visible()
    expect(page.get_by_text("1 row corrected.")).to_be_visible()


def test_a_worker_killed_in_the_middle_costs_no_row(desk: RunningDesk):
    staff = Staff(desk)
    numbers = "\n".join(f"206{555 + n // 10_000}{n % 10_000:04d}" for n in range(15_000))
    path = staff.add_list("long.csv", f"Number\n{numbers}\n".encode())
    wait_for(lambda: " of 15,000 rows" in staff.get(path).text, 20, "reading")
    desk.kill_and_wait("worker")
    wait_for(lambda: "Read <time" in staff.get(path).text, 90, "the end of the reading", pause=0.5)
    assert "15,000 rows: 15,000 good" in staff.get(f"{path}list/").text
