"""What the verdict on a hosting order depends on: its state, numbers, writes and marks.

Plain values, no database; `hosting.sync` gathers them and `hosting.buckets` judges them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

from hosting import wire
from portal.work import marks, verdicts
from portal.work.marks import Decided, Mark
from portal.work.office import DEFAULT_ZONE, Calendar, countries_of, zone_named
from portal.work.verdicts import Write

DRAFT, SUBMITTED = "DRAFT", "SUBMITTED"
SIGNATURE, IN_PROGRESS = "WAITING_FOR_LOA_SIGNATURE", "IN_PROGRESS"
COMPLETED, REJECTED = "COMPLETED", "REJECTED"
FINISHED: Final = frozenset({COMPLETED, REJECTED})
CONFIRMED: Final = "confirmed"  # a mark: the customer's word about a number held elsewhere


@dataclass(frozen=True)
class Number:
    """What the verdict needs of a number; steps, errors and codes are by our columns.

    `since` is when this desk first saw its steps as they are.
    """

    phone_number: str
    steps: Mapping[str, str]
    since: datetime
    errors: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    failure_codes: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def verdict(self) -> str:
        """failed, done or pending."""
        return wire.verdict_of(self.steps.values())

    @property
    def failed_steps(self) -> list[str]:
        """The columns of the steps that failed."""
        return [step for step, state in self.steps.items() if state == wire.FAILED]

    @cached_property
    def is_held(self) -> bool:
        """Whether T-Mobile has it with another provider, in any state but done.

        The code says so in any of them, words alone only where the step failed.
        """
        if not self.errors:
            return False
        for step in wire.TMO:
            state, (code, said) = self.steps.get(step), self.errors.get(step, ("", ""))
            if state != wire.DONE and wire.is_held(code, said):
                return True
            if state == wire.FAILED and wire.ELSEWHERE.search(said):
                return True
        return False

    @property
    def fact(self) -> str:
        """The key under which staff decide about its failures as they are."""
        causes = [
            f"{step} {self.errors.get(step, ('', ''))} {self.failure_codes.get(step, '')}"
            for step in self.failed_steps
        ]
        return marks.key("hosted", self.phone_number, *causes, marks.instant(self.since))

    @property
    def held_fact(self) -> str:
        """The key under which the customer's word about T-Mobile is kept."""
        return held_fact(self.phone_number)


def held_fact(phone_number: str) -> str:
    """Return the key of a number's being held at T-Mobile."""
    return marks.key("held", phone_number)


@dataclass(frozen=True)
class Facts(Decided):
    """All that a verdict depends on. `progress_at` is when anything last moved."""

    status: str
    progress_at: datetime
    state_since: datetime
    order_type: str = ""
    is_toll_free: bool = False
    signer: str = ""
    signer_email: str = ""
    scheduled_at: datetime | None = None
    needs_signature: bool = False  # whether its kind of LOA has to be signed
    manual: int = 0  # numbers somebody at Sinch works on by hand
    report_since: datetime | None = None
    is_read: bool = True  # whether the numbers have been read at all
    default_zone: str = DEFAULT_ZONE
    days_off: frozenset[date] = frozenset()
    gone_at: datetime | None = None
    numbers: tuple[Number, ...] = ()
    writes: Sequence[Write] = ()
    marks: tuple[Mark, ...] = ()
    # Numbers that a later order moves over at T-Mobile: done, and still under way.
    migrated: frozenset[str] = frozenset()
    migrating: frozenset[str] = frozenset()

    @property
    def give_up(self) -> str:
        """What the button says when the customer never answers."""
        return verdicts.ASK_AGAIN

    @property
    def time_zone(self) -> ZoneInfo:
        """The project's zone, in which days are told."""
        return zone_named(self.default_zone)

    @cached_property
    def countries(self) -> tuple[str, ...]:
        """The countries of its numbers, whose holidays are no business days."""
        return countries_of(number.phone_number for number in self.numbers)

    @cached_property
    def office(self) -> Calendar:
        """The calendar in which our own clocks run."""
        return Calendar(self.time_zone, self.countries, self.days_off)

    def today(self, now: datetime) -> date:
        """The calendar day in the project's zone."""
        return now.astimezone(self.time_zone).date()

    @property
    def state_fact(self) -> str:
        """The key under which staff decide about its being in this state."""
        return state_fact(self.status, self.state_since)

    @property
    def is_living(self) -> bool:
        """Whether Sinch still works on it."""
        return self.status not in FINISHED and self.gone_at is None

    @property
    def is_unsigned(self) -> bool:
        """Whether nothing can run yet because its LOA is still to be signed."""
        if self.status == SIGNATURE:
            return True
        return self.needs_signature and self.status in (DRAFT, SUBMITTED)

    @cached_property
    def held(self) -> list[Number]:
        """Numbers held at T-Mobile that no finished order has moved over."""
        return [n for n in self.numbers if n.is_held and n.phone_number not in self.migrated]

    @property
    def moving(self) -> list[Number]:
        """Those of them that an order still under way moves over."""
        return [n for n in self.held if n.phone_number in self.migrating]

    @cached_property
    def pending(self) -> list[Number]:
        """Numbers whose steps are still open."""
        return [n for n in self.numbers if n.verdict == "pending"]


def state_fact(status: str, since: datetime) -> str:
    """Return the key of an order's being in a state since a moment."""
    return marks.key("state", status, marks.instant(since))
