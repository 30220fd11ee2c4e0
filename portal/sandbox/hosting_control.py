"""What a trainee or a test may do to hosting from outside the API."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from portal.sandbox.control import UnknownOrder
from portal.sandbox.hosting_state import (
    DONE,
    FINISHED,
    IMPORT,
    IN_PROGRESS,
    STEPS,
    SUBMITTED,
    TEXT_ENABLE,
    HostingOrder,
    Imported,
    Json,
    Link,
    Qualified,
)
from portal.sandbox.life import NotPossible

if TYPE_CHECKING:
    from portal.sandbox.app import Sandbox

VERBS = (
    "step",
    "submit",
    "ask_signature",
    "sign",
    "set",
    "manual",
    "finish",
    "complete",
    "reject",
    "hold",
    "release",
)
ADDRESS = {
    "buildingNumber": "118",
    "street": "Lakemont Ave",
    "city": "Chicago",
    "state": "IL",
    "postalCode": "60601",
    "country": "US",
}


class HostingControl:
    """Hosting by hand. Verbs raise UnknownOrder, or NotPossible with the reason."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox
        self._state = sandbox.state
        self._hosting = sandbox.state.hosting
        self._life = sandbox.hosting_life

    @property
    def secret(self) -> str:
        """The project's signing secret."""
        return self._hosting.secret

    def orders(self) -> list[HostingOrder]:
        """Return every order, newest first."""
        with self._state.lock:
            return sorted(self._hosting.orders.values(), key=lambda o: o.id, reverse=True)

    def order(self, order_id: str) -> HostingOrder:
        """Return one order."""
        try:
            return self._hosting.orders[order_id]
        except KeyError:
            raise UnknownOrder(f"There is no hosting order {order_id}.") from None

    def imported(self, phone: str) -> Imported:
        """Return one imported number."""
        try:
            return self._hosting.imported[phone]
        except KeyError:
            raise UnknownOrder(f"There is no imported number {phone}.") from None

    def qualified(self, phone: str) -> Qualified:
        """Return one qualified number."""
        try:
            return self._hosting.qualified[phone]
        except KeyError:
            raise UnknownOrder(f"There is no qualified number {phone}.") from None

    def make_order(
        self,
        numbers: Iterable[str],
        *,
        type_: str = TEXT_ENABLE,
        service_plan: str = "plan-a",
        campaign: str = "C3O8OGA",
        loa: str = "direct",
        display_name: str = "Lakemont Cycles",
        business_name: str = "Lakemont Cycles",
        callback_url: str = "",
        toll_free: bool = False,
        origin: str = "elsewhere",
    ) -> HostingOrder:
        """Make an order as someone would in Sinch's own dashboard."""
        body: Json = {
            "displayName": display_name,
            "regionCode": "US",
            "numbers": list(numbers),
            "servicePlanId": service_plan,
            "callbackUrl": callback_url,
        }
        if campaign and not toll_free:
            body["campaignId"] = campaign
        if type_ == TEXT_ENABLE:
            info: Json = {
                "authorisedPerson": {
                    "firstName": "Owen",
                    "lastName": "Marsh",
                    "email": "owen.marsh@lakemont.example",
                },
                "address": dict(ADDRESS),
                "currentVoiceCarrier": "Verizon",
            }
            if loa == "reseller":
                info["businessName"] = business_name
            body[f"{loa}LoaInfo"] = {} if loa == "blanket" else info
        with self._state.lock:
            return self._sandbox.hosting_api.make_order(
                body, type_=type_, toll_free=toll_free, origin=origin
            )

    def add_imported(
        self,
        phone: str,
        service_plan: str = "plan-a",
        campaign: str = "C3O8OGA",
        *,
        display_name: str = "",
        callback_url: str = "",
    ) -> Imported:
        """Let a number be imported and linked already."""
        with self._state.lock:
            number = Imported(
                phone,
                display_name=display_name,
                callback_url=callback_url,
                created_at=self._life.now,
            )
            self._life.provision(number, plan=service_plan, campaign=campaign or None)
            self._hosting.imported[phone] = number
            for link in (number.plan, number.campaign):
                if link.is_pending:
                    link.state, link.id = DONE, link.target
            self._life.step_imported(number)
            number.carriers = {
                step: {"state": DONE, "errorCode": "", "errorMessage": "", "updateTime": ""}
                for step in STEPS[3:]
            }
            return number

    def add_qualified(self, phone: str, state: str = "ELIGIBLE_CHECK_PENDING") -> Qualified:
        """Let a number be in a state of its qualification."""
        with self._state.lock:
            number = Qualified(phone, state, self._life.now, self._life.now)
            self._hosting.qualified[phone] = number
            self._state.touch()
            return number

    def do(self, order_id: str, verb: str, values: Mapping[str, Any] | None = None) -> HostingOrder:
        """Do one of VERBS to an order. Raises ValueError for an unknown verb."""
        values = values or {}
        with self._state.lock:
            order, life = self.order(order_id), self._life
            if verb == "step":
                if not life.step(order):
                    raise NotPossible("This order has ended.")
            elif verb == "submit":
                if order.state in FINISHED:
                    raise NotPossible("This order has ended.")
                order.state, order.updated_at = SUBMITTED, life.now
            elif verb == "ask_signature":
                life.ask_signature(order)
            elif verb == "sign":
                life.sign(order)
            elif verb == "set":
                self._set(order, values)
            elif verb == "manual":
                order.manual = int(values.get("count") or 0)
                order.updated_at = life.now
            elif verb == "finish":
                life.finish(order)
            elif verb == "complete":
                life.complete(order)
            elif verb == "reject":
                life.reject(order)
            elif verb in ("hold", "release"):
                order.held = verb == "hold"
            else:
                raise ValueError(f"There is no verb {verb!r}; there are {', '.join(VERBS)}.")
            self._state.touch()
            return order

    def _set(self, order: HostingOrder, values: Mapping[str, Any]) -> None:
        step, state = str(values.get("step") or ""), str(values.get("state") or "")
        if step not in STEPS or not state:
            raise ValueError(f"Name a step of {', '.join(STEPS)} and a state.")
        if order.state not in FINISHED and order.state != IN_PROGRESS:
            order.state = IN_PROGRESS
        for number in self._life.chosen(order, values.get("numbers")):
            self._life.set_step(
                order,
                number,
                step,
                state,
                str(values.get("errorCode") or ""),
                str(values.get("errorMessage") or ""),
                str(values.get("failureCode") or ""),
            )

    def do_imported(
        self, phone: str, verb: str, values: Mapping[str, Any] | None = None
    ) -> Imported:
        """`step` finishes what is pending; `set` puts a carrier step into a state."""
        values = values or {}
        with self._state.lock:
            number = self.imported(phone)
            if verb == "step":
                if not self._life.step_imported(number):
                    raise NotPossible("Nothing is being done to this number.")
            elif verb == "set":
                number.carriers[str(values["step"])] = {
                    "state": str(values["state"]),
                    "errorCode": str(values.get("errorCode") or ""),
                    "errorMessage": str(values.get("errorMessage") or ""),
                    "updateTime": self._life.now,
                }
            else:
                raise ValueError(f"There is no verb {verb!r}; there are step and set.")
            self._state.touch()
            return number

    def do_qualified(
        self, phone: str, verb: str, values: Mapping[str, Any] | None = None
    ) -> Qualified:
        """`step`, `set` {state}, `accept_invoices`, `refuse_invoices`."""
        values = values or {}
        with self._state.lock:
            number = self.qualified(phone)
            if verb == "step":
                if not self._life.step_qualified(number):
                    raise NotPossible("This number does not move by itself now.")
            elif verb == "set":
                self._life.be(number, str(values["state"]))
            elif verb == "accept_invoices":
                self._life.be(number, "VERIFIED")
            elif verb == "refuse_invoices":
                number.ownership_error = "The invoices do not list the number"
                self._life.be(number, "VERIFICATION_FAILED")
            else:
                raise ValueError(f"There is no verb {verb!r}.")
            return number

    # What it looks like from outside

    def order_json(self, order: HostingOrder, *, numbers: bool = True) -> Json:
        """Return an order as the control API shows it: nobody's address or e-mail."""
        kept = asdict(order)
        del kept["loa"], kept["callback_url"]
        if not numbers:
            kept["numbers"] = len(order.numbers)
        return kept

    @staticmethod
    def imported_json(number: Imported) -> Json:
        """Return an imported number, without its callback address."""
        kept = asdict(number)
        del kept["callback_url"]
        return kept

    @staticmethod
    def qualified_json(number: Qualified) -> Json:
        """Return a qualified number."""
        return asdict(number)

    def link(self, phone: str) -> tuple[Link, Link]:
        """Return the links of an imported number: plan and campaign."""
        number = self.imported(phone)
        return number.plan, number.campaign


__all__ = ["IMPORT", "TEXT_ENABLE", "HostingControl"]
