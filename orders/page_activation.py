"""What the activation page shows: each carrier group with its preconditions, and the outcome."""

import datetime
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from orders import actions_order as actions
from orders.models import PortInOrder
from orders.page_numbers import Numbers, live_time, zone_of
from portal import words
from portal.operations.models import Operation


def offered_count(order: PortInOrder) -> int:
    """Return how many numbers Sinch offers for activation and are due."""
    today = actions.today_there(order)
    return sum(
        len(group.get("numbers") or ())
        for group in order.offered_groups
        if (actions.group_date(group) or today) <= today
    )


@dataclass
class Check:
    """One precondition, met or not."""

    met: bool
    text: str
    aside: str = ""
    hint: str = ""
    tone: str = ""


@dataclass
class Choice:
    """A carrier group on the activation page: may it be activated, and why not."""

    key: str
    title: str
    hint: str
    numbers: list[str]
    checks: list[Check]
    ready: bool
    under_way: bool = False

    @property
    def count(self) -> int:
        """How many numbers go live with it."""
        return len(self.numbers)


def choices_of(order: Any, numbers: Numbers, running: list[Operation]) -> list[Choice]:
    """Return each carrier group with its preconditions, ready ones first."""
    today, taken = actions.today_there(order), actions.taken_groups(order, running)
    by_number = {row["phone_number"]: row for group in numbers.groups for row in group.rows}
    carrier = {row["phone_number"]: group.name for group in numbers.groups for row in group.rows}
    confirmed = order.status == PortInOrder.Status.CONFIRMED
    asked = words.age_text(order.offered_at) if order.offered_at else "not asked yet"
    choices, covered = [], set()
    for group in order.offered_groups:
        listed = [str(number) for number in group.get("numbers") or ()]
        covered |= set(listed)
        if listed and all(
            by_number.get(number, {}).get("status") == "ACTIVATED" for number in listed
        ):
            continue
        foc = actions.group_date(group) or next(
            (by_number[n]["foc_date"] for n in listed if n in by_number), None
        )
        due = foc is None or foc <= today
        under_way = str(group["key"]) in taken
        names = sorted({carrier[n] for n in listed if n in carrier}) or [str(group["key"])]
        checks = [
            Check(order.on_demand_activation, "On-demand order"),
            Check(confirmed, "Order confirmed and locked"),
            _date_check(foc, due, today),
            Check(True, "Sinch offers this group", f"asked {asked}"),
            Check(
                not under_way,
                "No activation of it is under way",
                hint="One is; each number counts as live when Sinch says so." if under_way else "",
            ),
        ]
        choices.append(
            Choice(
                key=str(group["key"]),
                title=f"{', '.join(names)}, {words.count_text(len(listed), 'number')}",
                hint=_foc_hint(order, foc, today),
                numbers=listed,
                checks=checks,
                ready=all(check.met for check in checks),
                under_way=under_way,
            )
        )
    for group in numbers.groups:
        waiting = [
            row
            for row in group.rows
            if row["phone_number"] not in covered and row["status"] in ("CONFIRMED", "PENDING")
        ]
        if not waiting:
            continue
        foc = next((row["foc_date"] for row in waiting if row["foc_date"]), None)
        due = foc is not None and foc <= today
        checks = [
            Check(order.on_demand_activation, "On-demand order"),
            Check(confirmed, "Order confirmed and locked"),
            _date_check(foc, due, today),
            Check(False, "Sinch offers this group", "not yet" if order.offered_at else asked),
        ]
        choices.append(
            Choice(
                key="",
                title=f"{group.name}, {words.count_text(len(waiting), 'number')}",
                hint=_foc_hint(order, foc, today),
                numbers=[row["phone_number"] for row in waiting],
                checks=checks,
                ready=False,
            )
        )
    return sorted(choices, key=lambda choice: not choice.ready)


def _date_check(foc: datetime.date | None, due: bool, today: datetime.date) -> Check:
    if foc is None:
        return Check(due, "FOC date is today or earlier", "" if due else "no date yet")
    days = (foc - today).days
    if due:
        return Check(True, "FOC date is today or earlier", words.day_text(foc))
    return Check(
        False,
        "FOC date is today or earlier",
        f"in {words.count_text(days, 'day')}",
        f"Come back on {words.day_text(foc)}.",
    )


def _foc_hint(order: PortInOrder, foc: datetime.date | None, today: datetime.date) -> str:
    if foc is None:
        return "No FOC date yet"
    when = words.port_moment_text(foc, order.desired_port_time, zone_of(order))
    return f"FOC today, {when}" if foc == today else f"FOC {when}"


@dataclass
class Outcome:
    """What became of the newest activation, number by number."""

    operation: Operation
    rows: list[tuple[str, str, str]]  # number, status, since
    live: int
    waits: str


def outcome_of(order: PortInOrder, numbers: Numbers) -> Outcome | None:
    """Return the newest activation that Sinch accepted and its numbers; two statements at most."""
    operation = (
        Operation.objects.filter(
            target=order.target, kind="port_in.activate", state=Operation.State.SUCCEEDED
        )
        .order_by("-pk")
        .first()
    )
    if operation is None:
        return None
    asked = {
        str(number)
        for group in operation.payload.get("groups") or ()
        for number in group.get("numbers") or ()
    }
    accepted = operation.finished_at or timezone.now()
    rows = [
        (row["phone_number"], row["status"], row["since"] or live_time(row, accepted))
        for group in numbers.groups
        for row in group.rows
        if not asked or row["phone_number"] in asked
    ]
    live = sum(status == "ACTIVATED" for _, status, _ in rows)
    age = timezone.now() - (operation.finished_at or timezone.now())
    minutes = int(age.total_seconds() // 60)
    if minutes < 60:
        waits = f"{minutes} min, up to 1 h is normal"
    else:
        waits = f"{words.count_text(minutes // 60, 'hour')}; ask Sinch by note"
    return Outcome(operation, rows, live, waits)
