"""The list of work: filters kept in the address, search, sort, pages, and what changed since.

Every question is answered from WorkItem alone and in a constant number of statements.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, IntegerField, Q, QuerySet, Subquery
from django.db.models.functions import JSONObject
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from portal import words
from portal.work import clocks, search
from portal.work.models import WorkItem

PAGE = 50
MOST_COUNTED = 1000
OWNERS = {"me": "me", "nobody": "nobody"}
STATUSES = {
    WorkItem.Kind.PORT_IN: ("PENDING", "CONFIRMED", "COMPLETED", "PENDING_CANCELATION", "CANCELED"),
    WorkItem.Kind.HOSTING: (
        "DRAFT",
        "SUBMITTED",
        "WAITING_FOR_LOA_SIGNATURE",
        "IN_PROGRESS",
        "COMPLETED",
        "REJECTED",
    ),
}
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
    "rank",
    "reasons",
    "move",
    "live_count",
    "counted",
    "parts",
    "requested_date",
    "foc_date",
    "waiting_since",
    "version",
    "changed_at",
    "assignee__username",
    "assignee__first_name",
    "assignee__last_name",
)


# "Acme, Inc." is one carrier.
_BETWEEN_CARRIERS = re.compile(r", (?!(?:Inc|LLC|Corp|Co|Ltd|LP)\b)")


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


# --- Filters ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """One entry of a filter menu: choosing it again takes it away."""

    label: str
    url: str
    chosen: bool


@dataclass(frozen=True)
class Menu:
    """One filter: its name, what can be chosen, what is, and the address without it."""

    name: str
    choices: list[Choice]
    chosen: str
    without: str


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to.

    `person` is who asks, for the owner "me": somebody, or an expression for them in a subquery.
    """

    person: Any
    q: str = ""
    bucket: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    owner: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    sort: str = "worst"

    @classmethod
    def read(cls, given: QueryDict, person: Any) -> "Filters":
        """Return the filters of an address; what is not understood is left out."""

        def among(name: str, known: Iterable[str]) -> tuple[str, ...]:
            said = {word for value in given.getlist(name) for word in value.split(",")}
            return tuple(word for word in known if word in said)

        statuses = dict.fromkeys(status for kind in WorkItem.Kind for status in STATUSES[kind])
        sort = given.get("sort", "")
        return cls(
            person=person,
            q=search.understand(given.get("q", "")).text,
            bucket=among("bucket", WorkItem.Bucket.values),
            status=among("status", statuses),
            owner=among("owner", OWNERS),
            kind=among("kind", WorkItem.Kind.values),
            sort=sort if sort in SORTS else "worst",
        )

    def parameters(self, **changes: Any) -> dict[str, str]:
        """Return the filters as they stand in an address, with changes."""
        there = replace(self, **changes)
        joined = {
            "q": there.q,
            "bucket": ",".join(there.bucket),
            "status": ",".join(there.status),
            "owner": ",".join(there.owner),
            "kind": ",".join(there.kind),
            "sort": there.sort if there.sort != "worst" else "",
        }
        return {name: value for name, value in joined.items() if value}

    def url(self, **changes: Any) -> str:
        """Return the address of the list with these filters, changed as asked, first page."""
        return address("work:list", self.parameters(**changes))

    @property
    def narrowed(self) -> bool:
        """Whether anything but the order of rows was asked for."""
        return bool(self.q or self.bucket or self.status or self.owner or self.kind)

    @cached_property
    def condition(self) -> Q:
        """The condition on work items."""
        found = Q()
        if self.bucket:
            found &= Q(bucket__in=self.bucket)
        if self.status:
            found &= Q(status__in=self.status)
        if self.kind:
            found &= Q(kind__in=self.kind)
        if self.owner == ("me",):
            found &= Q(assignee=self.person)
        elif self.owner == ("nobody",):
            found &= Q(assignee=None)
        elif self.owner:
            found &= Q(assignee=self.person) | Q(assignee=None)
        if self.q and (part := search.find(self.q)) is not None:
            found &= part
        return found

    def menus(self) -> list[Menu]:
        """Return the filter menus with their links."""
        statuses = {
            word: words.chip("order" if kind == WorkItem.Kind.PORT_IN else "hosting_order", word)
            for kind in reversed(WorkItem.Kind)
            for word in STATUSES[kind]
        }
        return [
            self._menu("Bucket", "bucket", dict(WorkItem.Bucket.choices)),
            self._menu("Status at Sinch", "status", {w: c.label for w, c in statuses.items()}),
            self._menu("Owner", "owner", {"me": "Me", "nobody": "Nobody"}),
            self._menu("Kind", "kind", dict(WorkItem.Kind.choices)),
        ]

    def _menu(self, name: str, attribute: str, labels: Mapping[str, str]) -> Menu:
        chosen: tuple[str, ...] = getattr(self, attribute)

        def toggled(word: str) -> tuple[str, ...]:
            return tuple(w for w in labels if (w in chosen) != (w == word))

        return Menu(
            name=name,
            choices=[
                Choice(label, self.url(**{attribute: toggled(word)}), word in chosen)
                for word, label in labels.items()
            ],
            chosen=", ".join(_inside(labels[word]) for word in chosen),
            without=self.url(**{attribute: ()}),
        )

    @property
    def title(self) -> str:
        """What the list is called: `All work`, `Needs us, mine + unassigned`."""
        buckets = dict(WorkItem.Bucket.choices)
        parts: list[str] = []
        if self.owner:
            owners: dict[tuple[str, ...], str] = {("me",): "Mine", ("nobody",): "Nobody owns it"}
            parts.append(owners.get(self.owner, "Mine + unassigned"))
        if self.bucket == WorkItem.LIVING:
            parts.append("All living orders" if not parts else "Living")
        else:
            parts += [buckets[word] for word in self.bucket]
        kind = "hosting_order" if self.kind == (WorkItem.Kind.HOSTING,) else "order"
        parts += [words.chip(kind, word).label for word in self.status]
        if not parts:
            return "Search" if self.q else "All work"
        return ", ".join([parts[0], *(_inside(part) for part in parts[1:])])


def _inside(label: str) -> str:
    """Return a label as it stands inside a sentence."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


def address(name: str, parameters: Mapping[str, str]) -> str:
    """Return a path with its query."""
    query = urlencode(parameters, safe=",~")
    return reverse(name) + (f"?{query}" if query else "")


# --- Sorts and pages -------------------------------------------------------------------------


@dataclass(frozen=True)
class Sort:
    """One order of rows: a column, then the newest first; rows without a value at the end."""

    label: str
    column: str
    descending: bool = False
    nullable: bool = False

    def ordering(self, *, backwards: bool = False) -> list[Any]:
        """Return the order of rows, those without a value at the end (first, backwards)."""
        column, falls = F(self.column), self.descending != backwards
        if not self.nullable:
            first = column.desc() if falls else column.asc()
        elif backwards:
            first = column.desc(nulls_first=True) if falls else column.asc(nulls_first=True)
        else:
            first = column.desc(nulls_last=True) if falls else column.asc(nulls_last=True)
        return [first, self._key(backwards)]

    def stretch_ordering(self, *, backwards: bool = False) -> list[str]:
        """Return the order inside one stretch, in the words of the index that holds it."""
        falls = self.descending != backwards
        return [f"-{self.column}" if falls else self.column, self._key(backwards)]

    def _key(self, backwards: bool) -> str:
        return "pk" if self._pk_rises(backwards) else "-pk"

    def _pk_rises(self, backwards: bool) -> bool:
        # The index on the FOC date is read backwards for "latest first", keys and all.
        return (self.nullable and self.descending) != backwards

    def value(self, item: WorkItem) -> Any:
        """Return the item's value in this order."""
        return getattr(item, self.column)

    def written(self, item: WorkItem) -> str:
        """Return where the item stands, for an address: `120~553`."""
        value = self.value(item)
        text = "" if value is None else value.isoformat() if self.column != "rank" else str(value)
        return f"{text}~{item.pk}"

    def read(self, text: str) -> tuple[Any, int] | None:
        """Return the place that was written; None for anything else."""
        value, _, key = text.rpartition("~")
        if not key.isascii() or not key.isdigit() or len(key) > 18:
            return None
        try:
            if not value:
                return (None, int(key)) if self.nullable else None
            if self.column == "rank":
                return (int(value), int(key)) if 0 <= int(value) < 32768 else None
            if self.column == "foc_date":
                return date.fromisoformat(value), int(key)
            moment = datetime.fromisoformat(value)
            return (moment, int(key)) if timezone.is_aware(moment) else None
        except ValueError:
            return None

    def beyond(self, place: tuple[Any, int] | None, *, backwards: bool = False) -> list[Q]:
        """Return the conditions, each a stretch of an index, that hold the rows past a place.

        Without a place they hold all rows.

        Ranks and dates repeat a lot, so "past" is written as: the same value and a further key;
        then a further value; then none. Each of them is a range the index goes to directly,
        however deep the page and however many rows share the value.
        """
        if place is None:
            missing = f"{self.column}__isnull"
            return [Q(**{missing: False}), Q(**{missing: True})] if self.nullable else [Q()]
        value, key = place
        side = "gt" if self._pk_rises(backwards) else "lt"
        same = Q(**{f"pk__{side}": key})
        if value is None:
            nothing = [same & Q(**{f"{self.column}__isnull": True})]
            return [*nothing, Q(**{f"{self.column}__isnull": False})] if backwards else nothing
        further = "lt" if self.descending != backwards else "gt"
        stretches = [
            same & Q(**{self.column: value}),
            Q(**{f"{self.column}__{further}": value}),
        ]
        if self.nullable and not backwards:
            stretches.append(Q(**{f"{self.column}__isnull": True}))
        return stretches


SORTS = {
    "worst": Sort("worst first", "rank"),
    "changed": Sort("newest change first", "changed_at", descending=True),
    "date": Sort("port date, soonest first", "foc_date", nullable=True),
    "-date": Sort("port date, latest first", "foc_date", descending=True, nullable=True),
}


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
    first = _number(given.get("n", "")) if has_back else 1
    if found and not has_on:
        total = first + len(found) - 1
    elif not found and place is None:
        total = 0
    else:
        total = WorkItem.objects.filter(filters.condition).order_by()[: MOST_COUNTED + 1].count()
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
    else:
        inside = sort.stretch_ordering(backwards=backwards)
        first, *others = (
            items.filter(stretch).order_by(*inside).values("pk")[: PAGE + 1]
            for stretch in stretches
        )
        items = WorkItem.objects.filter(pk__in=first.union(*others, all=True))
    return list(rows(items).order_by(*sort.ordering(backwards=backwards))[: PAGE + 1])


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 10 else 1


# --- What a row says -------------------------------------------------------------------------

# Where on the order's page the first step for a reason is.
ANCHORS = {
    "P1": "operations",
    "P2": "conversation",
    "P3": "numbers",
    "P4": "conversation",
    "P5": "timeline",
    "P7": "numbers",
    "P8": "conversation",
    "P9": "documents",
    "H1": "move",
    "H2": "open",
    "H3": "failures",
    "H4": "move",
    "H5": "open",
    "H6": "open",
    "H7": "open",
}
# What a step is called says where it is, before its reason does.
STEPS = {"Cancel the order": "#cancel", "Ask how it stands": "?template=d1#composer"}


@dataclass(frozen=True)
class Line:
    """An item in words, for the list and for home."""

    item: WorkItem
    url: str
    name: str
    tone: str
    glyph: str
    text: str
    others: str
    next_word: str
    next_url: str
    since: str
    clock: clocks.Clock | None = None
    clock_about: str = ""
    changed: str = ""

    @property
    def chip_kind(self) -> str:
        """The table that its status is in."""
        return "order" if self.item.kind == WorkItem.Kind.PORT_IN else "hosting_order"

    @property
    def live_word(self) -> str:
        """What a number is called that has got where it should."""
        return "live" if self.item.kind == WorkItem.Kind.PORT_IN else "done"

    @property
    def carrier(self) -> str:
        """Its first losing carrier and how many more there are: `Comcast +2`."""
        first, *others = _BETWEEN_CARRIERS.split(self.item.carriers)
        return f"{first} +{len(others)}" if others else first

    @property
    def is_living(self) -> bool:
        """Whether something is still to come of it."""
        return self.item.bucket in WorkItem.LIVING

    @property
    def is_stalled(self) -> bool:
        """Whether somebody has to be chased: a clock of theirs ran out."""
        return (self.item.first_reason or {}).get("code") in ("P11", "H7")

    @property
    def is_today(self) -> bool:
        """Whether its FOC date is today, where the reader is."""
        return self.item.foc_date == timezone.localdate()

    @property
    def owner(self) -> str:
        """Its owner's name, "" for nobody."""
        return self.item.assignee.short_name if self.item.assignee else ""


def line(item: WorkItem, *, changed: bool = False) -> Line:
    """Return an item in words; `changed` marks it as changed while the page was open."""
    url = item.get_absolute_url()
    reason = item.first_reason
    clock, about = clocks.worst_of(item.reasons) or (None, "")
    bucket = words.bucket_chip(item.bucket, item.move)
    if reason is None:
        tone, glyph, text, next_word, next_url = bucket.tone, bucket.glyph, bucket.label, "", url
    else:
        tone, glyph = reason.get("tone") or bucket.tone, reason.get("glyph") or bucket.glyph
        text, next_word = reason.get("text") or bucket.label, reason.get("next") or ""
        anchor = ANCHORS.get(reason.get("code", ""), "")
        next_url = f"{url}{STEPS.get(next_word) or (f'#{anchor}' if anchor else '')}"
    if item.bucket == WorkItem.Bucket.READY and item.kind == WorkItem.Kind.PORT_IN:
        next_url = reverse("orders:activate", args=[item.target_pk])
        next_word = next_word or "Activate"
    return Line(
        item=item,
        url=url,
        name=str(item),
        tone=tone,
        glyph=glyph,
        text=text,
        others=" · ".join(r.get("text", "") for r in item.reasons[1:4]),
        next_word=next_word,
        next_url=next_url,
        since=since_text(_since(item)) if item.bucket in WorkItem.LIVING else "",
        clock=clock,
        clock_about=about,
        changed=words.clock_text(item.changed_at) if changed else "",
    )


def _since(item: WorkItem) -> datetime:
    """Return when what it needs first arose; when the order last moved, if that is not known."""
    told = (item.first_reason or {}).get("since")
    return (parse_datetime(told) if told else None) or item.waiting_since


def since_text(moment: datetime) -> str:
    """Return `since 13:00` for today, `since Mon 13:00` within a week, else the day."""
    there = timezone.localtime(moment)
    days = (timezone.localdate() - there.date()).days
    if days <= 0:
        return f"since {there:%H:%M}"
    if days < 7:
        return f"since {there:%a %H:%M}"
    return f"since {words.day_text(there)}"


# --- What changed while a page was open ------------------------------------------------------

MOST_TOLD = 100
# A change is dated before it is committed; whoever asks looks back as far as that may take.
LATE = timedelta(seconds=10)


@dataclass(frozen=True)
class Watch:
    """What an open page knows: when it was made, its rows by version, where it begins and ends.

    `told` are the keys of changes the reader has been told of already.
    """

    filters: Filters
    since: datetime
    versions: Mapping[int, int] = field(default_factory=dict)
    told: tuple[int, ...] = ()
    start: str = ""
    end: str = ""

    @classmethod
    def read(cls, given: QueryDict, person: Any) -> "Watch | None":
        """Return what a poll says of its page; None when it is no poll of ours."""
        since = _moment(given.get("since", ""))
        if since is None:
            return None
        versions: dict[int, int] = {}
        for pair in given.get("rows", "").split(",")[:PAGE]:
            key, _, version = pair.partition(".")
            if _is_key(key) and _is_key(version):
                versions[int(key)] = int(version)
        told = [int(key) for key in given.get("told", "").split(",") if _is_key(key)]
        return cls(
            filters=Filters.read(given, person),
            since=since,
            versions=versions,
            told=tuple(told[:MOST_TOLD]),
            start=given.get("start", ""),
            end=given.get("end", ""),
        )

    @property
    def url(self) -> str:
        """The address that asks for what is new to this page."""
        parameters = self.filters.parameters() | {
            "since": self.since.isoformat(),
            "rows": ",".join(f"{key}.{version}" for key, version in self.versions.items()),
            "told": ",".join(map(str, self.told)),
            "start": self.start,
            "end": self.end,
        }
        return address("work:list_live", {n: v for n, v in parameters.items() if v})

    @property
    def text(self) -> str:
        """Return `3 changed: show`; "" when nothing has."""
        if not self.told:
            return ""
        return f"{len(self.told)}{'+' if len(self.told) >= MOST_TOLD else ''} changed: show"

    def questions(self) -> dict[str, Any]:
        """Return annotations for the statement that finds the person: `present` and `fresh`.

        `present` are the versions of the rows on the page, `fresh` the keys of further matches
        that would stand on it. `filters.person` must be OuterRef("pk").
        """
        present = WorkItem.objects.filter(pk__in=list(self.versions)).order_by()
        fresh = (
            WorkItem.objects.filter(self.filters.condition)
            .filter(self._between(), changed_at__gt=self.since - LATE)
            .exclude(pk__in=[*self.versions, *self.told])
            .order_by()
        )
        return {
            "present": ArraySubquery(present.values(json=JSONObject(pk="pk", v="version"))),
            "fresh": ArraySubquery(fresh.values("pk")[: MOST_TOLD - len(self.told)]),
        }

    def _between(self) -> Q:
        sort, found = SORTS[self.filters.sort], Q()
        if (start := sort.read(self.start)) is not None:
            found &= _any(sort.beyond(start))
        if (end := sort.read(self.end)) is not None:
            found &= ~_any(sort.beyond(end))
        return found

    def news(self, present: Iterable[Mapping[str, int]], fresh: Iterable[int]) -> "Watch | None":
        """Return what the page knows after this poll; None when nothing is new."""
        changed = {
            row["pk"]: row["v"] for row in present if self.versions.get(row["pk"]) != row["v"]
        }
        newly = [key for key in (*changed, *fresh) if key not in self.told]
        if not changed and not newly:
            return None
        return replace(
            self,
            versions=dict(self.versions) | changed,
            told=(*self.told, *newly)[:MOST_TOLD],
        )


def watch(filters: Filters, shown: Page, since: datetime) -> Watch:
    """Return what a page knows that was read from the database at `since` or later."""
    versions = {item.pk: item.version for item in shown.rows}
    return Watch(filters, since, versions, start=shown.start, end=shown.end)


def changed_lines(before: Watch, after: Watch) -> list[Line]:
    """Return the rows whose versions differ between two states of a page; one statement."""
    keys = [key for key, v in after.versions.items() if before.versions.get(key) != v]
    return [line(item, changed=True) for item in rows(WorkItem.objects.filter(pk__in=keys))]


def _any(conditions: Iterable[Q]) -> Q:
    found = Q()
    for condition in conditions:
        found |= condition
    return found


def _is_key(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if timezone.is_aware(moment) else None
