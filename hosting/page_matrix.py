"""The numbers of a hosting order by step: which are shown, and how each cell reads."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from hosting import failures, wire
from hosting.facts import REJECTED, Facts, Number
from hosting.failures import Cause, Failure, Group
from hosting.models import STEPS
from portal import words
from portal.numbers import sought, why_no_number

FIRST_ROWS: Final = 100
COLUMNS: Final = tuple(STEPS.values())
FILTERS: Final = ("all", "failed", "open", "done")
SORTS: Final = ("worst", "number")
# The words over a column, whole and short, and the group it stands in.
HEADS: Final = (
    ("osr", "Routing record", "OSR", "At Sinch"),
    ("platform", "Service plan", "Plan", "At Sinch"),
    ("campaign", "10DLC campaign", "10D", "At Sinch"),
    ("sms_att", "AT&T", "A", "SMS"),
    ("sms_tmo", "T-Mobile", "T", "SMS"),
    ("mms_att", "AT&T", "A", "MMS"),
    ("mms_tmo", "T-Mobile", "T", "MMS"),
)
# The states of a step that nothing has been done for.
_NOT_BEGUN: Final = frozenset({"", wire.WAITING, wire.UNSPECIFIED})
_WORST: Final = {"failed": 0, "pending": 1, "done": 2}


@dataclass(frozen=True)
class Look:
    """Which numbers somebody wants to see, as it stands in the address.

    `sought` is the last digits, or what was typed in their place, which no number fits.
    """

    show: str = "all"
    step: str = ""
    sought: str = ""
    sort: str = "worst"
    every: bool = False

    @classmethod
    def asked(cls, given: Mapping[str, Any]) -> "Look":
        """Return the look of an address; what is not understood is left out."""
        show, step, sort = (str(given.get(name) or "") for name in ("f", "step", "sort"))
        return cls(
            show=show if show in FILTERS else "all",
            step=step if step in COLUMNS else "",
            sought=sought(str(given.get("n") or "")),
            sort=sort if sort in SORTS else "worst",
            every=given.get("rows") == "all",
        )

    def address(self, **changes: Any) -> str:
        """Return the query of this look with some of it changed."""
        there = {
            "f": self.show if self.show != "all" else "",
            "step": self.step,
            "n": self.sought,
            "sort": self.sort if self.sort != "worst" else "",
            "rows": "all" if self.every else "",
        } | changes
        return "?" + urlencode({name: value for name, value in there.items() if value})

    @property
    def everything(self) -> str:
        """The query of the same look with all its rows."""
        return self.address(rows="all")

    @property
    def other_sort(self) -> str:
        """The query of the same look in the other order."""
        return self.address(sort="number" if self.sort == "worst" else "")

    @property
    def is_any(self) -> bool:
        """Whether anything is left out."""
        return bool(self.show != "all" or self.step or self.sought)

    @property
    def problem(self) -> str:
        """Why no number can fit, "" when some may."""
        return why_no_number(self.sought)

    def wants(self, number: Number, verdict: str) -> bool:
        """Tell whether a number is to be seen."""
        if self.problem or not number.phone_number.endswith(self.sought):
            return False
        if self.step and number.steps.get(self.step, "") in ("DONE", ""):
            return False
        fits = {"all": True, "failed": verdict == "failed", "done": verdict == "done"}
        return fits.get(self.show, verdict != "done")


@dataclass
class Row:
    """A number with its cells; `causes` are told under the last of `alike` neighbours.

    A cause comes with the steps it stopped and Sinch's words.
    """

    number: Number
    text: str
    url: str
    cells: SafeString
    causes: tuple[tuple[Cause, tuple[str, ...], tuple[str, ...]], ...] = ()
    is_moved: bool = False
    alike: int = 1


@dataclass
class Matrix:
    """The numbers as the page shows them, and how many there are of each kind."""

    look: Look
    total: int
    counts: Counter[str]
    rows: list[Row]
    matching: int
    groups: list[Group] = field(default_factory=list)
    by_step: list[tuple[str, str, int]] = field(default_factory=list)
    has_begun: bool = True  # some number that is neither done nor failed has a step behind it

    @property
    def more(self) -> int:
        """How many that match are not shown yet."""
        return self.matching - len(self.rows)

    @property
    def not_done(self) -> int:
        """How many are not done at every step."""
        return self.total - self.counts["done"]

    @property
    def filters(self) -> list[tuple[str, str, bool]]:
        """The filters: words, address, whether chosen."""
        names = (
            ("all", f"All {self.total}"),
            ("failed", f"Failed {self.counts['failed']}"),
            ("open", f"Not done {self.not_done}"),
        )
        look = self.look
        return [
            (
                name,
                look.address(f="" if key == "all" else key, rows="", step=""),
                look.show == key and not look.step,
            )
            for key, name in names
        ]

    @property
    def steps(self) -> list[tuple[str, int, str]]:
        """The steps that some number is not done at: words, how many, address."""
        return [
            (name, count, self.look.address(step=key, f="", rows=""))
            for key, name, count in self.by_step
            if count
        ]

    @property
    def any_step(self) -> str:
        """The query of the same look at any step."""
        return self.look.address(step="", rows="")

    @property
    def step_words(self) -> str:
        """What the step is called that is looked at."""
        return next((name for key, name, _ in self.by_step if key == self.look.step), "any step")


@lru_cache(maxsize=512)
def cell(state: str) -> SafeString:
    """Return the cell of a step in this state; the shape stands for the word on a phone."""
    chip = words.chip("step", state)
    return format_html(
        '<td class="stage tone-{}"><svg class="glyph" aria-hidden="true">'
        '<use href="#g-{}"/></svg><span class="word">{}</span></td>',
        chip.tone,
        chip.glyph,
        chip.label,
    )


def matrix_of(facts: Facts, look: Look, order: int) -> Matrix:
    """Return the numbers of an order as somebody wants to see them; no statement.

    `order` is the key of the order, for the addresses of its numbers.
    """
    judged = [(number, number.verdict) for number in facts.numbers]
    counts = Counter(verdict for _, verdict in judged)
    found = [(number, verdict) for number, verdict in judged if look.wants(number, verdict)]
    if look.sort == "number":
        found.sort(key=lambda pair: pair[0].phone_number)
    else:
        found.sort(key=lambda pair: (_WORST[pair[1]], _troubles(*pair)))
    shown = found if look.every else found[:FIRST_ROWS]
    address = reverse("hosting:number", args=[order, "0"]).rsplit("0", 1)
    settled = [n for n, _ in judged if n.phone_number not in facts.migrated]
    return Matrix(
        look=look,
        total=len(judged),
        counts=counts,
        has_begun=facts.status != REJECTED
        and any(
            verdict == "pending" and not _NOT_BEGUN.issuperset(number.steps.values())
            for number, verdict in judged
        ),
        rows=_told_once([row_of(number, verdict, facts, address) for number, verdict in shown]),
        matching=len(found),
        groups=failures.grouped(settled),
        by_step=[
            (
                column,
                failures.STEP_WORDS[column],
                sum(number.steps.get(column, "") not in ("DONE", "") for number, _ in judged),
            )
            for column in COLUMNS
        ],
    )


def row_of(number: Number, verdict: str, facts: Facts, address: Sequence[str]) -> Row:
    """Return the row of one number; `address` is what stands around its digits."""
    moved = number.phone_number in facts.migrated
    return Row(
        number,
        words.phone_text(number.phone_number),
        number.phone_number.lstrip("+").join(address),
        _cells(tuple(number.steps.get(column, "") for column in COLUMNS)),
        () if moved or verdict == "done" else causes_of(failures.failures_of(number)),
        moved,
    )


def causes_of(
    found: Sequence[Failure],
) -> tuple[tuple[Cause, tuple[str, ...], tuple[str, ...]], ...]:
    """Return each cause of a number's failures with the steps it stopped and Sinch's words."""
    causes: dict[str, tuple[Cause, list[str], list[str]]] = {}
    for failure in found:
        _, steps, said = causes.setdefault(failure.cause.key, (failure.cause, [], []))
        steps.append(failure.step_words)
        text = " ".join(filter(None, (failure.code, failure.said)))
        if text and text not in said:
            said.append(text)
    return tuple((cause, tuple(steps), tuple(said)) for cause, steps, said in causes.values())


def _troubles(number: Number, verdict: str) -> list[tuple[int, str, str]]:
    """Return what brings numbers together that failed alike, the most serious first."""
    if verdict != "failed" and not number.errors:
        return []
    found = failures.failures_of(number)
    return sorted((failures.rank_of(f.cause), f.cause.key, f.step) for f in found)


def _told_once(rows: list[Row]) -> list[Row]:
    """Return the rows; what neighbours have in common is told under the last of them."""
    found: list[Row] = []
    for row in rows:
        last = found[-1] if found else None
        if last and row.causes and row.causes == last.causes and row.is_moved == last.is_moved:
            found[-1] = replace(last, causes=())
            row = replace(row, alike=last.alike + 1)
        found.append(row)
    return found


@lru_cache(maxsize=1024)
def _cells(states: tuple[str, ...]) -> SafeString:
    return format_html_join("", "{}", ((cell(state),) for state in states))


@dataclass(frozen=True)
class Bar:
    """One line of the report: how many of all numbers have got so far."""

    label: str
    tone: str
    count: int
    total: int

    @property
    def width(self) -> int:
        """The length of the bar, in numbers."""
        return min(self.count, self.total)


def bars_of(facts: Facts, report: Mapping[str, Any], counts: Counter[str]) -> list[Bar]:
    """Return how far the numbers are, by Sinch's report and by our own count of the steps."""
    total = max(int(report.get("total") or 0), len(facts.numbers))
    found = []
    if any(number.steps.get("osr") for number in facts.numbers) or report.get("osrUpdated"):
        found.append(("Carrier routing record", "done", report.get("osrUpdated")))
    found.append(("Service plan link", "done", report.get("smsProvisioned")))
    if any(number.steps.get("campaign") for number in facts.numbers):
        found.append(("10DLC campaign link", "done", report.get("addedToCampaign")))
    found.append(("Done at every step", "done", counts["done"]))
    if report.get("ongoingManualAction"):
        found.append(("By hand at Sinch", "wait", report.get("ongoingManualAction")))
    return [Bar(label, tone, int(count or 0), total) for label, tone, count in found]


CSV_TITLES: Final = (
    "Number",
    "Outcome",
    *(failures.STEP_WORDS[column] for column in COLUMNS),
    "Causes",
    "Sinch says",
)


def csv_rows(facts: Facts) -> Iterator[Sequence[str]]:
    """Yield the numbers as lines of a file, failures in words."""
    for number in facts.numbers:
        found = failures.failures_of(number)
        said = dict.fromkeys(" ".join(filter(None, (f.code, f.said))) for f in found)
        yield [
            number.phone_number,
            number.verdict,
            *(words.chip("step", number.steps.get(c, "")).label for c in COLUMNS),
            "; ".join(dict.fromkeys(failure.cause.plain for failure in found)),
            "; ".join(said),
        ]
