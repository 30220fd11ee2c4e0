"""Two people change one order: nobody's change is lost silently, and both are told."""

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.desk import RunningDesk
from tests.e2e.conftest import NewPage
from tests.tools import wait_for

REFERENCE = "TWO-EDITORS"


def open_edit(page: Page) -> None:
    wait_for(lambda: page.goto(f"/work/?q={REFERENCE}") and "/orders/" in page.url, 30)
    page.goto(re.sub(r"[?#].*", "", page.url) + "edit/")
    expect(page.get_by_text("The same as on this page")).to_be_visible()


def rename(page: Page, name: str) -> None:
    page.get_by_role("textbox", name="Name on the bill", exact=True).first.fill(name)
    page.get_by_role("button", name="Check the changes").last.click()


def name_at_sinch(desk: RunningDesk) -> str:
    (order,) = (o for o in desk.ask_sandbox("orders") if o["customerOrderReference"] == REFERENCE)
    return str(order["endUser"])


def test_the_second_of_two_editors_sees_both_copies_and_chooses(
    desk: RunningDesk, new_page: NewPage, signed_in: Any
):
    numbers = ["+17015550142", "+17015550143"]
    body = {"numbers": numbers, "reference": REFERENCE, "end_user": "Lakemont Cycles"}
    desk.ask_sandbox("orders", body)
    first, second = (new_page(storage_state=signed_in) for _ in range(2))
    open_edit(first)
    open_edit(second)

    rename(first, "Lakemont Cycles Inc")
    first.get_by_role("button", name="Send this change to Sinch").click()
    first.wait_for_url(re.compile(r"/orders/\d+/$"))
    wait_for(lambda: name_at_sinch(desk) == "Lakemont Cycles Inc", what="the first change at Sinch")

    # The second one typed another name over the old one: nothing goes before a choice is made.
    rename(second, "Lakemont Cycles LLC")
    expect(second.get_by_text("Sinch’s copy changed while you were typing")).to_be_visible()
    expect(second.get_by_text("1 in conflict")).to_be_visible()
    assert name_at_sinch(desk) == "Lakemont Cycles Inc"
    second.get_by_label(re.compile("Lakemont Cycles LLC")).check()
    second.get_by_role("button", name="Take what I chose").click()
    second.get_by_role("button", name="Send this change to Sinch").click()
    second.wait_for_url(re.compile(r"/orders/\d+/$"))
    wait_for(
        lambda: name_at_sinch(desk) == "Lakemont Cycles LLC", what="the chosen change at Sinch"
    )
