"""Whatever breaks while hosting is followed: the desk ends in the state Sinch is in."""

import json
import threading
from typing import Any

import requests

from tests.desk import RunningDesk
from tests.staff import Staff
from tests.tools import wait_for

PHONES = [f"+1206555{line:04d}" for line in range(100, 140)]
PLAN, CAMPAIGN = "plan-a", "C3O8OGA"
TYPED = {
    "numbers": "\n".join(PHONES),
    "display_name": "Storm",
    "plan": PLAN,
    "campaign": CAMPAIGN,
    "loa": "direct",
    "first_name": "Dana",
    "last_name": "Holt",
    "email": "dana.holt@harborview.example",
    "email2": "dana.holt@harborview.example",
    "building": "1420",
    "street": "Alder St",
    "city": "Seattle",
    "state": "WA",
    "postal": "98101",
    "country": "US",
    "carrier": "Comcast Business",
}
STEPS = {
    "osrUpdate": "osr",
    "platformProvisioning": "platform",
    "campaignProvisioning": "campaign",
    "smsAtt": "sms_att",
    "smsTmo": "sms_tmo",
    "mmsAtt": "mms_att",
    "mmsTmo": "mms_tmo",
}


def shell(desk: RunningDesk, code: str) -> Any:
    return json.loads(desk.manage("shell", "-v", "0", "-c", code).splitlines()[-1])


def mirrored(desk: RunningDesk) -> dict[str, Any]:
    """Return the order as the desk has it: its state, and each number's steps."""
    return shell(
        desk,
        "import json\n"
        "from hosting.models import HostingOrder\n"
        "order = HostingOrder.objects.get(display_name='Storm')\n"
        f"names = {sorted(STEPS.values())!r}\n"
        "print(json.dumps({'state': order.state, 'numbers': {n.phone_number: "
        "[getattr(n, name) for name in names] for n in order.numbers.all()}}))",
    )


def at_sinch(desk: RunningDesk, order_id: str) -> dict[str, Any]:
    """Return the same of the order at Sinch."""
    order = desk.ask_sandbox(f"hosting/orders/{order_id}")
    names = sorted(STEPS, key=lambda key: STEPS[key])
    return {
        "state": order["state"],
        "numbers": {
            number["phone_number"]: [number["steps"].get(key, {}).get("state", "") for key in names]
            for number in order["numbers"]
        },
    }


def deliveries(desk: RunningDesk) -> dict[str, int]:
    return shell(
        desk,
        "import json\n"
        "from webhooks.models import Delivery\n"
        "from django.db.models import Sum\n"
        "own = Delivery.objects.filter(kind='hosting')\n"
        "print(json.dumps({'kept': own.count(), 'times': own.aggregate(n=Sum('repeats'))['n'] or 0,"
        " 'open': own.filter(state__in=('received', 'waiting', 'dead')).count()}))",
    )


def make_order(desk: RunningDesk, staff: Staff) -> str:
    """Text-enable forty numbers from the desk; return the order's id at Sinch."""
    page = staff.submit("/hosting/new/text-enable/", "draft-form", action="ask", **TYPED)
    assert page.ok, page.text[-3000:]
    path = page.url.removeprefix(desk.address)
    assert "/hosting/drafts/" in path or 'name="attempt"' in page.text, page.text[-3000:]
    attempt = page.text.split('name="attempt" value="')[1].split('"')[0]
    version = page.text.split('name="version" value="')[1].split('"')[0]
    draft = page.text.split('name="draft" value="')[1].split('"')[0]
    sent = staff.http.post(
        f"{desk.address}/hosting/drafts/{draft}/",
        {
            **TYPED,
            "draft": draft,
            "attempt": attempt,
            "version": version,
            "action": "send",
            "csrfmiddlewaretoken": staff.http.cookies["csrftoken"],
        },
        headers={"Referer": f"{desk.address}/hosting/drafts/{draft}/"},
        timeout=15,
    )
    assert sent.ok, sent.text[-3000:]
    orders = wait_for(lambda: desk.ask_sandbox("hosting/orders"), 30, "the order at Sinch")
    return str(orders[0]["id"])


def test_five_thousand_callbacks_end_in_the_state_sinch_is_in(desk: RunningDesk, staff: Staff):
    order_id = make_order(desk, staff)
    for verb in ("ask_signature", "sign"):
        desk.ask_sandbox(f"hosting/orders/{order_id}/{verb}", {})
    failed = {"step": "campaignProvisioning", "state": "FAILED", "numbers": PHONES[:2]}
    desk.ask_sandbox(f"hosting/orders/{order_id}/step", {})
    desk.ask_sandbox(f"hosting/orders/{order_id}/set", failed)
    for _ in range(6):
        desk.ask_sandbox(f"hosting/orders/{order_id}/step", {})
    told = list(desk.ask_sandbox("hosting/callbacks"))
    assert told
    answers: list[dict[str, int]] = []
    times = -(-5000 // len(told))

    def storm() -> None:
        answer = requests.post(
            f"{desk.sandbox}/sandbox/api/hosting/callbacks/storm",
            json={"times": times, "wrong": 0.05, "threads": 8},
            timeout=400,
        )
        answers.append(answer.json())

    thread = threading.Thread(target=storm)
    thread.start()
    desk.kill_and_wait("worker")
    desk.kill_and_wait("worker")
    thread.join(400)
    counts = answers[0]
    # Nothing right was turned away and nothing wrong was let in.
    assert counts["sent"] >= 5000
    assert (counts["taken"], counts["refused"]) == (counts["sent"], counts["wrong"])
    wait_for(lambda: not deliveries(desk)["open"], 120, "every callback dealt with", pause=1)
    wait_for(
        lambda: mirrored(desk) == at_sinch(desk, order_id),
        60,
        "the desk in the state Sinch is in",
        pause=1,
    )
    # Copies of one callback are one row.
    kept = deliveries(desk)
    assert kept["kept"] <= len(told)
    assert len(desk.ask_sandbox("hosting/orders")) == 1


def test_a_move_goes_on_when_its_worker_dies_between_the_steps(desk: RunningDesk, staff: Staff):
    phone = "+12065550150"
    pair = {"phone": phone, "service_plan": PLAN, "campaign": CAMPAIGN}
    desk.ask_sandbox("hosting/imported", pair)
    shell(
        desk,
        "from hosting import sync\n"
        "from portal.accounts.models import SinchProject\n"
        "from portal.operations import readings\n"
        "project = SinchProject.objects.get()\n"
        f"readings.want_one(project, sync.IMPORTED_READER, {phone!r}, 'staff')\n"
        "print('0')",
    )
    path = wait_for(lambda: number_path(desk, phone), 30, "the number on the desk")
    page = staff.get(path)
    answer = staff.http.post(
        f"{page.url}move/",
        {
            "do": "start",
            "plan": "plan-b",
            "campaign": "CQ2Z7LM",
            "csrfmiddlewaretoken": staff.http.cookies["csrftoken"],
        },
        headers={"Referer": page.url},
        timeout=15,
    )
    assert answer.ok, answer.text[-2000:]

    def links() -> dict[str, Any]:
        there = {n["phone_number"]: n for n in desk.ask_sandbox("hosting/imported")}
        return there.get(phone, {})

    wait_for(lambda: links()["plan"]["state"] != "DONE", 30, "the first write at Sinch")
    desk.kill_and_wait("people")
    desk.kill_and_wait("worker")

    def moved() -> bool:
        number = links()
        if any(
            number[link]["state"] in ("WAITING", "IN_PROGRESS") for link in ("plan", "campaign")
        ):
            desk.ask_sandbox(f"hosting/imported/{phone}/step", {})
        state = shell(
            desk,
            "import json\n"
            "from hosting.models import NumberMove\n"
            "print(json.dumps(NumberMove.objects.get().state))",
        )
        return state == "done"

    wait_for(moved, 120, "the move done", pause=1)
    assert (links()["plan"]["id"], links()["campaign"]["id"]) == ("plan-b", "CQ2Z7LM")


def number_path(desk: RunningDesk, phone: str) -> str:
    """Return the page of an imported number, once the desk has it."""
    found = shell(
        desk,
        "import json\n"
        "from hosting.models import ImportedNumber\n"
        f"row = ImportedNumber.objects.filter(phone_number={phone!r}).first()\n"
        "print(json.dumps(row.get_absolute_url() if row else ''))",
    )
    return str(found)
