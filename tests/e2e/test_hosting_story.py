"""Hosting as a support agent lives it, in a browser, against a desk of processes."""

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.desk import RunningDesk
from tests.tools import wait_for

PLAN, CAMPAIGN = "plan-story", "CSTORY1"
# The sandbox knows by the last two digits what becomes of a number.
FULL, UNKNOWN, HELD = "+12535550192", "+12535550191", "+12535550193"
GOOD = [f"+1253555{line:04d}" for line in range(100, 137)]
LATE = 60_000  # ms; a lost worker's work is taken up again after a while


def fill_signer(page: Page) -> None:
    """Type who signs the LOA, and where the service is."""
    for label, value in {
        "First name": "Dana",
        "Last name": "Holt",
        "E-mail once more": "dana.holt@harborview.example",
        "Number": "1420",
        "Street": "Alder St",
        "City": "Seattle",
        "State": "WA",
        "ZIP or postal code": "98101",
        "Current voice carrier": "Comcast Business",
    }.items():
        page.locator("#s2").get_by_label(label, exact=True).fill(value)
    page.locator("#s2").get_by_label("E-mail", exact=True).fill("dana.holt@harborview.example")


def send_to_sinch(page: Page) -> str:
    """Send the draft that is open and return the path of its order's page."""
    page.get_by_role("button", name="Send to Sinch…").click()
    page.get_by_role("button", name="Yes, send 1 order").click()
    page.wait_for_url(re.compile(r"/hosting/\d+/$"))
    return page.url


def order_named(desk: RunningDesk, name: str) -> dict[str, Any]:
    """Return the one hosting order at Sinch with the name; there may be no second one."""
    found = [o for o in desk.ask_sandbox("hosting/orders") if o["display_name"] == name]
    assert len(found) == 1, found
    return found[0]


def do(desk: RunningDesk, order: dict[str, Any], verb: str) -> str:
    """Let something happen to an order at Sinch and return its state."""
    return str(desk.ask_sandbox(f"hosting/orders/{order['id']}/{verb}", {})["state"])


def state_of(page: Page, words: str) -> None:
    """See that the head of the page says the state, having it asked for if need be."""
    page.get_by_role("button", name="Check with Sinch now").click()
    expect(page.locator(".page-head .chip", has_text=words)).to_be_visible()


def a_colleague_notes(page: Page, text: str) -> None:
    """Write a team note elsewhere, and see it arrive in the open page."""
    other = page.context.new_page()
    other.goto(page.url)
    other.locator("[aria-labelledby=h-team]").get_by_role("textbox").fill(text)
    other.get_by_role("button", name="Save for the team").click()
    expect(other.get_by_text(text).first).to_be_visible()
    other.close()
    expect(page.get_by_text(text).first).to_be_visible()


def test_forty_numbers_are_text_enabled_past_their_failures(desk: RunningDesk, page: Page):
    page.goto("/hosting/new/text-enable/")
    page.get_by_label("Numbers", exact=True).fill("\n".join([*GOOD, FULL, UNKNOWN, HELD]))
    page.get_by_label("Name of the order").fill("Story of forty")
    fill_signer(page)
    page.get_by_label("Service plan", exact=True).fill(PLAN)
    page.get_by_label("10DLC campaign").fill(CAMPAIGN)
    page.get_by_label("10DLC campaign").blur()
    expect(page.locator("#draft-review")).to_contain_text("40 numbers, direct LOA to Dana Holt")
    address = send_to_sinch(page)
    order = order_named(desk, "Story of forty")
    at_sinch = desk.ask_sandbox(f"hosting/orders/{order['id']}")
    assert len(at_sinch["numbers"]) == 40

    # Nothing moves until the LOA is signed, and the page says by whom.
    do(desk, order, "ask_signature")
    state_of(page, "signature")
    expect(page.locator(".page-head")).to_contain_text("Dana Holt")
    do(desk, order, "sign")
    state_of(page, "In progress")

    # From here on callbacks move the open page.
    page.evaluate("window.notReloaded = true")
    for done in ("Carrier routing record", "Service plan link"):
        do(desk, order, "step")
        bars = page.get_by_role("region", name="40 numbers, how far they are")
        expect(bars.get_by_role("listitem").filter(has_text=done)).to_contain_text("40 of 40")
    do(desk, order, "step")
    expect(page.locator("#failures")).to_contain_text("the campaign is full")
    expect(page.locator("#failures")).to_contain_text("+1 253 555 0192")
    expect(page.locator("#failures")).to_contain_text("+1 253 555 0191")
    while do(desk, order, "step") != "COMPLETED":
        pass
    state_of(page, "Completed")
    assert page.evaluate("window.notReloaded")
    expect(page.locator("#move")).to_contain_text("+1 253 555 0193 is held at T-Mobile (60135)")

    # The numbers are looked through without leaving the page, nor the place one is at.
    failed = page.locator("#numbers").get_by_role("link", name=re.compile(r"^Failed \d"))
    failed.press("Enter")
    page.wait_for_url("**/?f=failed")
    expect(page.locator("#numbers tbody th")).to_have_count(3)
    expect(failed).to_be_focused()
    steps = page.locator("#numbers summary", has_text="Not done at")
    steps.click()
    page.locator("#numbers").get_by_role("link", name="10DLC campaign link").press("Enter")
    page.wait_for_url("**/?step=campaign")
    expect(steps).to_contain_text("10DLC campaign link")
    expect(steps).to_be_focused()
    assert page.evaluate("window.notReloaded")

    # The customer's word first, then an order of its own for the held number.
    page.get_by_role("button", name="Keep it, then make the import order").click()
    expect(page.get_by_text("Tick that the customer confirmed it in writing")).to_be_visible()
    page.goto(address)
    page.get_by_label("The customer confirmed in writing").check()
    page.get_by_label("Confirmed by").fill("Robin Holt, by letter")
    page.locator("#open summary", has_text="Settle…").first.click()
    why = page.locator("#open details[open]").get_by_label("Why is nothing more")
    why.fill("Half a rea")
    a_colleague_notes(page, "The letter lies in the folder.")
    expect(page.get_by_label("The customer confirmed in writing")).to_be_checked()
    expect(page.get_by_label("Confirmed by")).to_have_value("Robin Holt, by letter")
    expect(why).to_have_value("Half a rea")
    page.get_by_role("button", name="Keep it, then make the import order").click()
    page.get_by_role("button", name="Next: make the import order…").click()
    expect(page.get_by_label("Numbers", exact=True)).to_have_value(HELD)
    assert send_to_sinch(page) != address
    moving = order_named(desk, "Story of forty: T-Mobile move")
    assert desk.ask_sandbox(f"hosting/orders/{moving['id']}")["migrate"] is True
    do(desk, moving, "finish")
    state_of(page, "Completed")

    # The held number is done by it; what is left are the two, settled with a reason each.
    page.goto(address)
    wait_for(
        lambda: page.reload() and not page.locator("#move h2").count(), 90, "the held number done"
    )
    for _ in range(2):
        page.locator("#open summary", has_text="Settle…").first.click()
        page.locator("#open details[open]").get_by_label("Why is nothing more").fill("Dropped")
        left = page.locator("#open summary", has_text="Settle…").count()
        page.locator("#open details[open]").get_by_role("button", name="Settle it").click()
        expect(page.locator("#open summary", has_text="Settle…")).to_have_count(left - 1)
    expect(page.locator(".page-head")).to_contain_text("Nobody’s move")
    expect(page.locator(".page-head .chip", has_text="Completed")).to_be_visible()


def test_a_reseller_text_enables_a_toll_free_number(desk: RunningDesk, page: Page):
    page.goto("/hosting/new/toll-free/")
    page.get_by_label("Numbers", exact=True).fill("833 555 0121")
    page.get_by_label("Name of the order").fill("Quill helpline")
    page.get_by_label("Reseller").check()
    page.get_by_label("End user’s business name").fill("Quill & Finch")
    fill_signer(page)
    page.get_by_label("Service plan", exact=True).fill(PLAN)
    page.get_by_label("Service plan", exact=True).blur()
    send_to_sinch(page)
    order = order_named(desk, "Quill helpline")
    assert order["toll_free"] is True
    expect(page.get_by_role("heading", level=1, name="Quill & Finch")).to_be_visible()
    do(desk, order, "ask_signature")
    state_of(page, "signature")
    do(desk, order, "finish")
    state_of(page, "Completed")
    expect(page.locator(".page-head")).to_contain_text("Toll-free text-enable, reseller LOA")


def test_three_numbers_are_qualified_each_its_own_way(desk: RunningDesk, page: Page):
    called, blocked, billed = "+13605550142", "+13605550197", "+13605550143"
    page.goto("/hosting/qualified/add/")
    page.get_by_label("Numbers", exact=True).fill("360 555 0142\n(360) 555-0197\n360.555.0143")
    page.get_by_role("button", name="Send them to Sinch").click()
    wait_for(lambda: len(desk.ask_sandbox("hosting/qualified")) >= 3, what="them at Sinch")
    for phone in (called, blocked, billed):
        desk.ask_sandbox(f"hosting/qualified/{phone}/set", {"state": "ELIGIBLE"})

    open_number(page, called)
    call(page)
    hand_in(page, "1111")
    expect(page.locator("#proof")).to_contain_text("1 code not accepted so far")
    hand_in(page, "0142")
    expect(page.locator(".page-head .chip", has_text="Verified")).to_be_visible()

    open_number(page, blocked)
    call(page)
    hand_in(page, "1111")
    expect(page.locator("#proof")).to_contain_text("Proof by phone call is blocked")
    expect(page.get_by_role("button", name="Hand in the code")).to_have_count(0)

    open_number(page, billed)
    page.get_by_role("button", name="Prove by invoices…").click()
    expect(page.get_by_label("Text", exact=True)).to_contain_text(billed)
    page.get_by_role("button", name=re.compile("mailed", re.IGNORECASE)).click()
    desk.ask_sandbox(f"hosting/qualified/{billed}/accept_invoices", {})
    open_number(page, billed)
    expect(page.locator(".page-head .chip", has_text="Verified")).to_be_visible()

    page.goto("/hosting/qualified/?state=VERIFIED")
    page.get_by_role("button", name="Text-enable all 2 verified…").click()
    typed = page.get_by_label("Numbers", exact=True)
    expect(typed).to_have_value(f"{called}\n{billed}")


def open_number(page: Page, phone: str) -> None:
    """Open the page of a qualified number and have it read anew."""
    link = page.locator('a.phone[href*="/hosting/qualified/"]', has_text=phone[-4:])

    def is_listed() -> bool:
        page.goto(f"/hosting/qualified/?q={phone[-4:]}")
        return link.count() > 0

    # Sinch has it a moment before the desk has heard so.
    wait_for(is_listed, 30, f"{phone} in the list")
    link.first.click()
    page.get_by_role("button", name="Check with Sinch now").click()
    expect(page.locator(".page-head")).not_to_contain_text("Checking")


def call(page: Page) -> None:
    """Have the number called with a code."""
    page.get_by_text("Call it with a code…").click()
    page.get_by_role("button", name="Yes, call now").click()
    expect(page.locator("#proof")).to_contain_text("Last called")


def hand_in(page: Page, code: str) -> None:
    """Type the code that was heard."""
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Hand in the code").click()


def test_a_move_goes_on_when_its_worker_dies_between_the_steps(desk: RunningDesk, page: Page):
    phone = "+15035550150"
    pair = {"phone": phone, "service_plan": PLAN, "campaign": CAMPAIGN}
    desk.ask_sandbox("hosting/imported", pair)
    page.goto("/hosting/overview/")
    page.get_by_label("Service plan", exact=True).fill(PLAN)
    page.get_by_label("10DLC campaign").fill(CAMPAIGN)
    page.get_by_role("button", name="Add it and look").click()
    link = page.get_by_role("link", name="+1 503 555 0150")
    wait_for(lambda: page.goto("/hosting/imported/?q=0150") and link.count(), 30, "the number")
    link.click()
    page.get_by_label("10DLC campaign").fill("CSTORY2")
    page.get_by_text("Move it…").click()
    page.get_by_role("button", name="Yes, move it").click()

    def campaign() -> dict[str, Any]:
        there = {n["phone_number"]: n for n in desk.ask_sandbox("hosting/imported")}
        return dict(there[phone]["campaign"])

    wait_for(lambda: campaign()["type"] == "DEPROVISIONING", 30, "the first write at Sinch")
    desk.kill_and_wait("people")
    desk.kill_and_wait("worker")
    desk.ask_sandbox(f"hosting/imported/{phone}/step", {})
    assert campaign()["id"] == ""
    # The second write comes by itself, once.
    wait_for(lambda: campaign()["target"] == "CSTORY2", 90, "the second write at Sinch")
    desk.ask_sandbox(f"hosting/imported/{phone}/step", {})
    page.get_by_role("button", name="Check with Sinch now").click()
    expect(page.locator(".page-head")).to_contain_text("CSTORY2", timeout=LATE)
    expect(page.locator("#move")).not_to_contain_text("Being moved")
    assert campaign()["id"] == "CSTORY2"
