"""Figure 6: from the answer to a webhook to the open page, through every process of the desk."""

import time
from datetime import datetime
from statistics import quantiles

from playwright.sync_api import sync_playwright

from benchmarks.result import Figure
from portal.local import chromium
from tests.desk import running_desk
from tests.e2e.conftest import FLAGS
from tests.staff import Staff

BETWEEN = 1.3  # seconds, prime to the page's pace, so that changes fall anywhere between two polls


def seen(quick: bool) -> list[Figure]:
    """Seconds between Sinch's webhook being answered and the change standing in an open page."""
    path = chromium.find()
    if not path:
        return [Figure(6, "webhook answered → visible", "no Chromium here", "≤ 1.5 s", False)]
    changes = 10 if quick else 30
    waits: list[float] = []
    with running_desk() as desk, sync_playwright() as playwright:
        staff = Staff(desk)
        draft = staff.draft("BENCH-LIVE", [f"+1206555014{n}" for n in range(5)])
        staff.submit(draft, "draft-form", action="send")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        context = browser.new_context(base_url=desk.address)
        context.add_cookies(
            [
                {"name": cookie.name, "value": cookie.value or "", "url": desk.address}
                for cookie in staff.http.cookies
            ]
        )
        page = context.new_page()
        page.goto(draft)
        page.wait_for_selector("#h-talk", timeout=30_000)
        order = desk.ask_sandbox("orders")[0]["id"]
        for number in range(changes):
            text = f"Question {number} of the carrier?"
            desk.ask_sandbox(f"orders/{order}/note", {"note": text})
            page.locator(".talk", has_text=text).wait_for(timeout=15_000)
            visible = time.time()
            waits.append(visible - _answered(desk.ask_sandbox("webhooks")))
            time.sleep(BETWEEN)
        browser.close()
    p95 = quantiles(waits, n=20)[-1]
    return [
        Figure(
            6,
            "webhook answered → change visible in an open page, p95",
            f"{p95:.2f} s of {changes} (median {quantiles(waits, n=2)[0]:.2f} s)",
            "≤ 1.5 s",
            p95 <= 1.5,
        )
    ]


def _answered(log: list[dict[str, object]]) -> float:
    times = [str(entry["answeredAt"]) for entry in log if entry.get("answeredAt")]
    return max(datetime.fromisoformat(moment).timestamp() for moment in times)
