"""What there is to say about a draft: what was read, what Sinch said, what is still open."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.utils import timezone

from orders.dates import Advice
from orders.details import FIELD_WORDS
from orders.edits import override_forms
from orders.forms import MAX_NUMBERS, DraftForm, listed
from orders.forms_own import SHOWN_AT_FIRST
from orders.list_rows import (
    OwnFields,
    RowsForm,
    Tally,
    is_under_way,
    list_of,
    own_fields,
    rows_of,
    sample_of,
    tally_of,
)
from orders.models import NumberList, PortabilityRun, PortInDraft, PortInNumber
from orders.places import Place, taken_numbers
from orders.places import places_of as places_of
from orders.places import reference_owner as reference_owner
from orders.verdicts import CHECK_HOLDS as CHECK_HOLDS
from orders.verdicts import (
    Check,
    Verdicts,
    checks_of,
    checks_of_rows_gone,
    verdicts_of,
    verdicts_of_rows,
)
from portal import words
from portal.numbers import Line, numbers_of, read_numbers
from portal.operations.models import Operation
from portal.work.blame import Blame, blame

MOST_SHOWN = 50  # numbers of a long list that are named before somebody asks for all


@dataclass(frozen=True)
class Reason:
    """One thing that keeps an order from being sent, and the id of where it is put right.

    `is_open` ones are named in a row ("the PIN"), the others are sentences.
    """

    text: str
    anchor: str
    is_open: bool = True
    brief: str = ""
    numbers: frozenset[str] = frozenset()  # those it is about, where it is not about all

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


class Review:
    """A draft as it stands: what was read, what Sinch said, what is still open.

    Numbers are pasted, or they are rows of a file (`rows`). Those of a whole file are counted by
    the database and never fetched; `numbers` is empty then.
    """

    def __init__(self, draft: PortInDraft, *, complete: bool, every_own: bool = False) -> None:
        self.draft = draft
        self.every_own = every_own
        self.project = draft.project
        self.complete = complete
        self.number_list: NumberList | None = list_of(draft) if draft.parent_id is None else None
        # Asked before the rows are counted: what a worker does in between is shown by asking again.
        self.is_list_under_way = bool(self.number_list and is_under_way(self.number_list))
        self.rows = rows_of(draft, self.number_list)
        self.text = str(draft.field("numbers")) if self.rows is None else ""
        self.lines: list[Line] = read_numbers(self.text)
        self.numbers = numbers_of(self.lines)
        if self.rows is not None and self.number_list is None:
            going = self.rows.going().order_by("position")
            self.numbers = list(going.values_list("number", flat=True))
        self.form = self._form(complete)

    @property
    def is_whole_list(self) -> bool:
        """Whether the numbers are those of a file, of which there may be 20,000."""
        return self.number_list is not None

    @property
    def is_part_of_list(self) -> bool:
        """Whether the numbers are rows that were given to this draft when a file was split."""
        return self.rows is not None and self.number_list is None

    @property
    def is_from_file(self) -> bool:
        """Whether the numbers are rows of a file, all of them or some."""
        return self.rows is not None

    @property
    def said_by_rows(self) -> str:
        """What every row of a file says itself, in words: "name on the bill and PIN"."""
        names = [name for name in FIELD_WORDS if name in self.own.everywhere]
        return listed([FIELD_WORDS[name][0].removeprefix("the ") for name in names])

    @property
    def is_long(self) -> bool:
        """Whether the numbers are too many to be named one by one."""
        return self.is_whole_list or len(self.numbers) > MAX_NUMBERS

    def _form(self, complete: bool) -> DraftForm:
        data = self.draft.data
        entries = [] if self.is_whole_list else data.get("overrides") or []
        options: dict[str, Any] = {
            "saved": data,
            "complete": complete,
            "overrides": override_forms(
                entries, self.numbers, complete=complete, every=self.every_own
            ),
            "reference_owner": lambda reference: reference_owner(
                self.project, reference, but=self.draft
            ),
        }
        # Errors come and go beside the fields of a few numbers; hundreds would be too much to send.
        for own in list(options["overrides"])[:SHOWN_AT_FIRST]:
            own.is_live = True
        if self.rows is None:
            return DraftForm(data, lines=self.lines, **options)
        return RowsForm(data, numbers=self._sample, own=self.own, **options)

    def blame(self, shown: Collection[str] = ()) -> list[Blame]:
        """Return what is wrong beside the fields of a page that blames those in `shown`."""
        judged = {own.key: own for own in self._judged.overrides}
        pairs = [(own, judged.get(own.key)) for own in self.form.overrides if own.is_live]
        found = blame([(self.form, self._judged), *pairs], shown)
        # Rows of a file stand in no field.
        return [one for one in found if self.rows is None or one.target != "id_numbers"]

    @property
    def has_wrong(self) -> bool:
        """Whether something that was typed is wrong, not only missing."""
        whole = self.form if not self.complete else self._form(complete=False)
        return bool(whole.errors) or any(own.errors for own in whole.overrides)

    @cached_property
    def _judged(self) -> DraftForm:
        return self.form if self.complete else self._form(complete=True)

    @cached_property
    def _sample(self) -> list[str]:
        if self.number_list is not None and self.rows is not None:
            return sample_of(self.rows.going())
        return self.numbers

    @cached_property
    def own(self) -> OwnFields:
        """Which fields the rows of a file fill themselves."""
        return own_fields(self.rows.going()) if self.rows is not None else OwnFields()

    @cached_property
    def tally(self) -> Tally:
        """The rows of a file, counted by what becomes of them."""
        return tally_of(self.rows) if self.rows is not None else Tally()

    @cached_property
    def places(self) -> dict[str, Place]:
        """Where else the numbers stand; of a whole file only the first that block."""
        return self._taken[1] if self.is_whole_list else self._places

    @cached_property
    def _places(self) -> dict[str, Place]:
        return places_of(self.project, self.numbers, but=self.draft)

    @cached_property
    def _taken(self) -> tuple[int, dict[str, Place]]:
        if self.number_list is not None and self.rows is not None:
            return taken_numbers(
                self.project, self.rows.going().order_by().values("number"), but=self.draft
            )
        taken = {number: place for number, place in self._places.items() if place.blocks}
        return len(taken), taken

    @property
    def taken_count(self) -> int:
        """How many numbers are on their way in another order."""
        return self._taken[0]

    @property
    def taken(self) -> dict[str, Place]:
        """Where they are on their way; of a file only the first."""
        return self._taken[1]

    @cached_property
    def checks(self) -> list[Check]:
        """What Sinch said about each number, in the order of the list; [] for a whole file."""
        return checks_of(self.project, self.numbers)

    @cached_property
    def verdicts(self) -> Verdicts:
        """What Sinch said, added up."""
        if self.number_list is not None and self.rows is not None:
            return verdicts_of_rows(self.project, self.rows.going())
        return verdicts_of(self.checks)

    @property
    def count(self) -> int:
        """How many distinct numbers were read."""
        return self.verdicts.total

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

    def not_portable(self, most: int | None = None) -> list[Check]:
        """Return the numbers that cannot move, at most so many."""
        if self.number_list is not None and self.rows is not None:
            return checks_of_rows_gone(self.project, self.rows.going(), most)
        return [check for check in self.checks if check.portable is False and check.holds][:most]

    @property
    def asked_at(self) -> datetime | None:
        """The age of the oldest answer."""
        return self.verdicts.asked_at

    @cached_property
    def carriers(self) -> list[tuple[str, int]]:
        """The losing carriers of the portable numbers with how many each has, most first."""
        return [(c.name, c.portable) for c in self.verdicts.moving if c.portable]

    @cached_property
    def run(self) -> PortabilityRun | None:
        """The last question about many numbers at once; None while there was none."""
        return self.draft.portability_runs.defer("numbers").first()

    @property
    def is_checking(self) -> bool:
        """Whether Sinch is being asked about portability at the moment."""
        asked = self.draft.check_operation
        return bool((asked and asked.is_under_way) or (self.run and self.run.is_under_way))

    @cached_property
    def taken_up(self) -> int:
        """How many of the numbers the followed order had refused; 0 when it follows none."""
        if self.draft.follows_id is None or self.draft.field("follows_kind") != "refused":
            return 0
        rows = PortInNumber.objects.filter(order=self.draft.follows_id)
        if self.number_list is not None and self.rows is not None:
            return rows.filter(phone_number__in=self.rows.going().values("number")).count()
        return rows.filter(phone_number__in=self.numbers).count()

    @property
    def fields_left(self) -> int:
        """How many fields of the details are still open."""
        return sum(reason.is_open and reason.anchor.startswith("id_") for reason in self.reasons)

    @cached_property
    def reasons(self) -> list[Reason]:
        """Everything that keeps the order from being sent, in the order of the page."""
        return [*self._numbers_open(), *self._portability_open(), *self._details_open()]

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
        carriers = [carrier for carrier, _ in self.carriers]
        return self.form.advice(timezone.now(), carriers, self.project.extra_days_off)

    @cached_property
    def banners(self) -> list[Banner]:
        """What has to be known about portability."""
        return [*self._asking_banners(), *self._answer_banners()]

    def _asking_banners(self) -> Iterable[Banner]:
        asked, run = self.draft.check_operation, self.run
        waits = asked.staff_message if asked and asked.is_under_way else ""
        if run is not None and run.is_under_way:
            waits = run.problem
        if waits:
            yield Banner(
                "us",
                "Sinch has not answered yet",
                f"{waits} It is asked again by itself; you can go on typing.",
            )
        if self.is_checking or not self.verdicts.unchecked:
            return
        if run is not None and run.problem:
            yield Banner(
                "bad", "Portability could not be checked", f"{run.problem} Then check again."
            )
        elif asked is not None and asked.state in (Operation.State.REFUSED, Operation.State.DEAD):
            why = asked.staff_message or "Sinch did not say why."
            yield Banner("bad", "Portability could not be checked", f"{why} Then check again.")

    def _answer_banners(self) -> Iterable[Banner]:
        gone = self.verdicts.gone
        if gone:
            total = words.count_text(self.count, "number")
            one = gone == 1
            yield Banner(
                "us",
                f"{gone:,} of {total} cannot move",
                f"{'One number that is' if one else 'Numbers that are'} not portable "
                f"{'fails' if one else 'fail'} the whole order at Sinch, so "
                f"{'it has' if one else 'they have'} to leave this one.",
                keeps=self.verdicts.going,
            )

    @cached_property
    def steps(self) -> list[Step]:
        """The four steps and how far each is; the first that is not done is the present one."""
        is_list = self.rows is not None
        bad = self.tally.wrong if is_list else len(self.bad_lines)
        read = f"{self.count:,} read" if self.lines or self.count else ""
        fix = f"{words.count_text(bad, 'row' if is_list else 'line')} to fix" if bad else ""
        move = ""
        if self.is_checking:
            move = "Asking Sinch"
        elif self.verdicts.unchecked < self.count:
            move = f"{self.verdicts.portable:,} of {self.count:,} can move"
            if self.verdicts.unasked:
                move += f", {self.verdicts.unasked:,} not asked yet"
            if self.verdicts.old:
                move += f", {words.count_text(self.verdicts.old, 'answer')} too old"
        left = self.fields_left
        found = [
            ("Numbers", ", ".join(p for p in (read, fix) if p), bool(self.count), bool(bad)),
            (
                "Portability",
                move,
                bool(self.count) and not self.verdicts.unchecked,
                bool(self.verdicts.gone),
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
        if self.number_list is not None:
            yield from self._rows_open(self.number_list)
        elif not self.count and not self.bad_lines:
            yield Reason("the numbers", "id_numbers")
        lines = dict.fromkeys((line.place, f"fix-{line.key}") for line in self.bad_lines)
        if len(lines) > 5:
            yield Reason(f"{len(lines)} lines of the numbers", f"fix-{self.bad_lines[0].key}")
        else:
            yield from (Reason(f"{place} of the numbers", anchor) for place, anchor in lines)
        brief = "Number in another order"
        if self.taken_count > 3:
            text = f"{words.count_text(self.taken_count, 'number')} are in other orders already."
            named = frozenset() if self.is_whole_list else frozenset(self.taken)
            yield Reason(text, "taken", is_open=False, brief=brief, numbers=named)
            return
        for number, place in self.taken.items():
            text = f"{words.phone_text(number)} is in {place.title} already. {place.hint}".strip()
            about = frozenset([number])
            yield Reason(text, "taken", is_open=False, brief=brief, numbers=about)

    def _rows_open(self, numbers: NumberList) -> Iterable[Reason]:
        state = NumberList.State
        if numbers.state == state.FAILED and not self.tally.rows:
            text = numbers.problem or f"{numbers} could not be read."
            yield Reason(text, "s1", is_open=False, brief="File")
        elif numbers.state == state.COLUMNS:
            text = f"The columns of {numbers} are to be confirmed."
            yield Reason(text, "s1", is_open=False, brief="Columns of the file")
        elif numbers.state not in (state.READY, state.FAILED):
            text = f"{numbers} is still being read."
            yield Reason(text, "s1", is_open=False, brief="File")
        elif self.tally.wrong:
            wrong = words.count_text(self.tally.wrong, "row")
            text = f"{wrong} to correct or leave out."
            yield Reason(text, "s1", is_open=False, brief=f"{wrong} to correct")
        elif not self.count:
            yield Reason("No row is left to be ordered.", "s1", is_open=False, brief="Numbers")

    def _portability_open(self) -> Iterable[Reason]:
        said = self.verdicts
        if not said.total:
            return
        text = ""
        if self.is_checking:
            text = "Sinch is being asked about portability."
        elif said.unchecked == said.total:
            text = (
                "The answers about portability are older than a day; check again."
                if said.old
                else "Portability is not checked yet."
            )
        elif said.unchecked:
            text = f"{words.count_text(said.unchecked, 'number')} not checked for portability."
        if text:
            unchecked = frozenset(check.number for check in self.checks if not check.holds)
            yield Reason(text, "s2", is_open=False, brief="Portability", numbers=unchecked)
        if said.gone:
            text = f"{words.count_text(said.gone, 'number')} cannot move."
            yield Reason(text, "s2", is_open=False, brief="Portability")

    def _details_open(self) -> Iterable[Reason]:
        for text, anchor in self._judged.open_points():
            if anchor != "id_numbers":
                yield Reason(text, anchor)


def review(draft: PortInDraft, *, complete: bool = False, every_own: bool = False) -> Review:
    """Return what there is to say about a draft.

    `complete` also blames empty fields; `every_own` has forms for all numbers' own details.
    """
    return Review(draft, complete=complete, every_own=every_own)
