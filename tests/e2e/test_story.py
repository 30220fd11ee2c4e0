"""The whole story of a port-in order, as a support agent lives it, against a desk of processes."""

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pypdf import PdfWriter

from tests.desk import PASSWORD, USERNAME, RunningDesk
from tests.e2e.conftest import NewPage
from tests.tools import port_day, wait_for

# Twelve numbers in as many spellings; the fourth lacks a digit, the last one cannot move.
PASTED = """\
(206) 555-0142
206.555.0143
1-206-555-0144
206-555-014
+1 206 555 0145
tel:+12065550146
206 555 0147 ext 3
(425) 555 0118
4255550119
253 555 0160; 253 555 0161
206-555-0199
"""
PORTABLE = 11  # with the fourth line corrected and the last number left out


def sign_in(page: Page, desk: RunningDesk) -> None:
    page.goto("/")
    page.get_by_label("E-mail").fill(USERNAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation", name="Main")).to_be_attached()


def next_business_day(days: int) -> date:
    day = port_day(days)
    while day.weekday() > 4:
        day += timedelta(days=1)
    return day


def fill_details(page: Page, reference: str) -> None:
    """Type what the losing carrier has about the end user, and when and how to move."""
    for label, value in {
        "Name on the bill": "Harborview Dental LLC",
        "Street": "Alder St",
        "City": "Seattle",
        "State": "WA",
        "ZIP": "98101",
        "Port-out PIN": "4821",
        "Signer": "Dana Holt",
        "Signed on": port_day(-2).isoformat(),
        "Port date": next_business_day(12).isoformat(),
        "Our reference": reference,
    }.items():
        page.locator("#s3").get_by_label(label, exact=False).first.fill(value)
    page.locator("#s3").get_by_label("Number", exact=True).first.fill("1420")
    page.locator("#s3").get_by_label("Zone").select_option("US/Pacific")
    page.locator("#s3").get_by_label("Activate on demand").check()


def send_to_sinch(page: Page) -> None:
    page.get_by_role("button", name="Send 1 order to Sinch…").click()
    page.get_by_role("button", name="Yes, send").click()


def order_with(desk: RunningDesk, reference: str) -> dict[str, Any]:
    """Return the one order at Sinch with the reference; there may be no second one."""
    orders = [o for o in desk.ask_sandbox("orders") if o["customerOrderReference"] == reference]
    assert len(orders) == 1, orders
    return orders[0]


def notes(desk: RunningDesk, order: dict[str, Any]) -> list[str]:
    return [n["note"] for n in desk.ask_sandbox(f"orders/{order['id']}").get("notes", [])]


def documents(desk: RunningDesk, order: dict[str, Any]) -> list[str]:
    at_sinch = desk.ask_sandbox(f"orders/{order['id']}")
    return [d["documentName"] for d in at_sinch.get("documents", [])]


@pytest.fixture
def loa(tmp_path: Path) -> Path:
    writer = PdfWriter()
    writer.add_blank_page(200, 200)
    path = tmp_path / "loa-harborview.pdf"
    with path.open("wb") as file:
        writer.write(file)
    return path


def test_a_pasted_list_becomes_live_numbers(desk: RunningDesk, new_page: NewPage, loa: Path):
    page = new_page()
    sign_in(page, desk)
    page.goto("/orders/new/")
    page.get_by_label("Numbers, one a line").fill(PASTED)
    page.get_by_label("Numbers, one a line").blur()

    # The line that cannot be read is named; the others are kept and it is corrected in place.
    expect(page.get_by_text("9 digits; a number has 10")).to_be_visible()
    page.get_by_label("Corrected number for line 4").fill("206-555-0140")
    page.get_by_label("Corrected number for line 4").blur()
    expect(page.get_by_text("9 digits; a number has 10")).to_have_count(0)

    page.get_by_role("button", name="Check portability").click()
    expect(page.get_by_text("1 of 12 numbers cannot move")).to_be_visible()
    page.get_by_role("button", name=f"Continue with the {PORTABLE} portable ones").click()
    expect(page.get_by_text("1 of 12 numbers cannot move")).to_have_count(0)

    # Three losing carriers would become three orders; this story is about one.
    expect(page.get_by_text("Make 3 orders")).to_be_visible()
    page.get_by_label("Keep one order").check()
    fill_details(page, "HVD-2026-014")
    send_to_sinch(page)
    page.wait_for_url(re.compile(r"/orders/\d+/$"))
    expect(page.get_by_role("heading", level=1, name="Harborview Dental LLC")).to_be_visible()
    order = order_with(desk, "HVD-2026-014")
    expect(page.get_by_text(f"{PORTABLE} numbers", exact=False).first).to_be_visible()

    # Sinch confirms: the open page shows it without being loaded again.
    page.evaluate("window.notReloaded = true")
    today = port_day().isoformat()
    desk.ask_sandbox(f"orders/{order['id']}/confirm", {"foc_date": today})
    chip = page.locator(".page-head .chip", has_text="Confirmed")
    expect(chip).to_be_visible()
    assert page.evaluate("window.notReloaded")

    # An LOA, then an answer to a question of Sinch's.
    page.get_by_label("Add documents").set_input_files(loa)
    page.get_by_role("button", name="Send documents to Sinch").click()
    expect(page.locator(".files").get_by_text("loa-harborview.pdf")).to_be_visible()
    desk.ask_sandbox(f"orders/{order['id']}/note", {"note": "Is the alarm line moving?"})
    expect(page.locator(".talk").get_by_text("Is the alarm line moving?")).to_be_visible()
    page.locator("#composer").get_by_role("textbox").fill("No, the alarm line stays where it is.")
    page.get_by_role("button", name="Check and send to Sinch…").click()
    expect(page.get_by_text("Send this to Sinch?")).to_be_visible()
    page.get_by_role("button", name="Yes, send to Sinch").click()
    expect(page.locator(".talk").get_by_text("No, the alarm line stays")).to_be_visible()
    wait_for(lambda: len(notes(desk, order)) == 2, what="our note at Sinch")
    assert notes(desk, order).count("No, the alarm line stays where it is.") == 1
    wait_for(lambda: documents(desk, order), what="our document at Sinch")
    assert documents(desk, order) == ["loa-harborview.pdf"]

    # One carrier group goes live at our word, the others stay.
    desk.ask_sandbox(f"orders/{order['id']}/ready", {})
    page.goto(page.url + "activate/")
    groups = page.locator("input[name=group]:not([disabled])")
    expect(groups.first).to_be_visible()
    for box in groups.all()[1:]:
        box.uncheck()
    page.get_by_label("The customer expects it now").check()
    page.get_by_role("button", name="Yes, activate the chosen").click()
    expect(page.locator("#outcome .chip", has_text="Live").first).to_be_visible()

    # Who did what is told afterwards.
    page.goto(re.sub(r"activate/.*", "", page.url))
    timeline = page.locator(".timeline")
    for told in ("Order of 11 numbers", "confirmed", "loa-harborview.pdf", "ctivat"):
        expect(timeline.get_by_text(told, exact=False).first).to_be_visible()
    expect(timeline.get_by_text(USERNAME, exact=False).first).to_be_visible()


def test_an_order_can_be_sent_without_javascript(desk: RunningDesk, plain_page: Page):
    page = plain_page
    page.goto("/orders/new/")
    page.get_by_label("Numbers, one a line").fill("503 555 0142\n503 555 0143\n503 555 014")
    page.get_by_role("button", name="Check portability").click()
    page.get_by_label("Corrected number for line 3").fill("503 555 0144")
    page.get_by_role("button", name="Save draft").last.click()
    page.get_by_role("button", name=re.compile("Check (portability|again|the 1)")).click()
    fill_details(page, "PLAIN-1")
    # A reload that meets the page change of the click would ask a page that is on its way out.
    with page.expect_navigation():
        page.get_by_role("button", name="Save draft").last.click()
    can_be_sent = page.locator("#send-open[name=action]")
    wait_for(lambda: page.reload() and can_be_sent.count(), what="a draft fit to be sent")
    send_to_sinch(page)
    # The page says where the order is and loads itself again until Sinch has answered.
    page.wait_for_url(re.compile(r"/orders/\d+/$"))
    order = order_with(desk, "PLAIN-1")
    assert len(desk.ask_sandbox(f"orders/{order['id']}")["phoneNumbers"]) == 3


def test_a_button_clicked_while_the_draft_is_being_saved_is_not_lost(page: Page):
    held: list[Any] = []
    page.goto("/orders/new/")
    page.route("**/orders/new/", lambda route: held.append(route), times=1)
    page.get_by_label("Numbers, one a line").fill("503 555 0151\n503 555 0152")
    page.get_by_label("Numbers, one a line").blur()
    wait_for(lambda: page.wait_for_timeout(20) or held, what="the saving of what was typed")

    # Its answer puts another button in the place of the one that is clicked now.
    page.get_by_role("button", name="Check portability").click()
    held[0].continue_()
    expect(page.get_by_role("cell", name="Yes")).to_have_count(2)


def test_a_safer_date_is_offered_while_typing_and_taken_with_one_click(page: Page):
    page.goto("/orders/new/")
    saturday = port_day(14 + (5 - port_day().weekday()) % 7)
    page.get_by_role("textbox", name="Port date").fill(saturday.isoformat())
    page.get_by_role("textbox", name="Port date").blur()
    expect(page.locator("#coach")).to_contain_text("is no business day")
    page.locator("#coach").get_by_role("button", name="Take").click()
    expect(page.locator("#coach .banner")).to_have_count(0)
    taken = date.fromisoformat(page.get_by_role("textbox", name="Port date").input_value())
    assert taken > saturday
    assert taken.weekday() < 4, "the day after is a business day, too"
