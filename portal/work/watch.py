"""What changed in a list while its page was open."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Q
from django.db.models.functions import JSONObject
from django.http import QueryDict
from django.utils import timezone

from portal.values import whole
from portal.work import search
from portal.work.filters import SORTS, Filters, address
from portal.work.lines import Line, line
from portal.work.models import WorkItem
from portal.work.queue import PAGE, Page, rows

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
            key, version = map(whole, pair.partition(".")[::2])
            if key is not None and version is not None:
                versions[key] = version
        told = [key for key in map(whole, given.get("told", "").split(",")) if key is not None]
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
    """Return the rows whose versions differ between two states of a page.

    One statement, and another when they were found by a number.
    """
    keys = [key for key, v in after.versions.items() if before.versions.get(key) != v]
    found = search.matches(after.filters.q, keys)
    changed = rows(WorkItem.objects.filter(pk__in=keys))
    return [line(item, changed=True, match=found.get(item.pk)) for item in changed]


def _any(conditions: Iterable[Q]) -> Q:
    found = Q()
    for condition in conditions:
        found |= condition
    return found


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    # Whoever asks looks back a little from it.
    return moment if timezone.is_aware(moment) and moment.year > 1 else None
