"""What Sinch said about whether numbers can move, one by one or added up.

The numbers of a file are added up by the database: its 20,000 rows cost one statement, and what
comes back are as many groups as there are carriers and area codes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db.models import (
    BooleanField,
    Count,
    Exists,
    ExpressionWrapper,
    Min,
    OuterRef,
    Q,
    QuerySet,
)
from django.db.models.functions import Substr
from django.utils import timezone

from orders.models import ListRows, PortabilityResult
from portal.accounts.models import SinchProject
from portal.numbers import is_canadian

CHECK_HOLDS = timedelta(hours=24)  # an older portability answer is asked for again

UNKNOWN: Final = ""  # the losing carrier of numbers that Sinch has not named one for


@dataclass(frozen=True)
class Check:
    """What Sinch last said about a number; `portable` None while it was never asked."""

    number: str
    portable: bool | None = None
    carrier: str = ""
    reason: str = ""
    checked_at: datetime | None = None

    @property
    def is_old(self) -> bool:
        """Whether the answer is too old to send an order on."""
        return self.checked_at is not None and self.checked_at < timezone.now() - CHECK_HOLDS

    @property
    def holds(self) -> bool:
        """Whether there is an answer that is not too old."""
        return self.portable is not None and not self.is_old


@dataclass
class Carrier:
    """The numbers of one losing carrier, counted; `name` is "" where nobody has said."""

    name: str
    portable: int = 0
    gone: int = 0  # cannot move
    old: int = 0  # answered too long ago
    unasked: int = 0
    canadian: int = 0  # of those that are not known to stay

    @property
    def going(self) -> int:
        """How many go into an order: all but those that cannot move."""
        return self.portable + self.old + self.unasked

    @property
    def unchecked(self) -> int:
        """How many Sinch has to be asked about, the first time or again."""
        return self.old + self.unasked


@dataclass
class Verdicts:
    """The answers about all numbers of a draft, added up; `asked_at` is the oldest one's age."""

    asked_at: datetime | None = None
    carriers: list[Carrier] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many numbers there are."""
        return self.going + self.gone

    @property
    def going(self) -> int:
        """How many go into an order as things stand."""
        return sum(carrier.going for carrier in self.carriers)

    @property
    def portable(self) -> int:
        """How many can move."""
        return sum(carrier.portable for carrier in self.carriers)

    @property
    def gone(self) -> int:
        """How many cannot."""
        return sum(carrier.gone for carrier in self.carriers)

    @property
    def old(self) -> int:
        """How many answers are too old."""
        return sum(carrier.old for carrier in self.carriers)

    @property
    def unasked(self) -> int:
        """How many numbers Sinch was never asked about."""
        return sum(carrier.unasked for carrier in self.carriers)

    @property
    def unchecked(self) -> int:
        """How many numbers Sinch has to be asked about, the first time or again."""
        return self.old + self.unasked

    @property
    def moving(self) -> list[Carrier]:
        """The losing carriers of what goes into orders, most numbers first, the unknown last."""
        return [carrier for carrier in self.by_size if carrier.going]

    @property
    def by_size(self) -> list[Carrier]:
        """All losing carriers, most numbers to go first, the unknown last."""
        return sorted(self.carriers, key=lambda c: (c.name == UNKNOWN, -c.going, c.name))


def verdicts_of(checks: Sequence[Check]) -> Verdicts:
    """Add up what was said about single numbers."""
    by_name: dict[str, Carrier] = {}
    for check in checks:
        carrier = by_name.setdefault(check.carrier, Carrier(check.carrier))
        _count(carrier, check.portable, check.is_old, is_canadian(check.number), 1)
    asked_at = min((c.checked_at for c in checks if c.checked_at), default=None)
    return Verdicts(asked_at, list(by_name.values()))


def verdicts_of_rows(project: SinchProject, rows: ListRows) -> Verdicts:
    """Add up what was said about the numbers of a file; two statements, however many rows."""
    is_old = ExpressionWrapper(
        Q(checked_at__lt=timezone.now() - CHECK_HOLDS), output_field=BooleanField()
    )
    groups = (
        PortabilityResult.objects.filter(project=project, phone_number__in=rows.values("number"))
        .values("carrier", "portable", is_old=is_old, code=Substr("phone_number", 3, 3))
        .annotate(count=Count("pk"), first=Min("checked_at"))
        .order_by()
    )
    by_name: dict[str, Carrier] = {}
    asked_at: datetime | None = None
    codes: dict[str, int] = {}
    for group in groups:
        carrier = by_name.setdefault(group["carrier"], Carrier(group["carrier"]))
        code, count = group["code"], group["count"]
        _count(carrier, group["portable"], group["is_old"], _is_canadian_code(code), count)
        codes[code] = codes.get(code, 0) + count
        asked_at = group["first"] if asked_at is None else min(asked_at, group["first"])
    all_codes = (
        rows.order_by()
        .values(code=Substr("number", 3, 3))
        .annotate(count=Count("pk"))
        .values_list("code", "count")
    )
    for code, count in all_codes:
        if unasked := count - codes.get(code, 0):
            carrier = by_name.setdefault(UNKNOWN, Carrier(UNKNOWN))
            _count(carrier, None, False, _is_canadian_code(code), unasked)
    return Verdicts(asked_at, list(by_name.values()))


def _count(
    carrier: Carrier, portable: bool | None, is_old: bool, canadian: bool, count: int
) -> None:
    if portable is None:
        carrier.unasked += count
    elif is_old:
        carrier.old += count
    elif portable:
        carrier.portable += count
    else:
        carrier.gone += count
        return
    carrier.canadian += count if canadian else 0


def _is_canadian_code(code: str) -> bool:
    return is_canadian(f"+1{code}5550100")


def checks_of(project: SinchProject, numbers: Sequence[str]) -> list[Check]:
    """Return what Sinch said about each number, in the order of the list."""
    found = {
        row.phone_number: row
        for row in PortabilityResult.objects.filter(project=project, phone_number__in=numbers)
    }
    return [
        Check(n, row.portable, row.carrier, row.reason, row.checked_at)
        if (row := found.get(n))
        else Check(n)
        for n in numbers
    ]


def gone_results(project: SinchProject) -> QuerySet[PortabilityResult]:
    """Return the answers that hold and say that a number cannot move."""
    since = timezone.now() - CHECK_HOLDS
    return PortabilityResult.objects.filter(project=project, portable=False, checked_at__gte=since)


def checks_of_rows_gone(project: SinchProject, rows: ListRows, most: int | None) -> list[Check]:
    """Return the numbers of a file that cannot move, at most so many; None for all."""
    found = gone_results(project).filter(phone_number__in=rows.values("number"))
    return [
        Check(row.phone_number, row.portable, row.carrier, row.reason, row.checked_at)
        for row in found.order_by("phone_number")[:most]
    ]


def numbers_to_ask(project: SinchProject, rows: ListRows) -> list[str]:
    """Return the numbers of a file that Sinch has to be asked about, in the order of the file."""
    holding = PortabilityResult.objects.filter(
        project=project, checked_at__gte=timezone.now() - CHECK_HOLDS
    )
    unchecked = rows.filter(~Exists(holding.filter(phone_number=OuterRef("number"))))
    return list(unchecked.order_by("position").values_list("number", flat=True))
