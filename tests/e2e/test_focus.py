"""The focus stays where somebody works, whatever part of the page is replaced under it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.desk import RunningDesk
from tests.e2e.test_by_keyboard import refuse
from tests.tools import wait_for

REFERENCE = "FOCUS-1"
# Keeps a promise for when the answer to the next form stands in the page.
WATCH = """() => { window.answered = new Promise((done) =>
  document.addEventListener("htmx:afterSettle", function one(event) {
    if (event.detail.requestConfig.verb !== "post") return;
    document.removeEventListener("htmx:afterSettle", one);
    done();
  })); }"""


def enter(button: Locator) -> None:
    """Press a button by Enter, as somebody does who came to it by Tab."""
    button.focus()
    button.press("Enter")


@pytest.fixture(scope="module")
def made(desk: RunningDesk) -> str:
    """An order at Sinch that the carrier refuses; its reference."""
    body = {"numbers": ["+14585550171", "+14585550172"], "reference": REFERENCE, "end_user": "Ada"}
    desk.ask_sandbox("orders", body)
    refuse(desk, REFERENCE)
    return REFERENCE


def open_order(page: Page, reference: str) -> None:
    wait_for(lambda: page.goto(f"/work/?q={reference}") and "/orders/" in page.url, 30)
    wait_for(lambda: page.reload() and page.get_by_text("2 numbers rejected").count(), 30)


def test_a_draft_keeps_the_focus_while_its_parts_are_replaced(page: Page) -> None:
    page.goto("/orders/new/")
    page.get_by_label("Numbers, one a line").fill("360 555 0171\n12345")
    enter(page.get_by_role("button", name="Leave out"))
    expect(page.get_by_role("button", name="Leave out")).to_have_count(0)
    expect(page.get_by_role("heading", name="1. Numbers")).to_be_focused()
    enter(page.get_by_role("button", name="Check portability"))
    expect(page.get_by_role("cell", name="Yes")).to_have_count(1)
    # At the heading when the button was gone while Sinch was asked; else at the button.
    expect(page.locator("#s2 :focus")).to_have_count(1)


def test_an_order_gives_the_focus_back_to_what_was_pressed(page: Page, made: str) -> None:
    open_order(page, made)
    for name in ("Check with Sinch now", "Mark “asked the customer”"):
        page.evaluate(WATCH)
        enter(page.get_by_role("button", name=name).first)
        page.evaluate("window.answered")
        expect(page.locator("main button:focus")).to_have_text(re.compile(f"{name}|Asked again"))
    page.get_by_label("Write to your team").fill("The bill comes tomorrow")
    enter(page.get_by_role("button", name="Save for the team"))
    expect(page.locator("#team-notes")).to_contain_text("The bill comes tomorrow")
    expect(page.get_by_role("button", name="Save for the team")).to_be_focused()
    page.locator("#composer").get_by_role("textbox").fill("The bill comes tomorrow")
    enter(page.get_by_role("button", name="Check and send to Sinch…"))
    expect(page.get_by_text("Send this to Sinch?")).to_be_focused()
    enter(page.get_by_role("button", name="Yes, send to Sinch"))
    expect(page.locator("#composer").get_by_role("textbox")).to_be_empty()
    expect(page.get_by_role("heading", name="Conversation with Sinch")).to_be_focused()


def test_news_leave_somebody_alone_who_is_typing(desk: RunningDesk, page: Page, made: str) -> None:
    open_order(page, made)
    box = page.get_by_label("Write to your team")
    box.press_sequentially("Not done")
    (order,) = (o for o in desk.ask_sandbox("orders") if o["customerOrderReference"] == made)
    desk.ask_sandbox(f"orders/{order['id']}/note", {"note": "The carrier was called."})
    expect(page.get_by_text("The carrier was called.").first).to_be_visible()
    expect(box).to_be_focused()
    expect(box).to_have_value("Not done")


def test_a_question_is_read_first_and_escape_takes_it_back(page: Page, made: str) -> None:
    open_order(page, made)
    opener = page.locator("#cancel > summary")
    enter(opener)
    expect(page.get_by_text("Cancel all 2 numbers?")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Why, for the timeline")).to_be_focused()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    enter(page.locator("#more-actions > summary"))
    enter(page.get_by_role("link", name="Cancel this order…"))
    expect(page.get_by_text("Cancel all 2 numbers?")).to_be_focused()
    enter(page.get_by_role("button", name="Yes, cancel the order"))
    expect(page.get_by_text("Say why, in a few words")).to_be_visible()
    expect(page.get_by_label("Why, for the timeline")).to_be_focused()


def test_a_page_opened_at_one_of_its_parts_has_the_focus_there(page: Page, made: str) -> None:
    open_order(page, made)
    url = page.url
    for part, name in (("numbers", "2 numbers, 1 carrier"), ("h-talk", "Conversation with Sinch")):
        page.goto("about:blank")
        page.goto(f"{url}#{part}")
        expect(page.get_by_role("heading", name=name)).to_be_focused()
    page.goto("about:blank")
    page.goto(f"{url}?template=d1#composer")
    expect(page.locator("#composer").get_by_role("textbox")).to_be_focused()
    page.goto("about:blank")
    page.goto(f"{url}#cancel")
    expect(page.get_by_text("Cancel all 2 numbers?")).to_be_focused()


def test_a_page_opened_at_a_part_with_a_wrong_field_has_the_focus_in_it(page: Page) -> None:
    page.goto("/settings/")
    field = page.get_by_label("Numbers in one import order")
    field.fill("many")
    field.press("Enter")
    expect(page.get_by_text("Write a number such as 5.")).to_be_visible()
    expect(field).to_be_focused()
    expect(field).to_have_value("many")


def test_the_help_lists_the_keys_that_do_something_here(page: Page, made: str) -> None:
    take = page.locator("#keys").get_by_text("Take this order")
    page.goto("/work/")
    page.keyboard.press("?")
    expect(page.get_by_text("Next, previous row")).to_be_visible()
    expect(take).to_be_hidden()
    open_order(page, made)
    page.keyboard.press("?")
    expect(take).to_be_visible()


def test_what_opens_on_a_telephone_stays_on_it(narrow_page: Page, made: str) -> None:
    page = narrow_page
    open_order(page, made)
    for opener, opened in (
        (page.locator("#more-actions > summary"), page.locator("#more-actions > ul")),
        (page.get_by_text("Settle…"), page.locator(".settle")),
        (page.get_by_text("Settle…"), page.locator(".settle .input")),
    ):
        if not opened.is_visible():
            opener.click()
        box = opened.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    page.goto("/orders/new/")
    numbers = page.get_by_label("Numbers, one a line")
    numbers.fill("\n".join(f"36055{n:05d}" for n in range(400)))
    box = numbers.bounding_box()
    assert box
    assert box["height"] < 400


@pytest.mark.parametrize(
    ("path", "name", "height"),
    [("/work/", "Bucket", 844), ("/work/", "Sort", 844), ("/work/", "Status at Sinch", 400)],
)
def test_a_filter_menu_on_a_telephone_opens_below_its_chip(
    narrow_page: Page, path: str, name: str, height: int
) -> None:
    page = narrow_page
    page.set_viewport_size({"width": 390, "height": height})
    page.goto(path)
    chip = page.locator(".filters .menu > summary").filter(has_text=name)
    chip.tap()
    menu = page.locator(".filters .menu[open] > ul")
    expect(menu).to_be_in_viewport(ratio=1)
    chip_box, box, bar = (part.bounding_box() for part in (chip, menu, page.locator(".bottombar")))
    assert chip_box
    assert box
    assert bar
    assert 0 <= box["y"] - (chip_box["y"] + chip_box["height"]) <= 8
    assert box["y"] + box["height"] <= bar["y"]
    address = page.url
    menu.get_by_role("link").last.tap()
    page.wait_for_url(lambda url: url != address)


def test_search_on_a_telephone_has_its_cursor_in_a_field_that_is_seen(narrow_page: Page) -> None:
    page = narrow_page
    page.goto("/")
    page.get_by_role("navigation", name="Shortcuts").get_by_role("link", name="Search").tap()
    field = page.get_by_label("Search in this list")
    expect(field).to_be_focused()
    expect(field).to_be_in_viewport(ratio=1)
    page.goto("/")
    page.keyboard.press("/")
    expect(field).to_be_focused()


PORTED = [f"+1458556{n:04d}" for n in range(0, 420, 2)]  # none has a neighbour


@pytest.fixture(scope="module")
def long_order(desk: RunningDesk) -> str:
    """An order of 210 numbers at Sinch; its reference."""
    desk.ask_sandbox("orders", {"numbers": PORTED, "reference": "LONG-PORT", "end_user": "Ada"})
    return "LONG-PORT"


def open_long(page: Page, sought: str, look: str = "", whole: str = "All 210 numbers") -> None:
    """Open the order of 210 numbers, as soon as the desk has read all of them."""
    wait_for(lambda: page.goto(f"/work/?q={sought}") and "/work/" not in page.url, 30)
    address = page.url + look
    wait_for(lambda: page.goto(address) and page.get_by_text(whole).count(), 30)


def top(element: Locator) -> float:
    box = element.bounding_box()
    assert box
    return box["y"]


@pytest.mark.parametrize("press", [enter, Locator.click], ids=["keys", "mouse"])
@pytest.mark.parametrize(
    ("look", "name"),
    [("", "Show the other"), ("?view=rows", "Show the next 100"), ("?view=rows", "Show all 210")],
)
def test_a_list_goes_on_where_more_of_it_was_asked_for(
    page: Page, long_order: str, press: Callable[[Locator], None], look: str, name: str
) -> None:
    open_long(page, long_order, look)
    goes_on_at_the_next_row(page, name, press)


def test_the_numbers_of_a_hosting_order_go_on_where_more_was_asked_for(
    desk: RunningDesk, page: Page
) -> None:
    name, plan, campaign = "LONG-HOSTING", "plan-focus", "CFOCUS1"
    made = {"numbers": PORTED, "display_name": name, "service_plan": plan, "campaign": campaign}
    desk.ask_sandbox("hosting/orders", made)
    page.goto("/hosting/overview/")
    page.get_by_label("Service plan", exact=True).fill(plan)
    page.get_by_label("10DLC campaign").fill(campaign)
    page.get_by_role("button", name="Add it and look").click()
    open_long(page, name, whole="Show 110 more")
    address = page.url
    goes_on_at_the_next_row(page, "Show 110 more", enter)
    page.goto(address)
    goes_on_at_the_next_row(page, "Show 110 more", Locator.click)


def goes_on_at_the_next_row(page: Page, name: str, press: Callable[[Locator], None]) -> None:
    """Ask for more of a table: the first row that is new has the focus, where the link stood."""
    rows = page.locator("#numbers th[scope=row] a")
    there = rows.count()
    more = page.get_by_role("link", name=name)
    more.scroll_into_view_if_needed()
    stood = top(more)
    press(more)
    first = rows.nth(there)
    expect(first).to_be_focused()
    assert abs(top(first) - stood) < 5
