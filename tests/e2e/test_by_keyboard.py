"""An order is made and mended without a mouse, on a telephone's width, and without scripts.

Every control is looked for by its role and accessible name, so a field that a screen reader could
not name, or that Tab does not reach, fails the story.
"""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.desk import RunningDesk
from tests.e2e.conftest import NARROW, WIDE, NewPage
from tests.tools import port_day, wait_for

MOST_TABS = 250
# "away" until the element has the focus, then whether the focus can be seen, inside the window.
FOCUS = """element => {
  if (element !== document.activeElement) return "away";
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  const isSeen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1
    && box.top >= 0 && box.bottom <= innerHeight && box.left >= 0 && box.right <= innerWidth;
  return isSeen ? "seen" : "hidden";
}"""


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus; it must be seen there, inside the window."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if (focus := target.evaluate(FOCUS)) != "away":
            break
    else:
        raise AssertionError(f"Tab does not reach {target}")
    assert focus == "seen", f"the focus on {target} cannot be seen"


def press(page: Page, target: Locator) -> None:
    """Go to a button or link by Tab and press Enter, as soon as it does something."""
    expect(target).to_be_visible()
    expect(target).to_be_enabled()
    tab_to(page, target)
    page.keyboard.press("Enter")


def type_into(page: Page, label: str, text: str, role: Any = "textbox") -> None:
    """Go to a field by Tab and type."""
    tab_to(page, page.get_by_role(role, name=label, exact=True).first)
    page.keyboard.type(text)


def in_two_weeks() -> date:
    day = port_day(15)
    while day.weekday() > 3:
        day += timedelta(days=1)
    return day


def order_page(page: Page) -> None:
    page.wait_for_url(re.compile(r"/orders/\d+/$"), timeout=30_000)


def refuse(desk: RunningDesk, reference: str) -> dict[str, Any]:
    """Have the carrier refuse the PIN of the order with the reference; return the order."""
    (order,) = (o for o in desk.ask_sandbox("orders") if o["customerOrderReference"] == reference)
    reason = {"reason": "Invalid passcode/PIN supplied"}
    desk.ask_sandbox(f"orders/{order['id']}/reject", reason)
    return dict(order)


def statuses(desk: RunningDesk, order: dict[str, Any]) -> set[str]:
    """Return the statuses of its numbers at Sinch; a corrected number is pending again."""
    return {n["status"] for n in desk.ask_sandbox(f"orders/{order['id']}")["phoneNumbers"]}


@pytest.mark.parametrize("window", [WIDE, NARROW], ids=["1440", "390"])
def test_an_order_is_made_and_mended_by_keyboard_alone(
    desk: RunningDesk, new_page: NewPage, signed_in: Any, window: dict[str, int]
):
    page = new_page(storage_state=signed_in, viewport=window)
    reference, site = f"KEYS-{window['width']}", "360" if window is WIDE else "564"
    page.goto("/orders/new/")
    type_into(page, "Numbers, one a line", f"{site} 555 0142\n{site} 555 0143")
    press(page, page.get_by_role("button", name="Check portability"))
    expect(page.get_by_role("cell", name="Yes")).to_have_count(2)

    type_into(page, "Name on the bill", "Harborview Dental LLC")
    type_into(page, "Number", "1420")
    type_into(page, "Street", "Alder St")
    type_into(page, "City", "Seattle")
    type_into(page, "State", "WA")
    type_into(page, "ZIP", "98101")
    type_into(page, "Port-out PIN", "4821")
    tab_to(page, page.get_by_label("Port date", exact=True))
    page.keyboard.type(f"{in_two_weeks():%m%d%Y}")
    type_into(page, "Our reference", reference)
    press(page, page.get_by_role("button", name="Send 1 order to Sinch…"))
    press(page, page.get_by_role("button", name=re.compile("^Yes, send")))
    order_page(page)

    order = refuse(desk, reference)
    press(page, page.get_by_role("link", name="Fix PIN on 2 numbers").first)
    expect(page.get_by_label("Port-out PIN").first).to_be_focused()
    page.keyboard.type("775313")
    press(page, page.get_by_role("button", name="Check the changes").last)
    press(page, page.get_by_role("button", name="Send this change to Sinch"))
    order_page(page)
    wait_for(lambda: statuses(desk, order) == {"PENDING"}, what="the new PIN at Sinch")
    expect(page.locator("#numbers .chip", has_text="Rejected")).to_have_count(0)
    assert fits(page)


def fits(page: Page) -> bool:
    """Tell whether nothing makes the page scroll sideways."""
    root = "document.documentElement"
    return bool(page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"))


def test_an_order_is_mended_without_javascript(
    desk: RunningDesk, plain_page: Page, make_elsewhere: Callable[[str, list[str]], None]
):
    page = plain_page
    make_elsewhere("PLAIN-FIX", ["+14585550142", "+14585550143"])
    order = refuse(desk, "PLAIN-FIX")
    wait_for(lambda: page.goto("/work/?q=PLAIN-FIX") and "/orders/" in page.url, 30)
    wait_for(lambda: page.reload() and page.get_by_text("Fix PIN on 2 numbers").count(), 30)
    page.get_by_role("link", name="Fix PIN on 2 numbers").first.click()
    page.get_by_label("Port-out PIN").first.fill("775313")
    page.get_by_role("button", name="Check the changes").last.click()
    # Sending waits for a fresh reading; without scripts a button looks whether it is there.
    send = page.get_by_role("button", name="Send this change to Sinch")
    wait_for(lambda: send.is_enabled() or look_again(page), what="a fresh reading")
    send.click()
    order_page(page)
    wait_for(lambda: statuses(desk, order) == {"PENDING"}, what="the new PIN at Sinch")


def look_again(page: Page) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name="Look again").click()


@pytest.fixture
def make_elsewhere(desk: RunningDesk) -> Callable[[str, list[str]], None]:
    """Make an order at Sinch that the desk has to find by itself."""

    def make(reference: str, numbers: list[str]) -> None:
        body = {"numbers": numbers, "reference": reference, "end_user": "Alder Street Physio"}
        desk.ask_sandbox("orders", body)

    return make


# No carrier of the sandbox refuses these.
NEIGHBOURS = [f"+1458557{n:04d}" for n in (*range(200, 260), *range(300, 360))]
SELECT = """([first, last]) => {
  const rows = [...document.querySelectorAll("#numbers tr[id]")];
  getSelection().setBaseAndExtent(rows[first], 0, rows[last], rows[last].childNodes.length);
}"""


def test_numbers_are_copied_as_sinch_writes_them_and_ticks_are_counted(
    new_page: NewPage, signed_in: Any, make_elsewhere: Callable[[str, list[str]], None]
):
    page = new_page(storage_state=signed_in, permissions=["clipboard-read", "clipboard-write"])
    make_elsewhere("KEYS-COPY", NEIGHBOURS)
    wait_for(lambda: page.goto("/work/?q=KEYS-COPY") and "/orders/" in page.url, 30)
    wait_for(lambda: page.reload() and page.get_by_text("All 120 numbers").count(), 30)
    runs = page.locator("#numbers tbody tr:has(.pick)")
    counts = [int(text) for text in runs.locator("td.num").all_inner_texts()]
    assert max(counts) > 1
    bar = page.locator(".bulk")
    runs.nth(0).get_by_role("checkbox").check()
    runs.nth(1).get_by_role("checkbox").check()
    expect(bar).to_contain_text(f"{counts[0] + counts[1]} numbers ticked")

    runs.nth(0).get_by_role("checkbox").uncheck()
    runs.nth(1).get_by_role("checkbox").uncheck()
    page.get_by_role("link", name="One by one").click()
    rows = page.locator("#numbers tr[id]")
    rows.nth(4).get_by_role("checkbox").check()
    expect(bar).to_contain_text("1 number ticked")
    texts = rows.locator("th").all_inner_texts()
    for last in (0, 4):
        page.evaluate(SELECT, [0, last])
        page.keyboard.press("ControlOrMeta+c")
        copied = page.evaluate("navigator.clipboard.readText()")
        wanted = [text.replace(" ", "") for text in texts[: last + 1]]
        assert re.findall(r"\+[\d ]*\d", copied) == wanted
        assert "Pending" in copied
