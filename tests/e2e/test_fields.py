"""Fields that news come for: nothing is taken from somebody who types."""

from typing import Any

from playwright.sync_api import Page, expect

from tests.desk import RunningDesk
from tests.tools import wait_for


def is_saved(page: Page, blamed: str) -> Any:
    """Tell whether the answer to an autosave has come that blames just these fields."""
    return page.locator("[name=blamed]").input_value() == blamed


def test_errors_of_a_draft_wait_until_the_field_is_left(desk: RunningDesk, page: Page):
    page.goto("/orders/new/")
    state, error = page.locator("#id_state"), page.locator("#id_state_error")
    state.fill("Washington")
    wait_for(lambda: is_saved(page, "id_state"), 30, "the autosave")
    expect(error).to_be_hidden()
    page.locator("#id_city").focus()
    expect(error).to_contain_text("Two letters of a US state")
    expect(state).to_have_attribute("aria-invalid", "true")
    assert page.evaluate("document.activeElement.id") == "id_city"
    state.fill("WA")
    wait_for(lambda: is_saved(page, ""), 30, "the autosave")
    expect(error).to_be_visible()
    page.locator("#id_city").focus()
    expect(error).to_be_hidden()
    expect(state).not_to_have_attribute("aria-invalid", "true")


def test_a_renamed_number_brings_its_name_to_other_pages_unless_somebody_types(
    desk: RunningDesk, page: Page
):
    phone, plan, campaign = "+15035550151", "plan-fields", "CFIELDS"
    given = {"phone": phone, "service_plan": plan, "campaign": campaign}
    desk.ask_sandbox("hosting/imported", given)
    page.goto("/hosting/overview/")
    page.get_by_label("Service plan", exact=True).fill(plan)
    page.get_by_label("10DLC campaign").fill(campaign)
    page.get_by_role("button", name="Add it and look").click()
    link = page.get_by_role("link", name="+1 503 555 0151")
    wait_for(lambda: page.goto("/hosting/imported/?q=0151") and link.count(), 30, "the number")
    link.click()
    watching, typing = page.context.new_page(), page.context.new_page()
    for other in (watching, typing):
        other.goto(page.url)
    typing.get_by_label("Name at Sinch").fill("Half typed")
    page.get_by_label("Name at Sinch").fill("Back office")
    page.get_by_role("button", name="Rename it at Sinch").click()
    expect(watching.get_by_label("Name at Sinch")).to_have_value("Back office")
    expect(typing.locator(".title-row")).to_contain_text("Back office")
    expect(typing.get_by_label("Name at Sinch")).to_have_value("Half typed")
    typing.close()
    watching.close()
