"""Where an order of either kind stands: its writes, what was decided about it, its clock."""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Model, QuerySet
from django.db.models.functions import JSONObject
from django.utils import timezone

from portal.operations.models import Operation
from portal.values import stored_moment
from portal.work.marks import Mark
from portal.work.models import WorkItem

log = logging.getLogger(__name__)

MOST_WRITES = 100  # the newest operations of an order that its bucket looks at
BROKEN_PAUSE = timedelta(hours=1)  # before a bucket that could not be worked out is tried again


def write_rows(writes: QuerySet[Operation]) -> ArraySubquery:
    """Return the newest writes about an order as JSON, for `write_values`."""
    return ArraySubquery(
        writes.order_by("-pk").values(
            json=JSONObject(
                pk="pk",
                kind="kind",
                state="state",
                created="created_at",
                finished="finished_at",
                uncertain="uncertain_since",
                seen="seen_at",
                message="staff_message",
                answer="answer",
            )
        )[:MOST_WRITES]
    )


def write_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a `verdicts.Write` is made of, from a row of `write_rows`."""
    return {
        "kind": row["kind"],
        "state": row["state"],
        "created_at": stored_moment(row["created"]) or timezone.now(),
        "finished_at": stored_moment(row["finished"]),
        "uncertain_since": stored_moment(row["uncertain"]),
        "is_seen": row["seen"] is not None,
        "message": row["message"],
        "by_sinch": is_by_sinch(row["answer"]),
    }


def is_by_sinch(answer: Mapping[str, Any] | None) -> bool:
    """Tell whether what ended an operation is an answer of Sinch's, and not what we found out."""
    return (answer or {}).get("status") is not None


def mark_rows(decided: QuerySet[Any]) -> ArraySubquery:
    """Return what staff decided about an order as JSON, oldest first, for `marks_of`."""
    return ArraySubquery(
        decided.filter(ended_at=None)
        .order_by("pk")
        .values(json=JSONObject(kind="kind", reason="reason", fact="fact", at="at"))
    )


def marks_of(rows: Iterable[Mapping[str, Any]]) -> tuple[Mark, ...]:
    """Return the decisions in rows of `mark_rows`."""
    return tuple(
        Mark(row["kind"], row["reason"], row["fact"], at)
        for row in rows
        if (at := stored_moment(row["at"]))
    )


def wake(kind: str, order_pk: int) -> None:
    """Have the bucket of an order worked out at the next beat; its row is not touched here.

    For what happens to another order that this one is linked with: two rows are never locked.
    """
    items = WorkItem.objects.filter(kind=kind, target_pk=order_pk)
    items.update(next_change_at=timezone.now())


def recompute_due(
    kind: str, model: type[Model], recompute: Callable[[Any], object], now: datetime, limit: int
) -> int:
    """Work out the buckets that time has moved; return how many were looked at."""
    due = WorkItem.objects.filter(kind=kind, next_change_at__lte=now)
    pks = list(due.order_by("next_change_at").values_list("target_pk", flat=True)[:limit])
    for pk in pks:
        try:
            if order := model._base_manager.filter(pk=pk).only("pk").first():
                recompute(order)
        except Exception:
            # One whose key was lost, for instance, must not stop the clocks of all the others.
            log.exception("The bucket of %s %s could not be worked out", kind, pk)
            due.filter(target_pk=pk).update(next_change_at=now + BROKEN_PAUSE)
    return len(pks)
