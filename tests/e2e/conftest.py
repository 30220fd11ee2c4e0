"""A desk of separate processes and a real browser in front of it."""

import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from portal.local import chromium
from tests.desk import PASSWORD, USERNAME, RunningDesk, running_desk

SHOTS = Path(__file__).parent / "shots"
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

NewPage = Callable[..., Page]

# A deadline, not a pause: a machine busy with other things may take its time.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def desk() -> Iterator[RunningDesk]:
    """The portal at work: web, workers, beat and sandbox, started as `make run` does."""
    with running_desk() as started:
        yield started


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The Chromium of this machine."""
    path = chromium.find()
    assert path, "There is no Chromium; `make test` installs one."
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def signed_in(browser: Browser, desk: RunningDesk) -> Any:
    """The cookies of the administrator, who has signed in by hand once."""
    context = browser.new_context(base_url=desk.address)
    page = context.new_page()
    page.goto("/sign-in/")
    page.fill("input[name=username]", USERNAME)
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(lambda url: "/sign-in/" not in url)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def new_page(
    browser: Browser, desk: RunningDesk, request: pytest.FixtureRequest
) -> Iterator[NewPage]:
    """Open a page: `new_page(viewport=NARROW, java_script_enabled=False, storage_state=…)`.

    Whatever Playwright's `new_context` takes may be given. At the end of the test no script may
    have failed, nothing may have been blocked, and nothing may have been asked of another host.
    """
    contexts: list[BrowserContext] = []
    wrong: list[str] = []
    own = {urlsplit(address).netloc for address in (desk.address, desk.sandbox)}

    def note_request(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.netloc not in own:
            wrong.append(f"asked another host: {url}")

    def note_console(text: str) -> None:
        if re.search(r"content.security.policy", text, re.IGNORECASE):
            wrong.append(text)

    def make(**options: Any) -> Page:
        options.setdefault("viewport", WIDE)
        context = browser.new_context(base_url=desk.address, **options)
        context.set_default_timeout(20_000)
        contexts.append(context)
        context.on("request", lambda sent: note_request(sent.url))
        context.on("console", lambda message: note_console(message.text))
        context.on("weberror", lambda error: wrong.append(f"a script failed: {error.error}"))
        return context.new_page()

    yield make
    failed = getattr(request.node, "failed_call", False)
    for number, context in enumerate(contexts):
        for page in context.pages if failed else []:
            SHOTS.mkdir(exist_ok=True)
            name = re.sub(r"\W+", "-", request.node.name)
            page.screenshot(path=SHOTS / f"{name}-{number}.png", full_page=True)
        context.close()
    assert not wrong


@pytest.fixture
def page(new_page: NewPage, signed_in: Any) -> Page:
    """A page of the desk, 1440 wide, signed in."""
    return new_page(storage_state=signed_in)


@pytest.fixture
def narrow_page(new_page: NewPage, signed_in: Any) -> Page:
    """A page as a telephone shows it, 390 wide, signed in."""
    return new_page(storage_state=signed_in, viewport=NARROW, has_touch=True)


@pytest.fixture
def plain_page(new_page: NewPage, signed_in: Any) -> Page:
    """A page in which no script runs, signed in."""
    return new_page(storage_state=signed_in, java_script_enabled=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed, so that its pages are photographed."""
    report = yield
    if report.when == "call" and report.failed:
        item.failed_call = True
    return report
