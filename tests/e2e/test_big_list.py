"""A list of 1,240 numbers becomes orders: read while one is away, corrected, checked, sent."""

import re
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from playwright.sync_api import Page, expect

from portal.sandbox.rules import losing_carrier
from tests.desk import RunningDesk
from tests.tools import port_day, wait_for

ROWS, BAD, REPEATED = 1_240, 17, 9
GOOD = ROWS - BAD - REPEATED
# Area codes that no other story of this desk takes numbers from.
SITES = (
    *(208, 303, 307, 308, 385, 402, 406, 435, 480, 505, 509, 520, 541, 575, 602, 605, 623),
    *(702, 719, 720, 725, 775, 801, 928, 970, 971, 986),
)
CARRIERS = ("Lumen", "Comcast Business", "T-Mobile")


def portable_numbers() -> list[str]:
    """Return invented numbers of three carriers, none of which the sandbox refuses to port."""
    every = (f"+1{site}555{line:04d}" for site in SITES for line in range(100, 195))
    found = [number for number in every if losing_carrier(number) in CARRIERS]
    assert len(found) >= GOOD
    return found[:GOOD]


@pytest.fixture(scope="module")
def good() -> list[str]:
    """The numbers that are to move."""
    return portable_numbers()


@pytest.fixture
def workbook(tmp_path: Path, good: list[str]) -> Path:
    """A spreadsheet of good rows with bad and repeated ones strewn in, each with its own PIN."""
    rows = [[number, f"{4000 + place % 999}"] for place, number in enumerate(good)]
    for place in range(BAD):
        rows.insert(place * 70, [f"206 555 0{place:02d}", "4821"])
    rows += [[good[place * 100], "4821"] for place in range(REPEATED)]
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Phone number", "PIN"])
    for row in rows:
        sheet.append(row)
    assert sheet.max_row == ROWS + 1
    path = tmp_path / "pike-street-sites.xlsx"
    book.save(path)
    return path


def fill_shared_details(page: Page) -> None:
    details = page.locator("#s3")
    for label, value in {
        "Name on the bill": "Pike Street Books LLC",
        "Number": "88",
        "Street": "Pike St",
        "City": "Seattle",
        "State": "WA",
        "ZIP": "98101",
        "Port date": port_day(20).isoformat(),
        "Our reference": "PSB-BIG",
    }.items():
        details.get_by_label(label, exact=True).first.fill(value)


def test_a_list_of_1240_rows_becomes_three_carriers_orders(
    desk: RunningDesk, page: Page, workbook: Path, good: list[str]
):
    page.goto("/orders/new/")
    page.get_by_label("Or a list").set_input_files(workbook)
    page.wait_for_url("**/orders/drafts/**")
    expect(page.get_by_text("pike-street-sites.xlsx").first).to_be_visible()
    draft = page.url

    # Away, and back: the list went on by itself.
    page.goto("/")
    page.goto(draft)
    expect(page.get_by_role("link", name=f"Correct {BAD} rows")).to_be_visible(timeout=60_000)
    expect(page.locator("#list-box .tally")).to_contain_text(f"Repeated {REPEATED}")

    # The wrong rows are looked at and left out.
    page.get_by_role("link", name=f"Correct {BAD} rows").click()
    page.get_by_role("button", name=f"Leave out all {BAD} to correct").click()
    expect(page.get_by_role("button", name="Leave out all")).to_have_count(0)

    # Portability is asked in the background, and shows how far it is.
    page.goto(draft)
    page.get_by_role("button", name="Check portability").click()
    for carrier in CARRIERS:
        expect(page.locator("#s2")).to_contain_text(carrier, timeout=60_000)
    expect(page.locator("#s2")).to_contain_text(f"{GOOD:,}")

    fill_shared_details(page)
    send = page.get_by_role("button", name=re.compile(r"^Send \d+ orders to Sinch…$"))
    expect(send).to_be_enabled()
    expect(page.locator("#order-to-make tbody tr")).to_have_count(expected_orders(good))
    send.click()
    page.get_by_role("button", name=re.compile(r"^Yes, send \d+ orders$")).click()
    expect(page.get_by_text("can leave this page").first).to_be_visible()
    page.goto("/")
    page.goto(draft)
    made = f"{expected_orders(good)} of {expected_orders(good)} orders made"
    expect(page.get_by_text(made)).to_be_visible(timeout=60_000)

    # At Sinch: every good number once, one carrier an order, at most 500 each, its own PIN kept.
    orders = wait_for(lambda: big_orders(desk), what="the orders at Sinch")
    assert len(orders) == expected_orders(good)
    numbers = [number["phoneNumber"] for order in orders for number in order["phoneNumbers"]]
    assert sorted(numbers) == sorted(good)
    for order in orders:
        entries = order["phoneNumbers"]
        assert len(entries) <= 500
        assert len({losing_carrier(entry["phoneNumber"]) for entry in entries}) == 1


def expected_orders(good: list[str]) -> int:
    counts = [sum(losing_carrier(number) == carrier for number in good) for carrier in CARRIERS]
    return sum(-(-count // 500) for count in counts)


def big_orders(desk: RunningDesk) -> list[dict[str, Any]]:
    found = [
        order
        for order in desk.ask_sandbox("orders")
        if (order["customerOrderReference"] or "").startswith("PSB-BIG")
    ]
    return [desk.ask_sandbox(f"orders/{order['id']}") for order in found]
