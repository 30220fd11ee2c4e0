"""The hand on the simulated Sinch: moves orders, sets faults and personality, counts calls."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from portal.sandbox.api import Refusal
from portal.sandbox.clock import today_in
from portal.sandbox.config import Personality
from portal.sandbox.faults import Faults
from portal.sandbox.life import NotPossible
from portal.sandbox.state import Json, Number, Order

if TYPE_CHECKING:
    from portal.sandbox.app import Sandbox

# What a hand can do to an order, in the words of the sandbox's page.
VERBS = {
    "next": "Next step",
    "answer": "Answer by the number rules",
    "confirm": "Confirm",
    "reject": "Reject",
    "exclude": "Exclude",
    "note": "Add note from Sinch",
    "move-date": "Move FOC date",
    "ready": "Make ready",
    "activate": "Activate",
    "complete": "Complete",
    "cancel": "Cancel",
    "release": "Let it move by itself",
}
INVENTED_ADDRESS = {
    "streetNum": "410",
    "streetName": "Harbor",
    "streetType": "Ave",
    "city": "Portland",
    "state": "OR",
    "zipCode": "97201",
    "typeOfService": "B",
}


class UnknownOrder(LookupError):
    """There is no such order here."""


class Control:
    """Everything a trainee or a test may do to the sandbox from outside the API.

    Verbs raise UnknownOrder, or NotPossible with the reason when the order does not allow it.
    """

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox
        self._state = sandbox.state
        self._life = sandbox.life

    @property
    def faults(self) -> Faults:
        """The faults in force; add and clear them here."""
        return self._sandbox.faults

    # Orders

    def order(self, order_id: int | str) -> Order:
        """Return one order."""
        try:
            return self._state.orders[int(order_id)]
        except (KeyError, ValueError):
            raise UnknownOrder(f"There is no order {order_id}.") from None

    def orders(self) -> list[Order]:
        """Return every order, newest first."""
        with self._state.lock:
            return sorted(self._state.orders.values(), key=lambda o: o.id, reverse=True)

    def create_order(
        self,
        numbers: Iterable[str],
        *,
        reference: str | None = None,
        end_user: str = "Acme Dental LLC",
        on_demand: bool = False,
        desired_date: str | None = None,
        reseller_name: str | None = None,
        pin: str = "0000",
    ) -> Order:
        """Make an order as someone would in Sinch's own dashboard, and tell of it by webhook.

        Raises NotPossible when Sinch would refuse it.
        """
        with self._state.lock:
            in_a_week = today_in(None, self._sandbox.clock.now()) + timedelta(days=7)
            body: Json = {
                "desiredPortSchedule": {"desiredPortDate": desired_date or in_a_week.isoformat()},
                "onDemandActivation": on_demand,
                "phoneNumbers": [
                    {
                        "phoneNumber": number,
                        "endUser": {"name": end_user, **INVENTED_ADDRESS},
                        "portOutInfo": {"existingPortOutPin": pin},
                    }
                    for number in numbers
                ],
            }
            if reference is not None:
                body["customerOrderReference"] = reference
            if reseller_name is not None:
                body["resellerName"] = reseller_name
            operation = self._sandbox.contract.operations["orderPortIn"]
            found = self._sandbox.contract.check_body(operation, body)
            if found:
                raise NotPossible(f"{found[0].field}: {found[0].description}")
            try:
                order = self._sandbox.api.make_order(body, origin="elsewhere")
            except Refusal as refusal:
                field, description = refusal.violations[0]
                raise NotPossible(f"{field}: {description}") from refusal
            self._sandbox.api.announce(order)
            return order

    def next(self, order_id: int | str) -> bool:
        """Move an order by one step; return whether anything moved."""
        with self._state.lock:
            return self._life.step(self.order(order_id))

    def answer(self, order_id: int | str) -> Order:
        """Give every waiting number the answer its digits ask for."""
        return self.do(order_id, "answer")

    def confirm(
        self,
        order_id: int | str,
        foc_date: str | date | None = None,
        numbers: Iterable[str] | None = None,
    ) -> Order:
        """Confirm numbers for a FOC date (today when not given)."""
        return self.do(order_id, "confirm", {"foc_date": foc_date, "numbers": numbers})

    def reject(
        self, order_id: int | str, reason: str = "", numbers: Iterable[str] | None = None
    ) -> Order:
        """Reject numbers with a reason."""
        return self.do(order_id, "reject", {"reason": reason, "numbers": numbers})

    def exclude(
        self, order_id: int | str, reason: str = "", numbers: Iterable[str] | None = None
    ) -> Order:
        """Take numbers out of an order."""
        return self.do(order_id, "exclude", {"reason": reason, "numbers": numbers})

    def note(self, order_id: int | str, text: str) -> Order:
        """Write a note as Sinch's staff."""
        return self.do(order_id, "note", {"note": text})

    def move_foc_date(
        self, order_id: int | str, foc_date: str | date, numbers: Iterable[str] | None = None
    ) -> Order:
        """Let the carrier choose another date."""
        return self.do(order_id, "move-date", {"foc_date": foc_date, "numbers": numbers})

    def make_ready(self, order_id: int | str, numbers: Iterable[str] | None = None) -> Order:
        """Bring the FOC date to today, and offer an on-demand order for activation."""
        return self.do(order_id, "ready", {"numbers": numbers})

    def activate(self, order_id: int | str, numbers: Iterable[str] | None = None) -> Order:
        """Make confirmed numbers live."""
        return self.do(order_id, "activate", {"numbers": numbers})

    def complete(self, order_id: int | str) -> Order:
        """Bring an order to its end."""
        return self.do(order_id, "complete")

    def cancel(self, order_id: int | str) -> Order:
        """End an order from Sinch's side."""
        return self.do(order_id, "cancel")

    def do(self, order_id: int | str, verb: str, values: Mapping[str, Any] | None = None) -> Order:
        """Do one of `VERBS` to an order; `values` may hold `foc_date`, `numbers`, `reason`, `note`.

        `numbers` are E.164 numbers or names of carrier groups, as a list or as text.
        Raises ValueError for an unknown verb or a date that is none.
        """
        values = values or {}
        with self._state.lock:
            order = self.order(order_id)
            numbers = self._numbers(order, values.get("numbers"))
            foc_date = _date(values.get("foc_date"))
            reason = str(values.get("reason") or "")
            life = self._life
            if verb == "next":
                if not life.step(order):
                    raise NotPossible("Nothing can move by itself now.")
            elif verb == "answer":
                life.answer(order)
            elif verb == "confirm":
                life.confirm(order, foc_date, numbers)
            elif verb == "reject":
                life.reject(order, reason, numbers)
            elif verb == "exclude":
                life.exclude(order, reason, numbers)
            elif verb == "note":
                life.note(order, str(values.get("note") or values.get("text") or ""))
            elif verb == "move-date":
                if foc_date is None:
                    raise NotPossible("Name the new date.")
                life.move_foc_date(order, foc_date, numbers)
            elif verb == "ready":
                life.make_ready(order, numbers)
            elif verb == "activate":
                life.activate(order, numbers)
            elif verb == "complete":
                life.complete(order)
            elif verb == "cancel":
                life.cancel(order)
            elif verb == "release":
                life.release(order)
            else:
                raise ValueError(f"There is no verb {verb!r}; there are {', '.join(VERBS)}.")
            return order

    # The sandbox as a whole

    def personality(self, preset: str | None = None, **switches: str) -> Personality:
        """Take another personality: a preset, single switches, or both; return the new one.

        Raises ValueError for a name or a value that does not exist.
        """
        with self._state.lock:
            start = Personality.preset(preset) if preset else self._state.personality
            self._state.personality = start.with_switches(switches)
            self._state.touch()
            return self._state.personality

    def zero_balance(self, on: bool = True) -> None:
        """Answer 402 to whatever costs money, or stop doing so."""
        with self._state.lock:
            self._state.zero_balance = on
            self._state.touch()

    def webhook_url(self, address: str | None) -> None:
        """Send webhooks here; None goes back to the address in the configuration.

        Raises ValueError for what is not an http address.
        """
        if address and not re.match(r"https?://[^\s/]+", address):
            raise ValueError("The webhook address must begin with http:// or https://.")
        with self._state.lock:
            self._state.webhook_url = address or None
            self._state.touch()

    def expire_tokens(self) -> None:
        """Make every access token invalid, as after an hour."""
        with self._state.lock:
            self._state.revoke_tokens()

    def calls(self) -> dict[str, int]:
        """Return how often each operation was called."""
        with self._state.lock:
            return dict(self._state.calls)

    def reset_calls(self) -> None:
        """Count calls from nought again."""
        with self._state.lock:
            self._state.calls.clear()

    def reset(self, *, demo: bool | None = None) -> None:
        """Forget orders, settings, faults and logs; `demo` says whether to fill in demo orders
        (as configured when not given)."""
        with self._state.lock:
            self._state.clear()
            self.faults.clear()
            self._sandbox.violations.clear()
            self._sandbox.answer_violations.clear()
            self._sandbox.webhooks.forget()
            self._sandbox.callbacks.forget()
            if self._sandbox.config.demo if demo is None else demo:
                self._sandbox.demo.fill()

    # What it looks like from outside

    def state_json(self) -> Json:
        """Return an overview: orders by status, personality, faults, counters."""
        with self._state.lock:
            by_status: dict[str, int] = {}
            for order in self._state.orders.values():
                by_status[order.status] = by_status.get(order.status, 0) + 1
            return {
                "projectId": self._sandbox.config.project_id,
                "speed": self._sandbox.config.speed,
                "orders": by_status,
                "personality": asdict(self._state.personality),
                "zeroBalance": self._state.zero_balance,
                "hasWebhookAddress": bool(self._sandbox.webhook_address()),
                "faults": self.faults.to_json(),
                "calls": dict(self._state.calls),
                "violations": len(self._sandbox.violations),
            }

    def order_json(self, order: Order, *, numbers: bool = True) -> Json:
        """Return an order as the control API shows it: no PINs, no addresses."""
        body: Json = {
            "id": order.id,
            "status": order.status,
            "customerOrderReference": order.reference,
            "endUser": order.end_user,
            "origin": order.origin,
            "held": order.held,
            "onDemandActivation": order.on_demand,
            "desiredPortDate": order.schedule.get("desiredPortDate"),
            "createdDate": order.created_at,
            "numberCount": len(order.numbers),
            "noteCount": len(order.notes),
            "documentCount": len(order.documents),
        }
        if numbers:
            body["phoneNumbers"] = [
                {
                    "phoneNumber": n.phone_number,
                    "status": n.status,
                    "carrier": n.carrier,
                    "phoneNumberGroup": n.group,
                    "focDate": n.foc_date,
                    "ready": bool(n.ready_at),
                    "reason": n.reject_reason or n.exclusion_reason,
                }
                for n in order.numbers
            ]
            body["notes"] = [{"note": n["note"], "createdBy": n["createdBy"]} for n in order.notes]
            body["documents"] = [{"documentName": d["documentName"]} for d in order.documents]
        return body

    @staticmethod
    def _numbers(order: Order, named: Any) -> list[Number] | None:
        """Return the numbers that are named, by number or by group; None when none is named."""
        if isinstance(named, str):
            # A group's name has blanks in it, so text is split at commas and line ends first.
            named = [part.strip() for part in re.split(r"[,;\n]", named) if part.strip()]
        names = list(named or ())
        if not names:
            return None
        chosen = [n for n in order.numbers if n.phone_number in names or n.group in names]
        known = {n.phone_number for n in chosen} | {n.group for n in chosen}
        if unknown := [name for name in names if name not in known]:
            raise NotPossible(f"{unknown[0]} is not in this order.")
        return chosen


def _date(value: Any) -> date | None:
    if not value:
        return None
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError("The date must be written like 2026-06-18.") from None
