"""Invented hosting orders and numbers for training, in every state."""

from portal.sandbox.hosting_control import HostingControl
from portal.sandbox.hosting_state import (
    DONE,
    FAILED,
    IMPORT,
    IN_PROGRESS,
    SIGNATURE,
    STEPS,
    TEXT_ENABLE,
    HostingOrder,
)

PLANS = ("07d6c2621f364b68856fe4938b7bb78f", "5b1f4c0e9a7d4c3fb8a2e6d1905c7733")
CAMPAIGNS = ("C3O8OGA", "CQ2Z7LM")
STATES = (
    "ELIGIBLE_CHECK_PENDING",
    "ELIGIBLE",
    "VERIFICATION_PENDING",
    "VERIFICATION_FAILED",
    "VERIFICATION_BLOCKED",
    "VERIFIED",
    "HOSTING_IN_PROGRESS",
    "HOSTING_DONE",
    "NOT_ELIGIBLE",
    "HOSTING_FAILED",
)


def numbers(area: str, count: int, start: int = 100) -> list[str]:
    """Return invented numbers of an area code: `+13125550100` and on, without fates."""
    found: list[str] = []
    exchange, line = 555, start
    while len(found) < count:
        number = f"+1{area}{exchange}{line:04d}"
        if number[-2:] not in {str(n) for n in range(90, 98)}:
            found.append(number)
        line += 1
        if line > 9999:
            exchange, line = exchange + 1, 0
    return found


class HostingDemo:
    """Fills a sandbox with hosting orders, imported and qualified numbers."""

    def __init__(self, control: HostingControl) -> None:
        self._control = control

    def fill(self) -> None:
        """Make the demo; nobody is told by callback."""
        self._lakemont()
        self._many()
        waiting = self._order(
            ["+18335550121", "+18445550134"], "Quill & Finch helpline", "reseller"
        )
        waiting.toll_free, waiting.state, waiting.held = True, SIGNATURE, True
        rejected = self._order(numbers("619", 3, 130), "Bayside Vet texting", "direct")
        self._control.do(rejected.id, "reject")
        done = self._order(numbers("206", 6, 160), "Harborview Dental texting", "reseller")
        self._control.do(done.id, "finish")
        fresh = self._order(numbers("503", 4, 110), "Orchard Lane texting", "direct")
        fresh.held = True
        moved = self._order(["+14155550193", "+14155550104"], "Alder Voice import", "", IMPORT)
        self._control.do(moved.id, "finish")
        by_hand = self._order(numbers("720", 9, 120), "Summit Rentals", "blanket", IMPORT)
        self._control.do(by_hand.id, "submit")
        self._control.do(by_hand.id, "step")
        self._control.do(by_hand.id, "manual", {"count": 2})
        by_hand.held = True
        for index, phone in enumerate(numbers("213", 60, 100)):
            plan, campaign = PLANS[index % 3 == 0], CAMPAIGNS[index % 2]
            self._control.add_imported(phone, plan, campaign, display_name=f"Store {index + 1}")
        for index, phone in enumerate(numbers("646", 30, 100)):
            state = STATES[index % len(STATES)]
            one = self._control.add_qualified(phone, state)
            if state == "NOT_ELIGIBLE":
                one.eligibility_error = "Number is not eligible for hosting"
            elif state in ("VERIFICATION_FAILED", "VERIFICATION_BLOCKED"):
                one.ownership_error = "Wrong code"

    def _order(
        self, phones: list[str], name: str, loa: str, type_: str = TEXT_ENABLE
    ) -> HostingOrder:
        return self._control.make_order(
            phones,
            type_=type_,
            service_plan=PLANS[0],
            campaign=CAMPAIGNS[0],
            loa=loa,
            display_name=name,
            business_name=name.removesuffix(" texting"),
            toll_free=phones[0][2:5] in ("833", "844"),
            origin="demo",
        )

    def _lakemont(self) -> None:
        """Forty numbers: one held at T-Mobile, two that do not fit the campaign."""
        phones = [*numbers("312", 37, 101), "+13125550193", "+13125550192", "+13125550292"]
        order = self._order(phones, "lakemont-text", "reseller")
        order.loa["businessName"] = "Lakemont Cycles"
        order.state, order.held = IN_PROGRESS, True
        for _ in STEPS:
            self._control.do(order.id, "step")
            if all(number.is_at_its_end for number in order.numbers):
                break

    def _many(self) -> None:
        """Five hundred numbers under way, with failures of several kinds."""
        phones = [*numbers("929", 490, 100)]
        phones += [f"+1929556{n:02d}{fate}" for n in range(2) for fate in (91, 92, 93, 94, 95)]
        order = self._order(phones, "clinics-roll-out", "direct")
        order.state, order.held = IN_PROGRESS, True
        for number in order.numbers:
            for step, there in number.steps.items():
                there["state"] = DONE if step in STEPS[:2] else "WAITING"
        for _ in range(2):
            self._control.do(order.id, "step")
        for number in order.numbers[:260]:
            for step in STEPS[3:]:
                number.steps[step] = {"state": DONE, "errorCode": "", "errorMessage": ""}
        for number in order.numbers[488:490]:
            number.steps["campaignProvisioning"] = {"state": FAILED}
