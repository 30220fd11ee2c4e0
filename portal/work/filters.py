"""What a list is narrowed to and in what order it stands: kept in its address."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.db.models import F, Q
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from portal import words
from portal.values import whole
from portal.work import search
from portal.work.models import WorkItem

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


# --- Sorts -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sort:
    """One order of rows: a column, then the newest first; rows without a value at the end."""

    label: str
    column: str
    descending: bool = False
    nullable: bool = False
    oldest_first: bool = False  # among rows with the same value

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
        return (self.oldest_first or (self.nullable and self.descending)) != backwards

    def value(self, item: WorkItem) -> Any:
        """Return the item's value in this order."""
        return getattr(item, self.column)

    def written(self, item: WorkItem) -> str:
        """Return where the item stands, for an address: `7884955~553`."""
        value = self.value(item)
        text = (
            "" if value is None else value.isoformat() if self.column != "urgency" else str(value)
        )
        return f"{text}~{item.pk}"

    def read(self, text: str) -> tuple[Any, int] | None:
        """Return the place that was written; None for anything else."""
        value, _, pk = text.rpartition("~")
        if (key := whole(pk)) is None:
            return None
        try:
            if not value:
                return (None, key) if self.nullable else None
            if self.column == "urgency":
                return (int(value), key) if 0 <= int(value) < 2**31 else None
            if self.column == "foc_date":
                return date.fromisoformat(value), key
            moment = datetime.fromisoformat(value)
            return (moment, key) if timezone.is_aware(moment) else None
        except ValueError:
            return None

    def beyond(self, place: tuple[Any, int] | None, *, backwards: bool = False) -> list[Q]:
        """Return the conditions, each a stretch of an index, that hold the rows past a place.

        Without a place they hold all rows.

        Values repeat a lot, so "past" is written as: the same value and a further key;
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
    "worst": Sort("worst first", "urgency", oldest_first=True),
    "changed": Sort("newest change first", "changed_at", descending=True),
    "date": Sort("port date, soonest first", "foc_date", nullable=True),
    "-date": Sort("port date, latest first", "foc_date", descending=True, nullable=True),
}


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

    @cached_property
    def menus(self) -> list[Menu]:
        """Return the filter menus with their links."""
        return [
            self._menu("Bucket", "bucket", dict(WorkItem.Bucket.choices)),
            self._menu("Status at Sinch", "status", _status_labels()),
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
        labels = _status_labels()
        parts += [labels[word] for word in self.status]
        if len(self.kind) == 1:  # with both of them nothing is left out
            parts.append(f"{WorkItem.Kind(self.kind[0]).label} orders")
        if not parts:
            return "Search" if self.q else "All work"
        return ", ".join([parts[0], *(_inside(part) for part in parts[1:])])


def _status_labels() -> dict[str, str]:
    """Return the word of each status; those that both kinds have are called the same."""
    return {
        word: words.chip("order" if kind == WorkItem.Kind.PORT_IN else "hosting_order", word).label
        for kind in reversed(WorkItem.Kind)
        for word in STATUSES[kind]
    }


def _inside(label: str) -> str:
    """Return a label as it stands inside a sentence."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


def address(name: str, parameters: Mapping[str, str]) -> str:
    """Return a path with its query."""
    query = urlencode(parameters, safe=",~")
    return reverse(name) + (f"?{query}" if query else "")
