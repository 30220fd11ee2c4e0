"""How hosting things move: step by step, by hand or by themselves, each to its fate."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from portal.sandbox.clock import Clock, iso_instant, parse_instant
from portal.sandbox.config import SandboxConfig
from portal.sandbox.hosting_state import (
    CARRIERS,
    COMPLETED,
    DONE,
    DRAFT,
    FAILED,
    FINISHED,
    IN_PROGRESS,
    REJECTED,
    SIGNATURE,
    STEPS,
    SUBMITTED,
    TEXT_ENABLE,
    WAITING,
    HostedNumber,
    HostingOrder,
    Imported,
    Link,
    Qualified,
)
from portal.sandbox.life import NotPossible
from portal.sandbox.state import State

EVENTS = {
    "osrUpdate": "OSR_UPDATE",
    "platformProvisioning": "PROVISIONING_TO_SMS_PLATFORM",
    "campaignProvisioning": "LINK_TO_10DLC_CAMPAIGN",
}
MOST_CODES = 3  # wrong ones; then proof by call is blocked
CODE_DIGITS = 4  # the right code is the number's last digits


@dataclass(frozen=True)
class Fate:
    """What becomes of a number with these last two digits."""

    digits: str
    words: str
    step: str = ""
    code: str = ""
    message: str = ""
    also: tuple[str, ...] = ()


FATES = (
    Fate("90", "imported already, elsewhere: 409"),
    Fate("91", "campaign not known to Sinch", "campaignProvisioning", "CAMPAIGN_NOT_AVAILABLE"),
    Fate("92", "campaign is full", "campaignProvisioning", "EXCEEDED_10DLC_LIMIT"),
    Fate(
        "93",
        "held at T-Mobile (60135); moved with migrateToSinchTmo",
        "smsTmo",
        "60135",
        "Number is provisioned with another aggregator",
        ("mmsTmo",),
    ),
    Fate("94", "routing id not valid", "osrUpdate", "INVALID_NNID"),
    Fate(
        "95",
        "held by another provider at AT&T",
        "smsAtt",
        "50012",
        "Number is owned by another aggregator",
        ("mmsAtt",),
    ),
    Fate("96", "not eligible when qualified"),
    Fate("97", "the first wrong voice code blocks"),
)
BY_DIGITS = {fate.digits: fate for fate in FATES}

Emit = Callable[..., Any]


class HostingLife:
    """Moves hosting orders and numbers along. Hold the state's lock around every verb."""

    def __init__(self, state: State, config: SandboxConfig, emit: Emit) -> None:
        self._state = state
        self._hosting = state.hosting
        self._config = config
        self._clock: Clock = config.clock
        self._emit = emit
        self._due: dict[str, datetime] = {}

    @property
    def now(self) -> str:
        """The moment as it is written."""
        return iso_instant(self._clock.now())

    # What happens by itself

    def tick(self) -> None:
        """Move what is due by one step, when the sandbox lives by itself."""
        if self._config.speed <= 0:
            return
        with self._state.lock:
            now, pace = self._clock.now(), timedelta(seconds=self._config.speed)
            for order in list(self._hosting.orders.values()):
                if order.state in FINISHED or order.held:
                    continue
                if self._is_due(order.id, order.created_at, now, pace):
                    self.step(order)
            for number in list(self._hosting.imported.values()):
                links = (number.plan, number.campaign)
                if any(link.is_pending for link in links) and self._is_due(
                    number.phone_number, max(link.updated_at for link in links), now, pace
                ):
                    self.step_imported(number)
            for one in list(self._hosting.qualified.values()):
                moves = one.state in ("ELIGIBLE_CHECK_PENDING", "HOSTING_IN_PROGRESS")
                key = f"qualified {one.phone_number}"
                if moves and self._is_due(key, one.updated_at, now, pace):
                    self.step_qualified(one)

    def _is_due(self, key: str, since: str, now: datetime, pace: timedelta) -> bool:
        due = self._due.setdefault(key, parse_instant(since) + pace)
        if now < due:
            return False
        self._due[key] = now + pace
        return True

    # Orders

    def first_steps(self, order: HostingOrder) -> None:
        """Give every number the steps that its order asks for, none of them begun."""
        steps = [
            step
            for step in STEPS
            if (step != "osrUpdate" or order.type == TEXT_ENABLE)
            and (step != "campaignProvisioning" or order.campaign)
        ]
        for number in order.numbers:
            number.steps = {step: {"state": WAITING} for step in steps}

    def step(self, order: HostingOrder) -> bool:
        """Move an order by one thing; return whether anything moved."""
        if order.state in FINISHED:
            return False
        if order.state == DRAFT:
            self._be(order, SUBMITTED)
        elif order.state == SUBMITTED:
            self._be(order, SIGNATURE if order.needs_signature else IN_PROGRESS)
        elif order.state == SIGNATURE:
            self.sign(order)
        elif not self._advance(order):
            self.complete(order)
        return True

    def _be(self, order: HostingOrder, state: str) -> None:
        order.state, order.updated_at = state, self.now
        if state == IN_PROGRESS:
            for number in order.numbers:
                self._begin_next(number)
        self._state.touch()

    def sign(self, order: HostingOrder) -> None:
        """Let the signer sign the LOA."""
        if order.state != SIGNATURE:
            raise NotPossible("No signature is waited for.")
        self._be(order, IN_PROGRESS)

    def ask_signature(self, order: HostingOrder) -> None:
        """Mail the LOA."""
        if order.state not in (DRAFT, SUBMITTED) or not order.needs_signature:
            raise NotPossible("This order asks for no signature now.")
        self._be(order, SIGNATURE)

    def _advance(self, order: HostingOrder) -> bool:
        """Finish the present step of every number; False when none was left."""
        moved = [number for number in order.numbers if not number.is_at_its_end]
        for number in moved:
            step = next(
                s for s, there in number.steps.items() if there["state"] not in (DONE, FAILED)
            )
            self._finish(order, number, step)
            self._begin_next(number)
        order.updated_at = self.now if moved else order.updated_at
        self._state.touch()
        return bool(moved)

    def _begin_next(self, number: HostedNumber) -> None:
        if number.is_at_its_end:
            return
        for there in number.steps.values():
            if there["state"] == WAITING:
                there["state"] = IN_PROGRESS
                return

    def _finish(self, order: HostingOrder, number: HostedNumber, step: str) -> None:
        fate = BY_DIGITS.get(number.phone_number[-2:])
        fails = fate is not None and step in (fate.step, *fate.also) and step in number.steps
        if fate is not None and fate.digits == "93" and order.migrate:
            fails = False
        if fails and fate is not None:
            self.set_step(order, number, step, FAILED, fate.code, fate.message)
        else:
            self.set_step(order, number, step, DONE)

    def set_step(
        self,
        order: HostingOrder,
        number: HostedNumber,
        step: str,
        state: str,
        code: str = "",
        message: str = "",
        failure_code: str = "",
    ) -> None:
        """Put one step of a number into a state, and tell of it when it has ended."""
        there: dict[str, Any] = {"state": state}
        if step in CARRIERS:
            there |= {"errorCode": code, "errorMessage": message, "updateTime": self.now}
        number.steps[step] = there
        order.updated_at = self.now
        self._state.touch()
        if state not in (DONE, FAILED):
            return
        if step in EVENTS:
            self._tell_number(order, number, EVENTS[step], state, failure_code or code)
        if number.is_at_its_end and order.type == TEXT_ENABLE:
            outcome = DONE if number.is_done else FAILED
            self._tell_number(order, number, "HOSTING_PROCESS", outcome, "")

    def _tell_number(
        self, order: HostingOrder, number: HostedNumber, event: str, state: str, code: str
    ) -> None:
        self._emit(
            event,
            resource_type="HOSTING_ORDER_NUMBER",
            resource_id=number.phone_number,
            order_id=order.id,
            status="SUCCEEDED" if state == DONE else "FAILED",
            failure_code=code if state == FAILED and not code.isdigit() else "",
            address=order.callback_url,
        )

    def finish(self, order: HostingOrder) -> None:
        """Bring every number to its fate and the order to its end."""
        if order.state in FINISHED:
            raise NotPossible("This order has ended.")
        for _ in range(len(STEPS) + 6):
            if not self.step(order):
                return

    def complete(self, order: HostingOrder) -> None:
        """End an order as it stands; its numbers appear among the imported ones."""
        if order.state in FINISHED:
            raise NotPossible("This order has ended.")
        self._be(order, COMPLETED)
        for number in order.numbers:
            linked = number.steps.get("platformProvisioning", {}).get("state") == DONE
            if linked and number.phone_number not in self._hosting.imported:
                self._import_number(order, number)
            if one := self._hosting.qualified.get(number.phone_number):
                one.state = "HOSTING_DONE" if number.is_done else "HOSTING_FAILED"
                one.hosting_error = "" if number.is_done else "Hosting failed"
                one.updated_at = self.now

    def _import_number(self, order: HostingOrder, number: HostedNumber) -> None:
        campaign = number.steps.get("campaignProvisioning", {}).get("state")
        plan = Link(order.service_plan, "PROVISIONING", DONE, order.service_plan, "", self.now)
        link = Link()
        if campaign:
            done = campaign == DONE
            link = Link(
                order.campaign if done else "",
                "PROVISIONING",
                campaign,
                order.campaign,
                "",
                self.now,
            )
        self._hosting.imported[number.phone_number] = Imported(
            number.phone_number,
            order.region,
            order.display_name,
            plan,
            link,
            {s: dict(there) for s, there in number.steps.items() if s in CARRIERS},
            order.callback_url,
            order.migrate,
            self.now,
        )

    def reject(self, order: HostingOrder) -> None:
        """Refuse an order, without a reason, as Sinch does."""
        if order.state in FINISHED:
            raise NotPossible("This order has ended.")
        self._be(order, REJECTED)

    # Imported numbers

    def provision(self, number: Imported, *, plan: str | None, campaign: str | None) -> None:
        """Begin to link or unlink a number; None leaves a link alone, "" takes it away."""
        for link, wanted in ((number.plan, plan), (number.campaign, campaign)):
            if wanted is None or (not wanted and not link.id and not link.is_pending):
                continue
            link.type = "PROVISIONING" if wanted else "DEPROVISIONING"
            link.state, link.target, link.updated_at = WAITING, wanted or link.id, self.now
        self._state.touch()

    def step_imported(self, number: Imported) -> bool:
        """Finish what is being done to a number; return whether anything was."""
        moved = False
        for link, word in ((number.plan, "SMS_PLATFORM"), (number.campaign, "10DLC_CAMPAIGN")):
            if not link.is_pending:
                continue
            moved = True
            fate = BY_DIGITS.get(number.phone_number[-2:])
            fails = (
                fate is not None
                and word == "10DLC_CAMPAIGN"
                and link.type == "PROVISIONING"
                and fate.step == "campaignProvisioning"
            )
            link.updated_at = self.now
            if fails and fate is not None:
                link.state, link.error_code = FAILED, fate.code
            else:
                link.state, link.error_code = DONE, ""
                link.id = link.target if link.type == "PROVISIONING" else ""
            self._tell_imported(number, link, word)
        if moved and number.plan.id and not number.carriers:
            number.carriers = {
                s: {"state": DONE, "errorCode": "", "errorMessage": "", "updateTime": self.now}
                for s in CARRIERS
            }
        self._state.touch()
        return moved

    def _tell_imported(self, number: Imported, link: Link, word: str) -> None:
        provisioning = link.type == "PROVISIONING"
        if word == "SMS_PLATFORM":
            event = f"{'PROVISIONING' if provisioning else 'DEPROVISIONING'}_TO_SMS_PLATFORM"
        else:
            event = f"{'LINK' if provisioning else 'UNLINK'}_TO_10DLC_CAMPAIGN"
        self._emit(
            event,
            resource_type="IMPORTED_NUMBER",
            resource_id=number.phone_number,
            order_id="",
            status="SUCCEEDED" if link.state == DONE else "FAILED",
            failure_code=link.error_code,
            address=number.callback_url,
        )

    def delete_imported(self, number: Imported) -> None:
        """Delete a number, and tell of it."""
        del self._hosting.imported[number.phone_number]
        self._state.touch()
        self._emit(
            "DELETE",
            resource_type="IMPORTED_NUMBER",
            resource_id=number.phone_number,
            order_id="",
            status="SUCCEEDED",
            failure_code="",
            address=number.callback_url,
        )

    # Qualified numbers

    def step_qualified(self, number: Qualified) -> bool:
        """Move a qualified number by one thing; return whether anything moved."""
        if number.state == "ELIGIBLE_CHECK_PENDING":
            refused = number.phone_number.endswith("96")
            number.eligibility_error = "Number is not eligible for hosting" if refused else ""
            self.be(number, "NOT_ELIGIBLE" if refused else "ELIGIBLE")
        elif number.state == "HOSTING_IN_PROGRESS":
            self.be(number, "HOSTING_DONE")
        else:
            return False
        return True

    def be(self, number: Qualified, state: str) -> None:
        """Put a qualified number into a state."""
        number.state, number.updated_at = state, self.now
        self._state.touch()

    def call(self, number: Qualified) -> None:
        """Call a number with its code."""
        number.called = True
        if number.state in ("ELIGIBLE", "VERIFICATION_FAILED"):
            number.ownership_error = ""
            self.be(number, "VERIFICATION_PENDING")

    def verify(self, number: Qualified, code: str) -> bool:
        """Judge a code; return whether it was right."""
        if code == number.phone_number[-CODE_DIGITS:]:
            number.ownership_error = ""
            self.be(number, "VERIFIED")
            return True
        number.wrong_codes += 1
        number.ownership_error = "Wrong code"
        blocked = number.wrong_codes >= MOST_CODES or number.phone_number.endswith("97")
        self.be(number, "VERIFICATION_BLOCKED" if blocked else "VERIFICATION_FAILED")
        return False

    def chosen(self, order: HostingOrder, phones: Iterable[str] | str | None) -> list[HostedNumber]:
        """Return numbers of an order by name, all for none named. Raises NotPossible."""
        wanted = phones.replace(",", " ").split() if isinstance(phones, str) else list(phones or ())
        found = [n for n in order.numbers if not wanted or n.phone_number in wanted]
        if not found:
            raise NotPossible("The order holds none of these numbers.")
        return found
