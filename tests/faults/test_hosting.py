"""Whatever breaks while hosting is followed: the desk ends in the state Sinch is in."""

import json
import threading
from typing import Any

import requests

from tests.desk import RunningDesk
from tests.staff import Staff
from tests.tools import wait_for

PHONES = [f"+1206555{line:04d}" for line in range(500)]
MORE = [f"+1253555{line:04d}" for line in range(200)]
PLAN, CAMPAIGN = "plan-a", "C3O8OGA"
TYPED = {
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
    """Return the orders as the desk has them: the state of each, and each number's steps."""
    return shell(
        desk,
        "import json\n"
        "from hosting.models import HostingOrder\n"
        f"names = {sorted(STEPS.values())!r}\n"
        "print(json.dumps({order.sinch_id: {'state': order.state, 'numbers': {n.phone_number: "
        "[getattr(n, name) for name in names] for n in order.numbers.all()}} "
        "for order in HostingOrder.objects.all()}))",
    )


def at_sinch(desk: RunningDesk, order_ids: list[str]) -> dict[str, Any]:
    """Return the same of the orders at Sinch."""
    names = sorted(STEPS, key=lambda key: STEPS[key])
    found = {}
    for order_id in order_ids:
        order = desk.ask_sandbox(f"hosting/orders/{order_id}")
        found[order_id] = {
            "state": order["state"],
            "numbers": {
                number["phone_number"]: [
                    number["steps"].get(key, {}).get("state", "") for key in names
                ]
                for number in order["numbers"]
            },
        }
    return found


def deliveries(desk: RunningDesk) -> dict[str, int]:
    return shell(
        desk,
        "import json\n"
        "from webhooks.models import Delivery\n"
        "from django.db.models import Max, Sum\n"
        "own = Delivery.objects.filter(kind='hosting')\n"
        "print(json.dumps({'kept': own.count(), 'times': own.aggregate(n=Sum('repeats'))['n'] or 0,"
        " 'tries': own.aggregate(n=Max('attempts'))['n'] or 0,"
        " 'open': own.filter(state__in=('received', 'waiting', 'dead')).count()}))",
    )


def make_order(desk: RunningDesk, staff: Staff, name: str, phones: list[str]) -> str:
    """Text-enable numbers from the desk; return the order's id at Sinch."""
    typed = {**TYPED, "display_name": name, "numbers": "\n".join(phones)}
    page = staff.submit("/hosting/new/text-enable/", "draft-form", action="ask", **typed)
    assert page.ok, page.text[-3000:]
    assert 'name="attempt"' in page.text, page.text[-3000:]
    attempt = page.text.split('name="attempt" value="')[1].split('"')[0]
    version = page.text.split('name="version" value="')[1].split('"')[0]
    draft = page.text.split('name="draft" value="')[1].split('"')[0]
    sent = staff.http.post(
        f"{desk.address}/hosting/drafts/{draft}/",
        {
            **typed,
            "draft": draft,
            "attempt": attempt,
            "version": version,
            "action": "send",
            "csrfmiddlewaretoken": staff.http.cookies["csrftoken"],
        },
        headers={"Referer": f"{desk.address}/hosting/drafts/{draft}/"},
        timeout=60,
    )
    assert sent.ok, sent.text[-3000:]

    def made() -> str:
        there = desk.ask_sandbox("hosting/orders")
        return next((str(one["id"]) for one in there if one["display_name"] == name), "")

    return wait_for(made, 30, "the order at Sinch")


def test_five_thousand_callbacks_end_in_the_state_sinch_is_in(desk: RunningDesk, staff: Staff):
    orders = [make_order(desk, staff, "Storm", PHONES), make_order(desk, staff, "Gust", MORE)]
    for order_id in orders:
        for verb in ("ask_signature", "sign"):
            desk.ask_sandbox(f"hosting/orders/{order_id}/{verb}", {})
    # What Sinch has to tell is kept until the storm.
    desk.ask_sandbox("faults", {"kind": "lost", "webhook": True, "times": 100_000})
    failed = {"step": "campaignProvisioning", "state": "FAILED", "numbers": PHONES[:2]}
    for order_id in orders:
        desk.ask_sandbox(f"hosting/orders/{order_id}/step", {})
    desk.ask_sandbox(f"hosting/orders/{orders[0]}/set", failed)
    for order_id in orders:
        for _ in range(6):
            desk.ask_sandbox(f"hosting/orders/{order_id}/step", {})
    told = list(desk.ask_sandbox("hosting/callbacks"))
    assert len(told) >= 2500
    assert deliveries(desk)["kept"] == 0
    before = desk.ask_sandbox("calls")
    answers: list[dict[str, int]] = []

    def storm() -> None:
        answer = requests.post(
            f"{desk.sandbox}/sandbox/api/hosting/callbacks/storm",
            json={"times": 2, "wrong": 0.05, "threads": 8},
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
    assert counts["sent"] == 2 * len(told)
    assert (counts["taken"], counts["refused"]) == (counts["sent"], counts["wrong"])
    # Copies of one callback are one row, and what was signed wrong is none and counts nowhere.
    kept = deliveries(desk)
    assert kept["kept"] == len(told)
    assert kept["kept"] + kept["times"] == counts["taken"]
    wait_for(lambda: not deliveries(desk)["open"], 120, "every callback dealt with", pause=1)
    wait_for(
        lambda: mirrored(desk) == at_sinch(desk, orders),
        60,
        "the desk in the state Sinch is in",
        pause=1,
    )
    # Taken up again where a worker died or two got in each other's way, and not over and over:
    # whoever is at work keeps what was claimed.
    tries = deliveries(desk)["tries"]
    assert tries <= 6
    # Many callbacks, few readings: copies are no news, and what is news is read together.
    calls = desk.ask_sandbox("calls")
    reads = {
        name: calls[name] - before.get(name, 0)
        for name in calls
        if name.startswith(("HostingOrderService_", "GetHostingOrder"))
    }
    print(
        f"{counts['sent']} callbacks, {counts['wrong']} of them signed wrong; "
        f"at most {tries} tries; reads: {reads}"
    )
    assert 0 < sum(reads.values()) < counts["sent"] / 20
    assert len(desk.ask_sandbox("hosting/orders")) == len(orders)


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
        timeout=60,
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
