"""What the activation page shows: each carrier group with its preconditions, and the outcome."""

import datetime
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Func, JSONField
from django.urls import reverse
from django.utils import timezone

from orders import actions_activation as actions
from orders.models import PortInOrder
from orders.page_numbers import Group, Numbers, live_since, live_time, zone_of
from portal import words
from portal.operations import heard
from portal.operations.models import Operation
from portal.work import clocks

# What an order goes without when it goes as a whole.
LEFT_BEHIND = ("REJECTED", "EXCLUDED", "CANCELED")


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
    tone: str = ""  # "us" for what is no precondition but worth a look
    link: str = ""  # where to look
    why: str = ""  # in a few words, what it means that it is not met


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
    is_due: bool = False  # its FOC date is today or earlier, or Sinch offers it without one

    @property
    def count(self) -> int:
        """How many numbers go live with it."""
        return len(self.numbers)

    @property
    def mark(self) -> str:
        """What the group is called in ids of the page, whatever Sinch named it."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:8]

    @property
    def why_not(self) -> str:
        """The first precondition that is open, in a few words; "" when it is ready."""
        return next((check.why for check in self.checks if not check.met), "")


@dataclass(frozen=True)
class Routing:
    """The numbers of an order that Sinch has a voice route for, and those with one for texts."""

    voice: frozenset[str] = frozenset()
    sms: frozenset[str] = frozenset()

    def check(self, numbers: list[str]) -> Check:
        """Return how many of these are routed; a precondition of nothing, but good to know."""
        total = len(numbers)
        voice, sms = self.voice.intersection(numbers), self.sms.intersection(numbers)
        if voice == sms:
            said = f"Voice and SMS routing set for {len(voice)} of {total}"
        else:
            said = f"Voice routing set for {len(voice)} of {total}, SMS for {len(sms)}"
        left = [
            f"{words.count_text(count, 'number')} will have {what}"
            for count, what in (
                (len(voice - sms), "voice only"),
                (len(sms - voice), "texts only"),
                (total - len(voice | sms), "neither voice nor texts"),
            )
            if count
        ]
        hint = f"Not required. {'; '.join(left)}." if left else ""
        return Check(True, said, hint=hint, tone="us" if left else "", link="#h-facts")


class _NumbersWith(Func):
    """The phone numbers of a payload of which a JSON path holds; read where they are stored."""

    function = "jsonb_path_query_array"
    template = "%(function)s(%(expressions)s, '$.phoneNumbers[*] ? (%(path)s).phoneNumber')"
    output_field = JSONField()


def routing_of(pks: Iterable[int]) -> dict[int, Routing]:
    """Return the routing of orders by their keys, in one statement that moves no payload.

    Nothing is greater than "" but a text: null, as Sinch may show it, only differs from it.
    """
    found = PortInOrder.objects.filter(pk__in=pks).order_by()
    rows = found.annotate(
        voice_numbers=_NumbersWith("payload", path='@.voiceConfiguration.type > ""'),
        sms_numbers=_NumbersWith("payload", path='@.smsConfiguration.smsAppId > ""'),
    ).values_list("pk", "voice_numbers", "sms_numbers")
    return {
        pk: Routing(frozenset(map(str, voice)), frozenset(map(str, sms))) for pk, voice, sms in rows
    }


def choices_of(
    order: PortInOrder,
    groups: Iterable[Group],
    running: list[Any],
    routing: Routing | None = None,
) -> list[Choice]:
    """Return each carrier group with its preconditions, ready ones first."""
    unsettled = actions.unsettled(running)
    running = [operation for operation in running if operation not in unsettled]
    today, taken = actions.today_there(order), actions.taken_groups(order, running)
    stopped = actions.taken_groups(order, unsettled)
    rows = [(row, group.name) for group in groups for row in group.rows]
    by_number = {row["phone_number"]: row for row, _ in rows}
    carrier = {row["phone_number"]: name for row, name in rows}
    routing = routing or Routing()
    asked = f"asked {words.age_text(order.offered_at)}" if order.offered_at else "not asked yet"
    choices, covered = [], set()
    for group in order.offered_groups:
        key = str(group["key"])
        listed = [str(number) for number in group.get("numbers") or ()] or [
            row["phone_number"] for row, _ in rows if row["group"] == key
        ]
        covered |= set(listed)
        if listed and all(
            by_number.get(number, {}).get("status") == "ACTIVATED" for number in listed
        ):
            continue
        foc = actions.group_date(group) or next(
            (by_number[n]["foc_date"] for n in listed if n in by_number), None
        )
        due = foc is None or foc <= today
        under_way = key in taken
        names = sorted({carrier[n] for n in listed if n in carrier}) or [key]
        checks = [
            *_order_checks(order),
            _date_check(foc, due, today),
            Check(True, "Sinch offers this group", asked),
            Check(
                not under_way,
                "No activation of it is under way",
                hint="One is; each number counts as live when Sinch says so." if under_way else "",
                why="An activation of it is under way.",
            ),
            routing.check(listed),
        ]
        if key in stopped:
            checks.append(
                Check(
                    False,
                    "Nobody knows whether an earlier activation was done",
                    hint=actions.UNSETTLED,
                    why="An earlier activation may have been done; try that one again.",
                )
            )
        choices.append(
            Choice(
                key=key,
                title=f"{', '.join(names)}, {words.count_text(len(listed), 'number')}",
                hint=_foc_hint(order, foc, today),
                numbers=listed,
                checks=checks,
                ready=all(check.met for check in checks),
                under_way=under_way,
                is_due=due,
            )
        )
    whole = any(not (operation.sends or {}).get("groups") for operation in running)
    for named in groups:
        waiting = [
            row
            for row in named.rows
            if row["phone_number"] not in covered and row["status"] in actions.WAITING
        ]
        if not waiting:
            continue
        foc = next((row["foc_date"] for row in waiting if row["foc_date"]), None)
        due = foc is not None and foc <= today
        checks = [
            *_order_checks(order),
            _date_check(foc, due, today),
            Check(
                False,
                "Sinch offers this group",
                f"not yet, {asked}" if order.offered_at else asked,
                why=f"Sinch does not offer it yet, {asked}.",
            ),
        ]
        choices.append(
            Choice(
                key="",
                title=f"{named.name}, {words.count_text(len(waiting), 'number')}",
                hint=_foc_hint(order, foc, today),
                numbers=[row["phone_number"] for row in waiting],
                checks=checks,
                ready=False,
                under_way=whole,
                is_due=due,
            )
        )
    return sorted(choices, key=lambda choice: not choice.ready)


def _order_checks(order: PortInOrder) -> list[Check]:
    confirmed = order.status == PortInOrder.Status.CONFIRMED
    return [
        Check(order.on_demand_activation, "On-demand order", why="It is no on-demand order."),
        Check(confirmed, "Order confirmed and locked", why="The order is not confirmed."),
    ]


def contact_of(order: Any) -> tuple[str, str]:
    """Return who signed for the numbers, and the number of the account, as far as Sinch has them.

    `order.first_number` is the first entry of the payload, as `page.load` brings it.
    """
    first = order.first_number if isinstance(order.first_number, dict) else {}
    out = first.get("portOutInfo")
    out = out if isinstance(out, dict) else {}
    return str(out.get("authorizingName") or ""), str(out.get("accountPhoneNumber") or "")


def clock_of(order: PortInOrder) -> clocks.Clock | None:
    """Return the clock of an order that can be activated; None when none runs."""
    ready = next((r for r in order.item.reasons if r.get("code") == "READY"), None)
    return clocks.clock_of(ready)


@dataclass(frozen=True)
class Alarm:
    """That numbers of an order should be live and are not; what to do is a link."""

    title: str
    text: str
    url: str
    action: str


def alarm_of(order: PortInOrder) -> Alarm | None:
    """Return the alarm of an order whose FOC date passed with numbers waiting; else None.

    It stops when they are live, or when somebody has settled the reason.
    """
    item, today = order.item, actions.today_there(order)
    late = next((r for r in item.reasons if r.get("code") == "P2"), None)
    is_ready = item.bucket == item.Bucket.READY
    is_over = item.foc_date is not None and item.foc_date < today
    if late is None and not (is_ready and is_over):
        return None
    if is_over and item.foc_date:
        days = words.count_text((today - item.foc_date).days, "day")
        title = f"The FOC date, {words.day_text(item.foc_date, today)}, passed {days} ago"
    else:
        title = "Numbers should be live and are not"
    text = str(late["text"]) if late else "Numbers wait for our activation; the customer may notice"
    if is_ready:
        return Alarm(title, f"{text}.", reverse("orders:activate", args=[order.pk]), "Activate")
    return Alarm(title, f"{text}.", f"{order.get_absolute_url()}#composer", "Ask Sinch")


def may_go_whole(choices: list[Choice]) -> bool:
    """Tell whether the order can go as a whole: all of several groups are ready."""
    return len(choices) > 1 and all(choice.ready for choice in choices)


def _date_check(foc: datetime.date | None, due: bool, today: datetime.date) -> Check:
    if foc is None:
        aside = "" if due else "no date yet"
        return Check(due, "FOC date is today or earlier", aside, why="It has no FOC date yet.")
    days = (foc - today).days
    if due:
        return Check(True, "FOC date is today or earlier", words.day_text(foc))
    return Check(
        False,
        "FOC date is today or earlier",
        f"in {words.count_text(days, 'day')}",
        f"Come back on {words.day_text(foc)}.",
        why=f"Its FOC date is {words.day_text(foc)}; not before.",
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

    @property
    def parts(self) -> list[tuple[str, int]]:
        """The bar: what is live, what waits."""
        return [("done", self.live), ("date", len(self.rows) - self.live)]


def outcome_of(order: PortInOrder, numbers: Numbers) -> Outcome | None:
    """Return the newest activation that Sinch accepted and its numbers; two statements at most."""
    operation = (
        Operation.objects.filter(
            target=order.target, kind=actions.ACTIVATE, state=Operation.State.SUCCEEDED
        )
        .defer("payload")
        .annotate(sends=heard.SENDS)
        .order_by("-pk")
        .first()
    )
    if operation is None:
        return None
    asked = {
        str(number)
        for group in (operation.sends or {}).get("groups") or ()
        for number in group.get("numbers") or ()
    }
    accepted = operation.finished_at or timezone.now()
    rows = [
        (row["phone_number"], row["status"], live_since(row) or live_time(row, accepted))
        for group in numbers.groups
        for row in group.rows
        if (row["phone_number"] in asked if asked else row["status"] not in LEFT_BEHIND)
    ]
    live = sum(status == "ACTIVATED" for _, status, _ in rows)
    age = timezone.now() - (operation.finished_at or timezone.now())
    minutes = int(age.total_seconds() // 60)
    if minutes < 60:
        waits = f"{minutes} min, up to 1 h is normal"
    else:
        waits = f"{words.count_text(minutes // 60, 'hour')}; ask Sinch by note"
    return Outcome(operation, rows, live, waits)
