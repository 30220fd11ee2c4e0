"""Finding orders by whatever somebody has in hand: a number, the last four, an id, a name.

Each kind of order registers where its numbers are and how they stand; everything else is on the
work item. Numbers that stand in no order are registered beside. The parts of a search are looked up
each by its own index and joined, because one condition with OR over several indexes would make the
database read every row.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.search import SearchQuery
from django.db.models import IntegerField, Q, QuerySet, Value
from django.db.models.functions import Upper

from portal.numbers import read_numbers
from portal.work.models import WorkItem

LONGEST = 100  # characters of a search; a reference has at most so many
MOST_WORDS = 8
# Matches looked at in each part of a search. Whoever finds more has to type more.
MOST_MATCHES = 2000
FEWEST_DIGITS = 3  # an area code
FEWEST_LAST_DIGITS = 4  # "the last four"

NumberSource = Callable[[str, bool], "QuerySet[Any]"]

# Condition on numbers and keys of items → rows of `item`, `first` ("+12065550142 CONFIRMED") and
# `many`, how many numbers of the item match.
MatchSource = Callable[[Q, Collection[int]], "QuerySet[Any]"]
# Condition on numbers → those that stand beside any order.
BesideSource = Callable[[Q], "Iterable[Beside]"]

_sources: list[NumberSource] = []
_match_sources: list[tuple[MatchSource, Callable[[str], str]]] = []
_beside_sources: list[BesideSource] = []
_NUMBER_LIKE = re.compile(r"[\d\s()+./\-‐-―−]+")
_PREFIXED = re.compile(r"^\s*(?:tel|phone|number)\s*:", re.IGNORECASE)
_WORD = re.compile(r"\w+")


def register_numbers(source: NumberSource) -> None:
    """Add a place where phone numbers are looked up.

    `source(digits, suffix)` returns a query set with one column, keys of work items. Without
    `suffix` the digits begin with the country's 1, so a number matches when its E.164 form begins
    with "+" and the digits; with it the number ends in them.
    """
    if source not in _sources:
        _sources.append(source)


def register_matches(source: MatchSource, say: Callable[[str], str]) -> None:
    """Add a place that names the number a search has found; `say` puts its status into words."""
    if (source, say) not in _match_sources:
        _match_sources.append((source, say))


def register_beside(source: BesideSource) -> None:
    """Add a place with numbers that stand beside any order."""
    if source not in _beside_sources:
        _beside_sources.append(source)


@dataclass(frozen=True)
class Match:
    """The number an order was found by, how it stands, and how many more of the order match."""

    phone_number: str
    said: str
    more: int


@dataclass(frozen=True)
class Beside:
    """A number outside of orders: `Imported number`, +1 213 555 0100, `Store 1`, and its page."""

    kind: str
    phone_number: str
    said: str
    url: str


@dataclass(frozen=True)
class Wanted:
    """What a typed text may mean; "" and () where it cannot be that."""

    text: str = ""
    whole_number: str = ""  # 11 digits
    first_digits: str = ""  # with the country's 1
    last_digits: str = ""
    words: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.text)

    @property
    def numbers(self) -> Q | None:
        """The condition on rows with `phone_number` and `reversed_digits`; None for no number."""
        if self.whole_number:
            return Q(phone_number=f"+{self.whole_number}")
        if not self.first_digits and not self.last_digits:
            return None
        found = Q()
        if self.first_digits:
            found |= Q(phone_number__startswith=f"+{self.first_digits}")
        if self.last_digits:
            found |= Q(reversed_digits__startswith=self.last_digits[::-1])
        return found


def understand(q: str) -> Wanted:
    """Return what the text may mean. Any text is understood; nonsense just finds nothing."""
    text = unicodedata.normalize("NFKC", q)
    text = "".join(c if c.isprintable() else " " for c in text)
    text = " ".join(text.split())[:LONGEST].strip()
    if not text:
        return Wanted()
    words = tuple(_WORD.findall(text)[:MOST_WORDS])
    bare = _PREFIXED.sub("", text)
    if not _NUMBER_LIKE.fullmatch(bare):
        # "206-555-0142 ext. 5" is a number; "Suite 2065550142" may be a name as well.
        return Wanted(text, whole_number=_written_number(text), words=words)
    digits = "".join(str(unicodedata.digit(c)) for c in bare if c.isdecimal())
    if len(digits) == 10 and digits[0] not in "01":
        return Wanted(text, whole_number=f"1{digits}")
    if len(digits) == 11 and digits[0] == "1":
        return Wanted(text, whole_number=digits)
    if dialled := _written_number(text):
        return Wanted(text, whole_number=dialled)
    if not FEWEST_DIGITS <= len(digits) <= 15:
        return Wanted(text, words=words)
    # No area code begins with 0 or 1: a leading 1 is the country's, a leading 0 is no beginning.
    first = digits if digits[0] == "1" else "" if digits[0] == "0" else f"1{digits}"
    # Nobody writes a plus before the end of a number.
    is_end = FEWEST_LAST_DIGITS <= len(digits) < 10 and not bare.lstrip().startswith("+")
    last = digits if is_end else ""
    return Wanted(
        text, first_digits=first if len(first) < 11 else "", last_digits=last, words=words
    )


def _written_number(text: str) -> str:
    """Return the 11 digits of the one number that is written somehow in a text, "" for none."""
    found = read_numbers(text)
    return found[0].number.removeprefix("+") if len(found) == 1 and found[0].number else ""


def plain_words(text: str) -> str:
    """Return the words of a text with nothing between them but spaces, for the index.

    PostgreSQL would take an address, a host name or a typographic apostrophe as part of one word,
    and differently from one locale to another; what is typed is cut into words the same way.
    """
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text)))


def find(q: str) -> Q | None:
    """Return the condition on work items for a typed text; None when nothing was typed."""
    wanted = understand(q)
    return condition(wanted) if wanted else None


def condition(wanted: Wanted) -> Q:
    """Return the condition that an item matches in any of the ways the text may be meant."""
    first, *others = (part[:MOST_MATCHES] for part in _parts(wanted))
    return Q(pk__in=first.union(*others, all=True))


def finds_more(q: str) -> bool:
    """Tell whether more match in one of the ways than are looked at; one statement."""
    wanted = understand(q)
    if not wanted:
        return False
    first, *others = (part[MOST_MATCHES : MOST_MATCHES + 1] for part in _parts(wanted))
    return bool(first.union(*others, all=True))


def _parts(wanted: Wanted) -> list[QuerySet[Any]]:
    """Return the keys of the items that match, for each way the text may be meant."""
    parts: list[QuerySet[Any]] = []
    for source in _sources:
        if wanted.whole_number:
            parts.append(source(wanted.whole_number, False))
        if wanted.first_digits:
            parts.append(source(wanted.first_digits, False))
        if wanted.last_digits:
            parts.append(source(wanted.last_digits, True))
    items = WorkItem.objects.order_by()
    by_reference = items.annotate(upper=Upper("reference"))
    parts.append(by_reference.filter(upper__startswith=wanted.text.upper()).values("pk"))
    parts.append(items.filter(sinch_id__startswith=wanted.text).values("pk"))
    if wanted.words:
        parts.append(items.filter(search=_words_query(wanted.words)).values("pk"))
    return [part.order_by() for part in parts]


def matches(q: str, items: Collection[int]) -> dict[int, Match]:
    """Return the number that each of these items was found by; at most one statement, or none."""
    numbers = understand(q).numbers
    if numbers is None or not items or not _match_sources:
        return {}
    asked = [
        source(numbers, items)
        .annotate(place=Value(place, IntegerField()))
        .values_list("item", "first", "many", "place")
        for place, (source, _) in enumerate(_match_sources)
    ]
    first, *others = asked
    found = {}
    for item, text, many, place in first.union(*others, all=True):
        phone, _, status = text.partition(" ")
        found[item] = Match(phone, _match_sources[place][1](status), many - 1)
    return found


def beside(q: str) -> list[Beside]:
    """Return numbers outside of orders that a text means, where somebody knows any."""
    numbers = understand(q).numbers
    if numbers is None:
        return []
    return [found for source in _beside_sources for found in source(numbers)]


def _words_query(words: tuple[str, ...]) -> SearchQuery:
    # Each word may be the beginning of one. They hold letters, digits and underscores only, so
    # nothing in them has a meaning in the query language.
    text = " & ".join(f"'{word}':*" for word in words)
    return SearchQuery(text, config="simple", search_type="raw")
