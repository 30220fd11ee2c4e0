"""Parts of an order's page that both kinds have, and the mark by which open pages ask for news."""

import datetime
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import (
    BooleanField,
    Case,
    CharField,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Cast, Concat, JSONObject

from portal.crypto import LegibleJSONField
from portal.operations import runner
from portal.operations.models import Operation, Reading
from portal.prepared import Prepared
from portal.values import stored_moment
from portal.work.models import TeamNote, TimelineEntry, WorkItem

FIRST_ENTRIES = 40
MOST_ENTRIES = 1000
MOST_PANELS = 5


def reading_json(**which: Any) -> Subquery:
    """Return the part of a mark that tells how a reading stands; `which` names its row."""
    return Subquery(
        Reading.objects.filter(**which).values(
            json=JSONObject(
                read_at="read_at",
                trouble="last_error",
                waits=Case(
                    When(Q(read_at=None) | Q(requested_at__gt=F("read_at")), then=Value(True)),
                    default=Value(False),
                    output_field=BooleanField(),
                ),
            )
        )[:1]
    )


def with_mark(
    rows: QuerySet[Any],
    *,
    reader: str,
    target: str,
    resource: str = "sinch_id",
    version: str = "item__version",
) -> QuerySet[Any]:
    """Add `mark`: everything that makes an open page out of date when it differs.

    `rows` have a project; `reader` is the kind of their readings, which name them by `resource`,
    `target` how operations name them: "port_in" for "port_in:17". `version` grows with them.
    """
    reading = reading_json(kind=reader, project=OuterRef("project"), resource_id=OuterRef(resource))
    unseen = (
        Operation.objects.filter(
            target=Concat(Value(f"{target}:"), Cast(OuterRef("pk"), CharField())), seen_at=None
        )
        .order_by("pk")
        .values(json=JSONObject(pk="pk", state="state", attempts="attempts"))
    )
    return rows.annotate(
        mark=JSONObject(version=version, reading=reading, unseen=ArraySubquery(unseen))
    )


def mark_of(rows: QuerySet[Any], *, reader: str, target: str) -> Subquery:
    """Return the mark of one order as an expression, to be asked for with the person."""
    return Subquery(with_mark(rows, reader=reader, target=target).values_list("mark")[:1])


def token_of(mark: Any) -> str:
    """Return the short text an open page asks by."""
    text = json.dumps(mark, sort_keys=True, cls=DjangoJSONEncoder)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_team_notes = Prepared(lambda pk: TeamNote.objects.filter(item=pk).select_related("by"))


def team_notes_of(item: WorkItem) -> list[TeamNote]:
    """Return what colleagues wrote for each other, oldest first."""
    return _team_notes.all(item.pk)


@dataclass
class Freshness:
    """How old the reading is, and whether a newer one is on its way."""

    at: datetime.datetime | None
    waits: bool
    trouble: str


def reading_of(mark: dict[str, Any], fetched_at: datetime.datetime | None) -> Freshness:
    """Return the state of an order's reading, from its mark."""
    reading = mark.get("reading") or {}
    newest = max(filter(None, (fetched_at, stored_moment(reading.get("read_at")))), default=None)
    return Freshness(newest, bool(reading.get("waits")), reading.get("trouble") or "")


def operations_of(mark: dict[str, Any], said_by: str = "") -> list[Operation]:
    """Return the writes whose outcome nobody has put away yet, newest first; no payloads.

    Those of the kind `said_by` have what they send as `said`, as long as they are under way.
    """
    keys = [row["pk"] for row in mark.get("unseen") or ()]
    if not keys:
        return []
    also: dict[str, Any] = {"obstacle": runner.obstacle()}
    return list(
        Operation.objects.filter(pk__in=keys)
        .select_related("by")
        .defer("payload")
        .annotate(
            said=Case(
                When(kind=said_by, state__in=Operation.UNDER_WAY, then=F("payload")),
                output_field=LegibleJSONField(),
            ),
            **also,
        )
        .order_by("-pk")[:MOST_PANELS]
    )


def timeline_of(item_pk: int, show: str, every: bool) -> tuple[list[TimelineEntry], bool]:
    """Return the newest entries and whether there are earlier ones; one statement.

    `show` is "sinch", "staff" or "" for everything.
    """
    most = MOST_ENTRIES if every else FIRST_ENTRIES
    found = _entries_of(show if show in ("sinch", "staff") else "", most).all(item_pk)
    return found[:most], len(found) > most


@cache
def _entries_of(show: str, most: int) -> Prepared:
    entries = TimelineEntry.objects.select_related("by")
    if show == "sinch":
        entries = entries.exclude(source=TimelineEntry.Source.STAFF)
    elif show == "staff":
        entries = entries.filter(source=TimelineEntry.Source.STAFF)
    return Prepared(lambda pk: entries.filter(item_id=pk)[: most + 1])


@dataclass
class Fact:
    """A line of the facts beside an order."""

    label: str
    value: str
    hint: str = ""
    is_id: bool = False
    is_phone: bool = False
    differs: bool = False  # other numbers of the order have another one
