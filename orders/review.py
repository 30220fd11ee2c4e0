"""What there is to say about a draft: what was read, what Sinch said, what is still open."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from django.urls import reverse
from django.utils import timezone

from orders.dates import Advice
from orders.edits import override_forms
from orders.forms import MAX_NUMBERS, DraftForm
from orders.models import PortabilityResult, PortInDraft, PortInNumber, PortInOrder
from orders.numbers import Line, numbers_of, read_numbers
from portal import words
from portal.accounts.models import SinchProject
from portal.operations.models import Operation
from portal.work.models import WorkItem

CHECK_HOLDS = timedelta(hours=24)  # an older portability answer is asked for again


@dataclass(frozen=True)
class Reason:
    """One thing that keeps an order from being sent, and the id of where it is put right.

    `is_open` ones are named in a row ("the PIN"), the others are sentences.
    """

    text: str
    anchor: str
    is_open: bool = True
    brief: str = ""

    @property
    def short(self) -> str:
        """The same in a word or two, for a chip."""
        words_ = self.brief or self.text.removeprefix("the ")
        return words_[:1].upper() + words_[1:]

    @property
    def is_many(self) -> bool:
        """Whether the words are a plural."""
        return self.text == "the numbers" or self.text[:1].isdigit()


@dataclass(frozen=True)
class Step:
    """One of the four steps of a draft, and how far it is."""

    name: str
    hint: str
    is_done: bool
    is_now: bool
    needs_look: bool


@dataclass(frozen=True)
class Banner:
    """Something to know about portability; `keeps` is how many numbers would go on."""

    tone: str
    title: str
    text: str
    keeps: int = 0


@dataclass(frozen=True)
class Place:
    """Where else a number stands: an order of ours that still lives, or a draft being sent."""

    text: str
    title: str
    url: str
    blocks: bool


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


class Review:
    """A draft as it stands: what was read, what Sinch said, what is still open."""

    def __init__(self, draft: PortInDraft, *, complete: bool) -> None:
        self.draft = draft
        self.project = draft.project
        self.complete = complete
        self.text = str(draft.field("numbers"))
        self.lines: list[Line] = read_numbers(self.text)
        self.numbers = numbers_of(self.lines)
        self.form = self._form(complete)

    def _form(self, complete: bool) -> DraftForm:
        data = self.draft.data
        overrides = override_forms(data.get("overrides") or [], self.numbers, complete=complete)
        return DraftForm(
            data,
            lines=self.lines,
            saved=data,
            complete=complete,
            overrides=overrides,
            reference_owner=lambda reference: reference_owner(
                self.project, reference, but=self.draft
            ),
        )

    @cached_property
    def _judged(self) -> DraftForm:
        return self.form if self.complete else self._form(complete=True)

    @cached_property
    def places(self) -> dict[str, Place]:
        """Where else the numbers stand."""
        return places_of(self.project, self.numbers, but=self.draft)

    @cached_property
    def checks(self) -> list[Check]:
        """What Sinch said about each number, in the order of the list."""
        found = {
            row.phone_number: row
            for row in PortabilityResult.objects.filter(
                project=self.project, phone_number__in=self.numbers
            )
        }
        return [
            Check(n, row.portable, row.carrier, row.reason, row.checked_at)
            if (row := found.get(n))
            else Check(n)
            for n in self.numbers
        ]

    @property
    def bad_lines(self) -> list[Line]:
        """The lines to correct or leave out."""
        return [line for line in self.lines if line.problem]

    def remark_of(self, line: Line) -> bool:
        """Tell whether a line is worth a look without being wrong."""
        return not line.problem and (bool(line.remark) or line.number in self.places)

    @property
    def worth_a_look(self) -> int:
        """How many lines are worth a look."""
        return sum(self.remark_of(line) for line in self.lines)

    @cached_property
    def checked(self) -> list[Check]:
        """The answers that hold."""
        return [check for check in self.checks if check.holds]

    @property
    def unchecked(self) -> list[Check]:
        """The numbers Sinch has to be asked about, the first time or again."""
        return [check for check in self.checks if not check.holds]

    @property
    def not_portable(self) -> list[Check]:
        """The numbers that cannot move."""
        return [check for check in self.checks if check.portable is False and check.holds]

    @property
    def portable(self) -> list[Check]:
        """The numbers that can move."""
        return [check for check in self.checks if check.portable and check.holds]

    @property
    def asked_at(self) -> datetime | None:
        """The age of the oldest answer."""
        return min((c.checked_at for c in self.checks if c.checked_at), default=None)

    @cached_property
    def carriers(self) -> list[tuple[str, int]]:
        """The losing carriers of the portable numbers with how many each has, most first."""
        counts: dict[str, int] = {}
        for check in self.portable:
            counts[check.carrier] = counts.get(check.carrier, 0) + 1
        return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))

    @property
    def is_checking(self) -> bool:
        """Whether Sinch is being asked about portability at the moment."""
        return self.draft.check_operation is not None and self.draft.check_operation.is_under_way

    @property
    def fields_left(self) -> int:
        """How many fields of the details are still open."""
        return sum(reason.is_open and reason.anchor.startswith("id_") for reason in self.reasons)

    @cached_property
    def reasons(self) -> list[Reason]:
        """Everything that keeps the order from being sent, in the order of the page."""
        return [*self._numbers_open(), *self._portability_open(), *self._details_open()]

    @property
    def open_reasons(self) -> list[Reason]:
        """The ones named in a row."""
        return [reason for reason in self.reasons if reason.is_open]

    @property
    def said_reasons(self) -> list[Reason]:
        """The ones that are sentences."""
        return [reason for reason in self.reasons if not reason.is_open]

    @property
    def line_count(self) -> int:
        """How many lines hold something."""
        return len({line.position for line in self.lines})

    @property
    def asked_for(self) -> str:
        """The port date as it reads in a sentence; "" while it is not one."""
        given = self._cleaned
        if not given.get("port_date"):
            return ""
        return words.port_moment_text(
            given["port_date"], given.get("port_time"), given.get("port_zone")
        )

    @property
    def _cleaned(self) -> dict[str, Any]:
        self.form.is_valid()
        return dict(self.form.cleaned_data)

    @cached_property
    def advice(self) -> Advice | None:
        """What to know about the port date; it blocks nothing."""
        return self.form.advice(timezone.now(), [carrier for carrier, _ in self.carriers])

    @cached_property
    def banners(self) -> list[Banner]:
        """What has to be known about portability."""
        return [*self._asking_banners(), *self._answer_banners()]

    def _asking_banners(self) -> Iterable[Banner]:
        asked = self.draft.check_operation
        if asked is None:
            return
        if asked.is_under_way and asked.staff_message:
            yield Banner(
                "us",
                "Sinch has not answered yet",
                f"{asked.staff_message} It is asked again by itself; you can go on typing.",
            )
        elif asked.state in (Operation.State.REFUSED, Operation.State.DEAD) and self.unchecked:
            why = asked.staff_message or "Sinch did not say why."
            yield Banner("bad", "Portability could not be checked", f"{why} Then check again.")

    def _answer_banners(self) -> Iterable[Banner]:
        gone = len(self.not_portable)
        if gone:
            total = words.count_text(len(self.checks), "number")
            one = gone == 1
            yield Banner(
                "us",
                f"{gone} of {total} cannot move",
                f"{'One number that is' if one else 'Numbers that are'} not portable "
                f"{'fails' if one else 'fail'} the whole order at Sinch, so "
                f"{'it has' if one else 'they have'} to leave this one.",
                keeps=len(self.portable),
            )
        if len(self.carriers) > 1:
            who = " · ".join(
                f"{carrier or 'Not said'}, {words.count_text(count, 'number')}"
                for carrier, count in self.carriers
            )
            yield Banner(
                "us",
                f"{words.count_text(len(self.carriers), 'losing carrier')} answer at different "
                "speeds",
                f"Sinch advises one carrier for each order. {who}. One order works too; its dates "
                "may drift apart.",
            )

    @cached_property
    def steps(self) -> list[Step]:
        """The four steps and how far each is; the first that is not done is the present one."""
        bad = len(self.bad_lines)
        read = f"{len(self.numbers)} read" if self.lines else ""
        fix = f"{words.count_text(bad, 'line')} to fix" if bad else ""
        move = ""
        if self.is_checking:
            move = "Asking Sinch"
        elif self.checked:
            move = f"{len(self.portable)} of {len(self.checks)} can move"
        left = self.fields_left
        found = [
            ("Numbers", ", ".join(p for p in (read, fix) if p), bool(self.numbers), bool(bad)),
            (
                "Portability",
                move,
                bool(self.checks) and not self.unchecked,
                bool(self.not_portable),
            ),
            (
                "Details",
                f"{words.count_text(left, 'field')} left" if left and self.draft.version else "",
                not left,
                False,
            ),
            ("Review and send", "", False, False),
        ]
        now = next(index for index, step in enumerate(found) if not step[2])
        return [
            Step(name, hint, done, index == now, look)
            for index, (name, hint, done, look) in enumerate(found)
        ]

    def _numbers_open(self) -> Iterable[Reason]:
        if not self.lines:
            yield Reason("the numbers", "id_numbers")
        places = dict.fromkeys((line.place, f"fix-{line.key}") for line in self.bad_lines)
        if len(places) > 5:
            yield Reason(f"{len(places)} lines of the numbers", f"fix-{self.bad_lines[0].key}")
        else:
            yield from (Reason(f"{place} of the numbers", anchor) for place, anchor in places)
        if len(self.numbers) > MAX_NUMBERS:
            yield Reason(
                f"One order takes at most {MAX_NUMBERS} numbers; these are {len(self.numbers):,}.",
                "id_numbers",
                is_open=False,
            )
        for number, place in self.places.items():
            if place.blocks:
                yield Reason(
                    f"{words.phone_text(number)} is in {place.title} already.",
                    "id_numbers",
                    is_open=False,
                    brief="Number in another order",
                )

    def _portability_open(self) -> Iterable[Reason]:
        if not self.numbers:
            return
        if self.is_checking:
            yield Reason(
                "Sinch is being asked about portability.", "s2", is_open=False, brief="Portability"
            )
        elif len(self.unchecked) == len(self.checks):
            old = any(check.is_old for check in self.checks)
            yield Reason(
                "The answers about portability are older than a day; check again."
                if old
                else "Portability is not checked yet.",
                "s2",
                is_open=False,
                brief="Portability",
            )
        elif self.unchecked:
            yield Reason(
                f"{words.count_text(len(self.unchecked), 'number')} not checked for portability.",
                "s2",
                is_open=False,
                brief="Portability",
            )
        if self.not_portable:
            yield Reason(
                f"{words.count_text(len(self.not_portable), 'number')} cannot move.",
                "s2",
                is_open=False,
                brief="Portability",
            )

    def _details_open(self) -> Iterable[Reason]:
        for text, anchor in self._judged.open_points():
            if anchor != "id_numbers":
                yield Reason(text, anchor)

    @property
    def can_send(self) -> bool:
        """Whether the order can be sent now."""
        return not self.reasons


def review(draft: PortInDraft, *, complete: bool = False) -> Review:
    """Return what there is to say about a draft; `complete` also blames empty fields."""
    return Review(draft, complete=complete)


def is_sending(draft: PortInDraft) -> bool:
    """Tell whether the draft's order is under way to Sinch."""
    return draft.operation is not None and draft.operation.is_under_way


_STANDS: Final[dict[str, str]] = {
    PortInNumber.Status.EXCLUDED: "Excluded from",
    PortInNumber.Status.REJECTED: "Rejected in",
    PortInNumber.Status.CANCELED: "Canceled in",
    PortInNumber.Status.ACTIVATED: "Live in",
}


# Sinch takes a number a second time once its order has settled it.
_TAKEN: Final[dict[str, set[str]]] = {
    PortInOrder.Status.PENDING: {"PENDING", "CONFIRMED", "REJECTED", "ACTIVATED"},
    PortInOrder.Status.CONFIRMED: {"PENDING", "CONFIRMED", "ACTIVATED"},
    PortInOrder.Status.PENDING_CANCELATION: {"PENDING", "CONFIRMED", "REJECTED", "ACTIVATED"},
}


def places_of(
    project: SinchProject, numbers: Sequence[str], *, but: PortInDraft | None = None
) -> dict[str, Place]:
    """Return where else numbers stand, by number: living orders, and drafts being sent."""
    found: dict[str, Place] = {}
    if not numbers:
        return found
    rows = PortInNumber.objects.filter(
        phone_number__in=numbers,
        order__project=project,
        order__gone_at=None,
        order__item__bucket__in=WorkItem.LIVING,
    ).values_list(
        "phone_number",
        "status",
        "order_id",
        "order__sinch_id",
        "order__status",
        "order__item__end_user",
    )
    for number, status, order_pk, sinch_id, order_status, end_user in rows:
        place = Place(
            text=_STANDS.get(status, "Already in"),
            title=", ".join(part for part in (end_user, sinch_id) if part),
            url=reverse("orders:detail", args=[order_pk]),
            blocks=status in _TAKEN.get(order_status, set()),
        )
        if number not in found or place.blocks:
            found[number] = place
    wanted = set(numbers)
    for draft in _drafts_being_sent(project, but):
        for number in wanted.intersection(numbers_of(read_numbers(str(draft.field("numbers"))))):
            found[number] = Place(
                "Already in", f"{draft}, being sent", draft.get_absolute_url(), blocks=True
            )
    return found


def reference_owner(
    project: SinchProject,
    reference: str,
    *,
    but: PortInDraft | None = None,
    order: PortInOrder | None = None,
) -> str:
    """Return who has a reference already, to begin a sentence with; "" for nobody."""
    rows = WorkItem.objects.filter(project=project, reference__iexact=reference)
    if order is not None:
        rows = rows.exclude(pk=order.item_id)
    if sinch_id := rows.values_list("sinch_id", flat=True).first():
        return f"Order {sinch_id}"
    for draft in _drafts_being_sent(project, but):
        if str(draft.field("reference")).strip().lower() == reference.lower():
            return "A draft that is being sent"
    return ""


def _drafts_being_sent(project: SinchProject, but: PortInDraft | None) -> list[PortInDraft]:
    rows = PortInDraft.objects.filter(project=project, state=PortInDraft.State.SENDING)
    return list(rows.exclude(pk=but.pk) if but else rows)
