"""The life of an order: what carriers answer, when numbers go live, and who is told.

One step moves one order by one thing that would happen at Sinch:

1. a canceled order passes from PENDING_CANCELATION to CANCELED;
2. an accepted activation is carried out;
3. one carrier group gets its answer: confirmed with a FOC date, rejected, or excluded, by the
   rules in `portal.sandbox.rules`;
4. when no number waits any more, the order becomes CONFIRMED; one with refused numbers first
   waits some steps for a correction;
5. on the FOC date an automatic order goes live, an on-demand one is offered for activation;
6. when nothing is left to move, the order is COMPLETED.

Every change is told by webhook. Callers hold the state's lock.
"""

import random
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from portal.sandbox.clock import (
    Clock,
    add_business_days,
    iso_instant,
    parse_instant,
    today_in,
)
from portal.sandbox.config import SandboxConfig
from portal.sandbox.rules import FATES, fate_of, value_at
from portal.sandbox.state import (
    ACTIVATED,
    CANCELED,
    COMPLETED,
    CONFIRMED,
    EXCLUDED,
    LIVING,
    PENDING,
    PENDING_CANCELATION,
    REJECTED,
    Number,
    Order,
    State,
)

SINCH = "Sinch"
SYSTEM = "system"
DAYS_TO_FOC = 2
DEFAULT_ACTIVATION_SECONDS = 2.0
# What the demo's Sinch writes now and then about an order that waits.
CHATTER = (
    "The losing carrier asks for a copy of the latest bill. Please attach it or answer here.",
    "Please confirm the service address as it stands on the bill.",
    "The losing carrier has received the request and is checking the account.",
    "Is the alarm line part of this move?",
)


class NotPossible(Exception):
    """A verb does not fit the order as it stands; the message says why."""


class Emit(Protocol):
    """Tells the world of an event."""

    def __call__(
        self,
        name: str,
        order: Order,
        *,
        numbers: list[Number] | None = None,
        note: str | None = None,
    ) -> None: ...


class Life:
    """Moves orders along, by itself or by hand."""

    def __init__(self, state: State, config: SandboxConfig, emit: Emit) -> None:
        self._state = state
        self._config = config
        self._clock: Clock = config.clock
        self._emit = emit
        self._random = random.Random(config.random_seed)  # noqa: S311 - nothing secret
        self._next_demo: datetime | None = None
        self._demo_steps = 0
        self._due: dict[int, datetime] = {}
        self.spawn: Callable[[], Order | None] = lambda: None

    # What happens by itself

    def tick(self) -> None:
        """Do what is due now: activations, and steps when the sandbox lives by itself."""
        with self._state.lock:
            now = self._clock.now()
            living = [o for o in self._state.orders.values() if o.status in LIVING]
            for order in living:
                if self._activation_is_due(order, now):
                    self._finish_activation(order)
            if self._config.speed <= 0:
                return
            pace = timedelta(seconds=self._config.speed)
            for order in living:
                if order.origin == "demo":
                    continue
                due = self._due.setdefault(order.id, parse_instant(order.created_at) + pace)
                if now >= due:
                    self._due[order.id] = now + pace
                    self.step(order)
            self._demo_tick(living, now, pace)

    def _demo_tick(self, living: list[Order], now: datetime, pace: timedelta) -> None:
        """Move one demo order at random, and now and then let a note or a new order come."""
        if not self._config.demo:
            return
        if self._next_demo is None or now < self._next_demo:
            self._next_demo = self._next_demo or now + pace
            return
        self._next_demo = now + pace
        self._demo_steps += 1
        # Few and far between: the desk is to look alive, not to run away.
        if self._demo_steps % 13 == 0 and self.spawn():
            return
        demo = [o for o in living if o.origin == "demo"]
        self._random.shuffle(demo)
        if self._demo_steps % 9 == 0:
            for order in demo:
                if order.status == PENDING and len(order.notes) < 3:
                    self.note(order, self._random.choice(CHATTER))
                    return
        for order in demo:
            if self.step(order):
                return

    # One step

    def step(self, order: Order) -> bool:
        """Move an order by one thing; return whether anything moved."""
        if order.held:
            return False
        if order.status == PENDING_CANCELATION:
            self._end(order)
            return True
        if order.status not in {PENDING, CONFIRMED}:
            return False
        if any(n.activating_at for n in order.numbers):
            self._finish_activation(order)
            return True
        if waiting := order.in_status(PENDING):
            group = waiting[0].group
            self.answer(order, [n for n in waiting if n.group == group])
            return True
        if order.status == PENDING:
            return self._settle(order)
        return self._on_foc_date(order)

    def _settle(self, order: Order) -> bool:
        """Lock an order that waits for no number any more, or end it when none is left."""
        if order.in_status(REJECTED):
            order.waited += 1
            if order.waited <= self._config.reject_patience or not order.in_status(CONFIRMED):
                self._state.touch()
                return False
        if order.in_status(CONFIRMED):
            order.status = CONFIRMED
            self._told(order)
        else:
            self._end(order)
        return True

    def _on_foc_date(self, order: Order) -> bool:
        today = self.today(order)
        due = [n for n in order.in_status(CONFIRMED) if n.foc_date and n.foc_date <= str(today)]
        if order.on_demand:
            due = [n for n in due if not n.ready_at]
        if due:
            group = due[0].group
            numbers = [n for n in due if n.group == group]
            if order.on_demand:
                self._offer(order, numbers)
            else:
                self._go_live(order, numbers, SYSTEM)
            return True
        if not order.in_status(CONFIRMED, PENDING):
            order.status = COMPLETED
            self._told(order)
            return True
        return False

    # The verbs

    def answer(self, order: Order, numbers: list[Number] | None = None) -> None:
        """Give carriers' answers by the number rules; without `numbers` to all that wait."""
        self._need(order, PENDING, CONFIRMED)
        numbers = order.in_status(PENDING) if numbers is None else numbers
        if not numbers:
            raise NotPossible("No number waits for an answer.")
        foc_date = self.foc_date(order)
        confirmed, rejected = [], []
        for number in numbers:
            fate = fate_of(number.phone_number, number.details, number.refused)
            if fate.outcome == "reject":
                self._reject(number, fate.reason, value_at(number.details, fate.corrected_by))
                rejected.append(number)
            elif fate.outcome == "exclude":
                self._exclude(number, fate.reason)
            else:
                self._confirm(number, foc_date)
                if fate.excluded_feature:
                    number.excluded_features = [
                        {"featureName": fate.excluded_feature, "exclusionReason": fate.reason}
                    ]
                confirmed.append(number)
        self._told(order, confirmed=confirmed, rejected=rejected)

    def confirm(
        self, order: Order, foc_date: date | None = None, numbers: list[Number] | None = None
    ) -> None:
        """Confirm numbers for a date (today when not given), whatever their digits say.

        Without `numbers` all that wait; named ones may be rejected ones too. The order becomes
        CONFIRMED when no number waits any more.
        """
        self._need(order, PENDING, CONFIRMED)
        chosen = order.in_status(PENDING) if numbers is None else numbers
        chosen = [n for n in chosen if n.status in {PENDING, REJECTED}]
        settled = order.status == PENDING and not order.in_status(PENDING)
        if not chosen and not (settled and order.in_status(CONFIRMED)):
            raise NotPossible("No number waits to be confirmed.")
        day = foc_date or self.today(order)
        for number in chosen:
            self._confirm(number, day)
        if not order.in_status(PENDING):
            order.status = CONFIRMED
        self._told(order, confirmed=chosen)

    def reject(self, order: Order, reason: str = "", numbers: list[Number] | None = None) -> None:
        """Reject numbers, without `numbers` all that wait; a carrier may also back out of
        confirmed ones that are named."""
        self._need(order, PENDING, CONFIRMED)
        chosen = self._choose(order, numbers, PENDING, CONFIRMED)
        fates = {fate.reason: fate for fate in FATES}
        reason = reason or FATES[0].reason
        for number in chosen:
            fate = fates.get(reason)
            value = value_at(number.details, fate.corrected_by) if fate else ""
            self._reject(number, reason, value)
        self._told(order, rejected=chosen)

    def exclude(self, order: Order, reason: str = "", numbers: list[Number] | None = None) -> None:
        """Take numbers out of the order; without `numbers` the first that waits."""
        self._need(order, PENDING, CONFIRMED)
        chosen = self._choose(order, numbers, PENDING, CONFIRMED, REJECTED)
        for number in chosen if numbers else chosen[:1]:
            self._exclude(number, reason or "Number not on account")
        self._told(order)

    def note(self, order: Order, text: str, by: str = SINCH) -> dict[str, Any]:
        """Add a note to the order and tell of it."""
        if not text.strip():
            raise NotPossible("A note needs a text.")
        note = self._state.add_note(order, text, by=by, now=self._clock.now())
        self._emit("NEW_ORDER_NOTE", order, note=text)
        return note

    def move_foc_date(
        self, order: Order, foc_date: date, numbers: list[Number] | None = None
    ) -> None:
        """Let the carrier choose another date for confirmed numbers."""
        self._need(order, PENDING, CONFIRMED)
        for number in self._choose(order, numbers, CONFIRMED):
            number.foc_date = foc_date.isoformat()
            number.ready_at = None
        self._told(order, confirmed=self._choose(order, numbers, CONFIRMED))

    def make_ready(self, order: Order, numbers: list[Number] | None = None) -> None:
        """Bring the FOC date forward to today; an on-demand order is offered for activation.

        What still waits is confirmed first.
        """
        self._need(order, PENDING, CONFIRMED)
        today = self.today(order)
        if order.status == PENDING:
            self.confirm(order, today)
        chosen = self._choose(order, numbers, CONFIRMED)
        for number in chosen:
            number.foc_date = min(number.foc_date or str(today), str(today))
        self._offer(order, chosen)

    def activate(self, order: Order, numbers: list[Number] | None = None) -> None:
        """Make confirmed numbers live at once."""
        self._need(order, CONFIRMED)
        self._go_live(order, self._choose(order, numbers, CONFIRMED), SYSTEM)

    def complete(self, order: Order) -> None:
        """Bring an order to its end: everything that can go live does."""
        self._need(order, PENDING, CONFIRMED)
        if order.in_status(PENDING) or order.status == PENDING:
            self.confirm(order)
        if order.in_status(CONFIRMED):
            self._go_live(order, order.in_status(CONFIRMED), SYSTEM)
        order.status = COMPLETED
        self._told(order)

    def cancel(self, order: Order) -> None:
        """End an order as Sinch's own staff would."""
        self._need(order, *LIVING)
        self._end(order)

    def ask_cancel(self, order: Order) -> None:
        """Begin what a customer's cancel begins; straight to CANCELED where the personality
        knows no PENDING_CANCELATION."""
        if self._state.personality.cancelation == "straight":
            self._end(order)
        else:
            order.status = PENDING_CANCELATION
            self._told(order)

    def begin_activation(self, order: Order, numbers: Iterable[Number], by: str) -> None:
        """Accept an activation; the numbers go live a moment later."""
        now = iso_instant(self._clock.now())
        for number in numbers:
            number.activating_at = now
            number.activate_user = by
        self._state.touch()

    def release(self, order: Order) -> None:
        """Let an order that was held move by itself again."""
        order.held = False
        self._state.touch()

    # Questions

    def today(self, order: Order) -> date:
        """Return the calendar day in the order's zone."""
        return today_in(order.zone, self._clock.now())

    def foc_date(self, order: Order) -> date:
        """Return the date the carrier will agree to: the one asked for, or two working days on."""
        today = self.today(order)
        if self._config.days_compressed:
            return today
        earliest = add_business_days(today, DAYS_TO_FOC)
        asked = date.fromisoformat(order.schedule["desiredPortDate"][:10])
        return max(asked, earliest)

    def ready_groups(self, order: Order) -> dict[str, list[Number]]:
        """Return the groups that can be activated now, by name."""
        today = str(self.today(order))
        groups: dict[str, list[Number]] = {}
        if order.status != CONFIRMED or not order.on_demand:
            return groups
        for number in order.in_status(CONFIRMED):
            offered = number.ready_at and number.foc_date and number.foc_date <= today
            if offered and not number.activating_at:
                groups.setdefault(number.group, []).append(number)
        return groups

    # The small moves

    def _confirm(self, number: Number, day: date) -> None:
        number.status = CONFIRMED
        number.foc_date = day.isoformat()
        number.confirmed_at = iso_instant(self._clock.now())
        number.reject_reason = ""
        number.excluded_at = None

    def _reject(self, number: Number, reason: str, refused_value: str) -> None:
        number.status = REJECTED
        number.reject_reason = reason
        number.foc_date = number.confirmed_at = number.ready_at = None
        number.excluded_at = iso_instant(self._clock.now())
        if refused_value and refused_value not in number.refused:
            number.refused.append(refused_value)

    def _exclude(self, number: Number, reason: str) -> None:
        number.status = EXCLUDED
        number.exclusion_reason = reason
        number.foc_date = number.confirmed_at = number.ready_at = None
        number.excluded_at = iso_instant(self._clock.now())

    def _offer(self, order: Order, numbers: list[Number]) -> None:
        if not numbers:
            raise NotPossible("No confirmed number can be made ready.")
        if order.on_demand:
            for number in numbers:
                number.ready_at = iso_instant(self._clock.now())
        # Sinch announces a number a second time when it can be activated.
        self._told(order, confirmed=numbers)

    def _go_live(self, order: Order, numbers: list[Number], by: str) -> None:
        if not numbers:
            raise NotPossible("No confirmed number can go live.")
        for number in numbers:
            number.status = ACTIVATED
            number.activated_at = iso_instant(self._clock.now())
            number.activate_user = number.activate_user or by
            number.activating_at = None
        self._told(order, activated=numbers)

    def _activation_is_due(self, order: Order, now: datetime) -> bool:
        seconds = self._config.activation_seconds
        if seconds is None:
            if self._config.speed <= 0:
                return False
            seconds = min(self._config.speed, DEFAULT_ACTIVATION_SECONDS)
        return any(
            n.activating_at and (now - parse_instant(n.activating_at)).total_seconds() >= seconds
            for n in order.numbers
        )

    def _finish_activation(self, order: Order) -> None:
        self._go_live(order, [n for n in order.numbers if n.activating_at], SYSTEM)
        if not order.in_status(CONFIRMED, PENDING):
            order.status = COMPLETED
            self._told(order)

    def _end(self, order: Order) -> None:
        order.status = CANCELED
        for number in order.in_status(PENDING, CONFIRMED, REJECTED):
            number.status = CANCELED
            number.activating_at = number.ready_at = None
        self._told(order)

    def _told(
        self,
        order: Order,
        *,
        confirmed: list[Number] | None = None,
        rejected: list[Number] | None = None,
        activated: list[Number] | None = None,
    ) -> None:
        """Tell of a change: first of the numbers it is about, then of the order."""
        self._state.touch()
        if confirmed:
            self._emit("NUMBERS_CONFIRMED", order, numbers=confirmed)
        if rejected:
            self._emit("NUMBERS_REJECTED", order, numbers=rejected)
        if activated:
            self._emit("NUMBERS_ACTIVATED", order, numbers=activated)
        self._emit("ORDER_UPDATED", order)

    @staticmethod
    def _need(order: Order, *statuses: str) -> None:
        if order.status not in statuses:
            raise NotPossible(f"The order is {order.status}.")

    @staticmethod
    def _choose(order: Order, numbers: list[Number] | None, *statuses: str) -> list[Number]:
        """Return the named numbers that fit; unnamed, those in the first status that has any."""
        if numbers is not None:
            chosen = [n for n in numbers if n.status in statuses]
        else:
            chosen = order.in_status(statuses[0])
        if not chosen:
            raise NotPossible(f"No such number is {' or '.join(statuses)}.")
        return chosen
