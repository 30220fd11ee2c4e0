"""The list of work: pages of it, and counts that end at a thousand.

Every question is answered from WorkItem alone and in a constant number of statements.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, IntegerField, QuerySet, Subquery, Window
from django.http import QueryDict

from portal.values import whole
from portal.work.filters import SORTS, Filters, Sort, address
from portal.work.models import WorkItem

PAGE = 50
MOST_COUNTED = 1000
# What a row and its cells need; the search vector is large and never shown.
COLUMNS = (
    "pk",
    "kind",
    "target_pk",
    "sinch_id",
    "reference",
    "end_user",
    "carriers",
    "status",
    "bucket",
    "urgency",
    "reasons",
    "move",
    "live_count",
    "counted",
    "parts",
    "requested_date",
    "foc_date",
    "foc_dates",
    "version",
    "changed_at",
    "assignee__username",
    "assignee__first_name",
    "assignee__last_name",
)


class CappedCount(Subquery):
    """How many rows a query set has, counted up to its slice; uncorrelated, so counted once."""

    template = "(SELECT count(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


def capped(items: QuerySet[Any]) -> CappedCount:
    """Return the expression that counts up to one more than MOST_COUNTED."""
    return CappedCount(items.order_by().values("pk")[: MOST_COUNTED + 1])


def count_text(count: int) -> str:
    """Return `14`, `1,000` or, beyond what is counted, `1,000+`."""
    return f"{MOST_COUNTED:,}+" if count > MOST_COUNTED else f"{count:,}"


@dataclass
class Page:
    """One page of rows, how many match in all (capped), and the addresses to both sides."""

    rows: list[WorkItem]
    total: int
    first: int = 1
    back_url: str = ""
    on_url: str = ""
    # The places of its first and last row where more rows lie beyond them, else "".
    start: str = ""
    end: str = ""

    @property
    def text(self) -> str:
        """Return `1 to 50 of 1,000+`."""
        if not self.rows:
            return "Nothing on this page"
        last = self.first + len(self.rows) - 1
        return f"{self.first:,} to {last:,} of {count_text(max(self.total, last))}"


def rows(items: QuerySet[WorkItem]) -> QuerySet[WorkItem]:
    """Return items with what their rows show, owner included, and nothing more."""
    return items.select_related("assignee").only(*COLUMNS)


def page(filters: Filters, given: QueryDict) -> Page:
    """Return the page that the address asks for, in at most two statements.

    `after` and `before` are the places it lies between, `n` is the number of its first row.
    """
    sort = SORTS[filters.sort]
    after, before = sort.read(given.get("after", "")), sort.read(given.get("before", ""))
    backwards = before is not None
    place = before if backwards else after
    found = _fetch(filters, sort, place, backwards=backwards)
    more, found = len(found) > PAGE, found[:PAGE]
    if backwards:
        found.reverse()
    has_back = more if backwards else place is not None
    has_on = backwards or more
    first = whole(given.get("n", ""), 999_999_999) or 1 if has_back else 1
    if found and place is None and not has_on:
        total = len(found)
    elif not found and place is None:
        total = 0
    elif found and hasattr(found[0], "matching"):
        total = min(found[0].matching, MOST_COUNTED + 1)
    else:
        total = WorkItem.objects.filter(filters.condition).order_by()[: MOST_COUNTED + 1].count()
    if found and not has_on and total <= MOST_COUNTED:
        first = total - len(found) + 1  # rows before it may have come and gone since it was linked
    shown = Page(found, total, first)
    if not found:
        shown.back_url = filters.url() if place is not None else ""
        return shown
    where = filters.parameters()
    if has_back:
        shown.start = sort.written(found[0])
        there = {"before": shown.start, "n": str(max(1, first - PAGE))}
        shown.back_url = address("work:list", where | there)
    if has_on:
        shown.end = sort.written(found[-1])
        there = {"after": shown.end, "n": str(first + len(found))}
        shown.on_url = address("work:list", where | there)
    return shown


def _fetch(
    filters: Filters, sort: Sort, place: tuple[Any, int] | None, *, backwards: bool
) -> list[WorkItem]:
    items = WorkItem.objects.filter(filters.condition)
    stretches = sort.beyond(place, backwards=backwards)
    if len(stretches) == 1:
        items = items.filter(stretches[0])
        if filters.q and place is None:
            # All that a search has found is looked at for the sort anyway: searching once more
            # to count it would take as long again.
            items = items.annotate(matching=Window(Count("*")))
    else:
        inside = sort.stretch_ordering(backwards=backwards)
        first, *others = (
            items.filter(stretch).order_by(*inside).values("pk")[: PAGE + 1]
            for stretch in stretches
        )
        items = WorkItem.objects.filter(pk__in=first.union(*others, all=True))
    return list(rows(items).order_by(*sort.ordering(backwards=backwards))[: PAGE + 1])
