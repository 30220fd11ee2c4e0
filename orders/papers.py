"""What the papers of an order have to show, and how old they may get; pure, no database.

Rules and ages: domain.md, section 7. Nothing here blocks anything: Sinch and the carrier decide.
What staff saw with their own eyes is a tick of the document; a tick that speaks of the order (its
numbers, its signer, its end user) holds only as long as the order says the same.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from orders.letters import same, title_of, whose
from orders.loa import Letter
from portal import words
from portal.numbers import TOLL_FREE, area_code

LOA, BILL, RECORD, OTHER = "loa", "bill", "csr", "other"
# Days a paper is taken. Source: Telnyx, "Porting requirements"; Somos for toll-free LOAs, Twilio
# for those of Canadian toll-free numbers.
LOA_DAYS, TOLL_FREE_LOA_DAYS, CANADIAN_TOLL_FREE_LOA_DAYS, BILL_DAYS = 90, 30, 15, 30
WARN_DAYS: Final = 7
# Ticks of staff for each kind, and the words beside the box.
EYES: Final[dict[str, dict[str, str]]] = {
    LOA: {
        "signed": "It is signed",
        "numbers": "It lists the numbers of the order",
        "signer": "The signer is the one of the order",
        "end_user": "Name and address are those of the order",
    },
    BILL: {"same_account": "It is for the account of the order"},
    RECORD: {"same_account": "It is for the account of the order"},
    OTHER: {},
}
MADE: Final = "made"  # the tick of a letter the desk wrote itself, which nobody has signed yet


@dataclass(frozen=True)
class Paper:
    """A document as far as it matters here; `is_there` is False when Sinch refused it."""

    pk: int
    name: str
    kind: str
    dated_on: date | None = None
    ticks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_there: bool = True
    # Whether it was opened for real, as everything added here is; None for a copy never fetched.
    opens: bool | None = True
    is_pdf: bool = True

    @property
    def is_unsigned(self) -> bool:
        """Whether it was made here to be signed; the signed one is another paper."""
        return MADE in self.ticks

    def has(self, name: str) -> bool:
        """Tell whether something is ticked, whatever the order says by now."""
        return name in self.ticks


@dataclass(frozen=True)
class Age:
    """How old a paper is: a tone, a sentence about how long it is taken, and why no longer."""

    tone: str
    text: str
    why: str = ""  # of a paper that carriers take for less time than others of its kind

    @property
    def glyph(self) -> str:
        """The shape that goes with the tone."""
        return {"done": "done", "us": "us", "bad": "bad"}.get(self.tone, "wait")


@dataclass(frozen=True)
class Check:
    """One line of the checklist; `url_pk` is the document to look at."""

    met: bool
    text: str
    hint: str = ""
    by: str = ""  # who ticked it; "" for the desk
    url_pk: int = 0


@dataclass(frozen=True)
class Section:
    """The checks of one letter, or of the bill."""

    title: str
    checks: tuple[Check, ...]

    @property
    def met(self) -> int:
        """How many hold."""
        return sum(check.met for check in self.checks)


# --- Age ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taken:
    """How many days a kind of paper is taken, 0 for one that does not age.

    `of` is what a number has to be for so few of them; "" when that holds for any.
    """

    days: int
    of: str = ""

    @property
    def text(self) -> str:
        """`90 days`, `15 days when a number is Canadian toll-free`."""
        days = words.count_text(self.days, "day")
        return f"{days} when a number is {self.of}" if self.of else days

    def last_day(self, dated_on: date | None) -> date | None:
        """Return the last day on which a paper is taken; None if it does not age or has no date."""
        return dated_on + timedelta(days=self.days) if self.days and dated_on else None


def taken_for(kind: str, numbers: Iterable[str] = (), canadian: Collection[str] = ()) -> Taken:
    """Return how long a kind of paper is taken that is for some numbers, E.164.

    `canadian` are the toll-free ones among them that are Canadian: `canadian_toll_free`.
    """
    if kind != LOA:
        return Taken(BILL_DAYS if kind in (BILL, RECORD) else 0)
    numbers = set(numbers)
    if not numbers.isdisjoint(canadian):
        return Taken(CANADIAN_TOLL_FREE_LOA_DAYS, "Canadian toll-free")
    if any(area_code(number) in TOLL_FREE for number in numbers):
        return Taken(TOLL_FREE_LOA_DAYS, "toll-free")
    return Taken(LOA_DAYS)


def too_old_text(
    kind: str,
    dated_on: date | None,
    on: date | None,
    numbers: Iterable[str] = (),
    canadian: Collection[str] = (),
) -> str:
    """Return the warning about a paper on a day, such as the port date; "" when it is taken."""
    taken = taken_for(kind, numbers, canadian)
    last = taken.last_day(dated_on)
    if last is None or on is None or on <= last or dated_on is None:
        return ""
    return (
        f"The {name_of(kind)} of {words.day_text(dated_on)} is too old on {words.day_text(on)}; "
        f"carriers take one for {taken.text}."
    )


def age_of(
    paper: Paper,
    today: date,
    port_date: date | None,
    numbers: Iterable[str] = (),
    canadian: Collection[str] = (),
) -> Age | None:
    """Return how long a paper is taken yet; None for a kind that does not age."""
    taken = taken_for(paper.kind, numbers, canadian)
    if not taken.days or not paper.is_there or paper.is_unsigned:
        return None
    tone, text = _age(taken.last_day(paper.dated_on), today, port_date)
    return Age(tone, text, f"Carriers take one for {taken.text}." if taken.of else "")


def _age(last: date | None, today: date, port_date: date | None) -> tuple[str, str]:
    if last is None:
        return "us", "age not known: write down its date"
    if last < today:
        return "bad", f"too old since {words.day_text(last + timedelta(days=1), today)}"
    if port_date and last < port_date:
        return "us", f"too old on the port date, {words.day_text(port_date, today)}"
    left = (last - today).days
    if not left:
        return "us", "too old tomorrow"
    if left <= WARN_DAYS:
        return "us", f"fresh for {words.count_text(left, 'more day')}"
    return "done", f"fresh until {words.day_text(last, today)}"


def name_of(kind: str) -> str:
    """Return how a sentence names a kind of paper."""
    return {LOA: "LOA", BILL: "bill", RECORD: "customer service record"}.get(kind, "document")


# --- What ticks say -------------------------------------------------------------------------


def tick_of(name: str, letters: Sequence[Letter], by: str, at: str) -> dict[str, Any]:
    """Return a tick about these letters; it holds what it was made about."""
    tick: dict[str, Any] = {"by": by, "at": at}
    if name == "numbers":
        tick["numbers"] = sorted({number for letter in letters for number in letter.numbers})
    elif name == "signer":
        tick["values"] = sorted({same(letter.signer) for letter in letters})
    elif name == "end_user":
        tick["values"] = sorted({whose(letter) for letter in letters})
    return tick


def ticks_of_made(letter: Letter, by: str, at: str) -> dict[str, Any]:
    """Return the ticks of a letter the desk made: what stands in it is known."""
    names = ("numbers", "signer", "end_user")
    return {MADE: {"by": by, "at": at}} | {name: tick_of(name, [letter], "", at) for name in names}


def missing_numbers(paper: Paper, letter: Letter) -> list[str]:
    """Return the numbers of a letter that a paper, as far as it was looked at, does not list."""
    listed = set(paper.ticks.get("numbers", {}).get("numbers", ()))
    return [number for number in letter.numbers if number not in listed]


def outdated(paper: Paper, letter: Letter) -> list[str]:
    """Return what the order says otherwise than when a paper was ticked, in words."""
    said = []
    if paper.has("numbers") and (gone := missing_numbers(paper, letter)):
        first = words.phone_text(gone[0])
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        said.append(f"{first}{more} {'are' if more else 'is'} not on it")
    if paper.has("signer") and same(letter.signer) not in paper.ticks["signer"].get("values", ()):
        said.append(f"the order’s signer is {letter.signer or 'nobody'} now")
    if paper.has("end_user") and whose(letter) not in paper.ticks["end_user"].get("values", ()):
        said.append("the order’s name or address is another now")
    return said


def _is_about(paper: Paper, letter: Letter) -> bool:
    """Tell whether a paper may be for a letter: nobody has said that it lists other numbers."""
    listed = set(paper.ticks.get("numbers", {}).get("numbers", ()))
    return not listed or not listed.isdisjoint(letter.numbers)


# --- The checklist --------------------------------------------------------------------------


def checklist(
    letters: Sequence[Letter], papers: Sequence[Paper], today: date, port_date: date | None
) -> list[Section]:
    """Return what the LOA of each letter and the bill have to show, and what they do."""
    there = [paper for paper in papers if paper.is_there]
    many = len(letters) > 1
    sections = [
        _loa_section(
            letter, there, today, port_date, f"LOA for {title_of(letter)}" if many else "LOA"
        )
        for letter in letters
    ]
    return [*sections, _bill_section(there, today, port_date)]


def best_loa(letter: Letter, papers: Iterable[Paper], today: date) -> Paper | None:
    """Return the paper that shows most of what the LOA has to show, the newest of equals."""
    found = [
        paper
        for paper in papers
        if paper.kind == LOA and paper.is_there and _is_about(paper, letter)
    ]

    def rank(paper: Paper) -> tuple[bool, int, int]:
        met = sum(check.met for check in _loa_checks(letter, paper, today, None))
        return paper.has("numbers") and not outdated(paper, letter), met, paper.pk

    return max(found, key=rank, default=None)


def _loa_section(
    letter: Letter, papers: Sequence[Paper], today: date, port_date: date | None, title: str
) -> Section:
    paper = best_loa(letter, papers, today)
    if paper is None:
        return Section(title, (Check(False, "No LOA yet", "Make one and have it signed."),))
    return Section(title, tuple(_loa_checks(letter, paper, today, port_date)))


def _loa_checks(
    letter: Letter, paper: Paper, today: date, port_date: date | None
) -> Iterable[Check]:
    old = outdated(paper, letter)
    hint = f"Not any more: {'; '.join(old)}." if old else f"“{paper.name}”"
    yield Check(not old, "LOA covers the order" if old else "LOA added", hint, url_pk=paper.pk)
    yield _readable(paper)
    unsigned = "Made here to be signed; add the signed one." if paper.is_unsigned else ""
    yield _eyes(paper, "signed", "Signed", unsigned)
    yield _dated(paper, today)
    missing = paper.has("numbers") and missing_numbers(paper, letter)
    count = len(letter.numbers)
    numbers = "the number" if count == 1 else f"all {count} numbers"
    yield _eyes(paper, "numbers", f"Lists {numbers}", "", holds=not missing)
    signers = paper.ticks.get("signer", {}).get("values", ())
    yield _eyes(
        *(paper, "signer", f"Signer is {letter.signer}" if letter.signer else "Signer"),
        "" if letter.signer else "The order names no signer.",
        holds=same(letter.signer) in signers and bool(letter.signer),
    )
    values = paper.ticks.get("end_user", {}).get("values", ())
    yield _eyes(paper, "end_user", "Name and address as in the order", "", whose(letter) in values)
    yield _fresh(paper, age_of(paper, today, port_date, letter.numbers, letter.canadian_toll_free))


def _bill_section(papers: Sequence[Paper], today: date, port_date: date | None) -> Section:
    bills = [paper for paper in papers if paper.kind in (BILL, RECORD)]
    if not bills:
        return Section("Bill", (Check(False, "No bill yet", "Or a customer service record."),))
    paper = max(bills, key=lambda one: (one.has("same_account"), one.pk))
    return Section(
        "Bill" if paper.kind == BILL else "Customer service record",
        (
            Check(
                True, f"{name_of(paper.kind).capitalize()} added", f"“{paper.name}”", "", paper.pk
            ),
            _readable(paper),
            _eyes(paper, "same_account", "For the same account", ""),
            _fresh(paper, age_of(paper, today, port_date)),
        ),
    )


def _readable(paper: Paper) -> Check:
    if paper.opens is None:
        hint = "Only Sinch has it; look at it once."
    else:
        hint = "" if paper.is_pdf else "A picture: most carriers want a PDF."
    return Check(bool(paper.opens), "Readable file", hint, url_pk=paper.pk)


def _eyes(paper: Paper, name: str, text: str, hint: str, holds: bool = True) -> Check:
    tick = paper.ticks.get(name)
    if tick is None or not holds:
        return Check(False, text, hint, url_pk=paper.pk)
    return Check(True, text, "", str(tick.get("by") or ""), paper.pk)


def _dated(paper: Paper, today: date) -> Check:
    if paper.dated_on is None:
        return Check(False, "Dated today or earlier", "Write down its date.", url_pk=paper.pk)
    on = words.day_text(paper.dated_on)
    return Check(paper.dated_on <= today, f"Dated {on}", url_pk=paper.pk)


def _fresh(paper: Paper, age: Age | None) -> Check:
    if age is None:
        return Check(False, "Fresh enough", "It ages from the day it is signed.", url_pk=paper.pk)
    text = age.text[:1].upper() + age.text[1:]
    return Check(age.tone == "done", text, age.why, url_pk=paper.pk)
